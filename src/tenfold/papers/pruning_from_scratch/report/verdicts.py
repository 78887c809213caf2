"""Decides the claims of Pruning from Scratch on what was measured."""

from __future__ import annotations

from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.papers.pruning_from_scratch.grid import ORIGIN, RANDOM_INIT
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
from tenfold.report.arms import add_histories, face_of, joined
from tenfold.report.evidence import Check, Evidence, Groups, NetArms, Paired, gather
from tenfold.report.words import conclude


@stage
def claims(
    cfg: Cfg, job: Job, *, arms: Inputs, histories: Inputs, structures: Inputs, searches: Inputs, claims: Output
) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    found, searched = read_structures(cfg, structures), read_searches(cfg, searches)
    trained = with_gates(read_arms(cfg, arms), searched)
    add_histories(trained, histories, cfg["files"]["metrics"])
    special = {
        "C2": more_alike(found, cfg),
        "C4": cheaper(searched),
        "C5": budget_met(found, cfg),
    }
    nets = by_budget(trained)
    evidence = gather(cfg, nets, cell="{net}", special=special)
    face = face_of(cfg, trained)
    conclude(cfg, job, claims, paper="pruning-from-scratch", face=face, evidence=evidence, nets=nets)


def with_gates(arms: Arms, searches: dict[tuple[str, str], Search]) -> Arms:
    """Arms whose structures were learned on random weights, with what was measured of those gates."""
    learned = {
        key: searches[key[0], RANDOM_INIT]
        for key, arm in arms.items()
        if ORIGIN.get(arm.kind) == RANDOM_INIT and (key[0], RANDOM_INIT) in searches
    }
    return joined(arms, learned, "gates")


def by_budget(arms: Arms) -> list[NetArms]:
    """The arms of each net at each ratio of saved MACs, by their kind, and the full net beside them."""
    places = dict.fromkeys((net, arm.ratio) for (net, _), arm in arms.items() if arm.ratio is not None)
    return [
        NetArms(
            net,
            {arm.kind: arm for (of, _), arm in arms.items() if of == net and arm.ratio in (None, ratio)},
            f"{net}, {percent(ratio)} saved",
        )
        for net, ratio in places
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
        if name == "pretrain" and (net, RANDOM_INIT) in searches:
            cells.append(Paired(net, pretraining.work(), searches[net, RANDOM_INIT].work()))
    return Evidence(cells) if cells else Evidence(reason="this edition pre-trains no net")


def budget_met(structures: Structures, cfg: Cfg) -> Evidence:
    """Share of seeds whose pruned structure meets the budget, which should be all of them, at each net and budget."""
    cells = []
    for net in cfg["nets"]:
        for ratio, rows in sorted(structures.rows.get((net, RANDOM_INIT), {}).items()):
            met = [abs(row["achieved"] - ratio) / ratio <= cfg["tolerance"] for row in rows.values()]
            label = f"{net}, p = {ratio:g}: {sum(met)} of {len(met)} seeds within {cfg['tolerance']:g}"
            cells.append(Check(label, sum(met) / len(met), 1.0, tolerance=0.0, n=len(met)))
    return Evidence(cells, trained=False) if cells else Evidence(reason="not run: the search of a threshold")


if __name__ == "__main__":
    main(claims)
