"""``tenfold compare`` of a variant: its settings, and the cells of its tables beside those of its edition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tenfold import config, variants
from tenfold.books.compare import SAME, compare_cells, trained_of
from tenfold.books.recorded import Ledger
from tenfold.files import canonical_json, read_json


def beside_edition(edition: str, slug: str) -> Iterator[str]:
    """Lines on a variant of a paper: what is set otherwise, and each cell that differs from what is on record."""
    base, _ = variants.split(edition)
    here, book = Path("runs", edition, slug), Ledger(base, slug)
    yield f"{edition}/{slug}: a variant of {base}, in {here}"
    before = variants.flat(config.paper(slug).editions[base])
    for key, value in variants.flat(variants.own_settings(edition, slug)).items():
        was = canonical_json(before[key]) if key in before else "not set"
        yield f"    {key}: {canonical_json(value)}, in {base} {was}"
    provenance = book.provenance()
    if provenance is None:
        yield f"    {book.name} is not on record: there are no cells to compare with"
    if not here.exists():
        yield f"    not computed here: snakemake {edition}/{slug}"
    for table in sorted((here / "tables").glob("*.cells.json")):
        recorded = book.folder / table.relative_to(here)
        if provenance is None or not recorded.exists():
            continue
        cells = compare_cells(read_json(recorded), read_json(table), trained_of(provenance))
        name = table.name.removesuffix(".cells.json")
        yield from (f"    {name}: {text}: {found}" for text, found in cells if found != SAME)
