"""The figure of face parsing that is drawn from numbers; those of faces are drawn in `draw_faces`."""

from __future__ import annotations

import pandas as pd

from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.papers.icnn_face_parsing.report.results import COLUMNS, WAYS, Arms, main_arm, read_arms
from tenfold.report.arms import face_of
from tenfold.report.face import Face
from tenfold.report.figures import (
    SHARE,
    Figures,
    Words,
    add_note,
    add_words,
    draw_bars,
    new_figure,
    save_figure,
    words_of,
    write_figures,
)

DRAWN = ("one_stage", "two_stage", "true_crops")


def figure_parts(cfg: Cfg, arms: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """F of each part by the first stage alone, by both, and by both with crops at the true places."""
    arm = main_arm(arms)
    frame = pd.DataFrame(
        {"part": header, "way": WAYS[way], "seed": seed, "F": value}
        for way in DRAWN
        for name, header in COLUMNS.items()
        for seed, value in arm.f(way, name).items()
    )
    figure, (axes,) = new_figure("F of each part by one stage and by two", shown, size=(7.6, 4.0))
    draw_bars(axes, frame, x="part", y="F", arm="way", within=SHARE)
    axes.set(xlabel="", ylabel="F, pooled over test faces", ylim=(0, 1))
    axes.legend(axes.containers, frame["way"].unique(), loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8)
    add_note(figure, "Published values are not shown: none was recovered from the paper")
    add_words(figure, words, *cfg["shown_claims"])
    save_figure(figure, frame, paths)


FIGURES: Figures = {"figure-parts": figure_parts}


@stage
def figures(cfg: Cfg, job: Job, *, arms: Inputs, claims: Input, figures: Outputs) -> None:
    """All figures, each with the CSV behind it."""
    found = read_arms(cfg, arms)
    write_figures(FIGURES, figures, cfg=cfg, arms=found, words=words_of(claims), shown=face_of(cfg, found))
    job.say(f"{len(FIGURES)} figures")


if __name__ == "__main__":
    main(figures)
