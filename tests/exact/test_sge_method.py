"""What the SGE paper and its official code promise of the module, whether plain or with its gradient by hand."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.papers.sge.fast import FastSpatialGroupEnhance
from tenfold.papers.sge.method import EPS, SpatialGroupEnhance
from tenfold.training.recipe import Recipe, build_optimiser

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
SIGMOID_OF_1 = 0.7310585786300049


@pytest.fixture(params=[SpatialGroupEnhance, FastSpatialGroupEnhance], autouse=True)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each promise is one of both forms."""
    monkeypatch.setitem(globals(), "Form", request.param)


Form = SpatialGroupEnhance


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def module(groups: int, **options: Any) -> SpatialGroupEnhance:
    return Form(groups, **options).double()


def trained(groups: int, **options: Any) -> SpatialGroupEnhance:
    """A module whose gammas and betas differ from group to group."""
    found = module(groups, **options)
    with torch.no_grad():
        found.weight.copy_(drawn(1, groups, 1, 1, seed=1))
        found.bias.copy_(drawn(1, groups, 1, 1, seed=2))
    return found


# The promises -----------------------------------------------------------------------------------------------------


def test_it_begins_as_a_multiplication_by_sigmoid_of_1() -> None:
    maps = drawn(2, 12, 5, 7)
    assert torch.allclose(module(4)(maps), SIGMOID_OF_1 * maps, rtol=1e-15)


@pytest.mark.parametrize(("groups", "channels"), [(1, 8), (4, 8), (8, 8), (64, 256)])
def test_two_parameters_for_each_group_whatever_the_channels(groups: int, channels: int) -> None:
    found = Form(groups)
    assert sum(parameter.numel() for parameter in found.parameters()) == 2 * groups
    assert [(name, tuple(p.shape)) for name, p in found.named_parameters()] == [
        ("weight", (1, groups, 1, 1)), ("bias", (1, groups, 1, 1)),
    ]  # fmt: skip
    assert found(torch.zeros(1, channels, 2, 2)).shape == (1, channels, 2, 2)


def test_it_is_the_formula_one_number_at_a_time() -> None:
    """Sec. 3 in plain loops over Python's own numbers."""
    maps, net = drawn(2, 6, 3, 2), trained(3)
    out = net(maps).detach()
    gamma, beta = net.weight.flatten().tolist(), net.bias.flatten().tolist()
    positions = [(row, column) for row in range(3) for column in range(2)]
    for sample in range(2):
        for group in range(3):
            members = [2 * group, 2 * group + 1]  # neighbouring channels

            def at(channel: int, place: tuple[int, int], sample: int = sample) -> float:
                return float(maps[sample, channel, place[0], place[1]])

            g = {c: sum(at(c, place) for place in positions) / 6 for c in members}
            c = [sum(g[k] * at(k, place) for k in members) for place in positions]
            mean = sum(c) / 6
            deviation = math.sqrt(sum((value - mean) ** 2 for value in c) / 5)
            for place, value in zip(positions, c, strict=True):
                a = gamma[group] * (value - mean) / (deviation + 1e-5) + beta[group]
                for k in members:
                    expected = at(k, place) / (1 + math.exp(-a))
                    assert float(out[sample, k, place[0], place[1]]) == pytest.approx(expected, rel=1e-12)


def test_permuting_positions_permutes_the_output() -> None:
    maps, net = drawn(2, 8, 4, 6), trained(4)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(3))
    permuted = maps.flatten(2)[:, :, order].view_as(maps)
    assert torch.allclose(net(permuted), net(maps).flatten(2)[:, :, order].view_as(maps), atol=1e-14)


@pytest.mark.parametrize("scale", [3.0, 0.4])
def test_gates_do_not_feel_the_scale_of_the_maps(scale: float) -> None:
    maps, net = drawn(2, 8, 7, 7), trained(4)
    assert torch.allclose(net(scale * maps) / (scale * maps), net(maps) / maps, atol=2e-4)


def test_a_constant_map_gets_sigmoid_of_beta_and_finite_gradients() -> None:
    maps = drawn(2, 8, 1, 1).expand(2, 8, 5, 5).contiguous().requires_grad_()
    net = trained(4)
    out = net(maps)
    assert torch.allclose(out / maps, torch.sigmoid(net.bias).repeat_interleave(2, 1).expand_as(maps), rtol=1e-9)
    out.sum().backward()
    assert all(torch.isfinite(values.grad).all() for values in (maps, net.weight, net.bias) if values.grad is not None)


@pytest.mark.parametrize("unbiased", [True, False])
def test_the_similarity_has_mean_0_and_deviation_sd_over_sd_plus_eps(unbiased: bool) -> None:
    """The normalised similarity is read off the gate, whose logit it is for gamma 1 and beta 0."""
    maps = 0.05 * drawn(3, 8, 4, 5)
    gates = (module(4, gamma=1.0, beta=0.0, unbiased=unbiased)(maps) / maps).view(3, 4, 2, 20)
    normalised = torch.logit(gates[:, :, 0])
    grouped = maps.view(3, 4, 2, 20)
    similarity = (grouped.mean(3, keepdim=True) * grouped).sum(2)
    sd = similarity.std(2, correction=int(unbiased))
    assert torch.allclose(normalised.mean(2), torch.zeros(3, 4).double(), atol=1e-10)
    assert torch.allclose(normalised.std(2, correction=int(unbiased)), sd / (sd + EPS), rtol=1e-8)
    assert float((sd / (sd + EPS)).max()) < 0.999, "eps must be felt here"


def test_the_two_deviations_differ_by_the_root_of_m_over_m_minus_1() -> None:
    maps = drawn(2, 8, 7, 7)
    logits = [torch.logit(module(4, gamma=1.0, beta=0.0, unbiased=unbiased)(maps) / maps) for unbiased in (True, False)]
    ratio = (logits[1] / logits[0]).median()
    assert ratio.item() == pytest.approx(math.sqrt(49 / 48), rel=1e-4)


def test_groups_are_neighbouring_channels_that_do_not_mix() -> None:
    maps, net = drawn(1, 8, 3, 3), trained(4)
    before = net(maps)
    maps[0, 2] += drawn(3, 3, seed=4)
    changed = (net(maps) != before).flatten(2).any(2)[0]
    assert changed.tolist() == [False, False, True, True, False, False, False, False]


def test_samples_do_not_feel_each_other_and_modes_do_not_differ() -> None:
    maps, net = drawn(5, 8, 3, 4), trained(4)
    assert torch.equal(net(maps)[3:4], net(maps[3:4]))
    assert torch.equal(net.eval()(maps), net.train()(maps))


@pytest.mark.parametrize("unbiased", [True, False])
def test_a_map_of_one_position_stays_finite(unbiased: bool) -> None:
    maps = drawn(2, 8, 1, 1).requires_grad_()
    net = trained(4, unbiased=unbiased)
    out = net(maps)
    assert torch.allclose(out / maps, torch.sigmoid(net.bias).repeat_interleave(2, 1).expand_as(maps))
    out.sum().backward()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def test_without_normalisation_the_gate_is_of_the_similarity_itself() -> None:
    maps, net = drawn(2, 4, 3, 3), trained(2, normalise=False)
    grouped = maps.view(2, 2, 2, 9)
    similarity = (grouped.mean(3, keepdim=True) * grouped).sum(2)
    expected = grouped * torch.sigmoid(net.weight.view(2, 1) * similarity + net.bias.view(2, 1))[:, :, None]
    assert torch.allclose(net(maps), expected.view_as(maps), rtol=1e-12)


def test_gamma_and_beta_are_decayed_by_the_official_recipe() -> None:
    net = Form(4)
    recipe = Recipe(epochs=1, batch_size=1, lr=0.1, momentum=0.9, weight_decay=1e-4)
    optimiser = build_optimiser(recipe, net)
    (net.weight.sum() * 0 + net.bias.sum() * 0).backward()
    optimiser.step()
    assert torch.allclose(net.bias, torch.full_like(net.bias, 1 - 0.1 * 1e-4), rtol=1e-7)


def test_channels_that_do_not_divide_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="12 channels do not divide into 8 groups"):
        Form(8)(torch.zeros(1, 12, 2, 2))


def test_it_begins_like_a_net_whose_branches_are_scaled() -> None:
    """With gamma 0 a residual branch is multiplied by sigmoid(beta), whatever the image."""
    branch, net = drawn(3, 8, 6, 6), module(4)
    shortcut = drawn(3, 8, 6, 6, seed=9)
    assert torch.allclose(F.relu(net(branch) + shortcut), F.relu(SIGMOID_OF_1 * branch + shortcut), rtol=1e-14)


def test_the_example_enhances_a_net_for_two_numbers_a_group_and_layer(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples/enhance_your_own_net.py"))
    plain, enhanced = (int(line.split(": ")[1].split()[0]) for line in capsys.readouterr().out.splitlines())
    assert enhanced - plain == 2 * 2 * 4
