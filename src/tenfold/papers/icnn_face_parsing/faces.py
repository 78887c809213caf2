"""Prepared faces as nets are trained on them: reduced, or in crops around their parts, turned and shifted at random."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from tenfold.data.faces import BACKGROUND
from tenfold.errors import UserError
from tenfold.launcher import Cfg
from tenfold.papers.icnn_face_parsing.method import mirrored
from tenfold.papers.icnn_face_parsing.pipeline import (
    BATCH,
    FACE,
    PARTS,
    Part,
    box_centres,
    one_hot,
    reduced,
    reduced_labels,
)
from tenfold.training.batches import Batches, Drawn


@dataclass(frozen=True)
class Faces:
    """Faces of one split: ``images`` uint8 (N, H, H, 3), ``labels`` uint8 (N, H, H)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: slice) -> Faces:
        return Faces(self.images[index], self.labels[index])


@dataclass(frozen=True)
class Splits:
    """A dataset of faces, as it is used: its name, and what nets are trained on, chosen on and tested on."""

    name: str
    train: Faces
    val: Faces
    test: Faces


def read_faces(settings: Cfg, path: Path) -> Splits:
    """Reads prepared faces.

    Args:
        settings: ``side`` of the faces (reduced where they are larger), ``train``, ``val`` and ``test``: how many of
            the first ones of each split, null for all.
        path: as `tenfold.data.prepare_faces` writes it.

    Raises:
        UserError: there are not as many faces, or they are smaller.
    """
    with safe_open(path, framework="pt") as file:
        name = json.loads(file.metadata()["faces"])["name"]
        splits = {split: Faces(*(file.get_tensor(f"{split}_{kind}") for kind in ("images", "labels")))
                  for split in ("train", "val", "test")}  # fmt: skip
    for split, faces in splits.items():
        wanted, side = settings[split], settings["side"]
        if wanted is not None and wanted > len(faces):
            raise UserError(
                f"faces.{split} is {wanted}, but {name} has {len(faces)} (config/papers/icnn-face-parsing.yaml)"
            )
        if side > faces.images.shape[1]:
            raise UserError(
                f"faces.side is {side}, but those of {name} have {faces.images.shape[1]} pixels "
                f"(config/papers/icnn-face-parsing.yaml)"
            )
        splits[split] = at_side(faces[:wanted], side)
    return Splits(name, **splits)


def at_side(faces: Faces, side: int) -> Faces:
    """Smaller faces: images without aliasing, and the label that covers most of each pixel."""
    if faces.images.shape[1] == side:
        return faces
    images = torch.cat([reduced(some, side) for some in faces.images.split(BATCH)])
    maps = (F.adaptive_avg_pool2d(one_hot(some), (side, side)) for some in faces.labels.split(BATCH))
    return Faces(images, torch.cat([some.argmax(1).to(torch.uint8) for some in maps]))


# Batches ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Views:
    """What a net is shown: around each centre a square of a face.

    Attributes:
        images: uint8 (N, H, H, 3).
        labels: uint8 (N, H, H).
        face: the face of each view, (M,).
        centre: the middle of each, (M, 2).
        is_mirrored: whether the view is mirrored, (M,).
        target: from the face's labels to the net's, (M, 9).
        side: of the views.
    """

    images: Tensor
    labels: Tensor
    face: Tensor
    centre: Tensor
    is_mirrored: Tensor
    target: Tensor
    side: int


def reduced_faces(faces: Faces, side: int) -> Faces:
    """Faces as the first stage sees them, and the labels that it learns."""
    images = torch.cat([reduced(some, side) for some in faces.images.split(BATCH)])
    return Faces(images, reduced_labels(faces.labels, side))


def whole_faces(faces: Faces) -> Views:
    """Whole faces, for the net of the first stage."""
    n, side = faces.labels.shape[:2]
    return Views(
        faces.images,
        faces.labels,
        torch.arange(n),
        torch.full((n, 2), side // 2, dtype=torch.float32),
        torch.zeros(n, dtype=torch.bool),
        torch.arange(BACKGROUND + 1).expand(n, -1),
        side,
    )


def part_crops(faces: Faces, net: str, side: int) -> Views:
    """Crops around the bounding boxes of the parts that a net labels, those of the right side mirrored.

    Raises:
        UserError: no face has such a part.
    """
    boxes = torch.cat([box_centres(some) for some in faces.labels.split(BATCH)])
    views = []
    for number, part in enumerate(PARTS):
        if part.net != net:
            continue
        there = (~boxes[:, number].isnan().any(1)).nonzero()[:, 0]
        views.append((there, boxes[there, number].float(), torch.full((len(there),), part.mirrored),
                      target_of(part).expand(len(there), -1)))  # fmt: skip
    found = [torch.cat(parts) for parts in zip(*views, strict=True)]
    if not len(found[0]):
        raise UserError(f"no face has a part that '{net}' labels")
    return Views(faces.images, faces.labels, *found, side)  # type: ignore[call-arg, arg-type]


def target_of(part: Part) -> Tensor:
    """From labels of the face to those of the part's net, whose background comes last: (9,)."""
    target = torch.full((BACKGROUND + 1,), len(part.labels))
    target[part.span] = torch.arange(len(part.labels))
    return target


def views_of(faces: Faces, net: str, sides: Mapping[str, int]) -> Views:
    """What a net is trained on."""
    return whole_faces(reduced_faces(faces, sides[net])) if net == FACE else part_crops(faces, net, sides[net])


def maker(views: Views, augment: Cfg, device: torch.device) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """From indices of views (B,) and numbers in [-1, 1] (B, 4), zeros for views as they are, to a batch of them.

    The batch is their pixels, float32 (B, 3, S, S) from 0 to 255, and their labels, int64 (B, S, S).

    Args:
        views: of some faces.
        augment: the largest ``rotation`` in degrees, change of ``scale`` and ``shift`` in pixels.
        device: where batches are made.
    """
    images = views.images.to(device).permute(0, 3, 1, 2)
    labels = views.labels.to(device)
    face, centre, is_mirrored, target = (
        part.to(device) for part in (views.face, views.centre, views.is_mirrored, views.target)
    )

    def make(indices: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
        chosen = indices.to(device)
        own, flip = face[chosen], is_mirrored[chosen][:, None, None]
        grid = grid_around(centre[chosen], moves(chance.to(device), augment), views.side, images.shape[-1])
        seen = F.grid_sample(images[own].float(), grid, mode="bicubic", align_corners=True)
        known = BACKGROUND - labels[own, None].float()  # so that 0, which is what lies outside, is the background
        nearest = F.grid_sample(known, grid, mode="nearest", align_corners=True)
        wanted = target[chosen].gather(1, (BACKGROUND - nearest.long()).flatten(1)).view(-1, views.side, views.side)
        pixels = torch.where(flip[:, None], mirrored(seen), seen).clamp(0, 255)
        return pixels.contiguous(memory_format=torch.channels_last), torch.where(flip, mirrored(wanted), wanted)

    return make


def batches_of(views: Views, augment: Cfg, batch_size: int, seed: int, device: torch.device) -> Batches:
    """Batches as `maker` makes them, turned, scaled and shifted at random; order and chance depend on the seed."""

    def draw(indices: Tensor, generator: torch.Generator) -> Drawn:
        return indices, 2 * torch.rand(len(indices), 4, generator=generator) - 1

    return Batches(len(views.face), batch_size, maker(views, augment, device), seed, draw=draw)


def moves(chance: Tensor, augment: Cfg) -> Tensor:
    """Numbers in [-1, 1], (B, 4), as the author's changes: angle in radians, factor of size, shifts down and along."""
    angle = chance[:, 0] * math.radians(augment["rotation"])
    factor = 1 + chance[:, 1] * augment["scale"]
    return torch.stack([angle, factor, *(chance[:, 2:] * augment["shift"]).unbind(1)], 1)


def grid_around(centres: Tensor, moved: Tensor, side: int, size: int) -> Tensor:
    """Where views are sampled, for `grid_sample` with aligned corners: (B, 2), (B, 4) -> (B, side, side, 2).

    Without a move the view is what `pipeline.crop` cuts out.

    Args:
        centres: in pixels.
        moved: angle, factor, shifts.
        side: of the views.
        size: of the faces.
    """
    steps = torch.arange(side, device=centres.device) - side // 2
    angle, factor, down, along = (part[:, None, None] for part in moved.unbind(1))
    y, x = steps[:, None] / factor, steps / factor
    rows = centres.round()[:, 0, None, None] + down + torch.cos(angle) * y - torch.sin(angle) * x
    columns = centres.round()[:, 1, None, None] + along + torch.sin(angle) * y + torch.cos(angle) * x
    return torch.stack([columns, rows], 3) * (2 / (size - 1)) - 1
