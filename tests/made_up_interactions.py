"""Made-up annotations and detections of human-object interactions, in the forms of V-COCO, COCO and HICO-DET.

Scores have few digits, so that some are equal; boxes are near the true ones, or anywhere.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

Json = dict[str, Any]
ROLES = {"hold": ["obj"], "hit": ["instr", "obj"], "run": [], "sit": ["instr"], "point": ["instr"]}
PERSON, THINGS = 1, (2, 5, 90)
WIDTH, HEIGHT = 640, 480


def vcoco_actions(seed: int, images: int) -> list[Json]:
    """Labels as in V-COCO's files: two or so labelled persons an image, each with an action or two."""
    generator = np.random.default_rng(seed)
    persons = [
        (image, 100 * image + n) for image in range(10, 10 + images) for n in range(int(generator.integers(1, 4)))
    ]
    actions = []
    for name, roles in ROLES.items():
        labels = (generator.random(len(persons)) < 0.4).astype(int).tolist()
        objects = [[one for _, one in persons]]
        for _ in roles:
            there = (generator.random(len(persons)) < 0.7).tolist()
            # Objects 50 and 51 of an image are things; now and then it is the person of number 0.
            which = generator.choice([0, 50, 51], p=[0.1, 0.6, 0.3], size=len(persons)).tolist()
            listed = zip(persons, labels, there, which, strict=True)
            objects.append([100 * image + w if label and t else 0 for (image, _), label, t, w in listed])
        actions.append({
            "action_name": name, "role_name": ["agent", *roles], "label": labels,
            "image_id": [image for image, _ in persons], "ann_id": [one for _, one in persons],
            "role_object_id": [one for column in objects for one in column],
        })  # fmt: skip
    return actions


def coco_instances(actions: list[Json], seed: int) -> Json:
    """Boxes in COCO's form of all that V-COCO's labels name, and of persons that they do not."""
    generator = np.random.default_rng(seed)
    kind_of: dict[int, dict[int, int]] = defaultdict(dict)
    for action in actions:
        for column, objects in enumerate(np.reshape(action["role_object_id"], (len(action["role_name"]), -1)).tolist()):
            for image, one in zip(action["image_id"], objects, strict=True):
                if one and kind_of[image].get(one) != PERSON:
                    kind_of[image][one] = PERSON if column == 0 else THINGS[one % 3]
    annotations = []
    for image in sorted(kind_of):
        for n in range(int(generator.integers(3))):
            kind_of[image][10_000_000 + 10 * image + n] = PERSON
        for one, kind in kind_of[image].items():
            x, y = (round(v, 2) for v in (generator.random(2) * [500, 400] - 5).tolist())
            w, h = (round(v, 2) for v in (generator.random(2) * [240, 200] + 10).tolist())
            annotations.append({
                "id": one, "image_id": image, "category_id": kind, "bbox": [x, y, w, h], "area": w * h,
                "iscrowd": int(one > 10_000_000 and one % 3 == 0),
            })  # fmt: skip
    return {
        "images": [{"id": image, "width": WIDTH, "height": HEIGHT} for image in sorted(kind_of)],
        "categories": [{"id": PERSON, "name": "person"}, *({"id": k, "name": f"thing {k}"} for k in THINGS)],
        "annotations": annotations,
    }


def vcoco_detections(actions: list[Json], instances: Json, seed: int) -> list[Json]:
    """Detections in the form of V-COCO's code, image by image in any order."""
    generator = np.random.default_rng(seed)
    box_of = {one["id"]: one["bbox"] for one in instances["annotations"]}
    persons: dict[int, list[int]] = defaultdict(list)
    for one in instances["annotations"]:
        if one["category_id"] == PERSON:
            persons[one["image_id"]].append(one["id"])
    does = {}
    for action in actions:
        objects = np.reshape(action["role_object_id"], (len(action["role_name"]), -1)).T.tolist()
        for one, label, others in zip(action["ann_id"], action["label"], objects, strict=True):
            does[action["action_name"], one] = others[1:] if label else None
    found = []
    for image in generator.permutation(sorted(persons)).tolist():
        for one in [*persons[image], *persons[image][:1], 0]:
            entry: Json = {"image_id": image, "person_box": near(box_of.get(one), generator)}
            for action in actions:
                name, roles = action["action_name"], action["role_name"][1:]
                others = does.get((name, one)) or [None] * len(roles)
                bonus = 0.3 * (does.get((name, one)) is not None)
                entry[f"{name}_agent"] = round(float(generator.random()) + bonus, 2)
                for role, other in zip(roles, others, strict=True):
                    box = near(box_of.get(other), generator)
                    if generator.random() < (0.1 if other else 0.5):
                        box = [0.0 if generator.random() < 0.5 else math.nan] * 4
                    entry[f"{name}_{role}"] = [*box, round(float(generator.random()) + bonus, 2)]
            found.append(entry)
    return found


def near(box: list[float] | None, generator: np.random.Generator) -> list[float]:
    """A box (x1, y1, x2, y2) that is near one (x, y, width, height), or anywhere."""
    if box is None or generator.random() < 0.1:
        box = (generator.random(4) * [400, 300, 240, 180] + [0, 0, 1, 1]).tolist()
    x, y, w, h = box
    dx1, dy1, dx2, dy2 = (0.25 * (generator.random(4) - 0.5) * [w, h, w, h]).tolist()
    return [round(v, 2) for v in (x + dx1, y + dy1, x + w - 1 + dx2, y + h - 1 + dy2)]


def hico_annotations(seed: int, images: int) -> Json:
    """Pairs as in HICO-DET's file: 7 classes of 3 objects, of which one class has no pair; an image without pairs."""
    generator = np.random.default_rng(seed)
    annotated = []
    for image in range(images):
        entry: Json = {"boxes_h": [], "boxes_o": [], "hoi": []}
        for _ in range(int(generator.integers(1, 5)) if image else 0):
            entry["boxes_h"].append(near(None, generator))
            entry["boxes_o"].append(near(None, generator))
            entry["hoi"].append(int(generator.integers(6)))
        annotated.append(entry)
    return {
        "annotation": annotated, "filenames": [f"HICO_test2015_{image:08}.jpg" for image in range(1, images + 1)],
        "objects": ["ball", "bat", "cup"], "verbs": ["hold", "kick", "hit"], "rare": [2, 5],
        "correspondence": [[0, 0, 0], [1, 0, 1], [2, 1, 0], [3, 1, 2], [4, 2, 0], [5, 2, 2], [6, 2, 1]],
    }  # fmt: skip


def hico_detections(annotations: Json, seed: int, more: int = 3) -> list[Json]:
    """Detections near true pairs, some twice, some of another class; and more of them anywhere."""
    generator = np.random.default_rng(seed)
    classes = len(annotations["correspondence"])
    found = []
    for image in generator.permutation(len(annotations["filenames"])).tolist():
        entry = annotations["annotation"][image]
        for n in [*range(len(entry["hoi"])), *[0] * bool(entry["hoi"]), *[None] * more]:
            boxes = {}
            for name, key in (("human_box", "boxes_h"), ("object_box", "boxes_o")):
                x1, y1, x2, y2 = near(None, generator) if n is None else entry[key][n]
                boxes[name] = near([x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1], generator)
            is_other = n is None or generator.random() < 0.2
            hoi = int(generator.integers(classes)) if is_other else entry["hoi"][n]
            score = round(float(generator.random()) + 0.3 * (not is_other), 2)
            found.append({"image": annotations["filenames"][image], "hoi": hoi, **boxes, "score": score})
    return found
