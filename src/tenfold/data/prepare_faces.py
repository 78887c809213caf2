"""Prepares faces and their label maps, drawn or read, as one file (see `tenfold.data.faces` for the parts).

The file is a safetensors file: for each split ``train``, ``val``, ``test`` the tensors ``<split>_images`` uint8
(N, H, W, 3) and ``<split>_labels`` uint8 (N, H, W), whose values are positions in `tenfold.data.faces.PARTS`; and
metadata ``faces`` (JSON): ``name`` and ``parts``.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.numpy import save_file

from tenfold.data import faces
from tenfold.data.faces import PARTS, Tensors
from tenfold.errors import UserError
from tenfold.fetch import folder_of
from tenfold.files import canonical_json, sha256
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.registry import dataset as entry_of

KEY = "faces"


@stage
def prepare(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Writes the prepared file of a dataset of faces.

    Args:
        cfg: ``dataset``, as ``registry.cfg_of`` gives it.
        job: what surrounds the run.
        dataset: the prepared file.

    Raises:
        UserError: the pictures are not here or not the known ones, or what was prepared is not what the registry says.
    """
    wanted = cfg["dataset"]
    name, settings = wanted["name"], wanted["prepare"]
    match settings["kind"]:
        case "faces":
            job.say(f"drawing {name}")
            tensors = faces.generate(settings)
        case "celebamask":
            from tenfold.data import celebamask  # only here, with the package that decodes pictures

            tensors = celebamask.read(folder_of(entry_of(name), celebamask.HOLDS), settings, job)
        case _:
            from tenfold.data import helen

            tensors = helen.read(folder_of(entry_of(name), helen.HOLDS), settings, job)
    write(dataset, name, tensors)
    made = sha256(dataset)
    if wanted["sha256"] is None:
        job.say(f"{name}: nobody has recorded a checksum of it; prepared here: sha256 {made}")
    elif made != wanted["sha256"]:
        raise UserError(
            f"{name}: what was prepared has other bytes than recorded (sha256 {made} instead of {wanted['sha256']}); "
            f"after a change on purpose, write the new one into config/datasets.yaml"
        )


def write(path: Path, name: str, tensors: Tensors) -> None:
    """Writes faces: equal content, equal bytes."""
    # One metadata key only: safetensors writes several of them in random order.
    save_file(tensors, path, {KEY: canonical_json({"name": name, "parts": PARTS})})


if __name__ == "__main__":
    main(prepare)
