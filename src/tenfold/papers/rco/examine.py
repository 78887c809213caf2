"""Looks at trained students: how noise in the images hurts them, and which way their weights took."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import vector_to_parameters

from tenfold.data.images import Images
from tenfold.data.splits import read_splits
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.measure.predictions import BATCH
from tenfold.nets.build import build
from tenfold.training.batches import normalise
from tenfold.training.compute import Compute, start
from tenfold.training.loop import write_rows
from tenfold.weights import below, load_weights


@stage
def examine(cfg: Cfg, job: Job, *, data: Input, weights: Inputs, noise: Output, landscape: Output) -> None:
    """Noise robustness of all seeds, and the loss around the ways that the students of one seed took.

    Args:
        cfg: ``arms`` are the arms that ``weights`` are of, in the same order.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: what ``distil`` wrote for these arms, with the weights after each epoch.
        noise: a row for each arm, seed and standard deviation.
        landscape: the ways of the first seed in the plane of their two main directions, and the loss on a grid there.
    """
    compute = start(cfg["compute"], job)
    images = read_splits(cfg["images"], data)
    net = compute.place(build({**cfg["student"], "classes": images.classes}))
    found = {arm: load_weights(path) for arm, path in zip(cfg["arms"], weights, strict=True)}
    rows = []
    for arm, tensors in found.items():
        for seed in cfg["seeds"]:
            net.load_state_dict(below(f"seed{seed}/last", tensors))
            for sigma in cfg["noise"]:
                share = accuracy_under_noise(net, images.test, sigma, seed, cfg["images"], compute)
                rows.append({"arm": arm, "seed": seed, "sigma": sigma, "accuracy": share})
        job.say(f"noise: {arm}")
    write_json(noise, {"rows": rows})

    seed = cfg["seeds"][0]
    ways = {arm: way_of(net, below(f"seed{seed}", tensors)) for arm, tensors in found.items()}
    write_rows(landscape, landscape_rows(net, ways, images.held_out[:BATCH], cfg, compute))


def accuracy_under_noise(
    net: nn.Module, split: Images, sigma: float, seed: int, images: Cfg, compute: Compute
) -> float:
    """Top-1 accuracy, in [0, 1], with Gaussian noise of standard deviation ``sigma`` added to normalised images.

    The noise depends on the seed only, so arms are compared under the same noise.
    """
    generator = torch.Generator().manual_seed(seed)
    net.eval()
    correct = 0
    with torch.no_grad(), compute.autocast():
        for some, labels in zip(split.images.split(BATCH), split.labels.split(BATCH), strict=True):
            drawn = torch.randn(some.shape, generator=generator).to(compute.device)
            pixels = some.to(compute.device).permute(0, 2, 3, 1).contiguous()
            views = normalise(pixels, images["mean"], images["std"]) + sigma * drawn
            correct += int((net(views).argmax(1).cpu() == labels).sum())
    return correct / len(split)


def way_of(net: nn.Module, kept: Mapping[str, Tensor]) -> Tensor:
    """The parameters of a student after each of its epochs, as rows (epochs, P), float64."""
    epochs = sorted({int(name.partition("/")[0]) for name in kept if not name.startswith("last/")})
    model = copy.deepcopy(net).cpu()
    rows = []
    for epoch in epochs:
        model.load_state_dict(below(str(epoch), kept))
        rows.append(torch.cat([parameter.detach().double().flatten() for parameter in model.parameters()]))
    return torch.stack(rows)


def plane_of(points: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (P,) of points (N, P) and their two main directions (2, P): principal components."""
    centre = points.mean(0)
    _, _, directions = torch.linalg.svd(points - centre, full_matrices=False)
    main_two = directions[:2]
    # The sign of a direction is free; the largest entry is made positive, so that it is the same each time.
    largest = main_two.gather(1, main_two.abs().argmax(1, keepdim=True))
    return centre, main_two * largest.sign()


def landscape_rows(
    net: nn.Module, ways: Mapping[str, Tensor], split: Images, cfg: Cfg, compute: Compute
) -> list[dict[str, Any]]:
    """Points of the ways (``what`` is the arm, with its epoch) and of the grid (``what`` is "loss") with their loss."""
    centre, directions = plane_of(torch.cat(list(ways.values())))
    rows: list[dict[str, Any]] = []
    for arm, way in ways.items():
        for epoch, (x, y) in enumerate(((way - centre) @ directions.T).tolist(), start=1):
            rows.append({"what": arm, "epoch": epoch, "x": x, "y": y})
    spans = [[row[axis] for row in rows] for axis in ("x", "y")]
    ticks = []
    for span in spans:
        margin = 0.25 * (max(span) - min(span)) or 1.0
        ticks.append(torch.linspace(min(span) - margin, max(span) + margin, cfg["grid"]).tolist())
    for y in ticks[1]:
        for x in ticks[0]:
            point = centre + torch.tensor([x, y], dtype=torch.float64) @ directions
            rows.append({"what": "loss", "epoch": 0, "x": x, "y": y, "loss": loss_at(net, point, split, cfg, compute)})
    return rows


def loss_at(net: nn.Module, point: Tensor, split: Images, cfg: Cfg, compute: Compute) -> float:
    """Cross-entropy on held-out images with these parameters (P,); BatchNorm uses the statistics of the images.

    Running statistics belong to the weights they were gathered with and say nothing of other points of the plane.
    """
    model = copy.deepcopy(net).train()
    device = next(model.parameters()).device
    with torch.no_grad(), compute.autocast():
        vector_to_parameters(point.float().to(device), model.parameters())
        pixels = split.images.to(device).permute(0, 2, 3, 1).contiguous()
        logits = model(normalise(pixels, cfg["images"]["mean"], cfg["images"]["std"])).float()
        loss = float(F.cross_entropy(logits, split.labels.to(device)))
    return loss if math.isfinite(loss) else math.inf


if __name__ == "__main__":
    main(examine)
