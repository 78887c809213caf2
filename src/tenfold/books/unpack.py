"""``tenfold unpack``: takes in what `run.py` has computed elsewhere, row by row, if it is today's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake_logger_plugin_tenfold.reason import changes, few
from tenfold.books import run, start
from tenfold.books.plan import PlannedJob, planned
from tenfold.books.recorded import Job
from tenfold.errors import UserError
from tenfold.files import read_json, sha256
from tenfold.identity.equivalences import representative
from tenfold.identity.records import made_here, read_run_record, record_path
from tenfold.launcher import resume_path

RESUME = "runs/.resume"

Record = dict[str, Any]


def unpack(archives: Iterable[Path]) -> tuple[list[str], list[str]]:
    """Puts rows and resume files in place below ``runs/``, and notes the rows as Snakemake would, had it run them.

    Args:
        archives: each by its list of parts (``results.tar.sha256``), by one of its parts, or by its name.

    Returns:
        A line for each archive, and one for each row or resume file that was refused.

    Raises:
        UserError: an archive is damaged, or has what does not belong below ``runs/``.
    """
    start.take_run()
    said, refused = [], []
    for archive in archives:
        Path("runs").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir="runs", prefix=".unpack-") as folder:
            try:
                names = run.extract(_listing(archive), Path(folder), _outside)
            except run.BundleError as error:
                raise UserError(str(error)) from None
            rows, resumed, wrong = _place(Path(folder), names)
        said.append(f"{archive.name}: {rows} rows and {resumed} resume files are in place below runs/")
        refused += [f"{archive.name}: {line}" for line in wrong]
    return said, refused


def _listing(archive: Path) -> Path:
    name = archive.name if archive.name.endswith(".tar") else archive.with_suffix("").name
    return archive.with_name(name + run.LISTING)


def _outside(name: str) -> str | None:
    return None if name.startswith("runs/") or name == run.RESUMED else "does not belong below runs/"


def _place(folder: Path, names: list[str]) -> tuple[int, int, list[str]]:
    """Moves rows and resume files to where they belong: how many of each, and why others were refused."""
    outputs = [name for name in names if name.startswith("runs/") and not {".run", ".resume"} & set(Path(name).parts)]
    resumed = [name for name in names if name.startswith(f"{RESUME}/")]
    todays = _todays([*outputs, *(_output_of(name) for name in resumed)])
    rows: dict[str, list[str]] = {}
    for output in outputs:
        rows.setdefault(todays[output].outputs[0] if output in todays else output, []).append(output)
    refused = []
    for row in rows.values():
        records = {output: read_run_record(folder / output) for output in row}
        flaws = (_flaw(folder / output, output, record, todays.get(output)) for output, record in records.items())
        why = next(filter(None, flaws), "")
        if why:
            refused.append(why)
        else:
            _accept(folder, {output: record for output, record in records.items() if record}, todays[row[0]])
    asked = _asked(folder / run.RESUMED)
    of_others = []
    for name in resumed:
        job = todays.get(_output_of(name))
        if job is None or list(job.arguments) != asked.get(name):
            of_others.append(f"{name} was left by a job of other settings or other code than today's")
        elif not made_here(Path(job.outputs[0])):
            start.move(folder / name, Path(name))
    return len(rows) - len(refused), len(resumed) - len(of_others), refused + of_others


def _asked(path: Path) -> dict[str, list[str]]:
    """Resume file -> the arguments of its job; none where nobody says."""
    try:
        found = read_json(path)
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _output_of(resume: str) -> str:
    """The output beside which a resume file is kept (`tenfold.launcher.resume_path`)."""
    return f"runs{resume.removeprefix(RESUME)}"


def _todays(paths: list[str]) -> dict[str, PlannedJob]:
    """The jobs of today's plan that make some files, by all their outputs."""
    goals = dict.fromkeys("/".join(Path(path).parts[1:3]) for path in paths)
    found = [job for goal in goals for job in _planned(goal)]
    known = {output for job in found for output in job.outputs}
    found += [job for path in paths if path not in known for job in _planned(path)]
    return {output: job for job in found for output in job.outputs}


def _planned(target: str) -> list[PlannedJob]:
    try:
        return planned(target)
    except UserError:  # no such edition, paper or file today
        return []


def _flaw(file: Path, output: str, record: Record | None, job: PlannedJob | None) -> str:
    """Why a file is not what would be made here; empty if it is."""
    if record is None:
        return f"{output} has no run record, or a damaged one"
    if record["output"] != output or record["sha256"] != sha256(file):
        return f"{output} is not the file that its run record describes"
    if job is None:
        return f"{output} is made by no job of today's plan"
    if record["cfg"] != job.cfg:
        return f"{output} was made with other settings than today's: {few(list(changes(record['cfg'], job.cfg)))}"
    if representative(record["code"]) != job.code:
        return f"{output} was made by other code than today's; check that commit out, or make the row again"
    if Path(output).exists() and sha256(Path(output)) != record["sha256"]:
        return f"{output} is here already, with other bytes; delete that one if this one is to count"
    return ""


def _accept(folder: Path, records: dict[str, Record], job: PlannedJob) -> None:
    """Moves a row with its run records, and notes it for Snakemake."""
    for path in map(Path, records):
        start.move(folder / record_path(path), record_path(path))
        start.move(folder / path, path)
    record = next(iter(records.values()))
    outputs: dict[str, str | None] = dict.fromkeys(job.outputs)
    row = Job(
        job.rule, job.module, record["stage"], job.cfg, job.code, record["seeds"], record["inputs"], outputs,
        list(job.log), platform="",
    )  # fmt: skip
    start.note(row, {output: start.mtime(output) for output in job.outputs})
    resume_path(Path(job.outputs[0])).unlink(missing_ok=True)
