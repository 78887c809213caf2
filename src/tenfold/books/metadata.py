"""Snakemake's own notes on its outputs: the one place that knows their private format.

Snakemake (9.27, ``snakemake.persistence``, record format 6, file backend) keeps a JSON file for each output below
``.snakemake/metadata``, and marks an output whose job has not ended below ``.snakemake/incomplete``.
"""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

from tenfold.files import canonical_json

FORMAT, BACKEND = 6, "file"
FOLDER = Path(".snakemake")
NAME_MAX = 254  # characters of a record's file name; what is before the last so many of a longer one becomes folders

Note = dict[str, Any]


def is_known(backend: str) -> bool:
    """Whether the Snakemake that is running keeps its notes as this module knows it."""
    from snakemake.persistence import RECORD_FORMAT_VERSION

    return bool(backend == BACKEND and RECORD_FORMAT_VERSION == FORMAT)


def note(
    *, rule: str, job: str, params: list[str], log: list[str], inputs: list[str], checksums: dict[str, str]
) -> Note:
    """What Snakemake would note of a job's outputs, had it run the job itself; without their times.

    ``job`` tells the job from others, in the place of its command, at which no plan looks.
    """
    return {
        "rule": rule, "code": "", "shellcmd": job, "params": params, "log": log, "input": inputs,
        "input_checksums": {path: f"sha256:{checksum}" for path, checksum in checksums.items()},
        "incomplete": False, "record_format_version": FORMAT, "job_hash": 0,
        "conda_env": None, "container_img_url": None, "software_stack_hash": None, "external_jobid": None,
    }  # fmt: skip


def params(cfg: dict[str, Any], code: str) -> list[str]:
    """The params of a rule of Tenfold, as Snakemake notes them."""
    return sorted([repr(canonical_json(cfg)), repr(code)])


def read(output: str) -> Note | None:
    """The note on an output; None if there is none of the known format."""
    try:
        found = json.loads(_file("metadata", output).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if found.get("record_format_version") == FORMAT else None


def read_all() -> dict[str, Note]:
    """The notes on all outputs, also on those that are not there any more."""
    folder, found = FOLDER / "metadata", {}
    for path in folder.rglob("*"):
        name = "".join(part.removeprefix("@") for part in path.relative_to(folder).parts)
        if path.is_file() and (noted := read(output := base64.urlsafe_b64decode(name).decode())) is not None:
            found[output] = noted
    return found


def write(output: str, noted: Note) -> None:
    """Writes the note on an output, which thereby counts as complete."""
    _write(_file("metadata", output), noted)
    _file("incomplete", output).unlink(missing_ok=True)


def mark_incomplete(output: str) -> None:
    """Makes Snakemake run the job of an output again."""
    _write(_file("incomplete", output), {"external_jobid": None})


def remove_locks() -> bool:
    """Removes what a killed Snakemake leaves to lock the folder; whether there was any."""
    locks = FOLDER / "locks"
    left = locks.exists() and any(locks.iterdir())
    shutil.rmtree(locks, ignore_errors=True)
    return left


def _file(kind: str, output: str) -> Path:
    name = base64.urlsafe_b64encode(output.encode()).decode()
    *folders, last = [name[start : start + NAME_MAX] for start in range(0, len(name), NAME_MAX)]
    return FOLDER.joinpath(kind, *(f"@{folder}" for folder in folders), last)


def _write(path: Path, content: Note) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))  # half of a note counts as none, here and for Snakemake
