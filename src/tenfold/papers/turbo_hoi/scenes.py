"""Prepared scenes as tensors: what the net sees, what both modules should say of it, and who judges what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tenfold.data import scenes as drawn
from tenfold.data.prepare_scenes import read
from tenfold.data.scenes import ACTIONS, COCO_JOINT, OUTPUTS, SPLITS, Split
from tenfold.data.vcoco import join
from tenfold.papers.turbo_hoi.method import Truth, encode, joint_cells
from tenfold.papers.turbo_hoi.nets import every_pair
from tenfold.papers.turbo_hoi.predict import Boxes, Judge
from tenfold.training.batches import Batches

FINE = 16.0  # places of joints are in sixteenths of a pixel
NOT = float("nan")
AWAY = -1e6  # outside of each box, in pixels
VISIBLE = 2  # of a labelled joint, as COCO has it
AT_ONCE = 50  # scenes that are asked about
Seen = tuple[Tensor, Tensor, Tensor]  # images, and the boxes of their persons and objects


@dataclass(frozen=True)
class Scenes:
    """Scenes of a split: N of them, each with P given persons and Q given objects.

    Attributes:
        split: as it was drawn.
        images: uint8 (N, H, W, 3).
        persons: boxes (N, P, 4), left, top, right, bottom in pixels.
        objects: boxes (N, Q, 4).
        joints: x and y in pixels, (N, P, K, 2); not a number where they are not labelled.
        truth: scene by scene: of persons (N, P, ...), of pairs (N, P Q, ...).
    """

    split: Split
    images: Tensor
    persons: Tensor
    objects: Tensor
    joints: Tensor
    truth: Truth

    def __len__(self) -> int:
        return len(self.images)

    def seen(self, indices: Tensor, device: torch.device) -> Seen:
        """Scenes as the net sees them, pixels in [-1, 1]."""
        pixels = self.images[indices].to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        return pixels, self.persons[indices].to(device), self.objects[indices].to(device)

    def batches(self, batch_size: int, seed: int, device: torch.device) -> Batches:
        """What the net sees, and what it should say, in an order of the seed's."""

        def make(indices: Tensor) -> tuple[Seen, Truth]:
            return self.seen(indices, device), Truth(*(part[indices].flatten(0, 1).to(device) for part in self.truth))

        return Batches(len(self), batch_size, make, seed)

    def asked(self, device: torch.device) -> Iterator[tuple[Seen, Boxes]]:
        """All scenes, some at a time, and whose boxes they have; given ones have the score 1."""
        for some in torch.arange(len(self)).split(AT_ONCE):
            yield self.seen(some, device), boxes_of(self.persons[some], self.objects[some])

    @property
    def people(self) -> tuple[Truth, Tensor, Tensor]:
        """Person after person what is true, where the joints are, and the boxes."""
        return (
            Truth(*(part.flatten(0, 1) for part in self.truth)),
            self.joints.flatten(0, 1),
            self.persons.flatten(0, 1),
        )

    @property
    def judge(self) -> Judge:
        """Who scores what is said of all scenes."""
        coco = drawn.coco(self.split)
        ids = [image["id"] for image in coco["images"]]
        return Judge(
            join(drawn.vcoco(self.split), [coco], ids),
            coco,
            OUTPUTS,
            COCO_JOINT,
            torch.arange(len(self)).repeat_interleave(self.persons.shape[1]),
            boxes_of(self.persons, self.objects),
            self.joints.flatten(0, 1),
            torch.from_numpy(self.split.seen).flatten(0, 1) == VISIBLE,
        )


def boxes_of(persons: Tensor, objects: Tensor) -> Boxes:
    """The given boxes of scenes, (N, P, 4) and (N, Q, 4), and every pair of a scene."""
    (n, p), q = persons.shape[:2], objects.shape[1]
    return Boxes(
        every_pair(n, p, q), persons.flatten(0, 1), torch.ones(n * p), objects.flatten(0, 1), torch.ones(n * q)
    )


def read_scenes(path: Path, side: int) -> tuple[str, dict[str, Scenes]]:
    """The name of a prepared dataset, and its scenes; ``side`` is that of a heat map, in cells."""
    name, splits = read(path)
    return name, {split: scenes_of(splits[split], side) for split in SPLITS}


def scenes_of(split: Split, side: int) -> Scenes:
    """The scenes of a split."""
    persons, objects = (torch.from_numpy(boxes).float() for boxes in (split.persons, split.objects))
    labelled = torch.from_numpy(split.seen) > 0
    joints = torch.where(labelled[..., None], torch.from_numpy(split.joints).float() / FINE, NOT)
    cells = joint_cells(joints.nan_to_num(AWAY).flatten(0, 1), persons.flatten(0, 1), side).view(labelled.shape)
    return Scenes(split, torch.from_numpy(split.images), persons, objects, joints,
                  truth_of(split, persons, objects, cells))  # fmt: skip


def truth_of(split: Split, persons: Tensor, objects: Tensor, cells: Tensor) -> Truth:
    """What is true of persons and pairs, output by output."""
    actions, targets = torch.from_numpy(split.actions), torch.from_numpy(split.targets)
    names, q = list(ACTIONS), objects.shape[1]
    does, aims, places = [], [], []
    for action, role in OUTPUTS:
        acts = actions == names.index(action)
        target = targets[..., ACTIONS[action].index(role)] if role else torch.full_like(actions, -1)
        target = torch.where(acts, target, -1)
        box = objects.gather(1, target.clamp_min(0)[..., None].expand(-1, -1, 4))
        does.append(acts)
        aims.append(target[..., None] == torch.arange(q))
        places.append(torch.where((target >= 0)[..., None], encode(persons, box), NOT))
    return Truth(
        torch.stack(does, -1).float(),
        torch.stack(aims, -1).float().flatten(1, 2),
        torch.stack(places, 2),
        cells,
    )
