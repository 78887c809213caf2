"""Tables, figures and verdicts of SGE from made-up metrics, against values worked out by hand; its grid and stages."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tenfold.data import imagenet as archives
from tenfold.data.prepare import write_tensors
from tenfold.errors import UserError
from tenfold.files import read_json, write_json
from tenfold.launcher import Job
from tenfold.papers.sge import examine, grid, imagenet, train
from tenfold.papers.sge.method import SpatialGroupEnhance
from tenfold.papers.sge.nets import build
from tenfold.papers.sge.report import figures, results, tables, verdicts
from tenfold.papers.sge.report.draw_maps import draw_maps
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe, build_optimiser
from tenfold.training.schedules import factor
from tenfold.workflow import TABLE_FORMS, Edition, House, seeds_of

from .. import mini_imagenet
from ..listed_files import only
from .decided import all_open, claims_in, no_histories, without_gates

torch.set_num_threads(1)

ACCURACY = {"plain": 0.50, "se": 0.51, "sk": 0.515, "bam": 0.505, "cbam": 0.53, "gc": 0.48, "sge": 0.52, "sge-g1": 0.50,
            "sge-g2": 0.51, "sge-g8": 0.51, "sge-gamma0-beta0": 0.515, "sge-gamma1-beta0": 0.505,
            "sge-gamma1-beta1": 0.49, "sge-unnormalised": 0.51}  # fmt: skip
ADDED = {"plain": 0, "se": 2_530_992, "sk": 597_464, "bam": 1, "gc": 2, "cbam": 2_532_592}
OPERATIONS = {
    "resnet50": {"plain": 4_121_930_000, "sge": 4_127_440_000},
    "resnet101": {"plain": 7_849_500_000, "sge": 7_858_430_000},
}
COSTS = {
    f"{net}/{arm}": {
        "params": params + added,
        "operations": OPERATIONS[net].get(arm, 1),
        "backbone_params": 1,
        "backbone_operations": 2,
    }
    for net, params, blocks in (("resnet50", 25_557_032, 16), ("resnet101", 44_549_160, 33))
    for arm, added in (ADDED | {"sge": 128 * blocks}).items()
}


@pytest.fixture(scope="module")
def real() -> Edition:
    return House({}).paper("sge").edition("real")


@pytest.fixture(scope="module")
def full() -> Edition:
    return House({}).paper("sge").edition("full")


@pytest.fixture
def made(tmp_path: Path, real: Edition) -> dict[str, Any]:
    """Files as the stages of ``real`` would leave them, with known numbers."""
    rng = np.random.default_rng(0)

    def local(name: str) -> list[Path]:
        return [tmp_path / path for path in getattr(grid, name)(real, SimpleNamespace(edition="real"))]

    files: dict[str, Any] = {name: local(name) for name in ("metrics", "statistics")}
    for path in files["metrics"]:
        rows = [{"seed": seed, "accuracy": ACCURACY[path.parts[-2]] + 0.01 * seed + 1e-4 * rng.random()}
                for seed in seeds_of(path.stem)]  # fmt: skip
        facts = {"data": "cifar-10", "device": "cpu", "precision": "fp32", "params": 1234, "macs": 99}
        write_json(path, facts | {"arm": path.parts[-2], "rows": rows})
    for path in files["statistics"]:
        write_json(path, {"rows": [statistics_row(seed, rng) for seed in seeds_of(path.stem)]})
    files["detectors"] = local("detectors")
    for path in files["detectors"]:
        write_detector(path, *path.parts[-3:-1], "coco-mini-objects")
    files["counted"] = tmp_path / "costs.json"
    write_json(files["counted"], COSTS)
    cfg = {"edition": "real", **grid.claims(real, SimpleNamespace())}
    return files | {"cfg": cfg}


def write_detector(path: Path, net: str, arm: str, data: str, gain: float = 0.02) -> None:
    """SGE gains 2 points of AP, 4 on small objects and none on large ones, and its gates move."""
    own = {"gates": {"gamma": [0.3, 0.3], "beta": [1.0, 1.0]}, "lit": {"before": 1.5, "behind": 1.8}}
    rows = []
    for seed in seeds_of(path.stem):
        more = gain + 1e-4 * seed if arm == "sge" else 0.0
        ap = {"ap": 0.2 + more, "ap50": 0.4, "ap75": 0.2, "ap_small": 0.1 + 2 * more, "ap_medium": 0.2 + more,
              "ap_large": 0.3}  # fmt: skip
        rows.append({"seed": seed, **ap, "moved": 0.001, **(own if arm == "sge" else {})})
    facts = {"net": net, "arm": arm, "data": data, "device": "cpu", "precision": "fp32", "params": 77}
    write_json(path, facts | {"rows": rows})


def statistics_row(seed: int, rng: np.random.Generator) -> dict[str, Any]:
    groups = []
    for group in range(1, 5):
        row: dict[str, Any] = {"group": group, "gamma": 0.1, "beta": 1.0}
        for key, before, after in (
            ("variance", 2.0, 2.2),
            ("root", 1.4, 1.5),
            ("q10", 2, 1),
            ("q50", 4, 3),
            ("q90", 7, 6),
            ("q99", 10, 9),
        ):
            row |= {f"{key}_before": before * group, f"{key}_after": after * group + 1e-3 * rng.random()}
        groups.append(row | {"variance_before_sd": 0.5, "variance_after_sd": 0.6})
    histogram = {"edges": [0.0, 1.0, 2.0], "before": [3, 7], "after": [6, 4]}
    return {"seed": seed, "groups": groups, "histogram": histogram, "gammas": 24, "gammas_positive": 0.75 + 0.01 * seed}


def make_tables(made: dict[str, Any], out: Path) -> None:
    paths = [out / f"{name}.{form}" for name in tables.TABLES for form in TABLE_FORMS]
    tables.tables(
        made["cfg"], Job(resume=out / "r"), arms=made["metrics"], detectors=made["detectors"],
        statistics=made["statistics"], counted=made["counted"], tables=paths, metrics=out / "metrics.json",
    )  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


# Tables -----------------------------------------------------------------------------------------------------------


def test_table_1_has_counted_costs_and_says_what_was_not_run(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path / "out")
    rows = {(row["net"], row["attention"]): row for row in rows_of(tmp_path / "out/table-imagenet.csv")}
    assert len(rows) == 14
    sge = rows["ResNet-50", "SGE"]
    assert float(sge["params"]) == 25.55908
    assert (sge["top1"], sge["top1.published"], sge["top1.source"]) == ("not run at real", "77.584", "paper")
    assert rows["ResNet-101", "SK*"]["operations.published"] == "7.978"
    text = (tmp_path / "out/table-imagenet.md").read_text()
    assert "of an older state" in text
    assert "data imagenet; nothing trained" in text


def test_gains_are_paired_and_stand_beside_those_of_resnet_50(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path / "out")
    rows = {row["attention"]: row for row in rows_of(tmp_path / "out/table-attention.csv")}
    assert float(rows["SGE"]["gain"]) == pytest.approx(2.0, abs=0.02)
    assert float(rows["SGE"]["gain.sd"]) < 0.02, "the seeds' common part cancels"
    assert float(rows["SGE"]["gain.published"]) == 1.2
    assert float(rows["GC"]["gain.published"]) == pytest.approx(-2.496)
    assert rows["none"]["gain"] == "-"
    assert "published on imagenet" in (tmp_path / "out/table-attention.md").read_text()


def test_ablations_stand_where_the_paper_has_the_same_setting(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path / "out")
    groups = rows_of(tmp_path / "out/table-groups.csv")
    assert [(row["groups, published"], row["groups, ours"]) for row in groups] == [
        ("8", "-"), ("16", "1"), ("32", "2"), ("64", "4"), ("128", "8"),
    ]  # fmt: skip
    assert [row["top1.published"] for row in groups] == ["77.07", "77.13", "77.45", "77.58", "77.1"]
    assert float(groups[3]["top1"]) == pytest.approx(54.0, abs=0.02)
    first = {
        (row["gamma"], row["beta"]): float(row["top1"]) for row in rows_of(tmp_path / "out/table-initialisation.csv")
    }
    assert first == pytest.approx({("0", "0"): 53.5, ("0", "1"): 54.0, ("1", "0"): 52.5, ("1", "1"): 51.0}, abs=0.02)
    with_and_without = rows_of(tmp_path / "out/table-normalisation.csv")
    assert [float(row["top1"]) for row in with_and_without] == pytest.approx([54.0, 53.0], abs=0.02)
    assert {row["top5"] for row in with_and_without} == {"not run at real"}


def test_statistics_are_means_over_groups_or_of_the_first(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path / "out")
    rows = {row["quantity"]: row for row in rows_of(tmp_path / "out/table-statistics.csv")}
    assert float(rows["activation variance"]["before"]) == 2.0 * 2.5
    assert float(rows["activation variance"]["quotient"]) == pytest.approx(1.1, abs=1e-3)
    assert float(rows["activation variance"]["quotient.published"]) == 1.087
    assert float(rows["99 % quantile, first group"]["before"]) == 10
    assert float(rows["positive gammas over all blocks [%]"]["after"]) == pytest.approx(77.0)


def test_detection_is_shown_as_published_where_none_was_trained_on_coco(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path / "out")
    two_stages, retinanet = (rows_of(tmp_path / f"out/table-{name}.csv") for name in ("detection", "retinanet"))
    assert (len(two_stages), len(retinanet)) == (15, 6)
    assert {row["ap"] for row in two_stages} == {row["ap_small"] for row in retinanet} == {"not run at real"}
    readme = [row for row in two_stages if (row["attention"], row["backbone"]) == ("SE", "ResNet-101")]
    assert {row["ap.source"] for row in readme} == {"repo"}
    gains = [float(sge["ap.published"]) - float(plain["ap.published"])
             for plain in two_stages for sge in two_stages if (plain["attention"], sge["attention"]) == ("none", "SGE")
             and (plain["detector"], plain["backbone"]) == (sge["detector"], sge["backbone"])]  # fmt: skip
    assert sorted(gains) == pytest.approx([1.0, 1.2, 1.5, 1.6, 1.7, 1.8])


def test_our_detectors_stand_beside_the_published_gains(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path / "out")
    rows = {(row["detector"], row["attention"]): row for row in rows_of(tmp_path / "out/table-detectors.csv")}
    assert set(rows) == {(detector, arm) for detector in ("Faster R-CNN", "RetinaNet") for arm in ("none", "SGE")}
    faster, retinanet = (rows[detector, "SGE"] for detector in ("Faster R-CNN", "RetinaNet"))
    assert (float(faster["gain"]), float(faster["gain_small"])) == pytest.approx((2.02, 4.04))
    assert (faster["gain.published"], faster["gain_small.published"]) == ("1.2", "")
    assert (retinanet["gain.published"], retinanet["gain_small.published"]) == ("", "1.9")
    assert (float(retinanet["before"]), float(retinanet["behind"])) == (1.5, 1.8)
    assert rows["RetinaNet", "none"]["gain"] == rows["RetinaNet", "none"]["behind"] == "-"
    text = (tmp_path / "out/table-detectors.md").read_text()
    assert "data coco-mini-objects (other real data, paper: coco-2017); n = 5 seeds" in text
    assert read_json(tmp_path / "out/metrics.json")["retinanet-resnet18-c16/sge"]["ap_small"]["n"] == 5


def test_at_full_ours_stand_in_the_papers_tables(full: Edition, tmp_path: Path) -> None:
    cfg = {"edition": "full", **grid.claims(full, SimpleNamespace())}
    paths = [tmp_path / path for path in grid.detectors(full, SimpleNamespace())]
    for path in paths:
        write_detector(path, *path.parts[-3:-1], "coco-2017")
    found = results.read_detectors(cfg, paths)
    seen = results.face_of_detectors(cfg, found)
    table = tables.table_detection(cfg, COSTS, "costs.json", found, seen)
    row = next(row for row in table.rows if row.keys == ("Cascade R-CNN", "ResNet-101", "SGE"))
    assert row.cells["ap"].seeds == pytest.approx({0: 22.0, 1: 22.01, 2: 22.02})
    assert (table.face.data.name, table.face.n) == ("coco-2017", 3)
    by_size = tables.table_retinanet(cfg, COSTS, "costs.json", found, seen)
    assert [list(row.cells["ap_large"].seeds.values()) for row in by_size.rows] == [pytest.approx([30.0] * 3)] * 6


def test_an_edition_without_detectors_has_an_empty_table_of_them(tmp_path: Path) -> None:
    lab = House({}).paper("sge").edition("lab")
    cfg = {"edition": "lab", **grid.claims(lab, SimpleNamespace())}
    assert grid.detectors(lab, SimpleNamespace()) == []
    table = tables.table_detectors(cfg, {}, results.face_of_detectors(cfg, {}))
    assert table.rows == []
    assert "nothing trained" in tables.table_detectors(cfg, {}, results.face_of_detectors(cfg, {})).face.line()


def test_equal_metrics_give_equal_bytes(made: dict[str, Any], tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_tables(made, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 4 * 9 + 1
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


# Verdicts ---------------------------------------------------------------------------------------------------------


def verdicts_of(made: dict[str, Any], out: Path, gates: bool = False, **changes: Any) -> dict[str, dict[str, Any]]:
    inputs = {"arms": made["metrics"], "detectors": made["detectors"], "statistics": made["statistics"],
              "counted": made["counted"]} | changes  # fmt: skip
    inputs["histories"] = no_histories(made["metrics"])
    cfg = made["cfg"] if gates else without_gates(made["cfg"])
    verdicts.claims(cfg, Job(resume=out / "r"), **inputs, claims=out / "claims.json")
    return claims_in(out / "claims.json")


def test_what_was_measured_decides(made: dict[str, Any], tmp_path: Path) -> None:
    found = verdicts_of(made, tmp_path)
    assert {name: claim["verdict"] for name, claim in found.items()} == {
        "C1": "supported", "C2": "not testable here", "C3": "holds", "C3-others": "holds", "C4": "supported",
        "C4-cbam": "supported", "C5": "supported", "C6": "supported", "C6-sizes": "supported",
        "C6-others": "not testable here", "C7-groups": "supported",
        "C7-gamma": "supported", "C7-normalisation": "supported", "C8": "supported", "C8-tail": "supported",
        "C8-gamma": "supported", "C9": "by construction", "C10": "supported",
    }  # fmt: skip
    assert found["C1"]["estimate"] == pytest.approx(2.0, abs=0.02)
    assert (found["C5"]["estimate"], found["C6"]["estimate"]) == pytest.approx((2.02, 4.04))
    assert [len(found[name]["cells"]) for name in ("C5", "C6", "C6-sizes")] == [1, 1, 2]
    assert found["C6-sizes"]["estimate"] == pytest.approx(1.01), "none on large objects halves it"
    assert found["C9"]["estimate"] == pytest.approx(0.3)
    assert {found[name]["other_data"] for name in ("C5", "C6", "C9")} == {"coco-mini-objects"}
    assert {found[name]["other_data"] for name in ("C1", "C7-groups", "C8")} == {"cifar-10"}, "of classifiers alone"
    assert len(found["C7-groups"]["cells"]) == 3
    assert found["C8-gamma"]["estimate"] == pytest.approx(27.0)


@pytest.mark.parametrize(
    ("arm", "claim"),
    [
        ("sge-g8", "C7-groups"),
        ("sge-g1", "C7-groups"),
        ("gc", "C10"),
        ("sk", "C4"),
        ("sge-gamma1-beta1", "C7-gamma"),
        ("sge-unnormalised", "C7-normalisation"),
    ],
)
def test_one_arm_that_is_too_good_turns_the_effect(made: dict[str, Any], tmp_path: Path, arm: str, claim: str) -> None:
    for path in made["metrics"]:
        if path.parts[-2] == arm:
            content = read_json(path)
            write_json(path, content | {"rows": [row | {"accuracy": row["accuracy"] + 0.3} for row in content["rows"]]})
    assert verdicts_of(made, tmp_path)[claim]["verdict"] == "contradicted"


def test_detectors_that_find_next_to_nothing_do_not_count(made: dict[str, Any], tmp_path: Path) -> None:
    for path in made["detectors"]:
        content = read_json(path)
        rows = [row | {key: row[key] / 20 for key in ("ap", "ap_small")} for row in content["rows"]]
        write_json(path, content | {"rows": rows})
    found = verdicts_of(made, tmp_path)
    assert (found["C5"]["verdict"], found["C6"]["verdict"]) == ("too small to say", "too small to say")
    assert "within 2 of chance (0)" in found["C5"]["sentence"]


def test_the_gate_of_detectors_asks_for_a_plain_one_that_detects(made: dict[str, Any], tmp_path: Path) -> None:
    found = verdicts_of(made, tmp_path, gates=True)
    checks = {(check["check"], check["what"].partition(",")[0]): check for check in found["C5"]["gate"]["checks"]}
    assert checks["a", "plain"]["passes"] is False, "no public value of a net as small"
    assert (checks["b", "AP in the last tenth of training"]["measured"], checks["c", "AP"]["measured"]) == (0.1, 20.0)
    assert checks["c", "gates of SGE over a map"]["measured"] == 11.76
    assert all(check["passes"] for key, check in checks.items() if key[0] != "a")
    assert {check["check"] for check in found["C6"]["gate"]["checks"]} == {"a", "b", "c"}


def test_one_parameter_too_many_fails(made: dict[str, Any], tmp_path: Path) -> None:
    costs = {name: dict(of) for name, of in COSTS.items()}
    costs["resnet101/sge"]["params"] += 1
    write_json(made["counted"], costs)
    assert verdicts_of(made, tmp_path)["C3"]["verdict"] == "fails"


def test_arms_that_were_not_trained_are_named(made: dict[str, Any], tmp_path: Path) -> None:
    found = verdicts_of(only(made, "metrics", lambda of: of["arm"] in ("plain", "sge")), tmp_path)
    assert found["C4"]["verdict"] == found["C7-groups"]["verdict"] == "not testable here"
    wanted = "'SGE' and 'SE' or 'SGE' and 'BAM' or 'SGE' and 'SK*'"
    assert f"not run: a pair of arms {wanted}." in found["C4"]["sentence"]


def with_gammas(made: dict[str, Any], gamma: float) -> dict[str, Any]:
    for path in made["statistics"]:
        rows = read_json(path)["rows"]
        groups = [[group | {"gamma": gamma} for group in row["groups"]] for row in rows]
        write_json(path, {"rows": [row | {"groups": of} for row, of in zip(rows, groups, strict=True)]})
    return made


@pytest.mark.parametrize(
    ("gamma", "moves", "passes"),
    [
        (0.0, 0.0, False),  # as it is before training
        (0.1, 3.93, False),  # sigmoid(1.1) - sigmoid(0.9)
        (0.3, 11.76, True),  # sigmoid(1.3) - sigmoid(0.7)
        (-0.3, 11.76, True),  # positions that differ from the mean are enhanced: the gates act, too
    ],
)
def test_the_gate_asks_whether_sge_moves_its_gates(
    made: dict[str, Any], tmp_path: Path, gamma: float, moves: float, passes: bool
) -> None:
    found = verdicts_of(with_gammas(made, gamma), tmp_path, gates=True)
    acted = [check for check in found["C1"]["gate"]["checks"] if check["check"] == "c"]
    assert [(check["measured"], check["passes"]) for check in acted] == [(moves, passes)]
    assert ("(a, b, c)" in found["C1"]["printed"]["word"]) is not passes
    of_features = found["C8-gamma"]["gate"]["checks"]
    assert {check["check"] for check in of_features} == {"a", "b"}, "a claim about the gates is not gated by them"


# Figures ----------------------------------------------------------------------------------------------------------


def test_figures_have_what_was_measured_behind_them(made: dict[str, Any], tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.{form}" for name in figures.FIGURES for form in ("png", "csv")]
    cfg = made["cfg"]
    figures.figures(cfg, Job(resume=tmp_path / "r"), arms=made["metrics"], statistics=made["statistics"],
                    claims=all_open("sge", tmp_path), figures=paths)  # fmt: skip
    lengths = rows_of(tmp_path / "figure-lengths.csv")
    assert [(row["from"], row["to"], row["before"], row["after"]) for row in lengths][1] == ("1.0", "2.0", "7", "4")
    assert {(row["groups"], row["position"]) for row in rows_of(tmp_path / "figure-groups.csv")} == {
        ("1", "1"), ("2", "2"), ("4", "3"), ("8", "4"),  # the published 32 channels a group stand first
    }  # fmt: skip
    gains = [float(row["gain"]) for row in rows_of(tmp_path / "figure-groups.csv") if row["groups"] == "4"]
    assert mean(gains) == pytest.approx(2.0, abs=0.02)
    assert len(rows_of(tmp_path / "figure-variance.csv")) == 5 * 4 * 2


# Grid -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arm", "attention"),
    [
        ("plain", None),
        ("se", {"kind": "se", "reduction": 16}),
        ("sge", {"kind": "sge", "groups": 64}),
        ("sge-g8", {"kind": "sge", "groups": 8}),
        ("sge-gamma1-beta0", {"kind": "sge", "groups": 64, "gamma": 1, "beta": 0}),
        ("sge-unnormalised", {"kind": "sge", "groups": 64, "normalise": False}),
    ],
)
def test_an_arm_is_its_attention(full: Edition, arm: str, attention: Any) -> None:
    assert (
        grid.attention_of({**full.settings, "attention": {**full.settings["attention"], "se": {"reduction": 16}}}, arm)
        == attention
    )


@pytest.mark.parametrize("arm", ["eca", "sge-x", "sge-gamma2-beta0", "se-g8x"])
def test_an_unknown_arm_is_refused(full: Edition, arm: str) -> None:
    with pytest.raises(UserError, match="is no arm of sge"):
        grid.attention_of(full.settings, arm)


def test_full_is_the_papers_grid_and_recipe(full: Edition) -> None:
    nets = full.settings["nets"]
    assert {(row["net"], row["arm"]) for row in full.published["imagenet"]} <= {
        (n, a) for n in nets for a in nets[n]["arms"]
    }
    groups = {grid.groups_of(full.settings, arm) for arm in nets["resnet50"]["arms"] if arm.startswith("sge")}
    assert groups == {row["groups"] for row in full.published["groups"]}
    cfg = grid.train(full, SimpleNamespace(seeds="s0", net="resnet50", arm="sge"))
    recipe = Recipe.from_cfg(cfg["recipe"])
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.momentum, recipe.nesterov) == (
        100,
        256,
        0.1,
        0.9,
        False,
    )
    assert (recipe.weight_decay, recipe.decay_on, recipe.label_smoothing) == (1e-4, "all", 0.0)
    assert recipe.schedule["name"] == "multistep" and recipe.schedule["at"] == [0.3, 0.6, 0.9]
    assert (cfg["processes"], cfg["data"]["name"], cfg["photos"]["scale"]) == (8, "imagenet", [0.08, 1.0])
    assert "images" not in cfg
    assert cfg["net"]["attention"] == {"kind": "sge", "groups": 64}
    assert grid.first_channels(full.settings) == 256


def test_pictures_of_real_data_are_private_and_no_target(real: Edition, full: Edition) -> None:
    def of_maps(edition: Edition) -> list[str]:
        return [path for path in grid.targets(edition) if "figure-maps" in path]

    small = House({}).paper("sge").edition("small")
    assert of_maps(small) == [f"runs/small/sge/figures/figure-maps.{form}" for form in ("png", "pdf", "csv")]
    assert of_maps(real) == of_maps(full) == []


FULL_NETS = [("resnet50", arm) for arm in ("plain", "se", "sk", "bam", "cbam", "gc", "sge", "sge-unnormalised")]


@pytest.mark.parametrize(("net", "arm"), [*FULL_NETS, ("resnet101", "sge")])
def test_nets_of_full_take_two_steps(full: Edition, net: str, arm: str) -> None:
    cfg = grid.train(full, SimpleNamespace(seeds="s0", net=net, arm=arm))
    torch.manual_seed(0)
    model, recipe = build(cfg["net"]), Recipe.from_cfg(cfg["recipe"])
    optimiser, loss = build_optimiser(recipe, model), classification(recipe.label_smoothing)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for _ in range(2):  # the last map is 2 x 2
        losses = loss(model, (torch.randn(2, 3, 64, 64), torch.tensor([3, 999])))
        assert isinstance(losses, dict)
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
    assert torch.isfinite(losses["loss"])
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_detectors_of_full_are_the_papers_tables_and_recipe(full: Edition) -> None:
    wanted = {(grid_kind(row["detector"]), row["net"], row["arm"]) for row in full.published["detection"]}
    wanted |= {("retinanet", row["net"], row["arm"]) for row in full.published["retinanet"]}
    assert {(*grid.kind_and_net(of["net"]), of["arm"]) for of, _ in grid.detected(full)} == wanted
    wildcards = SimpleNamespace(seeds="s1", net="cascade-resnet101", arm="sge")
    cfg = grid.detect(full, wildcards)
    recipe = Recipe.from_cfg(cfg["recipe"])
    assert (recipe.optimiser, recipe.epochs, recipe.batch_size, recipe.lr, recipe.momentum) == (
        "sgd",
        24,
        16,
        0.02,
        0.9,
    )
    assert (recipe.weight_decay, recipe.clip_norm) == (1e-4, 35)
    steps = 7_329  # of an epoch, without the last two pictures
    rates = [factor(recipe.schedule, steps * epoch, steps, 24) for epoch in (1, 17, 18, 21, 22)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert factor(recipe.schedule, 0, steps, 24) == pytest.approx(1 / 3, abs=1e-3)
    assert factor(recipe.schedule, 496, steps, 24) == 1, "500 steps of warm-up"
    assert (cfg["processes"], cfg["sizes"], cfg["detector"]["frozen"]) == (8, [800, 1333], 1)
    assert grid.classifier(full, wildcards) == ["runs/full/sge/weights/resnet101/sge/s1.safetensors"]
    assert set(grid.classifier(full, wildcards)) <= {
        path.replace("metrics", "weights").replace(".json", ".safetensors") for _, path in grid.trained(full)
    }


def grid_kind(title: str) -> str:
    return next(kind for kind, name in results.DETECTORS.items() if name == title)


# Stages -----------------------------------------------------------------------------------------------------------

IMAGES = {"labels": "fine", "pixels": 8, "fit": 40, "held_out": 0, "augment": "crop_flip",
          "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}  # fmt: skip
NET = {"family": "resnet_small", "name": "resnet8", "width": 4, "attention": {"kind": "sge", "groups": 2, "gamma": 0.5}}
CFG: dict[str, Any] = {
    "compute": {"device": "cpu", "precision": "fp32"}, "seeds": [0, 1], "images": IMAGES, "net": NET, "arm": "sge",
    "recipe": {"epochs": 1, "batch_size": 8, "lr": 0.05, "momentum": 0.9}, "name": "resnet8-c4",
    "histogram": {"bins": 9},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for part, n in (("train", 48), ("test", 24)):
        tensors[f"{part}_images"] = torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8, generator=generator)
        tensors[f"{part}_labels"] = torch.arange(n).remainder(3)
    content = {name: tensor.numpy() for name, tensor in tensors.items()}
    write_tensors(folder / "data.safetensors", content, {"name": "noise", "classes": '["a", "b", "c"]'})
    train.train(
        CFG, Job(resume=folder / "resume"), data=folder / "data.safetensors", weights=folder / "weights.safetensors",
        metrics=folder / "metrics.json", history=folder / "history.csv", times=folder / "times.csv",
    )  # fmt: skip
    return folder


def test_statistics_of_a_trained_net(trained: Path, tmp_path: Path) -> None:
    examine.examine(
        CFG, Job(resume=tmp_path / "r"), data=trained / "data.safetensors", weights=trained / "weights.safetensors",
        statistics=tmp_path / "statistics.json",
    )  # fmt: skip
    rows = read_json(tmp_path / "statistics.json")["rows"]
    assert [row["seed"] for row in rows] == [0, 1]
    for row in rows:
        assert len(row["groups"]) == 2
        assert row["gammas"] == 2 * 3
        for when in ("before", "after"):
            assert sum(row["histogram"][when]) == 24 * 2 * 2, "every position of every test image is counted once"
        assert row["histogram"]["edges"][0] == 0 and len(row["histogram"]["edges"]) == 10
    assert read_json(trained / "metrics.json")["arm"] == "sge"


def test_lengths_and_their_statistics_computed_another_way() -> None:
    torch.manual_seed(0)
    module = SpatialGroupEnhance(2, gamma=1.0)
    maps = torch.randn(5, 6, 3, 3)
    with torch.no_grad(), examine.observed(module) as seen:
        out = module(maps[:3]), module(maps[3:])
    found = examine.statistics_of(seen, module, bins=4)
    second = maps[:, 3:].double().pow(2).sum(1).sqrt().flatten(1)
    variances = torch.tensor([float(((row - row.mean()) ** 2).mean()) for row in second])
    group = found["groups"][1]
    assert group["variance_before"] == pytest.approx(float(variances.mean()), rel=1e-5)
    assert group["variance_before_sd"] == pytest.approx(float(variances.std()), rel=1e-4)
    assert group["root_before"] == pytest.approx(float(variances.sqrt().mean()), rel=1e-5)
    after = torch.cat(out)[:, 3:].double().pow(2).sum(1).sqrt().flatten()
    assert group["q50_after"] == pytest.approx(float(after.median()), rel=1e-5)
    assert (group["gamma"], group["beta"]) == (1.0, 1.0)


def test_maps_show_one_image_of_each_class_before_and_behind(trained: Path, tmp_path: Path) -> None:
    cfg = CFG | {"edition": "smoke", "maps": {"images": 3, "groups": 1, "stage": 2}}
    paths = [tmp_path / f"figure-maps{suffix}" for suffix in (".png", ".csv")]
    lit = tmp_path / "lit.json"
    examine.maps(cfg, Job(resume=tmp_path / "r"), data=trained / "data.safetensors",
                 weights=trained / "weights.safetensors", lit=lit)  # fmt: skip
    shown = {"edition": "smoke", "stage": 2, "shown": {"name": "noise", "stands_in_for": "x"}}
    draw_maps(shown, Job(resume=tmp_path / "r"), lit=lit, figure=paths)
    rows = rows_of(paths[1])
    assert len(rows) == 3 * 2 * 4 * 4  # images, before and behind, positions of the second of three stages
    assert {row["label"] for row in rows} == {"0", "1", "2"}
    assert paths[0].stat().st_size > 1000


def test_on_imagenet_nets_are_trained_and_examined_by_the_same_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    entry = mini_imagenet.write(Path("data/raw/imagenet"))
    monkeypatch.setattr(archives, "entry_of", lambda name: entry)
    archives.index(
        {"dataset": {"name": "imagenet"}}, Job(resume=tmp_path / "resume"), dataset=Path("index.safetensors")
    )
    net = {"family": "resnet_imagenet", "name": "resnet18", "width": 8, "attention": {"kind": "sge", "groups": 4}}
    photos = {
        "size": 64,
        "scale": [0.5, 1.0],
        "mean": [0.5] * 3,
        "std": [0.2] * 3,
        "test": [{"resize": 64, "size": 64}],
    }
    cfg = {
        **{key: value for key, value in CFG.items() if key != "images"}, "edition": "full", "seeds": [0], "net": net,
        "photos": photos, "processes": 1, "maps": {"images": 2, "groups": 2, "stage": 3},
    }  # fmt: skip
    made = {
        "weights": Path("w.safetensors"),
        "metrics": Path("m.json"),
        "history": Path("h.csv"),
        "times": Path("t.csv"),
    }
    imagenet.train(cfg, Job(resume=tmp_path / "resume"), data=Path("index.safetensors"), **made)
    metrics = read_json(made["metrics"])
    assert (metrics["data"], metrics["arm"], len(metrics["rows"])) == ("imagenet", "sge", 1)
    seen = {"data": Path("index.safetensors"), "weights": made["weights"]}
    examine.examine(cfg, Job(resume=tmp_path / "r"), **seen, statistics=Path("statistics.json"))
    (row,) = read_json(Path("statistics.json"))["rows"]
    assert sum(row["histogram"]["before"]) == len(mini_imagenet.VALIDATION) * 2 * 2
    assert row["gammas"] == 4 * 8
    examine.maps(cfg, Job(resume=tmp_path / "r"), **seen, lit=Path("lit.json"))
    assert np.array(read_json(Path("lit.json"))["behind"]).shape == (2, 2, 4, 4)
