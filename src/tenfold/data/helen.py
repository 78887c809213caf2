"""Reads Helen with the labels of Smith et al. (CVPR 2013): 11 soft maps for each picture, and three lists of names.

The layout is the publisher's (README of SmithCVPR2013_dataset_resized.zip): ``exemplars.txt``, ``tuning.txt`` and
``testing.txt`` with lines ``number , name``; ``images/<name>.jpg``; ``labels/<name>/<name>_lbl00.png`` to
``_lbl10.png``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tenfold.data.faces import BACKGROUND, BROW, EYE, INNER_MOUTH, LOWER_LIP, NOSE, UPPER_LIP, Tensors
from tenfold.errors import UserError
from tenfold.launcher import Job

HOLDS = "exemplars.txt"
LISTS = {"train": "exemplars.txt", "val": "tuning.txt", "test": "testing.txt"}
# Which of the publisher's maps is which part; 00 is background, 01 skin, 10 hair.
MAP_OF = {BROW: 2, BROW + 1: 3, EYE: 4, EYE + 1: 5, NOSE: 6, UPPER_LIP: 7, INNER_MOUTH: 8, LOWER_LIP: 9}
TOLD_EVERY = 100  # faces between two lines of progress


def read(folder: Path, settings: dict[str, Any], job: Job) -> Tensors:
    """Reads all faces, each in the middle of a black canvas.

    Args:
        folder: what holds the three lists.
        settings: ``canvas`` (pixels of its side), ``threshold`` (of 255, see `hard_labels`), ``train``, ``val``,
            ``test`` (how many names the lists must have).
        job: for progress.

    Returns:
        ``{train,val,test}_images`` (N, canvas, canvas, 3) and ``{train,val,test}_labels`` (N, canvas, canvas), uint8.

    Raises:
        UserError: lists, pictures or maps are missing, or not as published.
    """
    listed = {split: names_in(folder / file) for split, file in LISTS.items()}
    for split, names in listed.items():
        if len(names) != settings[split]:
            raise UserError(f"{folder / LISTS[split]}: {len(names)} names instead of {settings[split]}")
    everyone = [name for names in listed.values() for name in names]
    if twice := sorted({name for name in everyone if everyone.count(name) > 1}):
        raise UserError(f"{folder}: {twice[0]} is listed more than once in {', '.join(LISTS.values())}")
    canvas, tensors, done = settings["canvas"], Tensors(), 0
    for split, names in listed.items():
        tensors[f"{split}_images"] = np.zeros((len(names), canvas, canvas, 3), np.uint8)
        tensors[f"{split}_labels"] = np.full((len(names), canvas, canvas), BACKGROUND, np.uint8)
        for number, name in enumerate(names):
            if done % TOLD_EVERY == 0:
                job.say(f"reading {folder}: {done} of {len(everyone)} faces")
            image, labels = face(folder, name, settings["threshold"])
            place = middle(folder, name, labels.shape, canvas)
            tensors[f"{split}_images"][number][place] = image
            tensors[f"{split}_labels"][number][place] = labels
            done += 1
    return tensors


def names_in(path: Path) -> list[str]:
    """The names of a list, whose lines are ``number , name``.

    Raises:
        UserError: there is no such list, or a line has another form.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; Helen as published has {', '.join(LISTS.values())}")
    names = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = [field.strip() for field in line.split(",")]
        if line.strip():
            if len(fields) != 2 or not fields[1] or Path(fields[1]).name != fields[1]:
                raise UserError(f"{path}, line {number}: '{line.strip()}' is not 'number , name'")
            names.append(fields[1])
    return names


def face(folder: Path, name: str, threshold: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture (H, W, 3) and its label map (H, W).

    Raises:
        UserError: the picture or a map is missing, or their sizes differ.
    """
    image = opened(folder / "images" / f"{name}.jpg", "RGB")
    maps = {
        part: opened(folder / "labels" / name / f"{name}_lbl{number:02}.png", "L") for part, number in MAP_OF.items()
    }
    for part, soft in maps.items():
        if soft.shape != image.shape[:2]:
            raise UserError(
                f"{folder}/labels/{name}/{name}_lbl{MAP_OF[part]:02}.png: {soft.shape[1]} x {soft.shape[0]} pixels, "
                f"but the picture has {image.shape[1]} x {image.shape[0]}"
            )
    return image, hard_labels(np.stack([maps[part] for part in range(BACKGROUND)]), threshold)


def opened(path: Path, mode: str) -> NDArray[np.uint8]:
    """The pixels of a picture.

    Raises:
        UserError: it is not there, or no picture.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "not a whole picture"
        raise UserError(f"{path}: {reason}; Helen as published has one for each name in its lists") from None


def hard_labels(soft: NDArray[np.uint8], threshold: int) -> NDArray[np.uint8]:
    """One label for each pixel of soft maps (8, H, W): the largest part, or background where that is not above a bound.

    The rule of the author's code (makesoftmaxlabel), with a threshold of 50 of 255.
    """
    return np.where(soft.max(axis=0) > threshold, soft.argmax(axis=0), BACKGROUND).astype(np.uint8)


def middle(folder: Path, name: str, size: tuple[int, ...], canvas: int) -> tuple[slice, slice]:
    """Where on the canvas a picture of (H, W) pixels lies.

    Raises:
        UserError: it is larger than the canvas.
    """
    if max(size) > canvas:
        raise UserError(
            f"{folder}/images/{name}.jpg: {size[1]} x {size[0]} pixels do not fit on a canvas of {canvas}; set "
            f"prepare.canvas in config/datasets.yaml"
        )
    top, left = ((canvas - length) // 2 for length in size)
    return slice(top, top + size[0]), slice(left, left + size[1])
