"""What attacks and defences of a job are given: the images under attack in batches, trained nets, and their chance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.data.splits import read_splits
from tenfold.launcher import Cfg
from tenfold.nets.build import build
from tenfold.papers.adversarial_competition.nets import Normalised, for_crafting
from tenfold.papers.adversarial_competition.scoring import project, to_pixels
from tenfold.stages.called import called
from tenfold.training.compute import Compute
from tenfold.weights import below, load_weights


@dataclass(frozen=True)
class Batch:
    """Images that are attacked together.

    Attributes:
        number: from 0.
        eps: the bound, in steps of pixels.
        images: uint8 (B, 3, H, W).
        labels: the true ones, int64 (B,).
        targets: what a targeted attack has to reach, never the true label; the same for each seed and attack.
    """

    number: int
    eps: int
    images: Tensor
    labels: Tensor
    targets: Tensor

    @property
    def pixels(self) -> Tensor:
        """The images in [0, 1], float32."""
        return self.images.float() / 255


@dataclass(frozen=True)
class Contest:
    """The test images that are attacked.

    Attributes:
        name: of the dataset.
        classes: how many there are.
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        targets: int64 (N,).
        batch_size: images of a batch.
    """

    name: str
    classes: int
    images: Tensor
    labels: Tensor
    targets: Tensor
    batch_size: int

    def batches(self, eps: Sequence[int]) -> Iterator[Batch]:
        """The batches in order; the k-th has the k-th eps, over and over, as the organisers' code has it."""
        parts = zip(*(part.split(self.batch_size) for part in (self.images, self.labels, self.targets)), strict=True)
        for number, (images, labels, targets) in enumerate(parts):
            yield Batch(number, eps[number % len(eps)], images, labels, targets)

    def __len__(self) -> int:
        return len(self.labels)


def read_contest(cfg: Cfg, data: Path) -> Contest:
    """The first ``test_images`` of a prepared dataset, with targets that a named generator draws."""
    splits = read_splits(cfg["images"], data)
    test = splits.test[: cfg["test_images"]]
    shift = torch.randint(1, splits.classes, (len(test),), generator=generator_of("targets"))
    targets = (test.labels + shift) % splits.classes
    return Contest(splits.name, splits.classes, test.images, test.labels, targets, cfg["batch_size"])


def generator_of(*names: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that belongs to these names: equal names, equal draws, whatever else is drawn."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7]))


def projected(batch: Batch, crafted: Tensor) -> Tensor:
    """What an attack gives, float (B, 3, H, W) in [0, 1], as whole steps of pixels within the batch's eps: uint8."""
    pixels = to_pixels(crafted.detach().cpu().numpy())
    return torch.from_numpy(project(batch.images.numpy(), pixels, batch.eps))


def settings_of(arm: Cfg, paths: Sequence[Path], seed: int, compute: Compute) -> dict[str, Any]:
    """What an arm's function is given beside nets, images, eps and chance: its settings, and what it has learned.

    Args:
        arm: an attack or a defence; ``learned`` says how it learns, where it does.
        paths: the weights of that; one file, or none.
        seed: whose.
        compute: where it is placed, and its precision.
    """
    settings = dict(arm["settings"])
    for path in paths:
        learning = called(arm["learned"]["call"])([], **arm["learned"]["settings"])
        learning.model.load_state_dict(below(f"seed{seed}", load_weights(path)))
        settings |= learning.given(compute.place(learning.model.eval().requires_grad_(False)))
    return settings


def load_nets(cfg: Cfg, paths: Sequence[Path], seed: int, classes: int, compute: Compute) -> list[nn.Module]:
    """The trained nets of a seed, frozen; they take images in [0, 1] and give logits, float32.

    Args:
        cfg: ``nets``: each with its ``name`` and how it is built; ``images`` with ``mean`` and ``std``.
        paths: the weights of each, in that order.
        seed: whose.
        classes: of the dataset.
        compute: where they are placed, and their precision.
    """
    found = []
    for of, path in zip(cfg["nets"], paths, strict=True):
        net = build({**of["net"], "classes": classes})
        net.load_state_dict(below(f"seed{seed}", load_weights(path)))
        whole = Normalised(net, cfg["images"]["mean"], cfg["images"]["std"])
        found.append(for_crafting(whole, compute.precision).to(compute.device))
    return found
