"""Tables, figures and verdicts of Variance Shift from made-up measurements, against values worked out by hand."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold import config
from tenfold.files import read_json, write_json, write_text
from tenfold.launcher import Job
from tenfold.papers.variance_shift import costs, grid
from tenfold.papers.variance_shift.report import figures, results, tables, verdicts
from tenfold.report.arms import face_of
from tenfold.report.tables import write_table
from tenfold.workflow import FIGURE_FORMS, TABLE_FORMS, House

from ..listed_files import only
from .decided import all_open, claims_in, without_gates

CONFIG = config.read_yaml(config.CONFIG / "papers" / "variance-shift.yaml")
NETS = {"densenet22": {"family": "densenet"}, "wrn10-2": {"family": "wide_resnet"}}
DATA = ("cifar-10", "cifar-100")
SEEDS = tuple(range(5))
# Test error and mean ratio of each arm; (b) 0.3 is better than none, Uout as good.
ERRORS = {"none": 20.0, "a-0.5": 26.0, "b-0.3": 19.0, "b-0.5": 21.0, "last-0.1": 20.2, "uout-0.1": 20.0}
RATIOS = {"none": 1.01, "a-0.5": 1.50, "b-0.3": 1.03, "b-0.5": 1.08}
ADJUSTED = {"none": 0.0, "a-0.5": -3.0, "b-0.3": -0.5, "b-0.5": -1.0}  # change of the error
SETTLED = {"none": 0.1, "a-0.5": -2.0, "b-0.5": -0.5}  # the same where averages settle in use
LOST = {"none": 0.2, "a-0.5": 15.0, "b-0.3": 0.5, "b-0.5": 1.0}  # from train mode to test mode
LAYERS = 7


def noise(seed: int, size: float = 0.05) -> float:
    """A spread over the seeds whose mean over five is 0."""
    return size * (seed - 2)


def write_all(folder: Path, *, data: tuple[str, ...] = DATA, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    """Files as the stages would leave them, with known numbers."""
    rng = np.random.default_rng(0)
    facts = {"device": "cpu", "precision": "fp32"}
    stem = f"s{seeds[0]}-{seeds[-1]}"
    made: dict[str, Any] = {
        name: [] for name in ("metrics", "histories", "probes", "settled", "weight_stats", "logits")
    }
    listed: dict[str, list[dict[str, str]]] = {name: [] for name in made}

    def new(kind: str, path: str, content: dict[str, Any], **of: str) -> None:
        made[kind].append(folder / path)
        listed[kind].append(of)
        write_json(made[kind][-1], facts | content)

    for of in data:
        for net in NETS:
            for arm, error in ERRORS.items():
                accuracy = {seed: 1 - (error + noise(seed)) / 100 for seed in seeds}
                rows: list[dict[str, Any]] = [{"seed": seed, "accuracy": accuracy[seed]} for seed in seeds]
                new("metrics", f"metrics/{of}/{net}/{arm}/{stem}.json", {"rows": rows}, data=of, net=net, arm=arm)
                made["histories"].append(made["metrics"][-1].with_suffix(".csv"))
                listed["histories"].append(listed["metrics"][-1])
                write_text(made["histories"][-1], history(arm, seeds))
                if arm in RATIOS:
                    rows = [probe(arm, seed, accuracy[seed], rng) for seed in seeds]
                    layers = [f"bn{layer}" for layer in range(LAYERS)]
                    content = {"layers": layers, "rows": rows}
                    new("probes", f"probe/{of}/{net}/{arm}/{stem}.json", content, data=of, net=net, arm=arm)
                if arm in SETTLED:
                    rows = [
                        {"seed": seed, "accuracy_settled": accuracy[seed] - (SETTLED[arm] + noise(seed, 0.03)) / 100,
                         "mean_ratio_settled": 1.01} for seed in seeds
                    ]  # fmt: skip
                    new("settled", f"settled/{of}/{net}/{arm}/{stem}.json", {"rows": rows}, data=of, net=net, arm=arm)
            rows = [{"seed": seed, "layers": convolutions(seed)} for seed in seeds]
            new("weight_stats", f"weight_stats/{of}/{net}/{stem}.json", {"rows": rows}, data=of, net=net)
            new("logits", f"logits/{of}/{net}/a-0.5/{stem}.json", scores(rng), data=of, net=net)
    made["theory"] = folder / "theory.json"
    write_json(made["theory"], {"rows": [
        {"case": "a", "p": 0.5, "c": 1.0, "v": 1.0, "formula": 1 / 3, "measured": 0.3337, "relative_error": 0.0011},
        {"case": "a", "p": 0.9, "c": 0.0, "v": 1.0, "formula": 0.9, "measured": 0.9005, "relative_error": 0.0006},
        {"case": "b", "p": 0.5, "d": 16, "formula": 0.8, "measured": 0.82, "relative_error": 0.025},
        {"case": "uout", "beta": 0.1, "mean": 0.0, "formula": 300 / 301, "measured": 0.9966, "relative_error": 1e-4},
        {"case": "uout", "beta": 0.1, "mean": 1.0, "formula": 0.99338, "measured": 0.5, "relative_error": 0.5},
    ]})  # fmt: skip
    stand_ins = {"shapes-10": "CIFAR-10", "shapes-100": "CIFAR-100"}
    made["cfg"] = {
        "edition": "real",
        "data": [{"name": name, "stands_in_for": stand_ins.get(name)} for name in data],
        "pixels": 16,
        "seeds": list(seeds),
        "files": listed,
        "nets": NETS,
        "published": CONFIG["published"],
        "claims": config.paper("variance-shift").claims,
    }
    return made


def probe(arm: str, seed: int, accuracy: float, rng: np.random.Generator) -> dict[str, Any]:
    shape = 1 + np.sin(np.linspace(0, math.pi, LAYERS)) + 0.05 * rng.random(LAYERS)
    ratio = 1 + (RATIOS[arm] + noise(seed, 0.001) - 1) * shape / shape.mean()
    test_mode = 0.8 + noise(seed, 0.001)
    return {
        "seed": seed,
        "moving": [1.0] * LAYERS,
        "real": ratio.tolist(),
        "ratio": ratio.tolist(),
        "mean_ratio": float(ratio.mean()),
        "max_ratio": float(ratio.max()),
        "accuracy": accuracy,
        "accuracy_adjusted": accuracy - (ADJUSTED[arm] + noise(seed, 0.02)) / 100,
        "accuracy_readjusted": accuracy - (ADJUSTED[arm] + noise(seed, 0.01)) / 100,
        "train_mode_accuracy": test_mode + (LOST[arm] + noise(seed, 0.02)) / 100,
        "test_mode_accuracy": test_mode,
    }


def history(arm: str, seeds: tuple[int, ...]) -> str:
    lines = ["seed,epoch,accuracy,eval_accuracy"]
    for seed in seeds:
        for epoch in range(1, 9):
            accuracy = 0.8 - 0.5 / epoch + noise(seed, 0.002)
            test_mode = f"{accuracy - LOST[arm] / 100}" if arm in ("none", "a-0.5") else ""
            lines.append(f"{seed},{epoch},{accuracy},{test_mode}")
    return "\n".join(lines) + "\n"


def convolutions(seed: int) -> list[dict[str, Any]]:
    """d cos^2 is 0.1 d^0.5, but for the seed."""
    return [
        {"name": f"conv{number}", "d": d, "cos2": (0.1 + noise(seed, 0.001)) * d**-0.5}
        for number, d in enumerate((27, 144, 144, 288, 576))
    ]


def scores(rng: np.random.Generator) -> dict[str, Any]:
    examples = []
    for index in range(5):
        train_mode, test_mode = rng.normal(0, 1, (2, 10))
        train_mode[4], test_mode[7] = 6.0, 5.0
        examples.append({"index": 100 + index, "label": 4, "train_mode": train_mode.tolist(),
                         "test_mode": test_mode.tolist()})  # fmt: skip
    examples.append(examples[0] | {"index": 7, "test_mode": examples[0]["train_mode"]})  # right in both modes
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    return {"classes": names, "examples": examples}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return write_all(tmp_path_factory.mktemp("made"))


# Tables -----------------------------------------------------------------------------------------------------------

COUNTS = {data: {"params": 1000, "bn_layers": 9} for data in ("CIFAR-10", "CIFAR-100")}


def make_tables(made: dict[str, Any], out: Path, **changes: Any) -> dict[str, list[dict[str, str]]]:
    inputs = {"arms": made["metrics"]} | {name: made[name] for name in ("probes", "settled", "weight_stats")}
    write_json(out / "costs.json", {"paper": {net["title"]: COUNTS for net in CONFIG["published"]["nets"]},
                                    "ours": dict.fromkeys(made["cfg"]["nets"], COUNTS)})  # fmt: skip
    tables.tables(made["cfg"], Job(resume=out / "r"), **(inputs | changes), counted=out / "costs.json",
                  tables=[out / f"{name}.{form}" for name in tables.TABLES for form in TABLE_FORMS],
                  metrics=out / "metrics.json")  # fmt: skip
    return {name.removeprefix("table-"): rows_of(out / f"{name}.csv") for name in tables.TABLES}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def row_where(rows: list[dict[str, str]], **wanted: str) -> dict[str, str]:
    keys = {"data": "the paper's data", "net": "the paper's net", "drop": "drop ratio"}
    found = [row for row in rows if all(row[keys.get(key, key)] == value for key, value in wanted.items())]
    assert len(found) == 1, wanted
    return found[0]


@pytest.fixture(scope="module")
def shown(made: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    return make_tables(made, tmp_path_factory.mktemp("tables"))


def test_table_1_has_means_over_the_convolutions_and_the_power_of_d(shown: dict[str, list[dict[str, str]]]) -> None:
    row = row_where(shown["weights"], data="CIFAR-100", net="WRN-28-10")
    by_hand = [0.1 * d**-0.5 for d in (27, 144, 144, 288, 576)]
    assert float(row["cos2"]) == pytest.approx(sum(by_hand) / 5)
    d_cos2 = [0.1 * d**0.5 for d in (27, 144, 144, 288, 576)]
    assert float(row["d_cos2"]) == pytest.approx(sum(d_cos2) / 5)
    assert float(row["power"]) == pytest.approx(0.5)
    assert (row["cos2.published"], row["d_cos2.published"]) == ("0.02118", "44.31261")
    assert row["ours"] == "wrn10-2 on cifar-100"


def test_table_3_has_three_readings_beside_the_published_change(
    made: dict[str, Any], shown: dict[str, list[dict[str, str]]], tmp_path: Path
) -> None:
    readings = ("error", "change.published", "at_once", "by_layer", "in_use")
    for dropout, expected in (("(a) 0.5", [26, -1.88, -3, -3, -2]), ("(b) 0.5", [21, -0.34, -1, -1, -0.5])):
        row = row_where(shown["adjust"], data="CIFAR-10", net="DenseNet-BC 100-12", dropout=dropout)
        assert [float(row[name]) for name in readings] == pytest.approx(expected)
        assert {row[f"{name}.n"] for name in readings[2:]} == {"5"}
    published = row_where(shown["adjust"], data="CIFAR-100", net="ResNeXt-29 8x64d", dropout="(b) 0.5")
    assert (published["change"], published["change.published"]) == ("-", "-0.24")
    without = only(made, "settled", lambda of: of["arm"] != "b-0.5")
    row = row_where(make_tables(without, tmp_path)["adjust"], data="CIFAR-10", net="WRN-28-10", dropout="(b) 0.5")
    assert (row["by_layer.n"], row["in_use"]) == ("5", "not run at real")


def test_tables_4_and_6_have_every_published_rate(shown: dict[str, list[dict[str, str]]]) -> None:
    for name, key, measured, published in (
        ("last", "drop ratio", 20.2, ["19.17", "19.17", "19.23", "19.19", "19.25"]),
        ("uout", "beta", 20.0, ["19.17", "19.07", "18.98", "18.95", "18.87"]),
    ):
        rows = [row for row in shown[name] if row["ours"] == "wrn10-2 on cifar-100"]
        assert [row[key] for row in rows] == ["0.0", "0.1", "0.2", "0.3", "0.5"]
        assert [row["error.published"] for row in rows] == published
        assert [float(row["error"]) for row in rows[:2]] == pytest.approx([20.0, measured])
        assert float(rows[1]["change"]) == pytest.approx(measured - 20.0, abs=1e-9)
        assert rows[0]["change"] == "-"
        assert {row["error"] for row in rows[2:]} == {"not run at real"}


def test_nets_that_an_edition_lacks_stand_there_as_not_run(shown: dict[str, list[dict[str, str]]]) -> None:
    for name in ("weights", "adjust", "last", "uout", "ratios"):
        rows = [row for row in shown[name] if row["the paper's net"] == "ResNeXt-29 8x64d"]
        assert rows and {row["ours"] for row in rows} == {"-"}
        column = {"weights": "cos2", "ratios": "mean"}.get(name, "error")
        assert {row[column] for row in rows} == {"not run at real"}
        assert all(row[f"{column}.published"] for row in rows)


def test_imagenet_was_not_run(shown: dict[str, list[dict[str, str]]]) -> None:
    rows = shown["imagenet"]
    assert {row["top1"] for row in rows} == {row["top5"] for row in rows} == {"not run: ImageNet"}
    assert row_where(rows, net="ResNet-200", drop="0.2")["top1.published"] == "21.48"


def test_the_table_of_ratios_has_paired_differences_with_intervals(made: dict[str, Any], tmp_path: Path) -> None:
    rows = make_tables(made, tmp_path)["ratios"]
    row = row_where(rows, data="CIFAR-100", net="DenseNet-BC 100-12", dropout="(a) 0.5")
    assert float(row["mean"]) == pytest.approx(1.5)
    assert row["mean.published"] == "1.586"
    assert float(row["over_none"]) == pytest.approx(0.49)
    assert float(row["over_b"]) == pytest.approx(0.42)
    none = row_where(rows, data="CIFAR-100", net="DenseNet-BC 100-12", dropout="none")
    assert none["over_none"] == none["over_b"] == "-"
    assert "+0.490 [+0.490, +0.490]" in (tmp_path / "table-ratios.md").read_text()  # equal noise in both arms


def test_stand_ins_are_named_beside_the_papers_data(tmp_path: Path) -> None:
    stand_in = write_all(tmp_path, data=("shapes-10", "shapes-100"), seeds=(0, 1, 2))
    rows = make_tables(stand_in, tmp_path / "out")["adjust"]
    row = row_where(rows, data="CIFAR-100", net="WRN-28-10", dropout="(b) 0.5")
    assert row["ours"] == "wrn10-2 on shapes-100"
    assert row["data"] == "shapes-10 and shapes-100 (stand-in for CIFAR-10 and CIFAR-100)"
    assert "not comparable" in (tmp_path / "out/table-adjust.md").read_text()


def test_a_net_of_no_family_of_the_papers_stands_alone() -> None:
    cfg = {"data": [{"name": "cifar-10", "stands_in_for": None}], "published": CONFIG["published"],
           "nets": {"plain": {"family": "vgg"}}}  # fmt: skip
    rows = results.beside(cfg, [("cifar-10", "plain")])
    assert len(rows) == 2 * 4 + 1
    assert [row.keys for row in rows if row.place] == [("CIFAR-10", "-", "plain on cifar-10")]


def test_metrics_are_means_over_the_seeds(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(made, tmp_path)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert len(found) == 2 * 2 * len(ERRORS)
    of_arm = found["cifar-10/densenet22/a-0.5"]
    assert of_arm["error"]["mean"] == pytest.approx(26)
    assert of_arm["mean_ratio"]["mean"] == pytest.approx(1.5)
    assert of_arm["error_adjusted"]["n"] == 5
    assert of_arm["error_settled"]["mean"] == pytest.approx(24)
    assert "error_settled" not in found["cifar-10/densenet22/b-0.3"]


def test_table_2_counts_the_papers_nets_and_ours(tmp_path: Path) -> None:
    nets = {"wrn10-2": {"family": "wide_resnet", "name": "wide_resnet", "depth": 10, "width": 2, "arms": ["none"]}}
    edition = replace(House({}).paper("variance-shift").edition("real"), settings={"nets": nets})
    costs.costs(grid.costs(edition, None), Job(resume=tmp_path / "r"), costs=tmp_path / "costs.json")
    cfg = {"edition": "real", "data": [{"name": "cifar-100", "stands_in_for": None}], "nets": nets,
           "published": CONFIG["published"]}  # fmt: skip
    write_table(tables.table_nets(cfg, read_json(tmp_path / "costs.json")), [tmp_path / "nets.csv"])
    rows = {(row["the paper's net"], row["classes of"]): row for row in rows_of(tmp_path / "nets.csv")[:8]}
    counts = {key: (row["params"], row["params.published"], row["bn_layers"]) for key, row in rows.items()}
    assert counts == {  # recomputed from the definitions of the nets, apart from this code
        ("PreResNet-110", "CIFAR-10"): ("1703258", "1.70 M", "163"),
        ("PreResNet-110", "CIFAR-100"): ("1726388", "1.77 M", "163"),
        ("ResNeXt-29 8x64d", "CIFAR-10"): ("34426698", "34.43 M", "31"),
        ("ResNeXt-29 8x64d", "CIFAR-100"): ("34518948", "34.52 M", "31"),
        ("WRN-28-10", "CIFAR-10"): ("36479194", "36.48 M", "25"),
        ("WRN-28-10", "CIFAR-100"): ("36536884", "36.54 M", "25"),
        ("DenseNet-BC 100-12", "CIFAR-10"): ("769162", "0.77 M", "99"),
        ("DenseNet-BC 100-12", "CIFAR-100"): ("800032", "0.80 M", "99"),
    }
    ours = rows_of(tmp_path / "nets.csv")[8]
    assert (ours["the paper's net"], ours["this edition's"], ours["bn_layers"]) == ("WRN-28-10", "wrn10-2", "7")


# Verdicts -----------------------------------------------------------------------------------------------------------


def verdicts_of(made: dict[str, Any], out: Path) -> dict[str, dict[str, Any]]:
    inputs = {name: made[name] for name in ("metrics", "histories", "probes", "settled", "weight_stats", "theory")}
    verdicts.claims(without_gates(made["cfg"]), Job(resume=out / "r"), **inputs, claims=out / "claims.json")
    return claims_in(out / "claims.json")


def test_verdicts_follow_from_the_numbers(made: dict[str, Any], tmp_path: Path) -> None:
    found = verdicts_of(made, tmp_path)
    NO_SPREAD = "by construction"  # made up so
    expected = {
        "C3": (0.5, NO_SPREAD, 4),
        "C4": (0.49, NO_SPREAD, 4),
        "C4-b": (0.035, NO_SPREAD, 8),
        "C4-order": (0.42, NO_SPREAD, 4),
        "C5": (6.0, NO_SPREAD, 4),
        "C5-order": (5.0, NO_SPREAD, 4),
        "C5-wrn": (-1.0, NO_SPREAD, 2),
        "C5-wrn-half": (1.0, NO_SPREAD, 2),
        "C6": (-15.0, "supported", 4),
        "C6-gap": (14.8, NO_SPREAD, 4),
        "C6-none": (-0.2, "supported", 4),
        "C7": (-3.0, "supported", 4),
        "C7-b": (-1.0, "supported", 4),
        "C7-none": (3.0, "contradicted", 4),
        "C8": (0.2, NO_SPREAD, 4),
    }
    for name, (estimate, word, cells) in expected.items():
        assert abs(found[name]["estimate"]) == pytest.approx(abs(estimate), abs=1e-6), name
        assert found[name]["word"] == word, name
        assert len(found[name]["cells"]) == cells, name
    assert {found[name]["verdict"] for name in ("C1", "C10")} == {"holds"}
    assert found["C2"]["verdict"] == "fails"  # 0.82 against 0.8
    assert len(found["C10"]["cells"]) == 1  # the paper's equation is of mean 0
    assert len(found["C1"]["cells"]) == 2
    for name in ("C3-values", "C8-gain", "C9", "C10-gain"):
        assert found[name]["verdict"] == "not testable here", name


def test_one_net_against_a_claim_is_counted(tmp_path: Path) -> None:
    made = write_all(tmp_path / "made")
    path = next(path for path in made["probes"] if path.parts[-4:-1] == ("cifar-100", "wrn10-2", "a-0.5"))
    content = json.loads(path.read_text())
    for row in content["rows"]:
        row["accuracy_adjusted"] = row["accuracy"] - 0.01
    write_json(path, content)
    found = verdicts_of(made, tmp_path)["C7"]
    assert found["printed"]["word"] == "supported"  # the mean over the cells
    read, *others = found["readings"]
    assert len(others) == 2
    assert [cell["on_claimed_side"] for cell in read["cells"]].count(False) == 1
    assert read["printed"]["cells"] == "3 of 4"


def test_what_seeds_do_not_agree_on_is_open(tmp_path: Path) -> None:
    made = write_all(tmp_path / "made")
    for path in made["metrics"]:
        if path.parts[-2] == "a-0.5":
            content = json.loads(path.read_text())
            for row, error in zip(content["rows"], (15, 30, 18, 29, 20), strict=True):
                row["accuracy"] = 1 - error / 100
            write_json(path, content)
    assert verdicts_of(made, tmp_path)["C5"]["word"] == "open"


def test_arms_that_were_not_trained_are_named(made: dict[str, Any], tmp_path: Path) -> None:
    without = made
    for name in ("metrics", "probes"):
        without = only(without, name, lambda of: of["arm"] != "a-0.5")
    found = verdicts_of(without, tmp_path)
    for name in ("C4", "C5", "C6", "C6-gap", "C7", "C7-none"):
        assert found[name]["verdict"] == "not testable here", name
    assert "not run: a pair of arms '(a) 0.5' and 'none'" in found["C5"]["sentence"]


def test_stand_ins_give_pipeline_checks_alone(tmp_path: Path) -> None:
    stand_in = write_all(tmp_path, data=("shapes-10", "shapes-100"), seeds=(0, 1, 2))
    stand_in["cfg"]["edition"] = "small"
    found = verdicts_of(stand_in, tmp_path)
    assert found["C4"]["verdict"] is None
    assert found["C6"]["pipeline_check"] == "effect visible"
    assert found["C7-none"]["pipeline_check"] == "reversed"
    assert found["C1"]["verdict"] == "holds"  # no data enter


def test_published_weights_are_compared_at_full_alone(made: dict[str, Any], tmp_path: Path) -> None:
    full = made | {"cfg": made["cfg"] | {"edition": "full"}}
    found = verdicts_of(full, tmp_path)["C3-values"]
    assert found["verdict"].startswith("off by")
    assert len(found["cells"]) == 8


# Figures ------------------------------------------------------------------------------------------------------------


def draw(made: dict[str, Any], out: Path) -> dict[str, list[Path]]:
    paths = {name: [out / f"{name}.{form}" for form in FIGURE_FORMS] for name in figures.FIGURES}
    inputs = {name: made[name] for name in ("histories", "probes", "weight_stats", "logits")}
    figures.figures(
        made["cfg"],
        Job(resume=out / "r"),
        arms=made["metrics"],
        **inputs,
        claims=all_open("variance-shift", out),
        figures=[path for of in paths.values() for path in of],
    )
    return {name.removeprefix("figure-"): of_figure for name, of_figure in paths.items()}


def test_the_figures_are_drawn_with_the_data_behind_them(made: dict[str, Any], tmp_path: Path) -> None:
    paths = draw(made, tmp_path)
    for of_figure in paths.values():
        assert all(path.stat().st_size > 500 for path in of_figure[:2])
    rows = {name: rows_of(of_figure[2]) for name, of_figure in paths.items()}
    seeds, places = len(SEEDS), 4
    assert len(rows["shift"]) == 2 * seeds * LAYERS
    assert {row["arm"] for row in rows["shift"]} == {"no dropout: test accuracy 80.0 %",
                                                     "dropout (a) 0.5: test accuracy 74.0 %"}  # fmt: skip
    assert len(rows["cosine"]) == places * seeds * (5 + 4)
    curves = [row for row in rows["ratios"] if row["ratio"]]
    errors = [row for row in rows["ratios"] if row["error"]]
    assert len(curves) == places * seeds * LAYERS * (2 + 3)
    assert len(errors) == places * seeds * (2 + 3)
    assert len(rows["modes"]) == places * seeds * 8 * 2 * 2
    assert len(rows["logits"]) == 5 * 10 * 2  # the image that is right in both modes is left out
    assert "7" not in {row["image"] for row in rows["logits"]}


def test_equal_measurements_give_equal_bytes(made: dict[str, Any], tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("first", "second"))
    shown = results.read_arms(made["cfg"], made["probes"], "probes")
    words = {"C4": "open", "C4-order": "open"}
    for out in (first, second):
        face = face_of(results.as_one(made["cfg"]), results.all_arms(shown))
        figures.figure_shift(
            made["cfg"], shown, words, face, [out / f"shift{suffix}" for suffix in (".png", ".pdf", ".csv")]
        )
    for name in ("shift.png", "shift.pdf", "shift.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_without_flipped_images_the_figure_says_so(made: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "logits/cifar-10/wrn10-2/a-0.5/s0.json"
    write_json(path, {"classes": ["a", "b"], "examples": []})
    out = [tmp_path / f"flipped{suffix}" for suffix in (".png", ".csv")]
    face = face_of(
        results.as_one(made["cfg"]), results.all_arms(results.read_arms(made["cfg"], made["probes"], "probes"))
    )
    cfg = made["cfg"] | {"files": {"logits": [{"data": "cifar-10", "net": "wrn10-2"}]}}
    figures.figure_logits(cfg, [path], face, out)
    assert rows_of(out[1]) == []
    assert out[0].stat().st_size > 500
