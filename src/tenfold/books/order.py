"""Targets in order of priority, in a file: ``tenfold pack @FILE``, ``tenfold plan @FILE``.

A line is one or several targets; braces are short for several, the last ones changing fastest, as in a shell:
``runs/lab/sge/metrics/resnet20/{plain,sge}/s{0..2}.json``. What follows ``#`` is a comment.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tenfold.errors import UserError


@dataclass(frozen=True)
class Row:
    """A line of such a file, or a target of the command line: as it is written, and its targets."""

    text: str
    targets: tuple[str, ...]


def rows_of(arguments: Iterable[str]) -> list[Row]:
    """Targets of a command line, ``@FILE`` read as the rows of a file.

    Raises:
        UserError: there is no such file, or it names nothing.
    """
    found = []
    for argument in arguments:
        found += _rows(Path(argument[1:])) if argument.startswith("@") else [Row(argument, (argument,))]
    return found


def in_order(rows: Iterable[Row]) -> list[str]:
    """The targets of rows, each once."""
    return list(dict.fromkeys(target for row in rows for target in row.targets))


def expanded(word: str) -> list[str]:
    """``a{0..1}/{b,c}`` -> ``a0/b``, ``a0/c``, ``a1/b``, ``a1/c``."""
    parts = [_choices(part) for part in re.split(r"(\{[^{}]*\})", word)]
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def _choices(part: str) -> list[str]:
    if not part.startswith("{"):
        return [part]
    if numbers := re.fullmatch(r"\{(\d+)\.\.(\d+)\}", part):
        return [str(number) for number in range(int(numbers[1]), int(numbers[2]) + 1)]
    return part[1:-1].split(",")


def _rows(file: Path) -> list[Row]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"{file}: {why}; a file of targets is needed, one in a line") from None
    words = [line.partition("#")[0].split() for line in lines]
    found = [Row(" ".join(line), tuple(itertools.chain.from_iterable(map(expanded, line)))) for line in words if line]
    if not found:
        raise UserError(f"{file}: names no target")
    return found
