"""The sources of the site's pages, out of what is on record and the configuration: Markdown, with tables as HTML."""

from __future__ import annotations

import ast
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from tenfold import config
from tenfold.books.explain import Answer, answer_to
from tenfold.books.lineage import Origin, Records
from tenfold.files import write_text
from tenfold.report.scoreboard import LEGEND
from tenfold.site import melodies
from tenfold.site.printed import anchor, read_csv, read_printed
from tenfold.site.record import Edition, Paper

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
TONES = {
    "yes": ("supported", "holds", "reproduced", "effect visible"),
    "no": ("contradicted", "fails", "reversed", "off by"),
    "open": ("open", "depends on the reading", "not visible"),
}
WALKED = ("sge", "real", "table-attention", "SGE", "accuracy")  # the cell whose way is told from the data on
FILES = "files"  # what pages show or offer as it is on record


def write_pages(target: Path, every: Sequence[Paper]) -> None:
    """Writes the pages' sources and, below ``files/``, what they show as it is.

    Args:
        target: a folder; Sphinx builds the site from it.
        every: the papers that the site is of.

    Raises:
        UserError: something that a page shows is not on record, or a printed table has other numbers than its CSV.
    """
    records, pages = Records(here=False), Pages(target)
    _write_home(pages, every)
    pages.write("number", "number.md", **_walked(every, records))
    for paper in every:
        pages.write(f"papers/{paper.slug}/index", "paper.md", paper=paper, **_shown(paper.editions[:1]))
        for edition in paper.editions[1:]:
            pages.write(f"papers/{paper.slug}/{edition.name}", "edition.md", paper=paper, **_shown([edition]))
        for _, claim in paper.primary:
            said = list(_of_claim(paper, claim["id"], records))
            pages.write(f"papers/{paper.slug}/{claim['id']}", "claim.md", paper=paper, claim=claim, editions=said)
        for edition in paper.editions:
            _copy(edition, target / FILES / edition.name / edition.slug)
            for table in edition.tables:
                _write_lineage(pages, paper, edition, table, records)


def _write_home(pages: Pages, every: Sequence[Paper]) -> None:
    """Writes the first page: a line for each primary claim."""
    words = [claim["verdict"] or f"pipeline check: {claim['pipeline_check']}"
             for paper in every for _, claim in paper.primary]  # fmt: skip
    count = NUMBERS[len(every)] if len(every) < len(NUMBERS) else str(len(every))
    pages.write("index", "home.md", papers=every, count=count, tally=Counter(words).most_common(), legend=LEGEND)


def _write_lineage(pages: Pages, paper: Paper, edition: Edition, table: Path, records: Records) -> None:
    """Writes the page that tells where a table's cells come from."""
    pages.write(_lineage(edition, table), "lineage.md", paper=paper, edition=edition, table=read_printed(table),
                csv=table, rows=_cells(table, records))  # fmt: skip


class Pages:
    """Writes pages out of templates, in which ``root`` leads from a page to the site's first folder."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self.templates.filters |= {"html": _as_html, "tone": tone, "rest": _rest, "size": _size, "alt": _alt,
                                   "told": _told, "heard": melodies.pieces, "roll": melodies.roll}  # fmt: skip

    def write(self, name: str, template: str, **content: Any) -> None:
        """Writes one page.

        Args:
            name: its path in the site, without suffix.
            template: of ``templates/``.
            content: what the template names.
        """
        root = "../" * name.count("/")
        text = self.templates.get_template(template).render(root=root, name=name, lineage=_lineage, **content)
        write_text(self.target / f"{name}.md", text)


def tone(word: str) -> str:
    """The tone that a verdict's word is set in: yes, no, open or none."""
    return next((name for name, words in TONES.items() if word.startswith(words)), "none")


def _rest(claim: Mapping[str, Any]) -> str:
    """What a claim's printed word says beside the word and, in a column of its own, the data: gates that failed."""
    said = str(claim["printed"]["word"]).removeprefix(claim["verdict"] or claim["pipeline_check"])
    return said.partition(f" on {claim['other_data']}")[0].strip()


def _as_html(text: str) -> Markup:
    """HTML that Markdown leaves as it is."""
    return Markup("```{{raw}} html\n{}\n```").format(Markup("\n".join(filter(str.strip, text.splitlines()))))  # noqa: S704


def _size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def _alt(figure: Path) -> str:
    """What a figure shows, in words: its name, and the columns of the numbers behind it."""
    with figure.with_suffix(".csv").open(encoding="utf-8") as file:
        columns = ", ".join(file.readline().strip().split(","))
    return f"Figure: {figure.stem.removeprefix('figure-')}. It shows {columns}."


def _shown(editions: list[Edition]) -> dict[str, Any]:
    """The edition of a page (none where nothing is on record), and its tables."""
    edition = editions[0] if editions else None
    return {"edition": edition, "tables": [(path, read_printed(path)) for path in edition.tables] if edition else []}


def _copy(edition: Edition, target: Path) -> None:
    """Copies what pages show or offer of an edition, and makes melodies that are on record as notes audible."""
    claims = edition.folder.glob("claims/*.png")
    files = [form for path in edition.tables for form in (path, path.with_suffix(".tex"))]
    files += [form for path in edition.figures for form in (path, path.with_suffix(".csv"))]
    for path in [*files, *claims]:
        copied = target / path.relative_to(edition.folder)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
    for figure in edition.figures:
        for number, notes in enumerate(melodies.pieces(figure).values(), start=1):
            melodies.write_mp3(target / "melodies" / f"{figure.stem}-{number}.mp3", notes)


# Lineage


def _lineage(edition: Edition, table: Path) -> str:
    """The page that tells where a table's cells come from."""
    return f"lineage/{edition.name}/{edition.slug}/{table.stem}"


def _cells(table: Path, records: Records) -> list[tuple[str, list[tuple[str, Answer]]]]:
    """The rows of a table, each with its cells' anchors and what ``tenfold explain`` says of them."""
    measured = read_csv(table)
    return [
        (" / ".join(labels), [(anchor(number, name), answer_to(f"{table}:{number}:{name}", records))
                              for name in measured.columns if _is_told(row, name)])
        for number, (labels, row) in enumerate(zip(measured.labels, measured.rows, strict=True), start=1)
    ]  # fmt: skip


def _is_told(row: Mapping[str, str], column: str) -> bool:
    """Whether a cell has something to tell: it was measured, or published."""
    return bool(row[column] or row[f"{column}.source"])


def _of_claim(paper: Paper, name: str, records: Records) -> Iterator[tuple[Edition, str, Answer]]:
    """Of each edition that a claim has a page of: the edition, the page, and what ``tenfold explain`` says."""
    for edition in paper.editions:
        page = edition.folder / "claims" / f"{name}.md"
        if page.exists():
            asked = f"{edition.folder}/claims.json:{name}"
            yield edition, _body(page), answer_to(asked, records)


def _body(page: Path) -> str:
    """A claim's recorded page without its title and picture, which the site shows in its own way."""
    text = page.read_text(encoding="utf-8").partition("\n")[2]
    return re.sub(r"^!\[.*\]\(.*\)\n", "", text, flags=re.MULTILINE)


def _walked(every: Sequence[Paper], records: Records) -> dict[str, Any]:
    """One cell's way from the dataset to the table: the jobs in their order, the cell, and the table."""
    slug, edition_name, stem, row, column = WALKED
    edition = next(one for paper in every if paper.slug == slug for one in paper.editions if one.name == edition_name)
    table = next(path for path in edition.tables if path.stem == stem)
    answer = answer_to(f"{table}:{row}:{column}", records)
    shown = [(answer.table, records.origin(answer.table))] if answer.table else []
    return {"answer": answer, "steps": _in_order(answer.files, records) + shown, "edition": edition, "table": table,
            "printed": read_printed(table)}  # fmt: skip


def _told(origin: Origin) -> str:
    """What the stage that made a file does, as its docstring begins; nothing where it has none."""
    source = config.ROOT.joinpath("src", *origin.module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    of = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    return (ast.get_docstring(of[origin.stage]) or "").partition("\n")[0]


def _in_order(files: list[Path], records: Records) -> list[tuple[Path, Origin | None]]:
    """Files and all that they were made from, each after its sources."""
    behind = records.all_behind(files)
    ordered: dict[str, Origin | None] = {}

    def add(name: str) -> None:
        origin = behind.get(name)
        for source in sorted(origin.inputs) if origin else []:
            if source not in ordered:
                add(source)
        ordered.setdefault(name, origin)

    for file in files:
        add(file.as_posix())
    return [(Path(name), origin) for name, origin in ordered.items()]
