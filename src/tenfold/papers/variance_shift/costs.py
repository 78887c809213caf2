"""Counts parameters and BatchNorm layers of the paper's nets and of an edition's; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tenfold.launcher import Cfg, Job, Outputs, main, stage
from tenfold.nets.build import build
from tenfold.papers.variance_shift.results import papers_data, papers_net
from tenfold.report.tables import Cell, Column, Published, Row, Table, untrained, write_table

CLASSES = {"CIFAR-10": 10, "CIFAR-100": 100}


@stage
def costs(cfg: Cfg, job: Job, *, table: Outputs) -> None:
    """The paper's Table 2; equal to the digit wherever it is made."""
    rows = [
        Row((entry["title"], "-", data), counted(entry["net"], data, {
            "params": Published(entry["params"][data], entry["source"]),
            "bn_layers": Published(entry["bn_layers"], entry["source"]),
        }))
        for entry in cfg["published"]["nets"]
        for data in CLASSES
    ]  # fmt: skip
    rows += [
        Row((papers_net(cfg, net) or "-", net, data), counted(options, data, {}))
        for net, options in cfg["nets"].items()
        for data in dict.fromkeys(papers_data(cfg, of["name"]) for of in cfg["data"])
    ]
    write_table(
        Table(
            "Parameters and BatchNorm layers of the paper's nets and of this edition's (Table 2)",
            untrained(cfg["edition"]),
            ("the paper's net", "this edition's", "classes of"),
            (Column("params", "parameters", ",d"), Column("bn_layers", "BatchNorm layers", ",d")),
            rows,
            (
                "A dash under this edition's: the paper's own net. Its BatchNorm layers are the points of Figure 4.",
                "PreResNet-110 has 164 layers, 18 bottlenecks in each stage: Figure 4 has the 163 points of that net.",
                "The code base that the paper follows built its net of depth 110 so until January 2018.",
                "The published 1.77 M of PreResNet-110 on CIFAR-100 fits no reading of that net; likely a misprint.",
            ),
        ),
        table,
    )
    job.say(f"{len(rows)} nets")


def counted(net: Mapping[str, Any], data: str, of_paper: Mapping[str, Published]) -> dict[str, Cell]:
    """Parameters and BatchNorm layers of a net, built on torch's ``meta`` device: shapes only."""
    options = {name: value for name, value in net.items() if name not in ("arms", "recipe")}
    with torch.device("meta"):
        model = build({**options, "classes": CLASSES[data]})
    counts = {
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "bn_layers": sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()),
    }
    return {name: Cell(exact=count, published=of_paper.get(name)) for name, count in counts.items()}


if __name__ == "__main__":
    main(costs)
