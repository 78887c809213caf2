"""``tenfold verify``: whether every file is what its record says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tenfold.books.recorded import Ledger, Provenance, ledgers
from tenfold.files import sha256
from tenfold.identity.records import read_run_record


def verify() -> tuple[int, list[str], list[str]]:
    """Checks all files of all records against their checksums.

    Returns:
        How many files were checked; a line for each one that is not what its record says; the files that a job
        here has made anew, with other bytes than recorded.
    """
    checked, wrong, anew = 0, [], []
    for book in ledgers():
        provenance = book.provenance()
        assert provenance is not None
        for path, wanted in _files(book, provenance):
            found = sha256(path)
            run = read_run_record(path)
            checked += 1
            if found == wanted:
                continue
            if run is not None and run["sha256"] == found:
                anew.append(path.as_posix())
            else:
                wrong.append(f"{path}: has SHA-256 {found}, on record is {wanted}")
    return checked, wrong, anew


def _files(book: Ledger, provenance: Provenance) -> Iterator[tuple[Path, str]]:
    """Every file that is there and has a recorded checksum: outputs, their copies in results/, the headline."""
    for output, job in sorted(provenance.job_of.items()):
        wanted = job.outputs[output]
        path = Path(output)
        if wanted is None:
            continue
        copies = [path]
        if path.is_relative_to(book.runs):
            copies.append(book.folder / path.relative_to(book.runs))
        if path == book.headline and book.kept_headline is not None:
            copies.append(book.kept_headline)
        yield from ((copy, wanted) for copy in copies if copy.is_file())
