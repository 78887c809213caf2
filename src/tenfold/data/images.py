"""Prepared image datasets as torch tensors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor


@dataclass(frozen=True)
class Images:
    """One split of a dataset.

    Attributes:
        images: uint8, (N, 3, H, W).
        labels: int64, (N,).
        coarse: the coarse class, int64, (N,), where the dataset has one.
        scale: the size of the object in percent, int64, (N,), where the dataset controls it.
    """

    images: Tensor
    labels: Tensor
    coarse: Tensor | None = None
    scale: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> Images:
        """The images that a slice, an index tensor or a mask chooses."""
        coarse = None if self.coarse is None else self.coarse[index]
        scale = None if self.scale is None else self.scale[index]
        return Images(self.images[index], self.labels[index], coarse, scale)


@dataclass(frozen=True)
class ImageData:
    """A dataset.

    Attributes:
        name: its name in the registry.
        classes: the names of the classes, in the order of the labels.
        train: the training images.
        test: the test images.
        coarse_classes: the names of the coarse classes; empty where there are none.
    """

    name: str
    classes: list[str]
    train: Images
    test: Images
    coarse_classes: list[str]


def load(path: Path) -> ImageData:
    """Reads a prepared dataset, as ``tenfold.data.prepare`` writes it."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    return ImageData(
        name=metadata["name"],
        classes=json.loads(metadata["classes"]),
        train=_split(tensors, "train"),
        test=_split(tensors, "test"),
        coarse_classes=json.loads(metadata.get("coarse_classes", "[]")),
    )


def _split(tensors: dict[str, Tensor], split: str) -> Images:
    numbers = {
        kind: tensors[f"{split}_{kind}"].to(torch.int64)
        for kind in ("labels", "coarse", "scale")
        if f"{split}_{kind}" in tensors
    }
    return Images(images=tensors[f"{split}_images"], **numbers)
