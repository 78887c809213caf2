"""Greedy search of anchors by hardness (Algorithm 2 of "Route Constrained Optimization", arXiv:1904.09149).

The student is trained on an anchor; the next anchor is the furthest checkpoint that is not yet much harder for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def relative_hardness(hardness: Sequence[float], current: int) -> list[float]:
    """``r_ij = (H_j - H_i) / H_i`` of all candidates j against the anchor i that the student was trained on."""
    own = hardness[current]
    return [(value - own) / own for value in hardness]


def next_anchor(hardness: Sequence[float], current: int, delta: float) -> int:
    """The index of the candidate to go on with.

    Candidates after the current one are tried in order; before the first that is harder by more than ``delta``
    the search stops. The last candidate, the converged teacher, is never tried: it is where all routes end.

    Args:
        hardness: H_j, the KL divergence of candidate j and the student on held-out images, for all candidates.
        current: index of the candidate that the student was trained on; not the last.
        delta: relaxation factor; 0.8 for a MobileNet-V2.

    Returns:
        An index above ``current``. [choice] Where already the next candidate is too hard it is taken all the same;
        the printed algorithm would stay where it is for ever.
    """
    relative = relative_hardness(hardness, current)
    last = len(hardness) - 1
    for j in range(current + 1, last):
        if relative[j] > delta:
            return max(current + 1, j - 1)
    return last


def greedy_route(
    candidates: Sequence[int], delta: float, hardness_after: Callable[[Sequence[int]], Sequence[float]]
) -> list[int]:
    """The anchors that the search chooses, [choice] from the first candidate on.

    Args:
        candidates: the teacher's epochs that may become anchors, in order, its last epoch last.
        delta: relaxation factor.
        hardness_after: trains the student along the given anchors and gives the hardness of all candidates; it is
            called once for each anchor but the last, each time with one anchor more.
    """
    chosen = [0]
    while chosen[-1] < len(candidates) - 1:
        hardness = hardness_after([candidates[index] for index in chosen])
        chosen.append(next_anchor(hardness, chosen[-1], delta))
    return [candidates[index] for index in chosen]
