"""The toy's table, metrics and verdicts, through the same report layer as any paper's."""

from __future__ import annotations

from pathlib import Path

from tenfold.files import read_json
from tenfold.launcher import Cfg, Inputs, Job, Output, Outputs, main, stage
from tenfold.report.evidence import Evidence, Paired
from tenfold.report.face import Data, Face
from tenfold.report.tables import Cell, Column, Row, Table, Tables, write_metrics, write_tables
from tenfold.report.words import conclude


def table_counts(cfg: Cfg, counts: dict[str, dict[int, int]], files: dict[str, list[Path]], shown: Face) -> Table:
    """One line an arm: the mean count over seeds, and how many steps were taken for it."""
    rows = []
    for arm in cfg["arms"]:
        cells = {"count": Cell(counts[arm], files=files[arm]), "steps": Cell(exact=cfg["steps"], files=files[arm])}
        rows.append(Row([arm], cells))
    columns = [Column("count", "count", ".1f"), Column("steps", "steps", "d")]
    return Table("Counts of the toy", shown, ["arm"], columns, rows)


TABLES: Tables = {"table-counts": table_counts}


@stage
def tables(cfg: Cfg, job: Job, *, arms: Inputs, tables: Outputs, metrics: Output, claims: Output) -> None:
    """The table, the metrics and the verdicts."""
    counts: dict[str, dict[int, int]] = {}
    files: dict[str, list[Path]] = {}
    for path in arms:
        content = read_json(path)
        counts.setdefault(content["arm"], {}).update({row["seed"]: row["count"] for row in content["rows"]})
        files.setdefault(content["arm"], []).append(path)
    shown = Face(cfg["edition"], Data(**cfg["data"]), len(cfg["seeds"]), "cpu", "integers")
    write_tables(TABLES, tables, cfg=cfg, counts=counts, files=files, shown=shown)
    write_metrics(metrics, {arm: {"count": counts[arm]} for arm in cfg["arms"]})
    evidence = {"T1": Evidence([Paired("fancy against plain", counts["fancy"], counts["plain"])], unit="counts")}
    conclude(cfg, job, claims, paper="toy", face=shown, evidence=evidence)


if __name__ == "__main__":
    main(tables)
