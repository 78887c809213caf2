"""Reads V-COCO (Gupta and Malik, Visual Semantic Role Labeling, arXiv:1505.04474) as its evaluation does.

V-COCO names for persons of COCO 2014 which of 26 actions they do, and with which objects; its boxes are COCO's. A
folder of annotations has V-COCO's own layout: ``vcoco/vcoco_<split>.json``, ``splits/vcoco_<split>.ids``, and COCO's
``instances*.json``.

Pairs of boxes come without COCO's files: ``instances_vcoco_<split>.json`` of https://github.com/fredzzhang/vcoco has
those persons who have an annotated object. Persons without one are not in it, so V-COCO's own measure cannot be had
from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.json_files import read_published
from tenfold.errors import UserError

SPLITS = ("train", "val", "trainval", "test")
UNLABELLED, ABSENT, PRESENT = -1, 0, 1
NO_OBJECT = 0  # the id of an object that is not annotated
PUBLISHER, COCO = "https://github.com/s-gupta/v-coco", "https://cocodataset.org"
READ = ("images", "categories", "annotations")  # of COCO's files
INSTANCES = (
    "V-COCO's instances_vcoco_all_2014.json, or COCO's instances_train2014.json and instances_val2014.json of "
    "http://images.cocodataset.org/annotations/annotations_trainval2014.zip"
)

Boxes = dict[int, tuple[int, list[float] | None]]  # of a COCO annotation: its image's position, and its clean box


@dataclass(frozen=True)
class Annotations:
    """All true persons of some images: P persons, A actions, R roles.

    Attributes:
        image_ids: (I,), rising.
        actions: the names of the actions.
        roles: for each role the position of its action, and the name of the role (``obj`` or ``instr``).
        images: (P,), the position in ``image_ids`` of each person; rising.
        boxes: (P, 4), x1, y1, x2, y2 with the ends included.
        labels: (P, A), `PRESENT`, `ABSENT`, or `UNLABELLED` in all actions.
        role_boxes: (P, R, 4), the object of each role, NaN where none is annotated.
    """

    image_ids: NDArray[np.int64]
    actions: list[str]
    roles: list[tuple[int, str]]
    images: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int8]
    role_boxes: NDArray[np.float64]


def read_annotations(folder: Path, split: str) -> Annotations:
    """Reads a split.

    Raises:
        UserError: a file is missing or not as published.
    """
    image_ids = read_ids(folder / "splits" / f"vcoco_{split}.ids")
    if not (files := sorted(folder.glob("instances*.json"))):
        raise UserError(f"{folder}: no instances*.json; it needs {INSTANCES}")
    instances = [read_published(path, COCO, lambda content: {key: content[key] for key in READ}) for path in files]
    path = folder / "vcoco" / f"vcoco_{split}.json"
    return read_published(path, PUBLISHER, lambda actions: join(actions, instances, image_ids))


def read_ids(path: Path) -> list[int]:
    """Reads the image ids of a split.

    Raises:
        UserError: the file is missing, or has something else in it.
    """
    try:
        return [int(line) for line in path.read_text(encoding="utf-8").split()]
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"{path}: no list of image ids as {PUBLISHER} has it ({error})") from None


def join(
    actions: Sequence[Mapping[str, Any]], instances: Sequence[Mapping[str, Any]], image_ids: Sequence[int]
) -> Annotations:
    """Joins V-COCO's labels with COCO's boxes, by the rules of ``vsrl_eval.py``.

    Args:
        actions: as in ``vcoco_<split>.json``: for each action ``action_name``, ``role_name`` (the first is ``agent``),
            and for each person ``image_id``, ``ann_id``, ``label`` and, role after role, ``role_object_id``.
        instances: as in COCO's files, one or several: ``images``, ``categories``, ``annotations``.
        image_ids: of the split.

    Raises:
        ValueError: they do not fit together.
    """
    ids, listed = sorted(set(image_ids)), actions[0]["ann_id"]
    if sorted(set(actions[0]["image_id"])) != ids:
        raise ValueError("its images are not those of the list of the split")
    boxes, row_of = _boxes(instances, ids)
    if strange := [person for person in listed if person not in boxes]:
        raise ValueError(f"person {strange[0]} is not among COCO's instances of its image")
    roles = [(number, role) for number, action in enumerate(actions) for role in action["role_name"][1:]]
    labels = np.full((len(row_of), len(actions)), UNLABELLED, np.int8)
    labels[[row_of[one] for one in listed if one in row_of]] = ABSENT
    role_boxes = np.full((len(row_of), len(roles), 4), np.nan)
    for number, action in enumerate(actions):
        if action["ann_id"] != listed:
            raise ValueError(f"{action['action_name']} lists other persons than {actions[0]['action_name']}")
        columns = [column for column, (of, _) in enumerate(roles) if of == number]
        objects = np.reshape(action["role_object_id"], (len(action["role_name"]), -1))[1:]
        for place in np.nonzero(np.equal(action["label"], PRESENT))[0]:
            person, others = listed[place], objects[:, place].tolist()
            if person not in row_of:
                continue
            labels[row_of[person], number] = PRESENT
            for column, other in zip(columns, others, strict=True):
                if other != NO_OBJECT:
                    role_boxes[row_of[person], column] = _box_beside(person, other, boxes)
    return Annotations(
        image_ids=np.array(ids, np.int64),
        actions=[action["action_name"] for action in actions],
        roles=roles,
        images=np.array([boxes[person][0] for person in row_of], np.int64),
        boxes=np.array([boxes[person][1] for person in row_of], np.float64).reshape(-1, 4),
        labels=labels,
        role_boxes=role_boxes,
    )


def _boxes(instances: Sequence[Mapping[str, Any]], ids: Sequence[int]) -> tuple[Boxes, dict[int, int]]:
    """The boxes of all objects in some images, and the rows of those that are persons."""
    sizes = {image["id"]: (image["width"], image["height"]) for part in instances for image in part["images"]}
    persons = {kind["id"] for part in instances for kind in part["categories"] if kind["name"] == "person"}
    of_image: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for one in chain.from_iterable(part["annotations"] for part in instances):
        of_image[one["image_id"]].append(one)
    boxes: Boxes = {}
    row_of: dict[int, int] = {}
    for position, image in enumerate(ids):
        if image not in sizes:
            raise ValueError(f"image {image} is not among COCO's instances")
        for one in of_image[image]:
            if one["id"] in boxes:
                continue  # two files have it
            box = clean_box(one, *sizes[image])
            boxes[one["id"]] = position, box
            if box is not None and one["category_id"] in persons:
                row_of[one["id"]] = len(row_of)
    return boxes, row_of


def _box_beside(person: int, other: int, boxes: Boxes) -> list[float]:
    position, box = boxes.get(other, (None, None))
    if box is None or position != boxes[person][0]:
        raise ValueError(f"object {other} has no box in the image of person {person}")
    return box


@dataclass(frozen=True)
class Pairs:
    """All annotated pairs of some images: N pairs.

    Attributes:
        image_ids: (I,), of all images, those without a pair included.
        image: (N,), the position in ``image_ids`` of each pair.
        humans: (N, 4), boxes x1, y1, x2, y2; the ends are COCO's x + width and y + height.
        objects: (N, 4), boxes alike.
        roles: (N,), positions in ``role_names``.
        things: (N,), categories of the objects, positions in ``thing_names``.
        role_names: such as ``hold-obj``; ``point`` is left out.
        thing_names: COCO's categories, behind ``background``.
    """

    image_ids: NDArray[np.int64]
    image: NDArray[np.int64]
    humans: NDArray[np.float64]
    objects: NDArray[np.float64]
    roles: NDArray[np.int64]
    things: NDArray[np.int64]
    role_names: list[str]
    thing_names: list[str]


def pairs(content: Mapping[str, Any]) -> Pairs:
    """Takes the content of ``instances_vcoco_<split>.json``.

    Raises:
        ValueError: its lists differ in length.
    """
    annotated = content["annotations"]
    image = [position for position, one in enumerate(annotated) for _ in one["actions"]]
    return Pairs(
        image_ids=np.array(content["images"], np.int64),
        image=np.array(image, np.int64),
        humans=np.array([box for one in annotated for box in one["boxes_h"]], np.float64).reshape(len(image), 4),
        objects=np.array([box for one in annotated for box in one["boxes_o"]], np.float64).reshape(len(image), 4),
        roles=np.array([role for one in annotated for role in one["actions"]], np.int64),
        things=np.array([thing for one in annotated for thing in one["objects"]], np.int64).reshape(len(image)),
        role_names=[name.replace(" ", "-") for name in content["classes"]],
        thing_names=list(content["objects"]),
    )


def role_counts(actions: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """For each role, such as ``hold-obj``: how many persons do the action, and with how many the object is annotated.

    Args:
        actions: as in ``vcoco_<split>.json``, see `join`.
    """
    counts = {}
    for action in actions:
        does = np.equal(action["label"], PRESENT)
        objects = np.reshape(action["role_object_id"], (len(action["role_name"]), -1))
        for role, others in zip(action["role_name"][1:], objects[1:], strict=True):
            with_object = int((does & (others != NO_OBJECT)).sum())
            counts[f"{action['action_name']}-{role}"] = int(does.sum()), with_object
    return counts


def clean_box(one: Mapping[str, Any], width: float, height: float) -> list[float] | None:
    """A COCO box (x, y, width, height) as (x1, y1, x2, y2) within the image; None where nothing of it remains."""
    x, y, w, h = one["bbox"]
    x1, x2 = (min(width - 1.0, max(0.0, value)) for value in (x, x + max(0.0, w - 1.0)))
    y1, y2 = (min(height - 1.0, max(0.0, value)) for value in (y, y + max(0.0, h - 1.0)))
    return [x1, y1, x2, y2] if one["area"] > 0 and x2 > x1 and y2 > y1 and not one.get("ignore") else None
