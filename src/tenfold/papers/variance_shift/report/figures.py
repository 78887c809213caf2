"""The figures of Variance Shift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.measure.statistics import summary
from tenfold.papers.variance_shift.report.results import (
    Arms,
    Place,
    Weights,
    all_arms,
    as_one,
    data_of,
    papers_data,
    papers_net,
    rate_of,
    rates_of,
    read_arms,
    read_weights,
    title_of,
)
from tenfold.report.arms import Of, each_of, face_of
from tenfold.report.face import RECOVERED, Face
from tenfold.report.figures import (
    PERCENT,
    SHARE,
    Figures,
    Words,
    add_note,
    add_words,
    draw_bars,
    draw_curves,
    draw_lines,
    draw_points,
    draw_published,
    new_figure,
    save_figure,
    share_legend,
    tick_at_integers,
    words_of,
    write_figures,
)

CASES = {"a": "(a), before BatchNorm", "b": "(b), before a convolution"}
COMPARED = ("none", "a-0.5")
AT_LEAST_ONE = (1.0, np.inf)  # a ratio is that of the larger variance to the smaller
MODES = {"accuracy": "train mode", "eval_accuracy": "test mode"}
FEW_EPOCHS = 12  # that are drawn as points, not as curves
EXAMPLES = 8  # of the paper's Figure 6
CLASSES = 10  # in one panel of logits
HALF = "0.5"  # the drop ratio of the paper's tables


def like_the_papers(cfg: Cfg, places: list[Place], data: str) -> Place:
    """The place most like the one that a figure of the paper is of: DenseNet on ``data``."""
    densenet = cfg["published"]["nets"][-1]["title"]
    return min(places, key=lambda place: (papers_data(cfg, place[0]) != data, papers_net(cfg, place[1]) != densenet))


def on(cfg: Cfg, shown: Face, data: str, n: int | None = None) -> Face:
    """The face of a figure of one dataset."""
    return replace(shown, data=data_of(cfg, data), n=shown.n if n is None else n)


def figure_shift(cfg: Cfg, probed: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 1: the ratio of each BatchNorm layer with and without dropout (a) of 0.5, one net."""
    data, net = place = like_the_papers(cfg, list(probed), "CIFAR-100")
    rows = []
    for name in COMPARED:
        if (arm := probed[place].get(name)) is not None:
            title = f"{arm_title(name)}: test accuracy {summary(list(arm.accuracy.values())).mean:.1f} %"
            rows += [
                {"arm": title, "seed": seed, "layer": layer, "ratio": ratio} for seed, layer, ratio in arm.by_layer
            ]
    frame = pd.DataFrame(rows)
    figure, panels = new_figure(f"Variance shift of {net} (Figure 1)", on(cfg, shown, data), size=(6.4, 4.4))
    draw_curves(panels[0], frame, x="layer", y="ratio", arm="arm", within=AT_LEAST_ONE)
    panels[0].set(xlabel="BatchNorm layer, from the input", ylabel="ratio of stored and met variance")
    tick_at_integers(panels[0])
    means = published_ratios(cfg, data, net)
    beside = frame["layer"].max() + 1
    shown_means = [means[name] for name in COMPARED if name in means]
    if shown_means:
        title = f"published means over layers, {papers_net(cfg, net)}"
        draw_published(panels[0], [beside] * len(shown_means), shown_means, title)
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=8)
    add_words(figure, words, "C4", "C4-order")
    save_figure(figure, frame, paths)


def figure_cosine(weights: dict[Place, Weights], words: Words, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 3: cos^2 of each convolution's weights, and the mean d cos^2 of those of equal d."""
    by_layer = pd.DataFrame(
        {"what": "cos2", "data": data, "net": net, "seed": seed, "x": layer, "value": row["cos2"]}
        for (data, net), of_net in weights.items()
        for seed, layers in of_net.rows.items()
        for layer, row in enumerate(layers, start=1)
    )
    by_d = pd.DataFrame(
        {"what": "d_cos2", "data": data, "net": net, "seed": seed, "x": d, "value": value}
        for (data, net), of_net in weights.items()
        for seed in of_net.rows
        for d, value in of_net.by_d(seed).items()
    )
    datasets, nets = list(by_layer["data"].unique()), list(by_layer["net"].unique())
    figure, panels = new_figure("Weights of convolutions, nets without dropout (Figure 3)", shown, rows=2,
                                columns=len(datasets), size=(3.6 * len(datasets) + 1.4, 5.6))  # fmt: skip
    for above, below, data in zip(panels[: len(datasets)], panels[len(datasets) :], datasets, strict=True):
        draw_curves(above, by_layer[by_layer["data"] == data], x="x", y="value", arm="net", arms=nets, within=SHARE)
        tick_at_integers(above)
        above.set(title=data, xlabel="convolution, from the input", ylabel="cos^2 to the all-ones vector")
        means = by_d[by_d["data"] == data].groupby(["net", "x"], sort=False, as_index=False)["value"].mean()
        draw_points(below, means, x="x", y="value", arm="net")
        below.set(xlabel="d, inputs of a filter", ylabel="mean d cos^2")
        below.legend(title=None, fontsize=7)
    share_legend(figure, panels[: len(datasets)])
    add_words(figure, words, "C3")
    save_figure(figure, pd.concat([by_layer, by_d]), paths)


def figure_ratios(cfg: Cfg, trained: Arms, probed: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 4: a row of ratio curves for each net, and a row of test errors; by case and dataset."""
    curves, errors = ratio_rows(probed), error_rows(trained)
    nets = list(dict.fromkeys(net for _, net in probed))
    columns = [(case, data) for case in CASES for data in dict.fromkeys(data for data, _ in probed)]
    drops = sorted({*curves["drop"], *errors["drop"]})
    figure, panels = new_figure("Ratio of stored and met variance, and test error (Figure 4)", shown,
                                rows=len(nets) + 1, columns=len(columns),
                                size=(2.7 * len(columns) + 1.2, 1.9 * (len(nets) + 1) + 0.8))  # fmt: skip
    grid = np.array(panels).reshape(len(nets) + 1, len(columns))
    for column, (case, data) in enumerate(columns):
        of_column = curves[(curves["case"] == case) & (curves["data"] == data)]
        top = 1 + 1.05 * (curves[curves["case"] == case]["ratio"].max() - 1)
        for row, net in enumerate(nets):
            axes, of_net = grid[row, column], of_column[of_column["net"] == net]
            draw_curves(axes, of_net, x="layer", y="ratio", arm="drop", arms=drops, within=AT_LEAST_ONE)
            tick_at_integers(axes)
            if (mean := published_ratios(cfg, data, net).get(f"{case}-{HALF}")) is not None:
                draw_published(
                    axes, [of_net["layer"].max() + 1], [mean], f"published mean over\nlayers, drop ratio {HALF}"
                )
            axes.set(xlabel=None, ylabel=f"{net}\nratio" if column == 0 else None, ylim=(1, top))
        grid[0, column].set_title(f"{CASES[case]}\n{data}")
        grid[-2, column].set_xlabel("BatchNorm layer")
        of_errors = errors[(errors["case"] == case) & (errors["data"] == data)]
        draw_bars(grid[-1, column], of_errors, x="net", y="error", arm="drop", arms=drops, within=PERCENT)
        grid[-1, column].set(xlabel=None, ylabel="test error [%]" if column == 0 else None)
        grid[-1, column].tick_params(axis="x", labelrotation=20, labelsize=7)
    share_legend(figure, panels)
    add_words(figure, words, "C4", "C4-b", "C4-order", "C5", "C5-order")
    save_figure(figure, pd.concat([curves, errors]), paths)


def published_ratios(cfg: Cfg, data: str, net: str) -> dict[str, float]:
    """The paper's mean ratios over the layers of its net of the same family, by arm; of no net none."""
    wanted = papers_data(cfg, data), papers_net(cfg, net)
    rows = (row for row in cfg["published"]["ratios"] if (row["data"], row["net"]) == wanted)
    return next((row["mean"] for row in rows if row["source"] in RECOVERED), {})


def ratio_rows(probed: Arms) -> pd.DataFrame:
    """The ratio of each BatchNorm layer, for the nets without dropout (in both cases) and those of each case."""
    return pd.DataFrame(
        {"case": case, "data": data, "net": net, "drop": drop(arm.name), "seed": seed, "layer": layer, "ratio": ratio}
        for case in CASES
        for (data, net), arms in probed.items()
        for arm in rates_of(arms, case)
        for seed, layer, ratio in arm.by_layer
    )


def error_rows(trained: Arms) -> pd.DataFrame:
    """Test error in percent, for the nets without dropout (in both cases) and those of each case."""
    return pd.DataFrame(
        {"case": case, "data": data, "net": net, "drop": drop(arm.name), "seed": seed, "error": error}
        for case in CASES
        for (data, net), arms in trained.items()
        for arm in rates_of(arms, case)
        for seed, error in arm.error.items()
    )


def drop(name: str) -> str:
    """What a legend says of an arm's drop ratio."""
    return f"drop ratio {rate_of(name):.1f}"


def figure_modes(cfg: Cfg, histories: Inputs, words: Words, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 5: accuracy on training images by epoch, in train mode and in test mode."""
    of_each = each_of(histories, cfg["files"]["histories"])
    frame = pd.concat([mode_rows(path, of) for path, of in of_each if of["arm"] in COMPARED])
    datasets, nets = list(frame["data"].unique()), list(frame["net"].unique())
    arms = [f"{arm_title(name)}, {mode}" for name in COMPARED for mode in MODES.values()]
    figure, panels = new_figure("Accuracy on training images, in train and in test mode (Figure 5)", shown,
                                rows=len(datasets), columns=len(nets),
                                size=(max(4.4, 2.6 * len(nets)) + 2.0, 2.3 * len(datasets) + 0.9))  # fmt: skip
    for axes, (data, net) in zip(panels, [(data, net) for data in datasets for net in nets], strict=True):
        part = frame[(frame["data"] == data) & (frame["net"] == net)]
        if frame["epoch"].max() > FEW_EPOCHS:
            draw_curves(axes, part, x="epoch", y="accuracy", arm="arm", arms=arms, within=PERCENT)
        else:
            draw_lines(axes, part, x="epoch", y="accuracy", arm="arm", within=PERCENT)
            axes.set_xticks(sorted(part["epoch"].unique()))
        axes.set(title=f"{net} on {data}", ylabel="accuracy [%]")
    share_legend(figure, panels)
    add_note(figure, "Train mode: the running mean of the epoch, while weights change; test mode: measured at its end")
    add_words(figure, words, "C6", "C6-gap", "C6-none")
    save_figure(figure, frame, paths)


def mode_rows(path: Path, of: Of) -> pd.DataFrame:
    """A history as rows of net, arm and mode, seed, epoch and accuracy in percent; without epochs not measured."""
    history = pd.read_csv(path)
    modes = [mode for mode in MODES if mode in history]
    rows = history.melt(["seed", "epoch"], modes, var_name="mode", value_name="share").dropna()
    titles = [f"{arm_title(of['arm'])}, {MODES[mode]}" for mode in rows["mode"]]
    return pd.DataFrame(
        {"data": of["data"], "net": of["net"], "arm": titles, "seed": rows["seed"], "epoch": rows["epoch"],
         "accuracy": 100 * rows["share"]}
    )  # fmt: skip


def arm_title(name: str) -> str:
    """What a legend says of an arm."""
    return "no dropout" if name == "none" else f"dropout {title_of(name)}"


def figure_logits(cfg: Cfg, logits: Inputs, shown: Face, paths: Outputs) -> None:
    """The paper's Figure 6: scores of training images that are right in train mode and wrong in test mode."""
    places = {(of["data"], of["net"]): path for path, of in reversed(each_of(logits, cfg["files"]["logits"]))}
    data, net = place = like_the_papers(cfg, list(places), "CIFAR-10")
    content = read_json(places[place])
    examples = [example for example in content["examples"] if is_flipped(example)][:EXAMPLES]
    title = f"Training images right in train mode, wrong in test mode: {net}, (a) 0.5 (Figure 6)"
    rows = [
        {"image": example["index"], "label": content["classes"][example["label"]], "class": content["classes"][number],
         "mode": mode, "score": example[key][number]}
        for example in examples
        for number in sorted(highest(example))
        for key, mode in (("train_mode", "train mode"), ("test_mode", "test mode"))
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["image", "label", "class", "mode", "score"])
    columns = min(4, max(1, len(examples)))
    lines = max(1, -(-len(examples) // columns))
    figure, panels = new_figure(title, on(cfg, shown, data, n=1), rows=lines, columns=columns,
                                size=(max(7.0, 2.6 * columns) + 1.0, 2.6 * lines + 0.8))  # fmt: skip
    for axes in panels[len(examples) :]:
        axes.set_axis_off()
    for axes, example in zip(panels, examples, strict=False):
        draw_bars(axes, frame[frame["image"] == example["index"]], x="class", y="score", arm="mode")
        label = content["classes"][example["label"]]
        wrong = content["classes"][int(np.argmax(example["test_mode"]))]
        axes.set(title=f"image {example['index']}: {label},\ntaken for {wrong}", xlabel=None, ylabel="score (logit)")
        axes.tick_params(axis="x", labelrotation=90)
    if examples:
        share_legend(figure, panels)
    else:
        panels[0].text(0.5, 0.5, "no training image is right in train mode and wrong in test mode", ha="center")
    save_figure(figure, frame, paths)


def is_flipped(example: Mapping[str, Any]) -> bool:
    """Whether an image is right in train mode and wrong in test mode."""
    right, wrong = (int(np.argmax(example[key])) for key in ("train_mode", "test_mode"))
    return right == example["label"] != wrong


def highest(example: Mapping[str, Any]) -> set[int]:
    """The classes of an image's highest scores in either mode, as many as one panel has room for."""
    scores = np.maximum(example["train_mode"], example["test_mode"])
    return {int(number) for number in np.argsort(-scores)[:CLASSES]}


FIGURES: Figures = {
    "figure-shift": figure_shift,
    "figure-cosine": figure_cosine,
    "figure-ratios": figure_ratios,
    "figure-modes": figure_modes,
    "figure-logits": figure_logits,
}


@stage
def figures(
    cfg: Cfg,
    job: Job,
    *,
    arms: Inputs,
    histories: Inputs,
    probes: Inputs,
    weight_stats: Inputs,
    logits: Inputs,
    claims: Input,
    figures: Outputs,
) -> None:
    """All figures, each with the CSV behind it."""
    trained = read_arms(cfg, arms, "metrics")
    write_figures(FIGURES, figures, cfg=cfg, trained=trained, probed=read_arms(cfg, probes, "probes"),
                  histories=histories, weights=read_weights(cfg, weight_stats), logits=logits,
                  words=words_of(claims), shown=face_of(as_one(cfg), all_arms(trained)))  # fmt: skip


if __name__ == "__main__":
    main(figures)
