"""What the training stages of Pruning from Scratch share: nets, batches and evaluation from a stage's cfg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tenfold.data.images import Images
from tenfold.launcher import Cfg
from tenfold.measure.accuracy import Evaluation, evaluate
from tenfold.measure.cost import WITH_AVERAGE_POOLS, Cost, cost
from tenfold.nets.build import build
from tenfold.nets.layers import PrunableNet
from tenfold.training.batches import Batches, image_batches
from tenfold.training.compute import Compute
from tenfold.training.loop import Evaluate, write_rows


def net_cost(net: Cfg, pixels: int = 32) -> Cost:
    """Parameters and MACs of a net for one image, as the official code counts them (its average pools included)."""
    return cost(lambda: build(net), (3, pixels, pixels), WITH_AVERAGE_POOLS)


def prunable_net(net: Cfg) -> PrunableNet:
    """A fresh net whose prunable layers are named."""
    model = build(net)
    assert isinstance(model, PrunableNet)
    return model


def gates_of(net: Cfg) -> list[int]:
    """Channels of each prunable layer."""
    with torch.device("meta"):
        return prunable_net(net).widths


def fit_and_validation(train: Images, validation: int) -> tuple[Images, Images]:
    """The training images without the last ``validation`` ones, in official order, and those."""
    return train[:-validation], train[-validation:]


def batches(cfg: Cfg, images: Images, batch_size: int, seed: int, device: torch.device) -> Batches:
    """Augmented training batches; equal seeds give equal order and augmentation in every arm."""
    return image_batches(images.images, images.labels, batch_size=batch_size, seed=seed, device=device, **cfg["images"])


def evaluation(cfg: Cfg, images: Images, compute: Compute, model: torch.nn.Module) -> Evaluation:
    """Accuracy of a net on images that are not augmented."""
    mean, std = cfg["images"]["mean"], cfg["images"]["std"]
    return evaluate(model, images.images, images.labels, compute, mean=mean, std=std)


def accuracy_on(cfg: Cfg, images: Images, compute: Compute, name: str) -> Evaluate:
    """A function for the training loop that adds the accuracy on ``images`` to the history."""
    return lambda model: {name: evaluation(cfg, images, compute, model).accuracy}


def by_seed(weights: dict[Any, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The tensors of several seeds under one roof: ``seed0/features.0.0.weight``."""
    return {f"seed{seed}/{name}": tensor for seed, tensors in weights.items() for name, tensor in tensors.items()}


def of_seed(tensors: dict[str, torch.Tensor], seed: int, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors of one seed out of what ``by_seed`` made."""
    start = f"seed{seed}/{prefix}"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def write_course(results: list[dict[str, Any]], history: Path, times: Path) -> None:
    """Writes how the training of all seeds went: losses and accuracies, and apart from them seconds and rates."""
    for path, name in ((history, "history"), (times, "times")):
        write_rows(path, [{"seed": result["row"]["seed"], **row} for result in results for row in result[name]])
