"""The figures of SKNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.papers.sknet.report.results import Arms, Attention, main_net, read_arms, read_attention
from tenfold.report.arms import face_of
from tenfold.report.face import Face
from tenfold.report.figures import (
    HATCHES,
    PALETTE,
    PERCENT,
    SHARE,
    Figures,
    Words,
    add_note,
    add_words,
    cut,
    draw_lines,
    draw_points,
    draw_published,
    new_figure,
    save_figure,
    share_legend,
    student_ends,
    words_of,
    write_figures,
)

MOST_CLASSES = 20  # whose intervals can be told apart


def times(scale: float) -> str:
    """``1.5`` -> ``1.5x``."""
    return f"{scale:.1f}x"


def middle_unit(read: Attention) -> str:
    """The last unit of the second stage, as SK_3_4 in the paper."""
    return read.shown[1]


def figure_attention(cfg: Cfg, read: Attention, words: Words, shown: Face, paths: Outputs) -> None:
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
    figure, (left, right) = new_figure(title, shown, columns=2, size=(10.2, 3.9))
    draw_lines(left, curve[curve["seed"] == first], x="channels", y="value", arm="scale", within=SHARE)
    left.set(title=f"attention for the larger kernel in {unit}, seed {first}", ylabel="mean over test images")
    left.set(xlabel=f"group of channels, {len(curve['channels'].unique())} in all")
    draw_bars_with_deviation(right, bars, [times(scale) for scale in scales])
    right.set(title="D: attention for the larger less the smaller kernel", ylabel="D, mean over channels and images")
    of_paper = cfg["published"]["attention"]
    published = [(unit, values) for unit in read.shown for name, values in of_paper["units"].items()
                 if same_stage(name, unit) and of_paper["scales"] == scales]  # fmt: skip
    if published:
        places = [place for unit, _ in published for place in bar_places(read.shown.index(unit), len(scales))]
        draw_published(right, places, [value for _, values in published for value in values],
                       "published, last\nunit of the stage")  # fmt: skip
    right.legend(loc="upper left", bbox_to_anchor=(1, 1))
    add_words(figure, words, "C9")
    save_figure(figure, pd.concat([curve, bars]), paths)


def draw_bars_with_deviation(axes: Axes, bars: pd.DataFrame, scales: Sequence[str]) -> None:
    """Grouped bars by unit and scale: means over seeds of D, whiskers of its standard deviation over images."""
    units = list(dict.fromkeys(bars["unit"]))
    width = 0.8 / len(scales)
    for index, scale in enumerate(scales):
        means = bars[bars["scale"] == scale].groupby("unit", sort=False)[["value", "sd"]].mean().loc[units]
        places = [bar_places(unit, len(scales))[index] for unit in range(len(units))]
        axes.bar(
            places, means["value"], width, yerr=means["sd"], capsize=3, color=PALETTE[index], hatch=HATCHES[index],
            edgecolor="white", error_kw={"ecolor": "0.15", "elinewidth": 0.9}, label=scale,
        )  # fmt: skip
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.set_xticks(range(len(units)), units)
    axes.grid(visible=False, axis="x")
    axes.legend(title=None, loc="upper left", bbox_to_anchor=(1, 1))
    figure = axes.get_figure(root=True)
    assert figure is not None
    add_note(figure, "D: whiskers are the standard deviation over images, not over seeds")


def bar_places(unit: int, scales: int) -> list[float]:
    """Where the bars of a unit stand, one for each scale."""
    return [unit + (index - (scales - 1) / 2) * 0.8 / scales for index in range(scales)]


def same_stage(unit: str, other: str) -> bool:
    """``SK_2_3`` and ``SK_2_2``."""
    return unit.rpartition("_")[0] == other.rpartition("_")[0]


def figure_classes(cfg: Cfg, read: Attention, words: Words, shown: Face, paths: Outputs) -> None:
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
    figure, panels = new_figure(title, shown, columns=len(read.shown), size=(3.1 * len(read.shown) + 0.8, 3.6))
    for axes, unit in zip(panels, read.shown, strict=True):
        of_unit = frame[frame["unit"] == unit]
        if frame["class"].nunique() <= MOST_CLASSES:
            draw_lines(axes, of_unit, x="class", y="difference", arm="scale", within=(-1, 1), joined=False)
            axes.set_xticks(sorted(of_unit["class"].unique()))
        else:
            means = of_unit.groupby(["scale", "class"], sort=False)["difference"].mean().reset_index()
            draw_points(axes, means, x="class", y="difference", arm="scale")
        axes.axhline(0, color="0.3", linewidth=0.8)
        axes.set(title=unit, xlabel="class", ylabel="D" if axes is panels[0] else "")
    share_legend(figure, panels)
    add_note(
        figure, "D: attention for the larger kernel minus that for the smaller, mean over channels and a class's images"
    )
    add_words(figure, words, "C9-classes")
    save_figure(figure, frame, paths)


def kind_of(arm: str) -> str:
    """What an arm is, in the words of a legend."""
    if arm.endswith("-sk"):
        return "attention"
    if arm.endswith("-sum"):
        return "plain sum"
    return {"se": "squeeze-and-excitation"}.get(arm, "one branch" if arm[0] == "k" else "one branch, larger net")


def figure_cost(cfg: Cfg, arms: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """After the paper's Figure 2: error against the number of parameters, for all arms of one net."""
    net = main_net(cfg)
    frame = pd.DataFrame(
        {"arm": arm.name, "kind": kind_of(arm.name), "seed": seed, "params": arm.facts["params"], "error": error}
        for (of, _), arm in arms.items()
        if of == net
        for seed, error in arm.error.items()
    )
    means = frame.groupby(["arm", "kind", "params"], sort=False)["error"].mean().reset_index()
    means["place"] = side_by_side(means["params"])
    figure, (axes,) = new_figure(f"Error and size of all arms, {net} (after Figure 2)", shown, size=(8.4, 5.0))
    draw_points(axes, means, x="place", y="error", arm="kind")
    errors = {arm: of_arm["error"].tolist() for arm, of_arm in frame.groupby("arm")}
    places = means.sort_values("place")
    for number, (arm, place) in enumerate(zip(places["arm"], places["place"], strict=True)):
        low, high = cut(student_ends(errors[arm]), PERCENT) if len(errors[arm]) > 1 else errors[arm] * 2
        axes.plot([place, place], [low, high], "-", color="0.45", linewidth=0.9, zorder=0.9)
        side: dict[str, Any] = {"va": "bottom", "xytext": (0, 4)} if number % 2 else {"va": "top", "xytext": (0, -4)}
        axes.annotate(arm, (place, high if number % 2 else low), textcoords="offset points", ha="center",
                      fontsize=6.5, rotation=90, **side)  # fmt: skip
    axes.set(xlabel="parameters", ylabel="top-1 error [%]")
    axes.margins(x=0.05, y=0.2)
    axes.legend(title=None, loc="upper left", bbox_to_anchor=(1, 1))
    if frame["seed"].nunique() > 1:
        add_note(figure, f"Whiskers: 95 % Student-t interval over {frame['seed'].nunique()} seeds")
    add_note(figure, "Arms of equal or nearly equal size stand side by side, around it")
    add_words(figure, words, "C1", "C2", "C8", "C10-k3")
    save_figure(figure, frame, paths)


def side_by_side(sizes: pd.Series[int]) -> pd.Series[float]:
    """Places of sizes: those that markers would cover are moved apart, around their mean."""
    step, ordered = 0.022 * (sizes.max() - sizes.min()), sizes.sort_values(kind="stable")
    cluster = (ordered.diff() > step).cumsum()
    of_cluster = ordered.groupby(cluster)
    rank, count = of_cluster.cumcount(), of_cluster.transform("size")
    return of_cluster.transform("mean") + step * (rank - (count - 1) / 2)


FIGURES: Figures = {
    "figure-attention": figure_attention,
    "figure-classes": figure_classes,
    "figure-cost": figure_cost,
}


@stage
def figures(cfg: Cfg, job: Job, *, arms: Inputs, attention: Inputs, claims: Input, figures: Outputs) -> None:
    """All figures, each with the CSV behind it."""
    found = read_arms(cfg, arms)
    read = read_attention(attention)
    write_figures(FIGURES, figures, cfg=cfg, arms=found, read=read, words=words_of(claims),
                  shown=face_of(cfg, found))  # fmt: skip


if __name__ == "__main__":
    main(figures)
