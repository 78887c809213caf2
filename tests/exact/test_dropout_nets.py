"""The nets of the dropout and BatchNorm study: parameters and BatchNorm layers, to the digit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tenfold.nets.build import build

RESNEXT = {"family": "resnext_cifar", "name": "resnext29"}


@pytest.mark.parametrize(
    ("net", "params", "batchnorms"),
    [
        ({**RESNEXT, "classes": 10}, 34_426_698, 31),
        ({**RESNEXT, "classes": 100}, 34_518_948, 31),
    ],
)
def test_parameters_and_batchnorm_layers(net: dict[str, Any], params: int, batchnorms: int) -> None:
    with torch.device("meta"):
        model = build(net)
    assert sum(parameter.numel() for parameter in model.parameters()) == params
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == batchnorms
