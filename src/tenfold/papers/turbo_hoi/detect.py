"""Detects persons and objects in the photographs of V-COCO, and keeps RoI features of them: for the edition full.

Persons and features are Keypoint R-CNN's, objects Faster R-CNN's, both with a ResNet-50 and FPN, as torchvision has
them; their weights are brought. Published weights were trained on COCO's train2017, which has most images that V-COCO
tests on: scores then profit from a leak. Weights that were trained on train2014 alone do not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn, keypointrcnn_resnet50_fpn
from torchvision.transforms.functional import to_tensor

from tenfold.data.vcoco import PRESENT, UNLABELLED, Annotations, read_annotations
from tenfold.errors import UserError
from tenfold.fetch import folder_of
from tenfold.files import canonical_json, sha256
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.measure.average_precision import iou
from tenfold.registry import dataset as entry_of
from tenfold.training.compute import start
from tenfold.weights import Tensors

KEY = "detected"
KINDS = {"persons": (keypointrcnn_resnet50_fpn, 2), "objects": (fasterrcnn_resnet50_fpn, 91)}  # and their classes
PERSON = 1  # of COCO's categories
MATCHED = 0.5  # IoU from which a detected person is a true one, as in V-COCO's evaluation
HASH = re.compile(r"-([0-9a-f]{8})\.pth$")
TOLD_EVERY = 100  # images between two lines of progress


@stage
def detect(cfg: Cfg, job: Job, *, detected: Output) -> None:
    """Looks at all images of a split.

    Args:
        cfg: ``data``; ``split``; ``weights``: the files of ``persons`` and ``objects``, whose names end with the first
            eight digits of their SHA-256; ``score``: from which on a box counts, ``most``: of how many an image.
        job: what surrounds the run.
        detected: features of ``persons`` (N, 256, 14, 14) and ``objects`` (O, 256, 7, 7), float16; their ``boxes``,
            ``scores`` and ``images``; of persons also the ``truth`` (see `truth_of`); and the annotations, as JSON.

    Raises:
        UserError: images, annotations or weights are not here.
    """
    compute = start(cfg["compute"], job)
    folder = folder_of(entry_of(cfg["data"]["name"]), "vcoco/*.json")
    truth = read_annotations(folder, cfg["split"])
    keypoints = read_keypoints(folder, set(truth.image_ids.tolist()))
    nets = {kind: compute.place(detector(folder / "weights" / name, kind)) for kind, name in cfg["weights"].items()}
    found: list[Tensors] = []
    for position, path in enumerate(photographs(folder, truth.image_ids.tolist())):
        if position % TOLD_EVERY == 0:
            job.say(f"{position} of {len(truth.image_ids)} images")
        found.append(look(nets, to_tensor(Image.open(path).convert("RGB")).to(compute.device), cfg, position))
    tensors = {name: torch.cat([one[name] for one in found]) for name in found[0]}
    persons = {key: tensors[f"persons/{key}"] for key in ("images", "boxes")}
    tensors |= truth_of(truth, keypoints, persons["images"], persons["boxes"])
    tensors |= {f"annotations/{key}": torch.from_numpy(getattr(truth, key)) for key in ARRAYS}
    said = {"name": cfg["data"]["name"], "actions": truth.actions, "roles": truth.roles, "keypoints": keypoints}
    # One metadata key only: safetensors writes several of them in random order.
    save_file(tensors, detected, {KEY: canonical_json(said)})


ARRAYS = ("image_ids", "images", "boxes", "labels", "role_boxes")


def detector(path: Path, kind: str) -> nn.Module:
    """A net of torchvision with weights that were brought.

    Raises:
        UserError: they are not there, or not those that their name says.
    """
    build, classes = KINDS[kind]
    wanted = HASH.search(path.name)
    if not path.is_file():
        raise UserError(f"{path}: no such file; it needs weights of torchvision's {build.__name__} (a state_dict)")
    if wanted is None or not sha256(path).startswith(wanted[1]):
        raise UserError(f"{path}: its name must end with -<first eight digits of its SHA-256>.pth, and does not")
    net = build(weights=None, weights_backbone=None, num_classes=classes)
    try:
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise UserError(f"{path}: not weights of torchvision's {build.__name__} ({type(error).__name__})") from None
    return net.eval()


def photographs(folder: Path, ids: list[int]) -> Iterator[Path]:
    """The files of images, in this order.

    Raises:
        UserError: one is missing.
    """
    for number in ids:
        paths = [folder / part / f"COCO_{part}_{number:012}.jpg" for part in ("train2014", "val2014")]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise UserError(f"{paths[0]}: no such file, nor in val2014; the images of COCO 2014 are needed")
        yield path


@torch.no_grad()
def look(nets: dict[str, nn.Module], image: Tensor, cfg: Cfg, position: int) -> Tensors:
    """What is found in one image (3, H, W), in [0, 1], with its RoI features."""
    boxes, scores = {}, {}
    for kind, finds in nets.items():
        (said,) = finds([image])
        kept = (said["scores"] >= cfg["score"]) & ((said["labels"] == PERSON) == (kind == "persons"))
        boxes[kind], scores[kind] = (said[key][kept][: cfg["most"]] for key in ("boxes", "scores"))
    net: Any = nets["persons"]
    batch, _ = net.transform([image])
    maps, (size,) = net.backbone(batch.tensors), batch.image_sizes
    scale = torch.tensor([size[1] / image.shape[2], size[0] / image.shape[1]], device=image.device).repeat(2)
    pools = {"persons": net.roi_heads.keypoint_roi_pool, "objects": net.roi_heads.box_roi_pool}
    found: Tensors = {}
    for kind, pool in pools.items():
        found[f"{kind}/features"] = pool(maps, [boxes[kind] * scale], [size]).half().cpu()
        found[f"{kind}/boxes"], found[f"{kind}/scores"] = boxes[kind].cpu(), scores[kind].cpu()
        found[f"{kind}/images"] = torch.full((len(boxes[kind]),), position)
    return found


def read_keypoints(folder: Path, ids: set[int]) -> dict[str, Any]:
    """COCO's persons with keypoints, of these images.

    Raises:
        UserError: the annotations are not here.
    """
    whole: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for part in ("train2014", "val2014"):
        path = folder / "annotations" / f"person_keypoints_{part}.json"
        if not path.is_file():
            raise UserError(f"{path}: no such file; annotations_trainval2014.zip of COCO has it")
        content = json.loads(path.read_text(encoding="utf-8"))
        whole["categories"] = content["categories"]
        whole["images"] += [{"id": one["id"]} for one in content["images"] if one["id"] in ids]
        wanted = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "keypoints", "num_keypoints")
        whole["annotations"] += [
            {key: one[key] for key in wanted} for one in content["annotations"] if one["image_id"] in ids
        ]
    return whole


def truth_of(truth: Annotations, keypoints: dict[str, Any], images: Tensor, boxes: Tensor) -> Tensors:
    """What is true of detected persons: that of the annotated one whose box is nearest, where that is near enough.

    Returns:
        ``truth/actions`` (N, actions), 1 and 0, not a number where nothing is known; ``truth/roles`` (N, roles, 4), the
        box of each role, not a number where there is none; ``truth/joints`` (N, 17, 2) in pixels, likewise.
    """
    found: Tensors = {
        "truth/actions": torch.full((len(boxes), len(truth.actions)), torch.nan),
        "truth/roles": torch.full((len(boxes), len(truth.roles), 4), torch.nan),
        "truth/joints": torch.full((len(boxes), 17, 2), torch.nan),
    }
    people: dict[int, list[dict[str, Any]]] = {}
    for one in keypoints["annotations"]:
        if one["num_keypoints"] and not one["iscrowd"]:
            people.setdefault(one["image_id"], []).append(one)
    for n, (image, box) in enumerate(zip(images.tolist(), boxes.double().numpy(), strict=True)):
        own = (truth.images == image).nonzero()[0]
        overlaps = iou(box, truth.boxes[own])
        if len(own) and overlaps.max() >= MATCHED and truth.labels[own[overlaps.argmax()], 0] != UNLABELLED:
            person = own[overlaps.argmax()]
            found["truth/actions"][n] = torch.from_numpy(truth.labels[person] == PRESENT).float()
            found["truth/roles"][n] = torch.from_numpy(truth.role_boxes[person])
        known = people.get(int(truth.image_ids[image]), [])
        corners = torch.tensor([one["bbox"] for one in known], dtype=torch.float64).reshape(-1, 4).numpy()
        corners[:, 2:] += corners[:, :2]
        overlaps = iou(box, corners)
        if known and overlaps.max() >= MATCHED:
            places = torch.tensor(known[int(overlaps.argmax())]["keypoints"]).view(17, 3).float()
            found["truth/joints"][n] = torch.where(places[:, 2:] > 0, places[:, :2], torch.nan)
    return found


if __name__ == "__main__":
    main(detect)
