"""The edition `full`: what it names, and the ImageNet stages from archives to metrics, on a made-up ImageNet."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tenfold.data import imagenet as archives
from tenfold.errors import UserError
from tenfold.files import canonical_json, read_json, sha256
from tenfold.launcher import Job, Stopped
from tenfold.papers.pruning_from_scratch import grid, imagenet
from tenfold.papers.pruning_from_scratch.common import net_cost
from tenfold.papers.pruning_from_scratch.prune import baseline, prune
from tenfold.training.recipe import Recipe
from tenfold.workflow import Edition, House

from ..mini_imagenet import PER_CLASS, VALIDATION, write

torch.set_num_threads(1)

NET = {"family": "mobilenet", "name": "mobilenet_v1", "width": 10}
STANDARD = NET | {"width": 8}
IMAGES = {
    "size": 32, "resize": 36, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    "gates": {"scale": [0.25, 1.0]}, "train": {"scale": [0.08, 1.0], "jitter": 0.4, "lighting": 0.1},
}  # fmt: skip
COMMON: dict[str, Any] = {"compute": {"device": "cpu", "precision": "fp32"}, "seeds": [0, 1], "images": IMAGES}
ADAM = {"optimiser": "adam", "lr": 0.01, "schedule": {"name": "constant"}, "epochs": 1, "batch_size": 3}
GATES = {"validation_per_class": 2, "parts": 3, "gamma": 0.05, "target": 0.5, "recipe": ADAM}
SEARCH = {"seeds": [0, 1], "net": NET, "standard": STANDARD, "ratios": [0.5], "size": 32}


# The grid ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full() -> Edition:
    return House({}).paper("pruning-from-scratch").edition("full")


def cfg_of(full: Edition, stage: str, **wildcards: str) -> dict[str, Any]:
    cfg: dict[str, Any] = getattr(grid, stage)(full, SimpleNamespace(edition="full", seeds="s0", **wildcards))
    return cfg


def test_full_trains_every_net_of_the_papers_rows_at_their_ratios(full: Edition) -> None:
    ours = {(row["net"], row["ratio"] / 100) for row in full.published["accuracy"] if row["method"] == "Ours"}
    trained = {(net, ratio) for net in full.settings["nets"] for ratio in full.settings["nets"][net]["arms"]["pruned"]}
    assert {pair for pair in trained if not pair[0].startswith("imagenet-")} == ours
    assert {ratio for _, ratio in trained} <= set(full.settings["budgets"])
    names = {net["name"] for net in full.settings["nets"].values()}
    assert {"mobilenet_v1", "mobilenet_v2", "resnet50"} < names


def test_recipes_of_full_are_those_of_the_official_code(full: Edition) -> None:
    cifar = cfg_of(full, "train", net="vgg16", arm="pruned-p0.5")
    recipe = Recipe.from_cfg(cifar["recipe"])
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.momentum, recipe.nesterov) == (
        160,
        128,
        0.1,
        0.9,
        False,
    )
    assert (recipe.weight_decay, recipe.decay_on, recipe.schedule["at"]) == (1e-4, "all", [0.5, 0.75])
    gates = cfg_of(full, "learn_gates", net="imagenet-resnet50", source="random-init")["gates"]
    assert (gates["gamma"], gates["target"], gates["validation_per_class"]) == (0.05, 0.5, 50)
    assert (gates["recipe"]["epochs"], gates["recipe"]["batch_size"], gates["recipe"]["lr"]) == (1, 100, 0.01)
    assert gates["parts"] * 513 == -(-(1_281_167 - 50 * 1000) // 100) == 12_312
    mobile = cfg_of(full, "train", net="imagenet-mobilenet-v2", arm="pruned-p0.5")
    recipe = Recipe.from_cfg(mobile["recipe"])
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.nesterov, recipe.decay_on) == (
        150,
        256,
        0.05,
        True,
        "dense",
    )
    assert (recipe.weight_decay, recipe.schedule, recipe.label_smoothing) == (
        4e-5,
        {"name": "cosine", "per": "epoch"},
        0.1,
    )
    assert mobile["images"]["train"] == {"scale": [0.25, 1.0], "jitter": 0.4, "lighting": 0.1}
    resnet = cfg_of(full, "train", net="imagenet-resnet50", arm="full")
    assert resnet["recipe"]["schedule"]["at"] == [0.3, 0.6, 0.9]
    assert resnet["images"]["train"]["scale"] == [0.08, 1.0]
    assert resnet["data"]["name"] == "imagenet" and cifar["data"]["name"] == "cifar-10"


@pytest.mark.parametrize(("net", "epochs"), [("imagenet-mobilenet-v1", 300), ("imagenet-resnet50", 200)])
def test_the_longer_budget_of_imagenet_nets(full: Edition, net: str, epochs: int) -> None:
    assert cfg_of(full, "train", net=net, arm="scratch-b-p0.5")["recipe"]["epochs"] == epochs
    assert cfg_of(full, "train", net=net, arm="pruned-p0.5")["recipe"]["epochs"] == 150


def test_counts_of_imagenet_nets_are_of_their_image_size_and_those_of_cifar_say_nothing_new(full: Edition) -> None:
    assert cfg_of(full, "prune", net="imagenet-resnet50", source="random-init")["size"] == 224
    assert "size" not in cfg_of(full, "prune", net="vgg16", source="random-init")


def test_an_imagenet_net_is_never_pretrained_and_tables_name_its_data(full: Edition) -> None:
    searches = grid.searches(full, None)
    assert [path for path in searches if "pretrain" in path and "imagenet-" in path] == []
    assert sum("imagenet-resnet50" in path for path in searches) == 5
    assert grid.data_shown(full)["name"] == (
        "cifar-10; imagenet for imagenet-mobilenet-v1, imagenet-mobilenet-v2, imagenet-resnet50"
    )
    small = House({}).paper("pruning-from-scratch").edition("small")
    assert grid.data_shown(small) == small.data_shown


# The stages -------------------------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    entry = write(Path("data/raw/imagenet"))
    monkeypatch.setattr(archives, "entry_of", lambda name: entry)
    path = tmp_path / "imagenet.safetensors"
    archives.index({"dataset": {"name": "imagenet"}}, Job(resume=tmp_path / "resume"), dataset=path)
    return path


def job(folder: Path, cfg: dict[str, Any], stop_after: int | None = None) -> Job:
    class StoppingJob(Job):
        asked = 0

        def stop_between_steps(self) -> bool:
            self.asked += 1
            return self.asked == stop_after

    folder.mkdir(exist_ok=True)
    return StoppingJob(resume=folder / "resume.safetensors", identity={"cfg": canonical_json(cfg), "code": "c"})


def learn(folder: Path, index: Path, stop_after: int | None = None) -> dict[str, str]:
    cfg = {**COMMON, "net": NET, "source": "random-init", "gates": GATES}
    imagenet.learn_gates(
        cfg, job(folder, cfg, stop_after), data=index, gates=folder / "gates.safetensors",
        summary=folder / "summary.json", history=folder / "history.csv", times=folder / "times.csv",
    )  # fmt: skip
    return {name: sha256(folder / name) for name in ("gates.safetensors", "summary.json", "history.csv")}


def test_from_archives_to_metrics(index: Path, tmp_path: Path) -> None:
    learned = learn(tmp_path / "gates", index)
    with pytest.raises(Stopped):
        learn(tmp_path / "again", index, stop_after=8)  # of 6 steps a seed, within the second one
    assert learn(tmp_path / "again", index) == learned
    summary = read_json(tmp_path / "gates/summary.json")["rows"]
    fitting = sum(PER_CLASS.values()) - 3 * 2
    assert [(row["steps"], row["images"]) for row in summary] == [(6, fitting)] * 2
    assert summary[0]["macs_per_image"] == net_cost({**NET, "classes": 3}, 32).macs
    history = list(csv.DictReader((tmp_path / "gates/history.csv").read_text().splitlines()))
    assert [float(row["epoch"]) for row in history] == pytest.approx([1 / 3, 2 / 3, 1] * 2)
    assert all(float(row["gate_mean"]) < 1 for row in history)

    cfg = SEARCH | {"source": "random-init", "search": {"tolerance": 0.001, "steps": 10}}
    structures = tmp_path / "structures.json"
    prune(cfg, job(tmp_path / "s", cfg), gates=tmp_path / "gates/gates.safetensors", structures=structures)
    content = read_json(structures)
    assert content["standard_macs"] == net_cost(STANDARD, 32).macs
    for row in content["rows"]:
        assert row["macs"] == net_cost({**NET, "widths": row["widths"]}, 32).macs

    sgd = {"optimiser": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 4e-5,
           "decay_on": "dense", "label_smoothing": 0.1, "schedule": {"name": "cosine"}, "epochs": 2,
           "batch_size": 8}  # fmt: skip
    cfg = {**COMMON, "net": NET, "standard": STANDARD, "arm": "pruned", "ratio": 0.5, "recipe": sgd}
    folder = tmp_path / "train"
    imagenet.train(
        cfg, job(folder, cfg), data=index, structure=[structures], weights=folder / "weights.safetensors",
        metrics=folder / "metrics.json", history=folder / "history.csv", times=folder / "times.csv",
    )  # fmt: skip
    metrics = read_json(folder / "metrics.json")
    weights = load_file(folder / "weights.safetensors")
    for row, found in zip(metrics["rows"], content["rows"], strict=True):
        assert len(weights[f"seed{row['seed']}/stem.bn.weight"]) == found["widths"][0]
        assert row["macs"] == net_cost({**NET, "classes": 3, "widths": found["widths"]}, 32).macs
        assert row["accuracy"] == row["correct"] / len(VALIDATION) <= row["best_accuracy_on_the_test_set"]
        assert row["images"] == 2 * sum(PER_CLASS.values())
    assert (metrics["data"], metrics["test_images"]) == ("imagenet", 6)


@pytest.mark.parametrize("kind", ["uniform", "random"])
def test_structures_without_learning_meet_the_same_budgets(tmp_path: Path, kind: str) -> None:
    cfg = SEARCH | {"kind": kind, "seeds": [0]}
    baseline(cfg, job(tmp_path / "job", cfg), structures=tmp_path / "s.json")
    for row in read_json(tmp_path / "s.json")["rows"]:
        assert row["macs"] == net_cost({**NET, "widths": row["widths"]}, 32).macs
        assert row["achieved"] == pytest.approx(row["ratio"], abs=0.02)


def test_an_index_whose_archives_have_gone_stops_a_stage_in_one_line(index: Path, tmp_path: Path) -> None:
    Path("data/raw/imagenet").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="put it back"):
        learn(tmp_path / "gates", index)
