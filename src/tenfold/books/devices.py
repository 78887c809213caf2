"""How fast a device trains: three numbers for each kind of net, fitted to measured steps of a few nets.

A step of a batch takes, for each forward pass that it costs, so many seconds for each layer that is started, each
number that a layer puts out, and each multiply-add. Steps on record are in ``config/devices.yaml``; those of the
devices of a user (``tenfold plan --measure``) in a file of theirs.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold import config
from tenfold.books.work import TRAINS, Pass, Work, lstm, size_of
from tenfold.errors import UserError
from tenfold.files import read_json, write_json

if TYPE_CHECKING:
    from tenfold.training.compute import Compute

ON_RECORD = config.CONFIG / "devices.yaml"
SCHEMA = config.SCHEMAS / "devices.schema.yaml"
HERE = "here"  # the device that a user has measured
HOUSE = "cpu"  # the device that jobs were timed on where their times are on record
CLASSES = 10
PIXELS = 32  # of the images that nets were measured with
START = 3.0  # seconds that a job takes before and after it computes [choice]: Snakemake's part, and importing torch
SECONDS = 2.5  # a net is measured for

# What is measured: nets that are bound by layers, by what they put out and by arithmetic, and two LSTMs.
MEASURED: list[dict[str, Any]] = [
    {"net": {"family": "resnet", "name": "resnet20", "width": 16}, "batch": 64},
    {"net": {"family": "resnet", "name": "resnet20", "width": 8}, "batch": 8},
    {"net": {"family": "vgg", "name": "vgg16", "width": 32}, "batch": 64},
    {"net": {"family": "wide_resnet", "name": "wide_resnet", "depth": 16, "width": 2}, "batch": 32},
    {"net": {"family": "densenet", "name": "densenet_bc", "depth": 40, "growth": 12}, "batch": 32},
    {"lstm": {"inputs": 128, "width": 64, "depth": 1, "labels": 38, "steps": 64}, "batch": 32},
    {"lstm": {"inputs": 128, "width": 256, "depth": 2, "labels": 38, "steps": 128}, "batch": 64},
]


@dataclass(frozen=True)
class Rates:
    """Seconds of one forward pass for each layer that is started, each element put out, each multiply-add."""

    layer: float
    element: float
    mac: float

    def seconds(self, one: Pass) -> float:
        """What examples take that go through a net."""
        of_layers = one.examples / one.batch * one.size.layers * self.layer
        of_numbers = one.examples * (one.size.elements * self.element + one.size.macs * self.mac)
        return one.times * (of_layers + of_numbers)


@dataclass(frozen=True)
class Device:
    """A device, and the steps that were measured on it.

    Attributes:
        name: its key.
        title: what it is.
        measured: how and when.
        slots: how many jobs it runs side by side.
        rows: ``net`` or ``lstm``, ``batch``, and ``rate``, examples/s.
        pace: how many times as long as by these steps jobs took, where it had other work beside them.
        beside: how many jobs start, and do what needs no GPU, at the same time.
        gpu: whether it is a GPU, beside which a processor does the rest.
        plan: whether a plan shows it unasked.
    """

    name: str
    title: str
    measured: str
    slots: int
    rows: list[dict[str, Any]]
    pace: float = 1.0
    beside: int = 1
    gpu: bool = False
    plan: bool = False

    @cached_property
    def rates(self) -> dict[str, Rates]:
        """By the kind of net; a kind that was not measured is taken to start its layers like the others."""
        steps = [(one_step(row), row["batch"] / row["rate"]) for row in self.rows]
        kinds = dict.fromkeys(step.size.kind for step, _ in steps)
        return {kind: fitted([row for row in steps if row[0].size.kind == kind]) for kind in kinds}

    def seconds(self, work: Work | None) -> float:
        """What a job is expected to take that computes here; one of which nothing is known only starts."""
        passes = work.passes if work else ()
        computes = sum(self.rates.get(one.size.kind, self.rates["conv"]).seconds(one) for one in passes)
        return START / self.beside + self.pace * computes


def fitted(steps: Sequence[tuple[Pass, float]]) -> Rates:
    """The rates that come nearest to measured steps, in relative error; none is negative.

    Of fewer steps than three, elements are taken to be free.
    """
    import numpy as np
    from scipy.optimize import nnls

    terms = [Rates(1, 0, 0), Rates(0, 0, 1), Rates(0, 1, 0)][: max(2, min(len(steps), 3))]
    costs = np.array([[term.seconds(step) / seconds for term in terms] for step, seconds in steps])
    scale = costs.max(axis=0)
    found, _ = nnls(costs / scale, np.ones(len(steps)))
    layer, mac, *element = (float(one) for one in found / scale)
    return Rates(layer, element[0] if element else 0.0, mac)


def one_step(row: Mapping[str, Any]) -> Pass:
    """A training step of a measured net."""
    size = lstm(**row["lstm"]) if "lstm" in row else size_of({**row["net"], "classes": CLASSES}, PIXELS)
    return Pass(size, row["batch"], row["batch"], TRAINS)


# Files ------------------------------------------------------------------------------------------------------------


def own_file() -> Path:
    """Where the devices of a user are kept, outside of every clone."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tenfold", "devices.json")


def devices() -> dict[str, Device]:
    """Those on record, and the user's own.

    Raises:
        UserError: a file has a mistake.
    """
    entries: dict[str, Any] = config.load_yaml(ON_RECORD, SCHEMA)
    if own_file().exists():
        try:
            own = read_json(own_file())
        except ValueError:
            own = None
        mend = f"remove {own_file()}, and measure again (tenfold plan --measure)"
        try:
            config.check(own, SCHEMA, str(own_file()))
        except UserError as error:
            raise UserError(f"{error}; {mend}") from None
        entries = entries | own
    return {name: Device(name, **entry) for name, entry in entries.items()}


# Measuring --------------------------------------------------------------------------------------------------------


def measure(say: Callable[[str], None]) -> Device:
    """Measures this machine, on all its cores or on its GPU, and keeps that in the user's file.

    Args:
        say: is told what is measured.
    """
    import torch

    on_gpu = torch.cuda.is_available()
    slots = 1 if on_gpu else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    title = torch.cuda.get_device_name() if on_gpu else f"{slots} cores, {_processor()}"
    say(f"measuring {title}: {len(MEASURED)} nets, about {len(MEASURED) * (SECONDS + 1.5) + 8:.0f} s")
    with ProcessPoolExecutor(slots, mp_context=get_context("spawn")) as pool:
        of_processes = list(pool.map(_rates_of_all, [on_gpu] * slots))
    rows = [{**row, "rate": round(statistics.fmean(rates), 1)}
            for row, rates in zip(MEASURED, zip(*of_processes, strict=True), strict=True)]  # fmt: skip
    precision = of_precision(on_gpu)
    measured = f"torch {torch.__version__.partition('+')[0]}, {precision}, {time.strftime('%Y-%m-%d')}"
    entry = {"title": title, "measured": measured, "slots": slots, "gpu": on_gpu, "plan": True,
             "rows": rows}  # fmt: skip
    file = own_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, (read_json(file) if file.exists() else {}) | {HERE: entry})
    return Device(HERE, **entry)  # type: ignore[arg-type]


def of_precision(on_gpu: bool) -> str:
    """The precision that jobs resolve ``auto`` to here."""
    from tenfold.training.compute import bf16_in_hardware

    return "bf16" if bf16_in_hardware("cuda" if on_gpu else "cpu") else "fp32"


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _rates_of_all(on_gpu: bool) -> list[float]:
    """Examples/s of each net in this process, trained as jobs train."""
    from tenfold.launcher import Job
    from tenfold.training.compute import start

    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        compute = start({"device": "cuda" if on_gpu else "cpu"}, Job(resume=Path(folder) / "resume"))
        rates = []
        for row in MEASURED:
            few = _seconds_of_step(row, compute, 4, Path(folder))
            steps = max(4, min(200, int(SECONDS / few)))
            rates.append(row["batch"] / _seconds_of_step(row, compute, steps, Path(folder)))
    return rates


def _seconds_of_step(row: Mapping[str, Any], compute: Compute, steps: int, folder: Path) -> float:
    """What a step takes in a training of so many, on random examples that lie ready; on a processor in CPU seconds."""
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    from tenfold.launcher import Job
    from tenfold.nets.build import build
    from tenfold.progress import Progress
    from tenfold.training.batches import Batches
    from tenfold.training.loop import fit
    from tenfold.training.recipe import Recipe

    net: nn.Module
    if "lstm" in row:
        of = row["lstm"]
        net = nn.LSTM(of["inputs"], of["width"], of["depth"], batch_first=True)
        examples = torch.randn(row["batch"], of["steps"], of["inputs"], device=compute.device)
    else:
        net = build({**row["net"], "classes": CLASSES})
        examples = torch.randn(row["batch"], 3, PIXELS, PIXELS, device=compute.device)
        examples = examples.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (row["batch"],), device=compute.device)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        said = model(batch[0])
        scores = said[0][:, -1, :CLASSES] if isinstance(said, tuple) else said
        return F.cross_entropy(scores.float(), batch[1])

    batches = Batches(row["batch"] * steps, row["batch"], lambda _: (examples, labels), seed=0)
    recipe = Recipe(epochs=3 if compute.device.type == "cuda" else 1, batch_size=row["batch"], lr=0.01, momentum=0.9)
    progress = Progress(Job(resume=folder / f"{os.getpid()}-{time.monotonic_ns()}"))
    began = time.process_time()
    trained = fit(compute.place(net), batches, loss, recipe, compute, progress)
    is_gpu = compute.device.type == "cuda"  # whose first epoch captures the step
    return (float(trained.times[-1]["seconds"]) if is_gpu else time.process_time() - began) / steps
