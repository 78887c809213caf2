"""Decides the claims of RCO on what was measured."""

from __future__ import annotations

import itertools
from dataclasses import replace
from statistics import mean

from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.papers.rco.grid import MOST, largest_m
from tenfold.papers.rco.report.results import (
    Arms,
    Teacher,
    control_of,
    early_arms,
    main_student,
    most_anchors,
    read_arms,
    read_noise,
    read_teacher,
    restarts_of,
)
from tenfold.papers.rco.report.tables import strategy_arm
from tenfold.report.arms import BySeed, add_histories, face_of, minus
from tenfold.report.evidence import Evidence, NetArms, Paired, by_net, gather
from tenfold.report.words import conclude

POINTS = "points"


@stage
def claims(
    cfg: Cfg,
    job: Job,
    *,
    arms: Inputs,
    histories: Inputs,
    searches: Inputs,
    teachers: Inputs,
    noise: Inputs,
    claims: Output,
) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    found, teacher, student = read_arms(cfg, arms, searches), read_teacher(teachers), main_student(cfg)
    add_histories(found, histories, cfg["files"]["metrics"])
    most, last = most_anchors(found, student), cfg["teacher_epochs"]
    special = {
        "C1-early": beats_early(found, student),
        "C2": nearer_to_early(found, student, last),
        "C2-accuracy": smaller_gap(found, teacher, student, last),
        "C4": gains_more_when_small(found),
        "C6-budget": beats_control(found, student, ("gs-0.8",)),
        "C6-restarts": beats_restarts(found, student, "gs-0.8"),
        "C8": more_robust(read_noise(cfg, noise), student, f"eei-{most}", f"kd-{most}x"),
        "C9-budget": beats_control(found, student, ("eei-2", "eei-3", "eei-4")),
    }
    nets = [with_most(net) for net in by_net(found)]
    evidence = gather(cfg, nets, title=title_of, special=special)
    conclude(cfg, job, claims, paper="rco", face=face_of(cfg, found), evidence=evidence, nets=nets)


def with_most(net: NetArms) -> NetArms:
    """A student's arms, those of most anchors also under the names that claims give them."""
    of_eei, of_one_stage = (largest_m(list(net.arms), kind) for kind in ("eei", "one-stage"))
    names = {alias: name.format(of_one_stage if alias == "one-stage-most" else of_eei) for alias, name in MOST.items()}
    return replace(net, arms={**net.arms, **{a: net.arms[n] for a, n in names.items() if n in net.arms}})


def title_of(arm: str) -> str:
    """An arm as it is called in a sentence."""
    return "one-stage RCO" if arm == "one-stage-most" else arm


def missing(*names: str) -> Evidence:
    """What is said where arms were not trained."""
    return Evidence(reason=f"this edition does not train {' and '.join(names)}")


def beats_control(arms: Arms, student: str, names: tuple[str, ...]) -> Evidence:
    """Test accuracy of arms against plain distillation of the same epochs, seed by seed."""
    cells = []
    for name in names:
        arm = arms.get((student, name))
        control = None if arm is None else control_of(arms, arm)
        if arm is None or control is None:
            return missing(name, "distillation of as many epochs")
        cells.append(Paired(f"{name} against KD of as many epochs", arm.accuracy, control))
    return Evidence(cells, unit=POINTS)


def beats_restarts(arms: Arms, student: str, name: str) -> Evidence:
    """Test accuracy of an arm against distillation in as many stages, seed by seed."""
    arm = arms.get((student, name))
    control = None if arm is None else restarts_of(arms, arm)
    if arm is None or control is None:
        return missing(name, "distillation in as many stages")
    return Evidence([Paired(f"{name} against KD in as many stages", arm.accuracy, control)], unit=POINTS)


def beats_early(arms: Arms, student: str) -> Evidence:
    """One-stage RCO against the single early checkpoint whose students do best on held-out images."""
    arm, early = strategy_arm(arms, student, "one-stage", None), early_arms(arms, student)
    if arm is None or not early:
        return missing("one-stage RCO", "distillation from an early checkpoint")
    best = max(early, key=lambda candidate: mean(candidate.of("held_out_accuracy").values()))
    return Evidence([Paired(f"{arm.name} against {best.name}", arm.accuracy, best.accuracy)], unit=POINTS)


def nearer_to_early(arms: Arms, student: str, last: int) -> Evidence:
    """KL divergence from its own checkpoint: the student of the earliest against the one of the last."""
    if not (early := early_arms(arms, student)):
        return missing("distillation from an early checkpoint")
    first, kd = early[0], arms[student, "kd-1x"]
    label = f"{first.name} against kd-1x"
    return Evidence([Paired(label, first.hardness(int(first.value)), kd.hardness(last), better="lower")], unit="nats")


def smaller_gap(arms: Arms, teacher: Teacher, student: str, last: int) -> Evidence:
    """Accuracy of the checkpoint minus that of its student: the earliest against the last."""
    if not (early := early_arms(arms, student)):
        return missing("distillation from an early checkpoint")
    first, kd = early[0], arms[student, "kd-1x"]
    gaps = minus(teacher.accuracy(int(first.value)), first.accuracy), minus(teacher.accuracy(last), kd.accuracy)
    return Evidence([Paired(f"{first.name} against kd-1x", *gaps, better="lower")], unit=POINTS)


def gains_more_when_small(arms: Arms) -> Evidence:
    """Gain of RCO over distillation, of each student against the next larger one."""
    gains: dict[str, BySeed] = {}
    sizes: dict[str, int] = {}
    for student in dict.fromkeys(student for student, _ in arms):
        most = most_anchors(arms, student)
        gains[student] = minus(arms[student, f"eei-{most}"].accuracy, arms[student, "kd-1x"].accuracy)
        sizes[student] = next(iter(arms[student, "kd-1x"].rows.values()))["params"]
    by_size = sorted(sizes, key=sizes.__getitem__)
    cells = [
        Paired(f"{small} against {large}", gains[small], gains[large]) for small, large in itertools.pairwise(by_size)
    ]
    return Evidence(cells, unit=POINTS) if cells else missing("students of several sizes")


def more_robust(noise: dict[tuple[str, str], dict[float, BySeed]], student: str, ours: str, other: str) -> Evidence:
    """Accuracy lost to noise, at every level."""
    if absent := [name for name in (ours, other) if (student, name) not in noise]:
        return missing(*absent)
    cells = []
    for sigma in noise[student, ours]:
        if sigma > 0:
            lost = [minus(noise[student, name][0.0], noise[student, name][sigma]) for name in (ours, other)]
            cells.append(Paired(f"noise of {sigma:g}", lost[0], lost[1], better="lower"))
    return Evidence(cells, unit=POINTS)


if __name__ == "__main__":
    main(claims)
