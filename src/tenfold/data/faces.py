"""The stand-in for face photographs: parametric faces whose labels are known pixel by pixel, drawn with integers only.

A face is a skin ellipse under a slanting light, with hair, two brows (thin arcs), two eyes (almonds with an iris), a
nose, and a mouth: upper lip, lower lip and, where it is open, what is between them. It is shifted, turned and scaled;
some wear glasses, some are partly hidden. Labels say what is seen, pixel by pixel, without antialiasing; images are
blurred afterwards, and have grain.

The factor that a paper lives on is that brows and lips are thin: a few pixels wide, and less than one in an image of a
quarter of the size. With ``thickness`` well above 100 this factor is off.

Only integer operations are used (as in `tenfold.data.shapes`), so the bytes are the same everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.shapes import Ints, Mask, Scenes

PARTS = (
    "left brow", "right brow", "left eye", "right eye", "nose", "upper lip", "inner mouth", "lower lip", "background",
)  # fmt: skip
BACKGROUND = len(PARTS) - 1
BROW, EYE, NOSE, UPPER_LIP, INNER_MOUTH, LOWER_LIP = 0, 2, 4, 5, 6, 7  # of a pair: the one on the left of the image

UNIT = 1000  # half the height of a head, in its own coordinates
RADIUS = 44  # the same in pixels, for a face at scale 100 in an image of 128 pixels
SIDE = 128
FINE = 16  # positions are in sixteenths of a pixel; pixel k lies at 16 k + 8
CHUNK = 50  # faces drawn at once

# 4096 times the sine of 0, 1, ..., 15 degrees, and the cosine.
SINES = (0, 71, 143, 214, 286, 357, 428, 499, 570, 641, 711, 782, 852, 921, 991, 1060)
COSINES = (4096, 4095, 4094, 4090, 4086, 4080, 4074, 4065, 4056, 4046, 4034, 4021, 4006, 3991, 3974, 3956)

Tensors = dict[str, NDArray[np.uint8]]


def generate(settings: dict[str, Any]) -> Tensors:
    """Draws a dataset.

    Args:
        settings: ``train``, ``val`` and ``test`` (numbers of faces), ``side`` (pixels), ``seed``, ``thickness`` of
            brows and lips (percent), ``scale`` (lowest and highest, percent), ``shift`` (percent of the side, at
            most), ``turn`` (degrees, at most 15), ``covered`` (in 100 faces, how many wear glasses or are partly
            hidden), ``grain`` (grey levels).

    Returns:
        ``{train,val,test}_images`` (N, side, side, 3) and ``{train,val,test}_labels`` (N, side, side), uint8; labels
        are positions in `PARTS`.
    """
    tensors: Tensors = {}
    for split in ("train", "val", "test"):
        numbers = np.arange(settings[split], dtype=np.int64)
        drawn = [
            _Faces(Scenes.of(settings["seed"], split, numbers[start : start + CHUNK]), settings).drawn()
            for start in range(0, len(numbers), CHUNK)
        ]
        tensors[f"{split}_images"] = np.concatenate([images for images, _ in drawn])
        tensors[f"{split}_labels"] = np.concatenate([labels for _, labels in drawn])
    return tensors


class _Faces:
    """Some faces while they are drawn, back to front: images (n, side, side, 3) and labels (n, side, side)."""

    def __init__(self, scenes: Scenes, settings: dict[str, Any]) -> None:
        self.scenes, self.settings = scenes, settings
        self.u, self.v = self._coordinates()
        self.a = abs(self.u)  # faces are symmetric
        self.skin = self._number("skin", 150, 235, 1) * np.array([100, 78, 64]) // 100
        self.skin += self._number("tint", -14, 14, 3)
        self.hair = self._number("hair", 20, 110, 1) * np.array([100, 80, 60]) // 100
        ground = self._number("ground", 40, 215, 3)
        self.images = np.broadcast_to(ground, (*self.u.shape, 3)).astype(np.int64)
        self.labels = np.full(self.u.shape, BACKGROUND, dtype=np.uint8)

    def drawn(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Images and labels."""
        self._head()
        self._brows_and_eyes()
        self._nose()
        self._mouth()
        self._cover()
        return self._developed(), self.labels

    def _number(self, purpose: str, low: int, high: int, *shape: int) -> Ints:
        """A random number for each face, to be laid over its pixels: (n, 1, 1, *shape)."""
        return self.scenes.integers(purpose, low, high, *shape)[:, None, None]

    def _coordinates(self) -> tuple[Ints, Ints]:
        """Where pixels lie in upright faces: u to the right, v down, in thousandths of half a head, (n, side, side)."""
        side, shift, most = (self.settings[key] for key in ("side", "shift", "turn"))
        line = FINE * np.arange(side, dtype=np.int64) + FINE // 2 - FINE * side // 2
        away = self._number("shift", -FINE * side * shift // 100, FINE * side * shift // 100, 2)
        turn = self._number("turn", -most, most)
        sine, cosine = np.array(SINES)[abs(turn)] * np.sign(turn), np.array(COSINES)[abs(turn)]
        x, y = line[None, None, :] - away[..., 0], line[None, :, None] - away[..., 1]
        radius = FINE * RADIUS * self._number("scale", *self.settings["scale"])  # hundredths
        divisor = 4096 * radius * side
        u, v = x * cosine + y * sine, y * cosine - x * sine
        return u * (UNIT * 100 * SIDE) // divisor, v * (UNIT * 100 * SIDE) // divisor

    def _paint(self, mask: Mask, colour: Ints, part: int | None = None) -> None:
        """Gives pixels a colour and, where it is a part of the face, its label."""
        np.copyto(self.images, colour, where=mask[..., None])
        if part is not None:
            self.labels[mask] = part

    def _paint_pair(self, mask: Mask, colour: Ints, part: int) -> None:
        """Paints what a face has on both sides; labels have the names of the image's sides."""
        self._paint(mask & (self.u < 0), colour, part)
        self._paint(mask & (self.u >= 0), colour, part + 1)

    def _head(self) -> None:
        a, v = self.a, self.v
        self._paint(a * a * 100 // 81 + (v + 120) ** 2 <= 1150 * 1150, self.hair)
        self._paint((a <= 330) & (v > 0), self.skin * 85 // 100)
        self._paint((v >= 1250) & (a <= 1500), self._number("clothes", 30, 220, 3))
        head = a * a * 100 // 62 + v * v <= UNIT * UNIT
        self._paint(head, self.skin)
        fringe = self._number("fringe", -720, -560) - a * a // self._number("parting", 1800, 4000)
        self._paint(head & (v < fringe), self.hair)

    def _brows_and_eyes(self) -> None:
        apart, level = self._number("apart", 360, 420), self._number("level", -170, -110)
        s, v = self.a - apart, self.v - level
        long, high = self._number("eye long", 170, 200), self._number("eye high", 75, 105)
        almond = abs(v) * long * long <= high * (long * long - s * s)
        self._paint_pair(almond, np.minimum(self.skin + 70, 245), EYE)
        iris = self._number("iris", 40, 130, 3)
        self._paint(almond & (s * s + v * v <= 85 * 85), iris)
        self._paint(almond & (s * s + v * v <= 35 * 35), iris // 4)

        wide, arch = self._number("brow wide", 220, 270), self._number("arch", 20, 70)
        middle = s * s * arch // (wide * wide) - self._number("raised", 215, 265)
        thin = self._number("brow thin", 30, 40) * self.settings["thickness"] // 100
        brows = (abs(s) <= wide) & (abs(v - middle) <= thin)
        self._paint_pair(brows, self.hair + self._number("brow tone", -10, 35, 1), BROW)

    def _nose(self) -> None:
        v, tip = self.v, self._number("tip", 220, 290)
        ridge = (v >= -60) & (v <= tip) & (self.a <= 60 + (v + 60) * 90 // 320)
        wings = self.a**2 * 100 // 400 + (v - tip) ** 2 <= 85 * 85
        self._paint(ridge | wings, self.skin * self._number("nose shade", 82, 90, 1) // 100, NOSE)
        nostrils = (self.a - 80) ** 2 + (v - tip - 30) ** 2 <= 28 * 28
        self._paint(nostrils, self.skin // 3)

    def _mouth(self) -> None:
        wide = self._number("mouth wide", 280, 350)
        bow = UNIT - np.minimum(self.u**2 * UNIT // (wide * wide), UNIT)  # 1000 in the middle, 0 at the corners
        smile = self._number("smile", -40, 60) * (UNIT - bow) // UNIT
        v = self.v - self._number("mouth level", 530, 590) + smile
        gap = self._number("gap", 40, 85) * self._number("open", 0, 1) * bow // UNIT
        thick = self._number("lip thick", 65, 85) * self.settings["thickness"] * bow // (UNIT * 100)
        inside = self.a < wide
        red = self.skin + self._number("red", 25, 55, 1) * np.array([1, -2, -1]) // 2
        self._paint(inside & (v < -gap) & (v >= -gap - thick), red - 18, UPPER_LIP)
        self._paint(inside & (v >= gap) & (v < gap + thick * 6 // 5), red, LOWER_LIP)
        teeth = self._number("teeth", 0, 1, 1)
        self._paint(inside & (v >= -gap) & (v < gap), teeth * 150 + red // 4, INNER_MOUTH)

    def _cover(self) -> None:
        """Glasses, through which a face is seen, or a bar, behind which it is not."""
        covered, kind = self._number("covered", 0, 99) < self.settings["covered"], self._number("kind", 0, 1)
        s, v = self.a - 390, self.v + 140
        square = s * s + v * v * 2
        rims = ((square <= 270 * 270) & (square >= 235 * 235)) | ((self.a <= 130) & (abs(v + 20) <= 18))
        self._paint(covered & (kind == 0) & rims, self._number("rim", 0, 90, 3))
        slope, at = self._number("slope", -100, 100), self._number("at", -500, 900)
        bar = abs(self.v - at - self.u * slope // 100) <= self._number("bar", 90, 180)
        self._paint(covered & (kind == 1) & bar, self._number("bar colour", 20, 230, 3), BACKGROUND)

    def _developed(self) -> NDArray[np.uint8]:
        """The light, up to two passes of blur, and grain."""
        slant = self.u * self._number("light u", -22, 22) + self.v * self._number("light v", -22, 22)
        bright = 100 + np.clip(slant // UNIT, -40, 40)
        images = np.clip(self.images, 0, 255) * bright[..., None] // 100
        passes = self._number("blur", 0, 2, 1)
        for number in range(2):
            images = np.where(passes > number, _blurred(images), images)
        grain = self.settings["grain"]
        images = images + self.scenes.integers("grain", -grain, grain, *images.shape[1:])
        return np.clip(images, 0, 255).astype(np.uint8)


def _blurred(images: Ints) -> Ints:
    """Each pixel the mean of its neighbours with weights 1, 2, 1 along both axes; edges are repeated."""
    for axis in (1, 2):
        padded = np.pad(images, [(1, 1) if each == axis else (0, 0) for each in range(4)], mode="edge")
        before, after = (np.take(padded, range(start, start + images.shape[axis]), axis) for start in (0, 2))
        images = before + 2 * images + after
    return (images + 8) // 16
