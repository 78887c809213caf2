"""Counts parameters and multiply-adds of all nets of all arms; nothing is trained."""

from __future__ import annotations

from tenfold.files import write_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.measure.cost import cost
from tenfold.papers.icnn_face_parsing.train import net_of


@stage
def costs(cfg: Cfg, job: Job, *, costs: Output) -> None:
    """For each arm and net, as the edition has them and as the paper has them: equal to the digit wherever it is made.

    Args:
        cfg: ``nets``: for each of ``here`` and ``paper``, by arm, what `tenfold.papers.icnn_face_parsing.train.net_of`
            wants and the ``sides`` of what each net sees.
        job: what surrounds the run.
        costs: ``{here, paper} -> arm -> net -> {side, params, macs}``.
    """
    found = {}
    for where, arms in cfg["nets"].items():
        found[where] = {arm: {net: counted(of, net, side) for net, side in of["sides"].items()} for arm, of in arms.items()}
    write_json(costs, found)
    job.say(f"{sum(len(nets) for arms in found.values() for nets in arms.values())} nets")


def counted(of: Cfg, net: str, side: int) -> dict[str, int]:
    """One net, for one image."""
    counted = cost(lambda: net_of(of, net), (3, side, side))
    return {"side": side, "params": counted.params, "macs": counted.macs}


if __name__ == "__main__":
    main(costs)
