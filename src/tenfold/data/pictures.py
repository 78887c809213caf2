"""Pictures with objects in them, as detectors are trained and tested on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor

KEY = "objects"  # of the file's metadata


@dataclass(frozen=True)
class Objects:
    """The objects in the pictures of one split.

    Attributes:
        ends: where the objects of each picture end among those of all, int64 (N,).
        boxes: left, top, right and bottom in pixels, float32 (M, 4).
        labels: classes, from 1: int64 (M,).
        areas: in pixels, float32 (M,).
        crowds: whether a box is around more objects than can be told apart: bool (M,). Nothing is learned of these.
        units: how many pixels of the published picture a pixel stands for: float32 (N,).
    """

    ends: Tensor
    boxes: Tensor
    labels: Tensor
    areas: Tensor
    crowds: Tensor
    units: Tensor

    def __len__(self) -> int:
        return len(self.ends)

    def image(self, number: int) -> Tensor:
        """A picture, uint8 (3, H, W)."""
        raise NotImplementedError

    def masks(self, number: int, there: Tensor) -> Tensor:
        """Where some objects of a picture are, by their numbers among all: uint8 (K, H, W)."""
        raise NotImplementedError

    def of(self, number: int) -> Tensor:
        """The objects of a picture, by their numbers among all."""
        return torch.arange(int(self.ends[number - 1]) if number else 0, int(self.ends[number]))

    def target(self, number: int, *, flipped: bool = False) -> dict[str, Tensor]:
        """What a detector of torchvision learns of a picture, or of its mirror image: boxes, labels and masks."""
        there = self.of(number)
        there = there[~self.crowds[there]]
        boxes, masks = self.boxes[there], self.masks(number, there)
        if flipped:
            width = masks.shape[2]
            boxes = torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
            masks = masks.flip(2)
        return {"boxes": boxes, "labels": self.labels[there], "masks": masks}

    def truth(self, classes: int) -> dict[str, list[dict[str, Any]]]:
        """All objects as in COCO's files, in pixels of the published pictures; pictures count from 0."""
        found = [
            {
                "id": one + 1,
                "image_id": number,
                "category_id": int(self.labels[one]),
                "bbox": as_published(self.boxes[one], unit),
                "area": float(self.areas[one]) * unit**2,
                "iscrowd": int(self.crowds[one]),
            }
            for number, unit in enumerate(self.units.tolist())
            for one in self.of(number).tolist()
        ]
        return {
            "images": [{"id": number} for number in range(len(self))],
            "categories": [{"id": number} for number in range(1, classes + 1)],
            "annotations": found,
        }

    def detections(self, number: int, found: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """What a detector of torchvision found in a picture, as in COCO's result files."""
        unit = float(self.units[number])
        parts = (found[name].cpu() for name in ("boxes", "labels", "scores"))
        return [
            {"image_id": number, "category_id": int(label), "score": float(score), "bbox": as_published(box, unit)}
            for box, label, score in zip(*parts, strict=True)
        ]


@dataclass(frozen=True)
class Pictures(Objects):
    """Pictures of one size in memory, and their objects.

    Attributes:
        images: uint8 (N, 3, H, W).
        instances: which of its picture's objects is seen at a pixel, from 1; 0 for none: uint8 (N, H, W).
    """

    images: Tensor
    instances: Tensor

    def image(self, number: int) -> Tensor:
        """See `Objects.image`."""
        return self.images[number]

    def masks(self, number: int, there: Tensor) -> Tensor:
        """What is seen of objects: where they overlap, one is in front."""
        first = int(self.ends[number - 1]) if number else 0
        return (self.instances[number][None] == (there - first + 1)[:, None, None]).to(torch.uint8)


def as_published(box: Tensor, unit: float) -> list[float]:
    """A box as COCO has it, x, y, width and height in pixels of the published picture."""
    left, top, right, bottom = (unit * value for value in box.tolist())
    return [left, top, right - left, bottom - top]


Split = TypeVar("Split", bound=Objects)


@dataclass(frozen=True)
class PictureData(Generic[Split]):
    """A dataset: its name, the names of its classes in the order of the labels, and both splits."""

    name: str
    classes: list[str]
    train: Split
    test: Split


def load(path: Path) -> PictureData[Pictures]:
    """Reads a prepared dataset, as `tenfold.data.prepare_objects` writes it."""
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()[KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    return PictureData(facts["name"], facts["classes"], *(_split(tensors, split) for split in ("train", "test")))


def _split(tensors: Mapping[str, Tensor], split: str) -> Pictures:
    of = {name.removeprefix(f"{split}_"): tensor for name, tensor in tensors.items() if name.startswith(f"{split}_")}
    return Pictures(
        **{name: of[name] for name in ("images", "instances", "boxes", "areas", "units")},
        ends=of["counts"].long().cumsum(0),
        labels=of["labels"].long(),
        crowds=of["crowds"].bool(),
    )
