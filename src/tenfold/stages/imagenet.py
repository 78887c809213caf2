"""Trains classifiers on ImageNet, one for each seed, on one GPU or several: the body that papers' stages share.

Run on small made-up archives in tests, with one process and with two; no net was trained on ImageNet with it yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tenfold.data.imagenet import Photos, load
from tenfold.errors import UserError
from tenfold.launcher import Cfg, Job
from tenfold.measure.accuracy import in_eval_mode
from tenfold.measure.cost import cost
from tenfold.nets.build import build
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.batches import normalise
from tenfold.training.compute import Compute
from tenfold.training.distributed import Team, together
from tenfold.training.loop import fit
from tenfold.training.losses import classification
from tenfold.training.photos import central_pixels, photo_batches
from tenfold.training.recipe import Recipe

TEST_BATCH = 250  # images in a forward pass without gradients

BuildNet = Callable[[Cfg], nn.Module]


def train_imagenet(
    cfg: Cfg,
    job: Job,
    data: Path,
    files: Files,
    *,
    facts: Mapping[str, Any] | None = None,
    build_net: BuildNet = build,
) -> None:
    """One net for each seed. The last epoch is reported, the best epoch on the test set beside it.

    Args:
        cfg: ``compute``, ``seeds``, ``net``, ``recipe`` (its batch is that of all processes), ``processes``, and
            ``photos``: ``size``, ``scale``, ``mean``, ``std``, where wanted ``jitter`` and ``lighting`` (see
            `tenfold.training.photos.photo_batches`), and ``test``: one or more central views, each ``resize`` and
            ``size``.
        job: what surrounds the run.
        data: the index of ImageNet.
        files: what is written. Metrics: the facts, data, device, precision, processes, cost of the net at ``size``,
            and a row for each seed: for the first view ``accuracy`` and ``top5`` in [0, 1], ``cross_entropy`` in nats,
            ``correct``, the best of both accuracies over all epochs; for a further view of ``size`` s ``accuracy_s``,
            ``top5_s`` and so on. History and times: a row for each seed and epoch, whose losses are those of the
            first process's share of the images.
        facts: what the metrics say of the arm.
        build_net: makes the net from ``cfg["net"]`` and its number of ``classes``; a function of a module.

    Raises:
        UserError: the processes do not share a batch evenly.
    """
    batch_size, processes = Recipe.from_cfg(cfg["recipe"]).batch_size, cfg["processes"]
    if batch_size % processes:
        raise UserError(f"processes: {processes} do not share a batch of {batch_size} evenly")
    outcome, of_run = together(processes, cfg["compute"], train_share, job, cfg, data, build_net)
    files.write(outcome, {**(facts or {}), **of_run, "processes": processes})


def train_share(team: Team, job: Job, cfg: Cfg, data: Path, build_net: BuildNet) -> tuple[Outcome, dict[str, Any]]:
    """What each process does: it trains on its share of every batch, and tests on its share of the test images.

    Returns:
        The outcome of all seeds, and what the metrics say of the run.
    """
    compute = team.start(cfg["compute"], job)
    images, photos = load(data), cfg["photos"]
    recipe = Recipe.from_cfg(cfg["recipe"])
    net = {**cfg["net"], "classes": len(images.classes)}
    augmentation = {key: value for key, value in photos.items() if key != "test"}
    progress = team.progress(job)

    def one_seed(seed: int) -> Outcome:
        model = compute.place(build_net(net))
        trained = fit(
            team.wrap(model),
            photo_batches(images.train, batch_size=recipe.batch_size, seed=seed, device=compute.device, drop_last=True,
                          share=(team.number, team.size), **augmentation),
            classification(recipe.label_smoothing),
            recipe,
            compute,
            progress,
            evaluate=lambda _: evaluate_views(team, model, images.test, photos, compute),
            title=f"seed {seed}",
        )  # fmt: skip
        last = {name: value for name, value in trained.history[-1].items() if name.startswith("test_")}
        best = {
            f"best_{name}_on_the_test_set": max(line.get(f"test_{name}", 0.0) for line in trained.history)
            for name in ("accuracy", "top5")
        }
        row = (
            {name.removeprefix("test_"): value for name, value in last.items()}
            | best
            | {
                "epochs": recipe.epochs,
                "images": recipe.epochs * (len(images.train) // recipe.batch_size) * recipe.batch_size,
            }
        )
        return Outcome([row], model.state_dict()).add_course(trained)

    outcome = per_seed(progress, cfg["seeds"], one_seed)
    size = cost(lambda: build_net(net), (3, photos["size"], photos["size"]))
    return outcome, {
        "data": images.name,
        "device": compute.device.type,
        "precision": compute.precision,
        "params": size.params,
        "macs": size.macs,
        "test_images": len(images.test),
    }


def evaluate_views(team: Team, model: nn.Module, test: Photos, photos: Cfg, compute: Compute) -> dict[str, float]:
    """Top-1 and top-5 accuracy and cross-entropy on all test images, for each of the central views."""
    team.share_buffers(model)
    found: dict[str, float] = {}
    for number, view in enumerate(photos["test"]):
        mine = test[team.number :: team.size]
        sums = team.sum(sums_on(model, mine, compute, view, photos["mean"], photos["std"]))
        correct, among_five, cross_entropy = sums.tolist()
        suffix = f"_{view['size']}" if number else ""
        found |= {
            f"test_accuracy{suffix}": correct / len(test),
            f"test_top5{suffix}": among_five / len(test),
            f"test_cross_entropy{suffix}": cross_entropy / len(test),
            f"test_correct{suffix}": int(correct),
        }
    return found


def sums_on(
    model: nn.Module, photos: Photos, compute: Compute, view: Cfg, mean: list[float], std: list[float]
) -> torch.Tensor:
    """How many labels are the largest logit, how many among the five largest, and the sum of cross-entropies: (3,)."""
    sums = torch.zeros(3, dtype=torch.float64, device=compute.device)
    with in_eval_mode(model), torch.no_grad(), compute.autocast():
        for pixels, labels in central_pixels(photos, TEST_BATCH, view["resize"], view["size"]):
            wanted = labels.to(compute.device)
            logits = model(normalise(pixels.to(compute.device), mean, std)).float()
            places = logits.topk(min(5, logits.shape[1]), dim=1).indices == wanted[:, None]
            cross_entropy = F.cross_entropy(logits.double(), wanted, reduction="sum")
            sums += torch.stack([places[:, 0].sum().double(), places.sum().double(), cross_entropy])
    return sums
