"""A recorded table as it is printed, each cell of which knows the cell of the CSV that it shows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from tenfold.errors import UserError
from tenfold.report.face import NOT_RECOVERED

BAR = re.compile(r"(?<!\\)\|")  # between cells; not within one
NUMBER = re.compile(r"[+-]?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?")
NOTHING = ("", "-", NOT_RECOVERED)


@dataclass(frozen=True)
class Cell:
    """The text of a measured or published cell, and where its lineage is told (``r2-accuracy``)."""

    text: str
    anchor: str


@dataclass(frozen=True)
class Row:
    """The labels of a row, and its cells."""

    keys: list[str]
    cells: list[Cell]


@dataclass(frozen=True)
class Grid:
    """A grid of a table; wide tables are printed as several."""

    keys: list[str]
    header: list[str]
    rows: list[Row]


@dataclass(frozen=True)
class Printed:
    """A table as printed: title, face, grids, notes."""

    title: str
    face: str
    grids: list[Grid]
    notes: list[str]


@dataclass(frozen=True)
class Measured:
    """The content of a table's CSV.

    Attributes:
        keys: the columns that tell rows apart.
        labels: their texts, row by row.
        columns: the measured columns; each has its sd, n, published number and source beside it.
        rows: the texts of all columns by name, row by row.
    """

    keys: list[str]
    labels: list[list[str]]
    columns: list[str]
    rows: list[dict[str, str]]


def anchor(row: int, column: str) -> str:
    """The name of a cell in links; rows count from 1."""
    return f"r{row}-{column}"


def read_csv(path: Path) -> Measured:
    """The CSV of a table."""
    header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    columns = [name.removesuffix(".sd") for name in header if name.endswith(".sd")]
    count = header.index(f"{columns[0]}.sd") - 1
    labels = [row[:count] for row in rows]
    return Measured(header[:count], labels, columns, [dict(zip(header, row, strict=True)) for row in rows])


def read_printed(path: Path) -> Printed:
    """A table from the CSV beside its printed form.

    Raises:
        UserError: a printed number is not that of the CSV.
    """
    measured = read_csv(path)
    paragraphs = path.with_suffix(".md").read_text(encoding="utf-8").strip().split("\n\n")
    title, face, *rest = paragraphs
    grids = [_cells(part.splitlines()) for part in rest if part.startswith("|")]
    notes = [part for part in rest if not part.startswith("|")]
    wanted = iter([(name, name) for name in measured.columns]
                  + [(name, f"{name}.published") for name in measured.columns])  # fmt: skip
    try:
        linked = [_grid(header, rows, measured, wanted) for header, rows in grids]
    except StopIteration:
        raise UserError(f"{path}: its printed form shows other numbers; tenfold verify says what is wrong") from None
    return Printed(title.strip("*"), face.strip("_"), linked, notes)


def _cells(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a Markdown table."""
    header, _, *rows = ([cell.strip().replace(r"\|", "|") for cell in BAR.split(line)[1:-1]] for line in lines)
    return header, rows


def _grid(header: list[str], texts: list[list[str]], measured: Measured, wanted: Iterator[tuple[str, str]]) -> Grid:
    """A grid whose columns are the next ones of the CSV that say what is printed; empty ones were not printed."""
    keys = list(takewhile(lambda text: text in measured.keys, header))
    numbers = _row_numbers([row[: len(keys)] for row in texts], keys, measured)
    names = []
    for place in range(len(keys), len(header)):
        printed = [row[place] for row in texts]
        names.append(next(name for name, value in wanted
                          if all(_same(text, measured.rows[number - 1][value])
                                 for text, number in zip(printed, numbers, strict=True))))  # fmt: skip
    rows = []
    for row, number in zip(texts, numbers, strict=True):
        cells = [Cell(text, anchor(number, name)) for text, name in zip(row[len(keys) :], names, strict=True)]
        rows.append(Row(row[: len(keys)], cells))
    return Grid(keys, header[len(keys) :], rows)


def _row_numbers(labels: list[list[str]], keys: list[str], measured: Measured) -> list[int]:
    """The rows of the CSV that printed rows are, in order; rows with nothing in a grid were not printed."""
    places = [measured.keys.index(key) for key in keys]
    waiting = enumerate(measured.labels, start=1)
    return [next(number for number, of_row in waiting if [of_row[place] for place in places] == label)
            for label in labels]  # fmt: skip


def _same(printed: str, value: str) -> bool:
    """Whether a printed text shows a value of the CSV, to its last digit."""
    found = NUMBER.match(printed)
    if printed == value or found is None:
        return printed == value or (printed in NOTHING and value in NOTHING)
    try:
        exact = float(value)
    except ValueError:
        return False
    mantissa, _, exponent = found[0].replace(",", "").partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(float(found[0].replace(",", "")) - exact) <= 0.5 * unit * (1 + 1e-6)
