"""Tables, figures and verdicts of turbo-hoi from made-up metrics, against values worked out by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tenfold.files import read_json, write_json
from tenfold.launcher import Job
from tenfold.papers.turbo_hoi import grid
from tenfold.papers.turbo_hoi.report import figures, tables, verdicts
from tenfold.papers.turbo_hoi.report.results import gain, read_arms
from tenfold.workflow import FIGURE_FORMS, TABLE_FORMS, Edition, House, seeds_of

from .decided import all_open, claims_in

SLUG = "turbo-hoi"
# What each arm has of AP_role and of keypoint AP, in percent; a seed adds a tenth of itself, so differences have none.
ROLE = {"hoi-only": 58, "multitask": 60, "pose-to-hoi": 70, "hoi-to-pose": 61, "turbo-2": 74, "turbo-3": 75,
        "turbo-2-shuffled": 60}  # fmt: skip
KEYPOINTS = {"pose-only": 49, "multitask": 50, "pose-to-hoi": 51, "hoi-to-pose": 58, "turbo-2": 59, "turbo-3": 58.5,
             "turbo-2-shuffled": 50}  # fmt: skip
TRIVIAL = {"hoi": {"role_1": 0.1, "role_1_all": 0.1, "role_2": 0.12, "role_2_all": 0.12, "agent": 0.2},
           "pose": {"ap": 0.05, "pck": 0.3, "pck_hidden": 0.2, "pck_seen": 0.32}}  # fmt: skip
OFF = [("no-limb-cue", "pose-to-hoi")]
LOST = {"no-limb-cue": 8, "no-action-cue": 7}  # what a link loses where its cue is off


def row_of(of: dict[str, str], seed: int) -> dict[str, Any]:
    """A seed's row, as ``train`` writes it."""
    arm, row = of["arm"], {"seed": seed, "trivial": TRIVIAL, "moved": 0.01, "epochs": 2, "params": 100}
    wobble = seed if arm == "turbo-2" else -10 * LOST[of["net"]] if (of["net"], arm) in OFF else 0
    tables = {"role": ROLE, "keypoints": KEYPOINTS}
    values = {task: (of_arms[arm] + 0.1 * wobble) / 100 for task, of_arms in tables.items() if arm in of_arms}
    turns = grid.LINKS_OF[arm]["turns"]
    row["turns"] = [
        {task: value - 0.05 * (turns - turn) for task, value in values.items()} for turn in range(1, turns + 1)
    ]
    if "role" in values:
        role = values["role"]
        row["hoi"] = {
            "role_1": role,
            "role_1_all": role - 0.01,
            "role_2": role + 0.02,
            "role_2_all": role,
            "agent": 0.9,
        }
        row["roles"] = {"hold-obj": {"scenario_1": role, "scenario_2": role + 0.02},
                        "kick-obj": {"scenario_1": None, "scenario_2": 0.5}}  # fmt: skip
    if "keypoints" in values:
        ap = values["keypoints"]
        hidden = 0.3 if "turbo" in arm or arm == "hoi-to-pose" else 0.1
        row["pose"] = {"ap": ap, "ap50": ap, "pck": 0.8, "pck_hidden": hidden, "pck_seen": 0.9}
    if arm in grid.OFF_ARMS:
        lost = LOST["no-action-cue"] / 100 if arm == "hoi-to-pose" else 0
        row["off"] = {"no-action-cue": {task: value - lost for task, value in values.items()}}
    row["gains"] = {task: value - 0.1 for task, value in values.items()}
    return row


def made_up(name: str, folder: Path) -> dict[str, Any]:
    """Files as the stages of an edition would leave them, with known numbers."""
    edition: Edition = House({}).paper(SLUG).edition(name)
    paths = []
    for of, path in grid.trained(edition):
        paths.append(folder / path)
        facts = {"data": of["data"], "arm": of["arm"], "device": "cpu", "precision": "bf16", "params": 100}
        write_json(paths[-1], facts | {"rows": [row_of(of, seed) for seed in seeds_of(Path(path).stem)]})
    return {"cfg": {"edition": name, **grid.claims(edition, SimpleNamespace())}, "arms": paths}


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Any]:
    return made_up("small", tmp_path)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def make_tables(made: dict[str, Any], out: Path) -> None:
    paths = [out / f"{name}.{form}" for name in tables.TABLES for form in TABLE_FORMS]
    tables.tables(
        made["cfg"], Job(resume=out / "r"), arms=made["arms"], ranked=[], tables=paths, metrics=out / "metrics.json"
    )


def decide(made: dict[str, Any], out: Path) -> dict[str, dict[str, Any]]:
    verdicts.claims(made["cfg"], Job(resume=out / "r"), arms=made["arms"], ranked=[], claims=out / "claims.json")
    return claims_in(out / "claims.json")


# Tables -----------------------------------------------------------------------------------------------------------


def test_the_papers_table_has_both_scenarios_and_both_means_beside_what_was_published(
    small: dict[str, Any], tmp_path: Path
) -> None:
    make_tables(small, tmp_path)
    rows = {row["method"]: row for row in rows_of(tmp_path / "table-vcoco.csv")}
    assert [float(rows["turbo"][name]) for name in tables.SCENARIOS] == pytest.approx([74.2, 73.2, 76.2, 74.2])
    assert (rows["turbo"]["role_1.published"], rows["InteractNet"]["role_1.published"]) == ("42.0", "40.0")
    assert rows["InteractNet"]["role_1"] == "-"
    assert rows["ours, interactions alone"]["role_1.published"] == ""
    printed = (tmp_path / "table-vcoco.md").read_text()
    assert "boxes given" in printed
    assert "[DESIGN]" in printed
    assert "not comparable" in printed


def test_hico_has_what_was_published_and_nothing_of_ours(small: dict[str, Any], tmp_path: Path) -> None:
    make_tables(small, tmp_path)
    rows = {row["method"]: row for row in rows_of(tmp_path / "table-hico.csv")}
    assert [rows["turbo"][f"{name}.published"] for name in tables.HICO] == ["11.4", "7.3", "12.6"]
    assert rows["turbo"]["full"] == "not run at small"
    assert rows["GPNN"]["full"] == "-"


def test_variants_are_held_against_multitask_and_the_trivial_predictors(small: dict[str, Any], tmp_path: Path) -> None:
    make_tables(small, tmp_path)
    rows = {row["variant"]: row for row in rows_of(tmp_path / "table-variants.csv")}
    assert float(rows["pose to interaction"]["role_gain"]) == pytest.approx(10)
    assert float(rows["loop, T = 2"]["keypoints_gain"]) == pytest.approx(9.2)  # seeds 0 to 4 add 0.2 on average
    assert (rows["interactions alone"]["keypoints"], rows["pose alone"]["role"]) == ("-", "-")
    assert rows["multitask, no messages"]["role_gain"] == "-"
    assert float(rows["trivial predictors"]["role_2"]) == pytest.approx(12)
    assert {row["params"] for row in rows.values()} == {"100", "-"}


def test_a_role_that_nobody_has_is_left_out_of_the_table_by_action(small: dict[str, Any], tmp_path: Path) -> None:
    make_tables(small, tmp_path)
    hold, kick = rows_of(tmp_path / "table-roles.csv")
    assert float(hold["turbo-2_1"]) == pytest.approx(74.2)
    assert (kick["turbo-2_1"], float(kick["turbo-2_2"])) == ("-", pytest.approx(50))


def test_switches_show_what_links_add_with_and_without_their_cue(small: dict[str, Any], tmp_path: Path) -> None:
    make_tables(small, tmp_path)
    both, limbs, actions = rows_of(tmp_path / "table-switches.csv")
    assert (float(both["pose-to-hoi"]), float(both["hoi-to-pose"])) == (pytest.approx(10), pytest.approx(8))
    assert (float(limbs["pose-to-hoi"]), float(actions["hoi-to-pose"])) == (pytest.approx(2), pytest.approx(1))
    assert limbs["hoi-to-pose"] == "not run at small"


def test_metrics_are_in_percent(small: dict[str, Any], tmp_path: Path) -> None:
    make_tables(small, tmp_path)
    metrics = read_json(tmp_path / "metrics.json")
    assert metrics["scenes/turbo-3"]["ap_role"] == {"mean": pytest.approx(75), "n": 5, "sd": pytest.approx(0)}
    assert "ap_role" not in metrics["scenes/pose-only"]


# Verdicts ---------------------------------------------------------------------------------------------------------


def test_the_loop_is_held_against_the_link_that_is_better_on_each_task(small: dict[str, Any], tmp_path: Path) -> None:
    claim = decide(small, tmp_path)["T5"]
    of = {reading["reading"]: reading for reading in claim["readings"]}
    assert of["AP_role"]["estimate"] == pytest.approx(4.2)
    assert of["keypoint AP"]["estimate"] == pytest.approx(1.2)
    assert of["AP_role"]["cells"][0]["label"] == "loop, T = 2 against pose to interaction"
    assert of["keypoint AP"]["cells"][0]["label"] == "loop, T = 2 against interaction to pose"
    assert (claim["verdict"], claim["pipeline_check"]) == (None, "effect visible")


def test_a_loop_that_wins_on_one_task_alone_does_not_hold(small: dict[str, Any], tmp_path: Path) -> None:
    for path in small["arms"]:
        content = read_json(path)
        if content["arm"] == "hoi-to-pose":
            for row in content["rows"]:
                row["pose"]["ap"] = 0.6
            write_json(path, content)
    assert decide(small, tmp_path)["T5"]["pipeline_check"] == "depends on the reading"


def test_the_other_claims_are_decided_on_their_differences(small: dict[str, Any], tmp_path: Path) -> None:
    claims = decide(small, tmp_path)
    estimates = {"T3": 12.0, "T4": 9.0, "turns": (0.8 - 0.7) / 2, "hidden": 20.0, "shuffled": (14.2 + 9.2) / 2,
                 "no-message": 0.0, "learned": 47.5, "off-pose": 8.0, "off-action": 7.0}  # fmt: skip
    assert {name: claims[name]["estimate"] for name in estimates} == pytest.approx(estimates, abs=1e-9)
    assert {claims[name]["verdict"] for name in ("T1", "T2")} == {"not testable here"}
    assert claims["P1"]["verdict"] == "holds"


def test_an_arm_with_other_parameters_is_found(small: dict[str, Any], tmp_path: Path) -> None:
    write_json(small["arms"][0], read_json(small["arms"][0]) | {"params": 101})
    assert decide(small, tmp_path)["P1"]["verdict"] == "fails"


def test_an_arm_without_a_task_gains_nothing_on_it(small: dict[str, Any]) -> None:
    arms = read_arms(small["cfg"], small["arms"])
    assert gain(arms, "scenes", "hoi-only", "keypoints") == {}
    assert gain(arms, "scenes", "nobody", "role") == {}
    assert arms["scenes", "turbo-2-shuffled"].rows[0]["above_multitask"] == {"role": 0, "keypoints": 0}


# Figures ----------------------------------------------------------------------------------------------------------


def test_figures_have_the_numbers_behind_them(small: dict[str, Any], tmp_path: Path) -> None:
    cfg = {"edition": "small", **grid.figures(House({}).paper(SLUG).edition("small"), SimpleNamespace())}
    paths = [tmp_path / f"{name}.{form}" for name in figures.FIGURES for form in FIGURE_FORMS]
    figures.figures(cfg, Job(resume=tmp_path / "r"), arms=small["arms"], claims=all_open(SLUG, tmp_path), figures=paths)
    turns = rows_of(tmp_path / "figure-turns.csv")
    assert len(turns) == 2 * 5 * (3 + 3)
    (last,) = [
        row
        for row in turns
        if (row["task"], row["turns"], row["seed"], row["of"]) == ("role", "1", "0", "turn by turn, trained with 3")
    ]
    assert float(last["AP"]) == pytest.approx(65)
    variants = rows_of(tmp_path / "figure-variants.csv")
    assert len(variants) == 5 * (7 + 7 - 2)
    (seed,) = [row for row in variants if (row["variant"], row["task"], row["seed"]) == ("loop, T = 2", "AP_role", "4")]
    assert float(seed["points"]) == pytest.approx(14.4)
