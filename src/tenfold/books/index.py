"""What is derived from the records: the editions' scoreboards, README's results, the top-level ``dvc.yaml``."""

from __future__ import annotations

import re
from pathlib import Path

from tenfold import config
from tenfold.books import ledger
from tenfold.books.recorded import RESULTS
from tenfold.errors import UserError
from tenfold.files import write_text

README = Path("README.md")
BLOCK = re.compile(r"(?<=<!-- results:begin -->\n).*?(?=<!-- results:end -->)", flags=re.DOTALL)


def rebuild() -> None:
    """Writes all that is derived from what is on record; after a merge too, whatever state the files are in."""
    from tenfold.report.scoreboard import CSV_HEADER, read_claims, readme_block, scoreboard_markdown, scoreboard_rows
    from tenfold.report.tables import write_csv

    every = []
    for edition in config.EDITIONS:
        papers = read_claims(sorted((RESULTS / edition).glob("*/claims.json")))
        every += papers
        if papers:
            write_csv(RESULTS / edition / "scoreboard.csv", CSV_HEADER, scoreboard_rows(papers))
            write_text(RESULTS / edition / "scoreboard.md", scoreboard_markdown(papers))
    if README.exists():
        text = README.read_text(encoding="utf-8")
        if not BLOCK.search(text):
            raise UserError("README.md: lacks the lines <!-- results:begin --> and <!-- results:end -->")
        block = readme_block(sorted(every, key=lambda paper: paper["paper"])) if every else ""
        write_text(README, BLOCK.sub(lambda _: f"\n{block}\n" if block else "", text))
    ledger.write_top()
