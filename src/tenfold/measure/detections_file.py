"""Files of detections that users bring: a JSON list of objects, read into arrays or refused in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tenfold.errors import UserError, limit_of_machine

Entries = Sequence[Mapping[str, Any]]


def read_entries(path: Path) -> Entries:
    """Reads a file of detections.

    Raises:
        UserError: it is not there, no JSON, no list of objects, or empty.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix in (".pkl", ".pickle"):
        raise UserError(
            f"{path}: no pickle is read here, as it could run code; where you trust it, convert it: "
            f"json.dump(pickle.load(open('{path.name}', 'rb'), encoding='latin1'), open('{path.stem}.json', 'w'), "
            f"default=lambda array: array.tolist())"
        )
    try:
        entries = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path}: not a list of objects, one for each detection")
    if not entries:
        raise UserError(f"{path}: no detections")
    return entries


def check_keys(entries: Entries, allowed: Sequence[str], source: str) -> None:
    """Refuses a key that is not allowed, and one that no detection has: its score would be a silent 0.

    Raises:
        UserError: there is one.
    """
    used = set().union(*entries)
    for number, entry in enumerate(entries) if used - set(allowed) else ():
        if strange := [key for key in entry if key not in allowed]:
            raise flaw(source, number, f"'{strange[0]}' is not a key; allowed: {', '.join(allowed)}")
    if missing := [key for key in allowed if key not in used]:
        raise UserError(f"{source}: no detection has '{missing[0]}'")


def column(
    entries: Entries, key: str, source: str, *, length: int | None = None, optional: bool = False
) -> NDArray[np.float64]:
    """The values of a key in all detections.

    Args:
        entries: D detections.
        key: of a number, or of a list of numbers.
        source: what an error calls the file.
        length: of the list; None for a number.
        optional: whether the key may be left out; then NaN.

    Returns:
        (D,) or (D, length); NaN for null.

    Raises:
        UserError: the key is missing, or its value is of another form.
    """
    shape = () if length is None else (length,)
    absent = np.full(shape, np.nan).tolist()
    try:
        values = np.array([entry.get(key, absent) for entry in entries], np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (len(entries), *shape) or not (optional or all(key in entry for entry in entries)):
        wanted = "a number" if length is None else f"{length} numbers"
        for number, entry in enumerate(entries):
            if key not in entry and not optional:
                raise flaw(source, number, f"'{key}' is missing")
            if not _is_of(entry.get(key, absent), shape):
                raise flaw(source, number, f"'{key}' is {json.dumps(entry[key])[:60]} instead of {wanted}")
    return values


def refuse(bad: ArrayLike, source: str, reason: str) -> None:
    """Refuses the first detection that is bad.

    Raises:
        UserError: there is one.
    """
    if np.any(bad):
        raise flaw(source, int(np.argmax(bad)), reason)


def flaw(source: str, number: int, reason: str) -> UserError:
    """What is wrong with a detection; they are counted from 1."""
    return UserError(f"{source}, detection {number + 1}: {reason}")


def as_command(lines: Callable[[], Iterable[str]]) -> int:
    """Prints what a command has to say; a user's mistake is one line and exit code 2."""
    try:
        try:
            print("\n".join(lines()))
        except OSError as error:
            raise limit_of_machine(error) from error
    except UserError as error:
        print(f"tenfold: {error}", file=sys.stderr)
        return 2
    return 0


def _is_of(value: Any, shape: tuple[int, ...]) -> bool:
    try:
        return np.array(value, np.float64).shape == shape
    except (TypeError, ValueError):
        return False
