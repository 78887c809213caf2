"""Counts parameters and MACs of teachers and students; nothing is trained."""

from __future__ import annotations

from tenfold.files import write_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.papers.rco.common import net_cost


@stage
def costs(cfg: Cfg, job: Job, *, costs: Output) -> None:
    """Net by net, in the order of the configuration; equal to the digit wherever it is made."""
    rows = []
    for entry in cfg["nets"]:
        net, counted = entry["net"], net_cost(entry["net"])
        rows.append({"title": entry["title"], "classes": str(net["classes"]), "params": counted.params,
                     "macs": counted.macs})  # fmt: skip
    write_json(costs, rows)
    job.say(f"{len(rows)} nets")


if __name__ == "__main__":
    main(costs)
