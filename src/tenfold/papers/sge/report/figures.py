"""The figures of SGE that are drawn from numbers; that of maps is drawn in `tenfold.papers.sge.report.draw_maps`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tenfold.launcher import Cfg, Inputs, Job, Outputs, main, stage
from tenfold.papers.sge.grid import first_net
from tenfold.papers.sge.report.results import Statistics, group_arms, read_arms, read_statistics
from tenfold.report.arms import Arms, face_of
from tenfold.report.face import Face
from tenfold.report.figures import HATCHES, LINES, PALETTE, Figures, draw_lines, new_figure, save_figure, write_figures


def figure_lengths(statistics: Statistics, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 3: the first group's lengths in the last block, of all test images and positions."""
    seed, row = next(iter(sorted(statistics.rows.items())))
    histogram = row["histogram"]
    edges = np.array(histogram["edges"])
    one_seed = Face(shown.edition, shown.data, 1, shown.device, shown.precision)
    figure, panels = new_figure(f"First group, last block, seed {seed} (Figure 3)", one_seed)
    for name, color, line, fill in (("before", PALETTE[0], LINES[0], 0.35), ("after", PALETTE[1], LINES[1], 0.0)):
        label = "before SGE" if name == "before" else "behind SGE"
        panels[0].stairs(histogram[name], edges, fill=fill > 0, alpha=fill or None, color=color)
        panels[0].stairs(histogram[name], edges, color=color, linestyle=line, linewidth=1.3, label=label)
    panels[0].set(xlabel="length of the group's vector", ylabel="positions of test images")
    panels[0].legend()
    frame = pd.DataFrame(
        {"from": edges[:-1], "to": edges[1:], "before": histogram["before"], "after": histogram["after"]}
    )
    save_figure(figure, frame, paths)


def figure_variance(statistics: Statistics, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 4: variance over positions for each group of the last block, before and behind SGE."""
    frame = pd.DataFrame(
        {"group": group["group"], "when": label, "seed": seed, "variance": group[f"variance_{name}"],
         "sd over images": group[f"variance_{name}_sd"]}
        for seed, row in statistics.rows.items()
        for group in row["groups"]
        for name, label in (("before", "before SGE"), ("after", "behind SGE"))
    )  # fmt: skip
    means = frame.groupby(["when", "group"], sort=False)[["variance", "sd over images"]].mean()
    groups = frame["group"].unique()
    size = (max(5.6, 0.16 * len(groups)), 3.8)
    figure, panels = new_figure("Activation variance of groups, last block (Figure 4)", shown, size=size)
    for shift, color, hatch, label in zip((-0.2, 0.2), PALETTE, HATCHES, frame["when"].unique(), strict=False):
        bars = means.loc[label]
        panels[0].bar(
            groups + shift, bars["variance"], 0.4, yerr=bars["sd over images"], label=label, color=color,
            hatch=hatch, edgecolor="white", error_kw={"ecolor": "0.15", "elinewidth": 0.8, "capsize": 1.5},
        )  # fmt: skip
    panels[0].set_xticks(groups if len(groups) <= 16 else groups[7::8])
    panels[0].set(xlabel="group", ylabel="variance over positions\n(bars: mean over images, lines: sd)")
    panels[0].set_ylim(bottom=0)
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    save_figure(figure, frame, paths)


def figure_groups(cfg: Cfg, arms: Arms, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 5: accuracy against the number of groups."""
    frame = pd.DataFrame(
        {"net": first_net(cfg), "groups": groups, "position": place, "seed": seed, "accuracy": value}
        for place, (groups, arm) in enumerate(group_arms(cfg, arms))
        for seed, value in arm.accuracy.items()
    )
    figure, panels = new_figure("Accuracy by number of groups (Figure 5)", shown)
    draw_lines(panels[0], frame, x="position", y="accuracy", arm="net")
    labels = [str(groups) for groups, _ in group_arms(cfg, arms)]
    panels[0].set_xticks(range(len(labels)), labels)
    panels[0].set(xlabel="groups", ylabel="test accuracy [%]")
    save_figure(figure, frame, paths)


FIGURES: Figures = {
    "figure-lengths": figure_lengths,
    "figure-variance": figure_variance,
    "figure-groups": figure_groups,
}


@stage
def figures(cfg: Cfg, job: Job, *, arms: Inputs, statistics: Inputs, figures: Outputs) -> None:
    """All figures, each with the CSV behind it."""
    found = read_arms(cfg, arms)
    features = read_statistics(statistics)
    write_figures(FIGURES, figures, cfg=cfg, arms=found, statistics=features, shown=face_of(cfg, found))


if __name__ == "__main__":
    main(figures)
