"""Training on ImageNet: two processes that share batches are one process with the whole batch; stops, views, errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tenfold.data import imagenet as archives
from tenfold.errors import UserError
from tenfold.files import canonical_json, read_json
from tenfold.launcher import Job, Stopped
from tenfold.stages.imagenet import evaluate_views, train_imagenet
from tenfold.stages.seeds import Files
from tenfold.training.compute import Compute
from tenfold.training.distributed import Team, together
from tenfold.training.photos import photo_batches
from tenfold.weights import below

from ..mini_imagenet import PER_CLASS, VALIDATION, write

torch.set_num_threads(1)

PHOTOS: dict[str, Any] = {
    "size": 32, "scale": [0.5, 1.0], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    "test": [{"resize": 36, "size": 32}, {"resize": 48, "size": 40}],
}  # fmt: skip
CFG: dict[str, Any] = {
    "compute": {"device": "cpu", "precision": "fp32"},
    "seeds": [0],
    "net": {},
    "photos": PHOTOS,
    "recipe": {"optimiser": "sgd", "lr": 0.05, "momentum": 0.9, "epochs": 2, "batch_size": 6},
}
FILES = ("weights.safetensors", "metrics.json", "history.csv")


class Watching(nn.Module):
    """Remembers the mean of the last training images, as BatchNorm does, and uses it in eval mode only."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen.copy_(images.mean())
            return images
        return images * (1 + self.seen)


def small_net(net: dict[str, Any]) -> nn.Module:
    """A net whose gradient over a batch is the mean of its gradients over two halves, and which has a buffer."""
    return nn.Sequential(
        Watching(), nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, net["classes"]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("imagenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("TENFOLD_MIRROR", raising=False)
        entry = write(Path("data/raw/imagenet"))
        patch.setattr(archives, "entry_of", lambda name: entry)
        path = folder / "imagenet.safetensors"
        archives.index({"dataset": {"name": "imagenet"}}, Job(resume=folder / "resume"), dataset=path)
        yield path


def train(folder: Path, index: Path, processes: int, stop_after: int | None = None) -> Path:
    class StoppingJob(Job):
        asked = 0

        def stop_between_steps(self) -> bool:
            self.asked += 1
            return self.asked == stop_after

    cfg = CFG | {"processes": processes}
    folder.mkdir(exist_ok=True)
    job = StoppingJob(resume=folder / "resume.safetensors", identity={"cfg": canonical_json(cfg), "code": "c"})
    files = Files(*(folder / name for name in (*FILES, "times.csv")))
    train_imagenet(cfg, job, index, files, facts={"arm": "x"}, build_net=small_net)
    return folder


@pytest.fixture(scope="module")
def alone(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("alone"), index, 1)


@pytest.fixture(scope="module")
def shared(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by two processes, which are stopped within the second epoch and go on from there."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.raises(Stopped):
        train(folder, index, 2, stop_after=5)  # of 8 steps
    assert not (folder / "metrics.json").exists()
    return train(folder, index, 2)


def test_two_processes_that_were_stopped_are_one_with_the_double_batch(alone: Path, shared: Path) -> None:
    one, two = (load_file(folder / "weights.safetensors") for folder in (alone, shared))
    untrained = small_net({"classes": 3}).state_dict()
    for name in (name for name in one if not name.endswith("seen")):
        assert torch.allclose(one[name], two[name], atol=1e-5), name
        assert not torch.allclose(one[name], untrained[name.removeprefix("seed0/")], atol=1e-3)
    assert abs(one["seed0/0.seen"] - two["seed0/0.seen"]) > 1e-3, "statistics are those of the first half of a batch"


def test_metrics_are_those_of_the_saved_weights_on_all_test_images(index: Path, shared: Path) -> None:
    model = small_net({"classes": 3})
    model.load_state_dict(below("seed0", load_file(shared / "weights.safetensors")))
    compute = Compute(torch.device("cpu"), "fp32")
    found = evaluate_views(Team(), model, archives.load(index).test, PHOTOS, compute)
    (row,) = read_json(shared / "metrics.json")["rows"]
    for name, value in found.items():
        assert row[name.removeprefix("test_")] == pytest.approx(value, rel=1e-6), name


def test_metrics_have_both_views_and_the_best_epoch(alone: Path) -> None:
    metrics = read_json(alone / "metrics.json")
    assert (metrics["arm"], metrics["data"], metrics["test_images"]) == ("x", "imagenet", len(VALIDATION))
    assert metrics["params"] == sum(parameter.numel() for parameter in small_net({"classes": 3}).parameters())
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
        train(tmp_path / "run", index, 4)


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_fewer_gpus_than_processes_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(UserError, match="processes: 2 are asked for, but torch finds 1 GPUs here"):
        together(2, {"device": device}, print, Job(resume=tmp_path / "r"))
