"""The figures of Pruning from Scratch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.papers.pruning_from_scratch.grid import RANDOM_INIT
from tenfold.papers.pruning_from_scratch.report.results import Arms, Structures, alike, read_arms, read_structures
from tenfold.papers.pruning_from_scratch.report.tables import percent
from tenfold.report.arms import each_of, face_of
from tenfold.report.face import Face
from tenfold.report.figures import (
    SHARE,
    Figures,
    Words,
    add_note,
    add_words,
    draw_lines,
    draw_matrix,
    draw_points,
    new_figure,
    save_figure,
    tick_at_integers,
    words_of,
    write_figures,
)

SHORT = {
    "full": "full",
    "pruned": "random\nweights",
    "pretrained": "pre-trained\nweights",
    "uniform": "uniform",
    "random": "random\nstructure",
    "scratch-b": "Scratch-B",
    "chosen": "chosen",
}
AT_LEAST_ONE = (1.0, np.inf)  # channel that is kept of a layer
QUANTILES = {"gate_q00": 0, "gate_q05": 5, "gate_q25": 25, "gate_q50": 50, "gate_q75": 75, "gate_q95": 95,
             "gate_q100": 100}  # fmt: skip


def figure_accuracy(arms: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """Test accuracy of every arm, one point a seed, by where its structure comes from."""
    frame = pd.DataFrame(
        {"net": arm.net, "structure": SHORT[arm.kind], "saved": percent(arm.ratio), "seed": seed, "accuracy": value}
        for arm in arms.values()
        for seed, value in arm.accuracy.items()
    )
    nets = list(frame["net"].unique())
    size = (max(6.4, 3.2 * len(nets)), 4.0)
    figure, panels = new_figure("Accuracy by origin of the structure", shown, columns=len(nets), size=size)
    for axes, net in zip(panels, nets, strict=True):
        draw_points(axes, frame[frame["net"] == net], x="structure", y="accuracy", arm="saved")
        axes.set(title=net, xlabel="", ylabel="test accuracy [%]")
        axes.legend(title="MACs to save")
    add_words(figure, words, "C1", "C1-uniform", "C1-random")
    save_figure(figure, frame, paths)


def figure_correlation(cfg: Cfg, structures: Structures, words: Words, shown: Face, paths: Outputs) -> None:
    """Correlation matrix of the structures at one budget: random inits first, then checkpoints by epoch."""
    net = next(iter(cfg["nets"]))
    ratio = 0.5
    rows = {f"init {seed}": row for seed, row in structures.rows[net, RANDOM_INIT][ratio].items()}
    for name in structures.checkpoints(net):
        epoch = name.removeprefix("pretrained-e")
        for seed, row in structures.rows[net, name][ratio].items():
            rows[f"run {seed}, epoch {epoch}"] = row
    matrix = pd.DataFrame({a: {b: alike(rows[a], rows[b]) for b in rows} for a in rows})
    figure, panels = new_figure(f"Correlation of pruned structures, {net}, p = {ratio}", shown, size=(7.4, 7.0))
    draw_matrix(panels[0], matrix, low=float(np.nanmin(matrix.to_numpy())), high=1.0)
    panels[0].tick_params(labelsize=6)
    panels[0].tick_params(axis="y", labelrotation=0)
    add_words(figure, words, "C2")
    save_figure(figure, matrix.reset_index(names="structure"), paths)


def figure_channels(cfg: Cfg, structures: Structures, shown: Face, paths: Outputs) -> None:
    """Channels of each layer: learned on random weights, against the uniform and random structures."""
    net = next(iter(cfg["nets"]))
    ratio = 0.5
    names = {RANDOM_INIT: "gates on random weights", "uniform": "uniform", "random": "random structure"}
    names |= dict.fromkeys(structures.checkpoints(net)[-1:], "gates on pre-trained weights")
    frame = pd.DataFrame(
        {"structure": label, "seed": seed, "layer": layer, "channels": width}
        for name, label in names.items()
        if (net, name) in structures.rows
        for seed, row in structures.rows[net, name][ratio].items()
        if seed in cfg["seeds"]
        for layer, width in enumerate(row["widths"], start=1)
    )
    figure, panels = new_figure(f"Channels of each layer, {net}, p = {ratio}", shown)
    draw_lines(panels[0], frame, x="layer", y="channels", arm="structure", within=AT_LEAST_ONE)
    tick_at_integers(panels[0])
    panels[0].set(xlabel="prunable layer", ylabel="channels kept")
    save_figure(figure, frame, paths)


def figure_gates(cfg: Cfg, histories: Inputs, shown: Face, paths: Outputs) -> None:
    """The gates of the first net on random weights: how they spread while learned, or where one epoch ends."""
    net = next(iter(cfg["nets"]))
    of_each = each_of(histories, cfg["files"]["gate_histories"])
    whole = pd.concat([pd.read_csv(path) for path, of in of_each if of["net"] == net])
    frame = whole.melt(["seed", "epoch"], list(QUANTILES), var_name="quantile", value_name="gate")
    frame["quantile"] = frame["quantile"].map(QUANTILES)
    figure, panels = new_figure(f"Gates learned on random weights, {net}", shown)
    if whole["epoch"].nunique() > 1:
        named = frame[frame["quantile"].isin((5, 50, 95))].assign(
            quantile=lambda rows: rows["quantile"].map("{} %".format)
        )
        draw_lines(panels[0], named, x="epoch", y="gate", arm="quantile", within=SHARE)
        tick_at_integers(panels[0])
        panels[0].set(xlabel="epoch of gate learning", ylabel="quantile of the gates", ylim=(-0.02, 1.02))
    else:
        draw_lines(
            panels[0], frame.assign(when="behind the only epoch"), x="quantile", y="gate", arm="when", within=SHARE
        )
        panels[0].set(xlabel="share of the net's gates that are no larger [%]", ylabel="gate", ylim=(-0.02, 1.02))
        add_note(figure, "Gates are learned for one epoch here: there is no course to show, only where it ends")
    save_figure(figure, frame, paths)


FIGURES: Figures = {
    "figure-accuracy": figure_accuracy,
    "figure-correlation": figure_correlation,
    "figure-channels": figure_channels,
    "figure-gates": figure_gates,
}


@stage
def figures(
    cfg: Cfg,
    job: Job,
    *,
    arms: Inputs,
    structures: Inputs,
    gate_histories: Inputs,
    claims: Input,
    figures: Outputs,
) -> None:
    """All figures, each with the CSV behind it."""
    found = read_arms(cfg, arms)
    write_figures(FIGURES, figures, cfg=cfg, arms=found, structures=read_structures(cfg, structures),
                  histories=gate_histories, words=words_of(claims), shown=face_of(cfg, found))  # fmt: skip


if __name__ == "__main__":
    main(figures)
