"""Training on ImageNet: two processes that share batches are one process with the whole batch; stops, views, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tenfold.data import imagenet as archives
from tenfold.data.photos import photo_batches
from tenfold.errors import UserError
from tenfold.files import canonical_json, read_json, sha256
from tenfold.launcher import Job, Stopped
from tenfold.stages.imagenet import train_imagenet
from tenfold.training.distributed import Team

from ..mini_imagenet import PER_CLASS, VALIDATION, write

torch.set_num_threads(1)

PHOTOS: dict[str, Any] = {
    "size": 32, "scale": [0.5, 1.0], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    "test": [{"resize": 36, "size": 32}, {"resize": 48, "size": 40}],
}  # fmt: skip
CFG: dict[str, Any] = {
    "compute": {"device": "cpu", "precision": "fp32"},
    "seeds": [0, 1],
    "net": {},
    "photos": PHOTOS,
    "recipe": {"optimiser": "sgd", "lr": 0.05, "momentum": 0.9, "epochs": 2, "batch_size": 6},
}
FILES = ("weights.safetensors", "metrics.json", "history.csv")


def plain_net(net: dict[str, Any]) -> nn.Module:
    """A net without BatchNorm, whose gradient over a batch is the mean of its gradients over two halves."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, net["classes"]),
    )  # fmt: skip


def net_with_statistics(net: dict[str, Any]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 4, stride=4, bias=False), nn.BatchNorm2d(6), *list(plain_net(net))[4:6],
                         nn.Linear(6, net["classes"]))  # fmt: skip


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    entry = write(Path("data/raw/imagenet"))
    monkeypatch.setattr(archives, "entry_of", lambda name: entry)
    path = tmp_path / "imagenet.safetensors"
    archives.index({"dataset": {"name": "imagenet"}}, Job(resume=tmp_path / "resume"), dataset=path)
    return path


def train(folder: Path, index: Path, processes: int, build_net: Any, stop_after: int | None = None) -> Path:
    class StoppingJob(Job):
        asked = 0

        def stop_between_steps(self) -> bool:
            self.asked += 1
            return self.asked == stop_after

    cfg = CFG | {"processes": processes}
    folder.mkdir(exist_ok=True)
    job = StoppingJob(resume=folder / "resume.safetensors", identity={"cfg": canonical_json(cfg), "code": "c"})
    paths = dict(zip(("weights", "metrics", "history"), (folder / name for name in FILES), strict=True))
    train_imagenet(cfg, job, data=index, times=folder / "times.csv", facts={"arm": "x"}, build_net=build_net, **paths)
    return folder


def test_two_processes_are_one_with_the_double_batch(index: Path, tmp_path: Path) -> None:
    one, two = (train(tmp_path / str(n), index, n, plain_net) for n in (1, 2))
    alone, shared = (load_file(folder / "weights.safetensors") for folder in (one, two))
    untrained = plain_net({"classes": 3}).state_dict()
    for name, tensor in alone.items():
        assert torch.allclose(tensor, shared[name], atol=1e-5), name
    assert any(not torch.allclose(alone[f"seed0/{name}"], start, atol=1e-3) for name, start in untrained.items())
    for row, other in zip(*(read_json(folder / "metrics.json")["rows"] for folder in (one, two)), strict=True):
        assert row["correct"] == other["correct"]
        assert row["cross_entropy"] == pytest.approx(other["cross_entropy"], abs=1e-5)


def test_statistics_are_those_of_the_first_process_and_a_stopped_job_goes_on_to_the_same_bytes(
    index: Path, tmp_path: Path
) -> None:
    whole = train(tmp_path / "whole", index, 2, net_with_statistics)
    with pytest.raises(Stopped):
        train(tmp_path / "again", index, 2, net_with_statistics, stop_after=6)  # of 8 steps of the first seed
    again = train(tmp_path / "again", index, 2, net_with_statistics)
    assert [sha256(whole / name) for name in FILES] == [sha256(again / name) for name in FILES]
    alone = load_file(train(tmp_path / "alone", index, 1, net_with_statistics) / "weights.safetensors")
    shared = load_file(whole / "weights.safetensors")
    assert not torch.allclose(alone["seed0/1.running_mean"], shared["seed0/1.running_mean"], rtol=1e-3)


def test_metrics_have_both_views_and_the_best_epoch(index: Path, tmp_path: Path) -> None:
    metrics = read_json(train(tmp_path / "run", index, 1, plain_net) / "metrics.json")
    assert (metrics["arm"], metrics["data"], metrics["test_images"]) == ("x", "imagenet", len(VALIDATION))
    assert metrics["params"] == sum(parameter.numel() for parameter in plain_net({"classes": 3}).parameters())
    for row in metrics["rows"]:
        assert row["accuracy"] == row["correct"] / len(VALIDATION)
        assert row["top5"] == row["top5_40"] == 1.0, "among the five largest of three classes is every label"
        assert row["best_accuracy_on_the_test_set"] >= row["accuracy"]
        assert row["images"] == 2 * (sum(PER_CLASS.values()) // 6) * 6
        assert {"accuracy_40", "correct_40"} <= set(row)


def test_shares_make_up_the_batch(index: Path) -> None:
    train_photos = archives.load(index).train
    options = {"batch_size": 4, "size": 16, "scale": [0.2, 1.0], "mean": [0.5] * 3, "std": [0.2] * 3, "seed": 3,
               "jitter": 0.3, "lighting": 0.1, "drop_last": True}  # fmt: skip
    whole, first, second = (
        photo_batches(train_photos, device=torch.device("cpu"), share=share, **options)  # type: ignore[arg-type]
        for share in ((0, 1), (0, 2), (1, 2))
    )
    assert len(whole) == sum(PER_CLASS.values()) // 4
    for _ in range(len(whole) + 1):
        (images, labels), n = whole.next()
        for batches, mine in ((first, slice(0, None, 2)), (second, slice(1, None, 2))):
            (some, of_some), number = batches.next()
            assert number == n == 4
            assert torch.equal(some, images[mine])
            assert np.array_equal(of_some, labels[mine])


def test_processes_that_do_not_share_evenly_are_refused(tmp_path: Path, index: Path) -> None:
    with pytest.raises(UserError, match="4 do not share a batch of 6 evenly"):
        train(tmp_path / "run", index, 4, plain_net)


def test_fewer_gpus_than_processes_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(UserError, match="processes: 2 are asked for, but torch finds 1 GPUs here"):
        Team(0, 2, "").start({"device": "cuda"}, Job(resume=tmp_path / "r"))
