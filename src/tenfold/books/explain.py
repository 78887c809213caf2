"""``tenfold explain``: where a file, or one cell of a table, comes from, down to the data."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.books.recorded import RESULTS, Job, Ledger, ledgers
from tenfold.errors import UserError
from tenfold.files import canonical_json, read_json, sha256
from tenfold.identity import digest
from tenfold.identity.equivalences import replayed_at, representative
from tenfold.identity.records import read_run_record

TABLE_SUFFIXES = (".cells.json", ".csv", ".md", ".tex")


@dataclass(frozen=True)
class Origin:
    """How a file was made, and who says so: a record in git, or the run record beside the file."""

    source: str
    rule: str
    module: str
    stage: str
    cfg: dict[str, Any]
    code: str
    seeds: list[int]
    inputs: dict[str, str | None]
    checksum: str | None
    platform: dict[str, Any]


def explain(asked: str) -> list[str]:
    """The lineage of ``FILE`` or of ``FILE:ROW:COLUMN``, as lines.

    Args:
        asked: a file below runs/ or results/; ROW is the text of its key columns joined by `` / ``, or its number
            (the first is 1); COLUMN is a name in the table's CSV.

    Raises:
        UserError: no such file, row or column, or nothing is known of it.
    """
    name, row, column = asked, "", ""
    if not Path(asked).exists() and asked.count(":") >= 2:
        name, row, column = asked.rsplit(":", 2)
    path = Path(name)
    warned = list(_not_as_recorded(path))
    if path.is_dir() or _origin(_made(path)) is None:
        unknown = (
            f"{name}: no job is known that made such a file; FILE or FILE:ROW:COLUMN of runs/ or results/ is wanted"
        )
        raise UserError(warned[0] if warned else unknown)
    if not row:
        return [*warned, *_lineage(_made(path), "", set())]
    cell = find_cell(path, row, column)
    value = cell["exact"] if not cell["values"] else " ".join(f"{value:.6g}" for value in cell["values"])
    seeds = f"seeds {' '.join(map(str, cell['seeds']))}: " if cell["seeds"] else ""
    lines = [
        *warned,
        f"{' / '.join(cell['row'])}, {cell['column']} ({cell['edition']}, {cell['data']}): {seeds}{value}",
    ]
    seen: set[str] = set()
    for file in cell["files"]:
        lines += _lineage(Path(file), "  ", seen)
    lines += ["the table itself:", *_lineage(_made(path), "  ", seen, deep=False)]
    return lines


def find_cell(table: Path, row: str, column: str) -> dict[str, Any]:
    """One cell of a table, from its ``.cells.json``.

    Raises:
        UserError: the table has no lineage file, or no such cell; says which there are.
    """
    cells_file = _cells_file(table)
    if cells_file is None or not cells_file.exists():
        raise UserError(f"{table}: is not a table with a lineage file (.cells.json)")
    cells: list[dict[str, Any]] = read_json(cells_file)["cells"]
    rows = list(dict.fromkeys(" / ".join(cell["row"]) for cell in cells))
    wanted = rows[int(row) - 1] if row.isdigit() and 0 < int(row) <= len(rows) else row
    if wanted not in rows:
        raise UserError(f"{table}: has no row '{row}'; allowed: 1 to {len(rows)}, or {', '.join(rows)}")
    found = [cell for cell in cells if " / ".join(cell["row"]) == wanted]
    for cell in found:
        if cell["column"] == column:
            return cell
    raise UserError(
        f"{table}: row '{wanted}' has no column '{column}'; allowed: {', '.join(c['column'] for c in found)}"
    )


def _not_as_recorded(path: Path) -> Iterator[str]:
    """A line for the asked file, and for the cells of a table, where they are not what is on record."""
    for file in dict.fromkeys([path, _cells_file(path) or path]):
        recorded = {job.outputs[name] for name, job in _recorded(_made(file))} - {None}
        run = read_run_record(file)
        found = sha256(file) if file.is_file() else None
        if recorded and found is not None and found not in recorded and not (run and run["sha256"] == found):
            yield f"{file}: IS NOT AS RECORDED: it has SHA-256 {found}, on record is {', '.join(map(str, recorded))}"


def _cells_file(table: Path) -> Path | None:
    """Where the lineage of a table's cells is."""
    stem = next((table.name.removesuffix(suffix) for suffix in TABLE_SUFFIXES if table.name.endswith(suffix)), None)
    return table.with_name(f"{stem}.cells.json") if stem is not None else None


def _made(path: Path) -> Path:
    """Where a recorded file lies when it is made: results/small/sge/... -> runs/small/sge/...; a headline, too."""
    for book in ledgers():
        if path == book.kept_headline and book.headline is not None:
            return book.headline
    return Path("runs", *path.parts[1:]) if path.parts[:1] == (RESULTS.name,) else path


def _recorded(path: Path) -> Iterator[tuple[str, Job]]:
    """The jobs on record that made a file."""
    for book in ledgers():
        provenance = book.provenance()
        if provenance is not None and path.as_posix() in provenance.job_of:
            yield path.as_posix(), provenance.job_of[path.as_posix()]


def _lineage(path: Path, indent: str, seen: set[str], *, deep: bool = True) -> Iterator[str]:
    origin = _origin(path)
    name = path.as_posix()
    if name in seen:
        yield f"{indent}{name} (as above)"
        return
    seen.add(name)
    if origin is None:
        yield f"{indent}{name}: nothing is known of how it was made"
        return
    facts = {
        "sha256": origin.checksum or "measured times have none",
        "rule": f"{origin.rule} ({origin.module})",
        "cfg": canonical_json(origin.cfg),
        "seeds": " ".join(map(str, origin.seeds)),
        "code": f"{origin.code} ({_beside_today(origin)})",
        "record": origin.source,
        "platform": canonical_json(origin.platform),
        "command": f"snakemake --force {name}",
    }
    yield f"{indent}{name}"
    yield from (f"{indent}  {fact:9} {text}" for fact, text in facts.items() if text)
    for source, checksum in sorted(origin.inputs.items()):
        yield f"{indent}  from      {source} {checksum or ''}".rstrip()
    if deep:
        for source in sorted(origin.inputs):
            yield from _lineage(Path(source), indent + "  ", seen)


def _beside_today(origin: Origin) -> str:
    """How the code that made a file stands to today's."""
    try:
        today = digest.of_job(origin.module, origin.stage, origin.cfg)
    except KeyError:
        return f"today there is no stage {origin.module}.{origin.stage}"
    if today == origin.code:
        return "today's"
    if representative(today) == representative(origin.code):
        return f"today's is {today}, replayed equal at {replayed_at(origin.code, today)}"
    return f"today's is {today}"


def _origin(path: Path) -> Origin | None:
    """What is recorded of a file; what its run record says, if the bytes are other ones."""
    name = path.as_posix()
    found = sha256(path) if path.is_file() else None
    for book in ledgers():
        provenance = book.provenance()
        job = provenance.job_of.get(name) if provenance else None
        if provenance is not None and job is not None and (found is None or job.outputs[name] in (None, found)):
            return Origin(
                _commit(book), job.rule, job.module, job.stage, job.cfg, job.code, job.seeds, job.inputs,
                job.outputs[name], provenance.platforms[job.platform],
            )  # fmt: skip
    run = read_run_record(path)
    if run is None or (found is not None and run["sha256"] != found):
        return None
    source = "made here, not on record"
    return Origin(source, run["stage"], run["module"], run["stage"], run["cfg"], run["code"], run["seeds"],
                  run["inputs"], run["sha256"], run["platform"])  # fmt: skip


def _commit(book: Ledger) -> str:
    command = ["git", "log", "-1", "--format=%h of %cs", "--", str(book.provenance_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"commit {done.stdout.strip()}" if done.returncode == 0 and done.stdout.strip() else "not committed yet"
