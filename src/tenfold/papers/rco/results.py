"""Reads what the training stages wrote, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg
from tenfold.papers.rco.grid import largest_m, name_of, split_arm
from tenfold.report.face import Data, Face

BySeed = dict[int, float]


@dataclass
class Arm:
    """One arm of one student: its metrics of all seeds.

    Attributes:
        student: the student's name in the configuration.
        name: the arm.
        rows: seed -> metrics.
        files: where they were read.
        facts: device and precision.
    """

    student: str
    name: str
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The arm without its number."""
        return split_arm(self.name)[0]

    @property
    def value(self) -> float:
        """The arm's number: budgets, an epoch, anchors or a relaxation factor."""
        return split_arm(self.name)[1]

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

    def hardness(self, epoch: int) -> BySeed:
        """KL divergence from a checkpoint of the teacher, on held-out images, by seed."""
        return {seed: float(row["hardness"][str(epoch)]) for seed, row in self.rows.items()}


Arms = dict[tuple[str, str], Arm]


@dataclass(frozen=True)
class Teacher:
    """The teachers' checkpoints: epoch -> seed -> metrics, and where they were read."""

    rows: Mapping[int, Mapping[int, dict[str, Any]]]
    files: Sequence[str]

    def accuracy(self, epoch: int) -> BySeed:
        """Test accuracy of a checkpoint in percent, by seed."""
        return {seed: 100 * row["test_accuracy"] for seed, row in self.rows[epoch].items()}


def read_arms(metrics: Sequence[Path], searches: Sequence[Path]) -> Arms:
    """Metrics files (``.../<student>/<arm>/<seeds>.json``) and searches (``.../<student>/<seeds>.json``) as arms."""
    arms: Arms = {}

    def add(student: str, name: str, row: dict[str, Any], path: Path, content: dict[str, Any]) -> None:
        arm = arms.setdefault((student, name), Arm(student, name))
        arm.rows[row["seed"]] = row
        arm.facts = {key: content[key] for key in ("device", "precision")}
        if path.as_posix() not in arm.files:
            arm.files.append(path.as_posix())

    for path in metrics:
        content = read_json(path)
        for row in content["rows"]:
            add(path.parts[-3], path.parts[-2], row, path, content)
    for path in searches:
        content = read_json(path)
        for row in content["rows"]:
            add(path.parts[-2], name_of("gs", row["delta"]), row, path, content)
    return arms


def read_teacher(paths: Sequence[Path]) -> Teacher:
    """The metrics of the teachers' checkpoints."""
    rows: dict[int, dict[int, dict[str, Any]]] = {}
    for path in paths:
        for row in read_json(path)["rows"]:
            rows.setdefault(row["epoch"], {})[row["seed"]] = row
    return Teacher(rows, [path.as_posix() for path in paths])


def read_noise(paths: Sequence[Path]) -> dict[tuple[str, str], dict[float, BySeed]]:
    """Accuracy under noise in percent: student and arm -> standard deviation -> seed -> value."""
    found: dict[tuple[str, str], dict[float, BySeed]] = {}
    for path in paths:
        for row in read_json(path)["rows"]:
            levels = found.setdefault((path.parts[-2], row["arm"]), {})
            levels.setdefault(row["sigma"], {})[row["seed"]] = 100 * row["accuracy"]
    return found


def main_student(cfg: Cfg) -> str:
    """The student that tables are of: the first one configured."""
    return str(next(iter(cfg["students"])))


def most_anchors(arms: Arms, student: str) -> int:
    """The number of anchors of the student's longest route at equal intervals."""
    return largest_m([name for of, name in arms if of == student])


def minus(first: BySeed, second: BySeed) -> BySeed:
    """Differences, paired by seed."""
    return {seed: value - second[seed] for seed, value in first.items()}


def control_of(arms: Arms, arm: Arm) -> BySeed | None:
    """Accuracy of plain distillation for as many epochs, by seed; None where such a control was not trained.

    The number of stages of a greedy search differs from seed to seed, and so does its control.
    """
    base = arms.get((arm.student, "kd-1x"))
    if base is None:
        return None
    budget = {seed: row["epochs"] for seed, row in base.rows.items()}
    found = {}
    for seed, row in arm.rows.items():
        rival = arms.get((arm.student, f"kd-{row['epochs'] // budget[seed]}x"))
        if rival is None or rival.rows[seed]["epochs"] != row["epochs"]:
            return None
        found[seed] = rival.accuracy[seed]
    return found


def early_arms(arms: Arms, student: str) -> list[Arm]:
    """The arms that learn from one early checkpoint, the earliest first."""
    found = [arm for (of, _), arm in arms.items() if of == student and arm.kind == "from"]
    return sorted(found, key=lambda arm: arm.value)


def face(cfg: Cfg, arms: Arms) -> Face:
    """What every table and figure says of itself."""
    facts = [arm.facts for arm in arms.values()]
    device, precision = (" and ".join(sorted({fact[key] for fact in facts})) for key in ("device", "precision"))
    return Face(cfg["edition"], data(cfg), len(cfg["seeds"]), device, precision)


def data(cfg: Cfg) -> Data:
    """The dataset, and what it stands in for."""
    return Data(cfg["data"]["name"], cfg["data"]["stands_in_for"])


def setting_note(cfg: Cfg) -> str:
    """One sentence on classes and size of the images, where they are not the dataset's own."""
    if cfg["labels"] == "fine" and cfg["pixels"] == 32:
        return "All classes, images of 32 x 32 pixels."
    return f"The {cfg['labels']} classes, images of {cfg['pixels']} x {cfg['pixels']} pixels."
