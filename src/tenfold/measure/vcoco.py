"""V-COCO's average precision of roles and agents, by the rules of ``vsrl_eval.py`` (github.com/s-gupta/v-coco).

A detection is about the true person whose box it overlaps with most, labelled or not; about a person without labels it
does not count at all. It is right about an action if that person does it, both boxes overlap by 0.5 or more, and the
box of the role does so too. Where the person has no annotated object in that role, scenario 1 wants an empty role (a
box of zeros or NaN), scenario 2 takes anything. AP is the area under the precision envelope; persons whose object is
not annotated are to be found too.

Means: over all 25 roles, as the official code prints it, and over 24 without ``point``, as papers report it. Where the
official code stops (an image without any person) a detection is a false alarm here.

As a command it scores a file of detections::

    python -m tenfold.measure.vcoco detections.json --annotations v-coco/data --split test

The file is a JSON list with an object for each detected person, of the keys that the official code knows: ``image_id``,
``person_box`` [x1, y1, x2, y2], for each action ``<action>_agent`` (a score) and for each role ``<action>_<role>``
[x1, y1, x2, y2, score]; four nulls, NaN or zeros are an empty role. A key that is left out of an object is no detection
of that action or role.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold.data.vcoco import PRESENT, SPLITS, UNLABELLED, Annotations, read_annotations
from tenfold.measure.average_precision import all_points, hits, iou
from tenfold.measure.detections_file import Entries, as_command, check_keys, column, read_entries, refuse

SCENARIOS = ("scenario_1", "scenario_2")
OVERLAP = 0.5
LEFT_OUT = "point-instr"  # 21 persons of trainval have an object in it


@dataclass(frozen=True)
class Detections:
    """Detected persons: D detections, A actions, R roles.

    Attributes:
        images: (D,), positions in ``Annotations.image_ids``.
        boxes: (D, 4), of the persons.
        agent_scores: (D, A), NaN where it is no detection of that action.
        role_boxes: (D, R, 4), all NaN or all 0 where the role is empty.
        role_scores: (D, R), NaN where it is no detection of that role.
    """

    images: NDArray[np.int64]
    boxes: NDArray[np.float64]
    agent_scores: NDArray[np.float64]
    role_boxes: NDArray[np.float64]
    role_scores: NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Average precisions between 0 and 1; None where there is nothing to find.

    Attributes:
        role: for each scenario and role, such as ``hold-obj``.
        agent: for each action.
        positives: how many persons do each action.
    """

    role: dict[str, dict[str, float | None]]
    agent: dict[str, float | None]
    positives: dict[str, int]

    def mean_role(self, scenario: str, left_out: str | None = None) -> float | None:
        """The mean over roles; the official one has all, that of papers leaves out `LEFT_OUT`."""
        return _mean([ap for role, ap in self.role[scenario].items() if role != left_out])

    @property
    def mean_agent(self) -> float:
        """The mean over actions, to which one that nobody does adds nothing."""
        return sum(ap or 0.0 for ap in self.agent.values()) / len(self.agent)


def role_names(truth: Annotations) -> list[str]:
    """The names of roles, such as ``hold-obj``."""
    return [f"{truth.actions[action]}-{role}" for action, role in truth.roles]


def evaluate(truth: Annotations, found: Detections) -> Scores:
    """All average precisions of some detections."""
    found = _by_image(found)
    person, overlap = nearest_person(truth, found)
    counts = (person < 0) | (truth.labels[person, 0] != UNLABELLED)
    does = (truth.labels[person] == PRESENT) & (overlap >= OVERLAP)[:, None]
    positives = (truth.labels == PRESENT).sum(axis=0).tolist()

    def ap(scores: NDArray[np.float64], right: NDArray[np.bool_], action: int) -> float | None:
        kept = counts & ~np.isnan(scores)
        if positives[action] == 0:
            return None
        return all_points(hits(scores[kept], person[kept], right[kept]), positives[action])

    role: dict[str, dict[str, float | None]] = {scenario: {} for scenario in SCENARIOS}
    for number, (name, (action, _)) in enumerate(zip(role_names(truth), truth.roles, strict=True)):
        true, boxes = truth.role_boxes[person, number], found.role_boxes[:, number]
        has_none = np.isnan(true).all(axis=1)
        is_empty = np.isnan(boxes).all(axis=1) | (boxes == 0).all(axis=1)
        overlaps = iou(true, boxes) >= OVERLAP
        for scenario, taken in zip(SCENARIOS, (is_empty, True), strict=True):
            right = does[:, action] & np.where(has_none, taken, overlaps)
            role[scenario][name] = ap(found.role_scores[:, number], right, action)
    agent = {name: ap(found.agent_scores[:, n], does[:, n], n) for n, name in enumerate(truth.actions)}
    return Scores(role, agent, dict(zip(truth.actions, positives, strict=True)))


def nearest_person(truth: Annotations, found: Detections) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The true person that each detection overlaps with most, and by how much; -1 and 0 where the image has none.

    Args:
        truth: the persons.
        found: detections, image after image.
    """
    person, overlap = np.full(len(found.images), -1), np.zeros(len(found.images))
    images = np.arange(len(truth.image_ids) + 1)
    true_at, found_at = np.searchsorted(truth.images, images), np.searchsorted(found.images, images)
    for image in np.unique(found.images):
        true, detected = slice(*true_at[image : image + 2]), slice(*found_at[image : image + 2])
        if true.start < true.stop:
            overlaps = iou(found.boxes[detected, None], truth.boxes[true])
            person[detected] = true.start + overlaps.argmax(axis=1)
            overlap[detected] = overlaps.max(axis=1)
    return person, overlap


def detections(entries: Entries, truth: Annotations, source: str = "detections") -> Detections:
    """Takes detections in the official form (see above).

    Args:
        entries: an object for each detected person.
        truth: whose images, actions and roles they are of.
        source: what an error calls them.

    Raises:
        UserError: an image or a key that there is not, a key that no detection has, or a value of another form.
    """
    agents = [f"{action}_agent" for action in truth.actions]
    roles = [f"{truth.actions[action]}_{role}" for action, role in truth.roles]
    check_keys(entries, ["image_id", "person_box", *agents, *roles], source)
    ids = column(entries, "image_id", source)
    images = np.searchsorted(truth.image_ids, ids).clip(max=len(truth.image_ids) - 1)
    refuse(np.not_equal(truth.image_ids[images], ids), source, "its image is not one of the split")
    boxes = column(entries, "person_box", source, length=4)
    refuse(~np.isfinite(boxes).all(axis=1), source, "'person_box' is not finite")
    agent_scores = np.empty((len(entries), len(agents)))
    for number, key in enumerate(agents):
        agent_scores[:, number] = column(entries, key, source, optional=True)
        _refuse_scores(entries, key, agent_scores[:, number], source)
    role_boxes, role_scores = np.empty((len(entries), len(roles), 4)), np.empty((len(entries), len(roles)))
    for number, key in enumerate(roles):
        values = column(entries, key, source, length=5, optional=True)
        role_boxes[:, number], role_scores[:, number] = values[:, :4], values[:, 4]
        _refuse_scores(entries, key, values[:, 4], source)
        whole = np.isfinite(values[:, :4]).all(axis=1) | np.isnan(values[:, :4]).all(axis=1)
        refuse(~whole, source, f"the box of '{key}' is neither finite nor empty")
    return Detections(images, boxes, agent_scores, role_boxes, role_scores)


def table(truth: Annotations, scores: Scores) -> Iterator[str]:
    """What the official code prints, in percent, and the mean that papers report."""
    yield f"{'role':<24}{'scenario 1':>12}{'scenario 2':>12}{'persons':>10}"
    for name, (action, _) in zip(role_names(truth), truth.roles, strict=True):
        aps = "".join(f"{_percent(scores.role[scenario][name]):>12}" for scenario in SCENARIOS)
        yield f"{name:<24}{aps}{scores.positives[truth.actions[action]]:>10}"
    for left_out in (None, LEFT_OUT):
        number = len(truth.roles) - (left_out in role_names(truth))
        means = "".join(f"{_percent(scores.mean_role(scenario, left_out)):>12}" for scenario in SCENARIOS)
        yield f"{f'AP_role, mean of {number}':<24}{means}"
    yield ""
    yield f"{'agent':<24}{'AP':>12}{'persons':>22}"
    for name, ap in scores.agent.items():
        yield f"{name:<24}{_percent(ap):>12}{scores.positives[name]:>22}"
    yield f"{f'AP_agent, mean of {len(scores.agent)}':<24}{_percent(scores.mean_agent):>12}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Scores a file of detections."""
    parser = argparse.ArgumentParser(
        prog="python -m tenfold.measure.vcoco",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("detections", type=Path, help="a JSON file, see above")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FOLDER", help="V-COCO's folder data/")
    parser.add_argument("--split", choices=SPLITS, default="test")
    given = parser.parse_args(arguments)

    def lines() -> Iterator[str]:
        entries = read_entries(given.detections)
        truth = read_annotations(given.annotations, given.split)
        yield from table(truth, evaluate(truth, detections(entries, truth, str(given.detections))))

    return as_command(lines)


def _by_image(found: Detections) -> Detections:
    """Image after image, within an image as given."""
    order = np.argsort(found.images, kind="stable")
    if (order[1:] > order[:-1]).all():
        return found
    return Detections(**{field.name: getattr(found, field.name)[order] for field in fields(found)})


def _refuse_scores(entries: Entries, key: str, scores: NDArray[np.float64], source: str) -> None:
    bad = ~np.isfinite(scores) & np.array([key in entry for entry in entries])
    refuse(bad, source, f"the score of '{key}' is not finite; leave the key out where there is none")


def _percent(ap: float | None) -> str:
    return "-" if ap is None else f"{100 * ap:.2f}"


def _mean(aps: Sequence[float | None]) -> float | None:
    known = [ap for ap in aps if ap is not None]
    return sum(known) / len(known) if known else None


if __name__ == "__main__":
    sys.exit(main())
