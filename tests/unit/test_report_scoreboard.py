"""The scoreboard shows every claim of every paper, a pipeline check never as a verdict; its numbers give its words."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tenfold.errors import UserError
from tenfold.files import write_json
from tenfold.launcher import Job
from tenfold.report.claim_pages import claim_pages
from tenfold.report.evidence import Check, Evidence, Paired
from tenfold.report.face import Data, Face
from tenfold.report.gate import Checked
from tenfold.report.scoreboard import glance, in_short, read_claims, readme_block, scoreboard
from tenfold.report.verdict import decide_all
from tenfold.report.words import write_claims

ROOT = Path(__file__).parents[2]


def claim(name: str, kind: str, role: str = "secondary", **overrides: Any) -> dict[str, Any]:
    common = {"id": name, "claim": f"{name} is so", "role": role, "kind": kind, "published": None, "source": "paper"}
    return common | {"editions": ["small", "real"]} | overrides


CLAIMS = [
    claim(
        "C1", "direction", "primary", effect=2.14, published="2.14 points", short="one is so", next="more", plus="yes"
    ),
    claim("C2", "direction", effect=7.77, source="memory", plus="yes"),
    claim("C3", "exact", "check", published=25_557_032),
    claim("C4", "direction", editions=["full"]),
    claim("C5", "direction", "control", plus="yes"),
]
SHUT = [
    Checked("a", "plain, net", 68.09, 88.25, 94.25, "91.25±3", "He et al."),
    Checked("b", "x", 0.1, None, 0.29, "<0.3"),
]


def claims_json(folder: Path, slug: str, edition: str, n: int) -> Path:
    data = Data("shapes-10", "CIFAR-10") if edition == "small" else Data("cifar-10")
    clear = {seed: 1.0 + 0.01 * seed for seed in range(n)}
    open_ = {seed: (-1.0) ** seed for seed in range(n)}
    evidence = {
        "C1": Evidence([Paired("all", clear, dict.fromkeys(clear, 0.0), costs={"params": 1.02})], unit="points"),
        "C2": Evidence([Paired("all", open_)], unit="points"),
        "C3": Evidence([Check("parameters", 25_557_032, 25_557_032)]),
        "C5": Evidence(readings={"up": Evidence([Paired("all", clear)]), "down": Evidence([Paired("all", open_)])}),
    }
    gates = {"C2": SHUT}
    verdicts = decide_all(CLAIMS, evidence, data_is_standin=data.is_standin, edition=edition, gates=gates)
    path = folder / f"{slug}.{edition}.json"
    write_claims(path, paper=slug, face=Face(edition, data, n, "cpu", "fp32"), verdicts=verdicts)
    return path


def made(folder: Path, edition: str, n: int) -> tuple[list[dict[str, str]], dict[str, list[str]], str]:
    """The scoreboard of two papers: CSV rows, Markdown rows by their first cell, the whole Markdown."""
    claims = [claims_json(folder, slug, edition, n) for slug in ("sge", "rco")]
    csv_path, md_path = folder / "scoreboard.csv", folder / "scoreboard.md"
    scoreboard({"edition": edition}, Job(resume=folder / "resume"), claims=claims, scoreboard=[csv_path, md_path])
    text = md_path.read_text()
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    with csv_path.open() as file:
        return list(csv.DictReader(file)), {row[0]: row[1:] for row in rows}, text


def test_real_data_have_verdicts(tmp_path: Path) -> None:
    rows, printed, text = made(tmp_path, "real", 5)
    assert [(row["id"], row["reading"]) for row in rows[:6]] == [
        ("C1", ""), ("C2", ""), ("C3", ""), ("C4", ""), ("C5", "up"), ("C5", "down")
    ]  # fmt: skip
    words = ["supported", "too small to say", "holds", "not testable here", *["depends on the reading"] * 2]
    assert [row["verdict"] for row in rows[:6]] == words
    assert {row["pipeline_check"] for row in rows} == {""}
    assert printed["sge C1"] == ["+2.14", "+1.020 [+1.000, +1.040] points", "supported"]
    assert printed["rco C2"][-1] == "too small to say (a)"
    assert printed["rco C5 up"][-1] == "supported: depends on the reading"
    assert printed["… C5 down"][-1] == "open: depends on the reading"
    assert "- rco: Edition real; data cifar-10; n = 5 seeds; device cpu; precision fp32" in text
    order = [text.index(f"## {title}") for title in ("Primary", "Secondary", "Controls", "Checks")]
    assert order == sorted(order)


def test_standins_have_pipeline_checks_and_no_verdicts_of_the_paper(tmp_path: Path) -> None:
    rows, printed, text = made(tmp_path, "small", 3)
    assert [row["verdict"] for row in rows[:4]] == ["", "", "holds", "not testable here"]
    assert [row["pipeline_check"] for row in rows[:4]] == ["effect visible", "not visible", "", ""]
    table = "\n".join("|".join(row) for row in printed.values())
    assert "supported" not in table
    assert "contradicted" not in table
    assert "shapes-10 (stand-in for CIFAR-10)" in text


def test_only_claims_that_got_a_word_count_as_tested(tmp_path: Path) -> None:
    assert "tested at 95 %" not in made(tmp_path, "real", 5)[2]  # the gate of C2 is shut
    assert "2 tested at 95 % each: about 0.1 would come out by chance alone." in made(tmp_path, "small", 3)[2]


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
    contents: tuple[Any, ...] = ({"means": {}}, [], {"format": 1, "claims": []})
    for content in contents:
        write_json(wrong, content)
        with pytest.raises(UserError, match=r"is not a claims\.json of format 2"):
            read_claims([wrong])
    small = claims_json(tmp_path, "rco", "small", 3)
    with pytest.raises(UserError, match="the claims of rco are of edition small, not real"):
        scoreboard({"edition": "real"}, Job(resume=tmp_path / "r"), claims=[small], scoreboard=[tmp_path / "s.md"])


def test_readme_has_a_line_a_primary_claim_at_the_largest_edition(tmp_path: Path) -> None:
    papers = read_claims([claims_json(tmp_path, "rco", edition, n) for edition, n in (("small", 3), ("real", 5))])
    ordered = sorted(papers, key=lambda paper: str(paper["face"]["edition"]), reverse=True)
    lines = [[part.strip() for part in line.strip("|").split("|")] for line in readme_block(ordered).splitlines()]
    assert lines[2:] == [["rco", "C1: one is so", "+2.14", "+1.020 [+1.000, +1.040] points", "real", "-", "supported"]]
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims/C1.md").write_text("")
    assert f"| rco | [C1]({tmp_path.as_posix()}/claims/C1.md): one is so |" in readme_block(ordered)


def test_several_readings_of_a_claim_stand_in_one_line_in_short() -> None:
    readings = [{"printed": {"ours": f"{value} [-9.0, +9.0] points"}, "unit": "points"} for value in ("+1.02", "-0.30")]
    assert in_short({"readings": readings}) == "+1.02, -0.30 points, by reading"
    assert in_short({"readings": readings[:1]}) == "+1.02 [-9.0, +9.0] points"


def test_the_glance_has_a_line_a_reading_and_marks_pipeline_checks(tmp_path: Path) -> None:
    small = glance(read_claims([claims_json(tmp_path, "sge", "small", 3)]))
    real = glance(read_claims([claims_json(tmp_path, "sge", "real", 5)]))
    assert len(small) == len(real) == 1 + len(CLAIMS) + 1
    assert "pipeline check: effect visible" in small[1]
    assert "supported" in real[1]
    assert "supported" not in "".join(small)


def test_a_primary_claim_has_a_page_and_a_forest_plot(tmp_path: Path) -> None:
    path = claims_json(tmp_path, "sge", "real", 5)
    out = [tmp_path / f"claims/C1.{form}" for form in ("md", "png", "pdf", "csv")]
    (tmp_path / "claims").mkdir()
    scale = {"scale": [["epochs", "4", "160"]]}
    claim_pages(scale, Job(resume=tmp_path / "r"), claims=path, pages=out)
    text = out[0].read_text()
    for said in (
        "# C1: C1 is so",
        "**verdict: supported**",
        "+1.020 [+1.000, +1.040] points",
        "params x 1.02",
        "| epochs | 4 ",
    ):
        assert said in text
    assert "`tenfold explain results/real/sge/claims.json:C1`" in text
    with out[3].open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["effect"]) for row in rows if row["seed"]] == pytest.approx([1.0, 1.01, 1.02, 1.03, 1.04])
    assert [row["effect"] for row in rows if row["row"] == "published"] == ["2.14"]
    assert all(path.stat().st_size > 3000 for path in out[1:3])
    again = [tmp_path / f"again/{path.name}" for path in out]
    (tmp_path / "again").mkdir()
    claim_pages(scale, Job(resume=tmp_path / "r"), claims=path, pages=again)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in out]
