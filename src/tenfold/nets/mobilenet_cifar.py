"""MobileNet-V2 for CIFAR, as a student of distillation: width multiplier, expansion, ReLU in place of ReLU6.

The form of RepDistiller's MobileNetV2, whose file says that it is the one used in "Knowledge Distillation via
Route Constrained Optimization": a stem of stride 2, an expansion convolution in every block (the first, whose
expansion is 1, too), a last 1x1 convolution to at least 1280 channels, no dropout.
"""

from __future__ import annotations

from torch import Tensor, nn

from tenfold.nets.layers import conv_bn, init_convs, init_linears
from tenfold.nets.stages import Classifier

NAMES = ("mobilenet_v2_cifar",)

# Output channels, blocks and stride of the first block of each stage; the first stage's expansion is always 1.
STAGES = ((16, 1, 1), (24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
STEM, LAST = 32, 1280


class InvertedResidual(nn.Module):
    """Expansion, depthwise and linear pointwise convolution; a residual where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.layers = nn.Sequential(
            conv_bn(in_channels, hidden, kernel=1),
            conv_bn(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            conv_bn(hidden, out_channels, kernel=1, activation=None),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        return maps + self.layers(maps) if self.residual else self.layers(maps)


class CifarMobileNetV2(Classifier):
    """MobileNet-V2 for 32 x 32 images.

    Args:
        multiplier: W, the factor of all channel counts (rounded down; the last 1280 are never fewer).
        expansion: T, hidden channels of a block over its input channels.
        classes: number of classes.
    """

    def __init__(self, multiplier: float, expansion: int, classes: int) -> None:
        super().__init__()
        channels = int(STEM * multiplier)
        self.stem = conv_bn(3, channels, kernel=3, stride=2)
        self.blocks = nn.Sequential()
        for stage, (outputs, count, stride) in enumerate(STAGES):
            for position in range(count):
                out_channels = int(outputs * multiplier)
                factor = expansion if stage > 0 else 1
                self.blocks.append(InvertedResidual(channels, out_channels, factor, stride if position == 0 else 1))
                channels = out_channels
        last = int(LAST * max(1.0, multiplier))
        self.last = conv_bn(channels, last, kernel=1)
        self.add_classifier(last, classes)
        init_convs(self)
        init_linears(self)

    def maps(self, images: Tensor) -> Tensor:
        """See `Classifier`."""
        return self.last(self.blocks(self.stem(images)))


def build(name: str, *, multiplier: float = 0.5, expansion: int = 6, classes: int = 100) -> CifarMobileNetV2:
    """The net with width multiplier W and expansion T; RepDistiller's `mobile_half` has 0.5 and 6."""
    return CifarMobileNetV2(multiplier, expansion, classes)
