"""The scoreboard shows every claim of every paper, and a pipeline check never as a verdict."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tenfold.errors import UserError
from tenfold.files import write_json
from tenfold.launcher import Job
from tenfold.report.evidence import Check, Evidence, Paired
from tenfold.report.face import Data, Face
from tenfold.report.scoreboard import glance, read_claims, readme_block, scoreboard
from tenfold.report.verdict import decide_family
from tenfold.report.words import write_claims


def claim(name: str, kind: str, **overrides: Any) -> dict[str, Any]:
    common = {"id": name, "claim": f"{name} is so", "kind": kind, "published": None, "source": "paper"}
    return common | {"editions": ["small", "real"]} | overrides


CLAIMS = [
    claim("C1", "direction", published=2.14),
    claim("C2", "direction", published=7.77, source="memory"),
    claim("C3", "exact", published=25_557_032),
    claim("C4", "direction", editions=["full"]),
]


def claims_json(folder: Path, slug: str, edition: str, n: int) -> Path:
    data = Data("shapes-10", "CIFAR-10") if edition == "small" else Data("cifar-10")
    clear = {seed: 1.0 + 0.01 * seed for seed in range(n)}
    open_ = {seed: (-1.0) ** seed for seed in range(n)}
    evidence = {
        "C1": Evidence([Paired("all", clear)], unit="points"),
        "C2": Evidence([Paired("all", open_)], unit="points"),
        "C3": Evidence([Check("parameters", 25_557_032, 25_557_032)]),
    }
    verdicts = decide_family(CLAIMS, evidence, data_is_standin=data.is_standin, edition=edition)
    path = folder / f"{slug}.{edition}.json"
    write_claims(path, paper=slug, face=Face(edition, data, n, "cpu", "fp32"), verdicts=verdicts)
    return path


def made(folder: Path, edition: str, n: int) -> tuple[list[dict[str, str]], list[list[str]], str]:
    """The scoreboard of two papers: CSV rows, Markdown rows, the whole Markdown."""
    claims = [claims_json(folder, slug, edition, n) for slug in ("sge", "rco")]
    csv_path, md_path = folder / "scoreboard.csv", folder / "scoreboard.md"
    scoreboard({"edition": edition}, Job(resume=folder / "resume"), claims=claims, scoreboard=[csv_path, md_path])
    text = md_path.read_text()
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    with csv_path.open() as file:
        return list(csv.DictReader(file)), rows, text


def test_real_data_have_verdicts(tmp_path: Path) -> None:
    rows, printed, text = made(tmp_path, "real", 5)
    assert [(row["paper"], row["id"]) for row in rows] == [
        (p, c) for p in ("rco", "sge") for c in ("C1", "C2", "C3", "C4")
    ]
    assert [row["verdict"] for row in rows[:4]] == ["supported", "not resolved", "holds", "not testable here"]
    assert {row["pipeline_check"] for row in rows} == {""}
    assert float(rows[0]["estimate"]) == pytest.approx(1.02)
    header, _, first, second, third, fourth = printed[:6]
    assert header[-3:] == ["verdict (Holm)", "uncorrected", "pipeline check"]
    assert first[4:8] == ["2.14", "+1.02 points", "[+1.00, +1.04]", "5"]
    assert first[-3:] == ["supported", "supported", "-"]
    assert second[-3:] == ["not resolved", "not resolved", "-"]
    assert (third[4], third[5], third[-3:]) == ("25557032", "25557032", ["holds", "-", "-"])
    assert fourth[-3:] == ["not testable here", "-", "-"]
    assert "- rco: Edition real; data cifar-10; n = 5 seeds; device cpu; precision fp32" in text


def test_standins_have_pipeline_checks_and_no_verdicts_of_the_paper(tmp_path: Path) -> None:
    rows, printed, text = made(tmp_path, "small", 3)
    assert [row["verdict"] for row in rows[:4]] == ["", "", "holds", "not testable here"]
    assert [row["pipeline_check"] for row in rows[:4]] == ["shows", "does not show", "", ""]
    assert printed[2][-3:] == ["-", "-", "shows"]
    table = "\n".join("|".join(row) for row in printed)
    assert "supported" not in table
    assert "contradicted" not in table
    assert "shapes-10 (stand-in for CIFAR-10)" in text


def test_numbers_from_memory_are_not_printed(tmp_path: Path) -> None:
    rows, _, text = made(tmp_path, "real", 5)
    assert rows[1]["published"] == "not recovered"
    assert "7.77" not in text + (tmp_path / "scoreboard.csv").read_text()


def test_the_order_of_the_inputs_does_not_matter(tmp_path: Path) -> None:
    made(tmp_path, "real", 5)
    outputs = [tmp_path / "again.csv", tmp_path / "again.md"]
    claims = [tmp_path / "rco.real.json", tmp_path / "sge.real.json"]
    scoreboard({"edition": "real"}, Job(resume=tmp_path / "resume"), claims=claims, scoreboard=outputs)
    assert outputs[0].read_bytes() == (tmp_path / "scoreboard.csv").read_bytes()
    assert outputs[1].read_bytes() == (tmp_path / "scoreboard.md").read_bytes()


def test_a_file_of_another_kind_or_edition_is_refused_in_one_line(tmp_path: Path) -> None:
    wrong = tmp_path / "claims.json"
    for content in ({"means": {}}, [], {"format": 2, "claims": []}):
        write_json(wrong, content)
        with pytest.raises(UserError, match=r"is not a claims\.json of format 1"):
            read_claims([wrong])
    small = claims_json(tmp_path, "rco", "small", 3)
    with pytest.raises(UserError, match="the claims of rco are of edition small, not real"):
        scoreboard({"edition": "real"}, Job(resume=tmp_path / "r"), claims=[small], scoreboard=[tmp_path / "s.md"])


def test_the_readme_block_counts_each_word_apart(tmp_path: Path) -> None:
    papers = read_claims([claims_json(tmp_path, "rco", edition, n) for edition, n in (("small", 3), ("real", 5))])
    lines = [[part.strip() for part in line.strip("|").split("|")] for line in readme_block(papers).splitlines()]
    real, small = lines[2:]
    assert real == [
        *("rco", "real", "cifar-10", "5", "1 holds"),
        *("1 supported, 1 not resolved, 1 not testable here", "-"),
    ]
    assert small == [
        *("rco", "small", "shapes-10 (stand-in for CIFAR-10)", "3", "1 holds"),
        *("1 not testable here", "1 shows, 1 does not show"),
    ]


def test_the_glance_has_a_line_a_claim_and_marks_pipeline_checks(tmp_path: Path) -> None:
    small = glance(read_claims([claims_json(tmp_path, "sge", "small", 3)]))
    real = glance(read_claims([claims_json(tmp_path, "sge", "real", 5)]))
    assert len(small) == len(real) == 1 + len(CLAIMS)
    assert "pipeline check: shows" in small[1]
    assert "supported" in real[1]
    assert "supported" not in "".join(small)
    assert "not resolved" in real[2]
