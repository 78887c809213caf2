"""Decides the claims of face parsing on what was measured."""

from __future__ import annotations

from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.icnn_face_parsing.grid import MAIN
from tenfold.papers.icnn_face_parsing.report.results import Arm, Arms, main_arm, read_arms
from tenfold.report.arms import BySeed, face_of, minus
from tenfold.report.evidence import Check, Evidence, Paired, by_net, gather
from tenfold.report.words import conclude

PARAMETERS = [447_729, 422_732, 428_254]  # first stage; brows, eyes and nose, each; mouth
ALIKE = 2.0  # percent by which rows apart may have more or fewer parameters


@stage
def claims(cfg: Cfg, job: Job, *, arms: Inputs, counted: Input, claims: Output) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    found = read_arms(cfg, arms)
    special = {
        "C4-thin": gains_more_on_thin_parts(main_arm(found)),
        "C4-off": gains_less_where_parts_are_thick(found),
        "P1": parameters(found, read_json(counted)),
    }
    nets = by_net(found)
    evidence = gather(cfg, nets, title=lambda arm: cfg["titles"].get(arm, arm), special=special)
    conclude(cfg, job, claims, paper="icnn-face-parsing", face=face_of(cfg, found), evidence=evidence, nets=nets)


def gain(arm: Arm, part: str) -> BySeed:
    """F of a part by two stages less that by the first alone, in points."""
    return {seed: 100 * value for seed, value in minus(arm.f("two_stage", part), arm.f("one_stage", part)).items()}


def gains_more_on_thin_parts(arm: Arm) -> Evidence:
    """What two stages gain over one on brows and lips, against what they gain on eyes and nose, in points of F."""
    cell = Paired("gain on brows and lips against eyes and nose", gain(arm, "thin"), gain(arm, "thick"))
    return Evidence([cell], unit="points")


def gains_less_where_parts_are_thick(arms: Arms) -> Evidence:
    """What two stages gain on brows and lips where these are thin, against where they are thick, in points of F."""
    thin, *others = [arm for (_, name), arm in arms.items() if name == MAIN]
    if not others:
        return Evidence(reason="not run: faces whose brows and lips are thick")
    cell = Paired("gain on thin against thick brows and lips", gain(thin, "thin"), gain(others[0], "thin"))
    return Evidence([cell], unit="points")


def parameters(arms: Arms, counted: list[dict[str, Any]]) -> Evidence:
    """The paper's nets to the digit, and the edition's nets without links against those with, in percent."""
    cells = [
        Check(f"parameters, {row['title']}", row["params"], expected)
        for row, expected in zip(counted, PARAMETERS, strict=False)
    ]
    linked = main_arm(arms).facts["params"]
    apart = next(arm for (_, name), arm in arms.items() if name == "no-links").facts["params"]
    cells.append(Check("rows apart against interlinked ones [%]", 100 * apart / linked - 100, 0, tolerance=ALIKE))
    return Evidence(cells, trained=False)


if __name__ == "__main__":
    main(claims)
