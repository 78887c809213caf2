"""Counts parameters and BatchNorm layers of the paper's nets and of an edition's; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tenfold.files import write_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.nets.build import build

CLASSES = {"CIFAR-10": 10, "CIFAR-100": 100}


@stage
def costs(cfg: Cfg, job: Job, *, costs: Output) -> None:
    """Whose nets (``paper`` or ``ours``) -> net -> dataset -> counts; equal to the digit wherever it is made."""
    found = {
        whose: {name: {data: counts(net, classes) for data, classes in CLASSES.items()} for name, net in nets.items()}
        for whose, nets in cfg["nets"].items()
    }
    write_json(costs, found)
    job.say(f"{sum(map(len, found.values()))} nets")


def counts(net: Mapping[str, Any], classes: int) -> dict[str, int]:
    """Parameters and BatchNorm layers of a net, built on torch's ``meta`` device: shapes only."""
    with torch.device("meta"):
        model = build({**net, "classes": classes})
    return {
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "bn_layers": sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()),
    }


if __name__ == "__main__":
    main(costs)
