"""Reads a part of COCO: pictures ``{train,val}2017/*.jpg`` and ``annotations/instances_{train,val}2017.json``.

Lin et al., Microsoft COCO: Common Objects in Context (ECCV 2014).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as masks

from tenfold.data.objects import Tensors
from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.launcher import Job

HOLDS = "annotations/instances_val2017.json"
SPLITS = {"train": "train2017", "test": "val2017"}


def read(folder: Path, settings: dict[str, Any], job: Job) -> tuple[Tensors, list[str]]:
    """Reads all pictures that are annotated, in the order of their numbers; the validation pictures are the test set.

    Each is reduced until it fits into a square, whose upper left corner it takes; the rest is black.

    Args:
        folder: what holds the pictures and the annotations.
        settings: ``side`` of the square in pixels, ``content`` (SHA-256 over the files that are read).
        job: for progress.

    Returns:
        The tensors that `tenfold.data.prepare_objects` writes, and the names of the categories, in their order.

    Raises:
        UserError: the files are not the known ones.
    """
    tensors: Tensors = {}
    digest, names = hashlib.sha256(), []
    for split, part in SPLITS.items():
        file = folder / "annotations" / f"instances_{part}.json"
        digest.update(_content(file))
        found = read_json(file)
        categories = sorted(found["categories"], key=lambda one: one["id"])
        names, label_of = [one["name"] for one in categories], {one["id"]: k for k, one in enumerate(categories, 1)}
        job.say(f"reading {file}: {len(found['images'])} pictures")
        pictures = []
        for picture in sorted(found["images"], key=lambda one: one["id"]):
            path = folder / part / picture["file_name"]
            digest.update(_content(path))
            of = [one for one in found["annotations"] if one["image_id"] == picture["id"]]
            pictures.append(_picture(path, picture, of, label_of, settings["side"]))
        for name in ("images", "instances", "counts", "units"):
            tensors[f"{split}_{name}"] = np.stack([one[name] for one in pictures])
        for name in ("boxes", "labels", "areas", "crowds"):
            tensors[f"{split}_{name}"] = np.concatenate([one[name] for one in pictures])
    if digest.hexdigest() != settings["content"]:
        raise UserError(
            f"{folder}: these are not the known pictures (digest {digest.hexdigest()} instead of "
            f"{settings['content']}); config/datasets.yaml says which copy is needed"
        )
    return tensors, names


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise UserError(f"{path} is missing: annotations name it") from None


def _picture(
    path: Path, picture: dict[str, Any], annotations: list[dict[str, Any]], label_of: dict[int, int], side: int
) -> Tensors:
    """One picture in its square, with its objects in the order of their numbers; boxes without area are left out."""
    width, height = picture["width"], picture["height"]
    factor = side / max(width, height)
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except OSError:
        raise UserError(f"{path}: not a whole picture") from None
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    square = np.zeros((3, side, side), np.uint8)
    square[:, : size[1], : size[0]] = np.asarray(image.resize(size, Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    objects = [one for one in sorted(annotations, key=lambda one: one["id"]) if min(one["bbox"][2:]) > 0]
    instances = np.zeros((side, side), np.uint8)
    # Of objects that overlap the smaller one is in front.
    for number, one in sorted(enumerate(objects, 1), key=lambda pair: -pair[1]["area"]):
        seen = Image.fromarray(_mask(one["segmentation"], height, width)).resize(size, Image.Resampling.NEAREST)
        instances[: size[1], : size[0]][np.asarray(seen) > 0] = number
    x, y, w, h = np.array([one["bbox"] for one in objects], np.float32).reshape(-1, 4).T * np.float32(factor)
    return {
        "images": square,
        "instances": instances,
        "counts": np.uint8(len(objects)),  # type: ignore[dict-item]
        "units": np.float32(max(picture.get("orig_width", width), picture.get("orig_height", height)) / side),  # type: ignore[dict-item]
        "boxes": np.stack([x, y, x + w, y + h], 1),
        "labels": np.array([label_of[one["category_id"]] for one in objects], np.uint8),
        "areas": np.array([one["area"] * factor**2 for one in objects], np.float32),
        "crowds": np.array([one["iscrowd"] for one in objects], np.uint8),
    }


def _mask(segmentation: Any, height: int, width: int) -> NDArray[np.uint8]:
    """Where an object is, (height, width): from polygons, or from run lengths that may be packed."""
    if isinstance(segmentation, dict):
        packed = segmentation
        if isinstance(segmentation["counts"], list):
            packed = masks.frPyObjects(segmentation, height, width)
    else:
        packed = masks.merge(masks.frPyObjects(segmentation, height, width))
    found: NDArray[np.uint8] = masks.decode(packed)
    return found
