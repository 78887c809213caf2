"""Which digests stand for the same code in effect, as `tenfold replay` has shown: ``results/equivalences.json``.

An entry says that the code of one digest was run beside the code of another on the same probe, and that every output
was the same, byte for byte. It does not say that numbers of a full run are the same: a branch that only the full scale
takes was not seen.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tenfold.files import read_json, write_json
from tenfold.identity.digest import ROOT

FORMAT = 1
EQUIVALENCES = ROOT / "results" / "equivalences.json"

Entry = dict[str, Any]  # recorded, today (two digests), commit (of today's code), and what was run to show it


def representative(code: str) -> str:
    """The one digest that stands for all that are equal to it; the digest itself where it was never replayed."""
    return _top(code, _parents(EQUIVALENCES))


def replayed_at(recorded: str, today: str) -> str:
    """The commits at which it was shown that two digests are equal, in the order of the entries."""
    wanted = {recorded, today}
    pairs = [entry for entry in read() if {entry["recorded"], entry["today"]} & wanted]
    return ", ".join(dict.fromkeys(str(entry["commit"]) for entry in pairs))


def read() -> list[Entry]:
    """All entries, in the order in which they were added."""
    entries: list[Entry] = read_json(EQUIVALENCES)["replayed"] if EQUIVALENCES.exists() else []
    return entries


def add(entries: list[Entry]) -> None:
    """Adds entries to the file."""
    write_json(EQUIVALENCES, {"format": FORMAT, "replayed": [*read(), *entries]})
    _parents.cache_clear()


@cache
def _parents(_path: Path) -> dict[str, str]:
    parents: dict[str, str] = {}
    for entry in read():
        recorded, today = _top(entry["recorded"], parents), _top(entry["today"], parents)
        if recorded != today:
            parents[today] = recorded
    return parents


def _top(code: str, parents: dict[str, str]) -> str:
    while code in parents:
        code = parents[code]
    return code
