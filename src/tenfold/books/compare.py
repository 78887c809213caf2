"""``tenfold compare``: what this machine computed beside what is on record, cell by cell.

What is trained is declared, not guessed from numbers: a job whose ``cfg`` has ``compute`` trains or asks what was
trained, on a device, and whatever was made of its files is a draw. On another platform a draw is held to the spread of
seeds; counts and arithmetic have to be the same everywhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tenfold.books.recorded import Ledger, Provenance, is_of_times
from tenfold.files import read_json, sha256
from tenfold.identity.equivalences import representative
from tenfold.identity.records import made_here, read_run_record

SAME, WITHIN, DIFFERS, NOT_JUDGED = "same bytes", "same within seed spread", "differs", "not judged"
NOT_HERE = "on record, not computed here"
ROUNDING = 1e-9  # relative: what another processor's order of summation may change in arithmetic
CONFIDENCE = 0.999  # of one trained cell: so few of a thousand leave the spread of seeds by chance
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
    is_trained = trained_of(provenance)
    outcomes = []
    for path in changed:
        if path.name.endswith(".cells.json"):
            found = compare_cells(read_json(path), read_json(here[path]), is_trained)
            name = path.name.removesuffix(".cells.json")
            outcomes += [outcome for _, outcome in found]
            details += [f"{name}: {text}: {outcome}" for text, outcome in found if outcome in (DIFFERS, NOT_JUDGED)]
            details += _by_chance(name, found)
        elif not is_trained(here[path].as_posix()):
            outcomes.append(DIFFERS)
            details.append(f"{here[path]}: {DIFFERS}, though nothing in it is trained")
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


def trained_of(provenance: Provenance) -> Callable[[str], bool]:
    """Tells whether a job of the record trained, or asked what was trained, on the way to a file."""

    @cache
    def is_trained(path: str) -> bool:
        job = provenance.job_of.get(path)
        return job is not None and ("compute" in job.cfg or any(map(is_trained, job.inputs)))

    return is_trained


def compare_cells(
    recorded: dict[str, Any], here: dict[str, Any], is_trained: Callable[[str], bool]
) -> list[tuple[str, str]]:
    """Compares a table's cells (the content of two ``.cells.json``), in the recorded order, new ones last.

    Args:
        recorded: the table on record.
        here: the table that was made here, on another platform.
        is_trained: whether a file of metrics is a draw, not arithmetic.

    Returns:
        For each cell what it is, with both values, and the outcome.
    """
    ours, theirs = _by_place(here), _by_place(recorded)
    places = dict.fromkeys([*theirs, *ours])
    return [_compare_cell(place, theirs.get(place), ours.get(place), is_trained) for place in places]


def _by_place(table: dict[str, Any]) -> dict[tuple[str, str], Cell]:
    return {(" / ".join(cell["row"]), cell["column"]): cell for cell in table["cells"]}


def _compare_cell(
    place: tuple[str, str], recorded: Cell | None, here: Cell | None, is_trained: Callable[[str], bool]
) -> tuple[str, str]:
    where = f"{place[0]}, {place[1]}"
    if recorded is None or here is None:
        return f"{where}: only {'here' if recorded is None else 'on record'}", DIFFERS
    text = f"{where}: {_shown(here)}, on record {_shown(recorded)}"
    if all(recorded[part] == here[part] for part in ("values", "seeds", "exact")):
        return text, SAME
    if not any(map(is_trained, recorded["files"])):
        return text, WITHIN if _same_arithmetic(recorded, here) else DIFFERS
    if recorded["values"] and here["values"]:
        reason, outcome = _judge_draws(recorded, here)
        return f"{text}, {reason}", outcome
    if any(isinstance(cell["exact"], str) for cell in (recorded, here)):  # "undefined", as a constant's correlation is
        return f"{text}, no numbers of one kind", NOT_JUDGED
    return text, DIFFERS


def _shown(cell: Cell) -> str:
    from tenfold.measure.statistics import summary

    if not cell["values"]:
        return str(cell["exact"])
    over_seeds = summary(cell["values"])
    return f"{over_seeds.mean:.6g} (n {over_seeds.n})"


def _same_arithmetic(recorded: Cell, here: Cell) -> bool:
    """Whether each value is the same but for rounding; counts, which are integers, exactly."""
    if recorded["seeds"] != here["seeds"]:
        return False
    pairs = list(zip([*recorded["values"], recorded["exact"]], [*here["values"], here["exact"]], strict=True))
    return all(
        math.isclose(theirs, ours, rel_tol=ROUNDING) if isinstance(theirs, float) and isinstance(ours, float)
        else theirs == ours
        for theirs, ours in pairs
    )  # fmt: skip


def _judge_draws(recorded: Cell, here: Cell) -> tuple[str, str]:
    """Two samples of one trained quantity: by how much their means may differ, or why that is not known.

    Seeds that all agree say nothing of how far another draw may lie, so where neither sample has a spread only a
    difference below the printed digits is known to be none.
    """
    from tenfold.measure.statistics import compare_samples, summary

    first, second = summary(recorded["values"]), summary(here["values"])
    compared = compare_samples(first, second, resolution=recorded["resolution"], confidence=CONFIDENCE)
    if compared is None:
        return "one seed", NOT_JUDGED
    if not compared.same and not first.sd and not second.sd:
        return "no spread among seeds", NOT_JUDGED
    return f"may differ by {compared.allowed:.3g}", WITHIN if compared.same else DIFFERS


def _by_chance(table: str, found: list[tuple[str, str]]) -> list[str]:
    """How many of a table's cells could differ by chance, beside how many do."""
    count = Counter(outcome for _, outcome in found)
    judged = count[WITHIN] + count[DIFFERS]
    chance = judged * (1 - CONFIDENCE)
    if not count[DIFFERS]:
        return []
    return [f"{table}: {count[DIFFERS]} of {judged} cells differ; by chance alone {chance:.2g} would"]


def _verdicts(claims: dict[str, Any]) -> str:
    words = Counter(claim["verdict"] or f"pipeline check {claim['pipeline_check']}" for claim in claims["claims"])
    return ", ".join(f"{count} {word}" for word, count in words.items())
