"""A small classifier that tells generated from real melodies: what it cannot tell apart is alike to it.

It is logistic regression on the features of ``mgeval`` and some of structure, and stands in for no listener: what
people hear, and whether they take a piece for a composer's, it does not say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from tenfold.data.melodies import Events
from tenfold.papers.melody.measures import compression, repetition, rhythm
from tenfold.papers.melody.mgeval import features_of
from tenfold.papers.melody.profiles import Floats

PENALTY = 1.0  # [choice] of half the squared weights, on features of unit variance
STRUCTURE_LAGS = (1, 2, 4, 8)


def described(pieces: Sequence[Events]) -> Floats:
    """What the classifier sees of each piece: features of mgeval, repetition and compression; (pieces, values).

    The transition matrices are left out: a few dozen tunes do not fill their 225 entries.
    """
    simple = [values for name, values in features_of(pieces).items() if not name.endswith("transitions")]
    structure = [
        [
            *repetition([rhythm(piece)], STRUCTURE_LAGS).values(),
            *repetition([piece], STRUCTURE_LAGS).values(),
            compression(piece),
        ]
        for piece in pieces
    ]
    return np.hstack([*simple, np.array(structure)])


def tell_apart(real: Floats, generated: Floats, generator: np.random.Generator) -> dict[str, float]:
    """Learns on half of each set, and is tested on the other halves.

    Args:
        real: ``described`` real pieces, no two of the same tune, shape (n, values).
        generated: as many generated ones.
        generator: which halves.

    Returns:
        ``balanced_accuracy`` (0.5 is chance), ``auc`` (0.5 too), and ``judged_real``, the share of the tested
        generated pieces that are taken for real.
    """
    if real.shape != generated.shape:
        raise ValueError(f"{len(real)} real and {len(generated)} generated pieces: sets must be equally large")
    half = len(real) // 2
    of_real, of_generated = (values[generator.permutation(len(values))] for values in (real, generated))
    weights = fit(np.vstack([of_real[:half], of_generated[:half]]), np.repeat([1.0, 0.0], half))
    is_real, is_not = (score(weights, values[half:]) for values in (of_real, of_generated))
    return {
        "balanced_accuracy": float(np.mean(is_real > 0) + np.mean(is_not <= 0)) / 2,
        "auc": area_under_curve(is_real, is_not),
        "judged_real": float(np.mean(is_not > 0)),
    }


Weights = tuple[Floats, Floats, Floats]  # mean and scale of the features; weights, the last of which is the bias


def fit(features: Floats, labels: Floats) -> Weights:
    """Logistic regression with an L2 penalty (none on the bias), on standardised features.

    Args:
        features: shape (n, values).
        labels: 1 or 0, shape (n,).
    """
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    inputs = np.hstack([(features - mean) / scale, np.ones((len(features), 1))])
    penalised = np.append(np.full(features.shape[1], PENALTY), 0.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        logits = inputs @ weights
        value = np.sum(np.logaddexp(0, logits) - labels * logits) + 0.5 * np.sum(penalised * weights**2)
        return float(value), inputs.T @ (expit(logits) - labels) + penalised * weights

    found = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B")
    return mean, scale, found.x


def score(weights: Weights, features: Floats) -> Floats:
    """The logit of "real" for each piece; shape (n,)."""
    mean, scale, values = weights
    logits: Floats = (features - mean) / scale @ values[:-1] + values[-1]
    return logits


def area_under_curve(positive: Floats, negative: Floats) -> float:
    """Probability that a positive scores above a negative, ties counting half (Mann and Whitney)."""
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    wins = ranks.sum() - len(positive) * (len(positive) + 1) / 2
    return float(wins / (len(positive) * len(negative)))
