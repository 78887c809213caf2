"""HICO-DET's mean average precision, by the rules of ``VOCevaldet_bboxpair.m`` (github.com/ywchao/ho-rcnn).

A detection of a class is right about the true pair of that class in its image with which the worse of its two boxes
overlaps most, if that is by 0.5 or more; a pair counts once. AP takes the precision at 11 recalls. Means: over all 600
classes, over the 138 with fewer than 10 pairs in training, over the other 462. A class without a true pair has AP 0.

Settings: ``default`` has all test images; ``known_object`` for each class only those that show its object. The
official code takes these from labels of whole images that the annotations read here lack: here an image shows an object
if it has a true pair with it.

As a command it scores a file of detections::

    python -m tenfold.measure.hicodet detections.json --annotations hicodet

The file is a JSON list with an object for each detected pair: ``image`` (``HICO_test2015_00000001.jpg``), ``hoi`` (0 to
599, as in the annotations), ``human_box`` and ``object_box`` [x1, y1, x2, y2] that count pixels from 0, ``score``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold.data.hicodet import Pairs, read_pairs
from tenfold.measure.average_precision import eleven_points, hits, iou
from tenfold.measure.detections_file import Entries, as_command, check_keys, column, read_entries, refuse

OVERLAP = 0.5
GROUPS = ("full", "rare", "non_rare")


@dataclass(frozen=True)
class Detections:
    """Detected pairs: D detections.

    Attributes:
        image: (D,), positions in ``Pairs.images``.
        humans: (D, 4), boxes x1, y1, x2, y2, ends included, counted from 0.
        objects: (D, 4), boxes alike.
        classes: (D,).
        scores: (D,).
    """

    image: NDArray[np.int64]
    humans: NDArray[np.float64]
    objects: NDArray[np.float64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Average precisions (C,) between 0 and 1.

    Attributes:
        default: over all images.
        known_object: over images that show the object.
        groups: for each of `GROUPS` its classes.
    """

    default: NDArray[np.float64]
    known_object: NDArray[np.float64]
    groups: dict[str, list[int]]

    def mean(self, setting: str, group: str) -> float:
        """The mean over a group of classes, NaN where it has none."""
        chosen = getattr(self, setting)[self.groups[group]]
        return float(chosen.mean()) if len(chosen) else float("nan")


def evaluate(truth: Pairs, found: Detections) -> Scores:
    """All average precisions of some detections."""
    classes = len(truth.triples)
    order = np.lexsort((found.image, found.classes))  # stable: within an image and class as given
    pair, overlap = _nearest_pair(truth, found, order)
    kinds, kind_of = np.unique([thing for thing, _ in truth.triples], return_inverse=True)
    shows = np.zeros((len(kinds), len(truth.images)), bool)
    shows[kind_of[truth.classes], truth.image] = True

    default, known_object = np.zeros(classes), np.zeros(classes)
    positives = np.bincount(truth.classes, minlength=classes).tolist()
    ends = np.searchsorted(found.classes[order], np.arange(classes + 1))
    for number in np.nonzero(positives)[0].tolist():
        of_class = slice(*ends[number : number + 2])
        scores, right = found.scores[order[of_class]], overlap[of_class] >= OVERLAP
        kept = shows[kind_of[number], found.image[order[of_class]]]
        default[number] = eleven_points(hits(scores, pair[of_class], right), positives[number])
        known = hits(scores[kept], pair[of_class][kept], right[kept])
        known_object[number] = eleven_points(known, positives[number])
    others = sorted(set(range(classes)) - set(truth.rare))
    return Scores(default, known_object, dict(zip(GROUPS, (list(range(classes)), truth.rare, others), strict=True)))


def detections(entries: Entries, truth: Pairs, source: str = "detections") -> Detections:
    """Takes detections in the form of the file (see above).

    Args:
        entries: an object for each detected pair.
        truth: whose images and classes they are of.
        source: what an error calls them.

    Raises:
        UserError: an image, class or key that there is not, or a value of another form.
    """
    check_keys(entries, ["image", "hoi", "human_box", "object_box", "score"], source)
    position = {name: number for number, name in enumerate(truth.images)}
    image = np.array([position.get(str(entry.get("image")), -1) for entry in entries])
    refuse(image < 0, source, f"'image' is not one of the test set, {truth.images[0]} to {truth.images[-1]}")
    classes = column(entries, "hoi", source)
    known = np.isin(classes, np.arange(len(truth.triples)))
    refuse(~known, source, f"'hoi' is not a whole number from 0 to {len(truth.triples) - 1}")
    humans, objects = (column(entries, key, source, length=4) for key in ("human_box", "object_box"))
    scores = column(entries, "score", source)
    for key, values in {"human_box": humans, "object_box": objects, "score": scores[:, None]}.items():
        refuse(~np.isfinite(values).all(axis=1), source, f"'{key}' is not finite")
    return Detections(image, humans, objects, classes.astype(np.int64), scores)


def table(truth: Pairs, scores: Scores) -> Iterator[str]:
    """The means, in percent."""
    yield f"{'mAP':<24}{'default':>12}{'known object':>16}{'classes':>10}"
    for group in GROUPS:
        default, known = (100 * scores.mean(setting, group) for setting in ("default", "known_object"))
        yield f"{group.replace('_', '-'):<24}{default:>12.2f}{known:>16.2f}{len(scores.groups[group]):>10}"
    yield f"known object: of images with a true pair of the object ({len(truth.images)} images in all)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Scores a file of detections."""
    parser = argparse.ArgumentParser(
        prog="python -m tenfold.measure.hicodet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("detections", type=Path, help="a JSON file, see above")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FOLDER", help="has instances_test2015.json")
    given = parser.parse_args(arguments)

    def lines() -> Iterator[str]:
        entries, truth = read_entries(given.detections), read_pairs(given.annotations)
        yield from table(truth, evaluate(truth, detections(entries, truth, str(given.detections))))

    return as_command(lines)


def _nearest_pair(
    truth: Pairs, found: Detections, order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each detection, in an order by class and image, the nearest true pair and its overlap; -1 and 0 for none."""
    true_order = np.lexsort((truth.image, truth.classes))
    wanted = truth.classes[true_order] * len(truth.images) + truth.image[true_order]
    there = found.classes[order] * len(truth.images) + found.image[order]
    pair, overlap = np.full(len(order), -1), np.zeros(len(order))
    for key in np.intersect1d(wanted, there):
        true, detected = (slice(*np.searchsorted(keys, [key, key + 1])) for keys in (wanted, there))
        rows, others = order[detected], true_order[true]
        overlaps = np.minimum(  # the publisher's boxes count from 1
            iou(found.humans[rows, None] + 1, truth.humans[others]),
            iou(found.objects[rows, None] + 1, truth.objects[others]),
        )
        pair[detected] = others[overlaps.argmax(axis=1)]
        overlap[detected] = overlaps.max(axis=1)
    return pair, overlap


if __name__ == "__main__":
    sys.exit(main())
