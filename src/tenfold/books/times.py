"""How long jobs took, here and where they were put on record: what the time that is left is estimated from."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from snakemake_logger_plugin_tenfold.progress import PRIOR_SECONDS
from tenfold.books import metadata
from tenfold.books.recorded import RESULTS, Ledger, is_of_times
from tenfold.files import write_text

NAME = "jobs.times.csv"  # beside a record, and like all measured times no part of it
EXPECTED = "expected_jobs"  # under which the progress lines find what is expected


def tell(workflow: Any) -> None:
    """Tells the progress lines what each job of this run is expected to take; called when Snakemake starts its jobs.

    Args:
        workflow: Snakemake's own.
    """
    from snakemake.logging import logger

    dag = workflow.dag
    jobs = list(dag.needrun_jobs())
    limits = {name: of.value for name, of in workflow.global_resources.items() if isinstance(of.value, int)}
    if limits.get("_nodes"):  # elsewhere: as many jobs at once as are allowed, whatever cores there are here
        limits.pop("_cores", None)
    took = expected()
    logger.info(None, extra={EXPECTED: {
        dag.jobid(job): {
            "rule": job.rule.name,
            "seconds": took.get(str(job.output[0])) if job.output else 0.0,
            "after": [dag.jobid(other) for other in dag.dependencies[job] if dag.needrun(other)],
            "needs": {name: job.scheduler_resources.get(name, 0) for name in limits},
        }
        for job in jobs
    }, "limits": limits})  # fmt: skip


def expected() -> dict[str, float]:
    """Seconds of the job of each output: as measured here, else as on record, at the pace of this machine."""
    here, there = measured(metadata.read_all().items()), on_record()
    both = here.keys() & there.keys()
    pace = (PRIOR_SECONDS + sum(here[output] for output in both)) / (
        PRIOR_SECONDS + sum(there[output] for output in both)
    )
    return {output: seconds * pace for output, seconds in there.items()} | here


def measured(notes: Iterable[tuple[str, metadata.Note]]) -> dict[str, float]:
    """Seconds of those jobs that Snakemake has noted to have run here; restored files have no time of their own."""
    took = {output: noted["endtime"] - noted["starttime"] for output, noted in notes}
    return {output: seconds for output, seconds in took.items() if seconds > 0}


def record(book: Ledger, jobs: Iterable[Sequence[str]]) -> None:
    """Puts the times of jobs beside their record, a row for the first output of each; where none is known, as before.

    Snakemake notes of a job that was resumed the last part only; its steps are timed by itself, in all parts.

    Args:
        book: the record.
        jobs: the outputs of each of its jobs.
    """
    file = book.folder / NAME
    first = {outputs[0]: outputs for outputs in jobs}
    trained = {output: seconds for output, outputs in first.items() if (seconds := seconds_of_steps(outputs))}
    noted = measured((output, noted) for output in first if (noted := metadata.read(output)))
    known = trained | _read(file) | noted
    known |= {output: max(seconds, known[output]) for output, seconds in trained.items()}  # a resumed one took both
    rows = [f"{output},{known[output]:.1f}\n" for output in sorted(first) if output in known]
    if rows:
        write_text(file, "".join(["output,seconds\n", *rows]))


def seconds_of_steps(outputs: Iterable[str]) -> float:
    """What the steps of a training took, by its own account; 0 where there is none."""
    accounts = [Path(output) for output in outputs if is_of_times(output) and Path(output).exists()]
    return sum(float(row["seconds"]) for account in accounts for row in _rows(account) if row.get("seconds"))


def on_record() -> dict[str, float]:
    """Seconds of the job of each output, as its record has them."""
    found: dict[str, float] = {}
    for file in sorted(RESULTS.glob(f"*/*/{NAME}")):
        found |= _read(file)
    return found


def _read(file: Path) -> dict[str, float]:
    if not file.exists():
        return {}
    return {row["output"]: float(row["seconds"]) for row in _rows(file)}


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as rows:
        return list(csv.DictReader(rows))
