"""Indexes COCO 2017 inside its official archives: which pictures there are, and which objects. Nothing is unpacked.

The index is one safetensors file: for each split ``train`` and ``test`` (which is val2017) the numbers of the pictures
(``ids``) and their ``sizes`` (height, width), ``counts`` of their objects, of all objects ``boxes``, ``labels``,
``areas`` and ``crowds`` as in `tenfold.data.pictures`, and their outlines: ``polygons`` (how many an object has),
``corners`` (how many a polygon has) and ``points``; metadata ``coco`` (JSON): the classes, and the archives' lengths.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as masks
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

from tenfold.data.objects import Tensors
from tenfold.data.pictures import Objects, PictureData
from tenfold.errors import UserError
from tenfold.fetch import MIRROR, RAW, fetch
from tenfold.files import canonical_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.registry import dataset as entry_of

NAME, KEY = "coco-2017", "coco"
ANNOTATIONS = "annotations_trainval2017.zip"
PARTS = {"train": "train2017", "test": "val2017"}


@stage
def index(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Writes the index, after the checksums of the archives.

    Raises:
        UserError: an archive is missing or has another checksum; one line that says how to get it.
    """
    files = fetch(entry_of(cfg["dataset"]["name"]), job)
    tensors: Tensors = {}
    classes: list[str] = []
    with zipfile.ZipFile(files[ANNOTATIONS]) as archive:
        for split, part in PARTS.items():
            job.say(f"reading what is in the pictures of {part}")
            content = json.loads(archive.read(f"annotations/instances_{part}.json"))
            found, classes = of_split(content, learned=split == "train")
            tensors |= {f"{split}_{name}": values for name, values in found.items()}
            job.say(f"{len(found['ids'])} pictures, {len(found['boxes'])} objects of {len(classes)} classes")
    lengths = {part: files[f"{part}.zip"].stat().st_size for part in PARTS.values()}
    save_file(tensors, dataset, {KEY: canonical_json({"name": NAME, "classes": classes, "bytes": lengths})})


def of_split(content: dict[str, Any], *, learned: bool) -> tuple[Tensors, list[str]]:
    """The tensors of one file of annotations, and the names of the classes.

    Args:
        content: of the file.
        learned: leave out pictures without objects to learn, as the paper's code does.
    """
    categories = sorted(content["categories"], key=lambda one: one["id"])
    label_of = {one["id"]: label for label, one in enumerate(categories, 1)}
    by_picture: dict[int, list[dict[str, Any]]] = {one["id"]: [] for one in content["images"]}
    for one in sorted(content["annotations"], key=lambda one: one["id"]):
        if min(one["bbox"][2:]) > 0:
            by_picture[one["image_id"]].append(one)
    pictures = [
        one for one in sorted(content["images"], key=lambda one: one["id"])
        if not learned or any(not each["iscrowd"] for each in by_picture[one["id"]])
    ]  # fmt: skip
    objects = [each for one in pictures for each in by_picture[one["id"]]]
    outlines = [[] if one["iscrowd"] else one["segmentation"] for one in objects]
    x, y, width, height = np.array([one["bbox"] for one in objects], np.float32).reshape(-1, 4).T
    points = [value for outline in outlines for polygon in outline for value in polygon]
    return {
        "ids": np.array([one["id"] for one in pictures], np.int64),
        "sizes": np.array([[one["height"], one["width"]] for one in pictures], np.int64),
        "counts": np.array([len(by_picture[one["id"]]) for one in pictures], np.int64),
        "boxes": np.stack([x, y, x + width, y + height], 1),
        "labels": np.array([label_of[one["category_id"]] for one in objects], np.uint8),
        "areas": np.array([one["area"] for one in objects], np.float32),
        "crowds": np.array([one["iscrowd"] for one in objects], np.uint8),
        "polygons": np.array([len(outline) for outline in outlines], np.int64),
        "corners": np.array([len(polygon) // 2 for outline in outlines for polygon in outline], np.int64),
        "points": np.array(points, np.float32).reshape(-1, 2),
    }, [one["name"] for one in categories]


@dataclass(frozen=True)
class Archived(Objects):
    """Pictures in an archive, in their own sizes, decoded as they are needed, and their objects.

    Attributes:
        archive: the archive.
        part: the folder in it.
        ids: numbers of the pictures, int64 (N,).
        sizes: height and width, int64 (N, 2).
        polygons: where those of each object begin, and end at last, (M + 1,).
        corners: where the points of each polygon begin, and end at last.
        points: x and y, float32 (P, 2).
    """

    archive: Path
    part: str
    ids: Tensor
    sizes: Tensor
    polygons: Tensor
    corners: Tensor
    points: Tensor

    @cached_property
    def opened(self) -> zipfile.ZipFile:
        """The archive, whose table of contents is read once."""
        return zipfile.ZipFile(self.archive)

    def image(self, number: int) -> Tensor:
        """See `Objects.image`."""
        content = self.opened.read(f"{self.part}/{int(self.ids[number]):012d}.jpg")
        with Image.open(io.BytesIO(content)) as file:
            return torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)

    def masks(self, number: int, there: Tensor) -> Tensor:
        """Whole objects, also where they overlap."""
        height, width = self.sizes[number].tolist()
        found = [np.zeros((0, height, width), np.uint8)]
        for one in there.tolist():
            spans = pairwise(self.corners[self.polygons[one] : self.polygons[one + 1] + 1].tolist())
            polygons = [self.points[start:end].double().flatten().tolist() for start, end in spans]
            found.append(masks.decode(masks.merge(masks.frPyObjects(polygons, height, width)))[None])
        return torch.from_numpy(np.concatenate(found))


def load(path: Path) -> PictureData[Archived]:
    """Reads an index, and finds the archives that it was made of.

    Raises:
        UserError: an archive has gone, or has another length now.
    """
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()[KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    splits = []
    for split, part in PARTS.items():
        of = {name.removeprefix(f"{split}_"): tensor for name, tensor in tensors.items() if name.startswith(split)}
        splits.append(Archived(
            **{name: of[name] for name in ("boxes", "areas", "ids", "sizes", "points")},
            **{name: torch.cat([torch.zeros(1, dtype=torch.int64), of[name].cumsum(0)])
               for name in ("polygons", "corners")},
            ends=of["counts"].cumsum(0),
            labels=of["labels"].long(),
            crowds=of["crowds"].bool(),
            units=torch.ones(len(of["ids"])),
            archive=_find(f"{part}.zip", facts["bytes"][part]),
            part=part,
        ))  # fmt: skip
    return PictureData(facts["name"], facts["classes"], *splits)


def _find(file: str, length: int) -> Path:
    folders = [RAW / NAME, *([Path(os.environ[MIRROR])] if os.environ.get(MIRROR) else [])]
    for folder in folders:
        if (folder / file).is_file() and (folder / file).stat().st_size == length:
            return folder / file
    looked = " and ".join(map(str, folders))
    raise UserError(f"{file} of {length} bytes, which the index of COCO was made of, is not in {looked}: put it back")


if __name__ == "__main__":
    main(index)
