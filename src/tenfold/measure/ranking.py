"""Average precision of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.floating], present: NDArray[np.bool_]) -> float:
    """``sum over thresholds of (R_k - R_(k-1)) P_k``, equal scores sharing a threshold, as scikit-learn has it.

    Of scores that are all alike it is the share of positives.

    Args:
        scores: (N,), the higher the surer.
        present: (N,), of which one at least is true.

    Raises:
        ValueError: none is.
    """
    if not present.any():
        raise ValueError("there is no positive")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(present[order])
    last = np.append(np.nonzero(np.diff(scores[order]))[0], len(scores) - 1)  # the last one of each threshold
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))
