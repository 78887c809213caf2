"""What the stages of Pruning from Scratch share: the images that they see, and nets and costs from a stage's cfg."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from tenfold.data.images import Images, load
from tenfold.data.splits import scaling
from tenfold.launcher import Cfg
from tenfold.measure.accuracy import Evaluation, evaluate
from tenfold.measure.cost import WITH_AVERAGE_POOLS, Cost, cost
from tenfold.nets.build import build
from tenfold.nets.layers import PrunableNet
from tenfold.training.batches import Batches, image_batches
from tenfold.training.compute import Compute
from tenfold.training.loop import Evaluate

# Images -----------------------------------------------------------------------------------------------------------


class Split(Protocol):
    """Images to train on, or to measure on: in memory, or photographs that are decoded as they are needed."""

    def __len__(self) -> int:
        """How many there are."""

    def batches(self, batch_size: int, seed: int) -> Batches:
        """Augmented training batches; equal seeds give equal order and augmentation in every arm."""

    def evaluate(self, model: nn.Module) -> Evaluation:
        """How a net does on the images, which are not augmented."""


@dataclass(frozen=True)
class Pictures:
    """What a stage trains on, and what it measures on.

    Attributes:
        name: of the dataset.
        classes: how many it has.
        pixels: side of an image, at which nets are counted.
        seen: what is trained on.
        judged: what is measured on: the test images, or training images that are held out.
        compute: where.
    """

    name: str
    classes: int
    pixels: int
    seen: Split
    judged: Split
    compute: Compute

    def net(self, net: Cfg) -> Cfg:
        """A net for as many classes."""
        return {**net, "classes": self.classes}

    def cost(self, net: Cfg) -> Cost:
        """The cost of a net for one of these images."""
        return net_cost(net, self.pixels)

    def accuracy(self, name: str) -> Evaluate:
        """A function for the training loop that adds the accuracy on the judged images to the history."""
        return lambda model: {name: self.judged.evaluate(model).accuracy}


@dataclass(frozen=True)
class InMemory:
    """Small images."""

    images: Images
    settings: Cfg
    compute: Compute

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, batch_size: int, seed: int) -> Batches:
        """See `Split`."""
        of, device = self.images, self.compute.device
        return image_batches(of.images, of.labels, batch_size=batch_size, seed=seed, device=device, **self.settings)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """See `Split`."""
        return evaluate(model, self.images.images, self.images.labels, self.compute, **scaling(self.settings))


def in_memory(cfg: Cfg, data: Path, compute: Compute, validation: int | None = None) -> Pictures:
    """A dataset of small images; with ``validation`` so many training images are held out and judged, not the test set.

    They are the last ones, in official order.
    """
    images = load(data)
    seen, judged = images.train, images.test
    if validation is not None:
        seen, judged = images.train[:-validation], images.train[-validation:]
    of_seen, of_judged = (InMemory(split, cfg["images"], compute) for split in (seen, judged))
    return Pictures(images.name, len(images.classes), 32, of_seen, of_judged, compute)


# Nets -------------------------------------------------------------------------------------------------------------


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
