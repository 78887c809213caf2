"""``tenfold list``: what can be asked for, and what of it is on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tenfold import config, variants, workflow
from tenfold.books.recorded import Ledger


def papers(slugs: list[str]) -> Iterator[str]:
    """A line for each paper: its title, and the editions that are on record."""
    width = max(map(len, slugs))
    for slug in slugs:
        books = [Ledger(edition, slug) for edition in config.EDITIONS]
        recorded = [book.edition for book in books if book.provenance_file.exists()]
        rows = [f"rows of {book.edition}" for book in books if (book.folder / "rows").exists()]
        said = ", ".join(recorded + rows) or "nothing"
        yield f"{slug:{width}}  {config.paper(slug).about['title']}; on record: {said}"
    if there_are := variants.names():
        yield f"variants, as in small+{there_are[0]}: {', '.join(there_are)}"
    yield f"targets: EDITION/PAPER, EDITION/all or a file; editions: {', '.join(config.EDITIONS)}"


def files(edition: str, slug: str) -> Iterator[str]:
    """The tables, figures and verdicts of an edition of a paper, and whether each is on record and here."""
    book = Ledger(edition, slug)
    targets = workflow.House({"edition": edition}).paper(slug).targets(edition)
    for path in map(Path, targets):
        is_behind_figure = path.suffix == ".csv" and path.with_suffix(".png").as_posix() in targets
        if path.suffix not in (".csv", ".png", ".json") or path.name.endswith(".cells.json") or is_behind_figure:
            continue
        recorded = (book.folder / path.relative_to(book.runs)).exists()
        said = [*(["on record"] if recorded else []), *(["here"] if path.exists() else [])]
        yield f"{path}  ({', '.join(said) or 'not computed'})"
