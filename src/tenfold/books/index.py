"""What is derived from the records: the editions' scoreboards, README's results, what ``dvc.yaml`` files say."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold import config
from tenfold.books import ledger
from tenfold.books.recorded import RESULTS, ledgers
from tenfold.errors import UserError
from tenfold.files import write_text

if TYPE_CHECKING:
    from tenfold.report.scoreboard import Claims

README = Path("README.md")
BLOCK = re.compile(r"(?<=<!-- results:begin -->\n).*?(?=<!-- results:end -->)", flags=re.DOTALL)


def rebuild(target: Path = Path()) -> None:
    """Writes all that is derived from what is on record; after a merge too, whatever state the files are in.

    Args:
        target: the folder that stands for the project's root.
    """
    from tenfold.report.scoreboard import CSV_HEADER, readme_block, scoreboard_markdown, scoreboard_rows
    from tenfold.report.tables import write_csv

    every = recorded_claims()
    for edition in config.EDITIONS:
        if papers := [paper for paper in every if paper["face"]["edition"] == edition]:
            write_csv(target / RESULTS / edition / "scoreboard.csv", CSV_HEADER, scoreboard_rows(papers))
            write_text(target / RESULTS / edition / "scoreboard.md", scoreboard_markdown(papers))
    if README.exists():
        text = README.read_text(encoding="utf-8")
        if not BLOCK.search(text):
            raise UserError("README.md: lacks the lines <!-- results:begin --> and <!-- results:end -->")
        block = readme_block(sorted(every, key=lambda paper: paper["paper"])) if every else ""
        write_text(target / README, BLOCK.sub(lambda _: f"\n{block}\n" if block else "", text))
    for book in ledgers():
        ledger.write_ledger(book, target)
    ledger.write_top(target)


def recorded_claims() -> list[Claims]:
    """The content of each ``claims.json`` on record and its ``folder``, smallest edition first; of rows, too."""
    from tenfold.report.scoreboard import read_claims

    every = []
    for edition in config.EDITIONS:
        whole = sorted((RESULTS / edition).glob("*/claims.json"))
        rows = [path for path in sorted((RESULTS / edition).glob("*/rows/claims.json"))
                if path.parents[1] / "claims.json" not in whole]  # fmt: skip
        every += read_claims([*whole, *rows])
    return every


def outdated() -> list[Path]:
    """The derived files that are not as they follow from what is on record, or are not there."""
    with tempfile.TemporaryDirectory() as folder:
        rebuild(Path(folder))
        derived = [path.relative_to(folder) for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        return [path for path in derived
                if not path.exists() or path.read_bytes() != Path(folder, path).read_bytes()]  # fmt: skip
