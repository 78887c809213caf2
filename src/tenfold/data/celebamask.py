"""Reads CelebAMask-HQ faces: pictures ``images/<id>.jpg`` and label maps ``masks/<id>.png`` of 19 classes.

Lee et al., MaskGAN: Towards Diverse and Interactive Facial Image Manipulation (CVPR 2020).
"""

from __future__ import annotations

import hashlib
import io
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
# What is on record was measured on a small copy of the faces, which is made anew from the publisher's.
COPY, QUALITY = 208, 90  # pixels of a side, and of the JPEG that the copy's pictures are
TOLD_EVERY = 100  # faces between two lines of progress


def read(folder: Path, settings: dict[str, Any], job: Job) -> Tensors:
    """Reads all faces, in the order of their names.

    Args:
        folder: what holds ``dev-public/train/``, of 208 x 208 pixels or as published, of 512 x 512.
        settings: ``content`` (SHA-256 over names and pixels of all files, of the small copy), ``side`` (pixels that
            faces are resized to), ``train``, ``val``, ``test`` (numbers of faces).
        job: for progress.

    Returns:
        ``{train,val,test}_images`` (N, side, side, 3) and ``{train,val,test}_labels`` (N, side, side), uint8.

    Raises:
        UserError: the files are not the known ones.
    """
    files = folder / "dev-public" / "train"
    names = sorted(path.stem for path in files.glob("images/*.jpg"))
    side, numbers = settings["side"], [settings[split] for split in ("train", "val", "test")]
    if len(names) != sum(numbers):
        raise UserError(f"{files}/images: {len(names)} pictures *.jpg instead of {sum(numbers)}")
    images = np.empty((len(names), side, side, 3), np.uint8)
    labels = np.empty((len(names), side, side), np.uint8)
    digest = hashlib.sha256()
    for k, name in enumerate(names):
        if k % TOLD_EVERY == 0:
            job.say(f"reading {files}: {k} of {len(names)} faces")
        image, mask = small_copy(files / "images" / f"{name}.jpg", files / "masks" / f"{name}.png")
        digest.update(f"{name}\n".encode() + image.tobytes() + mask.tobytes())
        images[k] = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))
        labels[k] = resized_labels(parts_of(mask), side)
    if digest.hexdigest() != settings["content"]:
        raise UserError(
            f"{files}: these are not the known faces (digest {digest.hexdigest()} instead of {settings['content']}); "
            f"config/datasets.yaml says which copy is needed"
        )
    ends = np.cumsum(numbers)[:-1]
    tensors: Tensors = {}
    for kind, whole in (("images", images), ("labels", labels)):
        parts = np.split(whole, ends)
        tensors |= {f"{split}_{kind}": part for split, part in zip(("train", "val", "test"), parts, strict=True)}
    return tensors


def small_copy(picture: Path, mask: Path) -> tuple[Image.Image, NDArray[np.uint8]]:
    """A picture and its map of classes, (208, 208), made of larger ones as the copy on record was.

    Raises:
        UserError: one is missing or cannot be read, or they differ in size, or the mask has other classes.
    """
    try:
        with Image.open(picture) as opened:
            image = opened.convert("RGB")
        with Image.open(mask) as opened:
            classes = opened if opened.size == (COPY, COPY) else opened.resize((COPY, COPY), Image.Resampling.NEAREST)
            found, size = np.asarray(classes), opened.size
    except OSError as error:
        which = error.filename or f"{picture} or its mask"
        reason = "no such file" if isinstance(error, FileNotFoundError) else "not a whole picture"
        raise UserError(f"{which}: {reason}; each picture has a mask of its name") from None
    if size != image.size or found.ndim != 2 or found.max() >= CLASSES:
        raise UserError(f"{mask}: is not a map of the {CLASSES} classes of CelebAMask-HQ for {picture.name}")
    if image.size != (COPY, COPY):
        packed = io.BytesIO()
        image.resize((COPY, COPY), Image.Resampling.LANCZOS).save(packed, "JPEG", quality=QUALITY)
        image = Image.open(packed).convert("RGB")
    return image, found


def parts_of(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The label map of a map of 19 classes, (H, W), with the sides of the image."""
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
