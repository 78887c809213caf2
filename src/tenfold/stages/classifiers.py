"""Trains classifiers of images, one for each seed: the body that papers' train stages share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from tenfold.data.splits import Splits, read_splits, scaling
from tenfold.launcher import Cfg, Job
from tenfold.measure.accuracy import evaluate
from tenfold.measure.cost import cost
from tenfold.nets.build import build
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.batches import image_batches
from tenfold.training.compute import Compute, start
from tenfold.training.loop import Evaluate, fit
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe

Observer = Callable[[Splits, Compute], Evaluate]


def train_classifiers(
    cfg: Cfg,
    job: Job,
    data: Path,
    files: Files,
    *,
    facts: Mapping[str, Any] | None = None,
    observer: Observer | None = None,
    build_net: Callable[[Cfg], nn.Module] = build,
) -> None:
    """One net for each seed; the last epoch is what is reported.

    Equal seeds give equal order and augmentation of the images, whatever the net.

    Args:
        cfg: ``compute``, ``seeds``, ``net`` (see `tenfold.nets.build`), ``recipe``, and ``images``: what
            `tenfold.data.splits.read_splits` wants, ``augment``, ``mean``, ``std``.
        job: what surrounds the run.
        data: the prepared dataset.
        files: what is written. Metrics: the facts, data, device, precision, cost of the net, and a row for each seed:
            ``accuracy`` and ``train_accuracy`` in [0, 1], ``cross_entropy`` in nats, ``correct``. History and times: a
            row for each seed and epoch.
        facts: what the metrics say of the arm.
        observer: from images and compute to what is measured after the recipe's evaluated epochs.
        build_net: from ``net`` and the number of classes to a fresh net.
    """
    compute = start(cfg["compute"], job)
    images = read_splits(cfg["images"], data)
    recipe, scale = Recipe.from_cfg(cfg["recipe"]), scaling(cfg["images"])
    net = {**cfg["net"], "classes": images.classes}
    progress = Progress(job)

    def one_seed(seed: int) -> Outcome:
        trained = fit(
            compute.place(build_net(net)),
            image_batches(
                images.fit.images,
                images.fit.labels,
                batch_size=recipe.batch_size,
                augment=cfg["images"]["augment"],
                seed=seed,
                device=compute.device,
                **scale,
            ),
            classification(recipe.label_smoothing),
            recipe,
            compute,
            progress,
            evaluate=observer(images, compute) if observer else None,
            title=f"seed {seed}",
        )
        row = {**measured(trained.model, images, compute, scale), "epochs": recipe.epochs}
        return Outcome([row], trained.model.state_dict()).add_course(trained)

    outcome = per_seed(progress, cfg["seeds"], one_seed)
    size = cost(lambda: build_net(net), tuple(images.test.images.shape[1:]))
    files.write(
        outcome,
        {
            **(facts or {}),
            "data": images.name,
            "device": compute.device.type,
            "precision": compute.precision,
            "params": size.params,
            "macs": size.macs,
            "fit_images": len(images.fit),
            "test_images": len(images.test),
        },
    )


def measured(model: nn.Module, images: Splits, compute: Compute, scale: Mapping[str, Any]) -> dict[str, Any]:
    """How a classifier does on the test images, and its accuracy on as many of those that it was trained on."""
    test = evaluate(model, images.test.images, images.test.labels, compute, **scale)
    seen = images.fit[: len(images.test)]
    return {
        "accuracy": test.accuracy,
        "correct": test.correct,
        "cross_entropy": test.cross_entropy,
        "train_accuracy": evaluate(model, seen.images, seen.labels, compute, **scale).accuracy,
    }
