"""The site: its first page against the claims on record, cells against CSV and explain, melodies, a paper built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tenfold import config
from tenfold.books.explain import answer_to
from tenfold.books.lineage import Records
from tenfold.errors import UserError
from tenfold.report.verdict import DEPENDS, NO_TEST, NOT_TESTABLE, ON_STANDIN, TOO_NOISY, TOO_SMALL
from tenfold.site import melodies, pages
from tenfold.site.printed import anchor, read_csv, read_printed
from tenfold.site.record import ABOUT, papers

from ..site_pages import Element, dead_links, read

ROOT = Path(__file__).parents[2]
TABLES = [path for path in sorted((ROOT / "results").rglob("table-*.csv")) if not path.name.endswith(".times.csv")]
ORDER = ("smoke", "small", "real", "lab", "full")


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def html_of(page: Path) -> Element:
    """What a page's source has in HTML."""
    return read(page.read_text())


# The first page -----------------------------------------------------------------------------------------------------


def primary_claims() -> list[tuple[str, dict[str, Any], str]]:
    """Of each paper its primary claims, each at the last edition that says more than that it cannot be tested."""
    found: dict[tuple[str, str], tuple[str, dict[str, Any], str]] = {}
    files = [*(ROOT / "results").glob("*/*/claims.json"), *(ROOT / "results").glob("*/*/rows/claims.json")]
    for file in sorted(files, key=lambda file: ORDER.index(file.relative_to(ROOT / "results").parts[0])):
        content = json.loads(file.read_text())
        for claim in content["claims"]:
            key = (content["paper"], claim["id"])
            if claim["role"] == "primary" and (claim["verdict"] != "not testable here" or key not in found):
                found[key] = (content["paper"], claim, content["face"]["edition"])
    return [found[key] for key in sorted(found)]


def test_the_first_page_has_a_line_for_each_primary_claim_as_it_is_on_record(tmp_path: Path) -> None:
    pages._write_home(pages.Pages(tmp_path), papers())
    home = html_of(tmp_path / "index.md")
    rows = [row for row in home.all("tr") if any(row.all("td"))]
    shown = []
    for row in rows:
        (claim,), cells = list(row.all("th")), {cell.attributes["data-label"]: cell.text for cell in row.all("td")}
        link = next(claim.all("a")).attributes["href"]
        shown.append((link, cells["published"], cells["ours"], cells["gate"], next(row.all("span", kind="word")).text))
    expected = []
    for slug, claim, _ in primary_claims():
        is_in_words = claim["effect"] is None and claim["published"] is not None
        ours = [f"{read['reading']} {read['printed']['ours']}".strip() for read in claim["readings"]]
        expected.append((
            f"papers/{slug}/{claim['id']}.html",
            "in words" if is_in_words else claim["printed"]["published"],
            " ".join("–" if text == "-" else text for text in ours),
            {None: "none", True: "passed", False: "not passed"}[claim["gate"]["passes"]],
            claim["verdict"] or claim["pipeline_check"],
        ))  # fmt: skip
    assert sorted(shown) == sorted(expected)
    scales = [next(cell for cell in row.all("td") if cell.attributes["data-label"] == "scale") for row in rows]
    assert [scale.content[0] for scale in scales] == [edition for *_, edition in primary_claims()]
    assert len(expected) > 10


def test_the_first_page_names_every_paper_of_the_configuration(tmp_path: Path) -> None:
    pages._write_home(pages.Pages(tmp_path), papers())
    heads = [next(row.all("a")) for row in html_of(tmp_path / "index.md").all("tr", kind="paper")]
    assert [head.attributes["href"] for head in heads] == [f"papers/{slug}/index.html" for slug in config.papers()]
    assert [head.text for head in heads] == [config.paper(slug).about["title"] for slug in config.papers()]


def test_every_word_of_a_verdict_has_a_tone() -> None:
    words = [*ON_STANDIN, *ON_STANDIN.values(), *NO_TEST, NOT_TESTABLE, TOO_SMALL, TOO_NOISY, DEPENDS,
             "holds", "fails", "reproduced", "off by -1.373"]  # fmt: skip
    tones = {word: pages.tone(word) for word in words}
    assert {word for word in words if tones[word] == "yes"} == {"supported", "effect visible", "holds", "reproduced"}
    assert {word for word in words if tones[word] == "no"} == {"contradicted", "reversed", "fails", "off by -1.373"}
    assert {word for word in words if tones[word] == "open"} == {"open", "not visible", "depends on the reading"}


# Tables and lineage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TABLES, ids=lambda path: "/".join((*path.parts[-4:-2], path.stem)))
def test_every_printed_cell_shows_the_number_that_it_is_linked_to(path: Path) -> None:
    printed, measured = read_printed(path), read_csv(path)
    lines = [line for line in path.with_suffix(".md").read_text().splitlines() if line.startswith("| ")]
    assert sum(len(grid.rows) + 1 for grid in printed.grids) == len([line for line in lines if "---" not in line])
    for row in (row for grid in printed.grids for row in grid.rows):
        for cell in row.cells:
            number, column = re.fullmatch(r"r(\d+)-(.+)", cell.anchor).groups()  # type: ignore[union-attr]
            values = measured.rows[int(number) - 1]
            told = [values[column], values[f"{column}.published"]]
            number_in = re.match(r"[+-]?[\d,]+(\.\d+)?(e[+-]\d+)?", cell.text)
            if cell.text in (*told, "-", "not recovered"):
                continue
            assert number_in, cell.text
            shown = Decimal(number_in[0].replace(",", ""))
            half = Decimal("0.500001").scaleb(int(shown.as_tuple().exponent))
            assert any(abs(Decimal(value) - shown) <= half for value in told if value[-1:].isdigit())


@pytest.mark.parametrize(("old", "new"), [("66.04", "66.14"), ("+0.80", "+0.81"), ("80,870", "80,871")])
def test_a_printed_number_that_is_not_in_the_csv_is_refused(old: str, new: str, tmp_path: Path) -> None:
    source = ROOT / "results/real/sge/tables/table-attention"
    shutil.copy(source.with_suffix(".csv"), tmp_path)
    text = source.with_suffix(".md").read_text()
    assert text.count(old) == 1
    (tmp_path / "table-attention.md").write_text(text.replace(old, new))
    with pytest.raises(UserError, match="shows other numbers"):
        read_printed(tmp_path / "table-attention.csv")


def test_cells_of_a_table_are_linked_by_row_and_column() -> None:
    grid = read_printed(ROOT / "results/real/sge/tables/table-attention.csv").grids[0]
    assert grid.header == ["top-1 [%]", "gain", "parameters", "MACs", "gain, published on imagenet"]
    assert grid.rows[1].keys == ["SE"]
    assert [cell.anchor for cell in grid.rows[1].cells] == ["r2-accuracy", "r2-gain", "r2-params", "r2-macs", "r2-gain"]


def test_a_tables_lineage_says_of_each_cell_what_explain_says(tmp_path: Path) -> None:
    paper = next(paper for paper in papers() if paper.slug == "sge")
    edition = next(one for one in paper.editions if one.name == "real")
    table = next(path for path in edition.tables if path.stem == "table-attention")
    pages._write_lineage(pages.Pages(tmp_path), paper, edition, table, Records())
    page = html_of(tmp_path / "lineage/real/sge/table-attention.md")
    cells = {cell.attributes["id"]: cell for cell in page.all("section", kind="cell")}
    linked = {cell.anchor for grid in read_printed(table).grids for row in grid.rows for cell in row.cells}
    assert linked <= set(cells)
    for place in ("r2-accuracy", "r7-gain", "r4-params"):
        number, column = place[1:].split("-")
        command = [sys.executable, "-m", "tenfold.cli", "explain", f"{table}:{number}:{column}"]
        what, *facts = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        assert next(cells[place].all("h3")).text == what.partition(", ")[2]
        told = [" ".join(line.split()) for line in facts if not line.startswith("  more ")]
        names, texts = cells[place].all("dt"), cells[place].all("dd")
        assert [f"{name.text} {text.text}" for name, text in zip(names, texts, strict=True)] == told


def test_a_claim_that_single_rows_decide_is_told_from_them() -> None:
    records = Records()
    said = answer_to("full/pruning-from-scratch:C1", records)
    rows = ROOT / "results/full/pruning-from-scratch/rows"
    assert said == answer_to(f"{rows.relative_to(ROOT)}/claims.json:C1", records)
    (claim,) = [claim for claim in json.loads((rows / "claims.json").read_text())["claims"] if claim["id"] == "C1"]
    assert said.facts["in words"] == claim["sentence"]
    jobs = len([file for file in rows.rglob("*.run.json") if "made" not in file.parts])
    assert said.facts["made by"] == f"tenfold record --rows, from train ({jobs} jobs, seeds 0 1 2 3 4)"
    assert said.facts["record"].startswith("results/full/pruning-from-scratch/rows/vgg16/full/s0.run.json, ")


def test_an_anchor_names_row_and_column() -> None:
    assert anchor(3, "on-a.without") == "r3-on-a.without"


# Papers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / ABOUT).glob("*.md")), ids=lambda path: path.stem)
def test_a_paper_is_told_in_five_sentences_and_a_formula(path: Path) -> None:
    latex2mathml = pytest.importorskip("docutils.utils.math.latex2mathml")
    text = path.read_text()
    idea = text.partition("$$")[0]
    assert len(re.findall(r"\.(?:\s|$)", idea)) == 5
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == ["Reproduced", "Not reproduced"]
    (formula,) = re.findall(r"\$\$\n(.*?)\$\$", text, flags=re.DOTALL)
    assert latex2mathml.tex2mathml(formula, as_block=True).startswith("<math")


@pytest.mark.parametrize("slug", config.papers())
def test_every_paper_is_told(slug: str) -> None:
    assert (ROOT / ABOUT / f"{slug}.md").is_file()


# Melodies -----------------------------------------------------------------------------------------------------------


def test_notes_sound_at_their_pitch_and_in_their_time(tmp_path: Path) -> None:
    melodies.write_mp3(tmp_path / "a.mp3", [(0, 8, 69), (8, 8, 57)])  # a' for a second, then a
    with av.open(str(tmp_path / "a.mp3")) as file:
        rate = file.streams.audio[0].rate
        sound = np.concatenate([frame.to_ndarray().ravel() for frame in file.decode(audio=0)])
    assert len(sound) / rate == pytest.approx(2.5, abs=0.1)
    for start, tone in ((0.2, 440), (1.2, 220)):
        part = sound[int(start * rate) : int((start + 0.6) * rate)]
        assert np.fft.rfftfreq(len(part), 1 / rate)[np.abs(np.fft.rfft(part)).argmax()] == pytest.approx(tone, abs=3)


def test_melodies_are_found_by_what_a_figures_numbers_are(tmp_path: Path) -> None:
    (tmp_path / "tune.csv").write_text('piece,onset,length,pitch\n"A, b",0,4,60\n"A, b",4,2,62\nC,0,1,64\n')
    assert melodies.pieces(tmp_path / "tune.png") == {"A, b": [(0, 4, 60), (4, 2, 62)], "C": [(0, 1, 64)]}
    (tmp_path / "loss.csv").write_text("epoch,loss\n1,0.5\n")
    assert melodies.pieces(tmp_path / "loss.png") == {}


def test_a_piano_roll_has_a_bar_for_each_note() -> None:
    drawn = read(melodies.roll([(0, 4, 60), (4, 16, 72)]))
    places = [(note.attributes["x"], note.attributes["y"]) for note in drawn.all("rect")]
    assert places == [("0", "12"), ("4", "0")]


# Built --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of one paper."""
    pytest.importorskip("sphinx")
    from tenfold.site.build import build

    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Sphinx's extensions to each other
        patch.chdir(ROOT)
        build([paper for paper in papers() if paper.slug == "sge"], folder / "site", folder / "work")
    return folder / "site"


def test_the_site_of_a_paper_has_no_dead_link_and_loads_nothing_from_elsewhere(site: Path) -> None:
    assert dead_links(site) == []
    tables = list(ROOT.glob("results/*/sge/tables/*.csv"))
    assert len(list((site / "lineage").rglob("*.html"))) == len(tables) > 10


def test_formulas_need_no_script(site: Path) -> None:
    page = (site / "papers/sge/index.html").read_text()
    assert "<math" in page
    assert "$" not in next(read(page).all("article")).text
    assert not re.search(r"mathjax|katex", re.sub(r"\w+_ignore", "", page), flags=re.IGNORECASE)


def test_pictures_and_numbers_are_those_on_record(site: Path) -> None:
    for edition in ("real", "small"):
        for kept in (site / "files" / edition / "sge").rglob("*.*"):
            source = ROOT / "results" / edition / "sge" / kept.relative_to(site / "files" / edition / "sge")
            assert kept.read_bytes() == source.read_bytes()


def test_a_dead_link_and_what_loads_from_elsewhere_would_be_found(tmp_path: Path) -> None:
    links = "".join(
        f'<a href="{link}"></a>' for link in ("#x", "#y", "b.html", "a.html#x", "a.html#z", "https://a.org")
    )
    (tmp_path / "a.html").write_text(f'<p id="x">{links}</p><script src="https://a.org/x.js"></script>')
    wrong = [line.removeprefix("a.html: ") for line in dead_links(tmp_path)]
    assert wrong == ["#y", "b.html", "a.html#z", "https://a.org/x.js"]
