"""That SGE with its gradient by hand is the plain form, in every memory order and type."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tenfold.papers.sge import fast
from tenfold.papers.sge.fast import Enhance, FastSpatialGroupEnhance
from tenfold.papers.sge.method import spatial_group_enhance

torch.set_num_threads(1)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def trained(groups: int) -> FastSpatialGroupEnhance:
    """A module whose gammas and betas differ from group to group."""
    found = FastSpatialGroupEnhance(groups).double()
    with torch.no_grad():
        found.weight.copy_(drawn(1, groups, 1, 1, seed=1))
        found.bias.copy_(drawn(1, groups, 1, 1, seed=2))
    return found


def gradients(function: Any, maps: Tensor, net: FastSpatialGroupEnhance, unbiased: bool) -> list[Tensor]:
    maps = maps.detach().requires_grad_()
    weight, bias = (parameter.detach().requires_grad_() for parameter in (net.weight, net.bias))
    out = function(maps, weight, bias, unbiased)
    upstream = drawn(*out.shape, seed=5).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, (maps, weight, bias), upstream)]


def plain(maps: Tensor, weight: Tensor, bias: Tensor, unbiased: bool) -> Tensor:
    return spatial_group_enhance(maps, weight, bias, unbiased=unbiased)


@settings(deadline=None, max_examples=30)
@given(
    batch=st.integers(1, 5), groups=st.sampled_from([1, 2, 4]), members=st.integers(1, 3), height=st.integers(1, 4),
    width=st.integers(2, 4), unbiased=st.booleans(), last=st.booleans(), piece=st.sampled_from([1, 40, 2**18]),
)  # fmt: skip
def test_the_fast_form_is_the_plain_one(
    batch: int, groups: int, members: int, height: int, width: int, unbiased: bool, last: bool, piece: int
) -> None:
    maps = drawn(batch, groups * members, height, width)
    if last:
        maps = maps.contiguous(memory_format=torch.channels_last)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "PIECE", piece)
        ours = gradients(Enhance.apply, maps, trained(groups), unbiased)
    for one, slow in zip(ours, gradients(plain, maps, trained(groups), unbiased), strict=True):
        assert torch.allclose(one, slow, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("unbiased", [True, False])
def test_its_gradient_is_that_of_finite_differences(unbiased: bool) -> None:
    net = trained(3)
    inputs = (drawn(2, 6, 3, 2).requires_grad_(), net.weight, net.bias, unbiased)
    assert torch.autograd.gradcheck(Enhance.apply, inputs)


@pytest.mark.parametrize("last", [False, True])
def test_in_float32_it_is_within_rounding_of_the_plain_form(last: bool) -> None:
    maps = drawn(4, 32, 14, 14).float()
    maps = maps.contiguous(memory_format=torch.channels_last) if last else maps
    net = trained(8).float()
    for one, slow in zip(gradients(Enhance.apply, maps, net, True), gradients(plain, maps, net, True), strict=True):
        assert torch.allclose(one, slow, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("last", [False, True])
def test_repetition_gives_the_same_bits_and_the_order_of_memory_is_kept(last: bool) -> None:
    maps = drawn(6, 32, 9, 9).float()
    maps = maps.contiguous(memory_format=torch.channels_last) if last else maps
    net = trained(8).float()
    first, second = (gradients(Enhance.apply, maps, net, True) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    form = torch.channels_last if last else torch.contiguous_format
    assert net(maps).is_contiguous(memory_format=form)
    other = maps.contiguous(memory_format=torch.contiguous_format)
    assert torch.equal(net(maps), net(other)), "both orders of memory, one result"


def test_gates_are_float32_under_autocast() -> None:
    """Maps in bf16 come out as bf16, as near to the exact result as one rounding; a bf16 gate would be further off."""
    maps = drawn(4, 64, 14, 14).bfloat16()
    net = trained(8).float()
    with torch.autocast("cpu", torch.bfloat16):
        out = net(maps).detach()
    exact = spatial_group_enhance(maps.double(), net.weight.double(), net.bias.double()).detach()
    assert out.dtype == torch.bfloat16
    error = ((out.double() - exact).abs() / exact.abs().clamp(min=1e-12)).max()
    assert float(error) <= 2**-8 * 1.01


def test_autocast_changes_nothing() -> None:
    maps, net = drawn(3, 16, 8, 8).float(), trained(4).float()
    expected = gradients(Enhance.apply, maps, net, True)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(Enhance.apply, maps, net, True)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
