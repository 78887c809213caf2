"""The nets of the dropout and BatchNorm study: parameters and BatchNorm layers, to the digit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tenfold.errors import UserError
from tenfold.nets.build import build

RESNEXT = {"family": "resnext_cifar", "name": "resnext29"}
BOTTLENECK = {"family": "preresnet", "name": "preresnet_bottleneck"}
BASIC = {"family": "preresnet", "name": "preresnet_basic"}
WRN = {"family": "wide_resnet", "name": "wide_resnet"}
DENSENET = {"family": "densenet", "name": "densenet_bc"}


@pytest.mark.parametrize(
    ("net", "params", "batchnorms"),
    [
        ({**RESNEXT, "classes": 10}, 34_426_698, 31),
        ({**RESNEXT, "classes": 100}, 34_518_948, 31),
        ({**BOTTLENECK, "depth": 164, "classes": 10}, 1_703_258, 163),
        ({**BOTTLENECK, "depth": 164, "classes": 100}, 1_726_388, 163),
        ({**BOTTLENECK, "depth": 110, "classes": 10}, 1_146_842, 109),
        ({**BASIC, "depth": 110, "classes": 10}, 1_730_522, 109),
        ({**WRN, "classes": 10}, 36_479_194, 25),
        ({**WRN, "classes": 100}, 36_536_884, 25),
        ({**DENSENET, "classes": 10}, 769_162, 99),
        ({**DENSENET, "classes": 100}, 800_032, 99),
    ],
)
def test_parameters_and_batchnorm_layers(net: dict[str, Any], params: int, batchnorms: int) -> None:
    with torch.device("meta"):
        model = build(net)
    assert sum(parameter.numel() for parameter in model.parameters()) == params
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == batchnorms


@pytest.mark.parametrize(
    "net", [{**BASIC, "depth": 21}, {**BOTTLENECK, "depth": 2}, {**WRN, "depth": 8}, {**DENSENET, "depth": 12}]
)
def test_a_depth_that_no_net_has_is_refused(net: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="it must be"):
        build(net)
