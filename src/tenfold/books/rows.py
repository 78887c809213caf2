"""``tenfold record --rows``: single rows of an edition, made elsewhere by the stages' own commands, put on record.

A lab trains some nets of ``full`` on its GPUs and brings back the metrics with their run records. Each row is kept with
its record, and one table shows all rows of the edition, where every other cell says that it was not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tenfold import workflow
from tenfold.books.record import refuse_uncommitted
from tenfold.books.recorded import Ledger
from tenfold.errors import UserError
from tenfold.files import copy_whole, read_json, write_json
from tenfold.identity import digest
from tenfold.identity.equivalences import representative
from tenfold.identity.records import made_here, read_run_record
from tenfold.report.face import Data, Face
from tenfold.report.tables import Cell, Column, Row, Table, write_table

Metrics = dict[str, Any]


def record_rows(edition: str, slug: str) -> str:
    """Puts the metrics that lie below runs/ on record, row by row.

    Returns:
        One line on what was recorded.

    Raises:
        UserError: sources are not committed, there is no metrics file, or one has no run record, is not as its record
            says, or was made by other code than today's.
    """
    refuse_uncommitted()
    paper = workflow.House({"edition": edition}).paper(slug)
    book = Ledger(edition, slug)
    asked = [Path(path) for path in paper.grid.metrics(paper.edition(edition), None)]
    present = [path for path in asked if path.exists()]
    if not present:
        raise UserError(f"{book.runs}/metrics: no metrics of {book.name} are here; run a stage of the paper first")
    runs = {path: _checked_record(path) for path in present}
    for path, run in runs.items():
        copy_whole(path, _kept(book, path))
        write_json(_kept(book, path).with_suffix(".run.json"), run)
    paths = [book.folder / "rows" / f"table-rows.{form}" for form in workflow.TABLE_FORMS]
    write_table(_table(paper.edition(edition), book, asked), paths)
    return f"{book.name}: {len(present)} of {len(asked)} rows are on record, the others say that they were not run"


def _kept(book: Ledger, path: Path) -> Path:
    return book.folder / "rows" / path.relative_to(book.runs / "metrics")


def _checked_record(path: Path) -> dict[str, Any]:
    run = read_run_record(path)
    if run is None:
        raise UserError(f"{path}: its run record is missing; bring it along from where the row was made")
    if not made_here(path):
        raise UserError(f"{path}: is not the file that its run record describes; bring both anew")
    if representative(run["code"]) != representative(digest.of_job(run["module"], run["stage"], run["cfg"])):
        raise UserError(f"{path}: was made by other code than today's; check that commit out, or make the row again")
    return run


def _table(edition: workflow.Edition, book: Ledger, asked: list[Path]) -> Table:
    """All rows of the edition, from what is on record now."""
    kept = {path: _kept(book, path) for path in asked}
    found = {path: read_json(copy) for path, copy in kept.items() if copy.exists()}
    runs = [read_json(kept[path].with_suffix(".run.json")) for path in found]
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
