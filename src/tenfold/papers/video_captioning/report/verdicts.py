"""Decides the claims on what was measured."""

from __future__ import annotations

from typing import Any

from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.measure.captions import overall
from tenfold.papers.video_captioning.report.results import METRICS, differs, read, with_tags
from tenfold.report.arms import face_of
from tenfold.report.evidence import Check, Evidence, NetArms, gather
from tenfold.report.words import conclude

HALF_A_UNIT = 0.5e-4 * (1 + 1e-6)  # of the last printed digit, with room for rounding


@stage
def claims(cfg: Cfg, job: Job, *, captioners: Inputs, tags: Inputs, claims: Output) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    nets = read(cfg, tags, "tags")
    arms = with_tags(cfg, read(cfg, captioners, "captioners"), nets)
    places = [NetArms("captioners", arms, "captioners"), *([NetArms("tags", nets, "tags")] if nets else [])]
    published = cfg["published"]
    evidence = gather(
        cfg,
        places,
        title=lambda name: name if name == "full" or name in nets else f"{name} ({differs(cfg, name)})",
        special={"C7-overall": overall_scores(published["msvd"], published["msr_vtt"])},
    )
    conclude(cfg, job, claims, paper="video-captioning", face=face_of(cfg, arms), evidence=evidence, nets=places)


def overall_scores(*tables: list[dict[str, Any]]) -> Evidence:
    """The overall score of each row that has one, computed from its other columns."""
    cells = []
    for rows in tables:
        whole = [row for row in rows if row["overall"] is not None]
        best = {metric: max(row[metric] for row in whole) for metric in METRICS}
        cells += [Check(row["model"], overall(row, best), row["overall"], tolerance=HALF_A_UNIT) for row in whole]
    return Evidence(cells, trained=False)


if __name__ == "__main__":
    main(claims)
