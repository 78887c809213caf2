"""Tables, figures and verdicts of SKNet from made-up metrics, against values worked out by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tenfold.files import read_json, write_json
from tenfold.launcher import Job
from tenfold.papers.sknet import grid
from tenfold.papers.sknet.costs import costs
from tenfold.papers.sknet.report import figures, results, tables, verdicts
from tenfold.workflow import House, seeds_of

from .decided import all_open, claims_in, no_histories, without_gates

SCALES = [1.0, 1.5, 2.0]
UNITS = ["SK_2_1", "SK_2_2", "SK_3_1", "SK_3_2", "SK_4_1", "SK_4_2"]
# Test error in percent; by seed a little more.
ERROR = {"k3": 40.0, "k5": 44.0, "k7": 45.0, "k3-k5-sum": 38.0, "k3-k5-sk": 36.0, "k3-k7-sum": 39.0, "k3-k7-sk": 37.0,
         "k5-k7-sum": 43.0, "k5-k7-sk": 42.0, "k3-k5-k7-sum": 37.5, "k3-k5-k7-sk": 36.2, "k3-k3-sk": 36.5, "se": 39.5,
         "wider": 39.0, "deeper": 38.5, "cardinality": 38.8}  # fmt: skip
SLOPE = {"SK_2_1": 0.01, "SK_2_2": 0.02, "SK_3_1": 0.03, "SK_3_2": 0.04, "SK_4_1": -0.01, "SK_4_2": -0.02}


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counts")
    cfg = grid.costs(House({}).paper("sknet").edition("real"), None)
    costs(cfg, Job(resume=folder / "r"), counts=folder / "c.json")
    return folder / "c.json"


@pytest.fixture
def made(tmp_path: Path, counts: Path) -> dict[str, Any]:
    """Files as the training stages of ``real`` would leave them, with known numbers."""
    edition = House({}).paper("sknet").edition("real")
    rng = np.random.default_rng(0)
    counted = read_json(counts)
    paths = {
        name: [tmp_path / path for path in getattr(grid, name)(edition, None)] for name in ("metrics", "attention")
    }
    for path in paths["metrics"]:
        arm = path.parts[-2]
        rows = [
            {"seed": seed, "accuracy": 1 - (ERROR[arm] + 0.5 * seed + 0.01 * rng.random()) / 100,
             "cross_entropy": 1.0, "train_accuracy": 0.75, "epochs": 5}
            for seed in seeds_of(path.stem)
        ]  # fmt: skip
        write_json(path, {"device": "cpu", "precision": "fp32", **counted[f"mini/{arm}"], "rows": rows})
    for path in paths["attention"]:
        rows = [
            {"seed": seed, "scale": scale, "unit": unit, "sd": 0.05, "curve": [0.5 + scale / 100] * 16,
             "difference": (SLOPE[unit] + 1e-4 * seed) * scale,
             "classes": {label: SLOPE[unit] * scale + 0.001 * label for label in range(10)}}
            for seed in seeds_of(path.stem)
            for scale in SCALES
            for unit in UNITS
        ]  # fmt: skip
        write_json(path, {"rows": rows})
    cfg = {"edition": "real", **grid.claims(edition, None)}
    return {"cfg": cfg, "arms": paths["metrics"], "attention": paths["attention"], "counts": counts}


def run_tables(made: dict[str, Any], folder: Path) -> dict[str, Path]:
    paths = [folder / f"{name}.{form}" for name in tables.TABLES for form in ("csv", "md")]
    tables.tables(made["cfg"], Job(resume=folder / "r"), arms=made["arms"], attention=made["attention"],
                  counts=made["counts"], tables=paths, metrics=folder / "metrics.json")  # fmt: skip
    return {path.stem: path for path in [*paths[::2], folder / "metrics.json"]}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_table_7_has_published_counted_and_measured_numbers_side_by_side(made: dict[str, Any], tmp_path: Path) -> None:
    out = run_tables(made, tmp_path)
    rows = {row["kernels"]: row for row in rows_of(out["table-kernels"])}
    assert len(rows) == 11
    row = rows["K3 + K5, SK"]
    assert (row["imagenet_error.published"], row["params.published"], row["gflops.published"]) == (
        "20.79",
        "27.5",
        "4.47",
    )
    assert float(row["params"]) == 27.479784
    assert row["imagenet_error"] == "not run at real"
    assert float(row["error"]) == pytest.approx(37.0, abs=0.011)
    assert float(row["against_k3"]) == pytest.approx(-4.0, abs=0.011)
    assert row["small_params"] == "109786"
    assert rows["K3"]["against_k3"] == "-"
    assert all(row["data"].startswith("none: counted") or "cifar-10" in row["data"] for row in rows.values())
    text = (tmp_path / "table-kernels.md").read_text()
    assert "data none" not in text, "what is counted is of no data"
    assert "only their order can be compared" in text


def test_every_table_of_the_paper_is_whole(made: dict[str, Any], tmp_path: Path) -> None:
    out = run_tables(made, tmp_path)
    sizes = {name: len(rows_of(out[name])) for name in tables.TABLES}
    assert sizes == {
        "table-arms": 16, "table-kernels": 11, "table-equal-cost": 5, "table-second-branch": 5, "table-imagenet": 17,
        "table-light": 6, "table-cifar": 5, "table-attention": 6, "table-cost": 53,
    }  # fmt: skip
    wider = rows_of(out["table-equal-cost"])[2]
    assert (wider["params"], wider["params.published"], wider["small_params"]) == ("not counted", "28.1", "126074")
    quoted = {row["net"]: row for row in rows_of(out["table-imagenet"])}
    assert quoted["DPN-98"]["params"] == "not counted"
    assert quoted["InceptionV3"]["imagenet_error.published"] == ""
    assert rows_of(out["table-cifar"])[4]["cifar-100.published"] == "17.33"
    assert read_json(out["metrics"])["mini/k3"]["error"]["n"] == 5


def test_the_table_of_attention_has_slope_and_interval_of_every_unit(made: dict[str, Any], tmp_path: Path) -> None:
    out = run_tables(made, tmp_path)
    rows = {row["SK unit"]: row for row in rows_of(out["table-attention"])}
    assert list(rows) == UNITS
    for unit, row in rows.items():
        assert float(row["slope"]) == pytest.approx(SLOPE[unit] + 2e-4)
        assert float(row["slope.sd"]) == pytest.approx(1e-4 * np.std(range(5), ddof=1))
        assert float(row["classes"]) == (100.0 if SLOPE[unit] > 0 else 0.0)
    half = 2.776445 * 1e-4 * np.std(range(5), ddof=1) / 5**0.5
    ends = f"[{0.0402 - half:+.4f}, {0.0402 + half:+.4f}]"
    line = next(
        line for line in (tmp_path / "table-attention.md").read_text().splitlines() if line.startswith("| SK_3_2")
    )
    assert f"+0.0402 {ends} |" in line
    assert (
        "In brackets: 95 % interval of the mean over 5 seeds (Student)."
        in (tmp_path / "table-attention.md").read_text()
    )


def test_figures_are_drawn_from_the_rows(made: dict[str, Any], tmp_path: Path) -> None:
    out = {name: [tmp_path / f"figure-{name}.csv", tmp_path / f"figure-{name}.png"]
           for name in ("attention", "classes", "cost")}  # fmt: skip
    paths = [path for of in out.values() for path in of]
    figures.figures(made["cfg"], Job(resume=tmp_path / "r"), arms=made["arms"], attention=made["attention"],
                    claims=all_open("sknet", tmp_path), figures=paths)  # fmt: skip
    scales = pd.read_csv(out["attention"][0])
    assert set(scales["unit"]) == {"SK_2_2", "SK_3_2", "SK_4_2"}
    curve = scales[scales["what"] == "attention"]
    assert set(curve["unit"]) == {"SK_3_2"}
    assert len(curve) == 16 * 3 * 5
    assert len(pd.read_csv(out["classes"][0])) == 3 * 2 * 5 * 10
    kinds = pd.read_csv(out["cost"][0]).groupby("kind")["arm"].nunique().to_dict()
    assert kinds == {
        "one branch": 3,
        "plain sum": 4,
        "attention": 5,
        "squeeze-and-excitation": 1,
        "one branch, larger net": 3,
    }
    assert all(paths[1].stat().st_size > 10_000 for paths in out.values())


def test_no_two_arms_of_one_size_have_one_place() -> None:
    sizes = pd.Series([76_570, 109_786, 76_570, 109_786, 137_242, 109_786])
    places = figures.side_by_side(sizes)
    assert places.nunique() == len(sizes)
    step = 0.022 * (137_242 - 76_570)
    assert list(places[[0, 2]]) == pytest.approx([76_570 - step / 2, 76_570 + step / 2])
    assert list(places[[1, 3, 5]]) == pytest.approx([109_786 - step, 109_786, 109_786 + step])
    assert places[4] == 137_242


def decided(made: dict[str, Any], folder: Path, gates: bool = False) -> dict[str, Any]:
    out = folder / "claims.json"
    verdicts.claims(made["cfg"] if gates else without_gates(made["cfg"]), Job(resume=folder / "r"), arms=made["arms"],
                    histories=no_histories(made["arms"]), attention=made["attention"], counts=made["counts"],
                    claims=out)  # fmt: skip
    return claims_in(out)


def test_verdicts_follow_the_numbers(made: dict[str, Any], tmp_path: Path) -> None:
    found = decided(made, tmp_path)
    for name in ("C1", "C2", "C3", "C7", "C8", "C8-three", "C9", "C10-k3"):
        assert found[name]["verdict"] == "supported", name
    assert found["C9-classes"]["verdict"] == "by construction", "made up without a spread"
    assert found["C10"]["printed"]["word"] == "supported", "three branches have the higher error here, two gain more"
    assert found["C10"]["readings"][0]["printed"]["cells"] == "1 of 2"
    for name in ("C4", "C5", "C6", "C7-dilated"):
        assert found[name]["verdict"] == "not testable here"
    assert len(found["C2"]["cells"]) == 3
    assert [cell["label"] for cell in found["C8"]["cells"]] == [
        f"{kernels}-sk against {kernels}-sum, mini" for kernels in ("k3-k5", "k3-k7", "k5-k7", "k3-k5-k7")
    ]
    assert [cell["label"] for cell in found["C9"]["cells"]] == ["slope in SK_2_2", "slope in SK_3_2"]
    assert found["C1"]["estimate"] == pytest.approx(-4.0, abs=0.011)


@pytest.mark.parametrize(("sd", "passes"), [(0.0001, False), (0.01, False), (0.02, True)])
def test_the_gate_asks_whether_attention_moves_with_the_image(
    made: dict[str, Any], tmp_path: Path, sd: float, passes: bool
) -> None:
    for path in made["attention"]:  # of images as they are; what larger objects do is not asked
        rows = [row | {"sd": sd if row["scale"] == 1.0 else 0.5} for row in read_json(path)["rows"]]
        write_json(path, {"rows": rows})
    found = decided(made, tmp_path, gates=True)
    acted = [check for check in found["C1"]["gate"]["checks"] if check["check"] == "c"]
    assert [(check["measured"], check["passes"]) for check in acted] == [(round(100 * sd, 2), passes)]
    assert ("(a, b, c)" in found["C1"]["printed"]["word"]) is not passes
    assert {check["check"] for check in found["C9"]["gate"]["checks"]} == {"a", "b"}


def test_what_is_counted_is_decided_everywhere(made: dict[str, Any], tmp_path: Path) -> None:
    found = decided(made, tmp_path)
    assert found["C12"]["verdict"] == "holds"
    for name in ("C1-cost", "C4-cost", "C6-cost"):
        assert found[name]["verdict"] == "reproduced", name
    assert found["C11"]["verdict"].startswith("off by -1."), "22 % fewer is 20.9 and 20.6"
    by_hand = [100 * (1 - 48.736040 / 61.6), 100 * (1 - 27.739626 / 34.948506)]
    assert [cell["measured"] for cell in found["C11"]["cells"]] == pytest.approx(by_hand, abs=1e-4)
    assert [cell["measured"] for cell in found["C1-cost"]["cells"]] == pytest.approx([9.792, 5.490], abs=1e-3)


def test_a_slope_that_falls_lowers_the_effect(made: dict[str, Any], tmp_path: Path) -> None:
    path = made["attention"][0]
    rows = read_json(path)["rows"]
    for row in rows:
        if row["unit"] == "SK_3_2":
            row["difference"] = -row["difference"]
    write_json(path, {"rows": rows})
    found = decided(made, tmp_path)["C9"]
    assert found["estimate"] == pytest.approx((0.0202 - 0.0402) / 2, abs=1e-4)
    assert [cell["on_claimed_side"] for cell in found["cells"]] == [True, False]


def test_attention_is_read_in_the_order_of_the_net(made: dict[str, Any]) -> None:
    read = results.read_attention(made["attention"])
    assert read.units == UNITS
    assert read.shown == ["SK_2_2", "SK_3_2", "SK_4_2"]
    assert figures.middle_unit(read) == "SK_3_2"
    assert read.slope("SK_2_1") == pytest.approx({seed: 0.01 + 1e-4 * seed for seed in range(5)})


def test_at_full_the_tables_have_no_small_net(made: dict[str, Any]) -> None:
    cfg = {"nets": {"imagenet-50": ["k3"]}}
    assert tables.small_columns(cfg) == tables.small_note(cfg) == ()
    edition = House({}).paper("sknet").edition("full")
    assert results.main_net(grid.report(edition, SimpleNamespace())) == "imagenet-50"
