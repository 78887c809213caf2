"""MobileNet-V1 and -V2 for ImageNet with free widths, without dropout.

As pruned in "Pruning from Scratch" (official code at 3102332). A depthwise convolution has no width of its
own: it follows the pointwise convolution before it. In V2 only the hidden widths of the expansion blocks, the stem and
the last 1x1 convolution are free; the block outputs are fixed. Unlike the official code, which leaves
out the expansion convolution of any block whose hidden width happens to equal its input width, only V2's
first block, which never has one, goes without.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tenfold.nets.layers import PrunableNet, chosen_widths, conv_bn, init_convs, init_linears
from tenfold.nets.stages import Classifier

NAMES = ("mobilenet_v1", "mobilenet_v2")
STANDARD_WIDTH = 32

V1_MULTIPLES = (1, 2, 4, 4, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32)  # the stem, then the 13 separable blocks
V1_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)

V2_OUTPUTS = (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
V2_STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
V2_EXPANSION = 6
V2_LAST = 1280


class MobileNetV1(Classifier, PrunableNet):
    """MobileNet-V1 (Howard et al. 2017).

    Args:
        widths: channels of the stem and of the 13 pointwise convolutions.
        classes: number of classes.
    """

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.stem = conv_bn(3, widths[0], kernel=3, stride=2)
        self.blocks = nn.Sequential()
        for channels, width, stride in zip(widths, widths[1:], V1_STRIDES, strict=False):
            depthwise = conv_bn(channels, channels, kernel=3, stride=stride, groups=channels)
            self.blocks.append(nn.Sequential(depthwise, conv_bn(channels, width, kernel=1)))
        self.add_classifier(widths[-1], classes)
        self.prunable = ["stem.bn", *(f"blocks.{index}.1.bn" for index in range(len(V1_STRIDES)))]
        init_convs(self)
        init_linears(self)


class InvertedResidual(nn.Module):
    """Expansion (left out where ``expand`` is false), depthwise and linear pointwise convolution, with ReLU6."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, stride: int, expand: bool) -> None:
        super().__init__()
        self.expansion = conv_bn(in_channels, hidden, kernel=1, activation=nn.ReLU6) if expand else nn.Identity()
        self.depthwise = conv_bn(hidden, hidden, kernel=3, stride=stride, groups=hidden, activation=nn.ReLU6)
        self.projection = conv_bn(hidden, out_channels, kernel=1, activation=None)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        out = self.projection(self.depthwise(self.expansion(maps)))
        return out + maps if self.residual else out


class MobileNetV2(Classifier, PrunableNet):
    """MobileNet-V2 (Sandler et al. 2018).

    Args:
        widths: channels of the stem, hidden widths of blocks 2 to 17, channels of the last 1x1 convolution.
        classes: number of classes.
    """

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        stem, *hidden, last = widths
        self.stem = conv_bn(3, stem, kernel=3, stride=2, activation=nn.ReLU6)
        self.blocks = nn.Sequential(InvertedResidual(stem, stem, V2_OUTPUTS[0], stride=1, expand=False))
        channels = V2_OUTPUTS[0]
        for width, out_channels, stride in zip(hidden, V2_OUTPUTS[1:], V2_STRIDES[1:], strict=True):
            self.blocks.append(InvertedResidual(channels, width, out_channels, stride, expand=True))
            channels = out_channels
        self.last = conv_bn(channels, last, kernel=1, activation=nn.ReLU6)
        self.add_classifier(last, classes)
        expansions = (f"blocks.{index}.expansion.bn" for index in range(1, len(V2_OUTPUTS)))
        self.prunable = ["stem.bn", *expansions, "last.bn"]
        init_convs(self)
        init_linears(self)

    def maps(self, images: Tensor) -> Tensor:
        """See `Classifier`."""
        return self.last(self.blocks(self.stem(images)))


def build(
    name: str, *, width: int = STANDARD_WIDTH, widths: Sequence[int] | None = None, classes: int = 1000
) -> MobileNetV1 | MobileNetV2:
    """One of ``NAMES``: free widths scaled by ``width`` / 32, or explicit ones (see the classes for their order)."""
    if name == "mobilenet_v1":
        standard = [width * multiple for multiple in V1_MULTIPLES]
        return MobileNetV1(chosen_widths(name, widths, standard), classes)
    at_32 = [STANDARD_WIDTH, *(V2_EXPANSION * channels for channels in V2_OUTPUTS[:-1]), V2_LAST]
    standard = [channels * width // STANDARD_WIDTH for channels in at_32]
    return MobileNetV2(chosen_widths(name, widths, standard), classes)
