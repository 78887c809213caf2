"""``tenfold restore``: brings recorded files back, of this commit or of another, without computing anything."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tenfold.books import ledger, start
from tenfold.books.git import git
from tenfold.books.recorded import RESULTS, Ledger, Provenance, ledgers, parse_provenance, stays_here
from tenfold.books.verify import verify
from tenfold.errors import UserError
from tenfold.files import copy_whole, sha256
from tenfold.identity.records import made_here

MEND_STORE = "git checkout -- store (or unpack the archive anew), then restore again"


def restore(asked: set[tuple[str, str]] | None = None) -> list[str]:
    """Brings back what this commit has on record, and checks it.

    Args:
        asked: editions and slugs, where not everything is wanted.

    Raises:
        UserError: a file cannot be had, or is not the recorded one (DVC's cache or the remote is damaged), or another
            process is running the workflow here.
    """
    start.take_run()
    books = [book for book in ledgers() if asked is None or (book.edition, book.slug) in asked]
    if not books:
        known = ", ".join(book.name for book in ledgers())
        raise UserError(f"nothing of that is on record; on record: {known or 'nothing'}")
    _drop_damaged_entries()
    for book in books:
        _set_aside_others(book)
    _pull(books)
    for book in books:
        _put_back_headline(book)
    found = verify()
    if found.wrong:
        more = f" (and {len(found.wrong) - 1} more)" if len(found.wrong) > 1 else ""
        by_dvc = found.wrong[0].startswith("runs")
        mend = f"; DVC's copy is damaged: {MEND_STORE}" if by_dvc else ""
        raise UserError(f"{found.wrong[0]}{mend}{more}")
    return [f"{book.name}: restored" for book in books] + [f"{found.files} files are as recorded"]


def _pull(books: list[Ledger]) -> None:
    """Has DVC bring the files; what a job here has made is never overwritten unless DVC has it too."""
    files = [str(book.dvc_file) for book in books]
    try:
        ledger.dvc("pull", *files)
    except UserError as error:
        missing = sorted(path for book in books for path in ledger.missing_objects(book))
        if missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise UserError(f"{missing[0]}: is missing{more}; {MEND_STORE}") from None
        if "unsaved files" not in str(error):
            raise
        lost = [output for book in books for output in _made_here_only(book)]
        if lost:
            raise UserError(
                f"{lost[0]}: was made here and is on record nowhere; record it, or delete it, then restore"
            ) from None
        ledger.dvc("pull", "--force", *files)


def _made_here_only(book: Ledger) -> Iterator[str]:
    provenance = book.provenance()
    for job in provenance.jobs if provenance else ():
        for output, recorded in job.outputs.items():
            path = Path(output)
            if recorded and not stays_here(output) and path.exists() and sha256(path) != recorded and made_here(path):
                yield output


def _set_aside_others(book: Ledger) -> None:
    """Moves files that are neither as recorded nor as a job here left them out of the way."""
    provenance = book.provenance()
    for job in provenance.jobs if provenance else ():
        for output, recorded in job.outputs.items():
            path = Path(output)
            if recorded and path.exists() and not stays_here(output):
                checksum = sha256(path)
                if checksum != recorded and not made_here(path):
                    start.move(path, start.ASIDE / checksum)


def _drop_damaged_entries() -> None:
    """Drops cache entries that are not what their name says, so that DVC fetches them again."""
    for path in (ledger.cache() / "files" / "md5").glob("??/*"):
        if path.is_file() and not ledger.is_intact(path):
            path.unlink()


def _put_back_headline(book: Ledger) -> None:
    """The headline checkpoint under the name that its job gave it, unless another one lies there."""
    source, kept = book.headline, book.kept_headline
    if source is not None and kept is not None and kept.exists() and not source.exists():
        copy_whole(kept, source)


def restore_from(rev: str) -> list[str]:
    """Brings back what another commit has on record, into runs/; the sources stay as they are.

    Snakemake then knows by which settings and code the files were made, and runs what differs from today's.

    Raises:
        UserError: no such commit, nothing on record there, a file here is on record nowhere and would be lost, or
            another process is running the workflow here.
    """
    start.take_run()
    git("rev-parse", "--git-dir")  # git's own refusal, of a folder of another user's for example, is not about REV
    commit = git("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}", otherwise=f"{rev}: is not a commit").strip()
    listed = git("ls-tree", "-r", "--name-only", commit, "--", str(RESULTS)).splitlines()
    books = [Ledger(*path.parts[1:3]) for path in map(Path, listed) if path.name == "dvc.yaml" and len(path.parts) == 4]
    if not books:
        raise UserError(f"{rev}: nothing is on record there")
    lines = []
    for book in books:
        there = parse_provenance(
            git("show", f"{commit}:{book.provenance_file.as_posix()}"), f"{rev}:{book.provenance_file}"
        )
        files = _bring(book, commit, there)
        start.restore(book, there)
        lines.append(f"{book.name}: {files} files as on record at {commit[:9]}")
    return lines


def _bring(book: Ledger, commit: str, there: Provenance) -> int:
    """Fetches a ledger's files of a commit beside runs/, then gives each its name; how many."""
    Path("runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restoring-", dir="runs") as folder:
        for out in book.outs:
            target = Path(folder) / out.relative_to("runs")
            target.parent.mkdir(parents=True, exist_ok=True)
            ledger.dvc("get", ".", out.as_posix(), "--rev", commit, "--out", str(target))
        found = {Path("runs") / path.relative_to(folder): path for path in Path(folder).rglob("*") if path.is_file()}
        _refuse_loss(book, list(found), there)
        for target, path in sorted(found.items()):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
    return len(found)


def _refuse_loss(book: Ledger, targets: list[Path], there: Provenance) -> None:
    records = [provenance for provenance in (book.provenance(), there) if provenance is not None]
    for path in targets:
        if path.exists() and path.as_posix() in there.job_of:
            recorded = {record.job_of[path.as_posix()].outputs[path.as_posix()] for record in records
                        if path.as_posix() in record.job_of}  # fmt: skip
            if None not in recorded and sha256(path) not in recorded:
                raise UserError(f"{path}: is on record nowhere and would be overwritten; record it, or delete it")
