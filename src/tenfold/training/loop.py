"""The training loop: one for all papers, used through plain functions and data."""

from __future__ import annotations

import copy
import csv
import io
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.errors import UserError
from tenfold.faults import fault
from tenfold.files import write_text
from tenfold.progress import FitState, Progress, Reporter
from tenfold.training.batches import Batches
from tenfold.training.compute import Compute
from tenfold.training.recipe import Recipe, build_optimiser
from tenfold.training.schedules import factor
from tenfold.training.step import Loss, on_device, set_rates, training_step

# model -> named numbers for the history. What it must remember (a best score so far) belongs into the model's buffers.
Evaluate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True)
class Trained:
    """What a fit gives.

    Attributes:
        model: the net after the last epoch; with ``ema``, the average of its weights.
        history: one row per epoch: epoch (from 1), step, lr, the means of all losses, what ``evaluate`` gave.
        times: one row per epoch: epoch, seconds spent on steps, examples per second.
        kept: weights after the epochs of ``keep_after``, by epoch.
    """

    model: nn.Module
    history: list[dict[str, Any]]
    times: list[dict[str, Any]]
    kept: dict[int, dict[str, Tensor]]


def fit(
    model: nn.Module,
    batches: Batches,
    loss: Loss | Sequence[Loss],
    recipe: Recipe,
    compute: Compute,
    progress: Progress,
    *,
    evaluate: Evaluate | None = None,
    after_step: Callable[[nn.Module], None] | None = None,
    optimiser: torch.optim.Optimizer | None = None,
    keep_after: Collection[int] = (),
    title: str = "",
) -> Trained:
    """Trains a net to the recipe's last epoch, going on where an earlier process stopped.

    All randomness comes from the batches' generator and torch's default generators (dropout), so seed the latter
    (``torch.manual_seed``) before the net is built.

    Args:
        model: the net, placed; parameters that require no gradient stay as they are. It runs in train mode.
        batches: where the examples come from.
        loss: runs under autocast, so it takes its logits to float32 before it compares them; or a loss for each epoch.
        recipe: hyper-parameters.
        compute: device and precision.
        progress: the job's.
        evaluate: runs after each ``recipe.evaluate_every`` epochs; must leave the net in the mode it was in.
        after_step: runs on the net after each step, for example to clamp parameters.
        optimiser: an optimiser to go on with, its ``lr`` in place of the recipe's; by default a fresh one.
        keep_after: epochs (from 1) after which to keep a copy of the weights.
        title: begins the lines of progress.

    Raises:
        UserError: the loss is no longer a finite number.
    """
    optimiser = optimiser or build_optimiser(recipe, model)
    base_rates = [group.setdefault("initial_lr", group["lr"]) for group in optimiser.param_groups]
    average = None if recipe.ema is None else copy.deepcopy(model)
    reported = model if average is None else average
    state = FitState(model, optimiser, batches, average)
    progress.begin(state)
    last_step = recipe.epochs * len(batches)
    reporter = Reporter(progress, title, recipe.epochs, len(batches), state.step)
    losses = [loss] * recipe.epochs if callable(loss) else loss
    step = on_device(
        training_step(
            state, batches.make, compute, clip_norm=recipe.clip_norm, after_step=after_step, decay=recipe.ema
        ),
        state,
        compute,
        progress.job.say,
    )

    model.train()
    while state.step < last_step:
        started = time.monotonic()
        epoch = state.step // len(batches)
        rate = factor(recipe.schedule, state.step, len(batches), recipe.epochs)
        set_rates(optimiser, [base_rate * rate for base_rate in base_rates])
        drawn, n = batches.draw()
        step(drawn, n, losses[epoch])
        state.examples += n
        state.step += 1
        is_last = state.step % len(batches) == 0
        if is_last:
            compute.wait()
        state.seconds += time.monotonic() - started

        if is_last:
            row = _epoch_row(state, epoch, base_rates[0] * rate)
            if evaluate is not None and recipe.evaluates_after(epoch):
                row |= evaluate(reported)
            state.history.append(row)
            if epoch + 1 in keep_after:
                state.kept[epoch + 1] = {name: value.detach().cpu().clone() for name, value in
                                         reported.state_dict().items()}  # fmt: skip
            reporter.epoch(state)
            fault("epoch")
        else:
            reporter.step(state)
        fault("step")
        progress.after_step(state)
    progress.end(state)
    return Trained(reported, state.history, state.times, state.kept)


def _epoch_row(state: FitState, epoch: int, rate: float) -> dict[str, Any]:
    """Closes an epoch: its row of the history, its row of times, and sums that start again."""
    means = {name: float(total) / state.examples for name, total in state.sums.items()}
    if not math.isfinite(means["loss"]):
        raise UserError(f"training diverged: the loss of epoch {epoch + 1} is {means['loss']}; use a smaller lr")
    row = {"epoch": epoch + 1, "step": state.step, "lr": rate} | means
    state.times.append(
        {"epoch": epoch + 1, "seconds": state.seconds, "examples_per_second": state.examples / state.seconds}
    )
    state.start_sums()
    return row


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows (a history, or times) as CSV, numbers in full precision; a row lacks what was not measured."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
