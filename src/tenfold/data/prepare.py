"""Prepares a dataset: fetches or draws it, and writes it as one file whose bytes are the same everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from tenfold.data import cifar, shapes
from tenfold.errors import UserError
from tenfold.fetch import fetch
from tenfold.files import canonical_json, sha256
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.registry import dataset as entry_of


@stage
def prepare(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Writes the prepared file of a dataset.

    Args:
        cfg: ``dataset``, as ``registry.cfg_of`` gives it.
        job: what surrounds the run.
        dataset: a safetensors file with ``{train,test}_images`` (N, 3, H, W) and ``{train,test}_labels`` (N,), and
            where the dataset has them ``{train,test}_coarse`` and ``{train,test}_scale`` (N,), all uint8; metadata
            ``name``, ``classes`` and ``coarse_classes`` (JSON lists).

    Raises:
        UserError: the dataset cannot be had, or what was prepared is not what the registry records.
    """
    wanted = cfg["dataset"]
    match wanted["prepare"].get("kind"):
        case "shapes":
            job.say(f"drawing {wanted['name']}")
            tensors, names = shapes.generate(wanted["prepare"])
        case "cifar":
            files = fetch(entry_of(wanted["name"]), job)
            job.say(f"reading {wanted['name']}")
            tensors, names = cifar.read(files, wanted["prepare"], wanted["files"])
        case _:
            fetch(entry_of(wanted["name"]), job)
            raise UserError(f"{wanted['name']}: the files are here and right, but nothing prepares them yet")
    metadata = {"name": wanted["name"]} | {kind: json.dumps(listed) for kind, listed in names.items()}
    write_tensors(dataset, tensors, metadata)
    made = sha256(dataset)
    if made != wanted["sha256"]:
        origin = "generator gives" if wanted["prepare"]["kind"] == "shapes" else "preparation gives"
        raise UserError(
            f"{wanted['name']}: the {origin} other bytes than recorded (sha256 {made} instead of {wanted['sha256']}); "
            f"after a change on purpose, write the new one into config/datasets.yaml"
        )


def write_tensors(path: Path, tensors: dict[str, NDArray[np.uint8]], metadata: dict[str, str]) -> None:
    """Writes a safetensors file whose bytes depend on its content alone.

    The library orders metadata at random, so the header is written anew with sorted keys.
    """
    content = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata)
    length = int.from_bytes(content[:8], "little")
    header = canonical_json(json.loads(content[8 : 8 + length])).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])


if __name__ == "__main__":
    main(prepare)
