"""A prepared dataset as a paper trains on it: which labels, how many pixels, what is fitted, held out and tested."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tenfold.data.images import Images, load
from tenfold.errors import UserError


@dataclass(frozen=True)
class Splits:
    """A dataset as a paper uses it.

    Attributes:
        name: of the dataset.
        classes: how many there are.
        fit: what nets are trained on.
        held_out: training images that no net sees; whatever is chosen is chosen on them.
        test: the test images.
    """

    name: str
    classes: int
    fit: Images
    held_out: Images
    test: Images


def read_splits(images: dict[str, Any], path: Path) -> Splits:
    """Reads a prepared dataset.

    Args:
        images: ``labels`` (fine or coarse), ``pixels`` (side of the images; blocks are averaged where it is smaller),
            ``held_out`` (how many of the last training images are held out), ``fit`` (how many of the first ones are
            trained on; null for all others).
        path: the prepared file.

    Raises:
        UserError: the training images do not suffice, or have no coarse classes.
    """
    data = load(path)
    coarse = images["labels"] == "coarse"
    if coarse and not data.coarse_classes:
        raise UserError(f"{data.name} has no coarse classes; set images.labels to fine (config/papers)")
    train, test = (_as_used(part, coarse, images["pixels"]) for part in (data.train, data.test))
    others = len(train) - images["held_out"]
    fit = others if images["fit"] is None else images["fit"]
    if not 0 < fit <= others:
        raise UserError(
            f"images.fit is {fit}, but {data.name} has {len(train)} training images of which {images['held_out']} "
            f"are held out; at most {others} are left (config/papers)"
        )
    classes = len(data.coarse_classes if coarse else data.classes)
    return Splits(data.name, classes, train[:fit], train[others:], test)


def scaling(images: dict[str, Any]) -> dict[str, Any]:
    """What of ``images`` says how pixels in [0, 1] are normalised: ``mean`` and ``std`` of each channel."""
    return {"mean": images["mean"], "std": images["std"]}


def _as_used(part: Images, coarse: bool, pixels: int) -> Images:
    labels = part.coarse if coarse and part.coarse is not None else part.labels
    return Images(averaged(part.images, pixels), labels, scale=part.scale)


def averaged(images: Tensor, pixels: int) -> Tensor:
    """Smaller images, each pixel the rounded mean of a block: uint8 (N, C, H, W) -> (N, C, pixels, pixels)."""
    n, channels, side, _ = images.shape
    block = side // pixels
    if block == 1:
        return images
    sums = images.view(n, channels, pixels, block, pixels, block).sum((3, 5), dtype=torch.int32)
    return ((sums + block * block // 2) // (block * block)).to(torch.uint8)
