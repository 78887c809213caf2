"""The figures of Pruning from Scratch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tenfold.launcher import Cfg, Inputs, Job, Outputs, main, stage
from tenfold.papers.pruning_from_scratch.grid import RANDOM_INIT
from tenfold.papers.pruning_from_scratch.report.results import Arms, Structures, alike, read_arms, read_structures
from tenfold.papers.pruning_from_scratch.report.tables import percent
from tenfold.report.arms import each_of, face_of
from tenfold.report.face import Face
from tenfold.report.figures import Figures, draw_lines, draw_matrix, draw_points, new_figure, save_figure, write_figures

SHORT = {
    "full": "full",
    "pruned": "random\nweights",
    "pretrained": "pre-trained\nweights",
    "uniform": "uniform",
    "random": "random\nstructure",
    "scratch-b": "Scratch-B",
    "chosen": "chosen",
}


def figure_accuracy(arms: Arms, shown: Face, paths: Outputs) -> None:
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
    save_figure(figure, frame, paths)


def figure_correlation(cfg: Cfg, structures: Structures, shown: Face, paths: Outputs) -> None:
    """Correlation matrix of the structures at one budget: random inits first, then checkpoints by epoch."""
    net = next(iter(cfg["nets"]))
    ratio = 0.5
    rows = {f"init {seed}": row for seed, row in structures.rows[net, RANDOM_INIT][ratio].items()}
    for name in structures.checkpoints(net):
        epoch = name.removeprefix("pretrained-e")
        for seed, row in structures.rows[net, name][ratio].items():
            rows[f"run {seed}, epoch {epoch}"] = row
    matrix = pd.DataFrame({a: {b: alike(rows[a], rows[b]) for b in rows} for a in rows})
    figure, panels = new_figure(f"Correlation of pruned structures, {net}, p = {ratio}", shown, size=(6.4, 6.2))
    draw_matrix(panels[0], matrix, low=float(np.nanmin(matrix.to_numpy())), high=1.0)
    panels[0].tick_params(labelsize=6)
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
    draw_lines(panels[0], frame, x="layer", y="channels", arm="structure")
    panels[0].set(xlabel="prunable layer", ylabel="channels kept")
    save_figure(figure, frame, paths)


def figure_gates(cfg: Cfg, histories: Inputs, shown: Face, paths: Outputs) -> None:
    """How the gates of the first net spread while they are learned, on random weights."""
    net = next(iter(cfg["nets"]))
    of_each = each_of(histories, cfg["files"]["gate_histories"])
    whole = pd.concat([pd.read_csv(path) for path, of in of_each if of["net"] == net])
    named = {"gate_mean": "mean", "gate_q05": "5 %", "gate_q50": "median", "gate_q95": "95 %"}
    frame = whole.melt(["seed", "epoch"], list(named), var_name="quantile", value_name="gate")
    frame["quantile"] = frame["quantile"].map(named)
    figure, panels = new_figure(f"Gates while they are learned on random weights, {net}", shown)
    draw_lines(panels[0], frame, x="epoch", y="gate", arm="quantile")
    panels[0].set(xlabel="epoch of gate learning", ylabel="gate", ylim=(0, 1.02))
    save_figure(figure, frame, paths)


FIGURES: Figures = {
    "figure-accuracy": figure_accuracy,
    "figure-correlation": figure_correlation,
    "figure-channels": figure_channels,
    "figure-gates": figure_gates,
}


@stage
def figures(cfg: Cfg, job: Job, *, arms: Inputs, structures: Inputs, gate_histories: Inputs, figures: Outputs) -> None:
    """All figures, each with the CSV behind it."""
    found = read_arms(cfg, arms)
    write_figures(FIGURES, figures, cfg=cfg, arms=found, structures=read_structures(cfg, structures),
                  histories=gate_histories, shown=face_of(cfg, found))  # fmt: skip


if __name__ == "__main__":
    main(figures)
