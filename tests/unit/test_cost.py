"""The cost counter against torch's own FLOP counter, closed forms, and what it must not do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tenfold.measure.cost import CONV_AND_LINEAR, WITH_AVERAGE_POOLS, Cost, cost
from tenfold.nets.build import build

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("net", "size"),
    [
        ({"family": "vgg", "name": "vgg16", "width": 8}, (3, 32, 32)),
        ({"family": "resnet", "name": "resnet20", "width": 8}, (3, 32, 32)),
        ({"family": "resnet", "name": "resnet50", "width": 10}, (3, 64, 64)),
        ({"family": "mobilenet", "name": "mobilenet_v1"}, (3, 64, 64)),
        ({"family": "mobilenet", "name": "mobilenet_v2"}, (3, 64, 64)),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_agrees_with_torchs_flop_counter(net: dict[str, Any], size: tuple[int, ...]) -> None:
    real = build(net).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        real(torch.zeros(1, *size))
    expected = Cost(sum(parameter.numel() for parameter in real.parameters()), counter.get_total_flops() // 2)
    assert cost(lambda: build(net), size) == expected


@pytest.mark.parametrize(
    ("layer", "size", "macs"),
    [
        (lambda: nn.Conv2d(6, 4, 3, padding=1), (6, 5, 7), 4 * 5 * 7 * 6 * 9),
        (lambda: nn.Conv2d(6, 4, 3, stride=2, padding=1, groups=2), (6, 5, 7), 4 * 3 * 4 * 3 * 9),
        (lambda: nn.Conv1d(3, 8, 5), (3, 20), 8 * 16 * 3 * 5),
        (lambda: nn.Conv3d(2, 3, (1, 3, 3)), (2, 4, 5, 5), 3 * 4 * 3 * 3 * 2 * 9),
        (lambda: nn.Linear(7, 11), (7,), 77),
        (lambda: nn.Linear(7, 11), (5, 7), 5 * 77),
        (lambda: nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), (3, 8, 8), 0),
    ],
)
def test_closed_forms(layer: Any, size: tuple[int, ...], macs: int) -> None:
    assert cost(layer, size).macs == macs


def test_average_pools_count_only_where_the_convention_says_so() -> None:
    def net() -> nn.Module:
        return nn.Sequential(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1))

    assert cost(net, (3, 8, 8), CONV_AND_LINEAR).macs == 0
    assert cost(net, (3, 8, 8), WITH_AVERAGE_POOLS).macs == 3 * 8 * 8 + 3 * 4 * 4


class Twice(nn.Module):
    """Calls one layer two times; its weight is held under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.layer.weight

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(self.layer(inputs))


def test_a_module_counts_at_each_call_and_a_shared_parameter_once() -> None:
    assert cost(Twice, (4,)) == Cost(params=16, macs=32)


def test_a_subclass_counts_like_its_nearest_listed_parent() -> None:
    class Free(nn.Linear):
        pass

    def net() -> nn.Module:
        return nn.Sequential(Free(4, 5), nn.Linear(5, 6))

    assert cost(net, (4,)).macs == 50
    assert cost(net, (4,), {**CONV_AND_LINEAR, Free: lambda module, inputs, output: 0}).macs == 30


def test_nothing_is_allocated_or_left_behind() -> None:
    random_state = torch.get_rng_state()
    assert cost(lambda: nn.Linear(10**7, 10**7, bias=False), (10**7,)).macs == 10**14  # 400 TB of weights
    assert torch.empty(1).device.type == "cpu"
    assert torch.equal(torch.get_rng_state(), random_state)
