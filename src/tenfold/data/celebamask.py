"""Reads CelebAMask-HQ faces: pictures ``images/<id>.jpg`` and label maps ``masks/<id>.png`` of 19 classes.

Lee et al., MaskGAN: Towards Diverse and Interactive Facial Image Manipulation (CVPR 2020).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tenfold.data.faces import BACKGROUND, BROW, EYE, INNER_MOUTH, LOWER_LIP, NOSE, PARTS, UPPER_LIP, Tensors
from tenfold.errors import UserError
from tenfold.launcher import Job

HOLDS = "dev-public/train/images/*.jpg"
CLASSES = 19
# Classes that are parts; all others (skin, hair, ears, glasses, cloth, ...) are background.
PART_OF = {2: NOSE, 4: EYE, 5: EYE + 1, 6: BROW, 7: BROW + 1, 10: INNER_MOUTH, 11: UPPER_LIP, 12: LOWER_LIP}
TOLD_EVERY = 100  # faces between two lines of progress


def read(folder: Path, settings: dict[str, Any], job: Job) -> Tensors:
    """Reads all faces, in the order of their names.

    Args:
        folder: what holds ``dev-public/train/``.
        settings: ``content`` (SHA-256 over names and bytes of all files), ``side`` (pixels that faces are resized
            to), ``train``, ``val``, ``test`` (numbers of faces).
        job: for progress.

    Returns:
        ``{train,val,test}_images`` (N, side, side, 3) and ``{train,val,test}_labels`` (N, side, side), uint8.

    Raises:
        UserError: the files are not the known ones.
    """
    files = folder / "dev-public" / "train"
    pictures, masks = sorted(files.glob("images/*.jpg")), sorted(files.glob("masks/*.png"))
    found = content_digest([*pictures, *masks])
    if found != settings["content"]:
        raise UserError(
            f"{files}: {len(pictures)} pictures and {len(masks)} masks, which are not the known ones (digest {found} "
            f"instead of {settings['content']}); config/datasets.yaml says which copy is needed"
        )
    side, tensors, start = settings["side"], Tensors(), 0
    for split in ("train", "val", "test"):
        n = settings[split]
        tensors[f"{split}_images"] = np.empty((n, side, side, 3), np.uint8)
        tensors[f"{split}_labels"] = np.empty((n, side, side), np.uint8)
        for k in range(n):
            if (start + k) % TOLD_EVERY == 0:
                job.say(f"reading {files}: {start + k} of {len(pictures)} faces")
            tensors[f"{split}_images"][k] = resized_image(pictures[start + k], side)
            tensors[f"{split}_labels"][k] = resized_labels(parts_of(masks[start + k]), side)
        start += n
    return tensors


def content_digest(files: list[Path]) -> str:
    """One SHA-256 over names and bytes of files, in this order."""
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def resized_image(path: Path, side: int) -> NDArray[np.uint8]:
    """A picture at another size, antialiased where that is smaller: uint8 (side, side, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))


def parts_of(path: Path) -> NDArray[np.uint8]:
    """The label map of a mask of 19 classes, (H, W), with the sides of the image.

    Raises:
        UserError: a mask of other classes.
    """
    with Image.open(path) as image:
        classes = np.asarray(image)
    if classes.ndim != 2 or classes.max() >= CLASSES:
        raise UserError(f"{path}: is not a map of the {CLASSES} classes of CelebAMask-HQ")
    table = np.array([PART_OF.get(number, BACKGROUND) for number in range(CLASSES)], dtype=np.uint8)
    return image_sides(table[classes])


def image_sides(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same label map where the left one of brows and eyes is the one on the left of the image.

    CelebAMask-HQ names the sides of the person, and some copies have mirrored pictures. Of two brows or eyes the one
    with the smaller mean x is left; a single one is left if it is left of the nose.
    """
    placed = labels.copy()
    for left in (BROW, EYE):
        sides = [mean_x(labels, left), mean_x(labels, left + 1)]
        if np.isnan(sides).all():
            continue
        # With one of the two unknown, the nose stands in for it; without a nose, the middle of the image.
        nose = mean_x(labels, NOSE)
        middle = (labels.shape[1] - 1) / 2 if np.isnan(nose) else nose
        first, second = (middle if np.isnan(x) else x for x in sides)
        if first > second:
            placed[labels == left] = left + 1
            placed[labels == left + 1] = left
    return placed


def mean_x(labels: NDArray[np.uint8], part: int) -> float:
    """The mean column of a part, pixels; not a number where it has no pixel."""
    columns = np.nonzero(labels == part)[1]
    return float(columns.mean()) if len(columns) else float("nan")


def resized_labels(labels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A label map at another size: each part as a soft map, resized with antialias, and the largest of these.

    Taking the nearest label instead would lose thin parts where the map gets smaller.
    """
    if labels.shape == (side, side):
        return labels
    maps = [np.where(labels == part, 255, 0).astype(np.uint8) for part in range(len(PARTS))]
    soft = [Image.fromarray(each).resize((side, side), Image.Resampling.BILINEAR) for each in maps]
    return np.argmax(np.stack([np.asarray(each) for each in soft]), axis=0).astype(np.uint8)
