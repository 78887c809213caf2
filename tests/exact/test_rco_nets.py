"""Parameters and multiply-adds of the nets of route constrained optimisation, to the last digit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tenfold.measure.cost import CONV_AND_LINEAR, WITH_AVERAGE_POOLS, Cost, cost
from tenfold.nets.build import build

torch.set_num_threads(1)

CIFAR = (3, 32, 32)
MOBILE = {"family": "mobilenet_cifar", "name": "mobilenet_v2_cifar"}
TEACHER = {"family": "resnet50_cifar", "name": "resnet50_cifar"}

# Parameters of the ResNet-50 and of all MobileNets but T4 were also obtained by running RepDistiller's classes.
ROWS: list[tuple[dict[str, Any], int, int | None, int | None]] = [
    # net, params and MACs with 100 classes, params with 10
    (TEACHER, 23_705_252, 1_298_014_208, 23_520_842),
    (MOBILE | {"multiplier": 0.35}, 514_908, 3_490_200, 399_618),
    (MOBILE | {"multiplier": 0.5}, 812_836, 6_523_648, 697_546),
    (MOBILE | {"multiplier": 0.75}, 1_475_692, 13_269_632, 1_360_402),
    (MOBILE | {"multiplier": 1.0}, 2_353_060, 22_381_056, 2_237_770),
    (MOBILE | {"multiplier": 0.5, "expansion": 3}, 575_428, 3_858_304, None),
    (MOBILE | {"multiplier": 0.5, "expansion": 4}, 654_564, 4_746_752, None),
    (MOBILE | {"multiplier": 0.5, "expansion": 10}, 1_129_380, 10_077_440, None),
]


@pytest.mark.parametrize(("net", "params", "macs", "params10"), ROWS)
def test_full_size_nets(net: dict[str, Any], params: int, macs: int, params10: int | None) -> None:
    assert cost(lambda: build(net | {"classes": 100}), CIFAR, CONV_AND_LINEAR) == Cost(params, macs)
    if params10 is not None:
        assert cost(lambda: build(net | {"classes": 10}), CIFAR).params == params10


@pytest.mark.parametrize(
    ("name", "width", "params", "macs"),
    [
        ("resnet8", 8, 19_954, 3_238_208),
        ("resnet8", 16, 78_042, 12_505_728),
        ("resnet14", 8, 44_370, 6_777_152),
        ("resnet14", 16, 175_258, 26_661_504),
    ],
)
def test_the_small_pair_with_its_pool_counted(name: str, width: int, params: int, macs: int) -> None:
    net = {"family": "resnet_small", "name": name, "width": width, "classes": 10}
    assert cost(lambda: build(net), CIFAR, WITH_AVERAGE_POOLS) == Cost(params, macs)


def test_the_defaults_are_the_standard_nets() -> None:
    with torch.device("meta"):
        mobile = build(MOBILE)
        assert sum(parameter.numel() for parameter in mobile.parameters()) == 812_836
        assert sum(parameter.numel() for parameter in build(TEACHER).parameters()) == 23_705_252
        assert mobile(torch.empty(2, 3, 32, 32)).shape == (2, 100)
    assert not [module for module in mobile.modules() if isinstance(module, nn.ReLU6 | nn.Dropout)]
    first = mobile.get_submodule("blocks.0.layers.0.conv")
    assert isinstance(first, nn.Conv2d) and first.weight.shape == (16, 16, 1, 1)  # t = 1, yet expanded


def test_a_last_layer_wider_than_1280_only_above_width_1() -> None:
    with torch.device("meta"):
        for multiplier, last in ((0.35, 1280), (1.0, 1280), (1.4, 1792)):
            assert build(MOBILE | {"multiplier": multiplier}).get_parameter("classifier.weight").shape == (100, last)
