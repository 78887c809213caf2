"""ResNet-50 for CIFAR: the bottlenecks of the ImageNet net on a 3x3 stem of stride 1, without max-pool.

The teacher of "Knowledge Distillation via Route Constrained Optimization" on CIFAR-100, in the form in which
distillation benchmarks use it (RepDistiller's resnetv2): stages of 64, 128, 256 and 512 inner channels.
"""

from __future__ import annotations

from torch import Tensor, nn

from tenfold.nets.layers import conv_bn, init_convs
from tenfold.nets.resnet import RESNET50_BLOCKS, Bottleneck

NAMES = ("resnet50_cifar",)
EXPANSION = 4


class CifarResNet50(nn.Module):
    """ResNet-50 for 32 x 32 images.

    Args:
        width: channels of the stem and inner channels of the first stage; they double from stage to stage.
        classes: number of classes.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.stem = conv_bn(3, width, kernel=3)
        self.blocks = nn.Sequential()
        channels = width
        for stage, count in enumerate(RESNET50_BLOCKS):
            inner = width * 2**stage
            for position in range(count):
                stride = 2 if stage > 0 and position == 0 else 1
                self.blocks.append(Bottleneck(channels, (inner, inner), EXPANSION * inner, stride))
                channels = EXPANSION * inner
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)
        init_convs(self)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, classes) of images (N, 3, 32, 32)."""
        return self.classifier(self.pool(self.blocks(self.stem(images))).flatten(1))


def build(name: str, *, width: int = 64, classes: int = 100) -> CifarResNet50:
    """The net with ``width`` channels in its stem; 64 is standard."""
    return CifarResNet50(width, classes)
