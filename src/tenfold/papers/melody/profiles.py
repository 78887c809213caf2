"""Profiles of rhythm: the centres that k-means finds among the bars, and among the beats, of the training pieces.

A clip (a bar of 16 steps, a beat of 4) is binary: 1 where a note begins or ends, 0 where nothing happens; pitch plays
no role (Sec. 3.2). The profile of a clip is the nearest centre.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold.data.melodies import BAR, BEAT, NO_EVENT, Events
from tenfold.files import read_json

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

STEPS = {"bar": BAR, "beat": BEAT}  # of a clip
ITERATIONS = 50  # of Lloyd, at most
ROUNDING = 1e-12  # an inertia that is lower by less is no lower


def clips(pieces: Sequence[Events], layer: str) -> Floats:
    """The rhythms of all bars, or of all beats: float64 (clips, 16) or (clips, 4) of 0 and 1."""
    events = np.concatenate(list(pieces))
    return (events != NO_EVENT).reshape(-1, STEPS[layer]).astype(np.float64)


def assign(rhythms: Floats, centres: Floats) -> Indices:
    """The profile of each clip: the nearest centre (Euclid; [choice], the paper names no distance), int64 (clips,).

    Of equally near centres the first; distances are rounded, so that the last bit of a centre decides nothing.
    """
    squared = (centres**2).sum(axis=1) - 2 * rhythms @ centres.T  # and the clip's own square, the same for all centres
    return np.argmin(np.round(squared, 9), axis=1)


def fit(rhythms: Floats, k: int, swaps: int, seed: int) -> Floats:
    """The centres of ``k`` clusters by k-means, the most frequent first, so that indices mean the same in each run.

    How k-means starts is [choice], and decides much, for single starts end far apart. Here the commonest clips are the
    first centres; then one centre at a time is swapped for a clip drawn at random, and the swap kept if k-means ends
    better with it (Fränti 2018, "Efficiency of random swap clustering"). With no more than ``k`` distinct clips each of
    them is its own profile.

    Args:
        rhythms: (clips, steps).
        k: number of profiles.
        swaps: number of swaps that are tried.
        seed: of the swaps.

    Returns:
        (profiles, steps), at most ``k`` profiles.
    """
    distinct, counts = np.unique(rhythms, axis=0, return_counts=True)
    if len(distinct) <= k:
        return by_frequency(distinct, rhythms)
    generator = np.random.default_rng(seed)
    best = settled(distinct, counts, distinct[np.argsort(-counts, kind="stable")[:k]])
    least = inertia(distinct, best, counts)
    for _ in range(swaps):
        swapped = best.copy()
        swapped[generator.integers(k)] = distinct[generator.integers(len(distinct))]
        swapped = settled(distinct, counts, swapped)
        if (reached := inertia(distinct, swapped, counts)) < least - ROUNDING:
            best, least = swapped, reached
    return by_frequency(best, rhythms)


def settled(distinct: Floats, counts: Indices, centres: Floats) -> Floats:
    """Lloyd's iterations from given centres until none moves; a centre that no clip is nearest to stays where it is."""
    for _ in range(ITERATIONS):
        belongs = assign(distinct, centres)[:, None] == np.arange(len(centres))
        sizes = counts @ belongs
        sums = (belongs * counts[:, None]).T @ distinct
        moved = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def elbow(rhythms: Floats, numbers: Sequence[int], swaps: int, seed: int) -> dict[int, float]:
    """Number of profiles -> the least inertia found with at most so many: the curve that the number is chosen by."""
    ordered = sorted(numbers)
    reached = [inertia(rhythms, fit(rhythms, k, swaps, seed)) for k in ordered]
    return dict(zip(ordered, itertools.accumulate(reached, min), strict=True))


def by_frequency(centres: Floats, rhythms: Floats) -> Floats:
    """Centres, those first that most clips belong to; equally frequent ones in the order of their values."""
    counts = np.bincount(assign(rhythms, centres), minlength=len(centres))
    return centres[np.lexsort([*np.round(centres.T[::-1], 9), -counts])]


def inertia(rhythms: Floats, centres: Floats, counts: Indices | None = None) -> float:
    """Mean squared distance of clips to their centres, which k-means minimises; ``counts``: how many are alike."""
    nearest = centres[assign(rhythms, centres)]
    return float(np.average(((rhythms - nearest) ** 2).sum(axis=1), weights=counts))


def bars_of_beats(beats: Indices, centres: dict[str, Floats]) -> Indices:
    """The bar profiles nearest to a hand-made sequence of beat profiles: int64 (4 bars,) -> (bars,)."""
    rhythms = np.round(centres["beat"][beats]).reshape(-1, BAR)
    return assign(rhythms, centres["bar"])


# What was found, as it was written down -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Profiles:
    """The profiles of one seed's training pieces, for one layer.

    Attributes:
        centres: shape (profiles, steps), the commonest first.
        counts: how many clips have each profile.
        elbow: number of clusters -> mean squared distance of a clip to its centre.
    """

    centres: Floats
    counts: Indices
    elbow: dict[int, float]


def read_profiles(paths: Sequence[Path]) -> dict[int, dict[str, Profiles]]:
    """The profiles of all seeds (``profiles/<seeds>.json``): seed -> ``beat`` or ``bar`` -> profiles."""
    return {
        row["seed"]: {
            layer: Profiles(
                np.array(row[layer]["centres"], dtype=np.float64),
                np.array(row[layer]["counts"]),
                {point["k"]: point["inertia"] for point in row[layer]["elbow"]},
            )
            for layer in ("beat", "bar")
        }
        for path in paths
        for row in read_json(path)["rows"]
    }


def read_centres(paths: Sequence[Path], seed: int) -> dict[str, Floats]:
    """The centres of one seed, ``beat`` and ``bar``."""
    return {layer: profiles.centres for layer, profiles in read_profiles(paths)[seed].items()}
