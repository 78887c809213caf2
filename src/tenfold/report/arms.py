"""Reads what training stages wrote, as arms: the metrics of all seeds under one name. Light: no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tenfold.files import read_json
from tenfold.launcher import Cfg
from tenfold.report.face import Data, Face

BySeed = dict[int, float]


@dataclass
class Arm:
    """One arm of one net: its metrics of all seeds.

    Attributes:
        net: the net's name in the configuration.
        name: the arm.
        rows: seed -> metrics.
        files: where they were read.
        facts: what else the files say, such as device and precision.
    """

    net: str
    name: str
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def accuracy(self) -> BySeed:
        """Test accuracy in percent, by seed."""
        return self.percent("accuracy")

    def percent(self, key: str) -> BySeed:
        """A share as percent, by seed."""
        return {seed: 100 * value for seed, value in self.of(key).items()}

    def of(self, key: str) -> BySeed:
        """A number of each seed's row."""
        return {seed: float(row[key]) for seed, row in self.rows.items()}


Arms = dict[tuple[str, str], Arm]
OneArm = TypeVar("OneArm", bound=Arm)


def read_arms(paths: Iterable[Path], kind: type[OneArm]) -> dict[tuple[str, str], OneArm]:
    """Metrics files (``.../<net>/<arm>/<seeds>.json``) as arms, by net and arm, in the order of the paths.

    Args:
        paths: the files.
        kind: `Arm`, or a paper's own kind of arm.
    """
    arms: dict[tuple[str, str], OneArm] = {}
    for path in paths:
        net, name = path.parts[-3:-1]
        content = read_json(path)
        add_rows(arms.setdefault((net, name), kind(net, name)), content["rows"], path, content)
    return arms


def add_rows(arm: Arm, rows: Iterable[dict[str, Any]], path: Path, content: Mapping[str, Any]) -> None:
    """Adds rows of a metrics file to an arm."""
    arm.rows |= {row["seed"]: row for row in rows}
    arm.facts = {key: value for key, value in content.items() if key != "rows"}
    if path.as_posix() not in arm.files:
        arm.files.append(path.as_posix())


def minus(first: Mapping[int, float], second: Mapping[int, float]) -> BySeed:
    """Differences, paired by seed."""
    return {seed: value - second[seed] for seed, value in first.items()}


def face_of(cfg: Cfg, arms: Mapping[Any, Arm]) -> Face:
    """What every table and figure made of these arms says of itself."""
    facts = [arm.facts for arm in arms.values()]
    device, precision = (" and ".join(sorted({fact[key] for fact in facts})) for key in ("device", "precision"))
    return Face(cfg["edition"], data_of(cfg), len(cfg["seeds"]), device, precision)


def data_of(cfg: Cfg) -> Data:
    """The dataset, and what it stands in for."""
    return Data(cfg["data"]["name"], cfg["data"]["stands_in_for"])


def files_of(arms: Iterable[Arm]) -> list[str]:
    """The files of several arms."""
    return [file for arm in arms for file in arm.files]
