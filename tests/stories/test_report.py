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
