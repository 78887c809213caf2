"""COCO's average precision of boxes, masks and keypoints, by the benchmark's own code (pycocotools).

A detection is right if it overlaps with a true object that no better-scored one has taken: by IoU, or for keypoints by
their similarity OKS (https://cocodataset.org/#keypoints-eval), in which the true object's area sets the scale. AP is
the mean precision at 101 recalls, averaged over ten thresholds .50 to .95 and over categories. At most 100 detections
of an image and category count, of keypoints 20. Equal scores keep the order in which they are given.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# The first numbers of COCOeval.stats, in its order.
BOX_MEASURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
KEYPOINT_MEASURES = ("ap", "ap50", "ap75", "ap_medium", "ap_large")


def average_precision(
    truth: Mapping[str, Sequence[Mapping[str, Any]]],
    detections: Sequence[Mapping[str, Any]],
    kind: Literal["bbox", "segm", "keypoints"],
    sigmas: Sequence[float] | None = None,
) -> dict[str, float | None]:
    """AP, at all and at two thresholds, and of objects by size (small: below 32² pixels, large: above 96²).

    Args:
        truth: as in COCO's files: ``images`` with ``id``; ``categories`` with ``id``; ``annotations`` with ``id`` (from
            1 up), ``image_id``, ``category_id``, ``area``, ``bbox`` (x, y, width, height), ``iscrowd``; for masks
            ``segmentation``; for keypoints ``keypoints`` (x, y, visibility of each in turn) and ``num_keypoints``.
        detections: as in COCO's result files: ``image_id``, ``category_id``, ``score``, and ``bbox``, ``segmentation``
            or ``keypoints``.
        kind: what overlaps.
        sigmas: how far off each keypoint may be, as a share of the object's size; None for COCO's 17.

    Returns:
        ``ap``, ``ap50``, ``ap75``, ``ap_small`` (not for keypoints), ``ap_medium``, ``ap_large``, between 0 and 1; None
        where there is no true object.

    Raises:
        ValueError: a detection is of an image or category that there is not, or its score is no number; or an
            annotation has the id 0, which pycocotools takes for no match.
    """
    for name, ids in {"image": _ids(truth["images"]), "category": _ids(truth["categories"])}.items():
        if strange := {detection[f"{name}_id"] for detection in detections} - ids:
            raise ValueError(f"detections of {name} {min(strange)}, which there is not")
    if not all(math.isfinite(detection["score"]) for detection in detections):
        raise ValueError("a score is not a number")
    if 0 in _ids(truth["annotations"]):
        raise ValueError("the id of an annotation is 0; they count from 1")
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools tells of each step
        known = _indexed({key: _copied(truth[key]) for key in ("images", "categories", "annotations")})
        found = known.loadRes(_copied(detections)) if detections else _indexed({**known.dataset, "annotations": []})
        evaluation = COCOeval(known, found, kind)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.asarray(sigmas, np.float64)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    measures = KEYPOINT_MEASURES if kind == "keypoints" else BOX_MEASURES
    # -1 is pycocotools' word for no true object.
    return {name: float(value) if value >= 0 else None for name, value in zip(measures, evaluation.stats, strict=False)}


def _ids(entries: Sequence[Mapping[str, Any]]) -> set[int]:
    return {entry["id"] for entry in entries}


def _copied(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As pycocotools writes into what it is given."""
    return [dict(entry) for entry in entries]


def _indexed(dataset: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco
