"""Prepares drawn scenes of persons and objects as one file, and reads it (see `tenfold.data.scenes`).

The file is a safetensors file: for each split the tensors of a `tenfold.data.scenes.Split`, ``<split>_<tensor>``; and
metadata ``scenes`` (JSON): ``name``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from tenfold.data.scenes import SPLITS, Split, generate
from tenfold.errors import UserError
from tenfold.files import canonical_json, sha256
from tenfold.launcher import Cfg, Job, Output, main, stage

KEY = "scenes"


@stage
def prepare(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Draws the scenes of a dataset.

    Args:
        cfg: ``dataset``, as ``registry.cfg_of`` gives it.
        job: what surrounds the run.
        dataset: the prepared file.

    Raises:
        UserError: what was drawn is not what the registry says.
    """
    wanted = cfg["dataset"]
    job.say(f"drawing {wanted['name']}")
    write(dataset, wanted["name"], generate(wanted["prepare"]))
    made = sha256(dataset)
    if made != wanted["sha256"]:
        raise UserError(
            f"{wanted['name']}: what was prepared has other bytes than recorded (sha256 {made} instead of "
            f"{wanted['sha256']}); after a change on purpose, write the new one into config/datasets.yaml"
        )


def write(path: Path, name: str, splits: dict[str, Split]) -> None:
    """Writes scenes: equal content, equal bytes."""
    tensors = {f"{split}_{field}": np.ascontiguousarray(value)
               for split, scenes in splits.items() for field, value in asdict(scenes).items()}  # fmt: skip
    # One metadata key only: safetensors writes several of them in random order.
    save_file(tensors, path, {KEY: canonical_json({"name": name})})


def read(path: Path) -> tuple[str, dict[str, Split]]:
    """The name of a prepared dataset, and its scenes."""
    with safe_open(path, framework="numpy") as file:
        name: str = json.loads(file.metadata()[KEY])["name"]
        names = [field.name for field in fields(Split)]
        return name, {split: Split(*(file.get_tensor(f"{split}_{field}") for field in names)) for split in SPLITS}


if __name__ == "__main__":
    main(prepare)
