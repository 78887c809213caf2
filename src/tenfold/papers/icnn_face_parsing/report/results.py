"""Reads what was measured of parsed faces, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tenfold.launcher import Cfg
from tenfold.papers.icnn_face_parsing.grid import MAIN
from tenfold.report.arms import Arm as AnyArm
from tenfold.report.arms import BySeed
from tenfold.report.arms import read_arms as read_metrics

# The columns of the paper's table.
COLUMNS = {
    "eyes": "eyes", "brows": "brows", "nose": "nose", "inner_mouth": "inner mouth", "upper_lip": "upper lip",
    "lower_lip": "lower lip", "mouth": "mouth", "overall": "overall",
}  # fmt: skip
# How the faces of one arm are parsed.
WAYS = {
    "one_stage": "first stage alone",
    "two_stage": "two stages",
    "true_crops": "two stages, true crops",
    "other_centre": "two stages, other centres",
}


class Arm(AnyArm):
    """One arm: its metrics of all seeds, for each way in which faces are parsed."""

    def f(self, way: str, part: str) -> BySeed:
        """F of a part, in [0, 1], of the seeds that have it; empty where the arm does not parse in this way."""
        found = {seed: row[way].get(part) for seed, row in self.rows.items() if way in row}
        return {seed: float(value) for seed, value in found.items() if value is not None}

    @property
    def near(self) -> BySeed:
        """The share of parts whose centre the first stage finds, in percent."""
        return {seed: 100 * float(row["centres"]["near"]) for seed, row in self.rows.items()}


Arms = dict[tuple[str, str], Arm]


def read_arms(cfg: Cfg, paths: Sequence[Path]) -> Arms:
    """The metrics of all arms."""
    return read_metrics(paths, cfg["files"]["metrics"], Arm)


def main_arm(arms: Arms) -> Arm:
    """The arm as the paper has it, on the edition's own data."""
    return next(arm for (_, name), arm in arms.items() if name == MAIN)
