"""One style for all figures: readable in grey, colour-blind safe, with edition, data and n on them.

What a figure draws it names below itself: what whiskers and bands are, what was published, the word on its claims.

Equal input gives equal bytes for equal matplotlib and fonts: the user's own settings are left out, and nothing
of time, version or chance enters the files.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from tenfold.files import read_json, write_text, written_whole
from tenfold.measure.statistics import mean_interval
from tenfold.report.face import Face
from tenfold.report.named import bearing, call

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#000000", "#999999")  # Okabe and Ito
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("", (4, 1.5), (1, 1), (3, 1, 1, 1), (6, 2), (2, 2), (5, 1, 1, 1, 1, 1), (1, 2.5))
LINES = tuple((0, dashes) if dashes else "-" for dashes in DASHES)
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo", "--")
GREYS = "cividis"  # its lightness rises evenly, so that a grey print keeps the order
SIGNED = "PuOr"  # light in the middle, where a number without a sign is 0

Range = tuple[float, float]
ANY: Range = (-math.inf, math.inf)
POSITIVE: Range = (0.0, math.inf)
SHARE: Range = (0.0, 1.0)
PERCENT: Range = (0.0, 100.0)

FACE = "tenfold-face"
MOST_NUMBERS = 20  # rows of a matrix whose numbers can be read
FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"format": "png", "metadata": {"Software": None}},
    ".pdf": {"format": "pdf", "metadata": {"Creator": None, "Producer": None, "CreationDate": None}},
}


Words = Mapping[str, str]  # the word on each claim, by the claim's id
Figures = Mapping[str, Callable[..., None]]  # a paper's figures by the names of their files


def write_figures(figures: Figures, paths: Sequence[Path], **given: Any) -> None:
    """Draws each figure to those of the ``paths`` that bear its name; its function gets what it names of ``given``."""
    for name, figure in figures.items():
        call(figure, {**given, "paths": bearing(name, paths)})


def new_figure(
    title: str, face: Face, *, rows: int = 1, columns: int = 1, size: tuple[float, float] = (5.6, 3.8)
) -> tuple[Figure, list[Axes]]:
    """An empty figure in the one style, with its title above and its face below.

    Args:
        title: what is shown, in a few words.
        face: edition, data, seeds, device, precision.
        rows: rows of panels.
        columns: columns of panels.
        size: width and height of the whole in inches.

    Returns:
        The figure and its panels, row by row.
    """
    _use_style()
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    heading = textwrap.fill(title, width=int(size[0] * 9.5))
    figure.suptitle(heading, x=0.01, ha="left", fontsize=11, fontweight="bold")
    below = figure.supxlabel("", x=0.01, ha="left", fontsize=7, color="0.3", linespacing=1.3)
    below.set_gid(FACE)
    add_note(figure, face.line())
    panels = figure.subplots(rows, columns, squeeze=False)
    return figure, list(panels.ravel())


def add_note(figure: Figure, note: str) -> None:
    """A line more below the figure, beside its face; the same one is said once."""
    below = _below(figure)[0]
    said, line = below.get_text(), textwrap.fill(note, width=int(figure.get_figwidth() * 17))
    if f"\n{line}\n" not in f"\n{said}\n":
        below.set_text(f"{said}\n{line}".lstrip())


def _below(figure: Figure) -> list[Any]:
    return figure.findobj(lambda artist: artist.get_gid() == FACE)


def words_of(claims: Path) -> Words:
    """The word on each claim of a ``claims.json``, as it is printed, by the claim's id."""
    return {
        claim["id"]: f"{'pipeline check: ' if claim['pipeline_check'] else ''}{claim['printed']['word']}"
        for claim in read_json(claims)["claims"]
    }


def add_words(figure: Figure, words: Words, *ids: str) -> None:
    """Names the claims that a figure shows something of, with their words."""
    for word in dict.fromkeys(words[name] for name in ids):
        same = [name for name in ids if words[name] == word]
        add_note(figure, f"{'Claim' if len(same) == 1 else 'Claims'} {', '.join(same)}: {word}")


def draw_lines(
    axes: Axes, frame: pd.DataFrame, *, x: str, y: str, arm: str, within: Range = ANY, joined: bool = True
) -> None:
    """A few points per arm, joined: the mean over the rows of equal x with its 95 % Student interval.

    Arms differ in colour, marker and dashes, in their order of appearance, and stand a little apart. ``within`` is what
    y can be; points of categories, which have no order, are not ``joined``.
    """
    arms = _in_order(frame[arm], len(MARKERS))
    _name_interval(axes, "Whiskers", frame, [x, arm], within)
    sns.pointplot(
        frame,
        x=x,
        y=y,
        hue=arm,
        hue_order=arms,
        palette=list(PALETTE[: len(arms)]),
        markers=list(MARKERS[: len(arms)]),
        linestyles=list(LINES[: len(arms)]) if joined else "none",
        errorbar=_ends_within(within),
        dodge=(0.03 if joined else 0.3) * (len(arms) - 1) if len(arms) > 1 else False,
        capsize=0.05,
        linewidth=1.3,
        markersize=5.5,
        err_kws={"linewidth": 0.9},
        native_scale=True,
        ax=axes,
    )
    axes.legend(title=None)


def draw_curves(
    axes: Axes, frame: pd.DataFrame, *, x: str, y: str, arm: str, arms: Sequence[str] | None = None, within: Range = ANY
) -> None:
    """A curve of many points per arm (a history, a value per layer): the mean, in a band of its 95 % interval.

    ``arms``, where given, are those of all panels of a figure, so that each looks the same in every panel; ``within``
    is what y can be.
    """
    arms = _in_order(frame[arm], len(LINES)) if arms is None else list(arms)
    _name_interval(axes, "Bands", frame, [x, arm], within)
    sns.lineplot(
        frame,
        x=x,
        y=y,
        hue=arm,
        style=arm,
        hue_order=arms,
        style_order=arms,
        palette=list(PALETTE[: len(arms)]),
        dashes=list(DASHES[: len(arms)]),
        errorbar=_ends_within(within),
        linewidth=1.3,
        ax=axes,
    )
    axes.legend(title=None)


def draw_bars(
    axes: Axes, frame: pd.DataFrame, *, x: str, y: str, arm: str, arms: Sequence[str] | None = None, within: Range = ANY
) -> None:
    """Grouped bars: the mean over the rows of equal x and arm, with its 95 % Student interval; arms are hatched.

    ``arms``, where given, are those of all panels of a figure, so that each looks the same in every panel; ``within``
    is what y can be.
    """
    arms = _in_order(frame[arm], len(HATCHES)) if arms is None else list(arms)
    _name_interval(axes, "Whiskers", frame, [x, arm], within)
    sns.barplot(
        frame,
        x=x,
        y=y,
        hue=arm,
        hue_order=arms,
        palette=list(PALETTE[: len(arms)]),
        errorbar=_ends_within(within),
        capsize=0.25,
        err_kws={"color": "0.15", "linewidth": 1.0},
        edgecolor="white",
        saturation=1,
        legend=False,
        ax=axes,
    )
    for bars, hatch in zip(axes.containers, HATCHES, strict=False):
        for bar in bars:
            bar.set_hatch(hatch)
    axes.legend(axes.containers, arms, title=None)


def draw_points(axes: Axes, frame: pd.DataFrame, *, x: str, y: str, arm: str) -> None:
    """One point per row; arms differ in colour and marker."""
    arms = _in_order(frame[arm], len(MARKERS))
    sns.scatterplot(
        frame,
        x=x,
        y=y,
        hue=arm,
        style=arm,
        hue_order=arms,
        style_order=arms,
        palette=list(PALETTE[: len(arms)]),
        markers=list(MARKERS[: len(arms)]),
        s=36,
        ax=axes,
    )
    axes.legend(title=None)


def draw_matrix(axes: Axes, matrix: pd.DataFrame, *, spec: str = ".2f", low: float, high: float) -> None:
    """A matrix as squares with their values; index and columns are the labels.

    Dark is low, on any printer; where numbers have both signs, dark is far from 0 and the sign is the colour.
    """
    signed, size = low < 0 < high, len(matrix)
    far = max(-low, high)
    sns.heatmap(
        matrix,
        annot=size <= MOST_NUMBERS,
        fmt=spec,
        vmin=-far if signed else low,
        vmax=far if signed else high,
        cmap=SIGNED if signed else GREYS,
        square=True,
        linewidths=0.5,
        annot_kws={"fontsize": 7 if size <= MOST_NUMBERS // 2 else 5},
        ax=axes,
    )


def draw_published(axes: Axes, x: Any, y: Any, label: str = "published", *, joined: bool = False) -> None:
    """Published values as hollow diamonds, like those of no arm of ours."""
    style = "D:" if joined else "D"
    (marks,) = axes.plot(x, y, style, color="black", markerfacecolor="white", markersize=6, zorder=5,
                          clip_on=False, label=label)  # fmt: skip
    if (legend := axes.get_legend()) is not None:
        texts = [*(text.get_text() for text in legend.get_texts()), label]
        handles: list[Any] = [*legend.legend_handles, marks]
        axes.legend(handles, texts, title=legend.get_title().get_text() or None)


def tick_at_integers(axes: Axes) -> None:
    """Ticks of the horizontal axis at whole numbers alone: layers, epochs."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def share_legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """One legend beside the panels in place of one in each: every arm once, in order of appearance."""
    handles: dict[str, Any] = {}
    for axes in panels:
        if (legend := axes.get_legend()) is not None:
            texts = (text.get_text() for text in legend.get_texts())
            handles = dict(zip(texts, legend.legend_handles, strict=True)) | handles
            legend.remove()
    figure.legend(handles.values(), handles.keys(), loc="outside right center")


def student_ends(values: ArrayLike) -> tuple[float, float]:
    """Ends of the 95 % Student interval of the mean, for seaborn's ``errorbar``; none for one value."""
    interval = mean_interval(np.asarray(values, dtype=float))
    return (interval.low, interval.high) if math.isfinite(interval.high) else (math.nan, math.nan)


def cut(ends: ArrayLike, within: Range) -> NDArray[np.float64]:
    """Ends of intervals (last axis: low, high), cut at what is possible; those that are not there (nan) stay so."""
    return np.clip(np.asarray(ends, dtype=float), *within)


def _ends_within(within: Range) -> Callable[[ArrayLike], tuple[float, float]]:
    def ends(values: ArrayLike) -> tuple[float, float]:
        low, high = cut(student_ends(values), within)
        return float(low), float(high)

    return ends


def _name_interval(axes: Axes, marks: str, frame: pd.DataFrame, by: Sequence[str], within: Range) -> None:
    """Says below the figure what whiskers or bands are; nothing where single values have none."""
    counts = frame.groupby(list(by), sort=False).size()
    if counts.empty or counts.max() < 2:
        return
    of_seeds = "seed" in frame and not frame.duplicated([*by, "seed"]).any()
    n = " to ".join(map(str, dict.fromkeys((counts.min(), counts.max()))))
    bounds = " and ".join(f"{end:g}" for end in within if math.isfinite(end))
    said = f"{marks}: 95 % Student-t interval over {n} {'seeds' if of_seeds else 'values'}"
    figure = axes.get_figure(root=True)
    assert figure is not None
    add_note(figure, f"{said}, cut at {bounds}" if bounds else said)


def save_figure(figure: Figure, frame: pd.DataFrame, paths: Iterable[Path]) -> None:
    """Writes the figure as .png and .pdf and the data behind it as .csv, as the suffixes ask; whole or not at all.

    Raises:
        ValueError: the figure does not come from ``new_figure`` (it has no face), or a suffix is unknown.
    """
    if not _below(figure):
        raise ValueError("a figure must say its edition, data and n: begin it with new_figure")
    for path in paths:
        if path.suffix == ".csv":
            write_text(path, frame.to_csv(index=False, lineterminator="\n"))
        elif path.suffix in FORMATS:
            with written_whole(path) as partial:
                figure.savefig(partial, **FORMATS[path.suffix])
                if path.suffix == ".png":
                    _with_few_colours(partial)
        else:
            raise ValueError(f"{path}: a figure is written as .png, .pdf or .csv")


def _with_few_colours(picture: Path) -> None:
    """Writes a PNG anew with a palette: drawings have few colours, and what is on record has to be small."""
    with Image.open(picture) as image:
        dots = image.info["dpi"]
        reduced = image.convert("RGB").quantize(256)
    reduced.save(picture, "PNG", optimize=True, dpi=dots)


def _in_order(values: pd.Series[Any], most: int) -> list[Any]:
    """The distinct values in their order of appearance, of which a figure can tell so many apart."""
    distinct: NDArray[Any] = values.unique()
    if len(distinct) > most:
        raise ValueError(f"{len(distinct)} arms in one panel: {most} can be told apart")
    return list(distinct)


def _use_style() -> None:
    mpl.rcdefaults()
    sns.set_theme(
        context="paper",
        style="whitegrid",
        palette=PALETTE,
        rc={
            "font.family": "DejaVu Sans",  # comes with matplotlib
            "axes.edgecolor": "0.3",
            "grid.color": "0.88",
            "legend.frameon": False,
            "hatch.linewidth": 0.6,
            "savefig.dpi": 160,
            "svg.hashsalt": "tenfold",
            "pdf.fonttype": 42,
        },
    )
