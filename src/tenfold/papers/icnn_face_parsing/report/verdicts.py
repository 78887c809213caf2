"""Decides the claims of face parsing on what was measured."""

from __future__ import annotations

from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.papers.icnn_face_parsing.report.results import Arm, Arms, main_arm, read_arms
from tenfold.report.arms import BySeed, face_of, minus
from tenfold.report.evidence import Evidence, Paired, by_net, gather
from tenfold.report.words import conclude

LARGE = ("eyes", "nose")  # the parts that the paper says gain nothing


@stage
def claims(cfg: Cfg, job: Job, *, arms: Inputs, claims: Output) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    found = read_arms(cfg, arms)
    nets = by_net(found)
    evidence = gather(
        cfg, nets, title=lambda arm: cfg["titles"].get(arm, arm), special={"C2": gains_more_on_thin_parts(found)}
    )
    conclude(cfg, job, claims, paper="icnn-face-parsing", face=face_of(cfg, found), evidence=evidence, nets=nets)


def gains_more_on_thin_parts(arms: Arms) -> Evidence:
    """What two stages gain over one on brows and lips, against what they gain on eyes and nose, in points of F."""
    arm = main_arm(arms)
    thin, large = gain(arm, "thin"), [gain(arm, part) for part in LARGE]
    mean = {
        seed: sum(part[seed] for part in large) / len(large) for seed in thin if all(seed in part for part in large)
    }
    return Evidence([Paired("gain on brows and lips against eyes and nose", thin, mean)], unit="points")


def gain(arm: Arm, part: str) -> BySeed:
    """F of a part by two stages less that by the first alone, in points."""
    return {seed: 100 * value for seed, value in minus(arm.f("two_stage", part), arm.f("one_stage", part)).items()}


if __name__ == "__main__":
    main(claims)
