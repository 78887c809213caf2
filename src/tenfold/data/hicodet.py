"""Reads the annotations of HICO-DET (Chao et al., Learning to Detect Human-Object Interactions, WACV 2018).

The form is that of https://github.com/fredzzhang/hicodet: ``instances_test2015.json`` has, image by image, pairs of
boxes and the class of each pair, one of 600 triples of object and verb. Boxes count pixels from 1, as the publisher's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.json_files import read_published

HOLDS = "instances_test2015.json"


@dataclass(frozen=True)
class Pairs:
    """All true pairs of some images: N pairs, C classes.

    Attributes:
        images: the names of all images, those without a pair included.
        image: (N,), the position in ``images`` of each pair.
        humans: (N, 4), boxes x1, y1, x2, y2, ends included, counted from 1.
        objects: (N, 4), boxes alike.
        classes: (N,), the class of each pair.
        triples: for each class the names of object and verb.
        rare: the classes with fewer than 10 pairs in training.
    """

    images: list[str]
    image: NDArray[np.int64]
    humans: NDArray[np.float64]
    objects: NDArray[np.float64]
    classes: NDArray[np.int64]
    triples: list[tuple[str, str]]
    rare: list[int]


def read_pairs(folder: Path) -> Pairs:
    """Reads the test set.

    Raises:
        UserError: the file is missing, or has another form.
    """
    return read_published(folder / HOLDS, "https://github.com/fredzzhang/hicodet", pairs)


def pairs(content: Mapping[str, Any]) -> Pairs:
    """Takes the content of such a file.

    Raises:
        ValueError: its lists differ in length.
    """
    annotated = content["annotation"]
    image = [position for position, one in enumerate(annotated) for _ in one["hoi"]]
    by_class = sorted(content["correspondence"])
    return Pairs(
        images=list(content["filenames"]),
        image=np.array(image, np.int64),
        humans=np.array([box for one in annotated for box in one["boxes_h"]], np.float64).reshape(len(image), 4),
        objects=np.array([box for one in annotated for box in one["boxes_o"]], np.float64).reshape(len(image), 4),
        classes=np.array([number for one in annotated for number in one["hoi"]], np.int64),
        triples=[(content["objects"][thing], content["verbs"][verb]) for _, thing, verb in by_class],
        rare=sorted(content["rare"]),
    )
