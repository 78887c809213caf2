"""Detected persons and objects with their RoI features: what the modules see, should say, and who judges them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from tenfold.data.vcoco import Annotations
from tenfold.measure.average_precision import iou
from tenfold.papers.turbo_hoi.detect import ARRAYS, KEY
from tenfold.papers.turbo_hoi.method import Truth, encode, joint_cells
from tenfold.papers.turbo_hoi.predict import Boxes, Judge
from tenfold.papers.turbo_hoi.scenes import AWAY
from tenfold.training.batches import Batches
from tenfold.weights import Tensors

RIGHT = 0.5  # IoU from which a detected object is the annotated one
AT_ONCE = 50  # images that are asked about
Seen = tuple[Tensor, Tensor, Tensor]  # RoI features of persons and of objects, and which are pairs


@dataclass(frozen=True)
class Detected:
    """Detections of a split, image after image.

    Attributes:
        tensors: as `tenfold.papers.turbo_hoi.detect.detect` writes them.
        facts: names of actions and roles, and COCO's persons with keypoints.
        outputs: action and role of each output, "" where an action has none.
        boxes: of all images; pairs are every person with every object of its image.
        truth: of all persons and pairs.
    """

    tensors: Tensors
    facts: dict[str, Any]
    outputs: list[tuple[str, str]]
    boxes: Boxes
    truth: Truth

    def __len__(self) -> int:
        return len(self.tensors["annotations/image_ids"])

    def part(self, indices: Tensor, device: torch.device) -> tuple[Seen, Boxes, Truth]:
        """Some images: what the modules see, whose boxes they are, and what is true of them."""
        persons, objects = (
            torch.isin(self.tensors[f"{kind}/images"], indices).nonzero()[:, 0] for kind in ("persons", "objects")
        )
        pairs = torch.isin(self.boxes.pairs[:, 0], persons).nonzero()[:, 0]
        own = torch.stack([torch.searchsorted(kept, self.boxes.pairs[pairs, side].contiguous())
                           for side, kept in enumerate((persons, objects))], 1)  # fmt: skip
        boxes = Boxes(own, self.boxes.persons[persons], self.boxes.person_scores[persons],
                      self.boxes.objects[objects], self.boxes.object_scores[objects])  # fmt: skip
        features = (self.tensors[f"{kind}/features"][kept].float().to(device)
                    for kind, kept in (("persons", persons), ("objects", objects)))  # fmt: skip
        truth = Truth(
            self.truth.actions[persons],
            self.truth.pairs[pairs],
            self.truth.targets[persons],
            self.truth.joints[persons],
        )
        return (*features, own.to(device)), boxes, Truth(*(part.to(device) for part in truth))  # type: ignore[return-value]

    def batches(self, batch_size: int, seed: int, device: torch.device) -> Batches:
        """What the modules see, and what they should say, of images in an order of the seed's."""

        def make(indices: Tensor) -> tuple[Seen, Truth]:
            seen, _, truth = self.part(indices, device)
            return seen, truth

        return Batches(len(self), batch_size, make, seed)

    def asked(self, device: torch.device) -> Iterator[tuple[Seen, Boxes]]:
        """All images, some at a time."""
        for some in torch.arange(len(self)).split(AT_ONCE):
            seen, boxes, _ = self.part(some, device)
            yield seen, boxes

    @property
    def people(self) -> tuple[Truth, Tensor, Tensor]:
        """Person after person what is true, where the joints are, and the boxes."""
        return self.truth, self.tensors["truth/joints"], self.boxes.persons

    @property
    def judge(self) -> Judge:
        """Who scores what is said of all images."""
        arrays = {key: self.tensors[f"annotations/{key}"].numpy() for key in ARRAYS}
        roles = [(int(action), str(role)) for action, role in self.facts["roles"]]
        truth = Annotations(**arrays, actions=self.facts["actions"], roles=roles)
        return Judge(
            truth, self.facts["keypoints"], self.outputs, range(17), self.tensors["persons/images"], self.boxes
        )


def read_detected(path: Path, side: int) -> tuple[str, Detected]:
    """The name of the dataset, and a split of it; ``side`` is that of a heat map, in cells."""
    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()[KEY])
        tensors: Tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    of = {kind: tensors[f"{kind}/images"] for kind in ("persons", "objects")}
    pairs = (of["persons"][:, None] == of["objects"]).nonzero()
    boxes = Boxes(
        pairs, *(tensors[f"{kind}/{key}"].float() for kind in ("persons", "objects") for key in ("boxes", "scores"))
    )
    with_role = {action for action, _ in facts["roles"]}
    outputs = [(facts["actions"][action], role) for action, role in facts["roles"]]
    outputs += [(name, "") for action, name in enumerate(facts["actions"]) if action not in with_role]
    truth = truth_of(tensors, facts, outputs, boxes, side)
    return facts["name"], Detected(tensors, facts, outputs, boxes, truth)


def truth_of(tensors: Tensors, facts: dict[str, Any], outputs: list[tuple[str, str]], boxes: Boxes, side: int) -> Truth:
    """What is true of detected persons and pairs, output by output."""
    actions = tensors["truth/actions"][:, [facts["actions"].index(action) for action, _ in outputs]]
    roles = torch.full((*actions.shape, 4), torch.nan)
    roles[:, : len(facts["roles"])] = tensors["truth/roles"].float()
    first, second = boxes.pairs.unbind(1)
    overlaps = iou(boxes.objects[second][:, None].double().numpy(), roles[first].double().numpy())
    right = torch.from_numpy(np.nan_to_num(overlaps) >= RIGHT).float()
    targets = encode(boxes.persons[:, None].expand_as(roles), roles)
    joints = joint_cells(tensors["truth/joints"].nan_to_num(AWAY), boxes.persons, side)
    return Truth(actions, torch.where(actions[first].isnan(), torch.nan, right), targets, joints)
