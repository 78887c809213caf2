"""Every row of every scoreboard on record: word, size and gate follow from the numbers that are printed in the row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = r"[+-]?\d+(?:\.\d+)?"
Row = dict[str, str]


def rows() -> Iterator[Row]:
    for path in sorted(ROOT.glob("results/*/scoreboard.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


ROWS = list(rows())
INTERVALS = [row for row in ROWS if "[" in row["ours"]]


def named(row: Row) -> str:
    return "-".join([row["edition"], row["paper"], row["id"], row["reading"].replace(" ", "_")])


def ends(row: Row) -> tuple[float, float]:
    low, high = re.findall(NUMBER, row["ours"].split("[")[1].split("]")[0])
    return float(low), float(high)


def side(row: Row) -> str:
    """Where the printed interval lies: on the claimed side, on the other one, or on neither."""
    low, high = ends(row)
    if row["claimed"].startswith("within"):
        margin = float(row["claimed"].split("±")[1])
        if -margin < low and high < margin:
            return "claimed"
        return "other" if low > margin or high < -margin else "neither"
    sign, boundary = row["claimed"].split()
    above, below = low > float(boundary), high < float(boundary)
    claimed, other = (above, below) if sign == ">" else (below, above)
    return "claimed" if claimed else "other" if other else "neither"


def passes(check: str) -> bool:
    """A check as printed, such as ``a 68.06 (91.25±3)``."""
    rest = check.split(" ", 1)[1]
    bound = re.search(r"\((.*)\)", rest)
    measured = re.match(NUMBER, rest)
    if bound is None or measured is None:
        return False
    number, wanted = float(measured[0]), bound[1]
    if "±" in wanted:
        value, near = map(float, wanted.split("±"))
        return abs(number - value) <= near + 1e-9
    limit = float(wanted[1:])
    return number < limit if wanted[0] == "<" else number > limit


def open_gate(row: Row) -> bool:
    return row["gate"] == "-" or all(map(passes, row["gate"].split(", ")))


def word_of(row: Row) -> str | None:
    """The word of the row's reading, from what is printed in it; None where it takes more than that."""
    standin = bool(row["pipeline_check"])
    low, high = ends(row)
    if int(row["n"]) < 3:
        return "too few seeds"
    if low == high:
        return row["word of reading"] if row["word of reading"] in ("by construction", "floor", "ceiling") else None
    if not standin and not open_gate(row):
        return "too small to say"
    if standin and ("points" in row["unit"] or "%" in row["unit"]) and high - low > 100:
        return "too noisy"
    words = {"claimed": "supported", "other": "contradicted", "neither": "open"}
    if row["kind"] == "exists":
        words["other"] = "open"
    shown = {"supported": "effect visible", "contradicted": "reversed", "open": "not visible"}
    word = words[side(row)]
    return shown[word] if standin else word


def test_there_are_scoreboards() -> None:
    assert len({row["edition"] for row in ROWS}) >= 2
    assert len(INTERVALS) > 60


@pytest.mark.parametrize("row", INTERVALS, ids=named)
def test_the_word_follows_from_the_row(row: Row) -> None:
    assert row["word of reading"] == word_of(row)


@pytest.mark.parametrize("row", [row for row in INTERVALS if row["size"] != "-"], ids=named)
def test_the_size_follows_from_the_row(row: Row) -> None:
    low, high = ends(row)
    published = [float(end) for end in row["published"].split(" to ")]
    least, most = published[0], published[-1]
    if low <= most and least <= high:
        size = "as published"
    elif (high < 0 < least) or (most < 0 < low):
        size = "other sign"
    else:
        size = "above published" if low > most else "below published"
    assert row["size"] == size


def test_a_claim_has_the_word_of_its_readings() -> None:
    for row in ROWS:
        same = [other for other in ROWS if all(other[key] == row[key] for key in ("edition", "paper", "id"))]
        words = {other["word of reading"] for other in same}
        assert (row["verdict"] or row["pipeline_check"]) == (
            words.pop() if len(words) == 1 else "depends on the reading"
        )


@pytest.mark.parametrize("path", sorted(ROOT.glob("results/*/scoreboard.md")), ids=lambda path: path.parent.name)
def test_the_row_of_a_claim_fits_on_a_screen(path: Path) -> None:
    assert max(len(line) for line in path.read_text().splitlines() if line.startswith("|")) <= 200
