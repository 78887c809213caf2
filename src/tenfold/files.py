"""Whole files or none, checksums, and JSON in one canonical form."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenfold.faults import fault


def canonical_json(value: Any) -> str:
    """JSON on one line with sorted keys: equal text if and only if the content is equal."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON with sorted keys, whole or not at all."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text with ``\\n`` line ends, whole or not at all."""
    with written_whole(path) as partial:
        partial.write_bytes(text.encode("utf-8"))


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def partial_path(path: Path) -> Path:
    """Where a file is written before it takes its name: beside it, hidden, with the same suffix."""
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")


def partials(path: Path) -> list[Path]:
    """What processes that were killed have left of a file."""
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.\d+\.partial{re.escape(path.suffix)}")
    return [left for left in path.parent.glob(".*") if pattern.fullmatch(left.name)]


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a path to write to; what was written gets its name only when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    try:
        yield partial
        commit_file(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def copy_whole(source: Path, target: Path) -> None:
    """Copies a file's content, whole or not at all."""
    with written_whole(target) as partial:
        shutil.copyfile(source, partial)


def commit_file(partial: Path, path: Path) -> None:
    """Flushes ``partial`` to the disk and gives it the name ``path`` in one step."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    fault("rename")
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
