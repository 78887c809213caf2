"""ResNet-50 for CIFAR: the bottlenecks of the ImageNet net on a 3x3 stem of stride 1, without max-pool.

The teacher of "Knowledge Distillation via Route Constrained Optimization" on CIFAR-100, in the form in which
distillation benchmarks use it (RepDistiller's resnetv2): stages of 64, 128, 256 and 512 inner channels.
"""

from __future__ import annotations

from tenfold.nets.layers import conv_bn
from tenfold.nets.resnet import EXPANSION, RESNET50_BLOCKS, plain_bottleneck
from tenfold.nets.stages import ResidualNet, residual_stages

NAMES = ("resnet50_cifar",)


def build(name: str, *, width: int = 64, classes: int = 100) -> ResidualNet:
    """The net with ``width`` channels in its stem and in the bottlenecks of its first stage; 64 is standard."""
    stem = conv_bn(3, width, kernel=3)
    return ResidualNet(stem, *residual_stages(plain_bottleneck, RESNET50_BLOCKS, width, EXPANSION * width), classes)
