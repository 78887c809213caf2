"""What a job has done so far, kept in one file, so that a job that was stopped or killed goes on from there.

A training job is a sequence of fits (`tenfold.training.loop.fit`), one or several for each seed. Its resume file
holds the results of finished seeds, the end states of the current seed's finished fits, and the state of the fit
under way. A job that starts again runs the same code; finished seeds are left out, finished fits return at once,
and the one under way goes on at its last saved step, to the same bytes as if nothing had happened::

    progress = Progress(job)
    for seed in progress.remaining(cfg["seeds"]):
        torch.manual_seed(seed)
        model = compute.place(build(cfg))
        trained = fit(model, batches, loss, recipe, compute, progress)
        progress.finish(seed, {"accuracy": ...}, trained.model.state_dict())
    for seed in cfg["seeds"]:
        ... progress.results[seed], progress.weights[seed]

The file is a safetensors file: tensors, and JSON in its metadata. Nothing in it is unpickled.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from tenfold.errors import UserError
from tenfold.faults import fault
from tenfold.files import partial_path, written_whole
from tenfold.launcher import Job, Stopped
from tenfold.weights import Tensors, below, copied, on_cpu, under

CHECKPOINT_SECONDS = 30.0
SECONDS_BETWEEN_LINES = 60.0
WRITING_SHARE = 0.05  # of the time, at most, goes into writing checkpoints


class Resumable(Protocol):
    """What has a state to go back to, such as `tenfold.training.batches.Batches`."""

    def state(self) -> Tensors:
        """Everything that what comes next depends on."""

    def restore(self, state: Tensors) -> None:
        """Goes back to a state."""


@dataclass(frozen=True)
class Saved:
    """The state of a fit, as tensors and JSON."""

    facts: dict[str, Any]
    tensors: Tensors


@dataclass
class FitState:
    """Everything that the rest of a fit depends on.

    Attributes:
        model: the net that is trained.
        optimiser: with its momenta.
        batches: with their order, position and generator.
        average: the moving average of the weights, if there is one.
        step: steps taken; epoch and learning rate follow from it.
        sums: for each named loss, its sum over the examples of the current epoch.
        examples: examples seen in the current epoch.
        seconds: time spent on them.
        history: a row for each finished epoch.
        times: seconds and rate of each finished epoch.
        kept: weights after those epochs (counted from 1) whose weights are to be kept.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    batches: Resumable
    average: nn.Module | None = None
    step: int = 0
    sums: Tensors = field(default_factory=dict)
    examples: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[int, Tensors] = field(default_factory=dict)

    def start_sums(self) -> None:
        """Starts the sums of an epoch anew, in their place."""
        for total in self.sums.values():
            total.zero_()
        self.examples, self.seconds = 0, 0.0

    def save(self) -> Saved:
        """A copy of the state, with that of torch's default generators, which dropout draws from."""
        optimiser = self.optimiser.state_dict()
        numbers: dict[str, dict[str, Any]] = {}
        tensors: Tensors = {}
        for index, values in optimiser["state"].items():
            tensors |= under(f"optimiser/{index}", {k: v for k, v in values.items() if isinstance(v, Tensor)})
            numbers[str(index)] = {k: v for k, v in values.items() if not isinstance(v, Tensor)}
        tensors |= under("model", self.model.state_dict())
        tensors |= under("batches", self.batches.state())
        tensors |= under("sums", self.sums)
        tensors["random/cpu"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            tensors["random/cuda"] = torch.cuda.get_rng_state()
        if self.average is not None:
            tensors |= under("average", self.average.state_dict())
        for epoch, weights in self.kept.items():
            tensors |= under(f"kept/{epoch}", weights)
        facts = {
            "step": self.step,
            "examples": self.examples,
            "seconds": self.seconds,
            "history": self.history,
            "times": self.times,
            "kept": list(self.kept),
            "sums": list(self.sums),
            "optimiser": {"numbers": numbers, "groups": [_as_numbers(group) for group in optimiser["param_groups"]]},
        }
        return Saved(json.loads(json.dumps(facts)), {name: on_cpu(tensor) for name, tensor in tensors.items()})

    def restore(self, saved: Saved) -> None:
        """Goes back to a saved state."""
        facts, tensors = saved.facts, saved.tensors
        self.step, self.examples, self.seconds = facts["step"], facts["examples"], facts["seconds"]
        self.history, self.times = list(facts["history"]), list(facts["times"])
        self.kept = {epoch: below(f"kept/{epoch}", tensors) for epoch in facts["kept"]}
        self.model.load_state_dict(below("model", tensors))
        self._restore_optimiser(facts["optimiser"], tensors)
        self.batches.restore(below("batches", tensors))
        device = next(self.model.parameters()).device
        sums = below("sums", tensors)
        self.sums = {name: sums[name].to(device, copy=True) for name in facts["sums"]}
        if self.average is not None:
            self.average.load_state_dict(below("average", tensors))
        torch.set_rng_state(tensors["random/cpu"])
        if "random/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random/cuda"])

    def _restore_optimiser(self, facts: dict[str, Any], tensors: Tensors) -> None:
        parameters = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Any]] = {}
        for index, numbers in facts["numbers"].items():
            values = below(f"optimiser/{index}", tensors)
            state[int(index)] = numbers | {k: _laid_out_as(parameters[int(index)], v) for k, v in values.items()}
        self.optimiser.load_state_dict({"state": state, "param_groups": facts["groups"]})


def _as_numbers(group: dict[str, Any]) -> dict[str, Any]:
    """A parameter group without tensors: a learning rate on a GPU as the number that it holds."""
    return {key: value.item() if isinstance(value, Tensor) else value for key, value in group.items()}


class Progress:
    """How far a job has come, and the resume file that remembers it.

    Attributes:
        results: what `finish` was given for each finished part of the job.
        weights: the tensors that it was given.

    Args:
        job: the running job, after `tenfold.training.compute.start`, so that its identity is complete.

    Raises:
        UserError: there is a resume file, but of another cfg, code, device or precision, or a damaged one.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.results: dict[Any, Any] = {}
        self.weights: dict[Any, Tensors] = {}
        self._fits: list[Saved] = []  # of the current part of the job, in order
        self._entered = 0  # how many of them this process has come to
        self._written = time.monotonic()
        self._writing_seconds = 0.0
        self._steps_since = 0
        self._parts_left = 1  # with the one under way
        self._part_started = self._written
        self._part_seconds: list[float] = []  # of the parts that this process has made from their start
        _remove_partial_files(job.resume)
        if job.resume.exists():
            self._read()
        self._is_resumed = bool(self._fits)  # an earlier process began the part under way

    def seconds_left(self, of_fit: float, fit: float) -> float:
        """About how long the job takes still: this part of it, and those after it.

        A part takes as long as those before it; the first one, as long as its fit, if that is its only one.

        Args:
            of_fit: seconds that the fit under way takes still.
            fit: seconds that it takes in all.
        """
        spent = time.monotonic() - self._part_started
        part = fmean(self._part_seconds) if self._part_seconds else max(fit, spent + of_fit)
        this = of_fit if self._is_resumed or not self._part_seconds else max(of_fit, part - spent)
        return this + (self._parts_left - 1) * part

    def remaining(self, parts: Iterable[Any]) -> Iterator[Any]:
        """Those parts of the job (seeds, mostly; integers or strings) that are not finished, in order."""
        left = [part for part in parts if part not in self.results]
        for index, part in enumerate(left):
            self._parts_left, self._part_started = len(left) - index, time.monotonic()
            yield part

    def finish(self, part: Any, result: Any, weights: Mapping[str, Tensor] | None = None) -> None:
        """Notes a part of the job as finished, with its result (JSON) and its weights, and saves.

        The states of its fits are dropped.
        """
        if not self._is_resumed:
            self._part_seconds.append(time.monotonic() - self._part_started)
        self._is_resumed = False
        self.results[part] = json.loads(json.dumps(result))
        self.weights[part] = copied(weights or {})
        self._fits, self._entered = [], 0
        self._write(None)
        if self.job.stop_requested:
            raise Stopped

    def begin(self, state: FitState) -> None:
        """Gives a fit that starts the state in which an earlier process left it, if one did."""
        if self._entered < len(self._fits):
            state.restore(self._fits[self._entered])
            if self._entered == len(self._fits) - 1:
                self.job.say(f"goes on after step {state.step}, from {self.job.resume}")
        self._entered += 1

    def after_step(self, state: FitState) -> None:
        """Saves when it is time to, or when the job is asked to stop, which it then does."""
        self._steps_since += 1
        if self.job.stop_between_steps():
            self._write(state)
            self.job.say(f"stopped after step {state.step}; the same command goes on from {self.job.resume}")
            raise Stopped
        if self._is_due():
            self._write(state)

    def end(self, state: FitState) -> None:
        """Keeps the end state of a fit until its part of the job is finished."""
        self._fits[self._entered - 1 :] = [state.save(), *self._fits[self._entered :]]

    def _is_due(self) -> bool:
        steps = os.environ.get("TENFOLD_CHECKPOINT_STEPS")
        if steps is not None:
            return self._steps_since >= int(steps)
        seconds = float(os.environ.get("TENFOLD_CHECKPOINT_SECONDS", CHECKPOINT_SECONDS))
        return time.monotonic() - self._written >= max(seconds, self._writing_seconds / WRITING_SHARE)

    def _write(self, state: FitState | None) -> None:
        """Replaces the resume file; ``state`` is that of the fit under way."""
        started = time.monotonic()
        fits = self._fits if state is None else [*self._fits[: self._entered - 1], state.save()]
        facts = {
            "identity": self.job.identity,
            "results": list(self.results.items()),
            "fits": [fit.facts for fit in fits],
        }
        tensors: Tensors = {}
        for index, weights in enumerate(self.weights.values()):
            tensors |= under(f"weights/{index}", weights)
        for index, fit in enumerate(fits):
            tensors |= under(f"fits/{index}", fit.tensors)
        _write_whole(self.job.resume, save(tensors, {"tenfold": json.dumps(facts)}))
        self._written = time.monotonic()
        self._writing_seconds = self._written - started
        self._steps_since = 0

    def _read(self) -> None:
        path = self.job.resume
        try:
            with safe_open(path, "pt") as file:
                facts = json.loads(file.metadata()["tenfold"])
            tensors = load_file(path)
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError):
            raise UserError(f"{path} is not a whole resume file: delete it, and the job starts afresh") from None
        _check_identity(path, facts["identity"], self.job.identity)
        for index, (part, result) in enumerate(facts["results"]):
            self.results[part] = result
            self.weights[part] = below(f"weights/{index}", tensors)
        self._fits = [Saved(fit, below(f"fits/{index}", tensors)) for index, fit in enumerate(facts["fits"])]


class Reporter:
    """Says how a fit gets on, and how long its job still takes: a line for each epoch, and one a minute within."""

    def __init__(self, progress: Progress, title: str, epochs: int, per_epoch: int, step: int) -> None:
        self._say, self._progress = progress.job.say, progress
        self._title = f"{title}  " if title else ""
        self._epochs, self._per_epoch, self._first = epochs, per_epoch, step
        self._started = self._said = time.monotonic()

    def epoch(self, state: FitState) -> None:
        """Says how the epoch that has just ended went."""
        row = state.history[-1]
        numbers = "  ".join(f"{k} {v:.4g}" for k, v in row.items() if k not in ("epoch", "step", "lr"))
        rate = state.times[-1]["examples_per_second"]
        self._line(state, f"epoch {row['epoch']}/{self._epochs}  {numbers}  {rate:.0f} examples/s")

    def step(self, state: FitState) -> None:
        """Says where the fit is, if it is long since the last line."""
        if time.monotonic() - self._said >= SECONDS_BETWEEN_LINES:
            epoch, step = divmod(state.step, self._per_epoch)
            self._line(state, f"epoch {epoch + 1}/{self._epochs}  step {step}/{self._per_epoch}")

    def _line(self, state: FitState, text: str) -> None:
        self._said = time.monotonic()
        seconds_per_step = (self._said - self._started) / (state.step - self._first)
        steps = self._epochs * self._per_epoch
        left = round(self._progress.seconds_left(seconds_per_step * (steps - state.step), seconds_per_step * steps))
        self._say(f"{self._title}{text}  {left // 60}:{left % 60:02d} left")


def _check_identity(path: Path, written: dict[str, str], now: dict[str, str]) -> None:
    differing = [key for key in sorted(written.keys() | now.keys()) if written.get(key) != now.get(key)]
    if differing:
        named = [
            f"{key} ({written.get(key)} then, {now.get(key)} now)" if key in ("device", "precision") else key
            for key in differing
        ]
        raise UserError(
            f"{path} was left by a job that differs in {', '.join(named)}: delete it, and the job starts afresh"
        )


def _write_whole(path: Path, content: bytes) -> None:
    with written_whole(path) as partial, partial.open("wb") as file:
        half = len(content) // 2
        file.write(content[:half])
        file.flush()
        fault("checkpoint-write")
        file.write(content[half:])


def _remove_partial_files(path: Path) -> None:
    """Removes what processes that were killed while they wrote ``path`` left behind."""
    pattern = partial_path(path).name.replace(str(os.getpid()), "*")
    for partial in path.parent.glob(pattern):
        partial.unlink(missing_ok=True)


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy of ``value`` in the memory order of its parameter (safetensors knows only one order)."""
    if value.shape != parameter.shape:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
