"""``tenfold compare``: what this machine computed beside what is on record, cell by cell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.books.recorded import Ledger, Provenance, is_of_times
from tenfold.files import read_json, sha256
from tenfold.identity.equivalences import representative
from tenfold.identity.records import made_here, read_run_record

SAME, WITHIN, DIFFERS, SINGLE = "same bytes", "same within seed spread", "differs", "one seed: not judged"
NOT_HERE = "on record, not computed here"
Cell = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """One paper against its record.

    Attributes:
        name: edition and paper.
        outcome: ``same bytes``, ``same within seed spread``, ``differs``, or why there is nothing to compare.
        verdicts: how many claims got which word here.
        details: a line for each file or cell that is not the same.
    """

    name: str
    outcome: str
    verdicts: str
    details: list[str]

    def lines(self) -> list[str]:
        """The comparison for the eye."""
        head = f"{self.name}: {self.outcome}" + (f"; claims: {self.verdicts}" if self.verdicts else "")
        return [head, *(f"    {detail}" for detail in self.details)]


def compare(book: Ledger) -> Comparison:
    """Compares the tables, figures and verdicts below runs/ with those on record."""
    claims = book.runs / "claims.json"
    verdicts = _verdicts(read_json(claims)) if claims.exists() else ""
    provenance = book.provenance()
    if provenance is None:
        return Comparison(book.name, "not on record", verdicts, [])
    recorded = [path for path in sorted(book.folder.rglob("*")) if _is_compared(book, path)]
    here = {path: book.runs / path.relative_to(book.folder) for path in recorded}
    missing = [path for path in here.values() if not path.exists()]
    if len(missing) == len(recorded):
        return Comparison(book.name, NOT_HERE, verdicts, [])
    changed = [path for path in recorded if here[path].exists() and sha256(path) != sha256(here[path])]
    details = [f"{path}: is missing here" for path in missing]
    if not changed and not missing:
        return Comparison(book.name, SAME, verdicts, [])
    by_hand = [here[path] for path in changed if not made_here(here[path])]
    if by_hand:
        details += [
            f"{path}: is neither as recorded nor as a job here left it; snakemake -f {path}" for path in by_hand
        ]
        return Comparison(book.name, DIFFERS, verdicts, details)
    same_platform, same_work = _circumstances(provenance, [here[path].as_posix() for path in changed])
    if not same_work:
        details.append("settings or code are not the recorded ones")
    elif same_platform:
        details += [f"{here[path]}: {DIFFERS}, on an equal platform with equal settings and code" for path in changed]
        return Comparison(book.name, DIFFERS, verdicts, details)
    outcomes = []
    for path in changed:
        if path.name.endswith(".cells.json"):
            found = compare_cells(read_json(path), read_json(here[path]))
            outcomes += [outcome for _, outcome in found]
            details += [f"{here[path].name.removesuffix('.cells.json')}: {text}: {outcome}" for text, outcome in found
                        if outcome in (DIFFERS, SINGLE)]  # fmt: skip
    if not any(path.name.endswith(".cells.json") for path in changed):
        details += [f"{here[path]}: {DIFFERS}, though every cell of every table is the same" for path in changed]
        outcomes.append(DIFFERS)
    outcome = DIFFERS if missing or DIFFERS in outcomes else WITHIN
    return Comparison(book.name, outcome, verdicts, details)


def _is_compared(book: Ledger, path: Path) -> bool:
    below = path.relative_to(book.folder).parts
    return (
        path.is_file()
        and (below[0] in ("tables", "figures") or below == ("claims.json",))
        and not is_of_times(path.name)
    )


def _circumstances(provenance: Provenance, changed: list[str]) -> tuple[bool, bool]:
    """Whether what leads to the files was done on the recorded platform, and by the recorded settings and code."""
    same_platform, same_work = True, True
    waiting, seen = list(changed), set()
    while waiting:
        output = waiting.pop()
        job, run = provenance.job_of.get(output), read_run_record(Path(output))
        if output in seen or job is None:
            continue
        seen.add(output)
        if run is not None:
            same_platform &= run["platform"] == provenance.platforms[job.platform]
            same_work &= run["cfg"] == job.cfg and representative(run["code"]) == representative(job.code)
        waiting += job.inputs
    return same_platform, same_work


def compare_cells(recorded: dict[str, Any], here: dict[str, Any]) -> list[tuple[str, str]]:
    """Compares a table's cells (the content of two ``.cells.json``), in the recorded order, new ones last.

    A cell with seeds is two samples of one quantity; a count or a result of arithmetic has to be equal.

    Returns:
        For each cell what it is, with both values, and the outcome.
    """
    ours, theirs = _by_place(here), _by_place(recorded)
    return [_compare_cell(place, theirs.get(place), ours.get(place)) for place in dict.fromkeys([*theirs, *ours])]


def _by_place(table: dict[str, Any]) -> dict[tuple[str, str], Cell]:
    return {(" / ".join(cell["row"]), cell["column"]): cell for cell in table["cells"]}


def _compare_cell(place: tuple[str, str], recorded: Cell | None, here: Cell | None) -> tuple[str, str]:
    from tenfold.measure.statistics import compare_samples, summary

    where = f"{place[0]}, {place[1]}"
    if recorded is None or here is None:
        return f"{where}: only {'here' if recorded is None else 'on record'}", DIFFERS
    if not recorded["values"] or not here["values"]:
        same = recorded["exact"] == here["exact"] and not recorded["values"] and not here["values"]
        return f"{where}: {here['exact']}, on record {recorded['exact']}", SAME if same else DIFFERS
    first, second = summary(recorded["values"]), summary(here["values"])
    text = f"{where}: {second.mean:.6g} (n {second.n}), on record {first.mean:.6g} (n {first.n})"
    if recorded["values"] == here["values"] and recorded["seeds"] == here["seeds"]:
        return text, SAME
    compared = compare_samples(first, second, resolution=recorded["resolution"])
    if compared is None:
        return text, SINGLE
    return f"{text}, may differ by {compared.allowed:.3g}", WITHIN if compared.same else DIFFERS


def _verdicts(claims: dict[str, Any]) -> str:
    words = Counter(claim["verdict"] or f"pipeline check {claim['pipeline_check']}" for claim in claims["claims"])
    return ", ".join(f"{count} {word}" for word, count in words.items())
