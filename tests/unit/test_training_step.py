"""Captured steps: what surrounds a capture on any machine, and on a GPU the same bits as without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tenfold import lease
from tenfold.capture import Captured, Graph, changed_by_steps
from tenfold.launcher import Job
from tenfold.progress import Progress
from tenfold.training import step as step_module
from tenfold.training.batches import Batches, image_batches
from tenfold.training.compute import Compute, start
from tenfold.training.loop import Trained, fit
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe

torch.set_num_threads(1)
PIXELS = torch.randint(0, 256, (90, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
LABELS = (PIXELS.float().mean((1, 2, 3)) > 127).long()
RECIPES = {
    "sgd": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01,
            "schedule": {"name": "cosine", "per": "step"}},
    "adam, clipped": {"lr": 0.01, "optimiser": "adam", "clip_norm": 0.5,
                      "schedule": {"name": "multistep", "at": [0.5]}},
    "average": {"lr": 0.05, "ema": 0.9},
}  # fmt: skip


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
                         nn.Dropout(0.3), nn.Linear(8 * 36, 2))  # fmt: skip


def batches(device: torch.device) -> Batches:
    return image_batches(PIXELS, LABELS, batch_size=32, augment="crop_flip", mean=(0.5,) * 3, std=(0.25,) * 3, seed=3,
                         device=device)  # fmt: skip


def smoothed(model: nn.Module, batch: Any) -> Tensor:
    return F.cross_entropy(model(batch[0]).float(), batch[1], label_smoothing=0.2)


def trained(compute: Compute, folder: Path, recipe: dict[str, Any]) -> Trained:
    """Four epochs of 32, 32 and 26 images, with another loss from the third on."""
    torch.manual_seed(5)
    losses = [classification()] * 2 + [smoothed] * 2
    progress = Progress(Job(resume=folder / "resume"))
    return fit(compute.place(net()), batches(compute.device), losses,
               Recipe.from_cfg({"epochs": 4, "batch_size": 32} | recipe), compute, progress)  # fmt: skip


def assert_same(one: Trained, other: Trained) -> None:
    assert one.history == other.history
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


# On any machine ---------------------------------------------------------------------------------------------------


class Rerun(Captured):
    """Runs a step again where a GPU would replay it: on what was held, with the loss that it was captured with."""

    captures: int = 0

    def _capture(self, drawn: Any, n: int, loss: Any) -> Graph:
        self.captures += 1
        held = tuple(part.clone() for part in drawn)
        return Graph(held, SimpleNamespace(replay=lambda: self._step(held, n, loss)))  # type: ignore[arg-type]


@pytest.fixture
def rerun(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Rerun]]:
    made: list[Rerun] = []
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)

    def on_device(step: Any, state: Any, compute: Compute, say: Callable[[str], None]) -> Rerun:
        made.append(Rerun(step, state, say))
        return made[-1]

    monkeypatch.setattr("tenfold.training.loop.on_device", on_device)
    return made


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_held_and_counted_gives_the_same_training(rerun: list[Rerun], tmp_path: Path, recipe: str) -> None:
    cpu = Compute(torch.device("cpu"), "fp32")
    with pytest.MonkeyPatch.context() as plain:
        plain.setattr("tenfold.training.loop.on_device", step_module.on_device)
        expected = trained(cpu, tmp_path / "a", RECIPES[recipe])
    assert_same(trained(cpu, tmp_path / "b", RECIPES[recipe]), expected)
    (steps,) = rerun
    assert steps.captures == 4, "two losses, and two shapes of batches"


def test_a_step_that_cannot_be_captured_runs_as_it_is_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    cpu, said = Compute(torch.device("cpu"), "fp32"), []

    class Refused(Captured):
        def _capture(self, drawn: Any, n: int, loss: Any) -> Graph:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

    expected = trained(cpu, tmp_path / "a", RECIPES["sgd"])
    monkeypatch.setattr("tenfold.training.loop.on_device", lambda step, state, *_: Refused(step, state, said.append))
    assert_same(trained(cpu, tmp_path / "b", RECIPES["sgd"]), expected)
    assert len(said) == 1
    assert said[0].endswith("and so are slower: operation not permitted when stream is capturing")


@pytest.mark.parametrize("recipe", RECIPES)
def test_warming_up_leaves_no_trace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recipe: str) -> None:
    """Before each capture there are three steps, after which everything has to be as before."""
    for name in ("graph_pool_handle", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    for name in ("get_rng_state", "set_rng_state"):
        monkeypatch.setattr(torch.cuda, name, getattr(torch, name))
    cpu = Compute(torch.device("cpu"), "fp32")
    expected = trained(cpu, tmp_path / "a", RECIPES[recipe])

    class Warmed(Rerun):
        def _capture(self, drawn: Any, n: int, loss: Any) -> Graph:
            before = [tensor.clone() for tensor in changed_by_steps(self._state)]
            with self._unchanged():
                for _ in range(3):
                    self._step(drawn, n, loss)
                assert any(not torch.equal(a, b) for a, b in zip(before, changed_by_steps(self._state), strict=True))
            return super()._capture(drawn, n, loss)

    monkeypatch.setattr("tenfold.training.loop.on_device", lambda step, state, compute, say: Warmed(step, state, say))
    assert_same(trained(cpu, tmp_path / "b", RECIPES[recipe]), expected)


def test_the_moving_average_is_that_of_torch(tmp_path: Path) -> None:
    cpu, model = Compute(torch.device("cpu"), "fp32"), net()
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    recipe = Recipe.from_cfg({"epochs": 4, "batch_size": 32} | RECIPES["average"])
    ours = fit(model, batches(cpu.device), smoothed, recipe, cpu, Progress(Job(resume=tmp_path / "resume")),
               after_step=theirs.update_parameters)  # fmt: skip
    assert theirs.n_averaged == 12
    for one, other in zip(ours.model.state_dict().values(), theirs.module.state_dict().values(), strict=True):
        assert torch.equal(one, other)


# On a GPU ---------------------------------------------------------------------------------------------------------


on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.fixture(params=["fp32", "bf16"])
def gpu(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Compute]:
    """A GPU, given back after the test: this process lives on, and the next test's command would wait for it."""
    yield start({"device": "cuda", "precision": request.param}, Job(resume=tmp_path / "none"))
    if lease._held is not None:
        lease._held.release()


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("recipe", RECIPES)
def test_replayed_steps_give_the_bits_of_launched_ones(gpu: Compute, tmp_path: Path, recipe: str) -> None:
    launched = trained(replace(gpu, captures=False), tmp_path / "a", RECIPES[recipe])
    assert_same(trained(gpu, tmp_path / "b", RECIPES[recipe]), launched)
    assert_same(trained(gpu, tmp_path / "c", RECIPES[recipe]), launched)


@pytest.mark.gpu
@on_gpu
def test_a_loss_that_asks_the_device_falls_back_and_still_trains(
    gpu: Compute, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def asks(model: nn.Module, batch: Any) -> Tensor:
        value = smoothed(model, batch)
        return value * (2.0 if value.item() > 0.5 else 1.0)

    def run(name: str, compute: Compute) -> Trained:
        torch.manual_seed(5)
        recipe = Recipe.from_cfg({"epochs": 2, "batch_size": 32, "lr": 0.1})
        progress = Progress(Job(resume=tmp_path / name))
        return fit(compute.place(net()), batches(compute.device), asks, recipe, compute, progress)

    assert_same(run("a", gpu), run("b", replace(gpu, captures=False)))
    assert capsys.readouterr().err.count("not captured as a CUDA graph") == 1
