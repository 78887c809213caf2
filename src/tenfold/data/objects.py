"""The stand-in for COCO: scenes with objects of three sizes on clutter, drawn with integers only.

A scene is a textured background with fragments, and on it some large, medium and small objects, none of which touches
another. An object's class is its outline (`tenfold.data.shapes.OUTLINES`); colours say nothing of it. Where objects are
is known pixel by pixel.

The factor that a paper lives on is that objects differ in size: the same outline covers thousands of pixels or a dozen.
With ``objects`` off none is painted, and there is nothing to find.

Only integer operations are used (as in `tenfold.data.shapes`), so the bytes are the same everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.shapes import OUTLINES, UNIT, Ints, Mask, Scenes

FINE = 4  # lengths and positions are in quarter pixels; pixel k lies at 4 k + 2
CHUNK = 100  # scenes drawn at once
SIZES = ("large", "medium", "small")  # in the order in which they look for a place

# 4096 times the sine of 0, 5, ..., 90 degrees.
SINES = (0, 357, 711, 1060, 1401, 1731, 2048, 2349, 2633, 2896, 3138, 3355, 3547, 3712, 3849, 3956, 4034, 4080, 4096)

Tensors = dict[str, NDArray[Any]]


def generate(settings: dict[str, Any]) -> tuple[Tensors, list[str]]:
    """Draws a dataset.

    Args:
        settings: ``train`` and ``test`` (numbers of scenes), ``side`` (pixels, a multiple of 16), ``seed``, ``classes``
            (how many), ``radius`` (by size, smallest and largest in quarter pixels), ``tried`` (by size, how many may
            be there, each in every second scene if it finds a place), ``unit`` (pixels of COCO that a pixel stands
            for), ``turn`` (degrees, at most), ``contrast`` (grey levels between object and background, lowest and
            highest), ``texture`` (grey levels), ``fragments`` (their number), and the switch ``objects``.

    Returns:
        The tensors that `tenfold.data.prepare_objects` writes, and the names of the classes.
    """
    tensors: Tensors = {}
    for split in ("train", "test"):
        numbers = np.arange(settings[split], dtype=np.int64)
        drawn = [
            _drawn(Scenes.of(settings["seed"], split, numbers[start : start + CHUNK]), settings)
            for start in range(0, len(numbers), CHUNK)
        ]
        whole = {name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]}
        whole["units"] = np.full(len(numbers), settings["unit"], np.float32)
        tensors |= {f"{split}_{name}": values for name, values in whole.items()}
    return tensors, list(OUTLINES)[: settings["classes"]]


def _drawn(scenes: Scenes, settings: dict[str, Any]) -> Tensors:
    side, contrast = settings["side"], settings["contrast"]
    ground = scenes.integers("ground", 60, 195, 3)
    canvas = np.broadcast_to(ground[:, :, None, None], (*ground.shape, side, side)).astype(np.int64)
    for cells in (4, 8, 16):
        strength = settings["texture"]
        patches = scenes.integers(f"texture {cells}", -strength, strength, 3, cells, cells)
        canvas += patches.repeat(side // cells, axis=2).repeat(side // cells, axis=3)
    for number in range(settings["fragments"]):
        name = f"fragment {number}"
        _paint(canvas, _bar(scenes, name, side), ground + _shift(scenes, name, contrast))

    instances = np.zeros((len(ground), side, side), np.uint8)
    places: list[tuple[Ints, Ints]] = []  # centres and reaches of the objects so far; a reach of 0 where there is none
    count = np.zeros(len(ground), np.int64)
    labels = np.zeros((len(ground), sum(settings["tried"].values())), np.uint8)
    for size in SIZES:
        for number in range(settings["tried"][size]):
            name = f"{size} {number}"
            radius = scenes.integers(f"{name} radius", *settings["radius"][size])
            kind = scenes.integers(f"{name} class", 0, settings["classes"] - 1)
            reach = radius * 6 // 5 + FINE  # of a turned square's corners, and a pixel between neighbours
            room = np.maximum(0, FINE * side // 2 - reach)[:, None]
            centre = FINE * side // 2 + room * scenes.integers(f"{name} centre", -UNIT, UNIT, 2) // UNIT
            fits = scenes.integers(f"{name} is there", 0, 1) == 1
            for other, others_reach in places:
                apart = abs(centre - other).max(axis=1)
                fits &= (others_reach == 0) | (apart >= reach + others_reach)
            places.append((centre, np.where(fits, reach, 0)))
            turn = scenes.integers(f"{name} turn", -(settings["turn"] // 5), settings["turn"] // 5)
            mask = _outline(kind, centre, turn, radius, side) & fits[:, None, None]
            labels[fits, count[fits]] = kind[fits] + 1
            count += fits
            np.copyto(instances, count.astype(np.uint8)[:, None, None], where=mask)
            if settings["objects"]:
                _paint(canvas, mask, ground + _shift(scenes, name, contrast))
    canvas += scenes.integers("grain", -settings["texture"], settings["texture"], 3, side, side)
    boxes, areas = boxes_and_areas(instances, count)
    return {
        "images": np.clip(canvas, 0, 255).astype(np.uint8),
        "instances": instances,
        "counts": count.astype(np.uint8),
        "boxes": boxes,
        "areas": areas,
        "labels": labels[labels > 0],
        "crowds": np.zeros(len(boxes), np.uint8),
    }


def boxes_and_areas(instances: NDArray[np.uint8], counts: Ints) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (M, 4: left, top, right, bottom) and areas (M,) of all objects, in pixels, from maps of which is where."""
    boxes, areas = [], []
    for seen, count in zip(instances, counts, strict=True):
        for number in range(1, count + 1):
            rows, columns = np.nonzero(seen == number)
            boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            areas.append(len(rows))
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(areas, np.float32)


def _outline(kinds: Ints, centre: Ints, turn: Ints, radius: Ints, side: int) -> Mask:
    """Where objects are: (n, side, side)."""
    u, v = _coordinates(centre, turn, side)
    divisor = SINES[-1] * radius[:, None, None]
    a, v = abs(u) * UNIT // divisor, v * UNIT // divisor
    mask = np.zeros(a.shape, bool)
    for kind, outline in enumerate(OUTLINES.values()):
        chosen = kinds == kind
        mask[chosen] = outline(a[chosen], v[chosen])
    return mask


def _bar(scenes: Scenes, name: str, side: int) -> Mask:
    """A bar of any direction and of the width of small objects."""
    centre = scenes.integers(f"{name} centre", 0, FINE * side, 2)
    length, width = (scenes.integers(f"{name} {of}", low, high)[:, None, None] * SINES[-1]
                     for of, low, high in (("length", 12, 48), ("width", 2, 8)))  # fmt: skip
    u, v = _coordinates(centre, scenes.integers(f"{name} turn", 0, 35), side)
    return (abs(u) <= length) & (abs(v) <= width)


def _coordinates(centre: Ints, turn: Ints, side: int) -> tuple[Ints, Ints]:
    """Coordinates of all pixels in a frame turned by 5 degrees times ``turn``, in 1/4096 quarter pixels."""
    line = FINE * np.arange(side, dtype=np.int64) + FINE // 2
    x, y = line[None, None, :] - centre[:, 0, None, None], line[None, :, None] - centre[:, 1, None, None]
    sine, cosine = _sine(turn)[:, None, None], _sine(turn + 18)[:, None, None]
    return x * cosine + y * sine, y * cosine - x * sine


def _sine(steps: Ints) -> Ints:
    """4096 times the sine of multiples of 5 degrees."""
    half = steps % 36
    return np.array(SINES, np.int64)[np.minimum(half, 36 - half)] * np.where(steps % 72 < 36, 1, -1)


def _shift(scenes: Scenes, name: str, contrast: list[int]) -> Ints:
    """How far one colour lies from another in each channel, up or down: (n, 3)."""
    sign = 2 * scenes.integers(f"{name} sign", 0, 1, 3) - 1
    return sign * scenes.integers(f"{name} shift", *contrast, 3)


def _paint(canvas: Ints, mask: Mask, colour: Ints) -> None:
    np.copyto(canvas, colour[:, :, None, None], where=mask[:, None])
