"""Counts parameters, MACs and gates of the nets that the paper prunes; nothing is trained."""

from __future__ import annotations

from tenfold.files import write_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.papers.pruning_from_scratch.common import gates_of, net_cost


@stage
def costs(cfg: Cfg, job: Job, *, costs: Output) -> None:
    """Net by net, in the order of the paper's; equal to the digit wherever it is made."""
    rows = []
    for entry in cfg["nets"]:
        net = entry["net"]
        counted = net_cost(net, entry["pixels"])
        rows.append({"title": entry["title"], "width": str(net["width"]), "params": counted.params,
                     "macs": counted.macs, "gates": sum(gates_of(net))})  # fmt: skip
    write_json(costs, rows)
    job.say(f"{len(rows)} nets")


if __name__ == "__main__":
    main(costs)
