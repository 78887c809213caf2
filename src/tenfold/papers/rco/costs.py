"""Counts parameters and MACs of teachers and students; nothing is trained."""

from __future__ import annotations

from tenfold.launcher import Cfg, Job, Outputs, main, stage
from tenfold.papers.rco.common import net_cost
from tenfold.report.tables import Cell, Column, Row, Table, untrained, write_table


@stage
def costs(cfg: Cfg, job: Job, *, table: Outputs) -> None:
    """The cost table; equal to the digit wherever it is made."""
    rows = []
    for entry in cfg["nets"]:
        counted = net_cost(entry["net"])
        cells = {"params": Cell(exact=counted.params), "macs": Cell(exact=counted.macs)}
        rows.append(Row((entry["title"], str(entry["net"]["classes"])), cells))
    write_table(
        Table(
            "Parameters and MACs of teachers and students",
            untrained(cfg["edition"]),
            ("net", "classes"),
            (Column("params", "parameters", ",d"), Column("macs", "MACs at 32 x 32", ",d")),
            rows,
            ("Multiply-adds of convolutions and linear layers, one each; parameters include BatchNorm's.",),
        ),
        table,
    )
    job.say(f"{len(rows)} nets")


if __name__ == "__main__":
    main(costs)
