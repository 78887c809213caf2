"""Tables, figures and verdicts of Pruning from Scratch from made-up metrics, against values worked out by hand."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from tenfold.files import write_json, write_text
from tenfold.launcher import Job
from tenfold.papers.pruning_from_scratch import grid
from tenfold.papers.pruning_from_scratch.report import figures, results, tables, verdicts
from tenfold.report.face import Data, Face
from tenfold.workflow import House, Paper, seeds_of

from .decided import all_open, claims_in, no_histories

NET = "resnet20-c8"
STANDARD = 1_000_000
ACCURACY = {"full": 0.70, "pruned": 0.66, "pretrained": 0.65, "uniform": 0.60, "random": 0.58}


@pytest.fixture
def paper() -> Paper:
    return House({}).paper("pruning-from-scratch")


@pytest.fixture
def made(tmp_path: Path, paper: Paper) -> dict[str, Any]:
    """Files as the training stages of ``small`` would leave them, with known numbers."""
    small = paper.edition("small")
    net = small.settings["nets"][NET] | {"arms": {"full": [], **{kind: [0.5] for kind in list(ACCURACY)[1:]}}}
    settings = {"inits": 10, "seeds_per_job": 5, "pretrain": {"checkpoints": [1, 3]}, "nets": {NET: net}}
    claims = [
        claim | {"editions": ["small"]} if claim["id"] in ("C1-uniform", "C2") else claim for claim in small.claims
    ]
    edition = replace(small, settings=small.settings | settings, claims=claims)
    rng = np.random.default_rng(0)
    cfg = {"edition": "small", **grid.report(edition, None)}
    wildcards = SimpleNamespace(edition="small")

    def local(paths: list[str]) -> list[Path]:
        return [tmp_path / path for path in paths]

    for path in local(grid.metrics(edition, wildcards)):
        kind = grid.split_arm(path.parts[-2])[0]
        macs = STANDARD if kind == "full" else STANDARD // 2
        rows = [
            {"seed": seed, "accuracy": ACCURACY[kind] + 0.001 * seed, "macs": macs, "params": 10, "epochs": 3}
            for seed in cfg["seeds"]
        ]
        write_json(path, {"device": "cpu", "precision": "fp32", "standard_macs": STANDARD, "rows": rows})
    for path in local(grid.structures(edition, wildcards)):
        base = 10 * np.arange(1, 14)
        rows = []
        for seed in seeds_of(path.stem):
            noise = 0 if path.parts[-2].startswith("pretrained") else 30
            for ratio in cfg["budgets"]:
                widths = np.maximum(1, base + rng.integers(-noise, noise + 1, 13)).tolist()
                achieved = ratio * (1.0005 if ratio == 0.5 else 1.01)
                rows.append({"seed": seed, "ratio": ratio, "widths": widths, "achieved": achieved, "steps": 10,
                             "floored": 0, "nearest_achieved": ratio})  # fmt: skip
        write_json(path, {"rows": rows})
    for path in local(grid.searches(edition, wildcards)):
        factor = 4 if "pretrain" in path.parts else 1
        rows = [
            {"seed": seed, "steps": 10 * factor, "images": 100 * factor, "macs_per_image": 7}
            for seed in seeds_of(path.name.partition(".")[0])
        ]
        write_json(path, {"rows": rows})
    for path in local(grid.search_times(edition, wildcards)):
        write_text(path, "seed,epoch,seconds,examples_per_second\n0,1,2.5,10\n0,2,1.5,10\n")
    for path in local(grid.gate_histories(edition, wildcards)):
        lines = ["seed,epoch,gate_q00,gate_q05,gate_q25,gate_q50,gate_q75,gate_q95,gate_q100"]
        lines += [f"{seed},{epoch},0,0.1,0.2,0.5,0.7,0.9,1" for seed in cfg["seeds"] for epoch in (1, 2)]
        write_text(path, "\n".join(lines) + "\n")
    inputs = {
        name: local(getattr(grid, name)(edition, wildcards))
        for name in ("metrics", "structures", "searches", "search_times", "gate_histories")
    }
    return {"cfg": cfg, "edition": edition, "root": tmp_path, **inputs}


def forms(root: Path, name: str, *suffixes: str) -> list[Path]:
    return [root / f"{name}{suffix}" for suffix in suffixes]


def make_tables(made: dict[str, Any], out: Path) -> None:
    suffixes = (".csv", ".md", ".tex", ".cells.json")
    write_json(out / "costs.json", [{"title": "VGG19", "width": "64", "params": 20, "macs": 400, "gates": 16}])
    tables.tables(
        made["cfg"],
        Job(resume=out / "resume"),
        arms=made["metrics"],
        structures=made["structures"],
        searches=made["searches"],
        search_times=made["search_times"],
        counted=out / "costs.json",
        tables=[path for name in tables.TABLES for path in forms(out, name, *suffixes)],
        times=out / "times.csv",
        metrics=out / "metrics.json",
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_accuracy_table_has_every_arm_with_mean_sd_and_budget(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path / "out")
    rows = {row["structure"]: row for row in rows_of(tmp_path / "out/table-accuracy.csv")}
    assert len(rows) == 5
    pruned = rows["gates on random weights (the paper's)"]
    assert float(pruned["accuracy"]) == pytest.approx(66.1)
    assert float(pruned["accuracy.sd"]) == pytest.approx(0.1)
    assert pruned["accuracy.n"] == "3"
    assert float(pruned["saved"]) == pytest.approx(50.0)
    assert pruned["accuracy.published"] == "not recovered"
    text = (tmp_path / "out/table-accuracy.md").read_text()
    assert "shapes-10 (stand-in for CIFAR-10)" in text
    assert "66.10 ± 0.10 |" in text


def test_the_comparison_pairs_seeds_and_never_shows_remembered_values(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path / "out")
    rows = rows_of(tmp_path / "out/table-comparison.csv")
    ours = next(row for row in rows if row["net"] == NET and row["method"].startswith("gates on random weights"))
    assert float(ours["difference"]) == pytest.approx(-4.0)
    assert float(ours["difference.sd"]) == pytest.approx(0.0, abs=1e-9)
    published = [row for row in rows if row["net"] != NET]
    assert len(published) == 27
    assert {row["pruned.published"] for row in published} == {"not recovered"}
    assert {row["pruned"] for row in published} == {"not run at small"}


def test_the_budget_table_and_the_times(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path / "out")
    rows = [row for row in rows_of(tmp_path / "out/table-budget.csv") if row["origin"] == "random-init"]
    found = {row["p"]: (float(row["deviation"]), float(row["met"])) for row in rows}
    assert found["0.5"] == (pytest.approx(0.0005), 100.0)
    assert found["0.7"] == (pytest.approx(0.01), 0.0)
    assert {row["seconds"] for row in rows_of(tmp_path / "out/times.csv")} == {"4.0"}


def test_equal_metrics_give_equal_bytes(made: dict[str, Any], tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_tables(made, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 4 * 6 + 3
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_correlations_take_one_number_from_each_independent_part(made: dict[str, Any]) -> None:
    structures = results.read_structures(made["cfg"], made["structures"])
    groups = results.correlations(structures, NET, 0.5)
    assert {name: len(values) for name, values in groups.items()} == {
        "random inits": 5,
        "one pre-training": 3,
        "random init and pre-training": 3,
    }
    inits = structures.rows[NET, "random-init"][0.5]
    expected = np.corrcoef(inits[2]["widths"], inits[3]["widths"])[0, 1]
    assert groups["random inits"][1] == pytest.approx(expected)


def test_structures_without_spread_have_no_correlation_and_stop_nothing(made: dict[str, Any], tmp_path: Path) -> None:
    for path in made["structures"]:
        content = json.loads(path.read_text())
        for row in content["rows"]:
            if row["ratio"] == 0.9:
                row["widths"] = [1] * 13
        write_json(path, content)
    make_tables(made, tmp_path / "out")
    rows = rows_of(tmp_path / "out/table-correlation.csv")
    assert {row["correlation"] for row in rows if row["p"] == "0.9"} == {"undefined"}
    assert all(-1 <= float(row["correlation"]) <= 1 for row in rows if row["p"] != "0.9")


def test_verdicts_follow_from_the_numbers(made: dict[str, Any], tmp_path: Path) -> None:
    cfg = made["cfg"] | {"claims": made["edition"].claims}
    verdicts.claims(
        cfg, Job(resume=tmp_path / "resume"), arms=made["metrics"], histories=no_histories(made["metrics"]),
        structures=made["structures"], searches=made["searches"], claims=tmp_path / "claims.json",
    )  # fmt: skip
    found = claims_in(tmp_path / "claims.json")
    assert found["C1"]["estimate"] == pytest.approx(1.0)
    assert found["C1"]["pipeline_check"] == "by construction"  # made up without a spread
    assert found["C1-uniform"]["estimate"] == pytest.approx(6.0)
    assert found["C4"]["estimate"] == pytest.approx(4.0)
    assert found["C5"]["verdict"] == "fails"
    assert [cell["measured"] for cell in found["C5"]["cells"]] == [0.0, 1.0, 0.0, 0.0]
    assert found["C3"]["verdict"] == "not testable here"
    assert found["C2"]["cells"][0]["estimate"] > 0


def test_the_figures_are_drawn_with_the_data_behind_them(made: dict[str, Any], tmp_path: Path) -> None:
    suffixes = (".png", ".pdf", ".csv")
    out = {name: forms(tmp_path / "out", name, *suffixes) for name in figures.FIGURES}
    figures.figures(
        made["cfg"],
        Job(resume=tmp_path / "resume"),
        arms=made["metrics"],
        structures=made["structures"],
        gate_histories=made["gate_histories"],
        claims=all_open("pruning-from-scratch", tmp_path),
        figures=[path for of in out.values() for path in of],
    )
    for paths in out.values():
        assert all(path.stat().st_size > 500 for path in paths[:2])
    assert len(rows_of(tmp_path / "out/figure-accuracy.csv")) == 15
    matrix = rows_of(tmp_path / "out/figure-correlation.csv")
    assert len(matrix) == 16
    assert float(matrix[3][matrix[3]["structure"]]) == pytest.approx(1.0)


def test_gates_of_one_epoch_are_shown_where_it_ends(
    made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, frame, paths: drawn.append((figure, frame)))
    face = Face("small", Data("shapes-10", "CIFAR-10"), n=3, device="cpu", precision="bf16")
    figures.figure_gates(made["cfg"], made["gate_histories"], face, [])
    for path in made["gate_histories"]:
        rows = [row for row in path.read_text().splitlines() if row.split(",")[1] != "2"]
        path.write_text("\n".join(rows) + "\n")
    figures.figure_gates(made["cfg"], made["gate_histories"], face, [])
    (course, _), (end, frame) = drawn
    said = ["".join(text.get_text() for text in figure.findobj(Text)) for figure in (course, end)]
    assert [figure.axes[0].get_xlabel() for figure in (course, end)] == [
        "epoch of gate learning",
        "share of the net's gates that are no larger [%]",
    ]
    assert ["there is no course to show" in text for text in said] == [False, True]
    means = frame.groupby("quantile")["gate"].mean()
    assert means.to_dict() == pytest.approx({0: 0, 5: 0.1, 25: 0.2, 50: 0.5, 75: 0.7, 95: 0.9, 100: 1})


def test_an_arm_and_its_files(paper: Paper) -> None:
    edition = paper.edition("real")
    assert grid.split_arm("scratch-b-p0.5") == ("scratch-b", 0.5)
    assert grid.split_arm("full") == ("full", None)
    wildcards = SimpleNamespace(edition="real", net=NET, arm="pretrained-p0.7", seeds="s0-4", source="random-init")
    last = edition.settings["pretrain"]["checkpoints"][-1]
    assert grid.structure(edition, wildcards) == [
        f"runs/real/pruning-from-scratch/structures/{NET}/pretrained-e{last}/s0-4.json"
    ]
    assert grid.checkpoint(edition, wildcards) == []
    assert grid.init_groups(edition, NET) == ["s0-4", "s5-9"]


def test_compared_arms_get_the_same_recipe_seeds_and_images(paper: Paper) -> None:
    edition = paper.edition("real")
    shared = ("recipe", "seeds", "images", "data", "compute", "standard")
    cfgs = [
        grid.train(edition, SimpleNamespace(edition="real", net=NET, arm=arm, seeds="s0-4"))
        for arm in grid.arms(edition, NET)
    ]
    for cfg in cfgs:
        assert [cfg[key] for key in shared] == [cfgs[0][key] for key in shared]
