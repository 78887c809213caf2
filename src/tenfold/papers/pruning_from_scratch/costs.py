"""Counts parameters, MACs and gates of the nets that the paper prunes; nothing is trained."""

from __future__ import annotations

from tenfold.launcher import Cfg, Job, Outputs, main, stage
from tenfold.papers.pruning_from_scratch.common import gates_of, net_cost
from tenfold.report.tables import Cell, Column, Row, Table, untrained, write_table


@stage
def costs(cfg: Cfg, job: Job, *, table: Outputs) -> None:
    """The cost table; equal to the digit wherever it is made."""
    rows = []
    for entry in cfg["nets"]:
        net = entry["net"]
        counted = net_cost(net, entry["pixels"])
        cells = {"params": counted.params, "macs": counted.macs, "gates": sum(gates_of(net))}
        rows.append(
            Row((entry["title"], str(net["width"])), {name: Cell(exact=value) for name, value in cells.items()})
        )
    shown = untrained(cfg["edition"])
    write_table(
        Table(
            "Parameters, MACs and gates",
            shown,
            ("net", "width"),
            (Column("params", "parameters", ",d"), Column("macs", "MACs", ",d"), Column("gates", "gates", ",d")),
            rows,
            (
                "Counted as the official code does: a multiply-add once, of convolutions and linear layers;",
                "and the input elements of average-pool modules.",
            ),
        ),
        table,
    )
    job.say(f"{len(rows)} nets")


if __name__ == "__main__":
    main(costs)
