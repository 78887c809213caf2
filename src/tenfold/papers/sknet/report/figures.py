"""The figures of SKNet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from tenfold.launcher import Cfg, Inputs, Job, Outputs, main, stage
from tenfold.papers.sknet.report.results import Arms, Attention, main_net, read_arms, read_attention
from tenfold.report.arms import face_of
from tenfold.report.face import Face
from tenfold.report.figures import (
    HATCHES,
    PALETTE,
    Figures,
    draw_curves,
    draw_lines,
    draw_points,
    new_figure,
    save_figure,
    write_figures,
)


def times(scale: float) -> str:
    """``1.5`` -> ``1.5x``."""
    return f"{scale:.1f}x"


def middle_unit(read: Attention) -> str:
    """The last unit of the second stage, as SK_3_4 in the paper."""
    return read.shown[1]


def figure_attention(cfg: Cfg, read: Attention, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 3 (c): attention for the larger kernel in one unit, and D of units, at three scales.

    Channels of nets of other seeds have nothing to do with each other, so the curve is the first seed's.
    """
    scales, first = cfg["attention"]["scales"], cfg["seeds"][0]
    unit = middle_unit(read)
    curve = pd.DataFrame(
        {"what": "attention", "unit": unit, "scale": times(scale), "seed": seed, "channels": point, "value": value}
        for scale in scales
        for seed, row in read.rows[unit][scale].items()
        for point, value in enumerate(row["curve"])
    )
    bars = pd.DataFrame(
        {"what": "difference", "unit": shown_unit, "scale": times(scale), "seed": seed, "value": row["difference"],
         "sd": row["sd"]}
        for shown_unit in read.shown
        for scale in scales
        for seed, row in read.rows[shown_unit][scale].items()
    )  # fmt: skip
    title = f"Attention against the scale of objects, {cfg['attention']['arm']} (Figure 3)"
    figure, (left, right) = new_figure(title, shown, columns=2, size=(9.2, 3.9))
    draw_lines(left, curve[curve["seed"] == first], x="channels", y="value", arm="scale")
    left.set(title=f"attention for the larger kernel in {unit}, seed {first}", ylabel="mean over test images")
    left.set(xlabel=f"group of channels, {len(curve['channels'].unique())} in all")
    draw_bars_with_deviation(right, bars, [times(scale) for scale in scales])
    right.set(title="mean attention difference, larger - smaller kernel", ylabel="D; whiskers: sd over images")
    save_figure(figure, pd.concat([curve, bars]), paths)


def draw_bars_with_deviation(axes: Axes, bars: pd.DataFrame, scales: Sequence[str]) -> None:
    """Grouped bars by unit and scale: means over seeds of D, whiskers of its standard deviation over images."""
    units = list(dict.fromkeys(bars["unit"]))
    width = 0.8 / len(scales)
    for index, scale in enumerate(scales):
        means = bars[bars["scale"] == scale].groupby("unit", sort=False)[["value", "sd"]].mean().loc[units]
        places = np.arange(len(units)) + (index - (len(scales) - 1) / 2) * width
        axes.bar(
            places, means["value"], width, yerr=means["sd"], capsize=3, color=PALETTE[index], hatch=HATCHES[index],
            edgecolor="white", error_kw={"ecolor": "0.15", "elinewidth": 0.9}, label=scale,
        )  # fmt: skip
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.set_xticks(range(len(units)), units)
    axes.grid(visible=False, axis="x")
    axes.legend(title=None)


def figure_classes(cfg: Cfg, read: Attention, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 4: D of each class at the first two scales, in the last unit of each stage."""
    scales = cfg["attention"]["scales"][:2]
    frame = pd.DataFrame(
        {"unit": unit, "scale": times(scale), "seed": seed, "class": int(label), "difference": value}
        for unit in read.shown
        for scale in scales
        for seed, row in read.rows[unit][scale].items()
        for label, value in row["classes"].items()
    )
    title = f"Attention by class, {cfg['attention']['arm']} (Figure 4)"
    figure, panels = new_figure(title, shown, columns=len(read.shown), size=(3.1 * len(read.shown), 3.4))
    draw = draw_lines if frame["class"].nunique() <= 20 else draw_curves
    for axes, unit in zip(panels, read.shown, strict=True):
        draw(axes, frame[frame["unit"] == unit], x="class", y="difference", arm="scale")
        axes.set(title=unit, xlabel="class", ylabel="D" if axes is panels[0] else "")
        axes.legend().remove()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="upper right", ncols=2)
    save_figure(figure, frame, paths)


def kind_of(arm: str) -> str:
    """What an arm is, in the words of a legend."""
    if arm.endswith("-sk"):
        return "attention"
    if arm.endswith("-sum"):
        return "plain sum"
    return {"se": "squeeze-and-excitation"}.get(arm, "one branch" if arm[0] == "k" else "one branch, larger net")


def figure_cost(cfg: Cfg, arms: Arms, shown: Face, paths: Outputs) -> None:
    """After the paper's Figure 2: error against the number of parameters, for all arms of one net."""
    net = main_net(cfg)
    frame = pd.DataFrame(
        {"arm": arm.name, "kind": kind_of(arm.name), "seed": seed, "params": arm.facts["params"], "error": error}
        for (of, _), arm in arms.items()
        if of == net
        for seed, error in arm.error.items()
    )
    means = frame.groupby(["arm", "kind", "params"], sort=False)["error"].mean().reset_index()
    figure, (axes,) = new_figure(f"Error and size of all arms, {net} (after Figure 2)", shown, size=(6.6, 4.2))
    draw_points(axes, means, x="params", y="error", arm="kind")
    name_points(axes, means[["params", "error"]].to_numpy(), means["arm"])
    axes.set(xlabel="parameters", ylabel="mean top-1 error [%]")
    axes.margins(x=0.15)
    save_figure(figure, frame, paths)


def name_points(axes: Axes, points: NDArray[np.float64], names: Iterable[str]) -> None:
    """Names right above points, or right below where a point that has its name already is near."""
    span = np.ptp(points, axis=0)
    for place, (point, name) in enumerate(zip(points, names, strict=True)):
        near = (np.abs(points[:place] - point) < (0.1 * span[0], 0.04 * span[1])).all(axis=1).any()
        axes.annotate(name, point, xytext=(4, -9 if near else 4), textcoords="offset points", fontsize=6.5)


FIGURES: Figures = {
    "figure-attention": figure_attention,
    "figure-classes": figure_classes,
    "figure-cost": figure_cost,
}


@stage
def figures(cfg: Cfg, job: Job, *, arms: Inputs, attention: Inputs, figures: Outputs) -> None:
    """All figures, each with the CSV behind it."""
    found = read_arms(cfg, arms)
    read = read_attention(attention)
    write_figures(FIGURES, figures, cfg=cfg, arms=found, read=read, shown=face_of(cfg, found))


if __name__ == "__main__":
    main(figures)
