"""The figures of HRNN that show measures: profiles, coding, accuracy, the elbow, repetition, overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from tenfold.data.melodies import BAR, BEAT, FIRST_NOTE, LOWEST, NO_EVENT, NOTE_OFF, Events
from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.papers.melody.profiles import Profiles, read_profiles
from tenfold.papers.melody.report.results import (
    CORPUS,
    REAL,
    VARIANTS,
    Measured,
    Measures,
    main_decoding,
    read_measures,
    read_models,
    title_of,
)
from tenfold.papers.melody.report.scores import draw_roll, one_seed, pitch_name
from tenfold.report.arms import each_of, face_of
from tenfold.report.face import Data, Face
from tenfold.report.figures import (
    GREYS,
    PERCENT,
    POSITIVE,
    SHARE,
    Figures,
    Words,
    add_note,
    add_words,
    draw_bars,
    draw_curves,
    draw_lines,
    new_figure,
    save_figure,
    words_of,
    write_figures,
)

PRINTED_BAR = "E5 N C5 N D5 N B4 N O N N N B4 N N N"  # Figure 3 of the paper: N no-event, O note-off
PRINTED_PITCHES = {"B4": 71, "C5": 72, "D5": 74, "E5": 76}
CURVES = ("1L", "2L", "3L")


def figure_profiles(profiles: Mapping[str, Profiles], shown: Face, paths: Iterable[Path]) -> None:
    """The paper's Figure 2: the profiles, the commonest first, and what share of clips has them."""
    title = "Profiles of rhythm, the commonest first (Figure 2)"
    figure, panels = new_figure(title, one_seed(shown), columns=2, size=(8.4, 4.4))
    rows = []
    for axes, layer, step in ((panels[0], "beat", 1), (panels[1], "bar", BEAT)):
        centres, counts = profiles[layer].centres, profiles[layer].counts
        axes.imshow(centres, cmap=mpl.colormaps["Greys"], vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        shares = 100 * counts / counts.sum()
        axes.set_yticks(range(len(centres)), [f"{i + 1}   {share:4.1f} %" for i, share in enumerate(shares)])
        axes.set_xticks(range(0, centres.shape[1], step), [str(i + 1) for i in range(0, centres.shape[1], step)])
        axes.set_xticks(np.arange(0, centres.shape[1]) - 0.5, minor=True)
        axes.set_yticks(np.arange(0, len(centres)) - 0.5, minor=True)
        axes.grid(visible=False)
        axes.grid(visible=True, which="minor", color="0.75", linewidth=0.5)
        axes.tick_params(which="both", length=0, labelsize=7)
        axes.set(xlabel=f"sixteenth of the {layer}", ylabel=f"{layer} profile and its share of {layer}s")
        rows += [
            {"layer": layer, "profile": i + 1, "share": shares[i] / 100, "step": j + 1, "centre": value}
            for i, centre in enumerate(centres)
            for j, value in enumerate(centre)
        ]
    panels[1].set_title("dark: a note begins or ends here", fontsize=7, loc="right")
    save_figure(figure, pd.DataFrame(rows), paths)


def printed_bar() -> Events:
    """The bar of the paper's Figure 3 as events, shape (16,)."""
    marks = {"N": NO_EVENT, "O": NOTE_OFF}
    marks |= {name: pitch - LOWEST + FIRST_NOTE for name, pitch in PRINTED_PITCHES.items()}
    return np.array([marks[mark] for mark in PRINTED_BAR.split()], dtype=np.int8)


def figure_coding(shown: Face, paths: Iterable[Path]) -> None:
    """The paper's Figure 3: how one bar is coded."""
    bar = printed_bar()
    names = ["no-event", "note-off"] + [pitch_name(pitch) for pitch in range(71, 77)]
    row_of = {NO_EVENT: 0, NOTE_OFF: 1} | {pitch - LOWEST + FIRST_NOTE: pitch - 69 for pitch in range(71, 77)}
    matrix = np.zeros((len(names), BAR))
    matrix[[row_of[int(event)] for event in bar], range(BAR)] = 1
    drawn = Face(shown.edition, Data("none: the bar that the paper prints"), 0, "none", "none")
    figure, panels = new_figure("One bar as events (the bar of Figure 3)", drawn, rows=2, size=(7.0, 4.6))
    draw_roll(panels[0], bar)
    panels[0].set(xticks=range(0, BAR, BEAT), xticklabels=[f"beat {i + 1}" for i in range(4)])
    axes = panels[1]
    axes.imshow(matrix, cmap=mpl.colormaps["Greys"], vmin=0, vmax=1.3, aspect="auto", origin="lower",
                extent=(0, BAR, -0.5, len(names) - 0.5), interpolation="nearest")  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(np.arange(BAR) + 0.5, PRINTED_BAR.split())
    axes.set_xticks(range(BAR), minor=True)
    axes.set_yticks(np.arange(len(names)) - 0.5, minor=True)
    axes.grid(visible=False)
    axes.grid(visible=True, which="minor", color="0.75", linewidth=0.5)
    axes.tick_params(which="both", length=0, labelsize=8)
    axes.set(xlabel="the event of each sixteenth (N no-event, O note-off)", ylabel="event (one of 38)")
    frame = pd.DataFrame({"step": range(1, BAR + 1), "event": PRINTED_BAR.split(), "class": bar})
    save_figure(figure, frame, paths)


def figure_accuracy(cfg: Cfg, histories: Sequence[Path], words: Words, shown: Face, paths: Iterable[Path]) -> None:
    """The paper's Figure 5: accuracy of the note layer along its training, on training and on held-out pieces."""
    of_each = each_of(histories, cfg["files"]["models"])
    frame = pd.concat([pd.read_csv(path).assign(variant=of["arm"]) for path, of in of_each])
    frame = frame[(frame["layer"] == "note") & (frame["coding"] == "repeat") & frame["variant"].isin(CURVES)]
    rows = [
        {"model": title_of(str(row["variant"])), "pieces": pieces, "events": what, "seed": row["seed"],
         "iteration": row["iteration"], "accuracy": 100 * row[f"{prefix}{what}"]}
        for row in frame.to_dict("records")
        for pieces, prefix in (("training", "train_"), ("validation", ""))
        for what in ("no_event", "event")
    ]  # fmt: skip
    long = pd.DataFrame(rows, columns=["model", "pieces", "events", "seed", "iteration", "accuracy"])
    figure, panels = new_figure(
        "Accuracy of the note layer, labels with repeats (Figure 5)", shown, rows=2, columns=2, size=(8.4, 6.0)
    )
    shown_in = [(pieces, what) for pieces in ("training", "validation") for what in ("no_event", "event")]
    for axes, (pieces, what) in zip(panels, shown_in, strict=True):
        part = long[(long["events"] == what) & (long["pieces"] == pieces)]
        draw_curves(axes, part, x="iteration", y="accuracy", arm="model", within=PERCENT)
        axes.set(xlabel="iteration", ylabel=f"{pieces}: {what.replace('_', '-')}s predicted [%]")
    add_note(figure, "Seeds stop at different iterations: behind the first stop, a curve is of those still training")
    add_words(figure, words, "M5-accuracy", "M8")
    save_figure(figure, long, paths)


def figure_elbow(by_seed: Mapping[int, Mapping[str, Profiles]], shown: Face, paths: Iterable[Path]) -> None:
    """How far clips are from their profiles, against the number of profiles (the paper chose by it, and shows none)."""
    figure, panels = new_figure("Elbow curves: how many profiles?", shown, columns=2, size=(7.4, 3.6))
    frames = []
    for axes, layer in zip(panels, ("beat", "bar"), strict=True):
        frame = pd.DataFrame(
            {"layer": layer, "seed": seed, "profiles": k, "inertia": inertia}
            for seed, layers in by_seed.items()
            for k, inertia in layers[layer].elbow.items()
        )
        chosen = len(next(iter(by_seed.values()))[layer].centres)
        draw_lines(axes, frame, x="profiles", y="inertia", arm="layer", within=POSITIVE)
        axes.axvline(chosen, color="0.4", linestyle="--", linewidth=1)
        axes.text(chosen, axes.get_ylim()[1], f"{chosen} used ", va="top", ha="right", fontsize=8, color="0.2")
        axes.set(xlabel=f"{layer} profiles", ylabel="mean squared distance to the profile")
        axes.legend().remove()
        frames.append(frame)
    save_figure(figure, pd.concat(frames), paths)


def compared_sets(cfg: Cfg, measures: Measures, *, first: Sequence[tuple[str, str]]) -> dict[str, Measured]:
    """The sets that a figure compares, by title: real pieces, then the paper's models under the main decoding rule."""
    titles = {REAL: "corpus, held out", CORPUS: "corpus, training"}
    keys = [*first, *((variant, main_decoding(cfg)) for variant in VARIANTS)]
    return {titles.get(key, title_of(key[0])): measures[key] for key in keys if key in measures}


def figure_repetition(cfg: Cfg, measures: Measures, words: Words, shown: Face, paths: Iterable[Path]) -> None:
    """How often a bar comes back after so many bars: its rhythm, and all of its notes."""
    rows = [
        {"pieces": title, "repeats": view, "lag": lag, "seed": seed, "share": value}
        for title, arm in compared_sets(cfg, measures, first=[CORPUS]).items()
        for view in ("rhythm", "pitch")
        for lag in arm.names(f"{view}_repetition")
        for seed, value in arm.percent_at(f"{view}_repetition", lag).items()
    ]
    frame = pd.DataFrame(rows)
    figure, panels = new_figure("Bars that equal an earlier one", shown, columns=2, size=(8.4, 3.9))
    for axes, view, title in ((panels[0], "rhythm", "the same rhythm"), (panels[1], "pitch", "the same notes")):
        draw_lines(axes, frame[frame["repeats"] == view], x="lag", y="share", arm="pieces", within=PERCENT)
        axes.set(xlabel="bars back", ylabel=f"bars of {title} [%]")
        axes.set_ylim(bottom=0)
        axes.legend(title=None, fontsize=7)
    panels[1].legend().remove()
    add_words(figure, words, "M1-rhythm", "M1-rhythm-2l", "M1-rhythm-3l-2l")
    save_figure(figure, frame, paths)


def figure_similarity(cfg: Cfg, measures: Measures, shown: Face, paths: Iterable[Path]) -> None:
    """Which bars of a piece are alike: the mean self-similarity matrix of each set, without its diagonal of ones."""
    arms = compared_sets(cfg, measures, first=[CORPUS])
    figure, panels = new_figure(
        "Alike bars: share of sixteenths with the same event",
        shown,
        columns=len(arms),
        size=(1.9 * len(arms) + 0.6, 2.9),
    )
    means = {
        title: np.mean([row["self_similarity"] for row in arm.rows.values()], axis=0) for title, arm in arms.items()
    }
    alike = {title: np.where(np.eye(len(mean)), np.nan, mean) for title, mean in means.items()}
    low, high = (edge([edge(matrix) for matrix in alike.values()]) for edge in (np.nanmin, np.nanmax))
    for axes, (title, matrix) in zip(panels, alike.items(), strict=True):
        edges = (0.5, len(matrix) + 0.5, len(matrix) + 0.5, 0.5)
        image = axes.imshow(matrix, cmap=GREYS, vmin=low, vmax=high, extent=edges, interpolation="nearest")
        axes.set_title(title, fontsize=8)
        axes.set(xlabel="bar", xticks=range(1, len(matrix) + 1, 4), yticks=range(1, len(matrix) + 1, 4))
        axes.tick_params(length=0, labelsize=7)
        axes.grid(visible=False)
    panels[0].set_ylabel("bar")
    add_note(figure, "Squares: mean over pieces, then over seeds")
    figure.colorbar(image, ax=panels, shrink=0.6).ax.tick_params(labelsize=7)
    rows = [
        {"pieces": title, "bar": i + 1, "other bar": j + 1, "share": value}
        for title, mean in means.items()
        for i, line in enumerate(mean)
        for j, value in enumerate(line)
    ]
    save_figure(figure, pd.DataFrame(rows), paths)


def figure_overlap(cfg: Cfg, measures: Measures, shown: Face, paths: Iterable[Path]) -> None:
    """How much the distances to real pieces overlap with those among real pieces, feature by feature."""
    rows = [
        {"feature": feature, "pieces": title, "seed": seed, "overlap": value}
        for title, arm in compared_sets(cfg, measures, first=[REAL]).items()
        for feature in arm.names("mgeval")
        for seed, value in arm.at("mgeval", feature, "overlap").items()
    ]
    frame = pd.DataFrame(rows)
    frame["pieces"] = frame["pieces"].replace({"corpus, held out": "corpus, other half"})
    figure, panels = new_figure("Overlap with the corpus, by feature", shown, size=(9.0, 4.6))
    wrapped = frame.assign(feature=frame["feature"].str.replace(" ", "\n", n=1))
    draw_bars(panels[0], wrapped, x="feature", y="overlap", arm="pieces", within=SHARE)
    panels[0].set(xlabel=None, ylabel="overlap area (1: alike)", ylim=(0, 1.1))
    panels[0].tick_params(axis="x", labelsize=7)
    titles = list(dict.fromkeys(frame["pieces"]))
    panels[0].legend(panels[0].containers, titles, ncols=5, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    save_figure(figure, frame, paths)


FIGURES: Figures = {
    "figure-profiles": figure_profiles,
    "figure-coding": figure_coding,
    "figure-accuracy": figure_accuracy,
    "figure-elbow": figure_elbow,
    "figure-repetition": figure_repetition,
    "figure-similarity": figure_similarity,
    "figure-overlap": figure_overlap,
}


@stage
def figures(
    cfg: Cfg,
    job: Job,
    *,
    models: Inputs,
    histories: Inputs,
    measures: Inputs,
    profiles: Inputs,
    claims: Input,
    figures: Outputs,
) -> None:
    """All figures without composed notes in them, each with the CSV behind it."""
    by_seed = read_profiles(profiles)
    write_figures(FIGURES, figures, cfg=cfg, profiles=by_seed[cfg["seeds"][0]], by_seed=by_seed, histories=histories,
                  measures=read_measures(cfg, measures), words=words_of(claims),
                  shown=face_of(cfg, read_models(cfg, models)))  # fmt: skip


if __name__ == "__main__":
    main(figures)
