"""Trains nets that see adversarial examples, made with the net itself and, where given, with others; for each seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.data.splits import Splits, read_splits, scaling
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.measure.cost import cost
from tenfold.nets.build import build
from tenfold.papers.adversarial_competition.contest import load_nets
from tenfold.papers.adversarial_competition.nets import Normalised
from tenfold.progress import Progress
from tenfold.stages.called import called
from tenfold.stages.classifiers import measured
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.batches import Batches, image_batches
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe

AS_THEY_ARE: dict[str, Any] = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}  # attacks see pixels in [0, 1]


@stage
def harden(
    cfg: Cfg, job: Job, *, data: Input, sources: Inputs, weights: Output, metrics: Output, history: Output,
    times: Output,
) -> None:  # fmt: skip
    """As `train`, on batches that are attacked in part; equal seeds see equal images as plain nets do.

    Args:
        cfg: as for `tenfold.stages.classifiers.train_classifiers`; ``adversarial``: the loss to ``call`` and its
            settings; ``nets``: those that craft beside the net itself (see `load_nets`).
        job: what surrounds the run.
        data: the prepared dataset.
        sources: the weights of those nets.
        weights: ``seed0/<weight>``.
        metrics: a row for each seed, on images that nobody attacked.
        history: a row for each seed and epoch.
        times: seconds and rates.
    """
    compute = replace(start(cfg["compute"], job), captures=False)  # what attacks a batch is drawn for each step
    images, adversarial = read_splits(cfg["images"], data), cfg["adversarial"]
    recipe, progress = Recipe.from_cfg(cfg["recipe"]), Progress(job)
    net = {**cfg["net"], "classes": images.classes}
    loss_of, chance = called(adversarial["call"]), default_generator(compute.device)

    def one_seed(seed: int) -> Outcome:
        model = compute.place(Normalised(build(net), **scaling(cfg["images"])))
        crafters = load_nets(cfg, sources, seed, images.classes, compute)

        def loss(model: nn.Module, batch: Any) -> Tensor:
            found: Tensor = loss_of(model, *batch, chance, crafters=crafters, **adversarial["settings"])
            return found

        batches = pixel_batches(cfg, images, recipe.batch_size, seed, compute)
        trained = fit(model, batches, loss, recipe, compute, progress, title=f"seed {seed}")
        row = {**measured(trained.model, images, compute, AS_THEY_ARE), "epochs": recipe.epochs}
        return Outcome([row], trained.model.get_submodule("net").state_dict()).add_course(trained)

    outcome = per_seed(progress, cfg["seeds"], one_seed)
    size = cost(lambda: build(net), tuple(images.test.images.shape[1:]))
    Files(weights, metrics, history, times).write(outcome, {
        "arm": cfg["arm"],
        "data": images.name,
        "device": compute.device.type,
        "precision": compute.precision,
        "params": size.params,
        "macs": size.macs,
        "fit_images": len(images.fit),
        "test_images": len(images.test),
    })  # fmt: skip


def pixel_batches(cfg: Cfg, images: Splits, batch_size: int, seed: int, compute: Compute) -> Batches:
    """Training batches of pixels in [0, 1], float32 (B, 3, H, W), and labels (B,)."""
    return image_batches(
        images.fit.images, images.fit.labels, batch_size=batch_size, augment=cfg["images"]["augment"], seed=seed,
        device=compute.device, **AS_THEY_ARE,
    )  # fmt: skip


def default_generator(device: torch.device) -> torch.Generator:
    """The default generator of a device, which the training loop saves and restores."""
    if device.type == "cuda":
        return torch.cuda.default_generators[torch.cuda.current_device()]
    return torch.default_generator


if __name__ == "__main__":
    main(harden)
