"""Reads what the training stages wrote, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg
from tenfold.report.arms import Arm as AnyArm
from tenfold.report.arms import BySeed
from tenfold.report.arms import read_arms as read_metrics

MINI = "mini"  # the small net that the editions below full train


class Arm(AnyArm):
    """One arm of one net: its metrics of all seeds."""

    @property
    def error(self) -> BySeed:
        """Test error in percent, by seed."""
        return {seed: 100 - value for seed, value in self.accuracy.items()}

    @property
    def title(self) -> str:
        """``imagenet-50/k3``."""
        return f"{self.net}/{self.name}"


Arms = dict[tuple[str, str], Arm]
Counts = Mapping[str, Mapping[str, int]]


def read_arms(cfg: Cfg, metrics: Sequence[Path]) -> Arms:
    """Metrics files as arms."""
    return read_metrics(metrics, cfg["files"]["metrics"], Arm)


def main_net(cfg: Cfg) -> str:
    """The net that has the arms of Tables 3, 6 and 7 at this edition: the first one configured."""
    return str(next(iter(cfg["nets"])))


@dataclass(frozen=True)
class Attention:
    """What was read off the SK units of one arm.

    Attributes:
        rows: by unit, scale and seed.
        files: where they were read.
    """

    rows: Mapping[str, Mapping[float, Mapping[int, dict[str, Any]]]]
    files: Sequence[str]

    @property
    def units(self) -> list[str]:
        """All units, from the image to the classifier."""
        return list(self.rows)

    @property
    def shown(self) -> list[str]:
        """The last unit of each stage, as the paper's figures show them."""
        return list({unit.rpartition("_")[0]: unit for unit in self.units}.values())

    def difference(self, unit: str, scale: float) -> BySeed:
        """D of a unit, mean over images, by seed."""
        return {seed: row["difference"] for seed, row in self.rows[unit][scale].items()}

    def spread(self, unit: str, scale: float) -> BySeed:
        """Standard deviation of D over images, by seed."""
        return {seed: row["sd"] for seed, row in self.rows[unit][scale].items()}

    def slope(self, unit: str) -> BySeed:
        """Slope of D over the scale, by least squares, by seed: how much D rises where objects double."""
        scales = list(self.rows[unit])
        return {
            seed: linear_regression(scales, [self.rows[unit][scale][seed]["difference"] for scale in scales]).slope
            for seed in self.rows[unit][scales[0]]
        }

    def rising_classes(self, unit: str) -> BySeed:
        """Percentage of classes whose D is larger at the second scale than at the first, by seed."""
        first, second = list(self.rows[unit])[:2]
        found = {}
        for seed, row in self.rows[unit][first].items():
            larger = self.rows[unit][second][seed]["classes"]
            rises = [larger[label] > value for label, value in row["classes"].items()]
            found[seed] = 100 * sum(rises) / len(rises)
        return found


def read_attention(paths: Sequence[Path]) -> Attention:
    """What ``attend`` wrote."""
    rows: dict[str, dict[float, dict[int, dict[str, Any]]]] = {}
    for path in paths:
        for row in read_json(path)["rows"]:
            rows.setdefault(row["unit"], {}).setdefault(row["scale"], {})[row["seed"]] = row
    return Attention(rows, [path.as_posix() for path in paths])


def read_counts(path: Path) -> Counts:
    """Parameters and multiply-adds by net and arm."""
    counts: Counts = read_json(path)
    return counts
