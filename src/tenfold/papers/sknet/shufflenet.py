"""ShuffleNetV2, plain, with squeeze-and-excitation or with selective kernels (Table 4)."""

from __future__ import annotations

from torch import nn
from torchvision.models import shufflenet_v2_x0_5, shufflenet_v2_x1_0
from torchvision.models.shufflenetv2 import InvertedResidual, ShuffleNetV2

from tenfold.attention.squeeze_excitation import SqueezeExcitation
from tenfold.papers.sknet.method import Kernel, SelectiveKernel

SIZES = {0.5: shufflenet_v2_x0_5, 1.0: shufflenet_v2_x1_0}
STAGES = ("stage2", "stage3", "stage4")


def build(size: float, attention: str = "none", classes: int = 1000, reduction: int = 16, floor: int = 32) -> nn.Module:
    """A light net.

    Args:
        size: 0.5 or 1.0.
        attention: ``none``, ``se`` (at each unit's output, as in PytorchInsight) or ``sk`` (each 3x3 depthwise
            convolution with its BatchNorm becomes two depthwise branches, Sec. 4.1).
        classes: number of classes.
        reduction: r of selective kernels; the paper does not say it. [choice]
        floor: their L, likewise.
    """
    net = SIZES[size](num_classes=classes)
    if attention == "se":
        _add_excitation(net)
    elif attention == "sk":
        _replace_depthwise(net, reduction, floor)
    return net


def _add_excitation(net: ShuffleNetV2) -> None:
    for name in STAGES:
        units = net.get_submodule(name)
        excited = [nn.Sequential(unit, SqueezeExcitation(2 * _features(unit))) for unit in units.children()]
        net.set_submodule(name, nn.Sequential(*excited))


def _features(unit: nn.Module) -> int:
    """Channels of one half of a unit's output: those of its last convolution."""
    assert isinstance(unit, InvertedResidual)
    return [module.out_channels for module in unit.branch2 if isinstance(module, nn.Conv2d)][-1]


def _replace_depthwise(net: ShuffleNetV2, reduction: int, floor: int) -> None:
    for part in [module for module in net.modules() if isinstance(module, nn.Sequential)]:
        for index, module in enumerate(part):
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                kernels = [Kernel(3, dilation, module.groups) for dilation in (1, 2)]
                part[index] = SelectiveKernel(module.out_channels, kernels, reduction, floor, int(module.stride[0]))
                part[index + 1] = nn.Identity()  # each branch has a BatchNorm of its own
