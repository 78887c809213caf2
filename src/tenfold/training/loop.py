"""The training loop: one for all papers, used through plain functions and data."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tenfold.errors import UserError
from tenfold.faults import fault
from tenfold.files import write_text
from tenfold.progress import FitState, Progress, Reporter
from tenfold.training.batches import Batches
from tenfold.training.compute import Compute
from tenfold.training.recipe import Recipe, build_optimiser
from tenfold.training.schedules import factor

# (model, batch, epoch from 0) -> a loss, or named batch means of which "loss" is minimised and the others are noted.
Loss = Callable[[nn.Module, Any, int], Tensor | dict[str, Tensor]]
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
    loss: Loss,
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
        loss: runs under autocast, so it takes its logits to float32 before it compares them.
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
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    average = _moving_average(model, recipe.ema)
    reported = model if average is None else average.module
    state = FitState(model, optimiser, batches, average)
    progress.begin(state)
    last_step = recipe.epochs * len(batches)
    reporter = Reporter(progress, title, recipe.epochs, len(batches), state.step)

    model.train()
    while state.step < last_step:
        started = time.monotonic()
        epoch = state.step // len(batches)
        rate = factor(recipe.schedule, state.step, len(batches), recipe.epochs)
        for group, base_rate in zip(optimiser.param_groups, base_rates, strict=True):
            group["lr"] = base_rate * rate

        batch, n = batches.next()
        with compute.autocast():
            losses = loss(model, batch, epoch)
        if isinstance(losses, Tensor):
            losses = {"loss": losses}
        optimiser.zero_grad()
        losses["loss"].backward()
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
        optimiser.step()
        if after_step is not None:
            after_step(model)
        if average is not None:
            average.update_parameters(model)

        for name, value in losses.items():
            state.sums[name] = state.sums.get(name, 0.0) + value.detach().double() * n
        state.examples += n
        state.step += 1
        state.seconds += time.monotonic() - started

        if state.step % len(batches) == 0:
            row = _epoch_row(state, epoch)
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


def _moving_average(model: nn.Module, decay: float | None) -> AveragedModel | None:
    if decay is None:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _epoch_row(state: FitState, epoch: int) -> dict[str, Any]:
    """Closes an epoch: its row of the history, its row of times, and sums that start again."""
    means = {name: float(total) / state.examples for name, total in state.sums.items()}
    if not math.isfinite(means["loss"]):
        raise UserError(f"training diverged: the loss of epoch {epoch + 1} is {means['loss']}; use a smaller lr")
    row = {"epoch": epoch + 1, "step": state.step, "lr": state.optimiser.param_groups[0]["lr"]} | means
    state.times.append(
        {"epoch": epoch + 1, "seconds": state.seconds, "examples_per_second": state.examples / state.seconds}
    )
    state.sums, state.examples, state.seconds = {}, 0, 0.0
    return row


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows (a history, or times) as CSV, numbers in full precision; a row lacks what was not measured."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
