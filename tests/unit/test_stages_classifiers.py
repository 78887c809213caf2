"""The body of train stages: what it writes, that equal seeds give equal bits, and that arms see the same batches."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tenfold.data.prepare import write_tensors
from tenfold.data.splits import read_splits, scaling
from tenfold.files import read_json
from tenfold.launcher import Job
from tenfold.measure.predictions import accuracy, logits_of
from tenfold.nets.build import build
from tenfold.stages.classifiers import train_classifiers
from tenfold.stages.seeds import Files
from tenfold.training.compute import Compute
from tenfold.weights import below

IMAGES = {"labels": "fine", "pixels": 8, "fit": 40, "held_out": 8, "augment": "crop_flip",
          "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}  # fmt: skip
NET = {"family": "resnet_small", "name": "resnet8", "width": 4}
CFG: dict[str, Any] = {
    "compute": {"device": "cpu", "precision": "fp32"},
    "seeds": [0, 1],
    "images": IMAGES,
    "net": NET,
    "recipe": {"epochs": 2, "batch_size": 8, "lr": 0.05, "momentum": 0.9},
}
PARTS = {"weights": "safetensors", "metrics": "json", "history": "csv", "times": "csv"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = torch.Generator().manual_seed(0)
    path = tmp_path_factory.mktemp("data") / "data.safetensors"
    tensors = {}
    for part, n in (("train", 48), ("test", 24)):
        tensors[f"{part}_images"] = torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8, generator=generator)
        tensors[f"{part}_labels"] = torch.arange(n).remainder(3)
    write_tensors(path, {name: t.numpy() for name, t in tensors.items()}, {"name": "noise", "classes": '["a","b","c"]'})
    return path


def train(folder: Path, data: Path, **options: Any) -> dict[str, Path]:
    folder.mkdir()
    paths = {part: folder / f"{part}.{suffix}" for part, suffix in PARTS.items()}
    train_classifiers(CFG, Job(resume=folder / "resume"), data, Files(**paths), **options)
    return paths


def test_metrics_are_those_of_the_written_weights(tmp_path: Path, data: Path) -> None:
    made = train(tmp_path / "run", data, facts={"arm": "plain"})
    metrics = read_json(made["metrics"])
    images, tensors = read_splits(IMAGES, data), load_file(made["weights"])
    net = build(NET | {"classes": 3})
    assert metrics["arm"] == "plain"
    assert metrics["params"] == sum(parameter.numel() for parameter in net.parameters())
    assert (metrics["fit_images"], metrics["test_images"]) == (40, 24)
    assert [row["seed"] for row in metrics["rows"]] == [0, 1]
    for row in metrics["rows"]:
        net.load_state_dict(below(f"seed{row['seed']}", tensors))
        logits = logits_of(net, images.test, Compute(torch.device("cpu"), "fp32"), **scaling(IMAGES))
        assert row["accuracy"] == row["correct"] / 24 == accuracy(logits, images.test.labels)


def test_equal_seeds_give_equal_bits(tmp_path: Path, data: Path) -> None:
    first, second = (train(tmp_path / name, data) for name in ("first", "second"))
    for part in ("weights", "metrics", "history"):
        assert first[part].read_bytes() == second[part].read_bytes()
    tensors = load_file(first["weights"])
    one, other = (below(f"seed{seed}", tensors) for seed in (0, 1))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_what_is_observed_stands_in_the_history(tmp_path: Path, data: Path) -> None:
    def observer(images: Any, compute: Compute) -> Any:
        return lambda model: {"held_out": float(len(images.held_out))}

    made = train(tmp_path / "run", data, observer=observer)
    with made["history"].open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["epoch"], row["held_out"]) for row in rows] == [
        ("0", "1", "8.0"), ("0", "2", "8.0"), ("1", "1", "8.0"), ("1", "2", "8.0"),
    ]  # fmt: skip
