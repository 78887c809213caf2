"""Prepares clips with captions, drawn or brought, as one file (see `tenfold.data.captions`)."""

from __future__ import annotations

from pathlib import Path

from tenfold.data import moving_shapes
from tenfold.data.captions import SPLITS, Captions, Split, write
from tenfold.errors import UserError
from tenfold.fetch import folder_of
from tenfold.files import sha256
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.registry import dataset as entry_of


@stage
def prepare(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Writes the prepared file of a dataset.

    Args:
        cfg: ``dataset``, as ``registry.cfg_of`` gives it.
        job: what surrounds the run.
        dataset: the prepared file.

    Raises:
        UserError: the captions are not here or not the known ones, or what was prepared is not what the registry
            records.
    """
    wanted = cfg["dataset"]
    settings = wanted["prepare"]
    if settings["kind"] == "moving_shapes":
        job.say(f"drawing {wanted['name']}")
        splits, _ = moving_shapes.generate(settings)
    else:
        splits = read_captions(
            folder_of(entry_of(wanted["name"]), settings["files"]["test"]["file"]), settings["files"]
        )
    for name, split in splits.items():
        job.say(f"{name}: {len(split)} clips, {sum(map(len, split.captions))} captions")
    write(dataset, Captions(wanted["name"], splits))
    made = sha256(dataset)
    if wanted["sha256"] not in (None, made):
        raise UserError(
            f"{wanted['name']}: what was prepared has other bytes than recorded (sha256 {made} instead of "
            f"{wanted['sha256']}); after a change on purpose, write the new one into config/datasets.yaml"
        )


def read_captions(folder: Path, files: dict[str, dict[str, str]]) -> dict[str, Split]:
    """Captions of clips without their videos, clips in the order of the file.

    Args:
        folder: where the files are.
        files: for each split its ``file``, with lines ``<clip><tab><caption>``, and its ``sha256``.

    Raises:
        UserError: a file is missing, or another one.
    """
    splits = {}
    for name in SPLITS:
        wanted, path = files[name], folder / files[name]["file"]
        found = sha256(path) if path.is_file() else "nothing"
        if found != wanted["sha256"]:
            raise UserError(f"{path}: needed is the file with sha256 {wanted['sha256']}, here is {found}")
        captions: dict[str, list[list[str]]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            clip, _, text = line.partition("\t")
            captions.setdefault(clip, []).append(text.split())
        splits[name] = Split(list(captions.values()))
    return splits


if __name__ == "__main__":
    main(prepare)
