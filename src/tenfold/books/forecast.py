"""``tenfold plan``: what a target costs, before anything runs: jobs, multiply-adds, hours, disk and data.

Hours are those of recorded or noted times of the same job where there are any, on the device that they were taken on;
else they follow from what a job computes (`tenfold.books.work`) and how fast a device is (`tenfold.books.devices`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from snakemake_logger_plugin_tenfold.progress import Expected, counted, duration, makespan
from tenfold import config, registry
from tenfold.books import devices, metadata, order, pack, times
from tenfold.books.devices import Device
from tenfold.books.plan import PlannedJob, planned
from tenfold.books.work import Work, work_of
from tenfold.errors import UserError
from tenfold.fetch import MIRROR, RAW
from tenfold.identity.definitions import Sources
from tenfold.workflow import check_target, prepared

FILE = 20_000  # bytes of a file that holds no weights [choice]
OTHERS = "data and scoreboards"  # jobs that are of no paper

Say = Callable[[str], None]


@dataclass(frozen=True)
class Costed:
    """A job of a plan, with what it costs.

    Attributes:
        job: the job.
        work: what it computes; None where that is not known.
        is_left: whether it would run, or is up to date.
    """

    job: PlannedJob
    work: Work | None
    is_left: bool

    @property
    def paper(self) -> str:
        """Whose it is."""
        parts = Path(self.job.outputs[0]).parts
        return parts[2] if parts[0] == "runs" and len(parts) > 3 else OTHERS

    @property
    def computes(self) -> bool:
        """Whether it runs on the device; others run on the processor beside it."""
        return "compute" in self.job.cfg

    @cached_property
    def disk(self) -> int:
        """Bytes of its outputs: as they are here, else by expectation."""
        here = [Path(path).stat().st_size for path in self.job.outputs if Path(path).exists()]
        absent = [path for path in self.job.outputs if not Path(path).exists()]
        files = FILE * sum(not path.endswith(".safetensors") for path in absent)
        has_weights = any(path.endswith(".safetensors") for path in absent)
        return sum(here) + files + (round(4 * self.work.kept) if self.work and has_weights else 0)


@dataclass(frozen=True)
class Forecast:
    """Costed jobs, those that others need before them.

    Attributes:
        jobs: in an order in which they can run.
        taken: for some devices the seconds that jobs took there, by their outputs.
        processor: for jobs that do not compute on a device.
    """

    jobs: Sequence[Costed]
    taken: dict[str, dict[str, float]]
    processor: Device

    def seconds(self, costed: Costed, device: Device) -> float:
        """What a job is expected to take, or took, on a device."""
        known = self.taken.get(device.name, {}).get(costed.job.outputs[0])
        if known is not None:
            return known
        if costed.computes or not device.gpu:
            return device.seconds(costed.work)
        return self.processor.seconds(costed.work) / device.beside

    def is_measured(self, costed: Costed, device: Device) -> bool:
        """Whether that is what it took."""
        return costed.job.outputs[0] in self.taken.get(device.name, {})

    def hours(self, jobs: Iterable[Costed], device: Device) -> float:
        """Seconds until some jobs are done, of which a device runs as many at once as it has slots."""
        chosen = list(jobs)
        makers = {output: number for number, one in enumerate(chosen) for output in one.job.outputs}
        needs: dict[int, Expected] = {
            number: {
                "rule": one.job.rule,
                "seconds": None,
                "after": sorted({makers[path] for path in one.job.inputs if path in makers} - {number}),
                "needs": {"slots": 1},
            }
            for number, one in enumerate(chosen)
        }
        seconds = {number: self.seconds(one, device) for number, one in enumerate(chosen)}
        return makespan(seconds, needs, {"slots": device.slots})


def forecast(targets: Sequence[str], say: Say = lambda _line: None) -> Forecast:
    """What some targets cost.

    Args:
        targets: as for Snakemake, files first in order of priority.
        say: is told what takes seconds.

    Raises:
        UserError: Snakemake cannot plan them.
    """
    say("asking Snakemake which jobs there are, and which are left")
    jobs = pack.in_order(planned(*targets), targets)
    left = {job.outputs for job in planned(*targets, everything=False)}
    say(f"building the nets of {counted(len(jobs), 'job')}, without numbers")
    sources = Sources(config.ROOT / "src")
    costed = [Costed(job, work_of(job.module, job.stage(sources), job.cfg), job.outputs in left) for job in jobs]
    known = devices.devices()
    if devices.HOUSE not in known:
        raise UserError(f"{devices.ON_RECORD.name}: key '{devices.HOUSE}' is missing")
    here = times.measured(metadata.read_all().items())
    taken = {devices.HOUSE: times.on_record(), devices.HERE: here}
    return Forecast(costed, taken, known[devices.HOUSE])


# Words ------------------------------------------------------------------------------------------------------------


def plan(rows: Sequence[order.Row], names: Sequence[str], say: Say) -> list[str]:
    """What ``tenfold plan`` prints.

    Args:
        rows: targets; of several that are files, each has a line with the hours so far.
        names: of the devices to show; those that are shown unasked if there are none.
        say: is told what takes seconds.

    Raises:
        UserError: an unknown device, or Snakemake cannot plan.
    """
    known = devices.devices()
    for name in names:
        if name not in known:
            raise UserError(f"'{name}' is no device; allowed: {', '.join(known)} (tenfold plan --measure adds one)")
    chosen = [device for name, device in known.items() if name in names or (device.plan and not names)]
    targets = order.in_order(rows)
    for target in targets:
        if target.count("/") == 1:
            check_target(*target.split("/"))
    found = forecast(targets, say)
    if not found.jobs:
        return [f"{' '.join(row.text for row in rows)}: no job computes anything"]
    lines = _by_paper(found, chosen)
    made = {output for one in found.jobs for output in one.job.outputs}
    if len(rows) > 1 and made.issuperset(targets):
        lines += ["", *_by_row(found, rows, chosen)]
    return [*lines, "", *_basis(found, chosen), *_data(found)]


def _by_paper(found: Forecast, chosen: Sequence[Device]) -> list[str]:
    papers = sorted({one.paper for one in found.jobs}, key=lambda name: (name == OTHERS, name))
    head = ["", "jobs", "left", "MACs", "images"]
    head += [f"{device.name}{' left' * is_left}" for device in chosen for is_left in (False, True)]
    grid = [[*head, "disk", "more"]]
    for paper in [*papers, "in all"]:
        jobs = [one for one in found.jobs if paper in (one.paper, "in all")]
        left = [one for one in jobs if one.is_left]
        works = [one.work for one in jobs if one.work]
        hours = [duration(found.hours(of, device)) for device in chosen for of in (jobs, left)]
        there = sum(Path(path).stat().st_size for one in jobs for path in one.job.outputs if Path(path).exists())
        disk = sum(one.disk for one in jobs)
        macs, images = sum(work.macs for work in works), sum(work.images for work in works)
        grid.append([paper, str(len(jobs)), str(len(left)), scaled(macs), scaled(images), *hours, size(disk),
                     size(disk - there)])  # fmt: skip
    return _aligned(grid)


def _by_row(found: Forecast, rows: Sequence[order.Row], chosen: Sequence[Device]) -> list[str]:
    """For each row what it adds to those before it, and the sum so far, of the jobs that are left."""
    makers = {output: one for one in found.jobs for output in one.job.outputs}
    seen: set[str] = set()
    so_far = dict.fromkeys((device.name for device in chosen), 0.0)
    grid = [["", "jobs", *(f"{device.name}{' so far' * sums}" for device in chosen for sums in (False, True)), "row"]]
    for number, row in enumerate(rows, 1):
        added: list[Costed] = []
        waiting = list(row.targets)
        while waiting:
            one = makers[waiting.pop()]
            if one.job.outputs[0] not in seen:
                seen.add(one.job.outputs[0])
                waiting += [path for path in one.job.inputs if path in makers]
                added += [one] if one.is_left else []
        cells = []
        for device in chosen:
            own = sum(found.seconds(one, device) for one in added) / device.slots
            so_far[device.name] += own
            cells += [duration(own), duration(so_far[device.name])]
        grid.append([str(number), str(len(added)), *cells, row.text])
    return _aligned(grid, left=-1)


def _basis(found: Forecast, chosen: Sequence[Device]) -> list[str]:
    """What the hours rest on."""
    lines = []
    kinds = {one.size.kind for costed in found.jobs if costed.work for one in costed.work.passes}
    for device in chosen:
        took = sum(found.is_measured(one, device) for one in found.jobs)
        basis = f"{took} of {counted(len(found.jobs), 'job')} measured, others estimated" if took else "estimated"
        lines.append(f"{device.name}: {basis}; {device.title} ({device.measured})")
        if kinds and (lacking := sorted(kinds - set(device.rates))):
            lines.append(f"{device.name}: no {' or '.join(lacking)} net was measured there; taken as the others")
    unknown = sorted({one.job.rule for one in found.jobs if one.work is None and one.computes})
    if unknown:
        lines.append(f"only the start of these is counted, for what they compute is not known: {', '.join(unknown)}")
    return lines


def _data(found: Forecast) -> list[str]:
    cfgs = [one.job.cfg for one in found.jobs]
    named = [cfg.get("dataset") or cfg.get("data") for cfg in cfgs]
    names = sorted({data["name"] for data in named if isinstance(data, dict) and "prepare" in data})
    return [f"data: {name}, {where(name)}" for name in names]


def where(name: str) -> str:
    """Where a dataset is, and how large what is to be brought is; nothing is checked but that it is there."""
    entry = registry.dataset(name)
    archives = entry.archives
    sizes = [archive.bytes for archive in archives if archive.bytes]
    known = size(sum(sizes)) if sizes and len(sizes) == len(archives) else "size unknown"
    if Path(prepared(name)).exists():
        return f"prepared here ({size(Path(prepared(name)).stat().st_size)})"
    if not entry.is_foreign:
        return "is drawn here"
    mirror = os.environ.get(MIRROR)
    if _has(RAW / name, entry) or (not archives and (RAW / name).is_dir()):
        return f"in {RAW / name} ({known})"
    if mirror and (_has(Path(mirror), entry) or (not archives and Path(mirror, name).is_dir())):
        return f"in the mirror {mirror} ({known})"
    if archives and all(archive.urls for archive in archives):
        return f"to be downloaded ({known})"
    return f"to be brought by hand ({known}): {entry.access}"


def _has(folder: Path, entry: registry.Dataset) -> bool:
    """Whether a folder has all archives of a dataset, or what they unpack to."""
    found = [(folder / archive.file).exists() or bool(archive.folder and (folder / archive.folder).is_dir())
             for archive in entry.archives]  # fmt: skip
    return bool(found) and all(found)


def scaled(number: float) -> str:
    """``1.2 G``, ``3.4 P``: a large number with three digits at most."""
    for factor, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {letter}"
    return f"{number:.3g}"


def size(number: float) -> str:
    """Bytes: ``170 MB``."""
    return f"{scaled(number)}B" if number >= 1000 else f"{number:.0f} B"


def _aligned(grid: Sequence[Sequence[str]], left: int = 0) -> list[str]:
    """The lines of a grid, numbers to the right, one column to the left."""
    widths = [max(len(row[column]) for row in grid) for column in range(len(grid[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == left % len(row) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in grid
    ]
