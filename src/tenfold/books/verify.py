"""``tenfold verify``: whether every file is what its record says, and nothing is missing or of no record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tenfold.books import index
from tenfold.books.record import is_recorded
from tenfold.books.recorded import Ledger, Provenance, every_book, is_of_times, ledgers
from tenfold.errors import UserError
from tenfold.files import read_json, sha256
from tenfold.identity.records import read_run_record

KEPT_BESIDE = ("provenance.json", "dvc.yaml", "dvc.lock")


@dataclass
class Checked:
    """What a check found.

    Attributes:
        files: how many files were compared with their records, each once.
        wrong: a line for each file that is not what its record says, is missing, or has none.
        anew: files that a job here has made anew, with other bytes than recorded.
    """

    files: int = 0
    wrong: list[str] = field(default_factory=list)
    anew: list[str] = field(default_factory=list)


def verify() -> Checked:
    """Checks all that git and DVC hold of what is on record; files below runs/ where they are there."""
    found = Checked()
    wanted: dict[Path, str] = {}
    for book in every_book():
        provenance = book.provenance()
        if provenance is not None:
            wanted |= dict(_files(book, provenance))
        wanted |= dict(_rows(book))
    broken = [path for path, checksum in sorted(wanted.items()) if not _check(path, checksum, found)]
    of_no_record = [path for book in every_book() for path in _others(book) if path not in wanted]
    found.wrong += [f"{path}: is on no record; git checkout or delete it" for path in of_no_record]
    locks = [book.dvc_file.with_suffix(".lock") for book in ledgers()]
    found.wrong += [f"{path}: is missing; git checkout -- {path}" for path in locks if not path.exists()]
    found.wrong += _derived(broken)
    return found


def _derived(broken: Sequence[Path]) -> list[str]:
    """A line for each derived file that does not follow from what is on record."""
    if any(path.parts[0] == "results" and path.name == "claims.json" for path in broken):
        return ["scoreboards and README: follow from a claims.json that is not as recorded, and were not checked"]
    try:
        return [f"{path}: does not follow from what is on record; tenfold record --index" for path in index.outdated()]
    except UserError as error:
        return [str(error)]


def _check(path: Path, wanted: str, found: Checked) -> bool:
    """Whether a file is as recorded; one below runs/ may be missing."""
    if not path.exists():
        if path.parts[0] == "results":
            found.wrong.append(f"{path}: is missing; git checkout -- {path}")
        return path.parts[0] != "results"
    found.files += 1
    checksum = sha256(path)
    if checksum == wanted:
        return True
    run = read_run_record(path)
    if run is not None and run["sha256"] == checksum:
        found.anew.append(path.as_posix())
    else:
        found.wrong.append(f"{path}: has SHA-256 {checksum}, on record is {wanted}")
    return False


def _files(book: Ledger, provenance: Provenance) -> Iterator[tuple[Path, str]]:
    """Every file that has a recorded checksum: outputs, their copies in results/, the headline."""
    for output, job in provenance.job_of.items():
        wanted, path = job.outputs[output], Path(output)
        if wanted is None:
            continue
        yield path, wanted
        if is_recorded(output) and path.is_relative_to(book.runs):
            yield book.folder / path.relative_to(book.runs), wanted
        if path == book.headline and book.kept_headline is not None:
            yield book.kept_headline, wanted


def _rows(book: Ledger) -> Iterator[tuple[Path, str]]:
    """The single rows of a ledger."""
    for path in (book.folder / "rows").rglob("*.run.json"):
        name = path.name.removesuffix(".run.json")
        yield path.with_name(name if Path(name).suffix else f"{name}.json"), read_json(path)["sha256"]


def _others(book: Ledger) -> Iterator[Path]:
    """The files beside a record that are no part of the record itself, nor rows or their table."""
    for path in sorted(book.folder.rglob("*")):
        below = path.relative_to(book.folder).parts
        if path.is_file() and below[0] != "rows" and path.name not in KEPT_BESIDE and not is_of_times(path.name):
            yield path
