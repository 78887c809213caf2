"""The training loop against plain torch, and each thing that a recipe can ask for."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold import progress as progress_module
from tenfold.errors import UserError
from tenfold.launcher import Job
from tenfold.progress import FitState, Progress
from tenfold.training.batches import Batches
from tenfold.training.compute import Compute
from tenfold.training.loop import Trained, fit, write_rows
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe, build_optimiser

torch.set_num_threads(1)
CPU = Compute(torch.device("cpu"), "fp32")
INPUTS = torch.randn(40, 3, 6, 6, generator=torch.Generator().manual_seed(1))
LABELS = INPUTS.mean((1, 2, 3)).gt(0).long()
SGD = {"epochs": 3, "batch_size": 16, "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))


def batches(seed: int = 0) -> Batches:
    return Batches(40, 16, lambda indices: (INPUTS[indices], LABELS[indices]), seed)


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Trained]:
    def run(model: nn.Module, cfg: dict[str, Any], loss: Any = None, **options: Any) -> Trained:
        progress = options.pop("progress", None) or Progress(Job(resume=tmp_path / "resume.safetensors"))
        source = options.pop("batches", None) or batches()
        return fit(model, source, loss or classification(), Recipe.from_cfg(cfg), CPU, progress, **options)

    return run


def by_hand(model: nn.Module, optimiser: torch.optim.Optimizer, rates: list[float], clip: float | None = None,
            after: Callable[[], None] = lambda: None) -> list[float]:  # fmt: skip
    """The same training in plain torch; gives the losses of all steps."""
    source, losses = batches(), []
    for rate in rates:
        (inputs, labels), _ = source.next()
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(model(inputs), labels)
        optimiser.zero_grad()
        loss.backward()
        if clip:
            norm = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm()
            for p in model.parameters():
                if p.grad is not None:
                    p.grad *= min(1.0, clip / (norm + 1e-6))
        optimiser.step()
        after()
        losses.append(loss.item())
    return losses


def assert_equal_nets(found: nn.Module, expected: nn.Module) -> None:
    for (name, one), other in zip(found.state_dict().items(), expected.state_dict().values(), strict=True):
        if one.is_floating_point():
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


def test_sgd_is_torchs_sgd(train: Callable[..., Trained]) -> None:
    model, other = net(), net()
    trained = train(model, SGD | {"schedule": {"name": "multistep", "at": [0.6]}})
    losses = by_hand(
        other, torch.optim.SGD(other.parameters(), 0.1, 0.9, weight_decay=0.01, nesterov=True, fused=False),
        [0.1] * 6 + [0.01] * 3,
    )  # fmt: skip
    assert_equal_nets(model, other)
    weights = torch.tensor([16, 16, 8])
    for epoch, row in enumerate(trained.history):
        expected = float((torch.tensor(losses[3 * epoch : 3 * epoch + 3]) * weights).sum() / 40)
        assert row["loss"] == pytest.approx(expected, rel=1e-4)
    assert [row["lr"] for row in trained.history] == pytest.approx([0.1, 0.1, 0.01])
    assert [row["step"] for row in trained.history] == [3, 6, 9]


def test_adam_with_clipping_is_torchs_adam(train: Callable[..., Trained]) -> None:
    model, other = net(), net()
    train(model, {"epochs": 3, "batch_size": 16, "lr": 0.01, "optimiser": "adam", "clip_norm": 0.2})
    by_hand(other, torch.optim.Adam(other.parameters(), fused=False), [0.01] * 9, clip=0.2)
    assert_equal_nets(model, other)


def test_moving_average(train: Callable[..., Trained]) -> None:
    model, other = net(), net()
    average: dict[str, Tensor] = {}

    def update() -> None:
        for name, value in other.state_dict().items():
            if name in average and value.is_floating_point():
                average[name] = 0.8 * average[name] + 0.2 * value
            else:
                average[name] = value.clone()

    trained = train(model, SGD | {"ema": 0.8})
    by_hand(other, torch.optim.SGD(other.parameters(), 0.1, 0.9, weight_decay=0.01, nesterov=True), [0.1] * 9,
            after=update)  # fmt: skip
    assert_equal_nets(model, other)
    expected = net()
    expected.load_state_dict(average)
    assert_equal_nets(trained.model, expected)
    assert not torch.equal(trained.model.get_parameter("4.weight"), model.get_parameter("4.weight"))


def test_accuracy_of_an_epoch_is_exact(train: Callable[..., Trained]) -> None:
    trained = train(net(), SGD | {"lr": 0.0, "epochs": 2})
    for row in trained.history:
        assert (row["accuracy"] * 40) == pytest.approx(round(row["accuracy"] * 40), abs=1e-4)


def test_only_gates_are_learned_and_clamped(train: Callable[..., Trained]) -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net().requires_grad_(False)
            self.gates = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            features = self.net[1](self.net[0](x)) * self.gates[:, None, None]  # type: ignore[index]
            return self.net[4](self.net[3](self.net[2](features)))  # type: ignore[index, no-any-return]

    def clamp(model: nn.Module) -> None:
        model.gates.data.clamp_(0, 1)  # type: ignore[union-attr, operator]
        seen.append(model.gates.detach().clone())  # type: ignore[operator, union-attr]

    def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        entropy = F.cross_entropy(model(batch[0]), batch[1])
        gap = (model.gates.abs().mean() - 0.2) ** 2  # type: ignore[operator, union-attr]
        return {"loss": entropy + 50 * gap, "gap": gap}

    seen: list[Tensor] = []
    model = Gated()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained = train(model, {"epochs": 4, "batch_size": 16, "lr": 0.1, "optimiser": "adam"}, loss, after_step=clamp)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"gates", "net.1.running_mean", "net.1.running_var", "net.1.num_batches_tracked"}
    assert len(seen) == 12
    assert all(bool(((0 <= gates) & (gates <= 1)).all()) for gates in seen)
    assert trained.history[-1]["gap"] < trained.history[0]["gap"]


def test_fits_in_a_row_with_one_optimiser_are_one_long_fit(train: Callable[..., Trained], tmp_path: Path) -> None:
    whole = net()
    train(whole, SGD | {"epochs": 4})
    parts, source = net(), batches()
    progress = Progress(Job(resume=tmp_path / "other.safetensors"))
    optimiser = build_optimiser(Recipe.from_cfg(SGD), parts)
    for epochs in (1, 3):
        train(parts, SGD | {"epochs": epochs}, batches=source, optimiser=optimiser, progress=progress)
    for one, other in zip(parts.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_fresh_optimiser_starts_without_momentum(train: Callable[..., Trained], tmp_path: Path) -> None:
    whole, parts, source = net(), net(), batches()
    train(whole, SGD | {"epochs": 4})
    progress = Progress(Job(resume=tmp_path / "other.safetensors"))
    for _ in range(2):
        train(parts, SGD | {"epochs": 2}, batches=source, progress=progress)
    assert not torch.equal(parts.get_parameter("0.weight"), whole.get_parameter("0.weight"))


def test_each_epoch_may_have_a_loss_of_its_own(train: Callable[..., Trained]) -> None:
    epochs = []

    def of_epoch(epoch: int) -> Callable[[nn.Module, Any], Tensor]:
        def loss(model: nn.Module, batch: Any) -> Tensor:
            epochs.append(epoch)
            return F.cross_entropy(model(batch[0]), batch[1])

        return loss

    train(net(), SGD, [of_epoch(epoch) for epoch in range(3)])
    assert epochs == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_evaluates_each_k_epochs_and_after_the_last(train: Callable[..., Trained]) -> None:
    trained = train(net(), SGD | {"epochs": 5, "evaluate_every": 2}, evaluate=lambda model: {"test_accuracy": 0.5})
    assert [row["epoch"] for row in trained.history if "test_accuracy" in row] == [2, 4, 5]


def test_keeps_weights_of_chosen_epochs(train: Callable[..., Trained]) -> None:
    one, three = net(), net()
    train(one, SGD | {"epochs": 1})
    trained = train(three, SGD, keep_after=[1, 3])
    assert list(trained.kept) == [1, 3]
    for epoch, model in ((1, one), (3, three)):
        for name, value in model.state_dict().items():
            assert torch.equal(trained.kept[epoch][name], value)


def test_divergence_is_said_in_one_line(train: Callable[..., Trained]) -> None:
    with pytest.raises(UserError, match="training diverged: the loss of epoch 1 is nan"):
        train(net(), SGD, lambda model, batch: model(batch[0]).mean() * math.nan)


def test_a_line_for_each_epoch(train: Callable[..., Trained], capsys: pytest.CaptureFixture[str]) -> None:
    train(net(), SGD, title="seed 7")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    for epoch, line in enumerate(lines, 1):
        assert line.startswith(f"seed 7  epoch {epoch}/3  loss ")
        assert "accuracy " in line
        assert "examples/s" in line
        assert line.endswith(" left")
    assert lines[-1].endswith("0:00 left")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_the_time_that_is_left_is_that_of_the_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    progress = Progress(Job(resume=tmp_path / "resume"))
    left = []
    for seed in progress.remaining([0, 1, 2]):  # each has two fits of 10 s, of which 4 s are over when it is asked
        for _ in range(2):
            clock.now += 4.0
            left.append(progress.seconds_left(of_fit=6.0, fit=10.0))
            clock.now += 6.0
        progress.finish(seed, {})
    # In the first seed nobody knows that a second fit follows; from the second seed on every figure is right.
    assert left == [6 + 2 * 10, 6 + 2 * 20, 16 + 20, 6 + 20, 16, 6]


def test_history_has_no_times(train: Callable[..., Trained], tmp_path: Path) -> None:
    trained = train(net(), SGD | {"evaluate_every": 3}, evaluate=lambda model: {"test_accuracy": 0.1})
    write_rows(tmp_path / "history.csv", trained.history)
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "lr", "loss", "accuracy", "test_accuracy"]
    assert [row["test_accuracy"] for row in rows] == ["", "", "0.1"]
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in trained.history]
    assert list(trained.times[0]) == ["epoch", "seconds", "examples_per_second"]


@pytest.mark.parametrize(
    ("decay_on", "decayed"),
    [
        ("all", {(4, 1, 3, 3), (4,), (8, 4, 1, 1), (8,), (2, 8), (2,)}),
        ("weights", {(4, 1, 3, 3), (8, 4, 1, 1), (2, 8)}),
        ("dense", {(8, 4, 1, 1), (2, 8)}),
    ],
)
def test_what_is_decayed(decay_on: str, decayed: set[tuple[int, ...]]) -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4), nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8), nn.Linear(8, 2)
    )
    optimiser = build_optimiser(Recipe.from_cfg(SGD | {"decay_on": decay_on}), model)
    found = {tuple(p.shape) for group in optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    assert found == decayed
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 10


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"epoch": 3}, "unknown key 'epoch'; known are epochs, batch_size"),
        ({"epochs": 3, "lr": 0.1}, "batch_size is missing"),
    ],
)
def test_a_wrong_recipe(cfg: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Recipe.from_cfg(cfg)


@pytest.mark.parametrize(("key", "allowed"), [("optimiser", "sgd, adam"), ("decay_on", "all, weights, dense")])
def test_a_wrong_name_in_a_recipe(key: str, allowed: str) -> None:
    with pytest.raises(UserError, match=f"'x' is not one of {allowed}"):
        build_optimiser(Recipe.from_cfg(SGD | {key: "x"}), net())


def test_label_smoothing_by_its_definition() -> None:
    model = nn.Linear(5, 4)
    inputs, labels = torch.randn(7, 5), torch.arange(7) % 4
    found = classification(0.2)(model, (inputs, labels))
    assert isinstance(found, dict)
    log_p = model(inputs).log_softmax(1)
    expected = -(0.8 * log_p[torch.arange(7), labels] + 0.2 * log_p.mean(1)).mean()
    torch.testing.assert_close(found["loss"], expected)
    assert float(found["accuracy"]) == pytest.approx(sum(model(inputs).argmax(1) == labels).item() / 7)


@pytest.mark.parametrize(
    ("variables", "written"),
    [
        ({}, []),
        ({"TENFOLD_CHECKPOINT_SECONDS": "0"}, [1, 2, 3, 4, 5, 6]),
        ({"TENFOLD_CHECKPOINT_STEPS": "4"}, [4]),
        ({"TENFOLD_CHECKPOINT_STEPS": "2"}, [2, 4, 6]),
    ],
)
def test_when_checkpoints_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], written: list[int]
) -> None:
    class CountingProgress(Progress):
        def after_step(self, state: FitState) -> None:
            self._writing_seconds = 0.0  # as on a disk that takes no time
            super().after_step(state)
            if self.job.resume.exists():
                steps.append(state.step)
                self.job.resume.unlink()

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    steps: list[int] = []
    progress = CountingProgress(Job(resume=tmp_path / "resume.safetensors"))
    fit(net(), batches(), classification(), Recipe.from_cfg(SGD | {"epochs": 2}), CPU, progress)
    assert steps == written


def test_slow_writing_makes_checkpoints_rarer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_CHECKPOINT_SECONDS", "0")
    progress = Progress(Job(resume=tmp_path / "resume.safetensors"))
    progress._writing_seconds = 100.0
    fit(net(), batches(), classification(), Recipe.from_cfg(SGD), CPU, progress)
    assert not (tmp_path / "resume.safetensors").exists()


def test_lines_within_a_long_epoch(
    train: Callable[..., Trained], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_LINES", 0.0)
    train(net(), SGD | {"epochs": 1})
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("  step ")[2].partition("  ")[0] for line in lines] == ["1/3", "2/3", ""]
