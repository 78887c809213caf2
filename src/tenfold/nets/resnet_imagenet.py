"""ResNet-18, 34, 50 and 101 for ImageNet, with the stride on the bottleneck's 3x3 convolution."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tenfold.nets.layers import conv_bn, init_convs
from tenfold.nets.resnet import BasicBlock, Bottleneck

BASIC = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
BOTTLENECK = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
NAMES = (*BASIC, *BOTTLENECK)
EXPANSION = 4  # output channels of a bottleneck over its inner ones


class ImageNetResNet(nn.Module):
    """A ResNet of four stages for large images.

    Args:
        blocks_per_stage: how many blocks each stage has.
        bottleneck: whether they are bottlenecks, of four times as many output channels, or pairs of 3x3 convolutions.
        width: channels of the stem and inner channels of the first stage; they double from stage to stage.
        classes: number of classes.
    """

    def __init__(self, blocks_per_stage: Sequence[int], bottleneck: bool, width: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, width, kernel=7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        self.blocks = nn.Sequential()
        channels = width
        for stage, count in enumerate(blocks_per_stage):
            inner = width * 2**stage
            for position in range(count):
                stride = 2 if stage > 0 and position == 0 else 1
                if bottleneck:
                    self.blocks.append(Bottleneck(channels, (inner, inner), EXPANSION * inner, stride))
                    channels = EXPANSION * inner
                else:
                    self.blocks.append(BasicBlock(channels, inner, inner, stride))
                    channels = inner
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)
        init_convs(self)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, classes) of images (N, 3, H, W), H and W usually 224."""
        return self.classifier(self.pool(self.blocks(self.stem(images))).flatten(1))


def build(name: str, *, width: int = 64, classes: int = 1000) -> ImageNetResNet:
    """One of ``NAMES``; ``width`` 64 is standard."""
    bottleneck = name in BOTTLENECK
    return ImageNetResNet((BOTTLENECK if bottleneck else BASIC)[name], bottleneck, width, classes)
