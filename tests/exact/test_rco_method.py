"""What of route constrained optimisation is exact at any scale: losses, anchors, searches, identities of runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from tenfold.errors import UserError
from tenfold.papers.rco.greedy import greedy_route, next_anchor, relative_hardness
from tenfold.papers.rco.method import (
    anchor_at,
    eei_anchors,
    follow_route,
    frozen,
    hint_loss,
    kd_loss,
    kl_divergence,
    mimic_loss,
    regressor,
)
from tenfold.papers.rco.route import Stage, plan

torch.set_num_threads(1)

Array = NDArray[np.float64]


def logits(seed: int, batch: int = 6, classes: int = 5) -> Tensor:
    return 3 * torch.randn(batch, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(values: Array) -> Array:
    powers = np.exp(values)
    return powers / powers.sum(1, keepdims=True)


# Losses, against their definitions in numpy


@pytest.mark.parametrize("tau", [1.0, 2.5, 4.0])
def test_kl_divergence_against_its_definition(tau: float) -> None:
    teacher, student = logits(1), logits(2)
    p, q = softmax(teacher.numpy() / tau), softmax(student.numpy() / tau)
    expected = np.mean([sum(p[i, k] * math.log(p[i, k] / q[i, k]) for k in range(5)) for i in range(6)])
    assert kl_divergence(teacher, student, tau).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("weight", "tau"), [(0.9, 4.0), (0.5, 1.0), (0.0, 4.0), (1.0, 20.0)])
def test_kd_loss_against_its_definition(weight: float, tau: float) -> None:
    teacher, student, labels = logits(1), logits(2), torch.tensor([0, 4, 2, 2, 1, 3])
    p, q = softmax(teacher.numpy() / tau), softmax(student.numpy() / tau)
    soft = tau**2 * float((p * np.log(p / q)).sum(1).mean())
    hard = -float(np.log(softmax(student.numpy())[np.arange(6), labels.numpy()]).mean())
    expected = (1 - weight) * hard + weight * soft
    assert kd_loss(student, teacher, labels, weight=weight, tau=tau).item() == pytest.approx(expected, rel=1e-12)


def test_hint_and_mimic_losses_against_their_definitions() -> None:
    generator = torch.Generator().manual_seed(3)
    teacher, student = (torch.randn(4, 7, 2, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    squares = (teacher.numpy() - student.numpy()) ** 2
    assert hint_loss(teacher, student).item() == pytest.approx(0.5 * squares.mean(), rel=1e-12)
    embedded = [maps.flatten(1) for maps in (teacher, student)]
    expected = 0.5 * squares.reshape(4, -1).sum(1).mean()
    assert mimic_loss(*embedded).item() == pytest.approx(expected, rel=1e-12)


def test_the_regressor_is_a_linear_map_at_each_place() -> None:
    regress = regressor(3, 5)
    maps = torch.randn(2, 3, 4, 4)
    weight, bias = regress.weight.detach().numpy()[:, :, 0, 0], regress.bias
    assert bias is not None
    expected = np.einsum("ij,njhw->nihw", weight, maps.numpy()) + bias.detach().numpy()[None, :, None, None]
    np.testing.assert_allclose(regress(maps).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 10_000), st.floats(0.5, 20), st.floats(-50, 50))
@settings(max_examples=50, deadline=None)
def test_kl_is_not_negative_zero_for_equal_logits_and_blind_to_a_constant(seed: int, tau: float, shift: float) -> None:
    teacher, student = logits(seed), logits(seed + 1)
    value = kl_divergence(teacher, student, tau)
    assert value >= -1e-12
    assert kl_divergence(teacher, teacher, tau).abs() <= 1e-12
    assert kl_divergence(teacher + shift, student - shift, tau).item() == pytest.approx(value.item(), abs=1e-9)


def test_the_gradient_tends_to_the_difference_of_centred_logits() -> None:
    """Hinton's limit: d (tau^2 KL) / dz_S -> (z_S - z_T) / K for centred logits, for each example of a batch."""
    teacher, student = logits(4), logits(5)
    centred = [values - values.mean(1, keepdim=True) for values in (student, teacher)]
    limit = (centred[0] - centred[1]) / student.shape[1] / len(student)
    errors = []
    for tau in (10.0, 100.0, 1000.0):
        leaf = student.clone().requires_grad_(True)
        (tau**2 * kl_divergence(teacher, leaf, tau)).backward()
        assert leaf.grad is not None
        errors.append((leaf.grad - limit).abs().max().item())
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] < 1e-3


# Anchors


@pytest.mark.parametrize(
    ("epochs", "m", "expected"),
    [(240, 1, [240]), (240, 2, [120, 240]), (240, 3, [80, 160, 240]), (240, 4, [60, 120, 180, 240])],
)
def test_equal_epoch_intervals_of_the_paper(epochs: int, m: int, expected: list[int]) -> None:
    assert eei_anchors(epochs, m) == expected


@given(st.integers(1, 60), st.integers(1, 30))
def test_anchors_are_equally_spaced_and_end_at_the_end(m: int, gap: int) -> None:
    anchors = eei_anchors(m * gap, m)
    assert anchors == [gap * k for k in range(1, m + 1)]
    assert {b - a for a, b in itertools.pairwise([0, *anchors])} == {gap}


def test_one_stage_with_a_gap_of_ten_has_24_anchors() -> None:
    anchors = eei_anchors(240, 24)
    assert len(anchors) == 24
    assert [anchors[anchor_at(epoch, 240, 24)] for epoch in (0, 9, 10, 239)] == [10, 10, 20, 240]


def test_one_stage_switches_after_60_120_and_180_of_240_epochs() -> None:
    used = [anchor_at(epoch, 240, 4) for epoch in range(240)]
    assert [epoch for epoch in range(1, 240) if used[epoch] != used[epoch - 1]] == [60, 120, 180]
    assert [used.count(anchor) for anchor in range(4)] == [60] * 4


def test_anchors_that_do_not_divide_the_epochs_are_a_users_mistake() -> None:
    with pytest.raises(ValueError, match="EEI-7: 240 epochs"):
        eei_anchors(240, 7)
    with pytest.raises(UserError, match=r"EEI-7: 240 epochs .*rco\.yaml"):
        plan("eei", 7, 240, 240)
    with pytest.raises(UserError, match="one-stage-4: 6 epochs of the student"):
        plan("one-stage", 4, 240, 6)


def test_plans_of_the_paper() -> None:
    def epochs(kind: str, value: float) -> int:
        return sum(stage.epochs for stage in plan(kind, value, 240, 240)[1])

    assert [epochs("eei", m) for m in (2, 3, 4)] == [480, 720, 960]
    assert epochs("one-stage", 24) == epochs("kd", 1) == epochs("from", 40) == 240
    assert [epochs("kd", m) for m in (2, 3, 4)] == [480, 720, 960]
    assert plan("hint-eei", 2, 240, 240) == ("hint", [Stage((120,), 240), Stage((240,), 240)])
    assert plan("alone", 1, 240, 240) == ("labels", [Stage((), 240)])
    with pytest.raises(UserError, match="'kx' is not a kind of arm"):
        plan("kx", 1, 240, 240)


def test_rco_with_the_last_anchor_alone_is_planned_as_kd() -> None:
    assert plan("eei", 1, 240, 240) == plan("kd", 1, 240, 240)
    assert plan("one-stage", 1, 240, 240) == plan("kd", 1, 240, 240)
    assert plan("from", 240, 240, 240) == plan("kd", 1, 240, 240)


# The greedy search


def test_relative_hardness_against_its_definition() -> None:
    assert relative_hardness([2.0, 3.0, 1.0], 0) == [0.0, 0.5, -0.5]
    assert relative_hardness([2.0, 3.0, 1.0], 1)[1] == 0


@pytest.mark.parametrize(
    ("hardness", "current", "delta", "expected"),
    [
        ([1.0, 1.2, 1.5, 1.9, 9.0], 0, 0.8, 2),  # 1.9 is harder by 0.9: one before it
        ([1.0, 1.8, 1.8, 1.8, 9.0], 0, 0.8, 4),  # exactly delta is not above delta
        ([1.0, 5.0, 1.0, 1.0, 1.0], 0, 0.8, 1),  # already the next one is too hard: it is taken all the same
        ([9.0, 9.0, 1.0, 1.0, 99.0], 3, 0.8, 4),  # only the last is left, and it is never compared
        ([9.0, 9.0, 1.0, 1.5, 99.0], 2, 0.4, 3),
        ([4.0, 2.0, 1.0, 0.5, 0.1], 0, 0.8, 4),  # easier ones never stop the search
    ],
)
def test_next_anchor(hardness: list[float], current: int, delta: float, expected: int) -> None:
    assert next_anchor(hardness, current, delta) == expected


CANDIDATES = [10, 20, 30, 40, 50]


def any_hardness(anchors: Sequence[int]) -> list[float]:
    generator = torch.Generator().manual_seed(sum(anchors))
    return (0.1 + torch.rand(len(CANDIDATES), generator=generator)).tolist()


def test_an_endless_relaxation_gives_the_first_and_the_last() -> None:
    assert greedy_route(CANDIDATES, math.inf, any_hardness) == [10, 50]


def test_a_relaxation_below_all_hardness_gives_every_checkpoint() -> None:
    assert greedy_route(CANDIDATES, -math.inf, any_hardness) == CANDIDATES


@given(st.integers(0, 1000), st.floats(-1, 3), st.integers(2, 12))
@settings(max_examples=100, deadline=None)
def test_every_route_rises_from_the_first_to_the_last_and_the_last_is_never_compared(
    seed: int, delta: float, n: int
) -> None:
    candidates = list(range(1, n + 1))
    asked: list[list[int]] = []

    def hardness_after(anchors: Sequence[int], last: float) -> list[float]:
        asked.append(list(anchors))
        generator = torch.Generator().manual_seed(seed + len(anchors))
        return [*(0.1 + torch.rand(n - 1, generator=generator)).tolist(), last]

    route = greedy_route(candidates, delta, lambda anchors: hardness_after(anchors, 1e9))
    assert route[0] == 1 and route[-1] == n
    assert all(a < b for a, b in itertools.pairwise(route))
    assert asked == [route[:length] for length in range(1, len(route))]
    assert greedy_route(candidates, delta, lambda anchors: hardness_after(anchors, 1e-9)) == route


# The route


def tiny(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def test_a_student_starts_each_stage_where_it_ended_the_last_and_teachers_stay_as_they_are() -> None:
    student, teachers = tiny(0), [tiny(1), tiny(2), tiny(3)]
    before = [{name: value.clone() for name, value in teacher.state_dict().items()} for teacher in teachers]
    inputs, labels = torch.randn(32, 4), torch.randint(3, (32,))
    starts: list[Tensor] = []
    ends: list[Tensor] = []

    def train(model: nn.Module, teacher: nn.Module) -> None:
        starts.append(nn.utils.parameters_to_vector(model.parameters()).detach().clone())
        assert not teacher.training and not any(parameter.requires_grad for parameter in teacher.parameters())
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(3):
            loss = kd_loss(model(inputs), teacher(inputs), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        ends.append(nn.utils.parameters_to_vector(model.parameters()).detach().clone())

    assert follow_route(student, teachers, train) is student
    assert torch.equal(starts[1], ends[0]) and torch.equal(starts[2], ends[1])
    assert not torch.equal(starts[0], ends[0])
    for teacher, state in zip(teachers, before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in teacher.state_dict().items())


def test_a_frozen_teacher_uses_the_statistics_of_its_checkpoint() -> None:
    teacher = frozen(tiny(1).train())
    inputs = torch.randn(16, 4) + 5
    assert torch.equal(teacher(inputs)[:4], teacher(inputs[:4]))
