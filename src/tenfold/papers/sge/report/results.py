"""Reads what the training stages wrote, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg
from tenfold.papers.sge.grid import first_net, groups_of
from tenfold.report.arms import Arm, Arms, BySeed, face_of
from tenfold.report.arms import read_arms as read_metrics
from tenfold.report.face import Face

NAMES = {
    "plain": "none",
    "se": "SE",
    "sk": "SK*",
    "bam": "BAM",
    "cbam": "CBAM",
    "gc": "GC",
    "sge": "SGE",
    "sge-unnormalised": "SGE without normalisation",
}
NETS = {"resnet50": "ResNet-50", "resnet101": "ResNet-101"}
DETECTORS = {"faster": "Faster R-CNN", "mask": "Mask R-CNN", "cascade": "Cascade R-CNN", "retinanet": "RetinaNet"}


def read_arms(cfg: Cfg, paths: Sequence[Path]) -> Arms:
    """The metrics of all nets and arms."""
    return read_metrics(paths, cfg["files"]["metrics"], Arm)


def read_detectors(cfg: Cfg, paths: Sequence[Path]) -> Arms:
    """The metrics of all detectors and arms."""
    return read_metrics(paths, cfg["files"]["detectors"], Arm)


def face_of_detectors(cfg: Cfg, detectors: Arms) -> Face:
    """What tables say of detectors: they see other pictures than classifiers do."""
    return face_of({**cfg, "data": cfg["detection"]["data"]}, detectors)


def arms_of(arms: Arms, net: str) -> dict[str, Arm]:
    """The arms of one net, by name."""
    return {name: arm for (of, name), arm in arms.items() if of == net}


def group_arms(cfg: Cfg, arms: Arms) -> list[tuple[int, Arm]]:
    """The arms of the first net that differ in their number of groups alone, fewest groups first."""
    found = [
        (groups_of(cfg, name), arm)
        for name, arm in arms_of(arms, first_net(cfg)).items()
        if name == "sge" or name.removeprefix("sge-g").isdigit()
    ]
    return sorted(found, key=lambda pair: pair[0])


def initial_arm(arms: dict[str, Arm], gamma: int, beta: int) -> Arm | None:
    """The arm with these first values; (0, 1) is SGE as it is."""
    return arms.get("sge" if (gamma, beta) == (0, 1) else f"sge-gamma{gamma}-beta{beta}")


@dataclass(frozen=True)
class Statistics:
    """What was seen in the last block of the examined net.

    Attributes:
        rows: seed -> what `tenfold.papers.sge.examine.examine` wrote of it.
        files: where they were read.
    """

    rows: dict[int, dict[str, Any]]
    files: list[str]

    def of_groups(self, key: str) -> BySeed:
        """The mean over the groups of a number of each group, by seed."""
        return {seed: mean(group[key] for group in row["groups"]) for seed, row in self.rows.items()}

    def quotient(self, key: str) -> BySeed:
        """The mean over the groups of a number behind SGE over that before it, by seed."""
        return {
            seed: mean(group[f"{key}_after"] / group[f"{key}_before"] for group in row["groups"])
            for seed, row in self.rows.items()
        }

    def of_first_group(self, key: str) -> BySeed:
        """A number of the first group, by seed."""
        return {seed: float(row["groups"][0][key]) for seed, row in self.rows.items()}

    @property
    def positive(self) -> BySeed:
        """The share of positive gammas over all blocks in percent, by seed."""
        return {seed: 100 * row["gammas_positive"] for seed, row in self.rows.items()}


def read_statistics(paths: Sequence[Path]) -> Statistics:
    """The statistics of all seeds."""
    rows = {row["seed"]: row for path in paths for row in read_json(path)["rows"]}
    return Statistics(rows, [path.as_posix() for path in paths])
