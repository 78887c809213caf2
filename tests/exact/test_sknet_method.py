"""Selective kernels: the identities of the paper's equations, the mistakes that other ports made, the fast path."""

from __future__ import annotations

import copy
import runpy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.papers.sknet.method import (
    BranchAttention,
    Kernel,
    SelectiveKernel,
    SummedBranches,
    attention_difference,
    attention_weights,
    branch,
    dilated_kernels,
    select,
    select_of_two,
    sum_of,
)

torch.set_num_threads(1)

CHANNELS = 8


def unit(m: int = 2, channels: int = CHANNELS, groups: int = 2, seed: int = 0) -> SelectiveKernel:
    """A unit in float64 whose attention is far from its first values, with BatchNorm statistics of its own."""
    torch.manual_seed(seed)
    module = SelectiveKernel(channels, dilated_kernels(m, groups), reduction=2, floor=3).double()
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=1.0)
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)
    return module.eval()


def maps(n: int = 3, channels: int = CHANNELS, side: int = 7, seed: int = 1) -> Tensor:
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def logits_of(module: SelectiveKernel, x: Tensor) -> Tensor:
    return module.attention(sum_of(conv(x).mean((2, 3)) for conv in module.branches))


@torch.no_grad()
def by_hand(module: SelectiveKernel, x: Tensor) -> Tensor:
    """Equations 1 to 6, image by image and channel by channel, with the sum U and 1x1 convolutions."""

    def normalised(values: Tensor, norm: nn.Module) -> Tensor:
        shape = (-1,) + (1,) * (values.dim() - 1)
        mean, var = norm.running_mean.view(shape), norm.running_var.view(shape)
        return (values - mean) / (var + norm.eps).sqrt() * norm.weight.view(shape) + norm.bias.view(shape)

    out = []
    for image in x:
        split = []
        for conv, norm, _ in module.branches:
            u = F.conv2d(image[None], conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)[0]
            split.append(normalised(u, norm).clamp(min=0))
        u = torch.stack(split).sum(0)
        s = u.sum((1, 2)) / (u.shape[1] * u.shape[2])
        attention = module.attention
        z = normalised(F.conv2d(s[None, :, None, None], attention.squeeze.weight[:, :, None, None])[0, :, 0, 0],
                       attention.norm).clamp(min=0)  # fmt: skip
        channels, m = len(s), len(split)
        chosen = torch.zeros_like(u)
        for c in range(channels):
            scores = [float(attention.select.weight[k * channels + c] @ z) for k in range(m)]
            exponentials = torch.tensor(scores, dtype=torch.float64).exp()
            for k in range(m):
                chosen[c] += exponentials[k] / exponentials.sum() * split[k][c]
        out.append(chosen)
    return torch.stack(out)


@pytest.mark.parametrize("m", [2, 3])
def test_the_module_is_the_paper_s_equations(m: int) -> None:
    module, x = unit(m), maps()
    assert torch.allclose(module(x), by_hand(module, x), atol=1e-12)


# Identities -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_weights_of_a_channel_sum_to_one(m: int) -> None:
    weights = attention_weights(logits_of(unit(m), maps()))
    assert weights.shape == (3, m, CHANNELS)
    assert torch.allclose(weights.sum(1), torch.ones(3, CHANNELS, dtype=torch.float64))
    assert (weights > 0).all()


def test_the_mean_of_the_sum_is_the_sum_of_the_means() -> None:
    branches = [maps(seed=seed) for seed in range(3)]
    assert torch.allclose(sum_of(branches).mean((2, 3)), sum_of(u.mean((2, 3)) for u in branches), atol=1e-14)


@pytest.mark.parametrize("m", [2, 3])
def test_without_logits_the_output_is_the_sum_over_m(m: int) -> None:
    module, x = unit(m), maps()
    nn.init.zeros_(module.attention.select.weight)
    summed = SummedBranches(CHANNELS, dilated_kernels(m, 2)).double().eval()
    summed.branches.load_state_dict(module.branches.state_dict())
    assert torch.allclose(module(x), summed(x) / m, atol=1e-14)


def test_a_constant_added_to_all_logits_of_a_channel_changes_nothing() -> None:
    branches = [maps(seed=seed) for seed in range(3)]
    logits = torch.randn(3, 3, CHANNELS, dtype=torch.float64)
    shift = torch.randn(3, 1, CHANNELS, dtype=torch.float64)
    assert torch.allclose(select(branches, logits), select(branches, logits + shift), atol=1e-13)


@pytest.mark.parametrize("m", [2, 3])
def test_branches_may_change_places_with_their_rows(m: int) -> None:
    module, x = unit(m), maps()
    other = copy.deepcopy(module)
    order = list(reversed(range(m)))
    other.branches = nn.ModuleList(module.branches[k] for k in order)
    rows = module.attention.select.weight.detach().unflatten(0, (m, CHANNELS))
    other.attention.select.weight = nn.Parameter(rows[order].flatten(0, 1))
    assert torch.allclose(module(x), other(x), atol=1e-13)


@pytest.mark.parametrize("m", [2, 3])
def test_a_saturated_logit_leaves_one_plain_convolution(m: int) -> None:
    branches = [maps(seed=seed) for seed in range(m)]
    for k in range(m):
        logits = torch.zeros(3, m, CHANNELS, dtype=torch.float64)
        logits[:, k] = 1e4
        assert torch.equal(select(branches, logits), branches[k])
        if m == 2:
            assert torch.allclose(select_of_two(branches, logits), branches[k], atol=1e-14)


def test_equal_branches_leave_nothing_to_choose() -> None:
    u = maps()
    for seed in range(3):
        logits = torch.randn(3, 2, CHANNELS, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        assert torch.allclose(select([u, u], logits), u, atol=1e-14)
        assert torch.equal(select_of_two([u, u], logits), u)


@given(st.lists(st.floats(-30, 30), min_size=4, max_size=4), st.lists(st.floats(-30, 30), min_size=4, max_size=4))
@settings(deadline=None, max_examples=60)
def test_the_difference_is_twice_the_mean_minus_one(first: list[float], second: list[float]) -> None:
    weights = attention_weights(torch.tensor([[first, second]], dtype=torch.float64))
    difference = attention_difference(weights)
    assert torch.allclose(difference, 2 * weights[:, 1].mean(1) - 1, atol=1e-14)
    assert (difference.abs() <= 1).all()


def test_the_paper_s_number_follows_from_its_points() -> None:
    """Figure 3 (c): the 16 points of SK_3_4 at 1.0x, and its bar of -0.052."""
    points = "467 455 447 533 458 392 459 512 454 480 478 463 504 538 455 488"
    b = torch.tensor([[int(point) / 1000 for point in points.split()]], dtype=torch.float64)
    assert float(attention_difference(torch.stack([1 - b, b], 1))) == pytest.approx(-0.052, abs=5e-4)


def test_a_dilated_3x3_kernel_is_a_5x5_kernel_with_holes() -> None:
    dilated = branch(CHANNELS, Kernel(3, 2, 4)).double().eval()
    whole = branch(CHANNELS, Kernel(5, 1, 4)).double().eval()
    nn.init.zeros_(whole[0].weight)
    with torch.no_grad():
        whole[0].weight[:, :, ::2, ::2] = dilated[0].weight
    assert torch.allclose(dilated(maps()), whole(maps()), atol=1e-13)
    assert Kernel(3, 2, 4).reach == Kernel(5, 1, 4).reach == 5


# What other ports got wrong ---------------------------------------------------------------------------------------


def test_branches_really_reach_further() -> None:
    kernels = dilated_kernels(3, groups=2)
    assert [(k.size, k.dilation, k.reach) for k in kernels] == [(3, 1, 3), (3, 2, 5), (3, 3, 7)]
    for kernel in kernels:
        x = torch.zeros(1, CHANNELS, 15, 15, dtype=torch.float64, requires_grad=True)
        branch(CHANNELS, kernel).double().eval()[0](x)[0, :, 7, 7].sum().backward()
        rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten().tolist()
        assert rows == [7 - kernel.dilation, 7, 7 + kernel.dilation]


def test_each_channel_has_weights_of_its_own() -> None:
    weights = attention_weights(logits_of(unit(), maps()))
    assert (weights[:, :1].std(2) > 0.01).all(), "shared across channels"
    assert (weights[:, 0].std(0) > 1e-4).all(), "the same for every image"


def test_an_image_does_not_change_the_weights_of_another() -> None:
    module, x = unit(), maps(4)
    assert torch.allclose(module(x)[:1], module(x[:1]), atol=1e-13)


def test_the_softmax_is_over_branches_alone() -> None:
    logits = torch.randn(3, 2, CHANNELS, dtype=torch.float64)
    weights = attention_weights(logits)
    expected = logits.exp() / logits.exp().sum(1, keepdim=True)
    assert torch.allclose(weights, expected, atol=1e-15)
    changed = logits.clone()
    changed[0, 0, 0] += 1
    same = torch.ones_like(weights, dtype=torch.bool)
    same[0, :, 0] = False
    assert torch.equal(attention_weights(changed)[same], weights[same])


def test_one_image_is_refused_in_training_and_welcome_in_evaluation() -> None:
    module = unit().float()
    x = maps(1).float()
    assert module(x).shape == x.shape
    with pytest.raises(ValueError, match=r"BatchNorm over \(N, d\) needs at least 2 images.*eval\(\)"):
        module.train()(x)
    assert module.train()(maps(2).float()).shape == (2, CHANNELS, 7, 7)


def test_layers_are_those_of_the_official_prototxt() -> None:
    module = SelectiveKernel(64, dilated_kernels(2, 32))
    for conv, norm, relu in module.branches:
        assert (conv.bias, conv.groups, norm.num_features, type(relu)) == (None, 32, 64, nn.ReLU)
    assert module.branches[0][1] is not module.branches[1][1]
    assert [name for name, _ in module.named_children()] == ["branches", "attention"], "no layer after the sum"
    assert module.attention.squeeze.bias is module.attention.select.bias is None
    assert isinstance(module.attention.norm, nn.BatchNorm1d)


@pytest.mark.parametrize(
    ("channels", "reduction", "floor", "d"), [(128, 16, 32, 32), (256, 16, 32, 32), (512, 16, 32, 32),
                                              (1024, 16, 32, 64), (512, 32, 1, 16), (8, 16, 1, 1)]
)  # fmt: skip
def test_the_bottleneck_has_max_of_c_over_r_and_l_units(channels: int, reduction: int, floor: int, d: int) -> None:
    attention = BranchAttention(channels, 2, reduction, floor)
    assert attention.squeeze.weight.shape == (d, channels)
    assert attention.select.weight.shape == (2 * channels, d)


def test_at_first_the_branches_weigh_the_same() -> None:
    torch.manual_seed(0)
    module = SelectiveKernel(64, dilated_kernels(2, 4), reduction=16, floor=32)
    weights = attention_weights(logits_of(module, torch.randn(16, 64, 8, 8))).detach()
    assert (weights - 0.5).abs().max() < 0.1
    assert float(module.attention.squeeze.weight.detach().std()) == pytest.approx(0.01, rel=0.1)


def test_the_stride_is_in_every_branch() -> None:
    module = SelectiveKernel(CHANNELS, dilated_kernels(3, 2), stride=2).eval()
    assert module(torch.randn(2, CHANNELS, 9, 9)).shape == (2, CHANNELS, 5, 5)
    assert {conv[0].stride for conv in module.branches} == {(2, 2)}


# The fast path ----------------------------------------------------------------------------------------------------


def both(dtype: torch.dtype, seed: int) -> list[list[Tensor]]:
    """Output and gradients of both ways to select, from the same numbers."""
    generator = torch.Generator().manual_seed(seed)
    numbers = [torch.randn(4, 6, 5, 5, generator=generator).to(dtype) for _ in range(3)]
    logits = 3 * torch.randn(4, 2, 6, generator=generator).to(dtype)
    found = []
    for way in (select, select_of_two):
        leaves = [t.clone().requires_grad_() for t in (*numbers[:2], logits)]
        out = way(leaves[:2], leaves[2])
        out.backward(numbers[2])
        found.append([out.detach(), *(leaf.grad for leaf in leaves)])
    return found


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.bfloat16, 0.06)]
)
@pytest.mark.parametrize("seed", range(3))
def test_both_ways_to_select_give_the_same_numbers(dtype: torch.dtype, tolerance: float, seed: int) -> None:
    """The gradient of a logit sums 25 products, so its tolerance is relative to the largest of them."""
    plain, fast = both(dtype, seed)
    for one, other in zip(plain, fast, strict=True):
        allowed = tolerance * max(1.0, float(one.abs().max()))
        assert float((one - other).abs().max()) <= allowed
    assert float((plain[0] - plain[1]).abs().max()) > 1, "the comparison can fail"


def test_two_branches_take_the_fast_path_and_three_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    for name, way in (("select", select), ("select_of_two", select_of_two)):

        def spy(branches: list[Tensor], logits: Tensor, name: str = name, way: object = way) -> Tensor:
            taken.append(name)
            return way(branches, logits)  # type: ignore[operator]

        monkeypatch.setattr(f"tenfold.papers.sknet.method.{name}", spy)
    for m in (1, 2, 3):
        unit(m)(maps())
    assert taken == ["select", "select_of_two", "select"]


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_repetition_has_the_same_bits(m: int, precision: torch.dtype) -> None:
    module, x = unit(m).float().train(), maps(4).float().contiguous(memory_format=torch.channels_last)
    runs = []
    for _ in range(2):
        again = copy.deepcopy(module)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            out = again(x)
        out.float().square().sum().backward()
        runs.append([out.detach(), *(parameter.grad for parameter in again.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))
    assert runs[0][0].dtype == precision, "select keeps the precision of the maps"


def test_the_example_selects_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).resolve().parents[2] / "examples/select_kernels_in_your_own_net.py"))
    said = capsys.readouterr().out.splitlines()
    assert float(said[0].split("%")[0].removeprefix("accuracy ")) > 90
    assert len(said[1].split()) == 3
