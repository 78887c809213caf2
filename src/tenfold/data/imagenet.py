"""Indexes ImageNet ILSVRC-2012 inside its official archives: where each JPEG lies, and its class. Nothing is unpacked.

The index is one safetensors file: for each split the offset and length of every JPEG in its archive and its label, in
the order of class and file names; metadata ``imagenet`` (JSON): the classes, and name and length of the archives.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from tenfold.errors import UserError
from tenfold.fetch import MIRROR, RAW, fetch
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.registry import dataset as entry_of

NAME = "imagenet"
ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "test": "ILSVRC2012_img_val.tar"}
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
COLUMNS = ("offset", "length", "label")

Integers = NDArray[np.int64]


@stage
def index(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Writes the index, after the checksums of the archives.

    The labelled validation images are the test set, as everywhere; their labels come from the development kit.

    Raises:
        UserError: an archive is missing or has another checksum; one line that says how to get it.
    """
    files = fetch(entry_of(cfg["dataset"]["name"]), job)
    train, classes = training_places(files[ARCHIVES["train"]], job)
    labels = validation_labels(files[DEVKIT], classes)
    test = validation_places(files[ARCHIVES["test"]], labels)
    tensors = {
        f"{split}_{column}": places[:, i].copy()
        for split, places in (("train", train), ("test", test))
        for i, column in enumerate(COLUMNS)
    }
    archives = {split: {"file": file, "bytes": files[file].stat().st_size} for split, file in ARCHIVES.items()}
    facts = {"name": NAME, "classes": classes, "archives": archives}
    # One metadata key only: safetensors writes several of them in random order.
    dataset.write_bytes(save(tensors, {NAME: json.dumps(facts, sort_keys=True)}))
    job.say(f"{len(train)} training and {len(test)} test images of {len(classes)} classes")


def training_places(path: Path, job: Job) -> tuple[Integers, list[str]]:
    """Offset, length and label (N, 3) of the images in an archive of one archive per class, and the classes' names."""
    places: list[tuple[int, int, int]] = []
    with tarfile.open(path) as outer:
        parts = sorted(outer.getmembers(), key=lambda part: part.name)
        for label, part in enumerate(parts):
            with tarfile.open(fileobj=outer.extractfile(part)) as inner:
                images = sorted(inner.getmembers(), key=lambda image: image.name)
                places += [(part.offset_data + image.offset_data, image.size, label) for image in images]
            if (label + 1) % 100 == 0:
                job.say(f"{label + 1} of {len(parts)} classes")
    return np.array(places, dtype=np.int64), [Path(part.name).stem for part in parts]


def validation_labels(path: Path, classes: list[str]) -> list[int]:
    """The label of each validation image, in the order of their names, from the development kit.

    It numbers classes in an order of its own: its table names each number's WordNet id; entries with children are
    no classes.
    """
    from scipy.io import loadmat  # only here: what trains on photographs does not read the table

    with tarfile.open(path) as kit:
        content = {Path(member.name).name: kit.extractfile(member) for member in kit.getmembers() if member.isfile()}
        truth, table = content["ILSVRC2012_validation_ground_truth.txt"], content["meta.mat"]
        assert truth is not None and table is not None
        numbers = [int(line) for line in truth.read().split()]
        entries = loadmat(io.BytesIO(table.read()), squeeze_me=True)["synsets"]  # type: ignore[arg-type]
    leaves = entries[entries["num_children"] == 0]
    label_of = {int(entry["ILSVRC2012_ID"]): classes.index(str(entry["WNID"])) for entry in leaves}
    return [label_of[number] for number in numbers]


def validation_places(path: Path, labels: list[int]) -> Integers:
    """Offset, length and label (N, 3) of the images in a flat archive."""
    with tarfile.open(path) as tar:
        images = sorted((member for member in tar.getmembers() if member.isfile()), key=lambda image: image.name)
    if len(images) != len(labels):
        raise UserError(f"{path}: {len(images)} images, but the development kit labels {len(labels)}")
    places = [(image.offset_data, image.size, label) for image, label in zip(images, labels, strict=True)]
    return np.array(places, dtype=np.int64)


@dataclass(frozen=True)
class Photos:
    """One split: JPEG files within an archive, and their labels.

    Attributes:
        archive: the archive.
        places: offset, length and label of each image, int64 (N, 3).
    """

    archive: Path
    places: Integers

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, chosen: slice | NDArray[Any]) -> Photos:
        """The images that a slice, an index array or a mask chooses."""
        return Photos(self.archive, self.places[chosen])

    @property
    def labels(self) -> Integers:
        """The labels (N,)."""
        return self.places[:, 2]

    def read(self, number: int) -> bytes:
        """The bytes of one JPEG file."""
        offset, length, _ = self.places[number].tolist()
        file = os.open(self.archive, os.O_RDONLY)
        try:
            return os.pread(file, length, offset)
        finally:
            os.close(file)


@dataclass(frozen=True)
class PhotoData:
    """A dataset of photographs: name, names of the classes in the order of the labels, and both splits."""

    name: str
    classes: list[str]
    train: Photos
    test: Photos


def load(path: Path) -> PhotoData:
    """Reads an index, and finds the archives that it was made of.

    Raises:
        UserError: an archive has gone, or has another length now.
    """
    with safe_open(path, framework="np") as file:
        facts = json.loads(file.metadata()[NAME])
        places = {
            split: np.stack([file.get_tensor(f"{split}_{column}") for column in COLUMNS], axis=1) for split in ARCHIVES
        }
    photos = {split: Photos(_find(**facts["archives"][split]), places[split]) for split in ARCHIVES}
    return PhotoData(facts["name"], facts["classes"], photos["train"], photos["test"])


def _find(file: str, bytes: int) -> Path:  # noqa: A002 (a key of the index)
    folders = [RAW / NAME, *([Path(os.environ[MIRROR])] if os.environ.get(MIRROR) else [])]
    for folder in folders:
        if (folder / file).is_file() and (folder / file).stat().st_size == bytes:
            return folder / file
    looked = " and ".join(map(str, folders))
    raise UserError(
        f"{file} of {bytes} bytes, which the index of ImageNet was made of, is not in {looked}: put it back"
    )


def held_out(photos: Photos, per_class: int) -> tuple[Photos, Photos]:
    """The images without the last ``per_class`` of each class, in the order of their names, and those."""
    last = np.zeros(len(photos), dtype=bool)
    for label in np.unique(photos.labels):
        last[np.flatnonzero(photos.labels == label)[-per_class:]] = True
    return photos[~last], photos[last]


if __name__ == "__main__":
    main(index)
