"""What git's history says of records: their commits, since when bytes are on record, and since when a claim stands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold.books.git import git
from tenfold.errors import UserError


@dataclass(frozen=True)
class Commit:
    """A commit by its abbreviated name, and its day."""

    name: str
    day: str

    def __str__(self) -> str:
        return f"commit {self.name} of {self.day}"


def why_unknown() -> str:
    """Why the history cannot be told here; empty where it can."""
    try:
        shallow = git("rev-parse", "--is-shallow-repository", "HEAD").startswith("true")
    except UserError as error:  # git's own refusal, of another user's folder, says more than ours would
        return str(error) if "ownership" in str(error) else "there is no git history here"
    return "this clone is shallow (git fetch --unshallow)" if shallow else ""


def last_commits(files: Sequence[Path]) -> dict[str, Commit]:
    """The last commit of each file, by one call; files without one are left out, all of them without a history."""
    found: dict[str, Commit] = {}
    if not files or why_unknown():
        return found
    said = git("log", "--format=%x00%h %cs", "--name-only", "--relative", "--", *map(str, files))
    for head, names in _commits(said):
        for name in names:
            found.setdefault(name, head)
    return found


def on_record_since(checksums: Collection[str], files: Sequence[Path]) -> dict[str, Commit]:
    """For each checksum the commit that put it into one of the records, by one call; none without a history.

    A checksum that was taken out and came back counts from when it came back.
    """
    since: dict[str, Commit] = {}
    if not checksums or not files or why_unknown():
        return since
    wanted = re.compile("|".join(checksums))
    said = git("log", "--reverse", "--format=%x00%h %cs", "-p", "-U0", f"-G{'|'.join(checksums)}", "-E", "--",
               *map(str, files))  # fmt: skip
    counts: Counter[str] = Counter()
    for head, lines in _commits(said):
        before = counts.copy()
        for line in lines:
            if line[:1] in "+-":
                for checksum in wanted.findall(line):
                    counts[checksum] += 1 if line[0] == "+" else -1
        for checksum in counts:
            if before[checksum] <= 0 < counts[checksum]:
                since[checksum] = head
    return since


def lines_stand_since(file: Path, block: re.Pattern[str]) -> Commit | None:
    """The last commit that changed a block of lines; None where it is not committed as it stands, or cannot be told."""
    if why_unknown():
        return None
    try:
        committed = git("show", f"HEAD:./{file}")
    except UserError:
        return None
    here, then = block.search(file.read_text(encoding="utf-8")), block.search(committed)
    if here is None or then is None or here[0] != then[0]:
        return None
    first = committed.count("\n", 0, then.start()) + 1
    last = first + then[0].rstrip("\n").count("\n")
    said = git("log", "-1", "-s", "--format=%x00%h %cs", f"-L{first},{last}:./{file}")
    return next((head for head, _ in _commits(said)), None)


def is_before(one: Commit, other: Commit) -> bool:
    """Whether a commit is an ancestor of another."""
    if one == other:
        return False
    try:
        git("merge-base", "--is-ancestor", one.name, other.name)
    except UserError:
        return False
    return True


def _commits(said: str) -> list[tuple[Commit, list[str]]]:
    """The commits in git's log, each with the lines that follow its head."""
    parts = [part.splitlines() for part in said.split("\0")[1:]]
    return [(Commit(*lines[0].split(" ", 1)), [line for line in lines[1:] if line]) for lines in parts]
