"""Snakemake's report: one file with the tables and verdicts in it, made and read without a network."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from .conftest import ROOT, Repository, lay_house

NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
TABLE = "runs/smoke/toy/tables/table-counts.csv"
SCOREBOARD = "runs/smoke/scoreboard.csv"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, str]:
    """The toy paper at smoke, and the text of its report."""
    path = tmp_path_factory.mktemp("reported") / "house"
    path.mkdir()
    repository = lay_house(path)
    repository.snakemake("smoke/all")
    repository.snakemake("smoke/all", "--report", "report.html", env=NO_NETWORK)
    return repository, (repository.path / "report.html").read_text()


def results(text: str) -> dict[str, Any]:
    """What the report holds, by path."""
    found = re.search(r"var results = (\{.*?\});\n", text)
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


def test_the_report_holds_the_table_and_the_scoreboard(report: tuple[Repository, str]) -> None:
    repository, text = report
    held = results(text)
    assert set(held) == {TABLE, SCOREBOARD}
    for path, entry in held.items():
        content = base64.b64decode(entry["data_uri"].partition("base64,")[2])
        assert content == (repository.path / path).read_bytes()
    assert "Edition smoke" in held[TABLE]["caption"]
    assert held[TABLE]["labels"] == {"table": "counts"}
    assert "A paper without torch, smoke" in text


def test_the_report_of_one_paper_has_its_verdicts_and_its_tables_as_printed(restored: Repository) -> None:
    pages = restored.tenfold("target", "--pages", "toy").stdout.split()
    assert pages == ["build/small/toy.html"]
    restored.snakemake(*pages, "--allowed-rules", "page")
    restored.snakemake("small/toy", *pages, "--report", "report.html", env=NO_NETWORK)
    held = results((restored.path / "report.html").read_text())
    assert set(held) == {"runs/small/toy/tables/table-counts.csv", *pages}
    page = base64.b64decode(held[pages[0]]["data_uri"].partition("base64,")[2]).decode()
    (claim,) = json.loads((restored.path / "runs/small/toy/claims.json").read_text())["claims"]
    assert f"<li>{claim['id']}: {claim['claim']}</li>" in page
    assert f"<td>{claim['pipeline_check']}</td>" in page
    printed = (restored.path / "runs/small/toy/tables/table-counts.md").read_text()
    cells = [cell.strip() for line in printed.splitlines() if line.startswith("| fancy") for cell in line.split("|")]
    assert len(cells) == 5
    assert all(f">{cell}</td>" in page for cell in cells[1:-1])


def test_the_report_of_all_that_was_restored_holds_the_scoreboard(restored: Repository) -> None:
    pages = restored.tenfold("target", "--pages").stdout.split()
    assert pages == ["build/small/toy.html", "runs/small/scoreboard.md"]
    restored.snakemake(*pages, "--allowed-rules", "page", "scoreboard")
    restored.snakemake("small/all", "--report", "report.html", env=NO_NETWORK)
    assert "runs/small/scoreboard.csv" in results((restored.path / "report.html").read_text())


def test_a_report_of_what_is_not_here_is_refused_in_one_line(repository: Repository) -> None:
    done = repository.tenfold("target", "--pages", "--edition", "tiny", check=False)
    assert (done.returncode, done.stderr) == (
        2, "tenfold: 'tiny' is not an edition; allowed: smoke, small, real, lab, full\n"
    )  # fmt: skip
    done = repository.tenfold("target", "--pages", check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "tenfold: small: nothing is here of toy: make reproduce EDITION=small computes it, "
        "make restore brings what is on record\n"
    )


def test_no_caption_points_to_what_lies_beside_a_file(report: tuple[Repository, str]) -> None:
    for path in (ROOT / "workflow" / "report").glob("*.rst"):
        assert "lies beside it" not in path.read_text()


def test_the_report_loads_nothing_from_elsewhere(report: tuple[Repository, str]) -> None:
    _, text = report
    assert re.findall(r"""<(?:script|link|img)[^>]*(?:src|href)=["'](?:https?:)?//[^"']*""", text) == []


def test_every_caption_is_used_and_every_caption_that_is_used_is_there() -> None:
    written = {path.name for path in (ROOT / "workflow" / "report").glob("*.rst")}
    sources = [ROOT / "Snakefile", ROOT / "src/tenfold/workflow.py", *(ROOT / "workflow" / "rules").glob("*.smk")]
    text = "\n".join(path.read_text() for path in sources)
    used = {name.replace("{one}", kind) for name in re.findall(r"report/([\w{}]+\.rst)", text)
            for kind in ("table", "figure")}  # fmt: skip
    assert used == written
