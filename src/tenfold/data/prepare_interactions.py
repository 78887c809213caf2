"""Prepares annotations of human-object interactions, and photographs with persons, as one file.

The file is a safetensors file whose tensors are named ``<split>_<tensor>``, and metadata ``interactions`` (JSON) with
``name`` and, split by split, what is no tensor: for pairs (see `tenfold.data.vcoco.Pairs` and
`tenfold.data.hicodet.Pairs`) lists of names; for photographs (see `tenfold.data.coco`) COCO's annotations. Of V-COCO
there is also ``counts``: for each split with labels `tenfold.data.vcoco.role_counts`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from tenfold.data import coco, hicodet, vcoco
from tenfold.data.json_files import read_published
from tenfold.errors import UserError
from tenfold.fetch import folder_of
from tenfold.files import canonical_json, sha256
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.registry import dataset as entry_of

KEY = "interactions"
AnyPairs = vcoco.Pairs | hicodet.Pairs
READERS: dict[str, tuple[str, Callable[[Any], AnyPairs]]] = {  # publisher, and what takes the content of its files
    "vcoco-pairs": ("https://github.com/fredzzhang/vcoco", vcoco.pairs),
    "hicodet": ("https://github.com/fredzzhang/hicodet", hicodet.pairs),
}
P = TypeVar("P", vcoco.Pairs, hicodet.Pairs)
Tensors = dict[str, NDArray[Any]]


@stage
def prepare(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Writes the prepared file of a dataset.

    Args:
        cfg: ``dataset``, as ``registry.cfg_of`` gives it.
        job: what surrounds the run.
        dataset: the prepared file.

    Raises:
        UserError: the files are not here or not the known ones, or what was prepared is not what the registry says.
    """
    wanted = cfg["dataset"]
    name, settings = wanted["name"], wanted["prepare"]
    files = settings["files"]
    folder = folder_of(replace(entry_of(name), name=settings.get("folder", name)), next(iter(files)))
    job.say(f"reading {folder}")
    for file, known in files.items():
        check(folder / file, known)
    if settings["kind"] == "coco":
        tensors, facts = coco.read(folder, settings["splits"], settings["canvas"], settings["content"])
    else:
        publisher, take = READERS[settings["kind"]]
        tensors, facts = apart(
            {split: read_published(folder / file, publisher, take) for split, file in settings["splits"].items()}
        )
    counts = {
        split: read_published(folder / file, vcoco.PUBLISHER, vcoco.role_counts)
        for split, file in settings.get("labels", {}).items()
    }
    # One metadata key only: safetensors writes several of them in random order.
    save_file(tensors, dataset, {KEY: canonical_json({"name": name, "splits": facts, "counts": counts})})
    if (made := sha256(dataset)) != wanted["sha256"]:
        raise UserError(
            f"{name}: what was prepared has other bytes than recorded (sha256 {made} instead of {wanted['sha256']}); "
            f"after a change on purpose, write the new one into config/datasets.yaml"
        )


def check(path: Path, known: str) -> None:
    """Refuses a file that is missing or has another SHA-256.

    Raises:
        UserError: which, and what it should be.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file (sha256 {known})")
    if (found := sha256(path)) != known:
        raise UserError(f"{path}: sha256 {found} instead of {known}, as config/datasets.yaml has it")


def apart(splits: Mapping[str, AnyPairs]) -> tuple[Tensors, dict[str, Any]]:
    """Tensors of pairs, and what is none, by split."""
    tensors: Tensors = {}
    facts: dict[str, Any] = {split: {} for split in splits}
    for split, pairs in splits.items():
        for name, value in asdict(pairs).items():
            if isinstance(value, np.ndarray):
                tensors[f"{split}_{name}"] = value
            else:
                facts[split][name] = value
    return tensors, facts


def read_pairs(path: Path, kind: type[P]) -> dict[str, P]:
    """The pairs of a prepared file, by split."""
    names = [field.name for field in fields(kind)]
    with safe_open(path, framework="numpy") as file:
        return {
            split: kind(**known, **{name: file.get_tensor(f"{split}_{name}") for name in names if name not in known})
            for split, known in json.loads(file.metadata()[KEY])["splits"].items()
        }


def read_counts(path: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """For each split with labels its `tenfold.data.vcoco.role_counts`."""
    with safe_open(path, framework="numpy") as file:
        counts = json.loads(file.metadata()[KEY])["counts"]
    return {split: {role: (persons, known) for role, (persons, known) in of.items()} for split, of in counts.items()}


if __name__ == "__main__":
    main(prepare)
