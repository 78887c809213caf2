"""Reads what was measured of the loop and its variants, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenfold.launcher import Cfg
from tenfold.papers.turbo_hoi.grid import MULTITASK, PHOTOS
from tenfold.report.arms import Arm as AnyArm
from tenfold.report.arms import BySeed, minus
from tenfold.report.arms import read_arms as read_metrics

TASKS = {"role": ("hoi", "role_1"), "keypoints": ("pose", "ap")}  # where a seed's row has the measure of each task
NAMES = {"role": "AP_role", "keypoints": "keypoint AP"}


class Arm(AnyArm):
    """One way to pass messages, on one dataset: its metrics of all seeds."""

    def at(self, *keys: str | int) -> BySeed:
        """A share in percent, by seed; none where the arm has no such measure."""
        found: BySeed = {}
        for seed, row in self.rows.items():
            value: Any = row
            for key in keys:
                value = value[key] if isinstance(key, int) else value.get(key, {})
            if isinstance(value, int | float):
                found[seed] = 100 * value
        return found

    def of_task(self, task: str, off: str = "") -> BySeed:
        """Its measure on one of `TASKS`, in percent; on scenes with a cue switched ``off``, where that is named."""
        return self.at("off", off, task) if off else self.at(*TASKS[task])


Arms = dict[tuple[str, str], Arm]


def read_arms(cfg: Cfg, paths: Sequence[Path]) -> Arms:
    """The metrics of all arms; each knows by how much it is above multitask on the same data."""
    arms = read_metrics(paths, cfg["files"]["metrics"], Arm)
    for (net, _), arm in arms.items():
        for task in TASKS:
            for seed, points in gain(arms, net, arm.name, task).items():
                arm.rows[seed].setdefault("above_multitask", {})[task] = points / 100
    return arms


def gain(arms: Arms, net: str, name: str, task: str, off: str = "") -> BySeed:
    """By how many points an arm is above multitask, paired by seed; none where one of them does not have the task.

    ``off`` names scenes with a cue switched off, on which both are tested.
    """
    ours, other = (arms[net, arm].of_task(task, off) if (net, arm) in arms else {} for arm in (name, MULTITASK))
    return minus(ours, other) if ours.keys() <= other.keys() else {}


def gain_without(arms: Arms, off: str, name: str, task: str) -> BySeed:
    """The same where a cue is off: of nets that are trained there, or of those that are tested there alone."""
    return gain(arms, off, name, task) or gain(arms, main_net(arms), name, task, off)


def main_net(arms: Arms) -> str:
    """The first of the nets that learn both tasks: where both inform each other. "" if there are none."""
    return next((net for net, _ in arms if net != PHOTOS), "")


def on_scenes(arms: Arms) -> Arms:
    """The arms that learn both tasks."""
    return {(net, name): arm for (net, name), arm in arms.items() if net != PHOTOS}


def photos_of(arms: Arms) -> Arms:
    """The arms on photographs."""
    return {(net, name): arm for (net, name), arm in arms.items() if net == PHOTOS}
