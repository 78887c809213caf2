"""Squeeze-and-excitation: its size, and its gates computed another way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tenfold.attention.squeeze_excitation import SqueezeExcitation


@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(256, 16, 16), (64, 4, 16), (8, 16, 1)])
def test_parameters(channels: int, reduction: int, hidden: int) -> None:
    module = SqueezeExcitation(channels, reduction)
    expected = 2 * channels * hidden + hidden + channels
    assert sum(parameter.numel() for parameter in module.parameters()) == expected


def test_gates_computed_another_way() -> None:
    torch.manual_seed(0)
    module, maps = SqueezeExcitation(8, 4).double(), torch.randn(3, 8, 5, 4).double()
    first, second = module.excite[0], module.excite[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    for sample in range(3):
        means = torch.stack([maps[sample, channel].mean() for channel in range(8)])
        logits = second.weight @ (first.weight @ means + first.bias).clamp(min=0) + second.bias
        expected = maps[sample] / (1 + torch.exp(-logits))[:, None, None]
        assert torch.allclose(module(maps)[sample], expected, rtol=1e-12)
