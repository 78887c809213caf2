"""ResNet-8 and ResNet-14 for small images: the CIFAR ResNet of depth 6n + 2 with one and two blocks a stage."""

from __future__ import annotations

from tenfold.nets.resnet import CifarResNet

BLOCKS_PER_STAGE = {"resnet8": 1, "resnet14": 2}
NAMES = tuple(BLOCKS_PER_STAGE)


def build(name: str, *, width: int = 16, classes: int = 10) -> CifarResNet:
    """One of ``NAMES`` with ``width`` channels in the first stage."""
    inner = [width * 2**stage for stage in range(3) for _ in range(BLOCKS_PER_STAGE[name])]
    return CifarResNet(width, inner, classes)
