"""The figures: lengths against the exponent, their distribution, quality against sampling, errors that add up."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.papers.video_captioning.report.results import Arms, read, weighted_length
from tenfold.report.arms import face_of
from tenfold.report.face import Face
from tenfold.report.figures import (
    PERCENT,
    POSITIVE,
    Figures,
    Words,
    add_note,
    add_words,
    draw_curves,
    draw_lines,
    new_figure,
    save_figure,
    words_of,
    write_figures,
)


def by_setting(cfg: Cfg, captioners: Arms, key: str) -> list[tuple[float, str]]:
    """The captioners that differ from the full one in one setting alone, by its value, and the full one."""
    full = cfg["variants"]["full"]
    found = [
        (float(variant[key]), name)
        for name, variant in cfg["variants"].items()
        if name in captioners and {**variant, key: full[key]} == full
    ]
    return sorted(found)


def figure_length(cfg: Cfg, captioners: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """Mean length of captions against beta, beside that of the references as the loss weighs them."""
    betas = by_setting(cfg, captioners, "beta")
    rows: list[dict[str, Any]] = [
        {"beta": beta, "captions": title, "seed": seed, "words": length}
        for beta, name in betas
        for how, title in (("greedy", "greedy"), ("beam", "beam"))
        for seed, length in captioners[name].at(how, "length").items()
    ]
    references = captioners["full"].facts["reference_lengths"]
    rows += [{"beta": beta, "captions": "references, weighted", "seed": 0,
              "words": weighted_length(references, beta)} for beta, _ in betas]  # fmt: skip
    frame = pd.DataFrame(rows)
    figure, (axes,) = new_figure("Mean length of captions against beta", shown)
    draw_lines(axes, frame, x="beta", y="words", arm="captions", within=POSITIVE)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8)
    axes.set(xlabel="beta: a caption's loss is divided by its length to this power", ylabel="words of a test caption")
    add_note(figure, "Weighted by their length to the power of -beta: what a captioner learns to say, were it to draw")
    add_words(figure, words, "C4", "C4-overlong", "C4-weights")
    save_figure(figure, frame, paths)


def figure_lengths(cfg: Cfg, captioners: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """How many captions have how many words, by beta, beside the references."""
    references = captioners["full"].facts["reference_lengths"]
    rows: list[dict[str, Any]] = []
    for beta, name in by_setting(cfg, captioners, "beta"):
        for seed, row in captioners[name].rows.items():
            counts = row["greedy"]["lengths"]
            rows += [{"captions of": f"beta {beta:g}", "seed": seed, "words": n, "share": 100 * count / sum(counts)}
                     for n, count in enumerate(counts)]  # fmt: skip
    rows += [{"captions of": "references", "seed": 0, "words": n, "share": 100 * count / sum(references)}
             for n, count in enumerate(references)]  # fmt: skip
    frame = pd.DataFrame(rows)
    figure, (axes,) = new_figure("Lengths of captions", shown)
    draw_curves(axes, frame, x="words", y="share", arm="captions of", within=PERCENT)
    axes.set_xticks(range(0, 21, 2))
    axes.set(xlabel="words of a test caption, greedy (20: or more)", ylabel="captions [%]")
    add_words(figure, words, "C4")
    save_figure(figure, frame, paths)


def figure_sampling(cfg: Cfg, captioners: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """CIDEr against the probability of own words that training ends with."""
    frame = pd.DataFrame(
        {"sampling": sampling, "captions": title, "seed": seed, "cider": value}
        for sampling, name in by_setting(cfg, captioners, "sampling")
        for how, title in (("greedy", "greedy"), ("beam", "beam"))
        for seed, value in captioners[name].at(how, "cider", times=100).items()
    )
    figure, (axes,) = new_figure("Quality against scheduled sampling", shown)
    draw_lines(axes, frame, x="sampling", y="cider", arm="captions", within=POSITIVE)
    axes.set(
        xlabel="probability of own words after all epochs (0: teacher forcing)", ylabel="CIDEr of test captions, x 100"
    )
    add_words(figure, words, "C3")
    save_figure(figure, frame, paths)


def figure_positions(captioners: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """How often the word at each place is one that a reference has there, after own words and after given ones."""
    frame = pd.DataFrame(
        {"captioner": f"{title}, {after}", "seed": seed, "place": place, "share": 100 * share}
        for name, title in (("full", "with sampling"), ("forced", "teacher forcing"))
        if name in captioners
        for seed, row in captioners[name].rows.items()
        for kind, after in (("free", "after own words"), ("forced", "after given words"))
        for place, share in enumerate(row["positions"][kind], start=1)
    )
    figure, (axes,) = new_figure("Words that a reference has at their place", shown)
    draw_curves(axes, frame, x="place", y="share", arm="captioner", within=PERCENT)
    axes.set(xlabel="place in the caption", ylabel="right words [%]")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=7)
    add_note(figure, "Given words: those of the first reference. Places that at least ten captions have.")
    add_words(figure, words, "C3-errors")
    save_figure(figure, frame, paths)


FIGURES: Figures = {
    "figure-length": figure_length,
    "figure-lengths": figure_lengths,
    "figure-sampling": figure_sampling,
    "figure-positions": figure_positions,
}


@stage
def figures(cfg: Cfg, job: Job, *, captioners: Inputs, claims: Input, figures: Outputs) -> None:
    """All figures, each with the CSV behind it."""
    arms = read(cfg, captioners, "captioners")
    write_figures(FIGURES, figures, cfg=cfg, captioners=arms, words=words_of(claims), shown=face_of(cfg, arms))


if __name__ == "__main__":
    main(figures)
