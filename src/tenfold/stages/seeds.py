"""What all stages that train have in common: one seed after the other, and then the files of all of them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from tenfold.files import write_json
from tenfold.progress import Progress
from tenfold.training.loop import write_rows
from tenfold.weights import Tensors, by_seed, save_weights

Rows = list[dict[str, Any]]


class Course(Protocol):
    """How a fit went, such as `tenfold.training.loop.Trained`."""

    @property
    def history(self) -> Rows:
        """Losses and accuracies, a row for each epoch or validation."""

    @property
    def times(self) -> Rows:
        """Seconds and rates, likewise."""


@dataclass
class Outcome:
    """What came of training one seed, or all seeds of a job.

    Attributes:
        rows: what is reported.
        weights: what is kept of the nets.
        history: losses and accuracies of all fits.
        times: seconds and rates, likewise.
    """

    rows: Rows = field(default_factory=list)
    weights: Tensors = field(default_factory=dict)
    history: Rows = field(default_factory=list)
    times: Rows = field(default_factory=list)

    def add_course(self, fit: Course, **keys: Any) -> Outcome:
        """Adds how a fit went, each row with the keys that tell it from those of the seed's other fits."""
        self.history += [{**keys, **row} for row in fit.history]
        self.times += [{**keys, **row} for row in fit.times]
        return self


def per_seed(progress: Progress, seeds: Iterable[int], one_seed: Callable[[int], Outcome]) -> Outcome:
    """Trains seed after seed, going on after a stop with the first that is not finished.

    Args:
        progress: the job's.
        seeds: in the order in which they are written.
        one_seed: trains and measures one; torch's default generators begin with its number.

    Returns:
        All outcomes as one: rows that begin with their ``seed``, and weights under ``seed0/``.
    """
    seeds = list(seeds)
    for seed in progress.remaining(seeds):
        torch.manual_seed(seed)
        found = one_seed(seed)
        progress.finish(seed, {"rows": found.rows, "history": found.history, "times": found.times}, found.weights)
    results = {seed: progress.results[seed] for seed in seeds}
    rows, history, times = (
        [{"seed": seed, **row} for seed, result in results.items() for row in result[part]]
        for part in ("rows", "history", "times")
    )
    return Outcome(rows, by_seed({seed: progress.weights[seed] for seed in seeds}), history, times)


@dataclass(frozen=True)
class Files:
    """What a stage that trains writes: weights, metrics or a summary, and the courses of its fits.

    Attributes:
        weights: safetensors, ``seed0/<weight>``.
        metrics: JSON, facts and ``rows``.
        history: CSV.
        times: CSV, by itself since no two runs measure the same seconds.
    """

    weights: Path
    metrics: Path
    history: Path
    times: Path

    def write(self, outcome: Outcome, facts: dict[str, Any]) -> None:
        """Writes an outcome; the metrics begin with the facts."""
        save_weights(self.weights, outcome.weights)
        write_json(self.metrics, {**facts, "rows": outcome.rows})
        write_course(outcome, self.history, self.times)


def write_course(outcome: Course, history: Path, times: Path) -> None:
    """Writes how all fits went."""
    write_rows(history, outcome.history)
    write_rows(times, outcome.times)
