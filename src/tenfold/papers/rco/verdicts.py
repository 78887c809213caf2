"""Decides the claims of RCO on what was measured."""

from __future__ import annotations

import itertools
from statistics import mean

from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.papers.rco.results import (
    Arms,
    Teacher,
    control_of,
    early_arms,
    main_student,
    most_anchors,
    read_arms,
    read_noise,
    read_teacher,
)
from tenfold.papers.rco.tables import strategy_arm
from tenfold.report.arms import BySeed, data_of, face_of, minus
from tenfold.report.claims import Arms as Pairs
from tenfold.report.claims import Evidence, decide_family, verdict_lines, write_claims

POINTS = "points"


@stage
def claims(
    cfg: Cfg, job: Job, *, arms: Inputs, searches: Inputs, teachers: Inputs, noise: Inputs, claims: Output
) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    found, teacher, student = read_arms(arms, searches), read_teacher(teachers), main_student(cfg)
    most = most_anchors(found, student)
    rco, same_budget = f"eei-{most}", f"kd-{most}x"
    last = cfg["teacher_epochs"]
    evidence = {
        "C1": more_accurate(found, student, (rco, "kd-1x")),
        "C1-budget": more_accurate(found, student, (rco, same_budget)),
        "C1-early": beats_early(found, student),
        "C2": nearer_to_early(found, student, last),
        "C2-accuracy": smaller_gap(found, teacher, student, last),
        "C3": more_congruent(found, student, rco, "kd-1x"),
        "C3-budget": more_congruent(found, student, rco, same_budget),
        "C3-hint": more_congruent(found, student, f"hint-eei-{most}", f"hint-{most}x"),
        "C4": gains_more_when_small(found),
        "C5": one_stage_beats(found, student),
        "C6": more_accurate(found, student, ("gs-0.8", rco)),
        "C6-budget": beats_control(found, student, ("gs-0.8",)),
        "C8": more_robust(read_noise(noise), student, rco, same_budget),
        "C9": more_accurate(found, student, ("eei-4", "eei-3"), ("eei-3", "eei-2")),
        "C9-budget": beats_control(found, student, ("eei-2", "eei-3", "eei-4")),
    }
    verdicts = decide_family(cfg["claims"], evidence, data_is_standin=data_of(cfg).is_standin, edition=cfg["edition"])
    write_claims(claims, paper="rco", face=face_of(cfg, found), verdicts=verdicts)
    for line in verdict_lines(verdicts):
        job.say(line)


def missing(*names: str) -> Evidence:
    """What is said where arms were not trained."""
    return Evidence(reason=f"this edition does not train {' and '.join(names)}")


def more_accurate(arms: Arms, student: str, *pairs: tuple[str, str]) -> Evidence:
    """Test accuracy of the first arm of each pair against the second, paired by seed."""
    for pair in pairs:
        if absent := [name for name in pair if (student, name) not in arms]:
            return missing(*absent)
    return Evidence(
        [
            Pairs(f"{ours} against {other}", arms[student, ours].accuracy, arms[student, other].accuracy)
            for ours, other in pairs
        ],
        unit=POINTS,
    )


def beats_control(arms: Arms, student: str, names: tuple[str, ...]) -> Evidence:
    """Test accuracy of arms against plain distillation of the same epochs, seed by seed."""
    cells = []
    for name in names:
        arm = arms.get((student, name))
        control = None if arm is None else control_of(arms, arm)
        if arm is None or control is None:
            return missing(name, "distillation of as many epochs")
        cells.append(Pairs(f"{name} against KD of as many epochs", arm.accuracy, control))
    return Evidence(cells, unit=POINTS)


def one_stage_beats(arms: Arms, student: str) -> Evidence:
    """One-stage RCO against plain distillation of the same epochs."""
    arm = strategy_arm(arms, student, "one-stage", None)
    return missing("one-stage RCO") if arm is None else more_accurate(arms, student, (arm.name, "kd-1x"))


def beats_early(arms: Arms, student: str) -> Evidence:
    """One-stage RCO against the single early checkpoint whose students do best on held-out images."""
    arm, early = strategy_arm(arms, student, "one-stage", None), early_arms(arms, student)
    if arm is None or not early:
        return missing("one-stage RCO", "distillation from an early checkpoint")
    best = max(early, key=lambda candidate: mean(candidate.of("held_out_accuracy").values()))
    return more_accurate(arms, student, (arm.name, best.name))


def nearer_to_early(arms: Arms, student: str, last: int) -> Evidence:
    """KL divergence from its own checkpoint: the student of the earliest against the one of the last."""
    if not (early := early_arms(arms, student)):
        return missing("distillation from an early checkpoint")
    first, kd = early[0], arms[student, "kd-1x"]
    label = f"{first.name} against kd-1x"
    return Evidence([Pairs(label, first.hardness(int(first.value)), kd.hardness(last), better="lower")], unit="nats")


def smaller_gap(arms: Arms, teacher: Teacher, student: str, last: int) -> Evidence:
    """Accuracy of the checkpoint minus that of its student: the earliest against the last."""
    if not (early := early_arms(arms, student)):
        return missing("distillation from an early checkpoint")
    first, kd = early[0], arms[student, "kd-1x"]
    gaps = minus(teacher.accuracy(int(first.value)), first.accuracy), minus(teacher.accuracy(last), kd.accuracy)
    return Evidence([Pairs(f"{first.name} against kd-1x", *gaps, better="lower")], unit=POINTS)


def more_congruent(arms: Arms, student: str, ours: str, other: str) -> Evidence:
    """KL divergence from the final teacher, on training and on held-out images."""
    if absent := [name for name in (ours, other) if (student, name) not in arms]:
        return missing(*absent)
    cells = [
        Pairs(f"{ours} against {other}, {label}", arms[student, ours].of(key), arms[student, other].of(key),
              better="lower")
        for key, label in (("kl_train", "training images"), ("kl_held_out", "held-out images"))
    ]  # fmt: skip
    return Evidence(cells, unit="nats")


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
        Pairs(f"{small} against {large}", gains[small], gains[large]) for small, large in itertools.pairwise(by_size)
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
            cells.append(Pairs(f"noise of {sigma:g}", lost[0], lost[1], better="lower"))
    return Evidence(cells, unit=POINTS)


if __name__ == "__main__":
    main(claims)
