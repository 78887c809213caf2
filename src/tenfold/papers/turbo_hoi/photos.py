"""Photographs with persons as the modules see them, one person at a time: a smoke test on real images, and no more.

There are far too few of them to train on, and nobody has labelled what their persons do: losses of interactions leave
such persons out, so that keypoints alone are learned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from tenfold.data.prepare_interactions import KEY
from tenfold.data.scenes import OUTPUTS
from tenfold.data.vcoco import Annotations
from tenfold.papers.turbo_hoi.method import Truth, joint_cells
from tenfold.papers.turbo_hoi.predict import KEYPOINTS, Boxes, Judge
from tenfold.papers.turbo_hoi.scenes import AT_ONCE, AWAY, VISIBLE, Seen, boxes_of
from tenfold.training.batches import Batches


@dataclass(frozen=True)
class Photos:
    """Persons of photographs, N of them, each with its photograph, its given box, and that of the object beside it.

    Attributes:
        coco: the annotations.
        images: uint8 (I, H, W, 3).
        image: the photograph of each person (N,).
        persons: boxes (N, 4).
        objects: boxes (N, 4).
        joints: x and y in pixels (N, 17, 2); not a number where they are not labelled.
        visible: which of them can be seen (N, 17).
        truth: of all persons.
    """

    coco: dict[str, Any]
    images: Tensor
    image: Tensor
    persons: Tensor
    objects: Tensor
    joints: Tensor
    visible: Tensor
    truth: Truth

    def __len__(self) -> int:
        return len(self.image)

    def seen(self, indices: Tensor, device: torch.device) -> Seen:
        """Photographs as the net sees them, pixels in [-1, 1], with one person and one object each."""
        pixels = self.images[self.image[indices]].to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        return pixels, self.persons[indices, None].to(device), self.objects[indices, None].to(device)

    def batches(self, batch_size: int, seed: int, device: torch.device) -> Batches:
        """What the net sees, and what it should say, in an order of the seed's."""

        def make(indices: Tensor) -> tuple[Seen, Truth]:
            return self.seen(indices, device), Truth(*(part[indices].to(device) for part in self.truth))

        return Batches(len(self), batch_size, make, seed)

    def asked(self, device: torch.device) -> Iterator[tuple[Seen, Boxes]]:
        """All persons, some at a time."""
        for some in torch.arange(len(self)).split(AT_ONCE):
            yield self.seen(some, device), boxes_of(self.persons[some, None], self.objects[some, None])

    @property
    def people(self) -> tuple[Truth, Tensor, Tensor]:
        """Person after person what is true, where the joints are, and the boxes."""
        return self.truth, self.joints, self.persons

    @property
    def judge(self) -> Judge:
        """Who scores what is said of poses; of interactions there is nothing to score."""
        ids = np.array([image["id"] for image in self.coco["images"]])
        nobody = Annotations(
            ids, [], [], np.empty(0, np.int64), np.empty((0, 4)), np.empty((0, 0), np.int8), np.empty((0, 0, 4))
        )
        boxes = boxes_of(self.persons[:, None], self.objects[:, None])
        return Judge(nobody, self.coco, OUTPUTS, range(KEYPOINTS), self.image, boxes, self.joints, self.visible)


def read_photos(path: Path, side: int) -> tuple[str, dict[str, Photos]]:
    """The name of a prepared set of photographs, and its splits; ``side`` is that of a heat map, in cells."""
    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()[KEY])
        splits = facts["splits"].items()
        return facts["name"], {name: photos_of(coco, file.get_tensor(f"{name}_images"), side) for name, coco in splits}


def photos_of(coco: dict[str, Any], images: Tensor, side: int) -> Photos:
    """The persons of a split that have keypoints."""
    place = {image["id"]: number for number, image in enumerate(coco["images"])}
    people = [one for one in coco["annotations"] if one.get("num_keypoints") and not one["iscrowd"]]
    known = torch.tensor([one["keypoints"] for one in people]).float().view(-1, KEYPOINTS, 3)
    joints = torch.where(known[..., 2:] > 0, known[..., :2], torch.nan)
    persons = torch.tensor([corners(one["bbox"]) for one in people])
    objects = torch.tensor([corners(beside(one, coco)["bbox"]) for one in people])
    n, outputs = len(people), len(OUTPUTS)
    unknown = torch.full((n, outputs), torch.nan)
    cells = joint_cells(joints.nan_to_num(AWAY), persons, side)
    truth = Truth(unknown, unknown, torch.full((n, outputs, 4), torch.nan), cells)
    image = torch.tensor([place[one["image_id"]] for one in people])
    return Photos(coco, images, image, persons, objects, joints, known[..., 2] == VISIBLE, truth)


def corners(box: list[float]) -> list[float]:
    """From COCO's x, y, width and height to left, top, right, bottom."""
    x, y, width, height = box
    return [float(x), float(y), float(x + width), float(y + height)]


def beside(person: dict[str, Any], coco: dict[str, Any]) -> dict[str, Any]:
    """What else is annotated nearest to a person in its photograph; the person where there is nothing else."""
    middle = np.array(person["bbox"][:2]) + np.array(person["bbox"][2:]) / 2

    def away(one: dict[str, Any]) -> float:
        return float(np.hypot(*(np.array(one["bbox"][:2]) + np.array(one["bbox"][2:]) / 2 - middle)))

    others = [one for one in coco["annotations"] if one["image_id"] == person["image_id"] and one["id"] != person["id"]]
    return min(others, key=away, default=person)
