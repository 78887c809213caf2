"""A paper at one edition on one page, for Snakemake's report: its verdicts, and its tables as printed."""

from __future__ import annotations

from markdown_it import MarkdownIt

from tenfold.files import write_text
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.report.scoreboard import read_claims, scoreboard_markdown

HEAD = """<!DOCTYPE html>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px/1.4 sans-serif; margin: 1.5em }}
table {{ border-collapse: collapse; margin: 1em 0 }}
th, td {{ border-bottom: 1px solid #bbb; padding: 0.2em 0.7em; text-align: left; vertical-align: top }}
</style>
"""


@stage
def page(cfg: Cfg, job: Job, *, claims: Input, tables: Inputs, page: Output) -> None:
    """Writes the page as HTML.

    Args:
        cfg: ``edition`` and ``title``.
        job: what surrounds the run.
        claims: the paper's ``claims.json``.
        tables: its tables, as Markdown.
        page: HTML.
    """
    title = f"{cfg['title']}, {cfg['edition']}"
    papers = read_claims([claims])
    claimed = "\n".join(f"- {claim['id']}: {claim['claim']}" for paper in papers for claim in paper["claims"])
    verdicts = scoreboard_markdown(papers).partition("\n")[2]
    parts = [
        f"# {title}",
        "## What is claimed",
        claimed,
        "## Verdicts",
        verdicts,
        "## Tables",
        *(path.read_text(encoding="utf-8") for path in tables),
    ]
    html = MarkdownIt("commonmark").enable("table").render("\n\n".join(parts))
    write_text(page, HEAD.format(title=title) + html)
    job.say(f"verdicts and {len(tables)} tables")


if __name__ == "__main__":
    main(page)
