"""Decides the claims of Pruning from Scratch on what was measured."""

from __future__ import annotations

from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.papers.pruning_from_scratch.grid import RANDOM_INIT
from tenfold.papers.pruning_from_scratch.report.results import (
    Arms,
    Search,
    Structures,
    correlations,
    read_arms,
    read_searches,
    read_structures,
)
from tenfold.papers.pruning_from_scratch.report.tables import percent
from tenfold.report.arms import face_of
from tenfold.report.evidence import Check, Evidence, Groups, NetArms, Paired, gather
from tenfold.report.words import conclude


@stage
def claims(cfg: Cfg, job: Job, *, arms: Inputs, structures: Inputs, searches: Inputs, claims: Output) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    trained, found = read_arms(cfg, arms), read_structures(cfg, structures)
    special = {
        "C2": more_alike(found, cfg),
        "C4": cheaper(read_searches(cfg, searches)),
        "C5": budget_met(found, cfg),
    }
    evidence = gather(cfg, by_budget(trained), cell="{net}", special=special)
    conclude(cfg, job, claims, paper="pruning-from-scratch", face=face_of(cfg, trained), evidence=evidence)


def by_budget(arms: Arms) -> list[NetArms]:
    """The arms of each net at each ratio of saved MACs, by their kind."""
    return [
        NetArms(
            net,
            {arm.kind: arm for (of, _), arm in arms.items() if (of, arm.ratio) == (net, ratio)},
            f"{net}, {percent(ratio)} saved",
        )
        for net, ratio in dict.fromkeys((net, arm.ratio) for (net, _), arm in arms.items())
    ]


def more_alike(structures: Structures, cfg: Cfg) -> Evidence:
    """Structures of one pre-training against random inits, at the middle budget."""
    cells = []
    for net in cfg["nets"]:
        if len(structures.checkpoints(net)) > 1:
            groups = correlations(structures, net, 0.5)
            cells.append(Groups(f"{net}, p = 0.5", groups["one pre-training"], groups["random inits"]))
    return Evidence(cells) if cells else Evidence(reason="this edition prunes fewer than two checkpoints")


def cheaper(searches: dict[tuple[str, str], Search]) -> Evidence:
    """Images times MACs of pre-training over those of gate learning on random weights."""
    cells = []
    for (net, name), pretraining in searches.items():
        if name == "pretrain":
            gates = searches[net, RANDOM_INIT].work()
            ours = pretraining.work()
            cells.append(Paired(net, ours, {seed: gates[seed] for seed in ours}))
    return Evidence(cells) if cells else Evidence(reason="this edition pre-trains no net")


def budget_met(structures: Structures, cfg: Cfg) -> Evidence:
    """Share of seeds whose pruned structure meets the budget, which should be all of them, at each net and budget."""
    cells = []
    for net in cfg["nets"]:
        for ratio, rows in sorted(structures.rows[net, RANDOM_INIT].items()):
            met = [abs(row["achieved"] - ratio) / ratio <= cfg["tolerance"] for row in rows.values()]
            label = f"{net}, p = {ratio:g}: {sum(met)} of {len(met)} seeds within {cfg['tolerance']:g}"
            cells.append(Check(label, sum(met) / len(met), 1.0, tolerance=0.0, n=len(met)))
    return Evidence(cells, trained=False)


if __name__ == "__main__":
    main(claims)
