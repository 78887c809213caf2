"""Decides the claims of turbo-hoi on what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from tenfold.files import read_json
from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.papers.turbo_hoi.grid import LOOP, MULTITASK, ONE_WAY
from tenfold.papers.turbo_hoi.report.results import (
    NAMES,
    TASKS,
    Arms,
    gain,
    gain_without,
    main_net,
    on_scenes,
    read_arms,
)
from tenfold.report.arms import face_of, minus
from tenfold.report.evidence import Check, Evidence, Paired, by_net, gather
from tenfold.report.words import conclude

OFF = {"off-pose": ("no-limb-cue", "pose-to-hoi", "role"), "off-action": ("no-action-cue", "hoi-to-pose", "keypoints")}
PUBLISHED = {
    ("v-coco-pairs", "images, train"): 2533, ("v-coco-pairs", "images, val"): 2867,
    ("v-coco-pairs", "images, test"): 4946, ("v-coco-pairs", "pairs, train"): 6400,
    ("v-coco-pairs", "pairs, val"): 7417, ("v-coco-pairs", "pairs, test"): 12402, ("v-coco-pairs", "roles"): 24,
    ("hicodet", "images"): 9658, ("hicodet", "pairs"): 33405, ("hicodet", "classes"): 600,
    ("hicodet", "rare classes"): 138, ("hicodet", "verbs"): 117, ("hicodet", "objects"): 80,
}  # fmt: skip
NOT_RUN = Evidence(reason="not run: drawn scenes")


@stage
def claims(cfg: Cfg, job: Job, *, arms: Inputs, ranked: Inputs, claims: Output) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    found, titles = on_scenes(read_arms(cfg, arms)), cfg["titles"]
    special = {
        "T5": Evidence(readings={NAMES[task]: loop_against_links(found, task, titles) for task in TASKS}),
        "hidden": hidden_joints_gain_more(found),
        "learned": above_the_trivial_predictor(found),
        "P1": equal_parameters(found),
        "counts": as_published(ranked),
        **{claim: less_without_the_cue(found, *of) for claim, of in OFF.items()},
    }
    nets = by_net(found)
    evidence = gather(cfg, nets, title=lambda arm: titles.get(arm, arm), special=special)
    conclude(cfg, job, claims, paper="turbo-hoi", face=face_of(cfg, found), evidence=evidence, nets=nets)


def loop_against_links(arms: Arms, task: str, titles: dict[str, str]) -> Evidence:
    """The loop of two turns against the one-way link that is better on a task, by its mean over seeds."""
    net = main_net(arms)
    if not {(net, name) for name in (LOOP, *ONE_WAY)} <= arms.keys():
        return NOT_RUN
    ours, *links = (arms[net, name] for name in (LOOP, *ONE_WAY))
    other = max(links, key=lambda link: mean(link.of_task(task).values()))
    cell = Paired(f"{titles[LOOP]} against {titles[other.name]}", ours.of_task(task), other.of_task(task))
    return Evidence([cell], unit="points", nets=(net,))


def hidden_joints_gain_more(arms: Arms) -> Evidence:
    """What the mask adds to the PCK of hidden joints, against what it adds to that of seen ones."""
    net = main_net(arms)
    if not {(net, "hoi-to-pose"), (net, MULTITASK)} <= arms.keys():
        return NOT_RUN
    ours, other = (arms[net, name] for name in ("hoi-to-pose", MULTITASK))
    hidden, seen = (minus(ours.at("pose", key), other.at("pose", key)) for key in ("pck_hidden", "pck_seen"))
    return Evidence([Paired("gain on hidden joints against seen ones", hidden, seen)], unit="points")


def above_the_trivial_predictor(arms: Arms) -> Evidence:
    """The net without messages against predictors that do not see the image."""
    arm = arms.get((main_net(arms), MULTITASK))
    if arm is None:
        return NOT_RUN
    trivial = {"role": arm.at("trivial", "hoi", "role_1"), "keypoints": arm.at("trivial", "pose", "ap")}
    cells = [Paired(f"{NAMES[task]} against the trivial predictor", arm.of_task(task), trivial[task])
             for task in TASKS]  # fmt: skip
    return Evidence(cells, unit="points")


def less_without_the_cue(arms: Arms, off: str, link: str, task: str) -> Evidence:
    """What a link gains over multitask with the cue that it lives on, against what it gains without."""
    with_cue, without = gain(arms, main_net(arms), link, task), gain_without(arms, off, link, task)
    if not without:
        return Evidence(reason=f"not run: {off}")
    return Evidence([Paired(f"gain in {NAMES[task]} with the cue against without", with_cue, without)], unit="points")


def equal_parameters(arms: Arms) -> Evidence:
    """The parameters of each variant beside those of multitask."""
    net = main_net(arms)
    if (net, MULTITASK) not in arms:
        return NOT_RUN
    expected = arms[net, MULTITASK].facts["params"]
    cells = [Check(f"parameters, {name}", arm.facts["params"], expected)
             for (of, name), arm in arms.items() if of == net]  # fmt: skip
    return Evidence(cells, trained=False)


def as_published(ranked: Sequence[Path]) -> Evidence:
    """What was counted in annotations, beside what is published of them."""
    counts = {(one["data"], name): count for path in ranked for one in read_json(path)
              for name, count in one["counts"].items()}  # fmt: skip
    cells = [Check(f"{name}, {data}", counts[data, name], expected)
             for (data, name), expected in PUBLISHED.items() if (data, name) in counts]  # fmt: skip
    return Evidence(cells, trained=False) if cells else Evidence(reason="not run: annotations of real photographs")


if __name__ == "__main__":
    main(claims)
