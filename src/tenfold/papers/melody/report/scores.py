"""Draws composed melodies as piano rolls: the paper's Figures 4 and 6 to 9."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from tenfold.data.melodies import BAR, BEAT, Events
from tenfold.launcher import Cfg, Inputs, Job, Outputs, main, stage
from tenfold.papers.melody.composed import Composed, read_composed
from tenfold.papers.melody.conditions import FREE, TUNE, condition_title, hand_made
from tenfold.papers.melody.measures import notes_of, profiles_of, rhythm
from tenfold.papers.melody.profiles import Floats, read_centres
from tenfold.papers.melody.report.results import read_models, title_of
from tenfold.papers.melody.tunes import twinkle
from tenfold.report.arms import each_of, face_of
from tenfold.report.face import Face
from tenfold.report.figures import PALETTE, Figures, new_figure, save_figure, write_figures

NOTE, ASTRAY, TOLD = PALETTE[0], PALETTE[1], PALETTE[6]
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MOST_BARS = 12  # of a piece that are drawn
FIRST_PIECE = 0

Sets = dict[str, dict[str, Composed]]  # variant -> condition -> pieces, of the first seed


def one_seed(face: Face) -> Face:
    """The face of a figure that shows one seed."""
    return Face(face.edition, face.data, 1, face.device, face.precision)


def pitch_name(pitch: int) -> str:
    """60 -> ``C4``."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def draw_roll(axes: Axes, piece: Events, *, color: str = NOTE) -> None:
    """A piece as a piano roll: time in bars to the right, pitch upwards."""
    notes = notes_of(piece)
    for onset, length, pitch in notes:
        axes.add_patch(
            Rectangle((onset + 0.1, pitch - 0.4), length - 0.2, 0.8, facecolor=color, edgecolor="black", linewidth=0.4)
        )
    low, high = (notes[:, 2].min(), notes[:, 2].max()) if len(notes) else (60, 72)
    middle = (int(low) + int(high)) // 2
    low, high = min(int(low), middle - 5) - 1, max(int(high), middle + 5) + 1
    axes.set(xlim=(0, len(piece)), ylim=(low - 2.5, high + 0.5), ylabel="pitch")
    named = [pitch for pitch in range(low, high + 1) if pitch % 12 in (0, 7)]
    axes.set_yticks(named, [pitch_name(pitch) for pitch in named])
    axes.set_xticks(range(0, len(piece), BAR), [str(bar + 1) for bar in range(len(piece) // BAR)], ha="left")
    axes.set_xticks(range(0, len(piece), BEAT), minor=True)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=True, axis="x", which="major", color="0.35", linewidth=0.8)
    axes.grid(visible=True, axis="x", which="minor", color="0.88", linewidth=0.5)
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)


def draw_told(axes: Axes, fed: NDArray[np.integer], centres: Floats, own: NDArray[np.int64]) -> None:
    """Below a roll: ticks where the fed profiles want something to happen; clips that stray are shaded."""
    steps = centres.shape[1]
    wanted = np.flatnonzero((centres[fed] >= 0.5).ravel())
    bottom = axes.get_ylim()[0]
    axes.vlines(wanted + 0.5, bottom + 0.3, bottom + 1.7, color=TOLD, linewidth=1.4)
    for clip in np.flatnonzero(fed != own).tolist():
        axes.axvspan(clip * steps, (clip + 1) * steps, color=ASTRAY, alpha=0.35, linewidth=0, zorder=0)
    for clip, profile in enumerate(fed):
        if steps == BAR:
            axes.text((clip + 0.5) * steps, axes.get_ylim()[1], str(profile + 1), ha="center", va="bottom", fontsize=7)


def draw_nothing(axes: Axes) -> None:
    """In place of a roll, where all pieces are too much like the training pieces to be shown."""
    axes.text(0.5, 0.5, "every piece was too much like a training piece to be shown", ha="center", va="center")
    axes.set_axis_off()


def frame_of(pieces: Iterable[tuple[str, Events]]) -> pd.DataFrame:
    """The data behind a figure of notes: a row for each note."""
    return pd.DataFrame(
        [
            {"piece": name, "onset": onset, "length": length, "pitch": pitch}
            for name, piece in pieces
            for onset, length, pitch in notes_of(piece).tolist()
        ],
        columns=["piece", "onset", "length", "pitch"],
    )


def cut(piece: Events, bars: int = MOST_BARS) -> Events:
    """The beginning of a piece."""
    return piece[: BAR * bars]


def figure_guidance(
    sets: Sets, variant: str, layer: str, centres: dict[str, Floats], shown: Face, paths: Iterable[Path]
) -> None:
    """The paper's Figures 6 and 7: one melody for each hand-made sequence of beat or of bar profiles."""
    number = {"beat": 6, "bar": 7}[layer]
    found = sets.get(variant, {})
    conditions = hand_made(list(found), layer)
    title = f"{title_of(variant)} under hand-made {layer} profiles (Figure {number})"
    drawn: list[tuple[str, Events]] = []
    figure, panels = new_figure(title, shown, rows=max(1, len(conditions)), size=(8.4, 0.9 + 1.75 * len(conditions)))
    for axes, condition in zip(panels, conditions, strict=True):
        composed = found[condition]
        if len(composed.events) == 0:
            draw_nothing(axes)
            continue
        fed = composed.of(layer)[FIRST_PIECE]
        piece = cut(composed.events[FIRST_PIECE])
        own = profiles_of(piece, centres[layer])
        draw_roll(axes, piece)
        draw_told(axes, fed[: len(own)], centres[layer], own)
        as_told = f"{int(np.sum(own == fed[: len(own)]))} of {len(own)} {layer}s as told"
        axes.set_title(f"{condition_title(condition)}, repeated: {as_told}", fontsize=8, loc="left", pad=11)
        drawn.append((condition, piece))
    panels[-1].set_xlabel(f"bar  (ticks below the notes: the rhythm that is told; shaded: a {layer} that strays)")
    save_figure(figure, frame_of(drawn), paths)


def figure_tune(sets: Sets, shown: Face, paths: Iterable[Path]) -> None:
    """The paper's Figure 8: a tune, and a new melody under its beat and bar profiles."""
    original = twinkle()
    drawn = [('"Twinkle, Twinkle, Little Star"', original)]
    if TUNE in sets.get("3L", {}) and len(sets["3L"][TUNE].events):
        drawn.append(("HRNN-3L under its profiles", sets["3L"][TUNE].events[FIRST_PIECE]))
    figure, panels = new_figure("A new melody in the rhythm of a tune (Figure 8)", shown, rows=2, size=(8.4, 4.2))
    for axes, (name, piece) in zip(panels, drawn, strict=False):
        draw_roll(axes, piece)
        for step in np.flatnonzero(rhythm(piece) != rhythm(original)).tolist():
            axes.axvspan(step, step + 1, color=ASTRAY, alpha=0.5, linewidth=0, zorder=0)
        axes.set_title(name, fontsize=8, loc="left")
    for axes in panels[len(drawn) :]:
        draw_nothing(axes)
    panels[len(drawn) - 1].set_xlabel("bar  (shaded: sixteenths at which the rhythm is not the tune's)")
    save_figure(figure, frame_of(drawn), paths)


def rhythm_letters(piece: Events) -> list[str]:
    """A letter for each bar, the same for the same rhythm: the first bar is A."""
    known: dict[bytes, str] = {}
    return [
        known.setdefault(bar.tobytes(), chr(ord("A") + len(known)) if len(known) < 26 else "?")
        for bar in rhythm(piece).reshape(-1, BAR)
    ]


def figure_samples(sets: Sets, shown: Face, paths: Iterable[Path]) -> None:
    """The paper's Figure 9: the first melody of each model, with a letter for each rhythm of a bar."""
    variants = [variant for variant in ("1L", "2L", "3L") if variant in sets]
    figure, panels = new_figure(
        "The first melody of each model (Figure 9)",
        shown,
        rows=max(1, len(variants)),
        size=(8.4, 0.9 + 1.75 * len(variants)),
    )
    drawn = []
    for axes, variant in zip(panels, variants, strict=True):
        if len(sets[variant][FREE].events) == 0:
            draw_nothing(axes)
            continue
        piece = cut(sets[variant][FREE].events[FIRST_PIECE])
        draw_roll(axes, piece)
        for bar, letter in enumerate(rhythm_letters(piece)):
            axes.text(BAR * (bar + 0.5), axes.get_ylim()[0] + 0.3, letter, ha="center", va="bottom", fontsize=9,
                      fontweight="bold")  # fmt: skip
        axes.set_title(title_of(variant), fontsize=8, loc="left")
        drawn.append((title_of(variant), piece))
    panels[-1].set_xlabel("bar  (equal letters: equal rhythms)")
    save_figure(figure, frame_of(drawn), paths)


def figure_hierarchy(sets: Sets, centres: dict[str, Floats], shown: Face, paths: Iterable[Path]) -> None:
    """The paper's Figure 4, the three layers, on two bars that HRNN-3L composed."""
    composed = sets["3L"][FREE]
    figure, panels = new_figure("Three layers, on two composed bars (Figure 4)", shown, rows=3, size=(8.4, 5.4))
    if len(composed.events) == 0:
        for axes in panels:
            draw_nothing(axes)
        save_figure(figure, frame_of([]), paths)
        return
    piece = cut(composed.events[FIRST_PIECE], bars=2)
    bars, beats = composed.of("bar")[FIRST_PIECE][:2], composed.of("beat")[FIRST_PIECE][:8]
    for axes, layer, fed in ((panels[0], "bar", bars), (panels[1], "beat", beats)):
        draw_profile_boxes(axes, fed, centres[layer], layer)
    draw_roll(panels[2], piece)
    panels[2].set_xlabel("bar  (a bar profile also conditions the notes of its beats)")
    panels[2].set_ylabel("notes")
    panels[0].get_subplotspec().get_gridspec().set_height_ratios([0.5, 0.6, 1.6])  # type: ignore[union-attr]
    figure.set_layout_engine("constrained", hspace=0.12)
    figure.draw_without_rendering()  # positions, for arrows from panel to panel
    for upper, lower, steps in ((0, 1, BAR), (1, 2, BEAT)):
        below = BEAT if upper == 0 else 1
        top = panels[lower].get_ylim()[1]
        for child in range(len(piece) // below):
            start = (child * below // steps + 0.5) * steps
            end = (child + 0.5) * below
            panels[lower].annotate(
                "", xy=(end, top), xycoords="data", xytext=(start, 0), textcoords=panels[upper].transData,
                arrowprops={"arrowstyle": "->", "color": "0.35", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0},
                annotation_clip=False,
            )  # fmt: skip
    save_figure(figure, frame_of([("HRNN-3L", piece)]), paths)


def draw_profile_boxes(axes: Axes, fed: NDArray[np.integer], centres: Floats, layer: str) -> None:
    """A row of boxes, one for each profile: its number, and ticks where it wants something to happen."""
    steps = centres.shape[1]
    for place, profile in enumerate(fed):
        left = place * steps
        axes.add_patch(Rectangle((left + 0.3, 0), steps - 0.6, 1, facecolor="0.93", edgecolor="black", linewidth=0.8))
        axes.text(left + steps / 2, 0.72, f"{layer} profile {profile + 1}" if layer == "bar" else str(profile + 1),
                  ha="center", va="center", fontsize=8)  # fmt: skip
        wanted = left + np.flatnonzero(centres[profile] >= 0.5) + 0.5
        axes.vlines(wanted, 0.12, 0.45, color=TOLD, linewidth=1.6)
        if place:
            axes.annotate("", xy=(left + 0.3, 0.5), xytext=(left - 0.3, 0.5),
                          arrowprops={"arrowstyle": "->", "color": "black", "linewidth": 1.0})  # fmt: skip
    axes.set(xlim=(0, steps * len(fed)), ylim=(0, 1), xticks=[], yticks=[])
    axes.set_ylabel(f"{layer}s")
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)


FIGURES: Figures = {
    "figure-hierarchy": figure_hierarchy,
    "figure-beats": partial(figure_guidance, variant="2L", layer="beat"),
    "figure-bars": partial(figure_guidance, variant="3L", layer="bar"),
    "figure-tune": figure_tune,
    "figure-samples": figure_samples,
}


@stage
def scores(cfg: Cfg, job: Job, *, models: Inputs, generated: Inputs, profiles: Inputs, figures: Outputs) -> None:
    """All figures with notes in them: each time the first piece of the first seed, whatever it is like.

    Pieces that are too much like a training piece are not among the ``generated`` ones; where none is left, it says so.
    """
    seed = cfg["seeds"][0]
    of_each = each_of(generated, cfg["files"]["generated"])
    sets = {of["net"]: read_composed(path, seed) for path, of in reversed(of_each)}
    write_figures(FIGURES, figures, sets=sets, centres=read_centres(profiles, seed),
                  shown=one_seed(face_of(cfg, read_models(cfg, models))))  # fmt: skip


if __name__ == "__main__":
    main(scores)
