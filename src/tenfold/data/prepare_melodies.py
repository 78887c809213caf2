"""Prepares a corpus of melodies, read from scores or drawn, as one file (see `tenfold.data.melodies`)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from tenfold.data import aaba, scores
from tenfold.data.melodies import Melodies, write
from tenfold.data.scores import Reading
from tenfold.errors import UserError
from tenfold.fetch import MIRROR, RAW
from tenfold.files import sha256, write_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.registry import dataset as entry_of

FILES_AT_ONCE = 50  # scores read between two lines of progress


@stage
def prepare(cfg: Cfg, job: Job, *, dataset: Output, report: Output) -> None:
    """Writes the prepared file of a corpus, and what was left out of it.

    Args:
        cfg: ``dataset``, as ``registry.cfg_of`` gives it.
        job: what surrounds the run.
        dataset: the prepared file.
        report: JSON, a list of ``file`` and ``reason``.

    Raises:
        UserError: the scores are not here or not the known ones, or what was prepared is not what the registry records.
    """
    wanted = cfg["dataset"]
    settings = wanted["prepare"]
    if settings["kind"] == "aaba":
        job.say(f"drawing {wanted['name']}")
        pieces = aaba.generate(settings)
        reading = Reading(pieces, [f"{wanted['name']} {number}" for number in range(1, len(pieces) + 1)])
    else:
        reading = read_scores(wanted["name"], settings, job)
    dropped = dict(sorted(Counter(entry["reason"] for entry in reading.dropped).items()))
    write(dataset, Melodies(wanted["name"], reading.pieces, reading.titles, dropped))
    write_json(report, reading.dropped)
    made = sha256(dataset)
    if made != wanted["sha256"]:
        raise UserError(
            f"{wanted['name']}: what was prepared has other bytes than recorded (sha256 {made} instead of "
            f"{wanted['sha256']}); after a change on purpose, write the new one into config/datasets.yaml"
        )


def read_scores(name: str, settings: dict[str, Any], job: Job) -> Reading:
    """Reads the scores of a dataset, each of which may be left out.

    Raises:
        UserError: they are not here, or not the known ones.
    """
    folder = folder_of(name)
    files = scores.listed(folder, settings["files"])
    found = scores.content_digest(files)
    if found != settings["content"]:
        raise UserError(
            f"{folder}/{settings['files']}: {len(files)} files, which are not the known ones (digest {found} instead "
            f"of {settings['content']}); needed is {entry_of(name).access}"
        )
    reading = Reading()
    for start in range(0, len(files), FILES_AT_ONCE):
        job.say(f"reading {name}: {start} of {len(files)} files")
        part = scores.read(files[start : start + FILES_AT_ONCE])
        reading.pieces += part.pieces
        reading.titles += part.titles
        reading.dropped += part.dropped
        reading.estimated_keys += part.estimated_keys
    estimated, left_out = reading.estimated_keys, len(reading.dropped)
    job.say(f"{len(reading.pieces)} pieces ({estimated} of them with an estimated key), {left_out} left out")
    return reading


def folder_of(name: str) -> Path:
    """The folder with the scores of a dataset: in data/raw/, or in the mirror.

    Raises:
        UserError: it is in neither.
    """
    mirror = os.environ.get(MIRROR)
    places = [RAW / name, *([Path(mirror) / name] if mirror else [])]
    for place in places:
        if place.is_dir():
            return place
    raise UserError(
        f"{name} is not here (looked in {', '.join(map(str, places))}). It needs {entry_of(name).access}: put it into "
        f"{RAW / name}/, or set {MIRROR} to a folder that has {name}/"
    )


if __name__ == "__main__":
    main(prepare)
