"""Compares two sets of melodies, feature by feature, by the distances within and between them.

The features and the two numbers, Kullback-Leibler divergence and overlap area of the densities of intra-set and
inter-set distances, are those of Yang and Lerch, "On the evaluation of generative models in music"
(2020), for one voice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.distance import cdist, pdist
from scipy.stats import gaussian_kde

from tenfold.data.melodies import Events
from tenfold.papers.melody.measures import notes_of
from tenfold.papers.melody.profiles import Floats, Indices

LENGTHS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 17])  # first length of each bin, in sixteenths; the last is "longer"
GRID = 512  # points at which two densities are compared
FLOOR = 1e-12  # of a density, so that a logarithm exists where a density vanishes


def pitch_count(notes: Floats) -> Floats:
    """Number of distinct pitches."""
    return np.array([len(np.unique(notes[:, 2]))])


def pitch_classes(notes: Floats) -> Floats:
    """Histogram of the 12 pitch classes, of sum 1."""
    return _shares(np.bincount(notes[:, 2].astype(int) % 12, minlength=12))


def pitch_class_transitions(notes: Floats) -> Floats:
    """How often each pitch class follows each, of sum 1; (144,), row by row."""
    return _transitions(notes[:, 2].astype(np.int64) % 12, 12)


def pitch_range(notes: Floats) -> Floats:
    """Highest minus lowest pitch, in semitones; 0 without notes."""
    return np.array([np.ptp(notes[:, 2]) if len(notes) else 0.0])


def pitch_interval(notes: Floats) -> Floats:
    """Mean absolute interval between notes that follow one another, in semitones."""
    return _mean(np.abs(np.diff(notes[:, 2])))


def note_count(notes: Floats) -> Floats:
    """Number of notes."""
    return np.array([len(notes)])


def inter_onset_interval(notes: Floats) -> Floats:
    """Mean time between the onsets of notes that follow one another, in sixteenths."""
    return _mean(np.diff(notes[:, 0]))


def note_lengths(notes: Floats) -> Floats:
    """Histogram of note lengths in the bins of ``LENGTHS``, of sum 1."""
    return _shares(np.bincount(_length_bins(notes), minlength=len(LENGTHS)))


def note_length_transitions(notes: Floats) -> Floats:
    """How often each bin of note lengths follows each, of sum 1; (81,), row by row."""
    return _transitions(_length_bins(notes), len(LENGTHS))


FEATURES: dict[str, Callable[[Floats], Floats]] = {
    "pitch count": pitch_count,
    "pitch-class histogram": pitch_classes,
    "pitch-class transitions": pitch_class_transitions,
    "pitch range": pitch_range,
    "mean pitch interval": pitch_interval,
    "note count": note_count,
    "mean inter-onset interval": inter_onset_interval,
    "note-length histogram": note_lengths,
    "note-length transitions": note_length_transitions,
}


def features_of(pieces: Sequence[Events]) -> dict[str, Floats]:
    """Every feature of every piece: name -> (pieces, values)."""
    notes = [notes_of(piece).astype(np.float64) for piece in pieces]
    return {name: np.stack([feature(of) for of in notes]).astype(np.float64) for name, feature in FEATURES.items()}


def compare_sets(real: dict[str, Floats], generated: dict[str, Floats]) -> dict[str, dict[str, float | None]]:
    """For each feature, distances within and between two sets of equally many pieces.

    Args:
        real: ``features_of`` the reference pieces.
        generated: ``features_of`` as many others.

    Returns:
        For each feature ``intra`` and ``inter``: mean Euclidean distance of two generated pieces, and of a generated
        from a real one; ``kld``: divergence of the inter-set from the real intra-set distances; ``overlap``: the area
        under both densities. The last two are None where a density does not exist: all distances are (nearly) equal.
    """
    found = {}
    for name, reference in real.items():
        if reference.shape != generated[name].shape:
            raise ValueError(f"{len(reference)} and {len(generated[name])} pieces: sets must be equally large")
        within, between = pdist(reference), cdist(reference, generated[name]).ravel()
        kld, overlap = divergence_and_overlap(within, between)
        found[name] = {
            "intra": float(pdist(generated[name]).mean()),
            "inter": float(between.mean()),
            "kld": kld,
            "overlap": overlap,
        }
    return found


def mean_overlap(compared: dict[str, dict[str, float | None]]) -> float | None:
    """Mean overlap area over the features that have one; None where none has."""
    areas = [of["overlap"] for of in compared.values() if of["overlap"] is not None]
    return float(np.mean(areas)) if areas else None


def divergence_and_overlap(first: Floats, second: Floats) -> tuple[float, float] | tuple[None, None]:
    """``(sum p log(p / q) dx, sum min(p, q) dx)`` of the densities p and q of two samples.

    The densities are Gaussian kernel estimates with Scott's bandwidth, on one grid that covers both to three
    bandwidths; they are raised to ``FLOOR`` for the logarithm. None where one is a spike between two of its points.
    """
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None, None
    densities = [gaussian_kde(sample, bw_method="scott") for sample in (first, second)]
    bandwidths = [float(np.sqrt(density.covariance[0, 0])) for density in densities]
    margin = 3 * max(bandwidths)
    low, high = (edge(np.concatenate([first, second])) for edge in (np.min, np.max))
    grid, step = np.linspace(low - margin, high + margin, GRID, retstep=True)
    if min(bandwidths) < step:
        return None, None
    p, q = (np.maximum(density(grid), FLOOR) for density in densities)
    return float(np.sum(p * np.log(p / q)) * step), float(np.sum(np.minimum(p, q)) * step)


def _length_bins(notes: Floats) -> Indices:
    return np.searchsorted(LENGTHS, notes[:, 1], side="right").astype(np.int64) - 1


def _transitions(states: Indices, kinds: int) -> Floats:
    return _shares(np.bincount(states[:-1] * kinds + states[1:], minlength=kinds * kinds))


def _shares(counts: Indices) -> Floats:
    return counts / max(1, int(counts.sum()))


def _mean(values: Floats) -> Floats:
    return np.array([values.mean() if len(values) else 0.0])
