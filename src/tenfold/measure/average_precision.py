"""Average precision of detections, as V-COCO and HICO-DET score it. Boxes are (x1, y1, x2, y2), ends included.

A detection is a hit if it is right and no better-scored one was right about the same object. Equal scores keep the
order in which detections are given: the sort is stable, where V-COCO's own is not and leaves AP undefined under ties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# MATLAB's ``0:0.1:1``, counted from both ends: it has 0.1 + 0.2 for 0.3, but 0.6, where numpy.arange has 0.6 + 1e-16.
# A recall that meets a threshold exactly is decided by such a bit.
ELEVENTHS = np.concatenate([np.arange(6) * 0.1, 1 - np.arange(4, -1, -1) * 0.1])


def iou(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes (..., 4), broadcast; a box from x1 to x2 is ``x2 - x1 + 1`` pixels wide.

    NaN where a box is NaN.
    """
    (x1, y1, x2, y2), (u1, v1, u2, v2) = np.moveaxis(boxes, -1, 0), np.moveaxis(others, -1, 0)
    width = np.maximum(np.minimum(x2, u2) - np.maximum(x1, u1) + 1, 0)
    height = np.maximum(np.minimum(y2, v2) - np.maximum(y1, v1) + 1, 0)
    shared = width * height
    return shared / ((x2 - x1 + 1) * (y2 - y1 + 1) + (u2 - u1 + 1) * (v2 - v1 + 1) - shared)


def hits(scores: NDArray[np.float64], objects: NDArray[np.int64], right: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which detections are hits, in the order of falling scores.

    Args:
        scores: (N,).
        objects: (N,), the true object that each is about.
        right: (N,), whether it is right about that.
    """
    order = np.argsort(-scores, kind="stable")
    candidates = np.nonzero(right[order])[0]
    _, first = np.unique(objects[order][candidates], return_index=True)
    found = np.zeros(len(scores), bool)
    found[candidates[first]] = True
    return found


def all_points(found: NDArray[np.bool_], positives: int) -> float:
    """The area under the precision envelope over recall (Pascal VOC since 2010).

    Args:
        found: (N,), hits and misses in the order of falling scores.
        positives: how many there are to find, at least 1.
    """
    recall, precision = _curve(found, positives)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def eleven_points(found: NDArray[np.bool_], positives: int) -> float:
    """The mean over recalls 0, 0.1, ..., 1 of the best precision there or beyond (Pascal VOC 2007).

    Args:
        found: (N,), hits and misses in the order of falling scores.
        positives: how many there are to find, at least 1.
    """
    recall, precision = _curve(found, positives)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(np.mean(envelope[np.searchsorted(recall, ELEVENTHS, side="left")]))


def _curve(found: NDArray[np.bool_], positives: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    number = np.cumsum(found)
    return number / positives, number / np.arange(1, len(found) + 1)
