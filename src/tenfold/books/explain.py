"""``tenfold explain``: where a file, a cell of a table or a claim comes from, in a few lines or down to the data."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold import config
from tenfold.books import history
from tenfold.books.lineage import Origin, Records, made_path
from tenfold.books.recorded import RESULTS, ledgers
from tenfold.errors import UserError
from tenfold.files import read_json, sha256

WANTED = "FILE, TABLE.csv:ROW:COLUMN, PAPER:CLAIM or EDITION/PAPER:CLAIM is wanted (tenfold list PAPER names files)"
TABLE_SUFFIXES = (".cells.json", ".csv", ".md", ".tex")
SCOREBOARD_KEYS = 2  # its rows are told by paper and claim
LISTED = 3  # files or kinds of jobs that are named
PARTS = {
    ".sd": "the standard deviation over seeds",
    ".n": "the number of seeds",
    ".published": "the published number",
    ".source": "where the published number was read",
}


@dataclass
class Answer:
    """What there is to say of what was asked.

    Attributes:
        what: what was asked for, in a line.
        facts: name -> line; what is empty is left out.
        warned: lines to say first.
        files: what its number or its bytes come from.
        table: the file that shows it, where that is another one.
        content: the number's own facts, for a machine.
    """

    what: str
    files: list[Path]
    facts: dict[str, str] = field(default_factory=dict)
    warned: list[str] = field(default_factory=list)
    table: Path | None = None
    content: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What there is to say, for the terminal."""
        return [*self.warned, self.what, *(f"  {name:9}  {text}" for name, text in self.facts.items() if text)]


def explain(asked: str, *, full: bool = False, as_json: bool = False) -> list[str]:
    """Where a file, a cell or a claim comes from, as lines.

    Args:
        asked: a file below runs/ or results/; a cell ``TABLE.csv:ROW:COLUMN``, where ROW is the text of its key columns
            joined by `` / ``, or its number (the first is 1), and COLUMN any column of the CSV; a claim ``sge:C1`` (at
            the configured edition), ``real/sge:C1`` or ``claims.json:C1``; the name of an artifact of ``dvc.yaml``.
        full: the whole lineage, down to the data.
        as_json: all of it, for a machine.

    Raises:
        UserError: there is no such thing, or nothing is known of it; says what there is.
    """
    records = Records()
    answer = answer_to(asked, records)
    shown = [*answer.files, *([answer.table] if answer.table else [])]
    if as_json:
        behind = {name: origin.facts(name) if origin else None for name, origin in records.all_behind(shown).items()}
        content = {"asked": asked, "what": answer.what, "facts": answer.facts, "warned": answer.warned,
                   "files": [path.as_posix() for path in shown], "lineage": behind, **answer.content}  # fmt: skip
        return [json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1)]
    lines = answer.lines()
    if not full:
        return [*lines, "  more       --full: the whole lineage, down to the data; --json: for a machine"]
    seen: set[str] = set()
    for file in answer.files:
        lines += records.lines(file, "  ", seen)
    if answer.table:
        lines += ["the file that shows it:", *records.lines(answer.table, "  ", seen, deep=False)]
    return lines


def answer_to(asked: str, records: Records) -> Answer:
    """What there is to say of a file, a cell or a claim, as ``explain`` is asked for it; errors are the same.

    Args:
        asked: as in ``explain``.
        records: all that is on record; who asks for many things reads it once.
    """
    for book in ledgers():
        if book.kept_headline is not None and asked == f"{book.slug}-{book.edition}":
            return _of_file(book.kept_headline, records)
    name, *rest = asked.split(":")
    path, place = Path(name), ":".join(rest)
    parts = name.split("/")
    if place and not path.is_file() and len(parts) < 3 and parts[-1] in config.papers():
        edition = parts[0] if len(parts) == 2 else str(config.house()["edition"])
        return _of_claim(Path("runs", edition, parts[-1], "claims.json"), place, records)
    if place and path.name == "claims.json":
        return _of_claim(path, place, records)
    if place and path.suffix in (".csv", ".md", ".tex", ".json"):
        return _of_cell(path, place, records)
    return _of_file(path if not place else Path(asked), records)


def _of_file(path: Path, records: Records) -> Answer:
    made = made_path(path)
    warned = list(_not_as_recorded(path, records))
    origin = records.origin(made)
    if path.is_dir() and origin is None:
        raise UserError(f"{path}: is a folder; {WANTED}")
    if origin is None and _is_scoreboard(path) and path.exists():
        claims = sorted(_here(path).parent.glob("*/claims.json"))
        return Answer(path.as_posix(), [made_path(claim) for claim in claims],
                      {"made from": f"the verdicts of {len(claims)} papers; ask for one of its claims: "
                                    f"{path}:ROW:COLUMN or EDITION/PAPER:CLAIM"}, warned)  # fmt: skip
    if origin is None:
        missing = "there is no such file" if not path.exists() else "no job is known that made it"
        raise UserError(warned[0] if warned else f"{path}: {missing}; {WANTED}")
    facts = {
        "made by": _jobs([(made, origin)]),
        "on": _machine([origin]),
        "from": _few(sorted(origin.inputs)),
        "sha256": origin.checksum or "measured times have none",
        **_standing([made], records),
        "again": f"snakemake --force {made}",
    }
    return Answer(path.as_posix(), [made], facts, warned)


def _of_cell(table: Path, place: str, records: Records) -> Answer:
    """The answer on one cell of a CSV, whichever form of the table was named."""
    file = _here(_csv_of(table))
    if not file.is_file():
        raise UserError(f"{table}: there is no such table; {WANTED}")
    header, *rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    keys = header[: _number_of_keys(file, header)]
    names = [" / ".join(row[: len(keys)]) for row in rows]
    if ":" not in place:
        raise UserError(f"{table}:{place}: lacks a column: ROW:COLUMN, with a column of {', '.join(header)}")
    wanted, column = place.rsplit(":", 1)
    index = names.index(wanted) if wanted in names else int(wanted) - 1 if wanted.isdigit() else -1
    if not 0 <= index < len(rows):
        listed = ", ".join(dict.fromkeys(names))
        raise UserError(f"{table}: has no row '{wanted}'; allowed: 1 to {len(rows)}, or {listed}")
    row = dict(zip(header, rows[index], strict=True))
    if column not in row:
        raise UserError(f"{table}: has no column '{column}'; allowed: {', '.join(header)}")
    warned = list(_not_as_recorded(table, records))
    if _is_scoreboard(file):
        claims = file.parent / row["paper"] / "claims.json"
        answer = _of_claim(claims, row["id"], records)
        answer.what = f"{table}, {column} of {names[index]}: {row[column] or '-'}\n{answer.what}"
        answer.warned = warned + answer.warned
        return answer
    stem = next((column.removesuffix(part) for part in (*PARTS, "")
                 if column.endswith(part) and f"{column.removesuffix(part)}.sd" in row), "")  # fmt: skip
    cell = _lineage_of_cell(file, rows[index][: len(keys)], stem)
    meaning = _meaning(column, stem, row, cell, is_label=column in keys)
    what = f"{table}, {column} of {names[index]}: {row[column] or '-'} ({meaning})"
    made = made_path(file)
    files = [Path(name) for name in cell["files"]] if cell else [made]
    jobs = [(path, origin) for path in files if (origin := records.origin(path)) is not None]
    if not jobs and records.origin(made) is None and "rows" not in file.parts:  # single rows have records of their own
        raise UserError(warned[0] if warned else f"{table}: no job is known that made it; {WANTED}")
    facts = {
        "value": _value(row, stem) if stem else "",
        "seeds": _seeds(cell),
        "published": _published(row, stem),
        "of": f"edition {row['edition']}, {cell['data'] if cell else row['data']}" if "edition" in row else "",
        "made by": _jobs(jobs),
        "from": _few([path.as_posix() for path in files]),
        "on": _machine([origin for _, origin in jobs]),
        **_standing(files, records),
    }
    content = {"row": row, "column": column, "meaning": meaning, "cell": cell}
    return Answer(what, files, facts, warned, made if made not in files else None, content)


def _meaning(column: str, stem: str, row: dict[str, str], cell: dict[str, Any] | None, *, is_label: bool) -> str:
    """What a column of a table's CSV is."""
    if not stem:
        return "a label of the row" if is_label else "said of the whole row" if "precision" in row else "as in the file"
    if column != stem:
        return f"{PARTS[column.removeprefix(stem)]} of {stem}"
    if cell is None:
        return "not measured"
    return "the mean over seeds" if cell["seeds"] else "a count, or arithmetic"


def _of_claim(file: Path, claim: str, records: Records) -> Answer:
    rows = RESULTS.joinpath(*file.parts[1:-1], "rows", file.name)
    if not _here(file).is_file() and rows.is_file():  # decided on what single rows say
        file = rows
    here, made = _here(file), made_path(file)
    edition, slug = made.parts[1:3] if len(made.parts) > 3 else ("", "")
    if not here.is_file():
        recorded = ", ".join(book.name for book in ledgers())
        raise UserError(f"{edition}/{slug}: has no verdicts here; on record: {recorded or 'nothing'}")
    found = {entry["id"]: entry for entry in read_json(here)["claims"]}
    if claim not in found:
        raise UserError(f"{edition}/{slug}: has no claim '{claim}'; allowed: {', '.join(found)}")
    entry, origin, of_rows = found[claim], records.origin(made), here.with_name("table-rows.cells.json")
    if origin is not None:
        files = [Path(path) for path in sorted(origin.inputs)]
    elif of_rows.is_file():
        files = sorted({Path(path) for cell in read_json(of_rows)["cells"] for path in cell["files"]})
    else:
        raise UserError(f"{made}: no job is known that made it; snakemake --force {made}")
    jobs = [(path, behind) for path in files if (behind := records.origin(path)) is not None]
    printed, check = entry["printed"], entry["pipeline_check"]
    ours = [f"{read['reading']} {read['printed']['ours']}{f', n {n}' if (n := read['n']) else ''}".strip()
            for read in entry["readings"]]  # fmt: skip
    cells = [f"{cell['label']}: {cell.get('estimate', cell.get('measured')):.4g}" for read in entry["readings"]
             for cell in read["cells"]
             if isinstance(cell.get("estimate", cell.get("measured")), (int, float))]  # fmt: skip
    facts = {
        "verdict": f"{entry['verdict']}{f'; pipeline check: {check}' if check else ''}",
        "ours": "; ".join(ours),
        "gate": printed["gate"],
        "published": f"{printed['published']} ({entry['source']})",
        "in words": entry["sentence"],
        "effects": "; ".join(cells),
        "made by": f"{origin.rule if origin else 'tenfold record --rows'}, from {_jobs(jobs)}",
        "on": _machine([behind for _, behind in jobs if behind.seeds]),
        **_standing([made] if origin else files, records),
        "claim": _fixed_before(slug, claim, jobs),
    }
    what = f"{slug}, claim {claim} at {edition}: {entry['claim']}"
    warned = list(_not_as_recorded(file, records))
    return Answer(what, files, facts, warned, made if origin else None, {"claim": entry})


def _fixed_before(slug: str, claim: str, jobs: list[tuple[Path, Origin]]) -> str:
    """Since when the claim's entry in the configuration stands, and whether that is before the record of its runs."""
    file = Path("config", "papers", f"{slug}.yaml")
    if reason := history.why_unknown():
        return f"whether it was fixed before its runs cannot be told: {reason}"
    block = re.compile(rf"^  - id: {re.escape(claim)}\n(?:    .*\n)*", flags=re.MULTILINE)
    stands = history.lines_stand_since(file, block)
    if stands is None:
        return f"its entry in {file} is not committed as it stands"
    trained = {origin.checksum: origin.kept_in for _, origin in jobs
               if origin.seeds and origin.checksum and origin.kept_in}  # fmt: skip
    since = history.on_record_since([*trained], [*{*trained.values()}])
    said = f"its entry in {file} stands since {stands}"
    if not since:
        return f"{said}; no trained run of it is on record"
    after = [commit for commit in dict.fromkeys(since.values()) if not history.is_before(stands, commit)]
    if not after:
        return f"{said}, before its runs went on record ({_few([*map(str, dict.fromkeys(since.values()))])})"
    if after == [stands]:
        return f"{said}, in one commit with runs of it: which came first cannot be told"
    return (
        f"{said}, AFTER runs of it went on record ({_few([*map(str, after)])}); "
        f"what that changed: git show {stands.name} -- {file}"
    )


def _standing(files: list[Path], records: Records) -> dict[str, str]:
    """The record that files are on and since when, and how their code stands to today's."""
    origins = [origin for file in files if (origin := records.origin(file)) is not None]
    checksums = {origin.checksum for origin in origins if origin.checksum and origin.kept_in}
    since = records.since(checksums, [origin.kept_in for origin in origins if origin.kept_in])
    first = _few([str(commit) for commit in dict.fromkeys(since.values())])
    unknown = f"; since when cannot be told: {history.why_unknown()}" if checksums and not since else ""
    said = _few(list(dict.fromkeys(origin.source for origin in origins)))
    return {
        "record": f"{said}{f'; these bytes since {first}' if first else unknown}",
        "code": "; ".join(dict.fromkeys(f"{origin.code} ({origin.code_today})" for origin in origins[:LISTED])),
    }


def _jobs(jobs: list[tuple[Path, Origin]]) -> str:
    """The jobs behind some files, by rule: how many, the arm if it is one, and the seeds."""
    by_rule: defaultdict[str, dict[str, Origin]] = defaultdict(dict)
    for _, origin in jobs:  # of which several may be of one job: metrics, and how the training went
        by_rule[origin.rule][json.dumps(origin.cfg, sort_keys=True)] = origin
    said = []
    for rule, origins in by_rule.items():
        one = next(iter(origins.values()))
        arm = f" arm {one.cfg['arm']}" if len(origins) == 1 and "arm" in one.cfg else ""
        every = sorted({seed for origin in origins.values() for seed in origin.seeds})
        seeds = f", seeds {' '.join(map(str, every))}" if every else ""
        said.append(f"{rule}{arm}{seeds}" if len(origins) == 1 else f"{rule} ({len(origins)} jobs{seeds})")
    return "; ".join(said)


def _machine(origins: list[Origin]) -> str:
    """Where jobs computed: device, precision, processor or GPU, torch."""
    said = []
    for origin in origins:
        facts = origin.platform
        device = " ".join(str(facts[key]) for key in ("device", "precision") if key in facts)
        name = facts.get("gpu") or facts.get("cpu", {}).get("name", "")
        torch = f"torch {facts['torch']}" if "torch" in facts else f"Python {facts.get('python', '')}"
        said.append(", ".join(filter(None, [device, name if isinstance(name, str) else str(name), torch])))
    return "; ".join(dict.fromkeys(said))


def _value(row: dict[str, str], stem: str) -> str:
    """``66.87 (sd 0.52, n 5)``; what was not run says so itself."""
    spread = ", ".join(f"{part} {float(row[f'{stem}.{part}']):.3g}" for part in ("sd", "n") if row[f"{stem}.{part}"])
    return f"{_short(row[stem])}{f' (mean; {spread})' if spread else ''}"


def _short(text: str) -> str:
    try:
        return f"{float(text):.6g}" if not text.lstrip("-").isdigit() else text
    except ValueError:
        return text


def _seeds(cell: dict[str, Any] | None) -> str:
    if cell is None or not cell["seeds"]:
        return ""
    return "  ".join(f"{seed}: {value:.6g}" for seed, value in zip(cell["seeds"], cell["values"], strict=True))


def _published(row: dict[str, str], stem: str) -> str:
    if not stem:
        return ""
    source = row[f"{stem}.source"]
    return f"{_short(row[f'{stem}.published'])} ({source})" if source else "the paper has no such number"


def _lineage_of_cell(file: Path, keys: list[str], column: str) -> dict[str, Any] | None:
    """What a table's ``.cells.json`` says of a cell; None where it was not run, or is no measured one."""
    cells_file = _cells_file(file)
    if cells_file is None or not cells_file.exists():
        return None
    cells: list[dict[str, Any]] = read_json(cells_file)["cells"]
    return next((cell for cell in cells if cell["row"] == keys and cell["column"] == column), None)


def _number_of_keys(file: Path, header: list[str]) -> int:
    """How many columns tell a row from the others: those before the first measured one."""
    if _is_scoreboard(file):
        return SCOREBOARD_KEYS
    return next((header.index(name.removesuffix(".sd")) for name in header if name.endswith(".sd")), 1)


def _is_scoreboard(file: Path) -> bool:
    return file.stem == "scoreboard" and len(file.parts) == 3


def _here(path: Path) -> Path:
    """A file, or where it is not here the recorded one."""
    kept = RESULTS.joinpath(*path.parts[1:])
    return kept if path.parts[:1] == ("runs",) and not path.exists() and kept.exists() else path


def _csv_of(table: Path) -> Path:
    return table.with_name(f"{stem}.csv") if (stem := _stem(table)) is not None else table


def _cells_file(table: Path) -> Path | None:
    """Where the lineage of a table's cells is."""
    return table.with_name(f"{stem}.cells.json") if (stem := _stem(table)) is not None else None


def _stem(table: Path) -> str | None:
    return next((table.name.removesuffix(suffix) for suffix in TABLE_SUFFIXES if table.name.endswith(suffix)), None)


def _few(names: list[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _not_as_recorded(path: Path, records: Records) -> Iterator[str]:
    """A line for the asked file, and for the cells of a table, where they are not what is on record."""
    for file in dict.fromkeys([path, _cells_file(path) or path]):
        recorded = records.checksums(made_path(file))
        found = sha256(file) if file.is_file() else None
        made_here = records.origin(file)
        if recorded and found is not None and found not in recorded and not (made_here and not made_here.book):
            yield f"{file}: IS NOT AS RECORDED: it has SHA-256 {found}, on record is {', '.join(sorted(recorded))}"
