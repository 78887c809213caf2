"""The stand-in for videos with captions: one or two shapes that move, and what people might write of them.

A clip has static factors (shape, colour, size of each object) and dynamic ones (motion and speed; of two objects, how
one goes with the other), drawn independently. The canvas has no edges (what leaves on one side comes in on the other),
positions, sizes, shades and phases are uniform, and all colours are equally bright. So, exactly:

- one frame tells nothing of the motion: its distribution is the same whatever moves how;
- differences of grey frames tell nothing of the colour: they are the same numbers whatever the colour.

Captions are short (half of them), medium, or long. Each of the three, static and dynamic factors and the spread of
lengths, can be switched off. Only integer operations are used, so the bytes are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.captions import SPLITS, Split
from tenfold.data.shapes import SINES, Scenes

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SIDE, FRAMES = 32, 16  # pixels; frames of a clip
QUARTER = 4  # lengths and positions are in quarter pixels; a pixel's centre lies at 4 k + 2
TURN = QUARTER * SIDE  # the way around the canvas
SMALLEST, LARGEST = 12, 28  # radius; small objects have less than the middle of both
CHUNK = 50  # clips drawn at once

COLOURS = {"red": (240, 60, 60), "green": (60, 240, 60), "blue": (60, 60, 240), "yellow": (166, 166, 28),
           "white": (120, 120, 120)}  # fmt: skip
GROUND = (5, 35)  # grey levels

SHAPES = {"square": ["square", "box"], "disc": ["disc", "ball"], "triangle": ["triangle"], "cross": ["cross", "plus"]}
SIZES = {"small": ["small", "little"], "big": ["big", "large"]}
MOTIONS = {
    "left": ["moves left", "goes to the left"],
    "right": ["moves right", "goes to the right"],
    "up": ["moves up", "rises"],
    "down": ["moves down", "falls"],
    "circles": ["circles", "goes round"],
    "grows": ["grows", "gets bigger"],
    "shrinks": ["shrinks", "gets smaller"],
    "blinks": ["blinks", "keeps flashing"],
    "still": ["rests", "stands still"],
}
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
GOES = {"left": "to the left", "right": "to the right", "up": "upwards", "down": "downwards"}
SPEEDS = {"slowly": ["slowly"], "quickly": ["quickly", "fast"]}
RELATIONS = {"chases": ["chases", "follows"], "passes": ["passes", "meets"]}
IN_SHORT = {"grows": "changes", "shrinks": "changes", "blinks": "changes", "still": "rests"}  # others: moves

# For slow and for quick: quarter pixels, degrees, quarter pixels of the radius, and frames of one shade.
STEP, ANGLE, SWELLING, SHADE = (4, 10), (15, 35), (1, 2), (4, 2)
ORBIT = 28  # radius of circles


@dataclass(frozen=True)
class Factors:
    """What is drawn of some clips, or told of them: an index for each, (N,), or (N, 2) where both objects have one.

    Attributes:
        shape: of `SHAPES`.
        colour: of `COLOURS`.
        radius: of each object, unless it grows or shrinks.
        pair: whether there are two objects.
        motion: of `MOTIONS`; of two objects, that of the first, one of `DIRECTIONS`.
        speed: of `SPEEDS`.
        relation: of `RELATIONS`.
    """

    shape: Ints
    colour: Ints
    radius: Ints
    pair: Ints
    motion: Ints
    speed: Ints
    relation: Ints

    @property
    def size(self) -> Ints:
        """Of `SIZES`."""
        return (2 * self.radius >= SMALLEST + LARGEST).astype(np.int64)

    @classmethod
    def of(cls, scenes: Scenes, parameters: dict[str, Any], prefix: tuple[str, str] = ("", "")) -> Factors:
        """Draws them; with another prefix for static or for dynamic ones these are new draws."""
        static, dynamic = prefix
        pair = (scenes.integers("pair", 0, 99) < parameters["pairs"]).astype(np.int64)
        motion = scenes.integers(f"{dynamic}motion", 0, len(MOTIONS) - 1)
        direction = scenes.integers(f"{dynamic}direction", 0, len(DIRECTIONS) - 1)
        return cls(
            shape=scenes.integers(f"{static}shape", 0, len(SHAPES) - 1, 2),
            colour=scenes.integers(f"{static}colour", 0, len(COLOURS) - 1, 2),
            radius=scenes.integers(f"{static}radius", SMALLEST, LARGEST - 1, 2),
            pair=pair,
            motion=np.where(pair == 1, direction, motion),
            speed=scenes.integers(f"{dynamic}speed", 0, len(SPEEDS) - 1),
            relation=scenes.integers(f"{dynamic}relation", 0, len(RELATIONS) - 1),
        )


def generate(parameters: dict[str, Any]) -> tuple[dict[str, Split], dict[str, Factors]]:
    """Draws a dataset.

    Args:
        parameters: ``train``, ``val`` and ``test`` (numbers of clips), ``seed``, ``pairs`` (clips with two objects,
            percent), ``captions`` (of a clip, fewest and most), and the switches ``static`` and ``dynamic`` (off:
            captions tell of other factors than those of the clip) and ``lengths`` (off: all captions have five words).

    Returns:
        The splits, and the factors that their frames have.
    """
    splits, factors = {}, {}
    for name in SPLITS:
        scenes = Scenes.of(parameters["seed"], name, np.arange(parameters[name], dtype=np.int64))
        drawn = Factors.of(scenes, parameters)
        prefix = ("" if parameters["static"] else "told ", "" if parameters["dynamic"] else "told ")
        splits[name] = Split(
            captions_of(scenes, Factors.of(scenes, parameters, prefix), parameters), draw(scenes, drawn)
        )
        factors[name] = drawn
    return splits, factors


# Frames -----------------------------------------------------------------------------------------------------------


def draw(scenes: Scenes, factors: Factors) -> NDArray[np.uint8]:
    """The frames of clips with these factors: uint8 (N, 16, 32, 32, 3)."""
    n = len(scenes.keys)
    frames = np.empty((n, FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        few = Factors(**{name: values[part] for name, values in vars(factors).items()})
        frames[part] = _draw(Scenes(scenes.keys[part]), few)
    return frames


def _draw(scenes: Scenes, factors: Factors) -> NDArray[np.uint8]:
    n = len(scenes.keys)
    ground = scenes.integers("ground", *GROUND).astype(np.uint8)
    frames = np.broadcast_to(ground[:, None, None, None, None], (n, FRAMES, SIDE, SIDE, 3)).copy()
    palette = np.array(list(COLOURS.values()), dtype=np.uint8)
    for number in (1, 0):  # the first object lies in front
        x, y, radius, dim = _course(scenes, factors, number)
        mask = _outline(factors.shape[:, number], x, y, radius)
        mask &= ((factors.pair == 1) | (number == 0))[:, None, None, None]
        colour = palette[factors.colour[:, number]][:, None] // (1 + dim[..., None]).astype(np.uint8)  # (n, T, 3)
        frames = np.where(mask[..., None], colour[:, :, None, None], frames)
    return frames


def _course(scenes: Scenes, factors: Factors, number: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Where an object's centre is, its radius, and whether it is dim, frame by frame: (N, 16) each."""
    t = np.arange(FRAMES, dtype=np.int64)
    motion, speed = factors.motion, factors.speed
    is_ = {name: (motion == index)[:, None] for index, name in enumerate(MOTIONS)}
    step, angle, swelling, hold = (np.array(pair)[speed][:, None] for pair in (STEP, ANGLE, SWELLING, SHADE))
    way = np.array([DIRECTIONS.get(name, (0, 0)) for name in MOTIONS], dtype=np.int64)[motion]
    x, y = (scenes.integers(axis, 0, TURN - 1)[:, None] + way[:, i, None] * step * t for i, axis in enumerate("xy"))
    if number == 1:
        x, y = _second(scenes, factors, way, step * t)
    turning = 2 * scenes.integers("turning", 0, 1)[:, None] - 1
    phase = 5 * scenes.integers("phase", 0, 71)[:, None] + turning * angle * t
    x = x + np.where(is_["circles"], ORBIT * _sine(phase + 90) // 1024, 0)
    y = y + np.where(is_["circles"], ORBIT * _sine(phase) // 1024, 0)
    radius = np.broadcast_to(factors.radius[:, number, None], (len(motion), FRAMES))
    swollen = (radius - SMALLEST + np.where(is_["shrinks"], -1, 1) * swelling * t) % (LARGEST - SMALLEST) + SMALLEST
    radius = np.where(is_["grows"] | is_["shrinks"], swollen, radius)
    shade = scenes.integers(f"shade {number}", 0, 7)[:, None]  # half of them are dim; blinking begins anywhere
    dim = np.where(is_["blinks"], (shade + t * 4 // hold) // 4 % 2, shade // 4)
    return x % TURN, y % TURN, radius, dim


def _second(scenes: Scenes, factors: Factors, way: Ints, gone: Ints) -> tuple[Ints, Ints]:
    """The second object, as fast as the first: less than half the canvas ahead and the same way, or the other way.

    Odd distances, with either sign, are all odd places of the canvas alike, so that one frame tells neither.
    """
    passes = factors.relation == list(RELATIONS).index("passes")
    ahead, anywhere = (2 * scenes.integers(name, 0, most)[:, None] + 1 for name, most in (("gap", 31), ("away", 63)))
    along = np.where(passes[:, None], anywhere - gone, ahead + gone)
    beside = 2 * scenes.integers("lane", 0, 63)[:, None] + 1
    first = [scenes.integers(axis, 0, TURN - 1)[:, None] for axis in "xy"]
    x, y = (first[i] + way[:, i, None] * along + way[:, 1 - i, None] * beside for i in (0, 1))
    return x, y


def _outline(shape: Ints, x: Ints, y: Ints, radius: Ints) -> Mask:
    """Where shapes are: (N, 16, 32, 32)."""
    line = QUARTER * np.arange(SIDE, dtype=np.int64) + QUARTER // 2
    u = abs((line[None, None, None, :] - x[:, :, None, None] + TURN // 2) % TURN - TURN // 2)
    v = (line[None, None, :, None] - y[:, :, None, None] + TURN // 2) % TURN - TURN // 2
    r = radius[:, :, None, None]
    kinds = {
        "square": 100 * np.maximum(u, abs(v)) <= 85 * r,
        "disc": u * u + v * v <= r * r,
        "triangle": (10 * v <= 7 * r) & (100 * u <= 56 * v + 56 * r),
        "cross": (100 * np.minimum(u, abs(v)) <= 32 * r) & (np.maximum(u, abs(v)) <= r),
    }
    return np.choose(shape[:, None, None, None], [kinds[name] for name in SHAPES])


def _sine(degrees: Ints) -> Ints:
    """1024 times the sine of multiples of 5 degrees."""
    half = degrees % 180
    quarter = np.minimum(half, 180 - half) // 5
    return np.array(SINES, dtype=np.int64)[quarter] * np.where(degrees % 360 < 180, 1, -1)


# Captions ---------------------------------------------------------------------------------------------------------


def captions_of(scenes: Scenes, told: Factors, parameters: dict[str, Any]) -> list[list[list[str]]]:
    """Captions of clips that are told to have these factors."""
    fewest, most = parameters["captions"]
    counts = scenes.integers("captions", fewest, most)
    level = scenes.integers("level", 0, 99, most)
    choices = scenes.integers("word", 0, 839, most, 12)  # 840 is a multiple of 1 to 8
    say = _say if parameters["lengths"] else _say_in_five
    return [
        [say(told, n, int(level[n, k]), iter(choices[n, k].tolist())).split() for k in range(counts[n])]
        for n in range(len(counts))
    ]


def _say_in_five(told: Factors, n: int, _level: int, choices: Iterator[int]) -> str:
    """One caption of five words."""
    nouns, relations = list(SHAPES.values())[told.shape[n, 0]], list(RELATIONS.values())[told.relation[n]]
    what = f"a {list(COLOURS)[told.colour[n, 0]]} {nouns[next(choices) % len(nouns)]}"
    if told.pair[n]:
        return f"{what} {relations[next(choices) % len(relations)]} another"
    return f"{what} {next(verb for verb in MOTIONS[list(MOTIONS)[told.motion[n]]] if len(verb.split()) == 2)}"


def _say(told: Factors, n: int, level: int, choices: Iterator[int]) -> str:
    """One caption: short below level 50, medium below 80, long from there."""

    def one(words: list[str]) -> str:
        return words[next(choices) % len(words)]

    def noun(number: int, sized: bool = False) -> str:
        shape = one(list(SHAPES.values())[told.shape[n, number]])
        colour = list(COLOURS)[told.colour[n, number]] if level >= 50 else ""
        size = one(list(SIZES.values())[told.size[n, number]]) if sized else ""
        return f"{size} {colour} {shape}"

    motion = list(MOTIONS)[told.motion[n]]
    adverb = one(list(SPEEDS.values())[told.speed[n]])
    is_long, is_plain = level >= 80, next(choices) % 4 == 0
    if told.pair[n]:
        relation = one(list(RELATIONS.values())[told.relation[n]])
        if level < 50:
            return "two shapes move" if is_plain else f"a {noun(0)} {relation} a {noun(1)}"
        if not is_long:
            return f"a {noun(0)} {relation} a {noun(1)}"
        return f"a {noun(0, True)} {adverb} {relation} a {noun(1, True)} {GOES[motion]}"
    if level < 50:
        return f"a {'shape' if is_plain else noun(0)} {IN_SHORT.get(motion, 'moves')}"
    verb = one(MOTIONS[motion])
    if not is_long:
        return f"a {noun(0)} {verb}"
    what = noun(0, sized=motion not in ("grows", "shrinks"))
    how = "" if motion == "still" else adverb
    return f"there is a {what} and it {verb} {how}" if next(choices) % 2 else f"a {what} {verb} {how}"
