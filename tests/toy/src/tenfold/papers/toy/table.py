"""The toy's table, metrics and verdicts, through the same report layer as any paper's."""

from __future__ import annotations

from tenfold.files import read_json, write_json
from tenfold.launcher import Cfg, Inputs, Job, Output, Outputs, main, stage
from tenfold.report.evidence import Evidence, Paired
from tenfold.report.face import Data, Face
from tenfold.report.tables import Cell, Column, Row, Table, write_table
from tenfold.report.words import conclude


@stage
def table(cfg: Cfg, job: Job, *, metrics: Inputs, table: Outputs, summary: Output, claims: Output) -> None:
    """One line an arm: the mean count over seeds, and how many steps were taken for it."""
    counts = {}
    files = {}
    for path in metrics:
        content = read_json(path)
        counts.setdefault(content["arm"], {}).update({row["seed"]: row["count"] for row in content["rows"]})
        files.setdefault(content["arm"], []).append(path)
    face = Face(cfg["edition"], Data(**cfg["data"]), len(cfg["seeds"]), "cpu", "integers")
    rows = []
    for arm in cfg["arms"]:
        cells = {"count": Cell(counts[arm], files=files[arm]), "steps": Cell(exact=cfg["steps"], files=files[arm])}
        rows.append(Row([arm], cells))
    columns = [Column("count", "count", ".1f"), Column("steps", "steps", "d")]
    write_table(Table("Counts of the toy", face, ["arm"], columns, rows), table)
    means = {arm: sum(counts[arm].values()) / len(counts[arm]) for arm in cfg["arms"]}
    write_json(summary, {arm: {"count": {"mean": mean, "n": len(counts[arm])}} for arm, mean in means.items()})
    evidence = {"T1": Evidence([Paired("fancy against plain", counts["fancy"], counts["plain"])], unit="counts")}
    conclude(cfg, job, claims, paper="toy", face=face, evidence=evidence)


if __name__ == "__main__":
    main(table)
