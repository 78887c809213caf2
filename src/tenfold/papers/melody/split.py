"""Divides a corpus by pieces, so that no tune and no near copy of one is both learned and tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.data.melodies import BAR, Events
from tenfold.errors import UserError


@dataclass(frozen=True)
class Split:
    """Indices of pieces.

    Attributes:
        train: what nets and profiles are fitted on.
        validation: decides when training stops; primers come from it.
        test: what likelihood and accuracy are measured on.
    """

    train: list[int]
    validation: list[int]
    test: list[int]


def near_duplicates(pieces: Sequence[Events], share: float) -> list[list[int]]:
    """Groups of pieces, most of them of one: in a group, each has many bars in common with another.

    Args:
        pieces: events.
        share: two pieces belong together where at least this share of the different bars of one is in the other.
    """
    bars = [{bar.tobytes() for bar in piece.reshape(-1, BAR)} for piece in pieces]
    group = list(range(len(pieces)))
    for first in range(len(pieces)):
        for second in range(first):
            common = len(bars[first] & bars[second])
            if common >= share * min(len(bars[first]), len(bars[second])) and group[first] != group[second]:
                old, new = sorted((group[first], group[second]))[::-1]
                group = [new if each == old else each for each in group]
    return [[index for index, each in enumerate(group) if each == name] for name in sorted(set(group))]


def split(pieces: Sequence[Events], *, validation: float, test: float, near: float, seed: int) -> Split:
    """A seed's own division; near-duplicates stay on one side.

    Args:
        pieces: the corpus.
        validation: share of pieces, at least, unless they run out.
        test: likewise.
        near: see `near_duplicates`.
        seed: of the random order in which groups are dealt out: to test first, then to validation, the rest is
            for training.

    Raises:
        UserError: nothing is left to train on.
    """
    groups = near_duplicates(pieces, near)
    order = np.random.default_rng(seed).permutation(len(groups))
    parts: list[list[int]] = [[], [], []]
    wanted = [test * len(pieces), validation * len(pieces)]
    part = 0
    for number in order:
        while part < 2 and len(parts[part]) >= wanted[part]:
            part += 1
        parts[part] += groups[number]
    if not all(parts):
        raise UserError(f"{len(pieces)} pieces are too few to be split; lower corpus.validation or corpus.test")
    return Split(train=sorted(parts[2]), validation=sorted(parts[1]), test=sorted(parts[0]))
