"""Reads what the training stages wrote, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg
from tenfold.papers.rco.grid import largest_m, name_of, split_arm
from tenfold.report.arms import Arm as AnyArm
from tenfold.report.arms import BySeed, add_rows, read_each
from tenfold.report.arms import read_arms as read_metrics


class Arm(AnyArm):
    """One arm of one student (``net``): its metrics of all seeds."""

    @property
    def kind(self) -> str:
        """The arm without its number."""
        return split_arm(self.name)[0]

    @property
    def value(self) -> float:
        """The arm's number: budgets, an epoch, anchors or a relaxation factor."""
        return split_arm(self.name)[1]

    @property
    def in_head(self) -> dict[str, Any]:
        """Its kind and its number."""
        return {"arm": self.kind, "value": self.value}

    @property
    def took_all(self) -> bool:
        """Whether a greedy search passed over no candidate, in no seed."""
        return not any(row["passed_over"] for row in self.rows.values())

    @property
    def epochs_measured(self) -> list[int]:
        """The teacher's epochs whose hardness was measured for all its seeds."""
        return sorted(int(epoch) for epoch in next(iter(self.rows.values()))["hardness"])

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


def read_arms(cfg: Cfg, metrics: Sequence[Path], searches: Sequence[Path]) -> Arms:
    """Metrics files and searches as arms."""
    found: Arms = read_metrics(metrics, cfg["files"]["metrics"], Arm)
    for path, of, content in read_each(searches, cfg["files"]["searches"]):
        for row in content["rows"]:
            name = name_of("gs", row["delta"]) if "delta" in row else name_of("kd-restarts", row["restarts"])
            if "delta" in row:
                row["passed_over"] = len(content["candidates"]) - len(row["anchors"])
            add_rows(found.setdefault((of["net"], name), Arm(of["net"], name)), [row], path, content)
    return found


def read_teacher(paths: Sequence[Path]) -> Teacher:
    """The metrics of the teachers' checkpoints."""
    rows: dict[int, dict[int, dict[str, Any]]] = {}
    for path in paths:
        for row in read_json(path)["rows"]:
            rows.setdefault(row["epoch"], {})[row["seed"]] = row
    return Teacher(rows, [path.as_posix() for path in paths])


def read_noise(cfg: Cfg, paths: Sequence[Path]) -> dict[tuple[str, str], dict[float, BySeed]]:
    """Accuracy under noise in percent: student and arm -> standard deviation -> seed -> value."""
    found: dict[tuple[str, str], dict[float, BySeed]] = {}
    for _, of, content in read_each(paths, cfg["files"]["noise"]):
        for row in content["rows"]:
            levels = found.setdefault((of["net"], row["arm"]), {})
            levels.setdefault(row["sigma"], {})[row["seed"]] = 100 * row["accuracy"]
    return found


def main_student(cfg: Cfg) -> str:
    """The student that tables are of: the first one configured."""
    return str(next(iter(cfg["students"])))


def most_anchors(arms: Arms, student: str) -> int:
    """The number of anchors of the student's longest route at equal intervals."""
    return largest_m([name for of, name in arms if of == student])


def control_of(arms: Arms, arm: Arm) -> BySeed | None:
    """Accuracy of plain distillation for as many epochs, by seed; None where such a control was not trained.

    The number of stages of a greedy search differs from seed to seed, and so does its control.
    """
    base = arms.get((arm.net, "kd-1x"))
    if base is None:
        return None
    budget = {seed: row["epochs"] for seed, row in base.rows.items()}
    found = {}
    for seed, row in arm.rows.items():
        rival = arms.get((arm.net, f"kd-{row['epochs'] // budget[seed]}x"))
        if rival is None or rival.rows[seed]["epochs"] != row["epochs"]:
            return None
        found[seed] = rival.accuracy[seed]
    return found


def restarts_of(arms: Arms, arm: Arm) -> BySeed | None:
    """Accuracy of distillation with as many restarts of the same schedule, by seed; None where it was not trained.

    It differs from RCO in the anchors alone. A greedy search trains its own, of each seed's number of stages.
    """
    if arm.kind == "gs":
        return {seed: 100 * float(row["control"]["accuracy"]) for seed, row in arm.rows.items()}
    if arm.kind != "eei":
        return None
    rival = arms.get((arm.net, f"kd-restarts-{arm.value:g}"))
    return None if rival is None else rival.accuracy


def early_arms(arms: Arms, student: str) -> list[Arm]:
    """The arms that learn from one early checkpoint, the earliest first."""
    found = [arm for (of, _), arm in arms.items() if of == student and arm.kind == "from"]
    return sorted(found, key=lambda arm: arm.value)


def setting_note(cfg: Cfg) -> str:
    """One sentence on classes and size of the images, where they are not the dataset's own."""
    if cfg["labels"] == "fine" and cfg["pixels"] == 32:
        return "All classes, images of 32 x 32 pixels."
    return f"The {cfg['labels']} classes, images of {cfg['pixels']} x {cfg['pixels']} pixels."
