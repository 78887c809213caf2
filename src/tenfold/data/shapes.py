"""The stand-in for small natural images: one shape on clutter, drawn with integers only.

Every image is a scene: a textured background, fragments behind and in front, and one object whose outline
(and, in the 100-class form, interior pattern) is the class. Colours carry no class information. The factors that
papers live on can each be switched off: the object itself, its scale, and the order among fine and coarse classes.

Only integer operations are used (no floating point, no library random numbers), so the bytes are the same on every
processor, every Python and every numpy. All shapes are functions of ``|u|``: a mirrored object has the same class.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SIDE = 32  # pixels
SAMPLES = 2 * SIDE  # samples along a side: two per pixel, averaged
QUARTER = 4  # lengths and positions are in quarter pixels; sample k lies at 2 k + 1
UNIT = 1000  # the radius of an object in its own coordinates
CHUNK = 250  # scenes drawn at once

# 1024 sin(angle) for 0, 5, ..., 90 degrees.
SINES = (0, 89, 178, 265, 350, 433, 512, 587, 658, 724, 784, 839, 887, 928, 962, 989, 1008, 1020, 1024)

Outline = Callable[[Ints, Ints], Mask]

# Each outline holds a point (a, v) where a = |u|: u points right, v down, both in thousandths of the radius.
OUTLINES: dict[str, Outline] = {
    "disc": lambda a, v: a * a + v * v <= 850 * 850,
    "square": lambda a, v: np.maximum(a, abs(v)) <= 740,
    "triangle": lambda a, v: (v <= 720) & (100 * a <= 56 * (v + 900)),
    "cross": lambda a, v: (np.minimum(a, abs(v)) <= 260) & (np.maximum(a, abs(v)) <= 880),
    "ring": lambda a, v: (a * a + v * v <= 900 * 900) & (a * a + v * v >= 500 * 500),
    "saltire": lambda a, v: (abs(a - abs(v)) <= 330) & (np.maximum(a, abs(v)) <= 800),
    "tee": lambda a, v: ((abs(v + 560) <= 260) & (a <= 860)) | ((a <= 260) & (abs(v) <= 820)),
    "cup": lambda a, v: (a <= 800) & (abs(v) <= 800) & ((a >= 400) | (v >= 350)),
    "hourglass": lambda a, v: (a <= abs(v) + 100) & (abs(v) <= 820),
    "rails": lambda a, v: (a <= 850) & (abs(v) <= 780) & (abs(v) >= 300),
    "diamond": lambda a, v: a + abs(v) <= 980,
    "wedge": lambda a, v: (v >= -720) & (100 * a <= 56 * (900 - v)),
    "frame": lambda a, v: (np.maximum(a, abs(v)) <= 820) & (np.maximum(a, abs(v)) >= 440),
    "posts": lambda a, v: (abs(v) <= 850) & (a <= 780) & (a >= 300),
    "arch": lambda a, v: (a <= 800) & (abs(v) <= 800) & ((a >= 400) | (v <= -350)),
    "bow": lambda a, v: (abs(v) <= a + 100) & (a <= 820),
    "dome": lambda a, v: (a * a + (v - 400) * (v - 400) <= 950 * 950) & (v <= 400),
    "arrow": lambda a, v: ((v <= 50) & (a <= v + 880)) | ((a <= 280) & (abs(v) <= 860)),
    "plank": lambda a, v: (a <= 950) & (abs(v) <= 340),
    "pillar": lambda a, v: (a <= 340) & (abs(v) <= 950),
}

# Where the interior of an object takes its second colour.
PATTERNS: dict[str, Outline] = {
    "plain": lambda a, _: a < 0,
    "split": lambda _, v: v >= 0,
    "striped": lambda a, _: a // 250 % 2 == 0,
    "barred": lambda _, v: (v + 5 * UNIT) // 300 % 2 == 0,
    "checked": lambda a, v: ((v + 5 * UNIT) // 400 + (a + 200) // 400) % 2 == 0,
}

Splits = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Scenes:
    """The random numbers of some scenes: a function of seed, split, scene number and purpose, of nothing else.

    Attributes:
        keys: one 64-bit number for each scene, shape (n,).
    """

    keys: NDArray[np.uint64]

    @classmethod
    def of(cls, seed: int, split: str, numbers: Ints) -> Scenes:
        """The scenes with these numbers in a split."""
        return cls(_mix(_mix(numbers.astype(np.uint64) + np.uint64(seed << 32)) ^ _salt(split)))

    def integers(self, purpose: str, low: int, high: int, *shape: int) -> Ints:
        """Integers in [low, high], equally likely, shape (n, *shape)."""
        count = int(np.prod(shape, dtype=np.int64))
        counters = _mix(np.arange(count, dtype=np.uint64) + _salt(purpose))
        bits = _mix(self.keys[:, None] ^ counters[None, :]) >> np.uint64(32)
        drawn = (bits * np.uint64(high - low + 1)) >> np.uint64(32)
        return drawn.astype(np.int64).reshape(len(self.keys), *shape) + low


def _salt(text: str) -> np.uint64:
    return np.uint64(zlib.crc32(text.encode()) << 16)


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spreads every input bit over all 64 output bits (the finaliser of SplitMix64: Steele et al., OOPSLA 2014)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def generate(parameters: dict[str, Any]) -> tuple[Splits, dict[str, list[str]]]:
    """Draws a dataset.

    Args:
        parameters: ``classes`` (10, or 100 with 20 coarse ones), ``train`` and ``test`` (numbers of images), ``seed``,
            ``radius`` (of an object at scale 100, quarter pixels), ``scale`` (lowest and highest, percent),
            ``paired_scales`` (percent; each test scene is drawn once at each, empty: as in training), ``turn``
            (largest rotation, steps of 5 degrees), ``contrast`` (grey levels between object and background, lowest
            and highest), ``texture`` (grey levels), ``fragments_behind``, ``fragments_in_front`` (numbers), and the
            switches ``objects`` and ``coarse_order``.

    Returns:
        The tensors ``{train,test}_{images,labels,scale}`` (images (N, 3, 32, 32), the rest (N,), all uint8), with 100
        classes also ``{train,test}_coarse``; and the names of the classes, fine and coarse.
    """
    hundred = parameters["classes"] == 100
    tensors: Splits = {}
    for split in ("train", "test"):
        scales = parameters["paired_scales"] if split == "test" else []
        index = np.arange(parameters[split], dtype=np.int64)
        scenes_of_image = index // max(1, len(scales))
        labels = scenes_of_image % parameters["classes"]
        scenes = Scenes.of(parameters["seed"], split, scenes_of_image)
        if scales:
            scale = np.array(scales, dtype=np.int64)[index % len(scales)]
        else:
            scale = scenes.integers("scale", *parameters["scale"])
        tensors[f"{split}_images"] = _images(scenes, labels, scale, parameters)
        tensors[f"{split}_labels"] = labels.astype(np.uint8)
        tensors[f"{split}_scale"] = scale.astype(np.uint8)
        if hundred:
            tensors[f"{split}_coarse"] = coarse_of_fine(parameters)[labels].astype(np.uint8)
    outlines = list(OUTLINES)
    if not hundred:
        return tensors, {"classes": outlines[:10]}
    classes = [f"{pattern} {outline}" for outline in outlines for pattern in PATTERNS]
    return tensors, {"classes": classes, "coarse_classes": outlines}


def coarse_of_fine(parameters: dict[str, Any]) -> Ints:
    """The coarse class of each of the 100 fine ones: its outline, or any five each where the order is off."""
    coarse = np.arange(100, dtype=np.int64) // len(PATTERNS)
    if parameters["coarse_order"]:
        return coarse
    deal = Scenes.of(parameters["seed"], "coarse", np.arange(100, dtype=np.int64)).keys
    return coarse[np.argsort(deal, kind="stable")]


def _images(scenes: Scenes, labels: Ints, scale: Ints, parameters: dict[str, Any]) -> NDArray[np.uint8]:
    images = np.empty((len(labels), 3, SIDE, SIDE), dtype=np.uint8)
    for start in range(0, len(labels), CHUNK):
        part = slice(start, start + CHUNK)
        images[part] = _draw(Scenes(scenes.keys[part]), labels[part], scale[part], parameters)
    return images


def _draw(scenes: Scenes, labels: Ints, scale: Ints, parameters: dict[str, Any]) -> NDArray[np.uint8]:
    """Draws a few scenes, back to front: images (n, 3, 32, 32)."""
    ground = scenes.integers("ground", 60, 195, 3)
    canvas = np.broadcast_to(ground[:, :, None, None], (*ground.shape, SAMPLES, SAMPLES)).astype(np.int16)
    canvas += _texture(scenes, parameters["texture"])
    for number in range(parameters["fragments_behind"]):
        _paint_fragment(canvas, scenes, f"behind {number}", ground, parameters)
    if parameters["objects"]:
        _paint_object(canvas, scenes, labels, scale, ground, parameters)
    for number in range(parameters["fragments_in_front"]):
        _paint_fragment(canvas, scenes, f"front {number}", ground, parameters)
    pixels = canvas.reshape(-1, 3, SIDE, 2, SIDE, 2).sum(axis=(3, 5), dtype=np.int64) // 4
    pixels += scenes.integers("grain", -parameters["texture"], parameters["texture"], 3, SIDE, SIDE)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _texture(scenes: Scenes, strength: int) -> NDArray[np.int16]:
    """Patches of three sizes, each of up to ``strength`` grey levels: (n, 3, 64, 64)."""
    total = np.zeros((len(scenes.keys), 3, SAMPLES, SAMPLES), dtype=np.int16)
    for cells in (4, 8, 16):
        patches = scenes.integers(f"texture {cells}", -strength, strength, 3, cells, cells).astype(np.int16)
        total += patches.repeat(SAMPLES // cells, axis=2).repeat(SAMPLES // cells, axis=3)
    return total


def _paint_fragment(
    canvas: NDArray[np.int16], scenes: Scenes, name: str, ground: Ints, parameters: dict[str, Any]
) -> None:
    """A bar of any direction, as bright and as dark as objects are."""
    centre = scenes.integers(f"{name} centre", 0, QUARTER * SIDE, 2)
    length = scenes.integers(f"{name} length", 2 * QUARTER, 5 * QUARTER)[:, None, None]
    width = scenes.integers(f"{name} width", QUARTER // 2, 3 * QUARTER // 2)[:, None, None]
    u, v = _coordinates(centre, 5 * scenes.integers(f"{name} turn", 0, 35))
    mask = (abs(u) <= 1024 * length) & (abs(v) <= 1024 * width)
    _paint(canvas, mask, ground + _shift(scenes, name, parameters["contrast"]))


def _paint_object(
    canvas: NDArray[np.int16],
    scenes: Scenes,
    labels: Ints,
    scale: Ints,
    ground: Ints,
    parameters: dict[str, Any],
) -> None:
    """The object that the label names, in its two colours."""
    highest = max([*parameters["scale"], *parameters["paired_scales"]])
    room = max(0, QUARTER * SIDE // 2 - parameters["radius"] * highest // 100)
    centre = QUARTER * SIDE // 2 + scenes.integers("centre", -room, room, 2)
    turn = 5 * scenes.integers("turn", -(parameters["turn"] // 5), parameters["turn"] // 5)
    outline, pattern = object_masks(labels, centre, turn, parameters["radius"] * scale, parameters["classes"])
    colour = ground + _shift(scenes, "object", parameters["contrast"])
    _paint(canvas, outline, colour)
    _paint(canvas, outline & pattern, colour + _shift(scenes, "detail", parameters["detail"]))


def object_masks(labels: Ints, centre: Ints, turn: Ints, radius: Ints, classes: int) -> tuple[Mask, Mask]:
    """Where objects are, and where they take their second colour: two masks (n, 64, 64).

    Args:
        labels: the class of each object, (n,).
        centre: x and y in quarter pixels from the upper left corner, (n, 2).
        turn: degrees, multiples of 5, (n,).
        radius: hundredths of a quarter pixel, (n,).
        classes: 10 or 100.
    """
    u, v = _coordinates(centre, turn)
    divisor = 1024 * radius[:, None, None]
    a, v = abs(u) * (100 * UNIT) // divisor, v * (100 * UNIT) // divisor
    outlines = labels if classes == 10 else labels // len(PATTERNS)
    patterns = np.zeros_like(labels) if classes == 10 else labels % len(PATTERNS)
    return _each(OUTLINES, outlines, a, v), _each(PATTERNS, patterns, a, v)


def _each(functions: dict[str, Outline], kinds: Ints, a: Ints, v: Ints) -> Mask:
    """Applies to each scene the function of its kind."""
    mask = np.zeros(a.shape, dtype=bool)
    for kind, function in enumerate(functions.values()):
        chosen = kinds == kind
        mask[chosen] = function(a[chosen], v[chosen])
    return mask


def _coordinates(centre: Ints, turn: Ints) -> tuple[Ints, Ints]:
    """Coordinates of all samples in a turned frame, in 1/1024 quarter pixels: u, v (n, 64, 64)."""
    line = 2 * np.arange(SAMPLES, dtype=np.int64) + 1
    x = line[None, None, :] - centre[:, 0, None, None]
    y = line[None, :, None] - centre[:, 1, None, None]
    sine, cosine = _sine(turn)[:, None, None], _sine(turn + 90)[:, None, None]
    return x * cosine + y * sine, y * cosine - x * sine


def _sine(degrees: Ints) -> Ints:
    """1024 times the sine of multiples of 5 degrees."""
    half = degrees % 180
    quarter = np.minimum(half, 180 - half) // 5
    return np.array(SINES, dtype=np.int64)[quarter] * np.where(degrees % 360 < 180, 1, -1)


def _shift(scenes: Scenes, name: str, contrast: list[int]) -> Ints:
    """How far one colour lies from another in each channel, up or down: (n, 3)."""
    sign = 2 * scenes.integers(f"{name} sign", 0, 1, 3) - 1
    return sign * scenes.integers(f"{name} shift", *contrast, 3)


def _paint(canvas: NDArray[np.int16], mask: Mask, colour: Ints) -> None:
    np.copyto(canvas, np.clip(colour, 0, 255).astype(np.int16)[:, :, None, None], where=mask[:, None])
