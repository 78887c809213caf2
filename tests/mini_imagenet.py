"""A made-up ImageNet for tests: three classes of small JPEGs, in archives laid out as the official ones."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from tenfold.registry import Archive, Dataset

CLASSES = ["n01440764", "n01443537", "n02105855"]
NUMBERS = {"n01440764": 2, "n01443537": 3, "n02105855": 1}  # the development kit's own order
PER_CLASS = {"n01440764": 9, "n01443537": 7, "n02105855": 8}
VALIDATION = ["n02105855", "n01440764", "n01443537", "n01440764", "n02105855", "n01443537"]


def photo(label: int, number: int, kind: str = "JPEG") -> bytes:
    """A photograph of noise, the brighter the higher its class, no two of one size; one is grey, one a PNG."""
    draw = np.random.default_rng([label, number])
    height, width = 40 + 3 * number, 70 - 4 * label - number
    pixels = (draw.integers(0, 100, (height, width, 3)) + 60 * label).astype(np.uint8)
    image = Image.fromarray(pixels if number else pixels[..., 0])
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def tar_of(files: dict[str, bytes], mode: str = "w") -> bytes:
    """An archive of files, in the order given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def training_files(wnid: str) -> dict[str, bytes]:
    """The images of a class by name, not in the order of their names."""
    label = CLASSES.index(wnid)
    names = {f"{wnid}_{17 * number + 3:05d}.JPEG": number for number in reversed(range(PER_CLASS[wnid]))}
    return {
        name: photo(label, number, "PNG" if (wnid, number) == ("n02105855", 4) else "JPEG")
        for name, number in names.items()
    }


def validation_files() -> dict[str, bytes]:
    """The validation images by name."""
    return {f"ILSVRC2012_val_{i + 1:08d}.JPEG": photo(CLASSES.index(wnid), 20 + i) for i, wnid in enumerate(VALIDATION)}


def development_kit() -> bytes:
    """The kit's table of classes, with one entry that has children and is no class, and the labels of validation."""
    rows = [(NUMBERS[wnid], wnid, 0) for wnid in sorted(CLASSES, key=lambda wnid: NUMBERS[wnid])] + [(4, "n00001", 2)]
    table = np.array(rows, dtype=[("ILSVRC2012_ID", object), ("WNID", object), ("num_children", object)])
    buffer = io.BytesIO()
    savemat(buffer, {"synsets": table.reshape(-1, 1)})
    truth = "".join(f"{NUMBERS[wnid]}\n" for wnid in VALIDATION)
    folder = "ILSVRC2012_devkit_t12/data"
    files = {
        f"{folder}/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
        f"{folder}/meta.mat": buffer.getvalue(),
    }
    return tar_of(files, "w:gz")


def write(folder: Path) -> Dataset:
    """Writes the archives into a folder and gives the registry's entry for them."""
    files = {
        "ILSVRC2012_img_train.tar": tar_of({f"{wnid}.tar": tar_of(training_files(wnid)) for wnid in reversed(CLASSES)}),
        "ILSVRC2012_img_val.tar": tar_of(validation_files()),
        "ILSVRC2012_devkit_t12.tar.gz": development_kit(),
    }
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    archives = [
        Archive(name, hashlib.md5(content, usedforsecurity=False).hexdigest()) for name, content in files.items()
    ]
    return Dataset("imagenet", "a made-up ImageNet", "none", redistribute=False, archives=archives)
