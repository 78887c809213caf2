"""``tenfold pack``: what a machine without Snakemake needs to compute the rows of a target, in one bundle.

The bundle has the sources, the commands of the jobs that Snakemake would run, and the files that they read; `run.py`
beside it runs them. Datasets are never in it: they are listed with their checksums, or are an archive of their own.
Reports are made here, from the rows that come back (`tenfold unpack`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tenfold import config, workflow
from tenfold.books import run
from tenfold.books.plan import PlannedJob, planned
from tenfold.errors import UserError
from tenfold.files import copy_whole, sha256
from tenfold.identity.definitions import Sources
from tenfold.identity.digest import of_job
from tenfold.identity.records import refuse_other_data

SOURCES = ("src", "config", "workflow/schemas", "requirements.lock", "results/equivalences.json")
FORMS = {".py", ".yaml", ".lock", ".json"}


def pack(targets: list[str], out: Path | None, part_size: int, *, data: bool) -> list[str]:
    """Writes the bundle, `run.py` beside it, and the archive of the data.

    Args:
        targets: such as ``full/sge``, or files below ``runs/``; what leads to the first one is run first.
        out: ``NAME.tar``; ``build/pack/<target>.tar`` where none is given.
        part_size: bytes of a part, at most.
        data: whether the datasets are packed too, as ``NAME.data.tar``.

    Returns:
        What was written, and what else has to be brought.

    Raises:
        UserError: there is nothing to compute, Snakemake cannot plan it, or a file is not here or not the right one.
    """
    for target in targets:
        if not target.startswith("runs/"):
            workflow.check_target(*target.partition("/")[::2])
    plan = planned(*targets, everything=False)
    jobs = [job for job in in_order(plan, targets) if not _is_made_here(job)]
    if not jobs:
        raise UserError(f"{' '.join(targets)}: there is nothing to compute elsewhere; snakemake makes what is left")
    needed = sorted({path for job in jobs for path in job.inputs} - {path for job in jobs for path in job.outputs})
    bring = _checksums([path for path in needed if _is_data(path)], plan)
    for job in jobs:
        refuse_other_data(job.cfg, {path: checksum for path, checksum in bring.items() if checksum})
    files: dict[str, Path | bytes] = {path: Path(path) for path in needed if path not in bring}
    files |= {path.as_posix(): path for path in _sources()}
    listed = {"targets": targets, "jobs": [_listed(job) for job in jobs], "data": bring}
    files |= {run.JOBS: json.dumps(listed, indent=1, sort_keys=True).encode()}
    out = out or Path("build", "pack", f"{targets[0].replace('/', '-')}.tar")
    absent = [path for path in bring if not Path(path).exists()]
    if data and absent:
        raise UserError(f"{absent[0]} is not here: make it first (snakemake {absent[0]})")
    said = [f"jobs: {len(jobs)}; reports and datasets are made here", run.write_archive(out, files, part_size)]
    if data and bring:
        datasets = {path: Path(path) for path in bring}
        said.append(run.write_archive(out.with_suffix(".data.tar"), datasets, part_size))
    else:
        said += [f"bring {path} (SHA-256 {checksum or 'unknown'})" for path, checksum in bring.items()]
    copy_whole(Path(run.__file__), out.with_name("run.py"))
    said.append(f"copy all of it and {out.with_name('run.py')} into an empty folder there: python run.py --help")
    return said


def in_order(plan: Iterable[PlannedJob], targets: Iterable[str] = ()) -> list[PlannedJob]:
    """The jobs so that each comes after those that it needs, and rows end early: what leads to one end, then the next.

    Args:
        plan: in any order.
        targets: files that come first, in this order.
    """
    listed = list(plan)
    makers = {output: job for job in listed for output in job.outputs}
    used = {path for job in listed for path in job.inputs}
    ordered: dict[str, PlannedJob] = {}

    def visit(job: PlannedJob) -> None:
        if job.outputs[0] not in ordered:
            for path in job.inputs:
                if path in makers:
                    visit(makers[path])
            ordered[job.outputs[0]] = job

    ends = sorted((job for job in listed if not used.intersection(job.outputs)), key=lambda job: job.outputs)
    for job in [*(makers[path] for path in targets if path in makers), *ends]:
        visit(job)
    return list(ordered.values())


def _is_made_here(job: PlannedJob) -> bool:
    """Whether a job reports what others have computed, or brings data."""
    brings = not job.inputs and all(map(_is_data, job.outputs))
    return brings or ".report." in job.module or job.module.startswith("tenfold.data.")


def _is_data(path: str) -> bool:
    return path.startswith("data/") or "private" in Path(path).parts


def _checksums(paths: list[str], plan: list[PlannedJob]) -> dict[str, str | None]:
    """The SHA-256 of datasets: of the file that is here, else what the job has to make; None where nobody knows."""
    cfgs = {output: job.cfg.get("dataset", job.cfg) for job in plan for output in job.outputs}
    return {path: sha256(Path(path)) if Path(path).exists() else cfgs.get(path, {}).get("sha256") for path in paths}


def _listed(job: PlannedJob) -> dict[str, Any]:
    stage = job.stage(Sources(config.ROOT / "src"))
    return {
        "arguments": job.arguments, "code": of_job(job.module, stage, job.cfg), "inputs": job.inputs,
        "outputs": job.outputs, "processes": job.cfg.get("processes", 1),
    }  # fmt: skip


def _sources() -> Iterator[Path]:
    for name in SOURCES:
        found = sorted(Path(name).rglob("*")) if Path(name).is_dir() else [Path(name)]
        yield from (path for path in found if path.suffix in FORMS and path.is_file())
