"""ResNet-18, 34, 50 and 101 for ImageNet, with the stride on the bottleneck's 3x3 convolution."""

from __future__ import annotations

from tenfold.nets.resnet import EXPANSION, imagenet_stem, plain_block, plain_bottleneck
from tenfold.nets.stages import ResidualNet, residual_stages

BASIC = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
BOTTLENECK = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
NAMES = (*BASIC, *BOTTLENECK)


def build(name: str, *, width: int = 64, classes: int = 1000) -> ResidualNet:
    """One of ``NAMES``; ``width`` channels in the stem and inside the first stage's blocks, 64 is standard."""
    stem = imagenet_stem(width)
    if name in BASIC:
        return ResidualNet(stem, *residual_stages(plain_block, BASIC[name], width, width), classes)
    return ResidualNet(stem, *residual_stages(plain_bottleneck, BOTTLENECK[name], width, EXPANSION * width), classes)
