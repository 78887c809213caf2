"""What "Pruning from Scratch" promises exactly: gates, penalty, threshold search, budgets, comparisons."""

from __future__ import annotations

import copy
import itertools
import math
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tenfold.measure.cost import WITH_AVERAGE_POOLS, cost
from tenfold.nets.build import build
from tenfold.nets.layers import PrunableNet
from tenfold.papers.pruning_from_scratch import method

torch.set_num_threads(1)

VGG16_STAGES = (1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 8, 8, 8)
VGG16_SIDES = (32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2)
VGG16_STANDARD = 313_201_664


def vgg16_sizes(c: int) -> list[int]:
    return [c * multiple for multiple in VGG16_STAGES]


def vgg16_macs(widths: list[int]) -> int:
    """Closed form, independent of the nets and the counter."""
    inputs = [3, *widths]
    convs = sum(9 * a * b * side**2 for a, b, side in zip(inputs, widths, VGG16_SIDES, strict=False))
    return convs + 10 * widths[-1]


def prunable(family: str, name: str, **options: object) -> PrunableNet:
    net = build({"family": family, "name": name, **options})
    assert isinstance(net, PrunableNet)
    return net


def small_net() -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )


# Gates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "name", "options", "side"),
    [("vgg", "vgg16", {"width": 10}, 32), ("resnet", "resnet20", {"width": 10}, 32),
     ("mobilenet", "mobilenet_v1", {}, 64), ("mobilenet", "mobilenet_v2", {}, 64), ("resnet", "resnet50", {}, 64)],
)  # fmt: skip
@pytest.mark.parametrize("training", [True, False])
def test_gates_of_one_leave_the_net_as_it_was_bit_for_bit(
    family: str, name: str, options: dict[str, int], side: int, training: bool
) -> None:
    torch.manual_seed(0)
    net = prunable(family, name, **options)
    images = torch.randn(3, 3, side, side)
    with torch.no_grad():
        expected = copy.deepcopy(net).train(training)(images)
        gated = method.GatedNet(net, net.prunable).train(training)
        assert torch.equal(gated(images), expected)
        gated.gates.mul_(0.5)
        assert not torch.equal(gated(images), expected)
    assert gated.gates.numel() == sum(net.widths)
    assert gated.sizes == net.widths


def test_a_gate_scales_scale_and_shift_of_its_batchnorm() -> None:
    torch.manual_seed(0)
    net = prunable("resnet", "resnet20", width=4)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    scaled = copy.deepcopy(net)
    gated = method.GatedNet(net, net.prunable)
    values = torch.rand(sum(net.widths))
    with torch.no_grad():
        gated.gates.copy_(values)
        for layer, part in zip(scaled.prunable, values.split(gated.sizes), strict=True):
            norm: Any = scaled.get_submodule(layer)
            norm.weight.mul_(part)
            norm.bias.mul_(part)
        images = torch.randn(4, 3, 16, 16)
        torch.testing.assert_close(gated(images), scaled(images))


def test_learning_moves_the_gates_and_running_statistics_and_not_one_bit_of_anything_else() -> None:
    torch.manual_seed(0)
    net = prunable("vgg", "vgg16", width=4)
    before = copy.deepcopy(net.state_dict())
    gated = method.GatedNet(net, net.prunable)
    assert [name for name, parameter in gated.named_parameters() if parameter.requires_grad] == ["gates"]
    optimizer = torch.optim.Adam([gated.gates], lr=0.4)  # far enough to meet both ends of [0, 1]
    for _ in range(4):
        images, labels = torch.randn(8, 3, 32, 32), torch.randint(10, (8,))
        loss = F.cross_entropy(gated(images), labels) + method.sparsity_penalty(gated.gates, gamma=0.5, r=0.2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        gated.clamp_()
        assert gated.gates.min() >= 0 and gated.gates.max() <= 1
    assert gated.gates.min() == 0
    assert gated.training
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    statistics = {name for name in before if "running_" in name or "num_batches" in name}
    assert changed == statistics
    assert len(statistics) == 3 * 13


def test_gate_gradients_agree_with_finite_differences_in_numpy() -> None:
    torch.manual_seed(0)
    net = small_net().double()
    nn.init.normal_(net[1].weight)
    nn.init.normal_(net[1].bias)
    images, labels = torch.randn(5, 3, 4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 1])
    maps = net[0](images).detach().numpy()
    norm = [parameter.detach().numpy() for parameter in (net[1].weight, net[1].bias)]
    weight, bias = net[5].weight.detach().numpy(), net[5].bias.detach().numpy()

    def objective(gates: np.ndarray) -> float:
        mean, variance = maps.mean((0, 2, 3), keepdims=True), maps.var((0, 2, 3), keepdims=True)
        normed = (maps - mean) / np.sqrt(variance + 1e-5) * norm[0].reshape(1, -1, 1, 1) + norm[1].reshape(1, -1, 1, 1)
        pooled = np.maximum(gates.reshape(1, -1, 1, 1) * normed, 0).mean((2, 3))
        logits = pooled @ weight.T + bias
        log_sum = np.log(np.exp(logits).sum(1))
        return float((log_sum - logits[np.arange(5), labels.numpy()]).mean() + 0.5 * (np.abs(gates).mean() - 0.2) ** 2)

    gated = method.GatedNet(net, ["1"])
    gates = np.array([0.9, 0.1, 0.5, 1.0, 0.3, 0.7])
    gated.gates.data = torch.from_numpy(gates)
    loss = F.cross_entropy(gated(images), labels) + method.sparsity_penalty(gated.gates, 0.5, 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(objective(gates), rel=1e-10)
    h = 1e-6
    expected = [(objective(gates + h * unit) - objective(gates - h * unit)) / (2 * h) for unit in np.eye(6)]
    assert gated.gates.grad is not None
    np.testing.assert_allclose(gated.gates.grad.numpy(), expected, rtol=1e-6, atol=1e-9)


def test_the_gates_fit_any_batchnorm_and_any_copy_of_the_net() -> None:
    net = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU())
    gated = method.GatedNet(net, ["1"])
    copied = copy.deepcopy(gated)
    with torch.no_grad():
        copied.gates.zero_()
        inputs = torch.randn(4, 3)
        assert (copied(inputs) == 0).all()
        assert (gated(inputs) != 0).any()


def test_gates_under_autocast_keep_the_lower_precision() -> None:
    seen: list[torch.dtype] = []
    net = small_net()
    gated = method.GatedNet(net, ["1"])
    net[2].register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        gated(torch.randn(2, 3, 8, 8))
    assert seen == [torch.bfloat16]
    assert gated.gates.dtype == torch.float32


@pytest.mark.parametrize(
    ("layers", "parts"),
    [
        ([], ["no prunable layer"]),
        (["7"], ["no layer '7'", "named_modules"]),
        (["1.bn"], ["'1.bn'"]),
        (["0"], ["'0'", "Conv2d", "BatchNorm"]),
        (["1", "1"], ["twice"]),
    ],
)
def test_an_unsuitable_net_is_refused_in_one_line(layers: list[str], parts: list[str]) -> None:
    with pytest.raises(ValueError, match="layer") as error:
        method.GatedNet(small_net(), layers)
    assert "\n" not in str(error.value)
    assert [part for part in parts if part not in str(error.value)] == []


# The penalty ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gamma", "r", "value"), [(0.5, 0.2, 0.32), (0.05, 0.5, 0.0125)])
def test_penalty_of_open_gates(gamma: float, r: float, value: float) -> None:
    assert method.sparsity_penalty(torch.ones(5280), gamma, r).item() == pytest.approx(value, rel=1e-6)


def test_penalty_is_that_of_the_global_mean_not_of_the_layers() -> None:
    gates = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # layers of 2 and 8: means 1 and 0
    assert method.sparsity_penalty(gates, 0.5, 0.2).item() == pytest.approx(0.0, abs=1e-12)


def test_penalty_gradient_is_the_same_for_every_open_gate_and_zero_at_zero() -> None:
    gates = torch.tensor([1.0, 0.7, 0.25, 1e-6, 0.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(method.sparsity_penalty(gates, 0.5, 0.2), gates)
    expected = 2 * 0.5 * (np.mean([1.0, 0.7, 0.25, 1e-6, 0.0]) - 0.2) / 5
    np.testing.assert_allclose(gradient.numpy(), [expected] * 4 + [0.0], rtol=1e-12)


# Which gates to keep ----------------------------------------------------------------------------------------------


def test_the_most_accurate_sparse_gates_are_kept() -> None:
    keeper = method.GateKeeper(r=0.4)
    dense, sparse = torch.tensor([0.1, 0.1, 0.1, 0.0, 0.0]), torch.tensor([0.9, 0.0, 0.0, 0.3, 0.0])
    assert not keeper.offer(dense, 0.9)  # accurate but 3/5 are non-zero, small as they are
    assert keeper.offer(sparse, 0.5)  # 2/5 <= 0.4
    assert not keeper.offer(sparse / 2, 0.5)  # as accurate as before is no new best
    assert not keeper.offer(sparse / 3, 0.4)
    assert torch.equal(keeper.chosen(last=dense), sparse)
    assert keeper.offer(sparse / 4, 0.6)
    assert torch.equal(keeper.chosen(last=dense), sparse / 4)


def test_kept_gates_are_a_copy() -> None:
    keeper, gates = method.GateKeeper(r=1.0), nn.Parameter(torch.ones(3))
    keeper.offer(gates, 0.5)
    with torch.no_grad():
        gates.zero_()
    assert torch.equal(keeper.chosen(last=gates), torch.ones(3))
    assert not keeper.chosen(last=gates).requires_grad


def test_the_last_gates_serve_when_none_were_ever_sparse_enough() -> None:
    keeper, last = method.GateKeeper(r=0.2), torch.tensor([0.2, 0.3, 0.1])
    for accuracy in (0.1, 0.5, 0.9):
        assert not keeper.offer(last, accuracy)
    assert torch.equal(keeper.chosen(last), last)


def test_accuracy_zero_is_no_best() -> None:
    assert not method.GateKeeper(r=1.0).offer(torch.zeros(3), 0.0)


# From gates to counts ---------------------------------------------------------------------------------------------

LAYERS = st.lists(
    st.lists(st.sampled_from([0.0, 0.0, 1.0, 1.0, 0.5, 0.25, 0.125, 0.3, 0.7]), min_size=1, max_size=12),
    min_size=1, max_size=6,
)  # fmt: skip


def flat(layers: list[list[float]]) -> tuple[Tensor, list[int]]:
    return torch.tensor([gate for layer in layers for gate in layer]), [len(layer) for layer in layers]


@settings(max_examples=60, deadline=None)
@given(LAYERS, st.data())
def test_counts_are_those_of_a_sort_by_value_then_index(layers: list[list[float]], data: st.DataObject) -> None:
    gates, sizes = flat(layers)
    keep = data.draw(st.integers(0, gates.numel()))
    ranked = sorted(
        (
            (-gate, index, layer)
            for index, (gate, layer) in enumerate((g, n) for n, part in enumerate(layers) for g in part)
        )
    )
    expected = [sum(layer == n for _, _, layer in ranked[:keep]) for n in range(len(layers))]
    assert method.widths_at(gates, sizes, keep) == expected
    assert sum(expected) == keep


@settings(max_examples=60, deadline=None)
@given(LAYERS)
def test_keeping_more_never_narrows_a_layer(layers: list[list[float]]) -> None:
    gates, sizes = flat(layers)
    previous = [0] * len(sizes)
    for keep in range(gates.numel() + 1):
        widths = method.widths_at(gates, sizes, keep)
        assert all(new >= old for new, old in zip(widths, previous, strict=True))
        previous = widths
    assert previous == sizes


def test_ties_go_to_the_lower_index() -> None:
    assert method.widths_at(torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0, 0.5]), [2, 2, 2], 2) == [1, 1, 0]
    assert method.widths_at(torch.zeros(6), [2, 2, 2], 3) == [2, 1, 0]


def test_zero_gates_are_kept_by_index_when_there_are_too_few_others() -> None:
    gates = torch.tensor([0.0, 0.0, 0.0, 0.9, 0.0, 0.5])
    assert method.widths_at(gates, [2, 2, 2], 4) == [2, 1, 1]
    assert method.zero_gates_kept(gates, 4) == 2
    assert method.zero_gates_kept(gates, 2) == 0


def chain_macs(widths: list[int]) -> int:
    return sum(a * b for a, b in itertools.pairwise([3, *widths, 10]))


def by_the_book(
    layers: list[list[float]], macs: Callable[[list[int]], int], standard: int, p: float
) -> tuple[list[int], int]:
    """The search as the paper's code states it, written with numpy and no floor but 1."""
    gates = np.concatenate([np.asarray(layer, dtype=np.float32) for layer in layers])
    owner = np.repeat(np.arange(len(layers)), [len(layer) for layer in layers])
    order = np.argsort(-gates, kind="stable")
    low, high, step, widths = 0.0, 1.0, 0, [0]
    while step < 10:
        step += 1
        q = (low + high) / 2
        marked = order[: round(len(gates) * (1 - q))]
        widths = [max(1, int((owner[marked] == n).sum())) for n in range(len(layers))]
        achieved = 1 - macs(widths) / standard
        if abs(achieved - p) / p <= 0.001:
            break
        low, high = (low, q) if achieved > p else (q, high)
    return widths, step


@settings(max_examples=60, deadline=None)
@given(LAYERS, st.floats(0.05, 0.95), st.integers(20, 600))
def test_threshold_search_by_the_book(layers: list[list[float]], p: float, standard: int) -> None:
    gates, sizes = flat(layers)
    found = method.threshold_search(gates, sizes, chain_macs, standard, p)
    assert (found.widths, found.steps) == by_the_book(layers, chain_macs, standard, p)
    raw = method.widths_at(gates, sizes, found.keep)
    assert sum(raw) == found.keep
    assert sum(found.widths) == found.keep + found.floored
    assert found.floored == raw.count(0)
    assert found.macs == chain_macs(found.widths)
    assert found.achieved == 1 - found.macs / standard
    assert found.met == (abs(found.achieved - p) / p <= 1e-3)
    assert found.met or found.steps == 10


@settings(max_examples=60, deadline=None)
@given(LAYERS, st.floats(0.05, 0.95), st.integers(20, 600))
def test_nearest_reachable_is_the_nearest_of_all(layers: list[list[float]], p: float, standard: int) -> None:
    gates, sizes = flat(layers)
    found = method.nearest_reachable(gates, sizes, chain_macs, standard, p)
    every = [
        chain_macs([max(1, count) for count in method.widths_at(gates, sizes, keep)])
        for keep in range(gates.numel() + 1)
    ]
    budget = (1 - p) * standard
    assert abs(found.macs - budget) == min(abs(macs - budget) for macs in every)
    assert found.steps <= math.ceil(math.log2(gates.numel() + 1)) + 2
    bisected = method.threshold_search(gates, sizes, chain_macs, standard, p)
    assert abs(found.macs - budget) <= abs(bisected.macs - budget)


def neighbours(
    gates: Tensor, sizes: list[int], macs: Callable[[list[int]], int], keep: int, max_steps: int
) -> dict[int, int]:
    """The multiply-adds of every ``keep`` within one step of the last bisection width of a given one.

    After s steps the bracket of q is 2^-s wide on either side of the last q, that is, at most floor(C / 2^s) + 1
    channels (the rounding of ``keep`` adds one).
    """
    step = gates.numel() // 2**max_steps + 1
    around = range(max(0, keep - step), min(gates.numel(), keep + step) + 1)
    return {k: macs([max(1, count) for count in method.widths_at(gates, sizes, k)]) for k in around}


@settings(max_examples=100, deadline=None)
@given(LAYERS, st.floats(0.05, 0.95), st.integers(20, 600), st.integers(1, 10))
def test_no_search_ends_further_off_than_one_step_of_keep_at_the_last_width(
    layers: list[list[float]], p: float, standard: int, max_steps: int
) -> None:
    gates, sizes = flat(layers)
    found = method.threshold_search(gates, sizes, chain_macs, standard, p, max_steps=max_steps)
    if found.met:
        return
    near = neighbours(gates, sizes, chain_macs, found.keep, max_steps)
    budget = (1 - p) * standard
    nearest = method.nearest_reachable(gates, sizes, chain_macs, standard, p)
    assert min(abs(macs - budget) for macs in near.values()) == abs(nearest.macs - budget)
    ends = chain_macs([1] * len(sizes)), chain_macs(sizes)
    if ends[0] <= budget <= ends[1]:  # within reach: then one step of keep goes to the other side of the budget
        assert abs(found.macs - budget) <= max(abs(macs - found.macs) for macs in near.values())


@pytest.mark.parametrize("p", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_vgg16_ends_within_six_channels_of_the_nearest(p: float, seed: int) -> None:
    gates = torch.rand(5280, generator=torch.Generator().manual_seed(seed))
    sizes = vgg16_sizes(80)
    found = method.threshold_search(gates, sizes, vgg16_macs, VGG16_STANDARD, p, tolerance=1e-9)
    assert not found.met
    near = neighbours(gates, sizes, vgg16_macs, found.keep, 10)
    assert len(near) == 2 * 6 + 1
    nearest = method.nearest_reachable(gates, sizes, vgg16_macs, VGG16_STANDARD, p)
    assert nearest.macs in near.values()
    assert min(near.values()) <= (1 - p) * VGG16_STANDARD <= max(near.values())


@pytest.mark.parametrize("p", [0.3, 0.5, 0.7, 0.9])
def test_vgg16_meets_its_budget_with_the_counter_and_with_the_closed_form(p: float) -> None:
    gates = torch.rand(5280, generator=torch.Generator().manual_seed(3))

    def counted(widths: list[int]) -> int:
        net = {"family": "vgg", "name": "vgg16", "width": 80, "widths": widths}
        return cost(lambda: build(net), (3, 32, 32), WITH_AVERAGE_POOLS).macs

    found = method.threshold_search(gates, vgg16_sizes(80), counted, VGG16_STANDARD, p)
    assert found == method.threshold_search(gates, vgg16_sizes(80), vgg16_macs, VGG16_STANDARD, p)
    assert found.met == (abs(1 - vgg16_macs(found.widths) / VGG16_STANDARD - p) / p <= 1e-3)
    nearest = method.nearest_reachable(gates, vgg16_sizes(80), vgg16_macs, VGG16_STANDARD, p)
    assert abs(nearest.achieved - p) <= abs(found.achieved - p) < 5e-3
    assert abs(nearest.achieved - p) < 1.2e-3  # half of one channel on the largest maps (0.24 % of the standard net)


def test_the_budget_is_relative_to_the_standard_net() -> None:
    gates = torch.rand(5280, generator=torch.Generator().manual_seed(0))
    sizes = vgg16_sizes(80)
    assert vgg16_macs(vgg16_sizes(64)) == VGG16_STANDARD
    assert 1 - vgg16_macs(sizes) / VGG16_STANDARD == pytest.approx(-0.56073, abs=1e-5)  # keeping all overshoots
    nearly_standard = method.nearest_reachable(gates, sizes, vgg16_macs, VGG16_STANDARD, 0.01)
    assert nearly_standard.keep < 0.9 * 5280


def test_a_budget_out_of_reach_ends_after_ten_steps_and_says_so() -> None:
    """ResNet-20 expanded to 80 has 16,254,080 MACs with all inner widths at 1: p above 0.602 is impossible."""

    def counted(widths: list[int]) -> int:
        net = {"family": "resnet", "name": "resnet20", "width": 80, "widths": widths}
        return cost(lambda: build(net), (3, 32, 32), WITH_AVERAGE_POOLS).macs

    sizes = [80] * 3 + [160] * 3 + [320] * 3
    gates = torch.rand(sum(sizes), generator=torch.Generator().manual_seed(0))
    found = method.threshold_search(gates, sizes, counted, 40_817_280, 0.7)
    assert (found.met, found.steps) == (False, 10)
    nearest = method.nearest_reachable(gates, sizes, counted, 40_817_280, 0.7)
    assert nearest.widths == [1] * 9
    assert nearest.floored > 0
    assert not nearest.met
    assert nearest.achieved == pytest.approx(0.6018, abs=1e-4)


@pytest.mark.parametrize("p", [0, 1, -0.5, 1.5, float("nan")])
def test_a_budget_outside_0_and_1_is_refused(p: float) -> None:
    for search in (method.threshold_search, method.nearest_reachable):
        with pytest.raises(ValueError, match="between 0 and 1"):
            search(torch.ones(4), [2, 2], chain_macs, 100, p)


def test_sizes_must_fit_the_gates() -> None:
    with pytest.raises(ValueError, match="5 gates do not fit layers of 4 channels"):
        method.threshold_search(torch.ones(5), [2, 2], chain_macs, 100, 0.5)


# Structures to compare with ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "fraction"), [(0.3, 0.6687), (0.5, 0.5656), (0.7, 0.4367), (0.9, 0.2516)])
def test_uniform_fraction_of_vgg16(p: float, fraction: float) -> None:
    sizes = vgg16_sizes(80)
    found = method.uniform_widths(sizes, vgg16_macs, VGG16_STANDARD, p)
    assert abs(found.achieved - p) / p < 4e-3
    scores = method.proportional_scores(sizes, [1.0] * 13)
    threshold = scores.sort(descending=True).values[found.keep - 1].item()
    assert 1 / threshold == pytest.approx(fraction, abs=6e-5)
    for width, size in zip(found.widths, sizes, strict=True):
        assert abs(width - fraction * size) <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.data())
def test_proportional_scores_round_shares_at_any_threshold(sizes: list[int], data: st.DataObject) -> None:
    shares = data.draw(st.lists(st.sampled_from([0.1, 0.35, 0.6, 1.0]), min_size=len(sizes), max_size=len(sizes)))
    threshold = data.draw(st.floats(0.2, 5))
    scores = method.proportional_scores(sizes, shares)
    widths = [int((part > threshold).sum()) for part in scores.split(sizes)]
    for width, size, share in zip(widths, sizes, shares, strict=True):
        assert abs(width - min(size, share * size / threshold)) <= 0.5 + 1e-4


def test_random_structures_cost_the_same_and_differ_between_layers_and_seeds() -> None:
    sizes = vgg16_sizes(80)

    def draw(seed: int) -> method.Structure:
        generator = torch.Generator().manual_seed(seed)
        return method.random_widths(sizes, vgg16_macs, VGG16_STANDARD, 0.5, generator)

    structures = [draw(seed) for seed in range(6)]
    assert structures[0] == draw(0)
    assert all(structure.met for structure in structures)
    fractions = np.array([np.divide(structure.widths, sizes) for structure in structures])
    assert fractions.std(axis=1).min() > 0.1  # layers of one structure
    assert fractions.std(axis=0).min() > 0.05  # seeds of one layer
    uniform = method.uniform_widths(sizes, vgg16_macs, VGG16_STANDARD, 0.5)
    assert np.divide(uniform.widths, sizes).std() < 0.01


def test_structure_correlation_is_pearsons() -> None:
    first, second = [45, 46, 90, 181, 362], [10, 18, 67, 23, 577]
    assert method.structure_correlation(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1], rel=1e-12)
    assert method.structure_correlation(first, [2 * width + 1 for width in first]) == pytest.approx(1.0)
    assert math.isnan(method.structure_correlation(first, [1] * 5))
    with pytest.raises(ValueError, match="same number"):
        method.structure_correlation(first, second[:4])


@pytest.mark.parametrize(
    ("p", "epochs"), [(0.3, 228), (0.4, 266), (0.5, 320), (0.6, 400), (0.7, 533), (0.8, 800), (0.9, 1600)]
)
def test_scratch_b_epochs(p: float, epochs: int) -> None:
    assert method.scratch_b_epochs(p) == epochs


# A user's own net -------------------------------------------------------------------------------------------------


def test_the_example_prunes_a_users_net(capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[2] / "examples" / "prune_your_own_net.py"
    made = runpy.run_path(str(example))
    found = made["found"]
    assert [made["fresh"].get_submodule(layer).num_features for layer in ("1", "5", "9")] == found.widths
    assert 0.4 < found.achieved < 0.6
    assert len(set(made["gated"].gates.tolist())) > 50  # the gates were told apart
    assert f"widths {found.widths}" in capsys.readouterr().out
