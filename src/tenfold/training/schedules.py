"""Learning-rate schedules: pure functions from the place in training to a factor of the base rate.

``epoch`` counts from 0 and may be fractional: 2.5 is the middle of the third epoch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tenfold.errors import UserError

NAMES = ("constant", "multistep", "cosine")


def multistep(epoch: float, epochs: int, at: Sequence[float], gamma: float = 0.1) -> float:
    """``gamma`` to the power of the number of milestones passed.

    Args:
        epoch: place in training.
        epochs: epochs in all.
        at: milestones as fractions of ``epochs``; one is passed when ``epoch >= fraction * epochs``. Fractions are
            taken as the decimals they are written as, so 0.7 of 10 epochs is exactly 7.
        gamma: factor at each milestone.
    """
    return float(gamma ** sum(epoch >= Fraction(str(fraction)) * epochs for fraction in at))


def cosine(epoch: float, epochs: int) -> float:
    """Half a cosine from 1 at the start to 0 at the end (SGDR, arXiv:1608.03983, Eq. 5 without restarts)."""
    return (1 + math.cos(math.pi * epoch / epochs)) / 2


def warmup(epoch: float, warmup_epochs: float, start: float = 0.0) -> float:
    """A straight line from ``start`` at epoch 0 to 1 at ``warmup_epochs``, then 1."""
    if epoch >= warmup_epochs:
        return 1.0
    return start + (1 - start) * epoch / warmup_epochs


def factor(schedule: dict[str, Any], step: int, steps_per_epoch: int, epochs: int) -> float:
    """What the base learning rate is multiplied by at a step.

    Args:
        schedule: ``name`` (constant, multistep or cosine); for multistep ``at`` and ``gamma`` (default 0.1); for
            cosine ``per`` ("epoch", the default, or "step"); for each ``warmup_epochs`` (default 0) and
            ``warmup_start`` (default 0), a linear warm-up per step that multiplies the schedule.
        step: steps taken so far.
        steps_per_epoch: steps in an epoch.
        epochs: epochs in all.

    Raises:
        UserError: the name is unknown.
    """
    epoch = step // steps_per_epoch
    match schedule["name"]:
        case "constant":
            value = 1.0
        case "multistep":
            value = multistep(epoch, epochs, schedule["at"], schedule.get("gamma", 0.1))
        case "cosine":
            per_step = schedule.get("per", "epoch") == "step"
            value = cosine(step / steps_per_epoch if per_step else epoch, epochs)
        case unknown:
            raise UserError(f"schedule: {unknown!r} is not one of {', '.join(NAMES)}")
    return value * warmup(step / steps_per_epoch, schedule.get("warmup_epochs", 0), schedule.get("warmup_start", 0.0))
