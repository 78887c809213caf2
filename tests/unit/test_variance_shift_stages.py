"""Variance shift: its stages on a toy dataset, what each edition runs, and two steps of every full-size net."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tenfold import config
from tenfold.data.prepare import write_tensors
from tenfold.data.splits import read_splits
from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.launcher import Job
from tenfold.measure.predictions import accuracy
from tenfold.papers.variance_shift import grid
from tenfold.papers.variance_shift.common import logits_of_views, noisy, views
from tenfold.papers.variance_shift.examine import (
    choose_flipped,
    examine,
    flipped,
    load_net,
    passes,
    probe,
    settled,
    weights_of,
)
from tenfold.papers.variance_shift.method import cos2
from tenfold.papers.variance_shift.train import train
from tenfold.training.compute import Compute
from tenfold.training.recipe import Recipe, build_optimiser
from tenfold.weights import below, load_weights
from tenfold.workflow import Edition

CPU = Compute(torch.device("cpu"), "fp32")
BASE: dict[str, Any] = {
    "compute": {"device": "cpu", "precision": "fp32"},
    "seeds": [0, 1],
    "images": {"labels": "fine", "pixels": 8, "fit": 56, "held_out": 8, "augment": "crop_flip",
               "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    "net": {"family": "wide_resnet", "name": "wide_resnet", "depth": 10, "width": 1},
    "arm": "a-0.5",
    "placement": "a",
    "rate": 0.5,
}  # fmt: skip
TRAIN = BASE | {"recipe": {"epochs": 2, "batch_size": 8, "lr": 0.05, "momentum": 0.9}, "followed": 32}
EXAMINE = BASE | {"batch_size": 8, "examined": 40, "momentum": 0, "examples": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = torch.Generator().manual_seed(0)
    path = tmp_path_factory.mktemp("data") / "data.safetensors"
    tensors = {}
    for part, n in (("train", 64), ("test", 24)):
        tensors[f"{part}_images"] = torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8, generator=generator)
        tensors[f"{part}_labels"] = torch.arange(n).remainder(3)
    write_tensors(path, {name: t.numpy() for name, t in tensors.items()}, {"name": "noise", "classes": '["a","b","c"]'})
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    folder = tmp_path_factory.mktemp("run")
    torch.set_num_threads(1)
    train(TRAIN, Job(resume=folder / "resume"), data=data, weights=folder / "weights.safetensors",
          metrics=folder / "metrics.json", history=folder / "history.csv", times=folder / "times.csv")  # fmt: skip
    return folder


def test_training_follows_both_modes(trained: Path) -> None:
    metrics = read_json(trained / "metrics.json")
    assert metrics["arm"] == "a-0.5"
    assert [row["seed"] for row in metrics["rows"]] == [0, 1]
    with (trained / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["epoch"]) for row in rows] == [("0", "1"), ("0", "2"), ("1", "1"), ("1", "2")]
    assert all(0 <= float(row[mode]) <= 1 for row in rows for mode in ("accuracy", "eval_accuracy"))


def test_what_is_followed_is_test_mode_on_the_first_training_images(trained: Path, data: Path) -> None:
    images = read_splits(BASE["images"], data)
    net = load_net(BASE, images, below("seed1", load_weights(trained / "weights.safetensors")), CPU)
    with (trained / "history.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    said = logits_of_views(net, BASE, images.fit[:32], 8, 0, CPU)
    assert float(last["eval_accuracy"]) == accuracy(*said)


def test_other_arms_are_not_followed(tmp_path: Path, data: Path) -> None:
    train(TRAIN | {"followed": 0, "seeds": [0]}, Job(resume=tmp_path / "resume"), data=data,
          weights=tmp_path / "w.safetensors", metrics=tmp_path / "m.json", history=tmp_path / "h.csv",
          times=tmp_path / "t.csv")  # fmt: skip
    assert "eval_accuracy" not in (tmp_path / "h.csv").read_text()


def test_equal_seeds_see_equal_views_whatever_the_net(data: Path) -> None:
    images = read_splits(BASE["images"], data)
    first = [(pixels, indices) for pixels, indices in views(BASE, images.fit, 8, 3, CPU)]
    again = [(pixels, indices) for pixels, indices in views(BASE, images.fit, 8, 3, CPU)]
    assert all(
        torch.equal(a, b) for one, other in zip(first, again, strict=True) for a, b in zip(one, other, strict=True)
    )
    assert torch.cat([indices for _, indices in first]).sort().values.tolist() == list(range(56))


def test_the_probe_reports_each_layer_and_leaves_the_weights(trained: Path, data: Path, tmp_path: Path) -> None:
    before = (trained / "weights.safetensors").read_bytes()
    probe(EXAMINE, Job(resume=tmp_path / "resume"), data=data, weights=trained / "weights.safetensors",
          shift=tmp_path / "shift.json")  # fmt: skip
    found = read_json(tmp_path / "shift.json")
    assert (trained / "weights.safetensors").read_bytes() == before
    assert len(found["layers"]) == 7  # two for each of three blocks, and the last one
    assert found["layers"][0] == "blocks.0.bn1"
    assert found["layers"][-1] == "bn"
    metrics = read_json(trained / "metrics.json")
    for row, of_training in zip(found["rows"], metrics["rows"], strict=True):
        pairs = list(zip(row["moving"], row["real"], row["ratio"], strict=True))
        assert len(pairs) == 7
        assert all(ratio == pytest.approx(max(m / r, r / m)) for m, r, ratio in pairs)
        assert row["mean_ratio"] == pytest.approx(sum(row["ratio"]) / 7)
        assert row["max_ratio"] == max(row["ratio"])
        assert row["accuracy"] == of_training["accuracy"]  # the same nets on the same images
        assert {"accuracy_adjusted", "accuracy_readjusted", "train_mode_accuracy", "test_mode_accuracy"} < set(row)


def test_examining_leaves_the_net_as_it_was(trained: Path, data: Path) -> None:
    images = read_splits(BASE["images"], data)
    net = load_net(EXAMINE, images, below("seed0", load_weights(trained / "weights.safetensors")), CPU)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    examine(net, EXAMINE, images, 0, CPU)
    assert not any(module.training for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


SETTLE = BASE | {"batch_size": 8, "examined": 40, "passes": 3, "momentum": 0.1}


def test_averages_settle_in_use_and_leave_the_weights(trained: Path, data: Path, tmp_path: Path) -> None:
    before = (trained / "weights.safetensors").read_bytes()
    for name, cfg in (("first", SETTLE), ("again", SETTLE), ("longer", SETTLE | {"passes": 30})):
        settled(cfg, Job(resume=tmp_path / "resume"), data=data, weights=trained / "weights.safetensors",
                settling=tmp_path / name)  # fmt: skip
    assert (trained / "weights.safetensors").read_bytes() == before
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    found, longer = read_json(tmp_path / "first"), read_json(tmp_path / "longer")
    assert found["rule"] == "moving average of momentum 0.1, in use, over 3 passes"
    assert [row["seed"] for row in found["rows"]] == [0, 1]
    assert all((row["accuracy_settled"] * 24) == pytest.approx(round(row["accuracy_settled"] * 24)) for row in
               found["rows"])  # fmt: skip
    for few, many in zip(found["rows"], longer["rows"], strict=True):  # five batches a pass, seven layers
        assert 1 <= many["mean_ratio_settled"] < few["mean_ratio_settled"]


def test_each_pass_has_all_images_in_an_order_of_its_own(data: Path) -> None:
    images = read_splits(BASE["images"], data)
    orders = []
    for seed in (0, 1):
        indices = [indices for _, indices in passes(SETTLE, images, seed, CPU)]
        assert len(indices) == 3 * 5
        orders += [torch.cat(indices[start : start + 5]).tolist() for start in (0, 5, 10)]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert len({tuple(order) for order in orders}) == 6


def test_weights_are_looked_at_filter_by_filter(trained: Path, tmp_path: Path) -> None:
    weights_of(BASE, Job(resume=tmp_path / "resume"), weights=trained / "weights.safetensors",
               stats=tmp_path / "stats.json")  # fmt: skip
    rows = read_json(tmp_path / "stats.json")["rows"]
    layers = {layer["name"]: layer for layer in rows[0]["layers"]}
    assert len(layers) == 1 + 6 + 2  # the stem, two for each block, two shortcuts
    assert list(layers)[:3] == ["conv", "blocks.0.conv1", "blocks.0.conv2"]  # from the input
    kernel = load_weights(trained / "weights.safetensors")["seed0/blocks.1.conv1.weight"]
    assert layers["blocks.1.conv1"]["d"] == 16 * 3 * 3
    assert layers["blocks.1.conv1"]["cos2"] == pytest.approx(float(cos2(kernel.double()).mean()))


def test_flipped_images_are_right_in_train_mode_and_wrong_in_test_mode(
    trained: Path, data: Path, tmp_path: Path
) -> None:
    flipped(EXAMINE, Job(resume=tmp_path / "resume"), data=data, weights=trained / "weights.safetensors",
            logits=tmp_path / "logits.json")  # fmt: skip
    found = read_json(tmp_path / "logits.json")
    labels = read_splits(BASE["images"], data).fit.labels
    assert found["classes"] == ["a", "b", "c"]
    assert found["seed"] == 0
    for example in found["examples"]:
        assert example["label"] == int(labels[example["index"]])
        assert max(range(3), key=example["train_mode"].__getitem__) == example["label"]
        assert max(range(3), key=example["test_mode"].__getitem__) != example["label"]


def test_flipped_images_are_of_the_two_classes_that_have_most() -> None:
    labels = torch.tensor([0, 1, 1, 1, 2, 2, 2, 2])
    right = torch.nn.functional.one_hot(labels, 3).float()
    wrong = right.roll(1, 1)
    assert choose_flipped(right, wrong, labels, 4) == [4, 5, 1, 2]
    assert choose_flipped(right, right, labels, 4) == []
    assert choose_flipped(wrong, right, labels, 4) == []
    few = wrong.clone()
    few[[4, 5, 6]] = right[[4, 5, 6]]
    assert choose_flipped(right, few, labels, 8) == [1, 2, 3, 0]


# What runs --------------------------------------------------------------------------------------------------------


def edition(name: str) -> Edition:
    paper = config.paper("variance-shift")
    return Edition(name, "variance-shift", paper.editions[name], {"device": "auto", "precision": "auto"}, [], {})


def of(**wildcards: str) -> SimpleNamespace:
    return SimpleNamespace(**{"seeds": "s0", **wildcards})


def test_arms_say_where_and_how_much() -> None:
    assert grid.split_arm("none") == ("none", 0.0)
    assert grid.split_arm("uout-0.1") == ("uout", 0.1)


@pytest.mark.parametrize("name", config.EDITIONS)
def test_an_edition_has_what_its_tables_compare(name: str) -> None:
    settings = edition(name).settings
    assert settings["datasets"][0] == settings["data"]
    for net in settings["nets"].values():
        assert {"none", "a-0.5", "b-0.5"} <= set(net["arms"])
        Recipe.from_cfg(settings["recipe"] | net.get("recipe", {}))


def test_real_runs_all_arms_of_three_families_on_both_datasets() -> None:
    real = edition("real")
    assert real.settings["datasets"] == ["cifar-10", "cifar-100"]
    assert len({net["family"] for net in real.settings["nets"].values()}) == 3
    files = grid.metrics(real, of())
    assert len(files) * len(real.settings["seeds"]) == 230
    assert len(grid.probes(real, of())) == len(files)
    assert "runs/real/variance-shift/metrics/cifar-100/wrn10-2/uout-0.1/s0-4.json" in files


def test_averages_settle_in_the_nets_of_table_3_and_in_those_without_dropout() -> None:
    real = edition("real")
    files = grid.all_settled(real, of())
    assert len(files) == 2 * 3 * 3
    assert {file.split("/")[-2] for file in files} == {"none", "a-0.5", "b-0.5"}
    wildcards = of(dataset="cifar-10", net="wrn10-2", arm="b-0.5")
    cfg = grid.settled(real, wildcards)
    assert (cfg["passes"], cfg["momentum"], cfg["examined"], cfg["placement"]) == (2, 0.1, 4000, "b")
    for other in (grid.train, grid.probe):  # so that another number of passes trains nothing
        assert not {"passes", "settling"} & set(other(real, wildcards))


def test_averages_settle_in_those_arms_alone_that_a_net_has() -> None:
    settings = edition("small").settings
    nets = {"wrn10-2": settings["nets"]["wrn10-2"] | {"arms": ["none", "a-0.3", "a-0.5"]}}
    small = replace(edition("small"), settings=settings | {"nets": nets})
    assert [file.split("/")[-2] for file in grid.all_settled(small, of())] == ["none", "a-0.5"]


def test_a_job_depends_on_its_own_dataset_and_net() -> None:
    cfg = grid.train(edition("real"), of(dataset="cifar-100", net="wrn10-2", arm="b-0.3"))
    assert cfg["data"]["name"] == "cifar-100"
    assert cfg["net"] == {"family": "wide_resnet", "name": "wide_resnet", "depth": 10, "width": 2}
    assert (cfg["placement"], cfg["rate"], cfg["followed"]) == ("b", 0.3, 0)
    assert grid.train(edition("real"), of(dataset="cifar-100", net="wrn10-2", arm="a-0.5"))["followed"] > 0
    assert "recipe" not in grid.probe(edition("real"), of(dataset="cifar-100", net="wrn10-2", arm="b-0.3"))


@pytest.mark.parametrize(
    ("net", "epochs", "drops", "gamma", "decay", "batch"),
    [
        ("preresnet164", 164, [81, 122], 0.1, 1e-4, 128),
        ("resnext29-8x64d", 300, [150, 225], 0.1, 5e-4, 128),
        ("wrn28-10", 200, [60, 120, 160], 0.2, 5e-4, 128),
        ("densenet100-12", 300, [150, 225], 0.1, 1e-4, 64),
    ],
)
def test_full_has_the_original_schedules(
    net: str, epochs: int, drops: list[int], gamma: float, decay: float, batch: int
) -> None:
    from tenfold.training.schedules import factor

    recipe = Recipe.from_cfg(grid.train(edition("full"), of(dataset="cifar-10", net=net, arm="none"))["recipe"])
    assert (recipe.lr, recipe.momentum, recipe.nesterov) == (0.1, 0.9, False)
    assert (recipe.epochs, recipe.weight_decay, recipe.batch_size) == (epochs, decay, batch)
    rates = [factor(recipe.schedule, epoch, 1, epochs) for epoch in range(epochs)]
    assert [epoch for epoch in range(1, epochs) if rates[epoch] < rates[epoch - 1]] == drops
    assert rates[-1] == pytest.approx(gamma ** len(drops))


@pytest.mark.parametrize(
    "net",
    [
        "preresnet164",
        "densenet100-12",
        pytest.param("wrn28-10", marks=pytest.mark.slow),
        pytest.param("resnext29-8x64d", marks=pytest.mark.slow),
    ],
)
def test_two_steps_of_the_papers_nets(net: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cfg = grid.train(edition("full"), of(dataset="cifar-100", net=net, arm="a-0.5"))
    model = noisy(cfg, {**cfg["net"], "classes": 100}).train()
    optimiser = build_optimiser(Recipe.from_cfg(cfg["recipe"]), model)
    images, labels = torch.randn(2, 3, 8, 8), torch.tensor([3, 70])
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for _ in range(2):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert torch.isfinite(loss)
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_an_arm_that_is_no_place_is_refused_in_one_line() -> None:
    settings = edition("small").settings
    nets = {"wrn10-2": settings["nets"]["wrn10-2"] | {"arms": ["none", "a-0.5", "c-0.5"]}}
    schema = Path(config.__file__).parent / "papers/variance_shift/settings.schema.yaml"
    with pytest.raises(UserError, match="c-0.5"):
        config.check(settings | {"nets": nets}, schema, "small")


def test_a_net_without_the_place_of_an_arm_is_refused_in_one_line() -> None:
    net = {"family": "resnet_small", "name": "resnet8", "width": 4, "classes": 10}
    with pytest.raises(UserError, match=r"has no place for noise 'a'.*variance-shift\.yaml"):
        noisy({"placement": "a", "rate": 0.5}, net)
