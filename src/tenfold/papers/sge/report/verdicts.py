"""Decides the claims of SGE on what was measured."""

from __future__ import annotations

import itertools
from math import exp
from statistics import mean
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.sge.grid import EXAMINED, first_net
from tenfold.papers.sge.report.results import (
    NAMES,
    NETS,
    Statistics,
    group_arms,
    read_arms,
    read_detectors,
    read_statistics,
)
from tenfold.report.arms import Arm, Arms, add_histories, face_of, joined
from tenfold.report.evidence import Check, Evidence, Paired, by_net, gather
from tenfold.report.words import conclude

BLOCKS = {"resnet50": 16, "resnet101": 33}
LAST_DIGIT = 0.001  # of GFLOPs as they are printed; some are rounded there, some cut


@stage
def claims(
    cfg: Cfg,
    job: Job,
    *,
    arms: Inputs,
    histories: Inputs,
    detectors: Inputs,
    statistics: Inputs,
    counted: Input,
    claims: Output,
) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    features, costs = read_statistics(statistics), read_json(counted)
    found = with_gates(cfg, read_arms(cfg, arms), features)
    add_histories(found, histories, cfg["files"]["metrics"])
    special = {
        "C3": almost_free(cfg, costs),
        "C3-others": costs_of_others(costs),
        "C7-groups": rises_and_falls(cfg, found),
        "C8": varies_more(features),
        "C8-tail": keeps_the_tail(features),
        "C8-gamma": mostly_positive(features),
    }
    classifiers = by_net(found)
    nets = [*classifiers, *by_net(with_moves(read_detectors(cfg, detectors)))]
    evidence = gather(cfg | {"claims": []}, classifiers, special=special) | gather(cfg, nets, title=name_of)
    conclude(cfg, job, claims, paper="sge", face=face_of(cfg, found), evidence=evidence, nets=nets)


def with_gates(cfg: Cfg, arms: Arms, statistics: Statistics) -> Arms:
    """The examined arm with by how many points its gates move over a map of the last block, the mean over groups."""
    examined = first_net(cfg), EXAMINED
    rows = {
        seed: {"moves": 100 * mean(gate_moves(group["gamma"], group["beta"]) for group in row["groups"])}
        for seed, row in statistics.rows.items()
    }
    return joined(arms, {examined: Arm(*examined, rows)}, "gates")


def with_moves(detectors: Arms) -> Arms:
    """Detectors with the same of theirs, in the last block that has gates."""
    moves = {}
    for key, arm in detectors.items():
        gates = {seed: row["gates"] for seed, row in arm.rows.items() if "gates" in row}
        rows = {seed: {"moves": 100 * mean(map(gate_moves, of["gamma"], of["beta"]))} for seed, of in gates.items()}
        moves[key] = Arm(*key, rows)
    return joined(detectors, moves, "gates")


def gate_moves(gamma: float, beta: float) -> float:
    """A gate one deviation above the mean of a map minus one below it: the normalised similarity has deviation 1."""
    return 1 / (1 + exp(-beta - abs(gamma))) - 1 / (1 + exp(-beta + abs(gamma)))


def name_of(arm: str) -> str:
    """An arm as it is called in a sentence."""
    return "the plain net" if arm == "plain" else NAMES.get(arm, arm)


def almost_free(cfg: Cfg, costs: dict[str, Any]) -> Evidence:
    """Parameters that SGE adds, to the digit, and operations of the nets with and without, to the printed digit."""
    published = {(row["net"], row["arm"]): row["gflops"] for row in cfg["published"]["imagenet"]}
    cells = []
    for net, blocks in BLOCKS.items():
        added = costs[f"{net}/sge"]["params"] - costs[f"{net}/plain"]["params"]
        cells.append(Check(f"parameters that SGE adds to {NETS[net]}", added, 2 * 64 * blocks))
        for arm in ("plain", "sge"):
            label, counted = f"GFLOPs of {NETS[net]}, {name_of(arm)}", costs[f"{net}/{arm}"]["operations"] / 1e9
            cells.append(Check(label, counted, published[net, arm], tolerance=LAST_DIGIT))
    return Evidence(cells, trained=False)


def costs_of_others(costs: dict[str, Any]) -> Evidence:
    """Parameters that other kinds of attention add to ResNet-50, in millions."""
    plain = costs["resnet50/plain"]["params"]
    expected = {"se": 2.53, "cbam": 2.53, "sk": 0.60}
    cells = [
        Check(f"{NAMES[arm]} [M]", (costs[f"resnet50/{arm}"]["params"] - plain) / 1e6, value)
        for arm, value in expected.items()
    ]
    return Evidence(cells, trained=False)


def rises_and_falls(cfg: Cfg, arms: Arms) -> Evidence:
    """Each number of groups against the next one: rising up to the main number, falling behind it."""
    found, main_number = group_arms(cfg, arms), cfg["attention"]["sge"]["groups"]
    cells = []
    for (few, fewer), (many, more) in itertools.pairwise(found):
        better, worse = (more, fewer) if many <= main_number else (fewer, more)
        label = f"{many} against {few} groups" if better is more else f"{few} against {many} groups"
        cells.append(Paired(label, better.accuracy, worse.accuracy))
    return (
        Evidence(cells, unit="points")
        if cells
        else Evidence(reason="this edition does not train several numbers of groups")
    )


def varies_more(statistics: Statistics) -> Evidence:
    """Variance over positions, and its root, behind SGE against before it; mean over groups."""
    cells = [
        Paired(label, statistics.of_groups(f"{key}_after"), statistics.of_groups(f"{key}_before"))
        for key, label in (("variance", "variance"), ("root", "its root"))
    ]
    return Evidence(cells)


def mostly_positive(statistics: Statistics) -> Evidence:
    """The share of positive gammas over all blocks, above one half."""
    above = {seed: share - 50 for seed, share in statistics.positive.items()}
    return Evidence([Paired("share of positive gammas above 50 %", above)], unit="points")


def keeps_the_tail(statistics: Statistics) -> Evidence:
    """The quotient behind over before: of the 99 % quantile against that of the median, mean over groups."""
    tail, middle = statistics.quotient("q99"), statistics.quotient("q50")
    return Evidence([Paired("99 % quantile against median", tail, middle)])


if __name__ == "__main__":
    main(claims)
