"""Tables, the figure and verdicts of face parsing from made-up metrics, against values worked out by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tenfold.files import read_json, write_json
from tenfold.launcher import Job
from tenfold.papers.icnn_face_parsing.costs import costs
from tenfold.papers.icnn_face_parsing.report import figures, tables, verdicts
from tenfold.papers.icnn_face_parsing.report.results import COLUMNS, Arm, main_arm, read_arms
from tenfold.workflow import FIGURE_FORMS, TABLE_FORMS

PARTS = (*COLUMNS, "overall_binary", "overall_mean", "brows_union", "eyes_union", "thin")
# F of every part, but for the thin ones: by arm and way.
F = {
    ("icnn", "one_stage"): 0.60, ("icnn", "two_stage"): 0.80, ("icnn", "true_crops"): 0.84,
    ("icnn", "other_centre"): 0.79, ("no-link", "one_stage"): 0.58, ("no-link", "two_stage"): 0.77,
}  # fmt: skip
THIN = {"one_stage": -0.30, "two_stage": -0.05, "true_crops": -0.04, "other_centre": -0.06}
SEEDS = (0, 1, 2)
PUBLISHED = {
    "parts": [
        {"method": "Smith et al.", "source": "memory"},
        {"method": "first stage alone", "way": "one_stage"},  # which the paper does not have
        {"method": "iCNN", "way": "two_stage", "source": "memory"},
    ],
    "stages": [
        {"method": "one stage", "arm": "icnn", "way": "one_stage", "overall": 0.8573, "source": "repo"},
        {"method": "two stages", "arm": "icnn", "way": "two_stage", "overall": 0.8928, "source": "repo"},
        {"method": "trained jointly", "arm": "joint", "way": "two_stage", "overall": 0.9001, "source": "repo"},
    ],
}
CLAIM = {
    "claim": "Thin parts gain more.", "role": "secondary", "kind": "direction", "published": None, "source": "memory",
    "reason": "made up", "plus": "thin parts gain more", "gate": [], "data": ["helen"], "editions": ["small"],
}  # fmt: skip


def f_of(arm: str, way: str, part: str, seed: int) -> float:
    return F[arm, way] + (THIN[way] if part in ("brows", "upper_lip", "lower_lip", "thin") else 0.0) + 0.01 * seed


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Any]:
    """Files as ``evaluate`` would leave them."""
    paths, of = [], []
    for arm in ("icnn", "no-link"):
        rows = [
            {"seed": seed, "centres": {"near": 0.9 + 0.01 * seed, "distance": 1.0, "missed": 0.0}}
            | {way: {part: f_of(arm, way, part, seed) for part in PARTS} for name, way in F if name == arm}
            for seed in SEEDS
        ]
        paths.append(tmp_path / f"{arm}.json")
        write_json(
            paths[-1],
            {"arm": arm, "data": "faces", "device": "cpu", "precision": "bf16", "params": 655_009, "rows": rows},
        )
        of.append({"data": "faces", "net": "half", "arm": arm})
    nets = [
        {"title": "first stage", "foreground": 8, "kernel": 9, "side": 64},
        {"title": "brows", "foreground": 1, "kernel": 9, "side": 64},
        {"title": "mouth", "foreground": 3, "kernel": 9, "side": 80},
    ]
    costs({"nets": nets}, Job(resume=tmp_path / "r"), costs=tmp_path / "costs.json")
    cfg = {
        "edition": "small",
        "data": {"name": "faces", "stands_in_for": "Helen"},
        "files": {"metrics": of},
        "published": PUBLISHED,
        "titles": {"no-link": "without links"},
        "near": 4,
        "shown_claims": ["C2"],
        "claims": [{"id": "C2", **CLAIM}],
        "seeds": list(SEEDS),
    }
    return {"cfg": cfg, "arms": paths, "counted": tmp_path / "costs.json"}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def make_tables(made: dict[str, Any], out: Path) -> None:
    paths = [out / f"{name}.{form}" for name in tables.TABLES for form in TABLE_FORMS]
    tables.tables(made["cfg"], Job(resume=out / "r"), arms=made["arms"], counted=made["counted"], tables=paths,
                  metrics=out / "metrics.json")  # fmt: skip


def test_the_papers_table_has_ours_beside_what_was_not_recovered(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path)
    others, one, two = rows_of(tmp_path / "table-parts.csv")
    assert [others[name] for name in COLUMNS] == ["-"] * 8
    assert (one["method"], float(one["eyes"]), float(one["brows"])) == ("first stage alone", 0.61, pytest.approx(0.31))
    assert (two["method"], float(two["nose"]), two["nose.n"]) == ("iCNN", pytest.approx(0.81), "3")
    assert float(two["nose.sd"]) == pytest.approx(0.01)
    assert [row["nose.published"] for row in (others, one, two)] == ["not recovered", "", "not recovered"]
    printed = (tmp_path / "table-parts.md").read_text()
    assert "0.810 ± 0.010" in printed
    assert "not recovered" in printed


def test_stages_stand_beside_the_follow_ups(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path)
    one, two, joint = rows_of(tmp_path / "table-stages.csv")
    assert (one["follow_up.published"], two["follow_up.published"]) == ("0.8573", "0.8928")
    assert float(two["overall_binary"]) == pytest.approx(0.81)
    assert joint["overall"] == "not run at small"
    assert joint["follow_up.published"] == "0.9001"


def test_arms_are_compared_with_the_papers_own_seed_by_seed(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path)
    own, without, true, other = rows_of(tmp_path / "table-ablation.csv")
    assert own["difference"] == "-"
    assert (without["arm"], float(without["difference"])) == ("without links", pytest.approx(-0.03))
    assert float(without["difference.sd"]) == pytest.approx(0, abs=1e-12)
    assert float(own["near"]) == pytest.approx(91)
    assert (float(true["difference"]), float(other["difference"])) == (pytest.approx(0.04), pytest.approx(-0.01))
    assert (own["params"], true["one_stage"]) == ("655009", "-")


def test_an_arm_without_a_second_stage_says_so(made: dict[str, Any], tmp_path: Path) -> None:
    content = read_json(made["arms"][1])
    for row in content["rows"]:
        del row["two_stage"]
    write_json(made["arms"][1], content)
    make_tables(made, tmp_path)
    without = rows_of(tmp_path / "table-ablation.csv")[1]
    assert (without["overall"], without["difference"]) == ("not run at small", "not run at small")
    assert float(without["one_stage"]) == pytest.approx(0.59)


def test_sizes_are_those_of_the_papers_nets(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path)
    assert [row["params"] for row in rows_of(tmp_path / "table-costs.csv")] == ["447729", "422732", "428254"]


def test_metrics_have_each_part_of_each_way(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path)
    metrics = read_json(tmp_path / "metrics.json")
    assert metrics["half/icnn"]["true_crops.mouth"] == {"mean": pytest.approx(0.85), "n": 3, "sd": pytest.approx(0.01)}
    assert "true_crops.mouth" not in metrics["half/no-link"]


def test_a_part_that_no_seed_has_is_left_out(made: dict[str, Any]) -> None:
    arm = main_arm(read_arms(made["cfg"], made["arms"]))
    arm.rows[1]["one_stage"]["inner_mouth"] = None
    assert arm.f("one_stage", "inner_mouth").keys() == {0, 2}
    assert Arm("half", "x").f("one_stage", "nose") == {}


def test_thin_parts_gain_more(made: dict[str, Any], tmp_path: Path) -> None:
    evidence = verdicts.gains_more_on_thin_parts(read_arms(made["cfg"], made["arms"]))
    (cell,) = evidence.cells
    # 80 - 60 points on eyes and nose; 75 - 30 on brows and lips.
    assert cell.ours == pytest.approx(dict.fromkeys(SEEDS, 45))
    assert cell.other == pytest.approx(dict.fromkeys(SEEDS, 20))
    assert evidence.unit == "points"


def test_the_figure_has_the_numbers_behind_it(made: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / "claims.json", {"claims": [
        {"id": "C2", "pipeline_check": "effect visible", "printed": {"word": "effect visible"}}
    ]})  # fmt: skip
    paths = [tmp_path / f"figure-parts.{form}" for form in FIGURE_FORMS]
    figures.figures(made["cfg"], Job(resume=tmp_path / "r"), arms=made["arms"], claims=tmp_path / "claims.json",
                    figures=paths)  # fmt: skip
    rows = rows_of(tmp_path / "figure-parts.csv")
    assert len(rows) == 3 * len(COLUMNS) * len(SEEDS)
    (row,) = [row for row in rows if (row["part"], row["way"], row["seed"]) == ("upper lip", "two stages", "2")]
    assert float(row["F"]) == pytest.approx(0.77)
