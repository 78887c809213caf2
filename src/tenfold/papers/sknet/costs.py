"""Counts parameters and multiply-adds of all nets; nothing is trained."""

from __future__ import annotations

from tenfold.files import write_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.measure.cost import Cost, cost
from tenfold.papers.sknet.nets import build_net


def net_cost(net: Cfg, pixels: int) -> Cost:
    """Parameters, and multiply-adds of convolutions and linear layers, of a net for one image."""
    return cost(lambda: build_net(net), (3, pixels, pixels))


@stage
def costs(cfg: Cfg, job: Job, *, counts: Output) -> None:
    """For each net and arm (``imagenet-50/k3``) its ``params`` and ``macs``; equal to the digit wherever it is made."""
    found = {}
    for name, entry in cfg["nets"].items():
        counted = net_cost(entry["net"], entry["pixels"])
        found[name] = {"params": counted.params, "macs": counted.macs}
    write_json(counts, found)
    job.say(f"{len(found)} nets")


if __name__ == "__main__":
    main(costs)
