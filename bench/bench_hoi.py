"""Times the evaluator of V-COCO on one core: as many images and detections as its test set has, against a plain loop.

4,946 images, 100 detected persons in each, scored for all 26 actions and 25 roles in both scenarios; annotations and
detections are made up. The loop goes through detections one by one, as the official code does, without its search
through all detections for each image; it is timed on fewer images, of the same kind. CPU seconds of this process.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tenfold.data.vcoco import PRESENT, UNLABELLED, Annotations
from tenfold.measure.vcoco import OVERLAP, Detections, evaluate

IMAGES, DETECTIONS, PERSONS = 4946, 100, 4
ACTIONS = 26
ROLES = [(action, role) for action in range(22) for role in (["instr", "obj"] if action < 3 else ["obj"])]
LOOPED = 25  # images that the loop is timed on
TARGET = 60  # CPU seconds


def main() -> None:
    """Prints CPU seconds for each million of scores and their ratio."""
    truth, found = made_up(IMAGES)
    seconds = timed(lambda: evaluate(truth, found))
    scores = IMAGES * DETECTIONS * (ACTIONS + 2 * len(ROLES)) / 1e6
    print(f"{IMAGES} images, {DETECTIONS} detections each: {seconds:.1f} CPU-s   target <= {TARGET}")
    print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")
    few = made_up(LOOPED)
    of_loop = timed(lambda: loop(*few)) * IMAGES / LOOPED
    print(f"evaluate   {seconds / scores:>8.2f} CPU-s a million of scores")
    print(f"plain loop {of_loop / scores:>8.2f}   {of_loop / seconds:.0f} x")


def made_up(images: int) -> tuple[Annotations, Detections]:
    """Persons with boxes anywhere, and detections near them."""
    generator = np.random.default_rng(0)
    persons, number = images * PERSONS, images * DETECTIONS

    def boxes(*shape: int) -> NDArray[np.float64]:
        corner = generator.random((*shape, 2)) * 400
        return np.concatenate([corner, corner + 20 + generator.random((*shape, 2)) * 200], axis=-1)

    labels = np.where(generator.random((persons, ACTIONS)) < 0.1, PRESENT, 0).astype(np.int8)
    labels[generator.random(persons) < 0.2] = UNLABELLED
    truth = Annotations(
        image_ids=np.arange(images),
        actions=[f"action {n}" for n in range(ACTIONS)],
        roles=ROLES,
        images=np.repeat(np.arange(images), PERSONS),
        boxes=boxes(persons),
        labels=labels,
        role_boxes=np.where(generator.random((persons, len(ROLES), 1)) < 0.7, boxes(persons, len(ROLES)), np.nan),
    )
    person = np.repeat(np.arange(images), DETECTIONS) * PERSONS + generator.integers(0, PERSONS, number)
    role_boxes = truth.role_boxes[person] + generator.normal(0, 10, (number, len(ROLES), 4))
    return truth, Detections(
        images=person // PERSONS,
        boxes=truth.boxes[person] + generator.normal(0, 20, (number, 4)),
        agent_scores=generator.random((number, ACTIONS)),
        role_boxes=role_boxes,
        role_scores=generator.random((number, len(ROLES))),
    )


def timed(run: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    started = time.process_time()
    run()
    return time.process_time() - started


def loop(truth: Annotations, found: Detections) -> list[list[tuple[float, bool]]]:
    """Scores and hits of all actions and of all roles in both scenarios, detection by detection."""
    of_all = []
    columns = [(action, None, False) for action in range(len(truth.actions))]
    columns += [(action, role, strict) for role, (action, _) in enumerate(truth.roles) for strict in (True, False)]
    for action, role, strict in columns:
        events = []
        for image in range(len(truth.image_ids)):
            persons, here = np.nonzero(truth.images == image)[0], np.nonzero(found.images == image)[0]
            scores = found.agent_scores[here, action] if role is None else found.role_scores[here, role]
            taken = set()
            order = np.argsort(-scores, kind="stable")
            for one, score in zip(here[order], scores[order], strict=True):
                overlaps = overlap(truth.boxes[persons], found.boxes[one])
                person = persons[overlaps.argmax()]
                if truth.labels[person, 0] == UNLABELLED:
                    continue
                right = overlaps.max() >= OVERLAP and truth.labels[person, action] == PRESENT
                if role is not None:
                    true, box = truth.role_boxes[person, role], found.role_boxes[one, role]
                    if np.isnan(true).all():
                        right = right and (not strict or np.isnan(box).all() or (box == 0).all())
                    else:
                        right = right and overlap(true[None], box)[0] >= OVERLAP
                hit = right and person not in taken
                if hit:
                    taken.add(person)
                events.append((score, hit))
        of_all.append(sorted(events, key=lambda event: -event[0]))
    return of_all


def overlap(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes (N, 4) with one."""
    width = np.maximum(np.minimum(boxes[:, 2], box[2]) - np.maximum(boxes[:, 0], box[0]) + 1, 0)
    height = np.maximum(np.minimum(boxes[:, 3], box[3]) - np.maximum(boxes[:, 1], box[1]) + 1, 0)
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    return width * height / (areas + (box[2] - box[0] + 1) * (box[3] - box[1] + 1) - width * height)


if __name__ == "__main__":
    main()
