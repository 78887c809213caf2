"""Decides the claims of Pruning from Scratch on what was measured."""

from __future__ import annotations

from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.papers.pruning_from_scratch.grid import RANDOM_INIT
from tenfold.papers.pruning_from_scratch.results import (
    Arms,
    Search,
    Structures,
    correlations,
    read_arms,
    read_searches,
    read_structures,
)
from tenfold.papers.pruning_from_scratch.tables import percent
from tenfold.report.arms import data_of, face_of
from tenfold.report.claims import Arms as Pairs
from tenfold.report.claims import Evidence, Groups, Pair, decide_family, verdict_lines, write_claims


@stage
def claims(cfg: Cfg, job: Job, *, arms: Inputs, structures: Inputs, searches: Inputs, claims: Output) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    trained, found, costs = read_arms(arms), read_structures(structures), read_searches(searches)
    evidence = {
        "C1": paired(trained, "pruned", "pretrained"),
        "C1-uniform": paired(trained, "pruned", "uniform"),
        "C1-random": paired(trained, "pruned", "random"),
        "C2": more_alike(found, cfg),
        "C3": paired(trained, "chosen", "pretrained"),
        "C4": cheaper(costs),
        "C5": budget_met(found, cfg),
        "C6": paired(trained, "scratch-b", "pruned"),
    }
    verdicts = decide_family(cfg["claims"], evidence, data_is_standin=data_of(cfg).is_standin, edition=cfg["edition"])
    write_claims(claims, paper="pruning-from-scratch", face=face_of(cfg, trained), verdicts=verdicts)
    for line in verdict_lines(verdicts):
        job.say(line)


def paired(arms: Arms, ours: str, other: str) -> Evidence:
    """Accuracy of one kind of arm against another, at each net and ratio that has both, paired by seed."""
    cells = []
    for (net, _), arm in arms.items():
        rival = arms.get((net, f"{other}-p{arm.ratio}"))
        if arm.kind == ours and rival is not None:
            cells.append(Pairs(f"{net}, {percent(arm.ratio)} saved", arm.accuracy, rival.accuracy))
    if not cells:
        return Evidence(reason=f"this edition trains no pair of arms '{ours}' and '{other}'")
    return Evidence(cells, unit="points")


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
            cells.append(Pairs(net, ours, {seed: gates[seed] for seed in ours}))
    return Evidence(cells) if cells else Evidence(reason="this edition pre-trains no net")


def budget_met(structures: Structures, cfg: Cfg) -> Evidence:
    """Share of seeds whose pruned structure meets the budget, which should be all of them, at each net and budget."""
    cells = []
    for net in cfg["nets"]:
        for ratio, rows in sorted(structures.rows[net, RANDOM_INIT].items()):
            met = [abs(row["achieved"] - ratio) / ratio <= cfg["tolerance"] for row in rows.values()]
            label = f"{net}, p = {ratio:g}: {sum(met)} of {len(met)} seeds within {cfg['tolerance']:g}"
            cells.append(Pair(label, sum(met) / len(met), 1.0, tolerance=0.0, n=len(met)))
    return Evidence(cells, trained=False)


if __name__ == "__main__":
    main(claims)
