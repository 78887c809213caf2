"""One style for all figures: readable in grey, colour-blind safe, with edition, data and n on them.

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
from numpy.typing import NDArray
from PIL import Image

from tenfold.files import write_text, written_whole
from tenfold.measure.statistics import mean_interval
from tenfold.report.face import Face
from tenfold.report.named import bearing, call

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#000000", "#999999")  # Okabe and Ito
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("", (4, 1.5), (1, 1), (3, 1, 1, 1), (6, 2), (2, 2), (5, 1, 1, 1, 1, 1), (1, 2.5))
LINES = tuple((0, dashes) if dashes else "-" for dashes in DASHES)
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo", "--")
GREYS = "cividis"  # its lightness rises evenly, so that a grey print keeps the order

FACE = "tenfold-face"
FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"format": "png", "metadata": {"Software": None}},
    ".pdf": {"format": "pdf", "metadata": {"Creator": None, "Producer": None, "CreationDate": None}},
}


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
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    line = textwrap.fill(face.line(), width=int(size[0] * 17))
    figure.supxlabel(line, x=0.01, ha="left", fontsize=7, color="0.3", linespacing=1.3).set_gid(FACE)
    panels = figure.subplots(rows, columns, squeeze=False)
    return figure, list(panels.ravel())


def draw_lines(axes: Axes, frame: pd.DataFrame, *, x: str, y: str, arm: str) -> None:
    """A few points per arm, joined: the mean over the rows of equal x with its 95 % Student interval.

    Arms differ in colour, marker and dashes, in their order of appearance, and stand a little apart.
    """
    arms = _in_order(frame[arm], len(MARKERS))
    sns.pointplot(
        frame,
        x=x,
        y=y,
        hue=arm,
        hue_order=arms,
        palette=list(PALETTE[: len(arms)]),
        markers=list(MARKERS[: len(arms)]),
        linestyles=list(LINES[: len(arms)]),
        errorbar=student_ends,
        dodge=0.03 * (len(arms) - 1) if len(arms) > 1 else False,
        capsize=0.05,
        linewidth=1.3,
        markersize=5.5,
        err_kws={"linewidth": 0.9},
        native_scale=True,
        ax=axes,
    )
    axes.legend(title=None)


def draw_curves(
    axes: Axes, frame: pd.DataFrame, *, x: str, y: str, arm: str, arms: Sequence[str] | None = None
) -> None:
    """A curve of many points per arm (a history, a value per layer): the mean, in a band of its 95 % interval.

    ``arms``, where given, are those of all panels of a figure, so that each looks the same in every panel.
    """
    arms = _in_order(frame[arm], len(LINES)) if arms is None else list(arms)
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
        errorbar=student_ends,
        linewidth=1.3,
        ax=axes,
    )
    axes.legend(title=None)


def draw_bars(axes: Axes, frame: pd.DataFrame, *, x: str, y: str, arm: str, arms: Sequence[str] | None = None) -> None:
    """Grouped bars: the mean over the rows of equal x and arm, with its 95 % Student interval; arms are hatched.

    ``arms``, where given, are those of all panels of a figure, so that each looks the same in every panel.
    """
    arms = _in_order(frame[arm], len(HATCHES)) if arms is None else list(arms)
    sns.barplot(
        frame,
        x=x,
        y=y,
        hue=arm,
        hue_order=arms,
        palette=list(PALETTE[: len(arms)]),
        errorbar=student_ends,
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
    """A matrix as squares with their values; index and columns are the labels. Dark is low, on any printer."""
    sns.heatmap(
        matrix,
        annot=matrix.size <= 200,
        fmt=spec,
        vmin=low,
        vmax=high,
        cmap=GREYS,
        square=True,
        linewidths=0.5,
        annot_kws={"fontsize": 7},
        ax=axes,
    )


def share_legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """One legend beside the panels in place of one in each: every arm once, in order of appearance."""
    handles: dict[str, Any] = {}
    for axes in panels:
        if (legend := axes.get_legend()) is not None:
            texts = (text.get_text() for text in legend.get_texts())
            handles = dict(zip(texts, legend.legend_handles, strict=True)) | handles
            legend.remove()
    figure.legend(handles.values(), handles.keys(), loc="outside right center")


def student_ends(values: Sequence[float]) -> tuple[float, float]:
    """Ends of the 95 % Student interval of the mean, for seaborn's ``errorbar``; none for one value."""
    interval = mean_interval(np.asarray(values, dtype=float))
    return (interval.low, interval.high) if math.isfinite(interval.high) else (math.nan, math.nan)


def save_figure(figure: Figure, frame: pd.DataFrame, paths: Iterable[Path]) -> None:
    """Writes the figure as .png and .pdf and the data behind it as .csv, as the suffixes ask; whole or not at all.

    Raises:
        ValueError: the figure does not come from ``new_figure`` (it has no face), or a suffix is unknown.
    """
    if not figure.findobj(lambda artist: artist.get_gid() == FACE):
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
