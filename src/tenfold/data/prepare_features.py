"""Prepares real clips with captions and with the features that the authors of SAM-SS give (`tenfold.data.captions`).

Their archive ``data.zip`` has a matrix for each dataset, whose rows are the clips in order: static features
(ResNeXt-101), then, by the file's name, dynamic ones (ECO). It was not at hand: what is known of it is in the official
README and scripts (commit 409ca8b), and a file of another shape is refused.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.captions import SPLITS, Captions, Split, write
from tenfold.data.prepare_captions import read_captions
from tenfold.errors import UserError
from tenfold.fetch import folder_of
from tenfold.files import sha256
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.registry import dataset as entry_of

WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")  # [choice] lower case without punctuation, as the captions of MSVD are


@stage
def prepare(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Writes the prepared file of a dataset.

    Args:
        cfg: ``dataset``, as ``registry.cfg_of`` gives it.
        job: what surrounds the run.
        dataset: the prepared file.

    Raises:
        UserError: captions or features are not here, or not the known ones.
    """
    name, settings = cfg["dataset"]["name"], cfg["dataset"]["prepare"]
    features = settings["features"]
    folder = folder_of(entry_of(name), features["file"])
    job.say(f"reading {folder}")
    if settings["kind"] == "msvd":
        files = settings["files"]
        splits = read_captions(folder_of(entry_of(settings["captions"]), files["test"]["file"]), files)
    else:
        splits = read_msr_vtt(known(folder / settings["captions"]["file"], settings["captions"]["sha256"]), settings)
    splits = with_features(splits, known(folder / features["file"], features["sha256"]), features)
    for split, clips in splits.items():
        job.say(f"{split}: {len(clips)} clips, {sum(map(len, clips.captions))} captions")
    write(dataset, Captions(name, splits))
    job.say(f"{name}: nobody has recorded a checksum of it; prepared here: sha256 {sha256(dataset)}")


def known(path: Path, checksum: str) -> Path:
    """A file, if it is the one with this SHA-256.

    Raises:
        UserError: it is missing, or another one.
    """
    found = sha256(path) if path.is_file() else "nothing"
    if found != checksum:
        raise UserError(f"{path}: needed is the file with sha256 {checksum}, here is {found}")
    return path


def members(archive: Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """The files of an archive with this ending, and their content."""
    with zipfile.ZipFile(archive) as packed:
        for name in sorted(packed.namelist()):
            if name.endswith(ending):
                yield name, packed.read(name)


def read_msr_vtt(archive: Path, settings: dict[str, Any]) -> dict[str, Split]:
    """Captions of MSR-VTT without its videos: ``video0`` and so on, the first are for training, the last for tests.

    Args:
        archive: JSON files with ``sentences``, each with its ``video_id``, ``sen_id`` and ``caption``.
        settings: for each split how many ``clips`` it has; ``of_clip``, captions of each.

    Raises:
        UserError: there are other clips, or some have more or fewer captions.
    """
    spoken: dict[str, dict[int, str]] = {}
    for _, content in members(archive, ".json"):
        for sentence in json.loads(content).get("sentences", []):
            spoken.setdefault(sentence["video_id"], {})[int(sentence["sen_id"])] = sentence["caption"]
    clips = [f"video{number}" for number in range(sum(settings["clips"].values()))]
    if wrong := sorted(spoken.keys() ^ set(clips)):
        raise UserError(f"{archive}: {wrong[0]} is missing, or none of {clips[0]} to {clips[-1]}")
    if wrong := [clip for clip in clips if len(spoken[clip]) != settings["of_clip"]]:
        raise UserError(f"{archive}: {wrong[0]} has {len(spoken[wrong[0]])} captions instead of {settings['of_clip']}")
    captions = iter([[words_of(text) for _, text in sorted(spoken[clip].items())] for clip in clips])
    return {split: Split([next(captions) for _ in range(settings["clips"][split])]) for split in SPLITS}


def words_of(text: str) -> list[str]:
    """The words of a caption as it was written."""
    return WORD.findall(text.lower())


def with_features(splits: dict[str, Split], archive: Path, settings: dict[str, Any]) -> dict[str, Split]:
    """Clips with the features that the authors give, clip by clip.

    Args:
        splits: of which the clips are in the order of the matrix.
        archive: has it.
        settings: ``member``, its name; ``static`` and ``dynamic``, how many numbers a clip has of each.

    Raises:
        UserError: the archive has no such matrix, or one of another shape.
    """
    member, static = settings["member"], settings["static"]
    matrix = next((content for name, content in members(archive, ".npy") if Path(name).name == member), None)
    if matrix is None:
        raise UserError(f"{archive}: has no {member}")
    try:
        values = np.load(io.BytesIO(matrix), allow_pickle=False).astype(np.float32)
    except ValueError:
        raise UserError(f"{archive}: {member} is no matrix of numbers") from None
    wanted = (sum(map(len, splits.values())), static + settings["dynamic"])
    if values.shape != wanted:
        raise UserError(f"{archive}: {member} is {values.shape}, needed is {wanted}")
    ends = np.cumsum([len(splits[split]) for split in SPLITS])
    parts = dict(zip(SPLITS, np.split(values, ends[:-1]), strict=True))
    return {
        split: replace(splits[split], features={"static": part[:, :static], "dynamic": part[:, static:]})
        for split, part in parts.items()
    }


if __name__ == "__main__":
    main(prepare)
