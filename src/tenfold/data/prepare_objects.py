"""Prepares pictures with objects, drawn or read, as one file (`tenfold.data.pictures` says what each tensor is).

The file is a safetensors file: for each split ``train`` and ``test`` the tensors ``<split>_images`` uint8
(N, 3, H, W), ``instances`` uint8 (N, H, W), ``counts`` uint8 (N,) and ``units`` float32 (N,) of the pictures, ``boxes``
float32 (M, 4), ``labels`` uint8 (M,), ``areas`` float32 (M,) and ``crowds`` uint8 (M,) of their objects; and metadata
``objects`` (JSON): ``name`` and ``classes``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from safetensors.numpy import save_file

from tenfold.data import objects
from tenfold.data.objects import Tensors
from tenfold.errors import UserError
from tenfold.fetch import folder_of
from tenfold.files import canonical_json, sha256
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.registry import dataset as entry_of

KEY = "objects"


@stage
def prepare(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Writes the prepared file of a dataset of pictures with objects.

    Args:
        cfg: ``dataset``, as ``registry.cfg_of`` gives it.
        job: what surrounds the run.
        dataset: the prepared file.

    Raises:
        UserError: the pictures are not here or not the known ones, or what was prepared is not what the registry says.
    """
    wanted = cfg["dataset"]
    name, settings = wanted["name"], wanted["prepare"]
    if settings["kind"] == "objects":
        job.say(f"drawing {name}")
        tensors, classes = objects.generate(settings)
    else:
        from tenfold.data import coco_pictures  # only here, with the packages that decode pictures and masks

        folder = folder_of(replace(entry_of(name), name=settings["folder"]), coco_pictures.HOLDS)
        tensors, classes = coco_pictures.read(folder, settings, job)
    write(dataset, name, tensors, classes)
    made = sha256(dataset)
    if made != wanted["sha256"]:
        raise UserError(
            f"{name}: what was prepared has other bytes than recorded (sha256 {made} instead of {wanted['sha256']}); "
            f"after a change on purpose, write the new one into config/datasets.yaml"
        )


def write(path: Path, name: str, tensors: Tensors, classes: list[str]) -> None:
    """Writes pictures: equal content, equal bytes."""
    # One metadata key only: safetensors writes several of them in random order.
    save_file(tensors, path, {KEY: canonical_json({"name": name, "classes": classes})})


if __name__ == "__main__":
    main(prepare)
