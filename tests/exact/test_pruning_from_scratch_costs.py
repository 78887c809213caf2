"""Parameters, multiply-adds and gates of every net of "Pruning from Scratch", to the last digit.

The numbers were obtained from the architecture definitions; those of all VGG, MobileNet and ResNet-50 rows and of
some CIFAR ResNet rows also by running the official models and counter (3102332).
"""

from __future__ import annotations

import pytest
import torch

from tenfold.measure.cost import CONV_AND_LINEAR, WITH_AVERAGE_POOLS, Cost, cost
from tenfold.nets.build import build
from tenfold.nets.layers import PrunableNet

CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)

ROWS = [
    # family, name, width, input, params, MACs, gates
    ("vgg", "vgg16", 64, CIFAR, 14_724_042, 313_201_664, 4_224),
    ("vgg", "vgg16", 80, CIFAR, 23_001_530, 488_823_040, 5_280),
    ("vgg", "vgg19", 64, CIFAR, 20_035_018, 398_136_320, 5_504),
    ("vgg", "vgg19", 80, CIFAR, 31_299_130, 621_533_440, 6_880),
    ("resnet", "resnet20", 16, CIFAR, 272_474, 40_817_280, 336),
    ("resnet", "resnet20", 20, CIFAR, 424_910, 63_637_280, 420),
    ("resnet", "resnet32", 16, CIFAR, 466_906, 69_128_832, 560),
    ("resnet", "resnet44", 16, CIFAR, 661_338, 97_440_384, 784),
    ("resnet", "resnet56", 16, CIFAR, 855_770, 125_751_936, 1_008),
    ("resnet", "resnet56", 20, CIFAR, 1_335_470, 196_347_680, 1_260),
    ("resnet", "resnet110", 16, CIFAR, 1_730_714, 253_153_920, 2_016),
    ("resnet", "resnet110", 20, CIFAR, 2_701_310, 395_413_280, 2_520),
    ("mobilenet", "mobilenet_v1", 32, IMAGENET, 4_231_976, 568_790_528, 5_984),
    ("mobilenet", "mobilenet_v1", 40, IMAGENET, 6_270_840, 879_579_520, 7_480),
    ("mobilenet", "mobilenet_v2", 32, IMAGENET, 3_504_872, 300_836_992, 8_416),
    ("mobilenet", "mobilenet_v2", 40, IMAGENET, 4_380_088, 376_046_240, 10_520),
    ("resnet", "resnet50", 64, IMAGENET, 25_557_032, 4_089_284_608, 7_552),
    ("resnet", "resnet50", 80, IMAGENET, 34_266_600, 5_569_677_312, 9_440),
    ("vgg", "vgg16", 8, CIFAR, 231_746, 5_087_872, 528),
    ("vgg", "vgg16", 10, CIFAR, 361_500, 7_880_480, 660),
    ("resnet", "resnet20", 8, CIFAR, 68_786, 10_316_096, 168),
    ("resnet", "resnet20", 10, CIFAR, 107_060, 16_049_040, 210),
]


@pytest.mark.parametrize(("family", "name", "width", "size", "params", "macs", "gates"), ROWS)
def test_params_macs_and_gates(
    family: str, name: str, width: int, size: tuple[int, int, int], params: int, macs: int, gates: int
) -> None:
    def net() -> PrunableNet:
        built = build({"family": family, "name": name, "width": width})
        assert isinstance(built, PrunableNet)
        return built

    assert cost(net, size, WITH_AVERAGE_POOLS) == Cost(params, macs)
    with torch.device("meta"):
        assert sum(net().widths) == gates


@pytest.mark.parametrize(
    ("family", "name", "width"),
    [("vgg", "vgg16", 64), ("vgg", "vgg19", 64), ("resnet", "resnet56", 16), ("resnet", "resnet50", 64),
     ("mobilenet", "mobilenet_v1", 32), ("mobilenet", "mobilenet_v2", 32)],
)  # fmt: skip
def test_standard_width_is_the_default(family: str, name: str, width: int) -> None:
    with torch.device("meta"):
        default = build({"family": family, "name": name}).state_dict()
        explicit = build({"family": family, "name": name, "width": width}).state_dict()
    assert {key: value.shape for key, value in default.items()} == {key: value.shape for key, value in explicit.items()}


def test_the_pool_of_vgg_is_not_counted_and_that_of_resnet_is() -> None:
    def vgg() -> torch.nn.Module:
        return build({"family": "vgg", "name": "vgg16"})

    def resnet() -> torch.nn.Module:
        return build({"family": "resnet", "name": "resnet20"})

    assert cost(vgg, CIFAR, WITH_AVERAGE_POOLS) == cost(vgg, CIFAR, CONV_AND_LINEAR)
    assert cost(resnet, CIFAR, WITH_AVERAGE_POOLS).macs - cost(resnet, CIFAR, CONV_AND_LINEAR).macs == 64 * 8 * 8


@pytest.mark.parametrize(("widths", "macs"), [(None, 1_011_489_920), ([1] * 9, 16_254_080)])
def test_resnet20_expanded_to_80_cannot_be_pruned_below_its_stage_widths(widths: list[int] | None, macs: int) -> None:
    net = {"family": "resnet", "name": "resnet20", "width": 80, "widths": widths}
    assert cost(lambda: build(net), CIFAR, WITH_AVERAGE_POOLS).macs == macs
