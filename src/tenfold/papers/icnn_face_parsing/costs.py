"""Counts parameters and multiply-adds of the paper's nets; nothing is trained."""

from __future__ import annotations

from tenfold.files import write_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.measure.cost import cost
from tenfold.papers.icnn_face_parsing.method import InterlinkedCNN


@stage
def costs(cfg: Cfg, job: Job, *, costs: Output) -> None:
    """Net by net, in the order of the configuration.

    Args:
        cfg: ``nets``, each with its ``title``, ``foreground``, ``kernel`` and ``side`` in pixels.
        job: what surrounds the run.
        costs: these, with ``params`` and ``macs``.
    """
    rows = []
    for net in cfg["nets"]:
        counted = cost(lambda net=net: InterlinkedCNN(net["foreground"], kernel=net["kernel"]),  # type: ignore[misc]
                       (3, net["side"], net["side"]))  # fmt: skip
        rows.append({**net, "params": counted.params, "macs": counted.macs})
    write_json(costs, rows)
    job.say(f"{len(rows)} nets")


if __name__ == "__main__":
    main(costs)
