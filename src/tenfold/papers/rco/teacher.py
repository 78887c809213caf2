"""Trains the teacher and keeps its route: the weights of its checkpoints, and what they say of the images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from tenfold.data.splits import Splits, read_splits, scaling
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.measure.predictions import accuracy, logits_of, predict
from tenfold.nets.build import build
from tenfold.papers.rco.common import WithFeatures, indexed_batches, net_cost
from tenfold.progress import Progress
from tenfold.stages.seeds import Outcome, per_seed, write_course
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe
from tenfold.weights import Tensors, below, by_seed, save_weights, under


@stage
def teacher(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    route: Output,
    outputs: Output,
    candidates: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """One teacher for each seed, with ordinary cross-entropy; one archive with all its checkpoints.

    Args:
        cfg: ``checkpoints`` are the epochs (counted from 1) whose outputs all students are trained or measured with,
            ``candidates`` those that a greedy search chooses from.
        job: what surrounds the run.
        data: the prepared dataset.
        route: ``seed0/e3/<weight>``: the weights after the epochs of both.
        outputs: ``seed0/e3/held_out/logits`` (N, K), float16, of every checkpoint; where students see fixed views
            also ``seed0/e3/fit/logits`` and ``.../features``, else these of the last checkpoint's logits only.
        candidates: likewise of every candidate.
        metrics: a row for each seed and epoch of both.
        history: a row for each epoch.
        times: seconds and rates.
    """
    compute = start(cfg["compute"], job)
    images = read_splits(cfg["images"], data)
    recipe = Recipe.from_cfg(cfg["recipe"])
    net = {**cfg["teacher"], "classes": images.classes}
    augmented = cfg["images"] | {"augment": cfg["augment"]}
    kept = sorted({*cfg["checkpoints"], *cfg["candidates"]})
    progress = Progress(job)

    def one_seed(seed: int) -> Outcome:
        trained = fit(
            compute.place(build(net)),
            indexed_batches(augmented, images.fit, recipe.batch_size, seed, compute.device),
            on_indexed(recipe),
            recipe,
            compute,
            progress,
            keep_after=kept,
            title=f"teacher of seed {seed}",
        )
        outcome = Outcome().add_course(trained)
        for epoch, weights in trained.kept.items():
            said, row = outputs_of(cfg, net, epoch, weights, images, compute)
            outcome.rows.append({"epoch": epoch, **row})
            outcome.weights |= under(f"route/e{epoch}", weights) | under(f"outputs/e{epoch}", said)
        return outcome

    outcome = per_seed(progress, cfg["seeds"], one_seed)
    archives = ((route, "route", kept), (outputs, "outputs", cfg["checkpoints"]),
                (candidates, "outputs", cfg["candidates"]))  # fmt: skip
    for path, part, epochs in archives:
        of = {seed: of_epochs(epochs, below(f"seed{seed}/{part}", outcome.weights)) for seed in cfg["seeds"]}
        save_weights(path, by_seed(of))
    cost = net_cost(net, cfg["images"]["pixels"])
    write_json(
        metrics,
        {
            "data": images.name,
            "device": compute.device.type,
            "precision": compute.precision,
            "params": cost.params,
            "macs": cost.macs,
            "fit_images": len(images.fit),
            "rows": outcome.rows,
        },
    )
    write_course(outcome, history, times)


def on_indexed(recipe: Recipe) -> Any:
    """Cross-entropy on batches that carry the indices of their images."""
    loss = classification(recipe.label_smoothing)
    return lambda model, batch: loss(model, batch[:2])


def of_epochs(epochs: Iterable[int], tensors: Tensors) -> Tensors:
    """Those tensors ``e3/...`` that are of some epochs."""
    return {
        name: tensor for epoch in epochs for name, tensor in under(f"e{epoch}", below(f"e{epoch}", tensors)).items()
    }


def outputs_of(
    cfg: Cfg, net: Cfg, epoch: int, weights: dict[str, Tensor], images: Splits, compute: Compute
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What one checkpoint says of the images that students and searches ask it about, and its accuracy."""
    scale = scaling(cfg["images"])
    model = compute.place(build(net))
    model.load_state_dict(weights)
    held_out = logits_of(model, images.held_out, compute, **scale)
    test = logits_of(model, images.test, compute, **scale)
    said = {"held_out/logits": held_out.half()}
    if cfg["targets"] == "cached":
        observed = WithFeatures(model, cfg["hint_layer"])
        pairs = predict(observed, observed, images.fit, compute, **scale)
        for name, parts in zip(("logits", "features"), zip(*pairs, strict=True), strict=True):
            said[f"fit/{name}"] = torch.cat([part.half().cpu() for part in parts])
    elif epoch == cfg["checkpoints"][-1]:
        said["fit/logits"] = logits_of(model, images.fit, compute, **scale).half()
    row = {
        "test_accuracy": accuracy(test, images.test.labels),
        "held_out_accuracy": accuracy(held_out, images.held_out.labels),
    }
    return said, row


if __name__ == "__main__":
    main(teacher)
