"""Examines trained nets: the shift at each BatchNorm and its repair, weights, and images that the shift makes wrong."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.data.images import load
from tenfold.data.splits import Splits, read_splits, scaling
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.measure.accuracy import evaluate
from tenfold.measure.predictions import accuracy
from tenfold.nets.build import build
from tenfold.papers.variance_shift.common import logits_of_views, noisy, views
from tenfold.papers.variance_shift.method import LayerShift, adjust, cos2, readjust, settle, watched
from tenfold.training.compute import Compute, start
from tenfold.weights import below, load_weights

CLASSES = 2  # whose flipped images are shown, as in Fig. 6


@stage
def probe(cfg: Cfg, job: Job, *, data: Input, weights: Input, shift: Output) -> None:
    """The variance shift of the nets of one arm, and what measuring the moving averages again does about it.

    Args:
        cfg: images, net and noise as they were trained; ``examined`` training images in batches of ``batch_size``;
            ``momentum`` of the moving averages, 0 for plain averages.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: what ``train`` wrote.
        shift: the layers, and a row for each seed: variances and ratios of all layers, test accuracy as trained and
            adjusted in both ways, accuracy on training images in train mode and in test mode with the same weights.
    """
    compute = start(cfg["compute"], job)
    images = read_splits(cfg["images"], data)
    trained = load_weights(weights)
    layers, rows = [], []
    for seed in cfg["seeds"]:
        net = load_net(cfg, images, below(f"seed{seed}", trained), compute)
        measured, row = examine(net, cfg, images, seed, compute)
        layers = [layer.name for layer in measured]
        rows.append({"seed": seed, **row})
        job.say(f"seed {seed}: mean ratio {row['mean_ratio']:.3f}")
    rule = f"moving average of momentum {cfg['momentum']}" if cfg["momentum"] else "plain average over batches"
    write_json(
        shift,
        {
            "layers": layers,
            "rule": rule,
            "device": compute.device.type,
            "precision": compute.precision,
            "rows": rows,
        },
    )


def load_net(cfg: Cfg, images: Splits, weights: Mapping[str, Tensor], compute: Compute) -> nn.Module:
    """A trained net in test mode."""
    net = compute.place(noisy(cfg, {**cfg["net"], "classes": images.classes})).eval()
    net.load_state_dict(weights)
    return net


def examine(
    net: nn.Module, cfg: Cfg, images: Splits, seed: int, compute: Compute
) -> tuple[list[LayerShift], dict[str, Any]]:
    """The shift at each layer of one net, and accuracies in both modes and after both repairs."""
    seen, batch_size = images.fit[: cfg["examined"]], cfg["batch_size"]
    with watched(net, cfg["momentum"]) as layers:
        test_mode = logits_of_views(net, cfg, seen, batch_size, seed, compute)
    train_mode = in_train_mode(net, cfg, images, seed, compute)
    adjusted, readjusted = copy.deepcopy(net), copy.deepcopy(net)
    adjust(adjusted, layers)
    with compute.autocast():
        readjust(readjusted, views(cfg, seen, batch_size, seed, compute))

    def on_test(model: nn.Module) -> float:
        return evaluate(model, images.test.images, images.test.labels, compute, **scaling(cfg["images"])).accuracy

    ratios = [layer.ratio for layer in layers]
    return layers, {
        "moving": [layer.moving for layer in layers],
        "real": [layer.real for layer in layers],
        "ratio": ratios,
        "mean_ratio": mean(ratios),
        "max_ratio": max(ratios),
        "accuracy": on_test(net),
        "accuracy_adjusted": on_test(adjusted),
        "accuracy_readjusted": on_test(readjusted),
        "train_mode_accuracy": accuracy(*train_mode),
        "test_mode_accuracy": accuracy(*test_mode),
    }


def in_train_mode(net: nn.Module, cfg: Cfg, images: Splits, seed: int, compute: Compute) -> tuple[Tensor, Tensor]:
    """Logits and labels of training images with dropout and the statistics of batches; the net stays as it is."""
    torch.manual_seed(seed)
    copied = copy.deepcopy(net).train()
    return logits_of_views(copied, cfg, images.fit[: cfg["examined"]], cfg["batch_size"], seed, compute)


@stage
def settled(cfg: Cfg, job: Job, *, data: Input, weights: Input, settling: Output) -> None:
    """What moving averages that settle in use do about the shift of the nets of one arm.

    Args:
        cfg: images, net and noise as they were trained; ``examined`` training images in batches of ``batch_size``,
            ``passes`` over them, ``momentum`` of the moving averages.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: what ``train`` wrote.
        settling: a row for each seed: test accuracy, and the mean over the layers of the ratio of the variances that
            are stored and met once all have settled.
    """
    compute = start(cfg["compute"], job)
    images = read_splits(cfg["images"], data)
    seen, batch_size, trained, rows = images.fit[: cfg["examined"]], cfg["batch_size"], load_weights(weights), []
    for seed in cfg["seeds"]:
        net = load_net(cfg, images, below(f"seed{seed}", trained), compute)
        with compute.autocast():
            settle(net, passes(cfg, images, seed, compute), cfg["momentum"])
        with watched(net) as layers:
            logits_of_views(net, cfg, seen, batch_size, seed, compute)
        tested = evaluate(net, images.test.images, images.test.labels, compute, **scaling(cfg["images"]))
        ratio = mean(layer.ratio for layer in layers)
        rows.append({"seed": seed, "accuracy_settled": tested.accuracy, "mean_ratio_settled": ratio})
        job.say(f"seed {seed}: mean ratio {ratio:.3f}")
    rule = f"moving average of momentum {cfg['momentum']}, in use, over {cfg['passes']} passes"
    facts = {"rule": rule, "device": compute.device.type, "precision": compute.precision}
    write_json(settling, {**facts, "rows": rows})


def passes(cfg: Cfg, images: Splits, seed: int, compute: Compute) -> Iterator[tuple[Tensor, Tensor]]:
    """All passes over the images that are examined, each in an order of its own."""
    for number in range(cfg["passes"]):
        order = seed * cfg["passes"] + number
        yield from views(cfg, images.fit[: cfg["examined"]], cfg["batch_size"], order, compute)


@stage
def weights_of(cfg: Cfg, job: Job, *, weights: Input, stats: Output) -> None:
    """cos^2 of the angle of each convolution's filters with the vector of ones, its mean over the filters (Table 1).

    Args:
        cfg: ``seeds``.
        job: what surrounds the run.
        weights: what ``train`` wrote for the nets without dropout.
        stats: for each seed all convolutions: ``d``, the inputs of a filter, and ``cos2``.
    """
    trained = load_weights(weights)
    with torch.device("meta"):
        net = build(cfg["net"])
    names = [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    rows = [{"seed": seed, "layers": convolutions(names, below(f"seed{seed}", trained))} for seed in cfg["seeds"]]
    write_json(stats, {"rows": rows})
    job.say(f"{len(rows[0]['layers'])} convolutions")


def convolutions(names: list[str], weights: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """What Table 1 and Fig. 3 want of a net's convolutions, in the net's order (a file of weights has its own)."""
    kernels = {name: weights[f"{name}.weight"].double() for name in names}
    return [
        {"name": name, "d": kernel[0].numel(), "cos2": float(cos2(kernel).mean())} for name, kernel in kernels.items()
    ]


@stage
def flipped(cfg: Cfg, job: Job, *, data: Input, weights: Input, logits: Output) -> None:
    """Training images that are right in train mode and wrong in test mode, with the first seed's net (Fig. 6).

    Args:
        cfg: as for ``probe``, and the number of ``examples`` at most.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: what ``train`` wrote.
        logits: the names of the classes, and the logits of the examples in both modes.
    """
    compute = start(cfg["compute"], job)
    images = read_splits(cfg["images"], data)
    seed = cfg["seeds"][0]
    net = load_net(cfg, images, below(f"seed{seed}", load_weights(weights)), compute)
    in_train, labels = in_train_mode(net, cfg, images, seed, compute)
    in_test, _ = logits_of_views(net, cfg, images.fit[: cfg["examined"]], cfg["batch_size"], seed, compute)
    chosen = choose_flipped(in_train, in_test, labels[: cfg["examined"]], cfg["examples"])
    examples = [
        {
            "index": index,
            "label": int(labels[index]),
            "train_mode": in_train[index].tolist(),
            "test_mode": in_test[index].tolist(),
        }
        for index in chosen
    ]
    classes = load(data).classes
    write_json(logits, {"seed": seed, "classes": classes, "examples": examples})
    job.say(f"{len(examples)} images")


def choose_flipped(in_train: Tensor, in_test: Tensor, labels: Tensor, n: int) -> list[int]:
    """At most ``n`` flipped images, of those two classes that have most of them, class by class."""
    flips = (in_train.argmax(1) == labels) & (in_test.argmax(1) != labels)
    per_class = labels[flips].bincount(minlength=in_train.shape[1])
    most = per_class.argsort(descending=True, stable=True)[:CLASSES]
    return [
        index for label in most for index in (flips & (labels == label)).nonzero().flatten()[: n // CLASSES].tolist()
    ]


if __name__ == "__main__":
    main(probe, settled, weights_of, flipped)
