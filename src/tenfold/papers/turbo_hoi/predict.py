"""From what both modules say to detections in the form of V-COCO and COCO, and what these score by their own rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenfold.data.vcoco import Annotations
from tenfold.measure.coco import average_precision
from tenfold.measure.vcoco import LEFT_OUT, SCENARIOS, Detections, evaluate
from tenfold.papers.turbo_hoi.method import Truth, Turn, agent_scores, encode, joint_places, role_of, triplet_scores

NEAR = 0.1  # [choice] of the width of a person's box, within which a joint is right (PCK)
KEYPOINTS = 17
ENDS = torch.tensor([0, 0, 1, 1])  # V-COCO's boxes end with their last pixel
EMPTY = float("nan")


@dataclass(frozen=True)
class Boxes:
    """Persons and objects, given or detected: N, O, and M pairs of them.

    Attributes:
        pairs: which person with which object, int64 (M, 2).
        persons: boxes (N, 4), left, top, right, bottom in pixels.
        person_scores: (N,); 1 where boxes are given.
        objects: boxes (O, 4).
        object_scores: (O,).
    """

    pairs: Tensor
    persons: Tensor
    person_scores: Tensor
    objects: Tensor
    object_scores: Tensor


@dataclass(frozen=True)
class Said:
    """What is said of N persons, with A outputs and K joints.

    Attributes:
        agents: how likely each does what (N, A).
        objects: the object of each output (N, A), its position among the objects; -1 for none.
        roles: the scores of these (N, A).
        joints: x and y in pixels (N, K, 2).
        certain: how likely each joint is where it is said to be (N, K).
    """

    agents: Tensor
    objects: Tensor
    roles: Tensor
    joints: Tensor
    certain: Tensor

    @classmethod
    def joined(cls, parts: Sequence[tuple[Said, int]]) -> Said:
        """Persons after persons, each part with the number of its objects."""
        names, before, shifted = list(cls.__dataclass_fields__), 0, []
        for part, count in parts:
            objects = torch.where(part.objects < 0, part.objects, part.objects + before)
            shifted.append(cls(part.agents, objects, part.roles, part.joints, part.certain))
            before += count
        return cls(*(torch.cat([getattr(part, name) for part in shifted]) for name in names))


def said_of(turn: Turn, boxes: Boxes) -> Said:
    """One turn's answers."""
    turn = Turn(*(part.float().cpu() for part in turn))
    of_pairs = encode(boxes.persons[boxes.pairs[:, 0]], boxes.objects[boxes.pairs[:, 1]])
    scores = triplet_scores(turn, boxes.pairs, of_pairs, boxes.person_scores, boxes.object_scores)
    found = [role_of(scores, boxes.pairs, person) for person in range(len(boxes.persons))]
    objects, roles = (torch.stack(parts) for parts in zip(*found, strict=True))
    agents = agent_scores(turn, boxes.person_scores)
    return Said(agents, objects, roles, *joint_places(turn.joints, boxes.persons))


@dataclass(frozen=True)
class Judge:
    """Scores what is said of all images of a split.

    Attributes:
        vcoco: what their persons do.
        coco: persons with their keypoints.
        outputs: action and role of each output, the role "" where the action has none.
        keypoints: the place of each joint among COCO's 17.
        images: of which image each of N persons is, its position.
        boxes: of all images.
        joints: where the joints of these very persons are (N, K, 2), not a number where nobody says it; None where
            persons are detected.
        seen: which of them are visible (N, K).
    """

    vcoco: Annotations
    coco: dict[str, Any]
    outputs: Sequence[tuple[str, str]]
    keypoints: Sequence[int]
    images: Tensor
    boxes: Boxes
    joints: Tensor | None = None
    seen: Tensor | None = None

    def hoi(self, said: Said) -> dict[str, Any]:
        """``hoi``: AP_role in both scenarios, without `point` (24 roles of V-COCO) and with it; ``roles``: of each."""
        truth, outputs = self.vcoco, list(self.outputs)
        roles = [outputs.index((truth.actions[action], role)) for action, role in truth.roles]
        agents = [next(n for n, output in enumerate(outputs) if output[0] == action) for action in truth.actions]
        chosen = said.objects[:, roles]
        role_boxes = torch.where((chosen >= 0)[..., None], (self.boxes.objects - ENDS)[chosen], EMPTY)
        scores = evaluate(truth, Detections(
            images=self.images.numpy(),
            boxes=(self.boxes.persons - ENDS).double().numpy(),
            agent_scores=said.agents[:, agents].double().numpy(),
            role_boxes=role_boxes.double().numpy(),
            role_scores=said.roles[:, roles].double().numpy(),
        ))  # fmt: skip
        means = {f"role_{number}{name}": scores.mean_role(scenario, left_out)
                 for number, scenario in enumerate(SCENARIOS, 1)
                 for name, left_out in (("", LEFT_OUT), ("_all", None))}  # fmt: skip
        of_roles = {role: {scenario: scores.role[scenario][role] for scenario in SCENARIOS}
                    for role in scores.role[SCENARIOS[0]]}  # fmt: skip
        return {"hoi": means | {"agent": scores.mean_agent}, "roles": of_roles}

    def pose(self, said: Said) -> dict[str, Any]:
        """``pose``: COCO's keypoint AP; of given persons how many joints are near (PCK), hidden or seen."""
        keypoints = np.zeros((len(said.joints), KEYPOINTS, 3))
        keypoints[:, list(self.keypoints), :2] = said.joints.double().numpy()
        keypoints[:, list(self.keypoints), 2] = 1
        ids = self.vcoco.image_ids[self.images.numpy()].tolist()
        sure = (self.boxes.person_scores * said.certain.mean(1)).tolist()
        people = [one for one in self.coco["annotations"] if "keypoints" in one]
        (person,) = {one["category_id"] for one in people}
        ap = average_precision({**self.coco, "annotations": people}, [
            {"image_id": image, "category_id": person, "keypoints": flat, "score": score}
            for image, flat, score in zip(ids, keypoints.reshape(-1, 3 * KEYPOINTS).tolist(), sure, strict=True)
        ], "keypoints")  # fmt: skip
        found: dict[str, Any] = {"ap": ap["ap"], "ap50": ap["ap50"]}
        if self.joints is not None and self.seen is not None:
            width = (self.boxes.persons[:, 2] - self.boxes.persons[:, 0])[:, None]
            near, known = (said.joints - self.joints).norm(dim=2) <= NEAR * width, ~self.joints.isnan().any(2)
            of = {"pck": known, "pck_hidden": known & ~self.seen, "pck_seen": known & self.seen}
            shares = {name: near[chosen] for name, chosen in of.items()}
            found |= {name: share(right) for name, right in shares.items()}
        return {"pose": found}

    def both(self, said: Said, tasks: Sequence[str]) -> dict[str, Any]:
        """What the answers to these tasks score."""
        of = {"hoi": self.hoi, "pose": self.pose}
        return {name: scores for task in tasks for name, scores in of[task](said).items()}


def share(right: Tensor) -> float | None:
    """How many are right, in [0, 1]; None of none."""
    return float(right.double().mean()) if len(right) else None


def trivial(truth: Truth, joints: Tensor, persons: Tensor, asked: Boxes) -> Said:
    """What is said without a look: how often persons act so, the nearest object, and the mean pose in the box.

    Args:
        truth: of the persons that are known, (N, ...).
        joints: theirs, (N, K, 2) in pixels; not a number where they are not known.
        persons: their boxes (N, 4).
        asked: who is asked about.
    """
    n = len(asked.persons)
    often = truth.actions.nanmean(0).expand(n, -1)
    middles = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (asked.persons, asked.objects)]
    first, second = asked.pairs.unbind(1)
    away = torch.full((n, len(asked.objects) + 1), torch.inf)  # the last one for who has none
    away[first, second] = (middles[0][first] - middles[1][second]).norm(dim=1)
    nearest = torch.where(away.amin(1) < torch.inf, away.argmin(1), -1)
    size = (persons[:, 2:] - persons[:, :2])[:, None]
    mean = ((joints - persons[:, None, :2]) / size).nanmean(0)
    places = asked.persons[:, None, :2] + mean * (asked.persons[:, 2:] - asked.persons[:, :2])[:, None]
    return Said(often, nearest[:, None].expand_as(often), often, places, torch.ones(places.shape[:2]))
