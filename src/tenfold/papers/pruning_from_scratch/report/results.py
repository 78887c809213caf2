"""Reads what the training stages wrote, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

from tenfold.launcher import Cfg
from tenfold.measure.statistics import correlation
from tenfold.papers.pruning_from_scratch.grid import RANDOM_INIT, split_arm
from tenfold.report.arms import Arm as AnyArm
from tenfold.report.arms import read_arms as read_metrics
from tenfold.report.arms import read_each


class Arm(AnyArm):
    """One arm of one net; its facts have the MACs of the standard net."""

    @property
    def in_head(self) -> dict[str, Any]:
        """Its kind and its ratio."""
        return {"arm": self.kind, "ratio": self.ratio}

    @property
    def kind(self) -> str:
        """The arm without its ratio."""
        return split_arm(self.name)[0]

    @property
    def ratio(self) -> float | None:
        """The share of MACs that it was asked to save; None for the full net."""
        return split_arm(self.name)[1]

    @property
    def saved(self) -> dict[int, float]:
        """MACs saved against the standard net in percent, by seed."""
        return {seed: 100 * (1 - row["macs"] / self.facts["standard_macs"]) for seed, row in self.rows.items()}


Arms = dict[tuple[str, str], Arm]


def read_arms(cfg: Cfg, paths: Sequence[Path]) -> Arms:
    """Metrics files as arms, by net and arm, in the order of the files."""
    return read_metrics(paths, cfg["files"]["metrics"], Arm)


@dataclass(frozen=True)
class Structures:
    """Pruned structures: net and origin -> ratio -> seed -> row, and the files that they were read from."""

    rows: Mapping[tuple[str, str], Mapping[float, Mapping[int, dict[str, Any]]]]
    files: Mapping[tuple[str, str], list[str]]

    def checkpoints(self, net: str) -> list[str]:
        """The origins of a net that are checkpoints of a pre-training, earliest first."""
        names = [origin for of, origin in self.rows if of == net and origin.startswith("pretrained-e")]
        return sorted(names, key=lambda name: int(name.removeprefix("pretrained-e")))


def read_structures(cfg: Cfg, paths: Sequence[Path]) -> Structures:
    """Structure files, by net and origin."""
    rows: dict[tuple[str, str], dict[float, dict[int, dict[str, Any]]]] = {}
    files: dict[tuple[str, str], list[str]] = {}
    for path, of, content in read_each(paths, cfg["files"]["structures"]):
        key = of["net"], of["origin"]
        files.setdefault(key, []).append(path.as_posix())
        for row in content["rows"]:
            rows.setdefault(key, {}).setdefault(row["ratio"], {})[row["seed"]] = row
    return Structures(rows, files)


@dataclass(frozen=True)
class Search:
    """What one way to a structure did: seed -> row, with steps, images and MACs per image."""

    net: str
    name: str
    rows: dict[int, dict[str, Any]]
    files: list[str]

    def work(self) -> dict[int, float]:
        """Images times MACs per image (of one forward pass), by seed."""
        return {seed: row["images"] * row["macs_per_image"] for seed, row in self.rows.items()}


def read_searches(cfg: Cfg, paths: Sequence[Path]) -> dict[tuple[str, str], Search]:
    """Summaries of gate learning and pre-training, by net and what was learned on (``pretrain`` for the latter)."""
    found: dict[tuple[str, str], Search] = {}
    for path, of, content in read_each(paths, cfg["files"]["searches"]):
        key = of["net"], of["source"]
        search = found.setdefault(key, Search(*key, {}, []))
        search.rows.update({row["seed"]: row for row in content["rows"]})
        search.files.append(path.as_posix())
    return found


def correlations(structures: Structures, net: str, ratio: float) -> dict[str, list[float]]:
    """Pearson correlations of channel counts, in three groups, one number for each independent part.

    - ``random inits``: disjoint pairs of initialisations (0 and 1, 2 and 3, ...).
    - ``one pre-training``: for each pre-training the mean over the pairs of its checkpoints.
    - ``random init and pre-training``: for each seed the mean over its checkpoints.

    Structures whose layers are all equally wide have no correlation; a part with such a pair is left out.
    """
    inits = structures.rows[net, RANDOM_INIT][ratio]
    checkpoints = [structures.rows[net, name][ratio] for name in structures.checkpoints(net)]
    seeds = sorted(inits)
    runs = sorted(checkpoints[0]) if checkpoints else []
    parts = {
        "random inits": [
            [alike(inits[first], inits[second])] for first, second in zip(seeds[::2], seeds[1::2], strict=False)
        ],
        "one pre-training": [
            [alike(first[seed], second[seed]) for first, second in combinations(checkpoints, 2)] for seed in runs
        ],
        "random init and pre-training": [
            [alike(inits[seed], checkpoint[seed]) for checkpoint in checkpoints] for seed in runs
        ],
    }
    return {
        name: [mean(values) for values in listed if values and not any(map(math.isnan, values))]
        for name, listed in parts.items()
    }


def alike(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """Pearson correlation of two structures' channel counts; NaN if the layers of one are all equally wide."""
    if len(set(first["widths"])) == 1 or len(set(second["widths"])) == 1:
        return math.nan
    return correlation(first["widths"], second["widths"])
