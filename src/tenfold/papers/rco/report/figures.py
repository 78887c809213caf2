"""The figures of RCO."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.papers.rco.report.results import (
    Arms,
    early_arms,
    main_student,
    most_anchors,
    read_arms,
    read_noise,
)
from tenfold.report.arms import each_of, face_of
from tenfold.report.face import Face
from tenfold.report.figures import (
    GREYS,
    PERCENT,
    POSITIVE,
    Figures,
    Words,
    add_note,
    add_words,
    draw_bars,
    draw_curves,
    draw_lines,
    draw_published,
    new_figure,
    save_figure,
    share_legend,
    tick_at_integers,
    words_of,
    write_figures,
)


def figure_hardness(cfg: Cfg, arms: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 3: how far each checkpoint is from students of early checkpoints and of the last."""
    student = main_student(cfg)
    learners = {f"epoch {arm.value:g}": arm for arm in early_arms(arms, student)}
    learners[f"epoch {cfg['teacher_epochs']}"] = arms[student, "kd-1x"]
    frame = pd.DataFrame(
        {"student of": label, "seed": seed, "epoch": epoch, "kl": value}
        for label, arm in learners.items()
        for epoch in arm.epochs_measured
        for seed, value in arm.hardness(epoch).items()
    )
    figure, panels = new_figure("Hardness of the teacher's checkpoints (Figure 3)", shown)
    draw_lines(panels[0], frame, x="epoch", y="kl", arm="student of", within=POSITIVE)
    tick_at_integers(panels[0])
    panels[0].set(xlabel="epoch of the teacher's checkpoint", ylabel="KL divergence, held-out images")
    panels[0].legend(title="student of the teacher's")
    add_words(figure, words, "C2")
    save_figure(figure, frame, paths)


def figure_complexity(cfg: Cfg, arms: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 4: accuracy against the size of the student; of one size alone, by method."""
    rows = []
    for (student, name), arm in arms.items():
        most = most_anchors(arms, student)
        titles = {"alone-1x": "labels alone", "kd-1x": "KD", f"kd-{most}x": "KD, as many epochs as RCO",
                  f"eei-{most}": "RCO"}  # fmt: skip
        rows += [
            {"method": titles[name], "student": student, "params": arm.rows[seed]["params"], "seed": seed,
             "accuracy": value}
            for seed, value in arm.accuracy.items() if name in titles
        ]  # fmt: skip
    frame = pd.DataFrame(rows).sort_values("params", kind="stable")
    sized = frame.assign(size=[f"{row.student}\n{row.params:,d}" for row in frame.itertuples()])
    methods = list(sized["method"].unique())
    if frame["student"].nunique() > 1:
        figure, panels = new_figure("Accuracy by size of the student (Figure 4)", shown, size=(7.4, 4.0))
        draw_lines(panels[0], sized, x="size", y="accuracy", arm="method", within=PERCENT)
        of_route = 0.0
    else:
        figure, panels = new_figure("Accuracy of one student by method (after Figure 4)", shown, size=(7.4, 4.0))
        draw_bars(panels[0], sized, x="size", y="accuracy", arm="method", within=PERCENT)
        add_note(figure, "Figure 4 compares students of several sizes; one is trained here")
        of_route = (methods.index("RCO") - (len(methods) - 1) / 2) * 0.8 / len(methods)
    gain = next(row["top1"] for row in cfg["published"]["methods"] if row["arm"] == "gain")
    distilled = frame[frame["method"] == "KD"].groupby("student", sort=False)["accuracy"].mean()
    draw_published(
        panels[0], np.arange(len(distilled)) + of_route, distilled + gain, f"KD + {gain:g},\nRCO's published gain"
    )
    share_legend(figure, panels)
    panels[0].set(xlabel="student and its parameters", ylabel="test accuracy [%]")
    add_words(figure, words, "C1", "C1-budget", "C1-restarts")
    save_figure(figure, frame, paths)


def figure_trajectory(cfg: Cfg, landscapes: Inputs, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 5: the ways of KD and RCO in the plane of their two main directions, over the loss."""
    of_each = each_of(landscapes, cfg["files"]["landscapes"])
    frame = pd.concat([pd.read_csv(path).assign(student=of["net"]) for path, of in of_each])
    student = frame["student"].iloc[0]
    one_seed = Face(shown.edition, shown.data, 1, shown.device, shown.precision)
    figure, panels = new_figure(f"The ways of KD and RCO, {student} (Figure 5)", one_seed)
    axes = panels[0]
    of_first = frame[frame["student"] == student]
    grid = of_first[of_first["what"] == "loss"].pivot_table(index="y", columns="x", values="loss")
    filled = axes.contourf(grid.columns, grid.index, np.log10(grid.to_numpy()), levels=8, cmap=GREYS)
    figure.colorbar(filled, ax=axes, label="log10 of the held-out cross-entropy")
    ways = of_first[of_first["what"] != "loss"]
    for (arm, way), marker, line in zip(ways.groupby("what", sort=False), ("o", "s"), ("-", "--"), strict=True):
        axes.plot(way["x"], way["y"], line, marker=marker, markersize=4, color="white", markeredgecolor="black",
                  label=str(arm))  # fmt: skip
    axes.legend(title=None, facecolor="0.6", frameon=True)
    axes.set(xlabel="first main direction", ylabel="second main direction")
    axes.grid(visible=False)
    save_figure(figure, frame, paths)


def figure_noise(cfg: Cfg, noise: Inputs, words: Words, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 6: accuracy against the noise in the images."""
    frame = pd.DataFrame(
        {"arm": f"{student}, {arm}", "sigma": sigma, "seed": seed, "accuracy": value}
        for (student, arm), levels in read_noise(cfg, noise).items()
        for sigma, by_seed in levels.items()
        for seed, value in by_seed.items()
    )
    figure, panels = new_figure("Robustness to noise in the images (Figure 6)", shown)
    draw_curves(panels[0], frame, x="sigma", y="accuracy", arm="arm", within=PERCENT)
    panels[0].set(xlabel="standard deviation of the noise (normalised images)", ylabel="test accuracy [%]")
    add_words(figure, words, "C8")
    save_figure(figure, frame, paths)


FIGURES: Figures = {
    "figure-hardness": figure_hardness,
    "figure-complexity": figure_complexity,
    "figure-trajectory": figure_trajectory,
    "figure-noise": figure_noise,
}


@stage
def figures(
    cfg: Cfg,
    job: Job,
    *,
    arms: Inputs,
    searches: Inputs,
    noise: Inputs,
    landscapes: Inputs,
    claims: Input,
    figures: Outputs,
) -> None:
    """All figures, each with the CSV behind it."""
    found = read_arms(cfg, arms, searches)
    write_figures(FIGURES, figures, cfg=cfg, arms=found, noise=noise,
                  landscapes=landscapes, words=words_of(claims), shown=face_of(cfg, found))  # fmt: skip


if __name__ == "__main__":
    main(figures)
