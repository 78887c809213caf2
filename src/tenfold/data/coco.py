"""Reads small sets of photographs in COCO's layout: ``<split>/*.jpg`` and, in ``annotations/``, boxes and keypoints.

Lin et al., Microsoft COCO: Common Objects in Context (ECCV 2014).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tenfold.data.json_files import read_published
from tenfold.errors import UserError

PUBLISHER = "https://cocodataset.org"
KEYPOINTS = ("keypoints", "num_keypoints")


def read(
    folder: Path, splits: dict[str, str], canvas: int, content: str
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, Any]]:
    """Reads all photographs, each in the upper left corner of a black canvas.

    Args:
        folder: what holds ``annotations/``.
        splits: for each split the publisher's name of it, such as ``train2017``.
        canvas: its side in pixels.
        content: SHA-256 over the names and bytes of all photographs.

    Returns:
        ``<split>_images`` (N, canvas, canvas, 3); and for each split what COCO's file of boxes has, the keypoints of
        persons added: ``images`` in the order of the photographs, ``annotations``, ``categories``.

    Raises:
        UserError: a file is missing, another one, or too large for the canvas.
    """
    tensors, truth, digest = {}, {}, hashlib.sha256()
    for split, name in splits.items():
        truth[split] = read_published(folder / "annotations" / f"instances_{name}.json", PUBLISHER, _boxes)
        persons = read_published(folder / "annotations" / f"person_keypoints_{name}.json", PUBLISHER, _keypoints)
        for one in truth[split]["annotations"]:
            one |= persons.get(one["id"], {})
        images = np.zeros((len(truth[split]["images"]), canvas, canvas, 3), np.uint8)
        for number, image in enumerate(truth[split]["images"]):
            path = folder / name / Path(image["file_name"]).name
            pixels = _pixels(path, (image["height"], image["width"]), canvas)
            images[number, : pixels.shape[0], : pixels.shape[1]] = pixels
            digest.update(f"{name}/{path.name}".encode() + path.read_bytes())
        tensors[f"{split}_images"] = images
    if (found := digest.hexdigest()) != content:
        raise UserError(f"{folder}: other photographs than those on record (content {found} instead of {content})")
    return tensors, truth


def _boxes(content: dict[str, Any]) -> dict[str, Any]:
    wanted = {"images": ("id", "file_name", "width", "height"),
              "annotations": ("id", "image_id", "category_id", "bbox", "area", "iscrowd"),
              "categories": ("id", "name")}  # fmt: skip
    return {part: [{key: one[key] for key in keys} for one in content[part]] for part, keys in wanted.items()}


def _keypoints(content: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {one["id"]: {key: one[key] for key in KEYPOINTS} for one in content["annotations"]}


def _pixels(path: Path, size: tuple[int, int], canvas: int) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "not a whole picture"
        raise UserError(f"{path}: {reason}; the annotations name it") from None
    if pixels.shape[:2] != size or max(size) > canvas:
        raise UserError(
            f"{path}: {pixels.shape[1]} x {pixels.shape[0]} pixels; the annotations say {size[1]} x {size[0]}, and at "
            f"most {canvas} a side were prepared for"
        )
    return pixels
