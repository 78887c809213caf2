"""Training that ends when the validation loss has risen often enough in a row: the end is not known beforehand."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.errors import UserError
from tenfold.faults import fault
from tenfold.progress import FitState, Progress
from tenfold.training.batches import Batches
from tenfold.training.compute import Compute
from tenfold.training.step import on_device, training_step

Losses = Callable[[nn.Module, Any], dict[str, Tensor]]  # of a batch: the mean "loss", and other means to be noted
# (model, means since the last validation) -> a row of the history with "validation_loss"; leaves the mode as it was
Validate = Callable[[nn.Module, dict[str, float]], dict[str, float]]

_SECONDS_BETWEEN_LINES = 20.0


@dataclass(frozen=True)
class Patience:
    """When to validate, and when to stop.

    Attributes:
        every: iterations between validations.
        rises: the validation loss must rise so many times in a row to end the training.
        most: iterations after which it ends anyway; a multiple of ``every``.
    """

    every: int
    rises: int
    most: int

    def stops(self, losses: list[float]) -> bool:
        """Whether the validation losses so far end with ``rises`` rises in a row."""
        last = losses[-self.rises - 1 :]
        return len(last) > self.rises and all(b > a for a, b in itertools.pairwise(last))


@dataclass(frozen=True)
class Stopped:
    """What a training gives.

    Attributes:
        model: the net with the weights of the lowest validation loss.
        history: one row per validation: iteration, and what ``validate`` gave.
        times: one row per validation: iteration, seconds spent on steps, examples per second.
        stopped_at: iteration at which training ended.
        best_at: iteration of the lowest validation loss.
        by_rule: whether the rises ended it, not the limit.
    """

    model: nn.Module
    history: list[dict[str, Any]]
    times: list[dict[str, Any]]
    stopped_at: int
    best_at: int
    by_rule: bool


def fit_until_it_rises(
    model: nn.Module,
    batches: Batches,
    losses: Losses,
    optimiser: torch.optim.Optimizer,
    patience: Patience,
    validate: Validate,
    compute: Compute,
    progress: Progress,
    *,
    clip_norm: float,
    title: str,
) -> Stopped:
    """Trains a net until its validation loss rises several times in a row, going on where an earlier process stopped.

    All randomness comes from the batches' generator and torch's default generators, as in `tenfold.training.loop.fit`.

    Args:
        model: the net, placed.
        batches: where the examples come from.
        losses: runs under autocast.
        optimiser: of the net's parameters.
        patience: when to validate and to stop.
        validate: measures the net on validation data.
        compute: device and precision.
        progress: the job's.
        clip_norm: largest L2 norm of the whole gradient.
        title: begins the lines of progress.

    Raises:
        UserError: the loss is no longer a finite number.
    """
    state = FitState(model, optimiser, batches)
    progress.begin(state)
    said = time.monotonic()

    def curve() -> list[float]:
        return [row["validation_loss"] for row in state.history]

    step = on_device(training_step(state, batches.make, compute, clip_norm=clip_norm), state, compute, progress.job.say)

    model.train()
    while state.step < patience.most and not patience.stops(curve()):
        started = time.monotonic()
        drawn, n = batches.draw()
        step(drawn, n, losses)
        state.examples += n
        state.step += 1
        if state.step % patience.every == 0:
            compute.wait()
        state.seconds += time.monotonic() - started

        if state.step % patience.every == 0:
            _close(state, validate)
            if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                progress.job.say(f"{title}  iteration {state.step}, at most {patience.most}  "
                                 f"validation loss {curve()[-1]:.4f}, lowest {min(curve()):.4f}")  # fmt: skip
        fault("step")
        progress.after_step(state)
    progress.end(state)

    ((best_at, weights),) = state.kept.items()
    model.load_state_dict(weights)
    by_rule = patience.stops(curve())
    ended = "stopped by the rule" if by_rule else "ended"
    progress.job.say(f"{title}  {ended} at iteration {state.step}, best at {best_at}: {min(curve()):.4f}")
    return Stopped(model, state.history, state.times, state.step, best_at, by_rule)


def _close(state: FitState, validate: Validate) -> None:
    """Validates: a row of the history, one of times, the weights kept if they are the best so far, new sums."""
    means = {name: float(total) / state.examples for name, total in state.sums.items()}
    if not math.isfinite(means["loss"]):
        raise UserError(f"training diverged: the loss at iteration {state.step} is {means['loss']}; use a smaller lr")
    row = {"iteration": state.step} | validate(state.model, means)
    if row["validation_loss"] < min((other["validation_loss"] for other in state.history), default=math.inf):
        state.kept = {state.step: {k: v.detach().cpu().clone() for k, v in state.model.state_dict().items()}}
    state.history.append(row)
    rate = state.examples / state.seconds
    state.times.append({"iteration": state.step, "seconds": state.seconds, "examples_per_second": rate})
    state.start_sums()
