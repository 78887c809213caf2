"""Tables in four forms: CSV in full precision, Markdown and LaTeX as printed, JSON for the lineage of each cell.

Equal tables give equal bytes. Measured times do not belong here: they go to ``*.times.csv`` (``write_csv``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tenfold.files import write_json, write_text
from tenfold.measure.statistics import Summary, mean_interval, summary
from tenfold.report.face import COUNTED, RECOVERED, Data, Face, published_text
from tenfold.report.named import bearing, call

FORMAT = 1
Value = float | int | str | None


@dataclass(frozen=True)
class Published:
    """A published number and where it was read (paper, repo, memory, unknown)."""

    value: float | str | None
    source: str


@dataclass(frozen=True)
class Cell:
    """One measured quantity of one row. A cell with neither seeds nor ``exact`` was not run.

    Attributes:
        seeds: seed -> value, for what is trained or drawn.
        exact: a count or a result of arithmetic, which no seed moves; or a word.
        files: the metric files that it was read from.
        published: the number it stands beside; None where the paper has no such cell.
    """

    seeds: Mapping[int, float] = field(default_factory=dict)
    exact: Value = None
    files: Sequence[str | Path] = ()
    published: Published | None = None

    @property
    def was_run(self) -> bool:
        """Whether there is a measured value."""
        return bool(self.seeds) or self.exact is not None

    @property
    def summary(self) -> Summary | None:
        """Mean, sd and n over the seeds; None where no seed enters."""
        return summary([self.seeds[seed] for seed in sorted(self.seeds)]) if self.seeds else None


@dataclass(frozen=True)
class Column:
    """One measured column.

    Attributes:
        name: its name in CSV and lineage.
        header: its name in print, with the unit.
        spec: print format of a value, such as ``.2f`` or ``,d``.
        data: what it was measured on, where that is not the table's data; ``COUNTED`` for what no data enter.
        interval: whether the mean is printed with its 95 % Student interval, as a difference wants it, not with the sd.
    """

    name: str
    header: str
    spec: str
    data: Data | None = None
    interval: bool = False


@dataclass(frozen=True)
class Row:
    """One row: the text of the key columns, and the cells by column name (absent: not run)."""

    keys: Sequence[str]
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Table:
    """A table before it is written.

    Attributes:
        title: one line, without a full stop.
        face: edition, data, seeds, device, precision.
        keys: headers of the key columns.
        columns: the measured columns.
        rows: the rows, in printed order.
        notes: sentences printed under the table.
    """

    title: str
    face: Face
    keys: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        names = {column.name for column in self.columns}
        for row in self.rows:
            if len(row.keys) != len(self.keys) or not set(row.cells) <= names:
                raise ValueError(f"table {self.title!r}: row {row.keys} does not fit the columns")

    def cell(self, row: Row, column: Column) -> Cell:
        """The cell of a row, also where it was not run."""
        return row.cells.get(column.name, Cell())

    def data_of(self, column: Column) -> Data:
        """What a column was measured on."""
        return column.data or self.face.data


def write_table(table: Table, paths: Iterable[Path]) -> None:
    """Writes the table to each path, in the form its suffix asks for: .csv, .md, .tex, .json (of .cells.json)."""
    forms = {".csv": table_csv, ".md": table_markdown, ".tex": table_latex}
    for path in paths:
        if path.suffix == ".json":
            write_json(path, lineage(table))
        elif path.suffix in forms:
            write_text(path, forms[path.suffix](table))
        else:
            raise ValueError(f"{path}: a table is written as .csv, .md, .tex or .cells.json")


Tables = Mapping[str, Callable[..., Table]]  # a paper's tables by the names of their files


def write_tables(tables: Tables, paths: Sequence[Path], **given: Any) -> None:
    """Writes each table to those of the paths that bear its name; its function gets what it names of ``given``."""
    for name, table in tables.items():
        write_table(call(table, given), bearing(name, paths))


def write_metrics(path: Path, arms: Mapping[str, Mapping[str, Mapping[int, float]]]) -> None:
    """Writes ``metrics.json``: arm -> metric -> mean, sd and n over seeds, from arm -> metric -> seed -> value."""
    found = {
        arm: {name: summary(list(by_seed.values())) for name, by_seed in metrics.items() if by_seed}
        for arm, metrics in arms.items()
    }
    write_json(path, {
        arm: {name: {"mean": over.mean, "sd": over.sd, "n": over.n} for name, over in metrics.items()}
        for arm, metrics in found.items() if metrics
    })  # fmt: skip


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
    """Writes a plain CSV file with floats in full precision, whole or not at all."""
    write_text(path, _csv(header, rows))


def table_csv(table: Table) -> str:
    """The table as CSV: for each column its value (the mean over seeds), sd, n, published value and source."""
    header = list(table.keys)
    for column in table.columns:
        header += [column.name + part for part in ("", ".sd", ".n", ".published", ".source")]
    header += ["edition", "data", "device", "precision"]
    face = table.face
    rows: list[list[Value]] = []
    for row in table.rows:
        values: list[Value] = list(row.keys)
        for column in table.columns:
            values += _csv_values(table.cell(row, column), face.edition)
        data = " + ".join(dict.fromkeys(str(table.data_of(column)) for column in table.columns))
        rows.append([*values, face.edition, data, face.device, face.precision])
    return _csv(header, rows)


def untrained(edition: str, data: Data = COUNTED) -> Face:
    """The face of counts, of arithmetic and of published numbers alone, which no training enters."""
    return Face(edition, data, 0, "none", "exact")


def face_line(face: Face) -> str:
    """What a table says of itself; where no seed enters, that nothing was trained."""
    return face.line() if face.n else f"Edition {face.edition}; data {face.data}; nothing trained"


def table_markdown(table: Table) -> str:
    """The table as Markdown: title, face, cells as printed with the published value beside ours, notes."""
    header, rows = _printed(table)
    lines = [f"**{table.title}**", "", f"_{face_line(table.face)}_", ""]
    lines += markdown_grid(header, rows, left=len(table.keys))
    for note in _notes(table):
        lines += ["", note]
    return "\n".join(lines) + "\n"


def table_latex(table: Table) -> str:
    """The table as a LaTeX float for the packages booktabs and (for older LaTeX) textcomp."""
    header, rows = _printed(table)
    frame = pd.DataFrame(rows, columns=header, dtype=str)
    style = frame.style.hide(axis="index").format(escape="latex").format_index(axis="columns", escape="latex")
    caption = f"{table.title}. {' '.join([face_line(table.face) + '.', *_notes(table)])}"
    text = style.to_latex(
        hrules=True,
        caption=_latex_text(caption),
        position="htbp",
        position_float="centering",
        column_format="l" * len(table.keys) + "r" * (len(header) - len(table.keys)),
    )
    return str(text).replace("±", r"$\pm$")


def lineage(table: Table) -> dict[str, Any]:
    """Where each cell comes from: metric files and seeds, with what ``compare`` needs to judge it again."""
    cells = [
        {
            "row": list(row.keys),
            "column": column.name,
            "edition": table.face.edition,
            "data": str(table.data_of(column)),
            "files": [Path(file).as_posix() for file in cell.files],
            "seeds": sorted(cell.seeds),
            "values": [float(cell.seeds[seed]) for seed in sorted(cell.seeds)],
            "exact": _plain(cell.exact),
            "resolution": _resolution(column.spec),
        }
        for row in table.rows
        for column in table.columns
        if (cell := table.cell(row, column)).was_run
    ]
    return {"format": FORMAT, "title": table.title, "face": table.face.as_dict(), "cells": cells}


def markdown_grid(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int, aligned: bool = True
) -> list[str]:
    """The lines of a Markdown table, with aligned bars or short; the first ``left`` columns are set flush left."""
    grid = [[text.replace("|", r"\|") for text in row] for row in (header, *rows)]
    widths = [max(3, *map(len, column)) if aligned else 3 for column in zip(*grid, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = []
    for row in (grid[0], rule, *grid[1:]):
        padded = (
            text.ljust(width) if i < left else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append(f"| {' | '.join(padded)} |")
    return lines


def _printed(table: Table) -> tuple[list[str], list[list[str]]]:
    """Header and rows as printed; a column has its published numbers beside it where there are any."""
    beside = {
        column.name for column in table.columns for row in table.rows if table.cell(row, column).published is not None
    }
    header = list(table.keys)
    for column in table.columns:
        data = table.data_of(column)
        on = column.header if data in (table.face.data, COUNTED) else f"{column.header}, {data.name}"
        if column.name in beside:
            published_on = f" on {data.stands_in_for}" if data.is_standin else ""
            header += [f"{column.header}, published{published_on}", f"{on}, ours"]
        else:
            header.append(on)
    rows = []
    for row in table.rows:
        texts = list(row.keys)
        for column in table.columns:
            cell = table.cell(row, column)
            if column.name in beside:
                texts.append(_published(cell, column.spec))
            texts.append(_ours(cell, column, table.face.edition))
        rows.append(texts)
    return header, rows


def _ours(cell: Cell, column: Column, edition: str) -> str:
    over_seeds, spec = cell.summary, column.spec
    if over_seeds is None:
        return _not_run(edition) if cell.exact is None else _format(cell.exact, spec)
    mean, spread = format(over_seeds.mean, spec), ""
    if over_seeds.sd is not None and column.interval:
        ends = mean_interval(list(cell.seeds.values()))
        spread = f" [{format(ends.low, spec)}, {format(ends.high, spec)}]"
    elif over_seeds.sd is not None:
        spread = f" ± {format(over_seeds.sd, spec.removeprefix('+'))}"
    return f"{mean}{spread} (n {over_seeds.n})"


def _published(cell: Cell, spec: str) -> str:
    return "-" if cell.published is None else published_text(cell.published.value, cell.published.source, spec)


def _csv_values(cell: Cell, edition: str) -> list[Value]:
    over_seeds = cell.summary
    published: list[Value] = [None, None]
    if cell.published is not None:
        recovered = cell.published.source in RECOVERED
        published = [cell.published.value if recovered else _published(cell, ""), cell.published.source]
    if over_seeds is not None:
        return [over_seeds.mean, over_seeds.sd, over_seeds.n, *published]
    return [cell.exact if cell.was_run else _not_run(edition), None, None, *published]


def _notes(table: Table) -> list[str]:
    """The table's notes, and what its printed marks mean where they occur."""
    cells = [table.cell(row, column) for row in table.rows for column in table.columns]
    spreads = {
        column.interval for row in table.rows for column in table.columns if len(table.cell(row, column).seeds) > 1
    }
    notes = list(table.notes)
    for column in table.columns:
        data = table.data_of(column)
        if data not in (table.face.data, COUNTED):
            notes.append(f"{column.header}: data {data}.")
        if data.is_standin and any(table.cell(row, column).published for row in table.rows):
            notes.append(f"Published {column.header} is of {data.stands_in_for}, ours of {data.name}: not comparable.")
    if False in spreads:
        notes.append("Ours: mean ± standard deviation over n seeds.")
    if True in spreads:
        notes.append("In brackets: 95 % interval of the mean over n seeds (Student).")
    if any(cell.published is not None and cell.published.source not in RECOVERED for cell in cells):
        notes.append("Not recovered: the published number was read in no source.")
    return notes


def _not_run(edition: str) -> str:
    return f"not run at {edition}"


def _format(value: float | int | str, spec: str) -> str:
    return value if isinstance(value, str) else format(value, spec)


def _resolution(spec: str) -> float:
    """One unit of the last printed digit: 0.01 for ``.2f``, 1 for counts."""
    decimals = spec.partition(".")[2].rstrip("f%")
    return 10.0 ** -int(decimals) if decimals.isdigit() and spec.endswith("f") else 1.0


def _plain(value: Value) -> Value:
    """A value as Python's own type: numpy's scalars print otherwise, and JSON does not know them."""
    if value is None or isinstance(value, (str, int)):
        return value
    return float(value)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue()


def _latex_text(text: str) -> str:
    """Text with LaTeX's special characters escaped (pandas escapes cells, not captions)."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(letter, f"\\{letter}" if letter in "&%$#_{}" else letter) for letter in text)
