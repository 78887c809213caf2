"""The figures of SGE that are drawn from numbers; that of maps is drawn in `tenfold.papers.sge.report.draw_maps`."""

from __future__ import annotations

from statistics import mean

import numpy as np
import pandas as pd

from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.papers.sge.grid import first_net
from tenfold.papers.sge.report.results import Statistics, arms_of, group_arms, read_arms, read_statistics
from tenfold.report.arms import Arms, face_of, minus
from tenfold.report.face import Face
from tenfold.report.figures import (
    HATCHES,
    LINES,
    PALETTE,
    POSITIVE,
    Figures,
    Words,
    add_note,
    add_words,
    cut,
    draw_lines,
    draw_published,
    new_figure,
    save_figure,
    words_of,
    write_figures,
)

FIRST_CHANNELS, PLAIN = 256, ("resnet50", "plain")  # of the paper's net in Figure 5: its first stage, and without SGE


def figure_lengths(statistics: Statistics, words: Words, shown: Face, paths: Outputs) -> None:
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
    add_words(figure, words, "C8-tail")
    frame = pd.DataFrame(
        {"from": edges[:-1], "to": edges[1:], "before": histogram["before"], "after": histogram["after"]}
    )
    save_figure(figure, frame, paths)


def figure_variance(cfg: Cfg, statistics: Statistics, words: Words, shown: Face, paths: Outputs) -> None:
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
    beside = groups.max() + 0.06 * len(groups) + 0.8
    of_paper = next(row for row in cfg["published"]["statistics"] if row["quantity"] == "activation variance")
    for shift, color, hatch, label in zip((-0.2, 0.2), PALETTE, HATCHES, frame["when"].unique(), strict=False):
        bars = means.loc[label]
        variance, sd = bars["variance"].to_numpy(), bars["sd over images"].to_numpy()
        low, high = cut(np.stack([variance - sd, variance + sd], axis=-1), POSITIVE).T
        panels[0].bar(
            groups + shift, variance, 0.4, yerr=(variance - low, high - variance), label=label, color=color,
            hatch=hatch, edgecolor="white", error_kw={"ecolor": "0.15", "elinewidth": 0.8, "capsize": 1.5},
        )  # fmt: skip
    width = 0.02 * len(groups) + 0.12
    draw_published(panels[0], [beside - width, beside + width], [of_paper["before"], of_paper["after"]],
                   "published: before and behind, mean over groups")  # fmt: skip
    add_note(
        figure,
        "Bars: mean over test images, then over seeds; whiskers: standard deviation over test images, not over seeds",
    )
    add_words(figure, words, "C8")
    panels[0].set_xticks(groups if len(groups) <= 16 else groups[7::8])
    panels[0].set(xlabel="group", ylabel="variance over positions")
    panels[0].set_ylim(bottom=0)
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=7)
    save_figure(figure, frame, paths)


def figure_groups(cfg: Cfg, arms: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 5, as gain over the plain net: by channels a group of the first stage, ours and published."""
    net, ours = first_net(cfg), group_arms(cfg, arms)
    plain = arms_of(arms, net)["plain"].accuracy
    of_paper = {FIRST_CHANNELS // row["groups"]: row["top1"] for row in cfg["published"]["groups"]}
    without = next(row["top1"] for row in cfg["published"]["imagenet"] if (row["net"], row["arm"]) == PLAIN)
    channels = sorted({*(cfg["first_channels"] // groups for groups, _ in ours), *of_paper}, reverse=True)
    frame = pd.DataFrame(
        {"net": net, "groups": groups, "position": channels.index(cfg["first_channels"] // groups), "seed": seed,
         "accuracy": arm.accuracy[seed], "gain": gain}
        for groups, arm in ours
        for seed, gain in minus(arm.accuracy, plain).items()
    )  # fmt: skip
    title = "Gain over the plain net by number of groups (Figure 5)"
    figure, (axes,) = new_figure(title, shown, size=(6.2, 4.4))
    draw_lines(axes, frame, x="position", y="gain", arm="net")
    draw_published(axes, [channels.index(each) for each in of_paper], [top1 - without for top1 in of_paper.values()],
                   "published, SGE-ResNet-50 on ImageNet", joined=True)  # fmt: skip
    axes.axhline(0, color="0.2", linewidth=1)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8)
    known = {cfg["first_channels"] // groups: groups for groups, _ in ours}
    labels = [f"{each}\n({known[each]})" if each in known else f"{each}" for each in channels]
    axes.set_xticks(range(len(channels)), labels)
    axes.set(
        xlabel="channels a group in the first stage (groups of ours)",
        ylabel="test accuracy less the plain net's\n[points], paired by seed",
    )
    add_note(figure, f"The line at 0 is the plain net: {mean(plain.values()):.2f} % here, {without:g} % in the paper")
    add_words(figure, words, "C7-groups")
    save_figure(figure, frame, paths)


FIGURES: Figures = {
    "figure-lengths": figure_lengths,
    "figure-variance": figure_variance,
    "figure-groups": figure_groups,
}


@stage
def figures(cfg: Cfg, job: Job, *, arms: Inputs, statistics: Inputs, claims: Input, figures: Outputs) -> None:
    """All figures, each with the CSV behind it."""
    found = read_arms(cfg, arms)
    features = read_statistics(statistics)
    write_figures(FIGURES, figures, cfg=cfg, arms=found, statistics=features,
                  words=words_of(claims), shown=face_of(cfg, found))  # fmt: skip


if __name__ == "__main__":
    main(figures)
