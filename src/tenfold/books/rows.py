"""``tenfold record --rows``: single rows of an edition, made elsewhere by the stages' own commands, put on record.

A lab trains some nets of ``full`` on its GPUs and brings back the metrics with their run records. Each row is kept with
its record, as is whatever else the paper's verdicts are decided on; one table shows all rows of the edition, where
every other cell says that it was not run, and the claims are decided on the rows that there are.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tenfold import workflow
from tenfold.books import index
from tenfold.books.record import refuse_uncommitted
from tenfold.books.recorded import Ledger
from tenfold.errors import UserError
from tenfold.files import copy_whole, read_json, write_json
from tenfold.identity import digest
from tenfold.identity.equivalences import representative
from tenfold.identity.records import made_here, read_run_record
from tenfold.launcher import Job
from tenfold.report.face import Data, Face
from tenfold.report.tables import Cell, Column, Row, Table, write_table

Metrics = dict[str, Any]
MADE = "made"


def record_rows(edition: str, slug: str) -> str:
    """Puts the metrics that lie below runs/ on record, row by row, and decides the claims on all that are on record.

    Returns:
        One line on what was recorded.

    Raises:
        UserError: sources are not committed, there is no row here or on record, or one has no run record, is not as its
            record says, or was made by other code than today's.
    """
    refuse_uncommitted()
    paper = workflow.House({"edition": edition}).paper(slug)
    book = Ledger(edition, slug)
    asked = [Path(path) for path in paper.grid.metrics(paper.edition(edition), None)]
    of_claims = next(report for report in paper.reports.values() if "claims" in report.signature.outputs)
    wanted = {*asked, *(path for paths in _inputs(of_claims, edition).values() for path in paths)}
    runs = {path: _checked_record(path, todays=path in asked) for path in sorted(wanted) if path.exists()}
    if not any(path in runs or _kept(book, path).exists() for path in asked):
        raise UserError(f"{book.runs}/metrics: no metrics of {book.name} are here; run a stage of the paper first")
    for path, run in runs.items():
        copy_whole(path, _kept(book, path))
        write_json(_record_of(_kept(book, path)), run)
    paths = [book.folder / "rows" / f"table-rows.{form}" for form in workflow.TABLE_FORMS]
    write_table(_table(paper.edition(edition), book, asked), paths)
    _decide(of_claims, book)
    index.rebuild()
    kept = sum(_kept(book, path).exists() for path in asked)
    return f"{book.name}: {kept} of {len(asked)} rows are on record, the others say that they were not run"


def _inputs(of_claims: workflow.Report, edition: str) -> dict[str, list[Path]]:
    """What the paper's verdicts are decided on, by the names of the stage's inputs."""
    wildcards = SimpleNamespace(edition=edition)
    return {
        name: [Path(path) for path in ([file.format(edition=edition)] if isinstance(file, str) else file(wildcards))]
        for name, file in of_claims.inputs.items()
    }


def _decide(of_claims: workflow.Report, book: Ledger) -> None:
    """The claims and their pages, from the rows that are on record now; none where a file of all rows is missing."""
    if of_claims.signature.outputs != ("claims",):  # decided in one stage with what needs all rows
        return
    listed = _inputs(of_claims, book.edition)
    inputs: dict[str, Path | list[Path]] = {}
    for name, paths in listed.items():
        kept = [_kept(book, path) for path in paths]
        inputs[name] = kept[0] if isinstance(of_claims.inputs[name], str) else kept
        if isinstance(of_claims.inputs[name], str) and not kept[0].exists():
            return
    wildcards, job = SimpleNamespace(edition=book.edition), Job(resume=Path("runs", ".resume", "rows"), name=book.name)
    decide = importlib.import_module(of_claims.signature.module)
    path = book.folder / "rows" / "claims.json"
    cfg = json.loads(of_claims.params["cfg"](wildcards))
    getattr(decide, of_claims.signature.function)(cfg, job, claims=path, **inputs)
    shown = importlib.import_module("tenfold.report.claim_pages")
    below = [
        book.folder / "rows" / Path(page).relative_to("runs/{edition}", book.slug) for page in of_claims.paper.pages
    ]
    for page in below:
        page.parent.mkdir(parents=True, exist_ok=True)
    shown.claim_pages(of_claims.paper.scale(wildcards), job, claims=path, pages=below)


def _kept(book: Ledger, path: Path) -> Path:
    """Where a row is kept; what it was made from, and how that went, lies below ``made/``."""
    metrics = book.runs / "metrics"
    if path.is_relative_to(metrics) and path.suffix == ".json":
        return book.folder / "rows" / path.relative_to(metrics)
    return book.folder / "rows" / MADE / path.relative_to(book.runs)


def _record_of(kept: Path) -> Path:
    return kept.with_name(f"{kept.name}.run.json") if MADE in kept.parts else kept.with_suffix(".run.json")


def _checked_record(path: Path, *, todays: bool) -> dict[str, Any]:
    """The run record of a file that is as its record says; a row has to be of today's code.

    What a row was made from, and how that went, belongs to the row, whatever code made it.
    """
    run = read_run_record(path)
    if run is None:
        raise UserError(f"{path}: its run record is missing; bring it along from where the row was made")
    if not made_here(path):
        raise UserError(f"{path}: is not the file that its run record describes; bring both anew")
    if todays and representative(run["code"]) != representative(digest.of_job(run["module"], run["stage"], run["cfg"])):
        raise UserError(f"{path}: was made by other code than today's; check that commit out, or make the row again")
    return run


def _table(edition: workflow.Edition, book: Ledger, asked: list[Path]) -> Table:
    """All rows of the edition, from what is on record now."""
    kept = {path: _kept(book, path) for path in asked}
    found = {path: read_json(copy) for path, copy in kept.items() if copy.exists()}
    runs = [read_json(_record_of(kept[path])) for path in found]
    names = list(dict.fromkeys(name for metrics in found.values() for name in _numbers(metrics)))
    arms: dict[str, list[Path]] = {}
    for path in asked:
        arms.setdefault(path.parent.relative_to(book.runs / "metrics").as_posix(), []).append(path)
    rows = [
        Row([arm], dict(_cells(names, {path: found[path] for path in paths if path in found})))
        for arm, paths in arms.items()
    ]
    face = Face(
        edition.name,
        Data(**edition.data_shown),
        len({seed for run in runs for seed in run["seeds"]}),
        " and ".join(sorted({run["platform"].get("gpu", run["platform"].get("device", "cpu")) for run in runs})),
        " and ".join(sorted({run["platform"].get("precision", "exact") for run in runs})),
    )
    columns = [Column(name, name.replace("_", " "), ".6g") for name in names]
    return Table(f"Rows of {book.name} that were made one by one", face, ["row"], columns, rows)


def _numbers(metrics: Metrics) -> Iterator[str]:
    first = metrics["rows"][0]
    return (name for name, value in first.items() if name != "seed" and isinstance(value, int | float))


def _cells(names: list[str], metrics: dict[Path, Metrics]) -> Iterator[tuple[str, Cell]]:
    rows = [row for content in metrics.values() for row in content["rows"]]
    for name in names if rows else ():
        yield name, Cell({row["seed"]: row[name] for row in rows if name in row}, files=list(metrics))
