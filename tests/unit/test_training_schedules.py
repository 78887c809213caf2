"""Learning-rate schedules against torch's own, and at their corners."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from tenfold.errors import UserError
from tenfold.training.schedules import factor, multistep


def torch_rates(steps: int, *schedulers: Any) -> list[float]:
    """The rates of a base rate of 1 that torch's schedulers, each stepped once a step, give together."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    scheduler = lr_scheduler.ChainedScheduler([make(optimiser) for make in schedulers])
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def ours(schedule: dict[str, Any], steps_per_epoch: int, epochs: int) -> list[float]:
    return [factor(schedule, step, steps_per_epoch, epochs) for step in range(steps_per_epoch * epochs)]


def test_constant() -> None:
    assert ours({"name": "constant"}, 3, 2) == [1.0] * 6


def test_multistep() -> None:
    expected = torch_rates(80, lambda o: lr_scheduler.MultiStepLR(o, [40, 60]))
    assert ours({"name": "multistep", "at": [0.5, 0.75]}, 4, 20) == pytest.approx(expected, rel=1e-12)


def test_cosine_per_step() -> None:
    expected = torch_rates(60, lambda o: lr_scheduler.CosineAnnealingLR(o, 60))
    assert ours({"name": "cosine", "per": "step"}, 5, 12) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_cosine_per_epoch() -> None:
    per_epoch = torch_rates(12, lambda o: lr_scheduler.CosineAnnealingLR(o, 12))
    expected = [rate for rate in per_epoch for _ in range(5)]
    assert ours({"name": "cosine"}, 5, 12) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_warmup_multiplies_the_schedule() -> None:
    expected = torch_rates(
        40,
        lambda o: lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=8),
        lambda o: lr_scheduler.MultiStepLR(o, [20]),
    )
    schedule = {"name": "multistep", "at": [0.5], "warmup_epochs": 2, "warmup_start": 0.1}
    assert ours(schedule, 4, 10) == pytest.approx(expected, rel=1e-9)


def test_a_milestone_is_passed_from_its_epoch_on() -> None:
    assert [multistep(epoch, 533, [0.5]) for epoch in (266, 267)] == [1.0, 0.1]
    assert [multistep(epoch, 160, [0.5]) for epoch in (79, 80)] == [1.0, 0.1]


@given(epochs=st.integers(1, 100), tenths=st.integers(0, 10))
def test_fractions_are_decimal(epochs: int, tenths: int) -> None:
    """0.7 of 10 epochs is epoch 7, though 0.7 * 10 > 7 for some such pairs in binary."""
    first = next(epoch for epoch in range(epochs + 1) if multistep(epoch, epochs, [tenths / 10]) < 1)
    assert first == -(-tenths * epochs // 10)


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="'cosin' is not one of constant, multistep, cosine"):
        factor({"name": "cosin"}, 0, 1, 1)
