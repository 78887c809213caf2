"""Profiles of rhythm: the centres that k-means finds among the bars, and among the beats, of the training pieces.

A clip (a bar of 16 steps, a beat of 4) is binary: 1 where a note begins or ends, 0 where nothing happens; pitch plays
no role (Sec. 3.2). The profile of a clip is the nearest centre.
"""

from __future__ import annotations

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
TRIES = 100  # k-means that end with an empty cluster are begun anew, so often at most
ITERATIONS = 50


def clips(pieces: Sequence[Events], layer: str) -> Floats:
    """The rhythms of all bars, or of all beats: float64 (clips, 16) or (clips, 4) of 0 and 1."""
    events = np.concatenate(list(pieces))
    return (events != NO_EVENT).reshape(-1, STEPS[layer]).astype(np.float64)


def assign(rhythms: Floats, centres: Floats) -> Indices:
    """The profile of each clip: the nearest centre (Euclid; [choice], the paper names no distance), int64 (clips,).

    Of equally near centres the first; distances are rounded, so that the last bit of a centre decides nothing.
    """
    squared = ((rhythms[:, None, :] - centres[None]) ** 2).sum(axis=2)
    return np.argmin(np.round(squared, 9), axis=1)


def fit(rhythms: Floats, k: int, restarts: int, seed: int) -> Floats:
    """The centres of ``k`` clusters, the most frequent first, so that indices mean the same in each run.

    The best of several k-means++ starts ([choice], the paper says k-means). With no more than ``k`` distinct clips each
    of them is its own profile.

    Args:
        rhythms: (clips, steps).
        k: number of profiles.
        restarts: number of starts.
        seed: of the starts.

    Returns:
        (profiles, steps), at most ``k`` profiles.
    """
    distinct = np.unique(rhythms, axis=0)
    if len(distinct) <= k:
        return by_frequency(distinct, rhythms)
    generator = np.random.default_rng(seed)
    found = [_kmeans(rhythms, k, generator) for _ in range(restarts)]
    return by_frequency(min(found, key=lambda centres: inertia(rhythms, centres)), rhythms)


def _kmeans(rhythms: Floats, k: int, generator: np.random.Generator) -> Floats:
    from scipy.cluster.vq import ClusterError, kmeans2  # only here, so that melodies are composed without

    for _ in range(TRIES):
        try:
            centres, _ = kmeans2(rhythms, k, iter=ITERATIONS, minit="++", missing="raise", rng=generator)
        except ClusterError:
            continue
        return centres
    raise ClusterError(f"no {k} clusters in {TRIES} starts")


def by_frequency(centres: Floats, rhythms: Floats) -> Floats:
    """Centres, those first that most clips belong to; equally frequent ones in the order of their values."""
    counts = np.bincount(assign(rhythms, centres), minlength=len(centres))
    return centres[np.lexsort([*np.round(centres.T[::-1], 9), -counts])]


def inertia(rhythms: Floats, centres: Floats) -> float:
    """Mean squared distance of clips to their centres."""
    nearest = centres[assign(rhythms, centres)]
    return float(((rhythms - nearest) ** 2).sum(axis=1).mean())


def mean_distance(rhythms: Floats, centres: Floats) -> float:
    """Mean Euclidean distance of clips to their centres: what the elbow curve shows."""
    nearest = centres[assign(rhythms, centres)]
    return float(np.sqrt(((rhythms - nearest) ** 2).sum(axis=1)).mean())


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
        elbow: number of clusters -> mean distance of a clip to its centre.
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
                {point["k"]: point["distance"] for point in row[layer]["elbow"]},
            )
            for layer in ("beat", "bar")
        }
        for path in paths
        for row in read_json(path)["rows"]
    }


def read_centres(paths: Sequence[Path], seed: int) -> dict[str, Floats]:
    """The centres of one seed, ``beat`` and ``bar``."""
    return {layer: profiles.centres for layer, profiles in read_profiles(paths)[seed].items()}
