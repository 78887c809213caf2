"""Tables in four forms: CSV in full precision, Markdown and LaTeX as printed, JSON for the lineage of each cell.

Equal tables give equal bytes. Measured times do not belong here: they go to ``*.times.csv`` (``write_csv``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tenfold.files import write_json, write_text
from tenfold.measure.statistics import Summary, mean_interval, summary
from tenfold.report.face import COUNTED, NOT_RECOVERED, RECOVERED, Data, Face, published_text
from tenfold.report.named import bearing, call

FORMAT = 1
WIDTH = 200  # characters of a printed line
LISTED = 10  # rows that are left out and named
NOT_RUN = "not run"
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


def table_markdown(table: Table) -> str:
    """The table as Markdown: title, face, cells as printed, notes.

    What was published stands behind ours, or in a grid of its own where a line would be longer than ``WIDTH``. Columns
    and rows with nothing in them are left to the CSV.
    """
    keys, columns, empty = _shown(table)
    grids = [_grid(keys, part) for part in _parts(keys, columns)]
    notes = _notes(table, columns, empty)
    if len({len(grid) for grid in grids}) > 1:
        notes.append("A row that a grid lacks has no number there.")
    paragraphs = [[f"**{table.title}**"], [f"_{table.face.line()}_"], *grids, *([note] for note in notes)]
    return "\n\n".join("\n".join(lines) for lines in paragraphs) + "\n"


def table_latex(table: Table) -> str:
    """The table as a LaTeX float for the packages booktabs and (for older LaTeX) textcomp."""
    keys, columns, empty = _shown(table)
    header, rows = _header_and_rows(keys, columns)
    frame = pd.DataFrame(rows, columns=header, dtype=str)
    style = frame.style.hide(axis="index").format(escape="latex").format_index(axis="columns", escape="latex")
    caption = f"{table.title}. {' '.join([table.face.line() + '.', *_notes(table, columns, empty)])}"
    text = style.to_latex(
        hrules=True,
        caption=_latex_text(caption),
        position="htbp",
        position_float="centering",
        column_format="l" * len(keys) + "r" * len(columns),
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


@dataclass(frozen=True)
class _Shown:
    """A column as printed: its name, its header, and the text of each row; of ours, or of what was published."""

    name: str
    header: str
    texts: Sequence[str]
    is_published: bool = False

    @property
    def words(self) -> list[str]:
        """What its cells say beside nothing, each once."""
        return [text for text in dict.fromkeys(self.texts) if not _says_nothing(text)]

    @property
    def is_empty(self) -> bool:
        """Whether it has neither a number nor two words that differ."""
        return len(self.words) < 2 and not any(letter.isdigit() for word in self.words for letter in word)


def _shown(table: Table) -> tuple[list[_Shown], list[_Shown], list[_Shown]]:
    """The columns as printed: keys, measured ones (ours before published ones), and those with nothing in them."""
    keys = [_Shown(key, key, [row.keys[place] for row in table.rows]) for place, key in enumerate(table.keys)]
    ours, published = [], []
    for column in table.columns:
        data, cells = table.data_of(column), [table.cell(row, column) for row in table.rows]
        other = "" if data in (table.face.data, COUNTED) else data.name
        on = f"{column.header}, {other}" if other else column.header
        ours.append(_Shown(column.name, on, [_ours(cell, column, table.face) for cell in cells]))
        if any(cell.published for cell in cells):
            where = data.of_paper or other
            header = f"{column.header}, published" + (f" on {where}" if where else "")
            texts = [_published(cell, column.spec) for cell in cells]
            published.append(_Shown(column.name, header, texts, is_published=True))
    columns = [*ours, *published]
    told = [key for key in keys if not all(map(_says_nothing, key.texts))]
    return told, [one for one in columns if not one.is_empty], [one for one in columns if one.is_empty]


def _parts(keys: Sequence[_Shown], columns: Sequence[_Shown]) -> list[list[_Shown]]:
    """The columns of each grid: one for all where it fits, else as many as each needs, ours apart from published."""
    if _width(keys, columns) <= WIDTH:
        return [list(columns)] if columns else []
    parts: list[list[_Shown]] = []
    for column in columns:
        last = parts[-1] if parts else []
        alike = bool(last) and last[0].is_published == column.is_published
        if alike and _width(keys, [*last, column]) <= WIDTH:
            last.append(column)
        else:
            parts.append([column])
    return parts


def _width(keys: Sequence[_Shown], columns: Sequence[_Shown]) -> int:
    return max(map(len, _grid(keys, columns)))


def _grid(keys: Sequence[_Shown], columns: Sequence[_Shown]) -> list[str]:
    header, rows = _header_and_rows(keys, columns)
    return markdown_grid(header, rows, left=len(keys))


def _header_and_rows(keys: Sequence[_Shown], columns: Sequence[_Shown]) -> tuple[list[str], list[list[str]]]:
    """Header and rows; rows with nothing in these columns are left out."""
    header = [column.header for column in (*keys, *columns)]
    rows = zip(*(column.texts for column in (*keys, *columns)), strict=True)
    return header, [list(row) for row in rows if not all(map(_says_nothing, row[len(keys) :]))]


def _says_nothing(text: str) -> bool:
    return text in ("-", "", NOT_RECOVERED) or text.startswith(NOT_RUN)


def _ours(cell: Cell, column: Column, face: Face) -> str:
    over_seeds, spec = cell.summary, column.spec
    if over_seeds is None:
        return _not_run(face.edition) if cell.exact is None else _format(cell.exact, spec)
    said = format(over_seeds.mean, spec)
    if over_seeds.sd is not None and column.interval:
        ends = mean_interval(list(cell.seeds.values()))
        said += f" [{format(ends.low, spec)}, {format(ends.high, spec)}]"
    elif over_seeds.sd is not None:
        said += f" ± {format(over_seeds.sd, spec.removeprefix('+'))}"
    return said if over_seeds.n == face.n else f"{said} (n {over_seeds.n})"


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


def _notes(table: Table, columns: Sequence[_Shown], empty: Sequence[_Shown]) -> list[str]:
    """The table's notes, what its printed marks mean where they occur, and what is left out of it."""
    cells = [(column, table.cell(row, column)) for row in table.rows for column in table.columns]
    spreads = {column.interval for column, cell in cells if len(cell.seeds) > 1}
    differs = any(len(cell.seeds) not in (0, table.face.n) for _, cell in cells)
    over = f"over {table.face.n} seeds" + (", or as many as a cell says (n)" if differs else "")
    notes = list(table.notes)
    shown = {(one.name, one.is_published) for one in columns}
    for column in table.columns:
        data = table.data_of(column)
        if data not in (table.face.data, COUNTED) and {(column.name, False), (column.name, True)} & shown:
            notes.append(f"{column.header}: data {data}.")
    beside = [column for column in table.columns if {(column.name, False), (column.name, True)} <= shown]
    for data in dict.fromkeys(table.data_of(column) for column in beside):
        if data.of_paper:
            headers = "; ".join(column.header for column in beside if table.data_of(column) == data)
            notes.append(f"Published on {data.of_paper}, ours on {data.name}, so not comparable: {headers}.")
    if False in spreads:
        notes.append(f"Ours: mean ± standard deviation {over}.")
    if True in spreads:
        notes.append(f"In brackets: 95 % interval of the mean {over} (Student).")
    if any(cell.published is not None and cell.published.source not in RECOVERED for _, cell in cells):
        notes.append("Not recovered: the published number was read in no source.")
    return [*notes, *_left_out(table, columns, empty)]


def _left_out(table: Table, columns: Sequence[_Shown], empty: Sequence[_Shown]) -> Iterator[str]:
    """Which columns and rows have nothing in them, and what they say instead; they stand in the CSV."""
    for reason, names in _by_reason((column.header, column.texts) for column in empty):
        yield f"Left out, {reason}: {'; '.join(names)}."
    texts = zip(*(column.texts for column in columns), strict=True)
    rows = [(" / ".join(row.keys), of_row) for row, of_row in zip(table.rows, texts, strict=False)]
    for reason, names in _by_reason((name, of_row) for name, of_row in rows if all(map(_says_nothing, of_row))):
        few = f"row{'s' if len(names) > 1 else ''} {'; '.join(names)}"
        yield f"Left out, {reason}: {few if len(names) <= LISTED else f'{len(names)} rows'}."


def _by_reason(named: Iterable[tuple[str, Sequence[str]]]) -> Iterator[tuple[str, list[str]]]:
    """Names by the first of their texts that is a word; without those that have dashes alone."""
    found: dict[str, list[str]] = {}
    for name, texts in named:
        words = sorted((text for text in dict.fromkeys(texts) if text not in ("-", "")), key=_says_nothing)
        if words:
            found.setdefault(words[0], []).append(name)
    yield from found.items()


def _not_run(edition: str) -> str:
    return f"{NOT_RUN} at {edition}"


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
