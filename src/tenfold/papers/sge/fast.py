"""SGE with its gradient by hand, as nets are trained with it: the numbers of the plain module, but for rounding.

On one core it is three times as fast on the maps of the first stage of ResNet-50, about as fast on small ones
(bench/bench_attention.py).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tenfold.papers.sge.method import EPS, SpatialGroupEnhance, correction_for, working_type

PIECE = 2**18  # numbers of a map that are worked on at once: with their gradients they stay in the processor's cache


class FastSpatialGroupEnhance(SpatialGroupEnhance):
    """`SpatialGroupEnhance` by `Enhance`; what comes out has the memory order of the maps."""

    def enhance(self, maps: Tensor) -> Tensor:
        """By hand, but for the ablation without normalisation."""
        if not self.normalise:
            return super().enhance(maps)
        enhanced: Tensor = Enhance.apply(maps, self.weight, self.bias, self.unbiased)
        return enhanced


class Enhance(torch.autograd.Function):
    """`spatial_group_enhance` with its gradient by hand, some samples of the batch at a time.

    No sample depends on another one, so each piece of the batch goes through all steps while it is in the cache.
    Within a piece numbers lie as (B G, C / G, m), m = H W, whatever the memory order of the batch. Autocast leaves them
    in float32: it does not touch matrix products whose output is given.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, unbiased: bool) -> Tensor:
        """See `spatial_group_enhance`."""
        batch, channels, height, width = maps.shape
        groups, m = weight.numel(), height * width
        gamma, beta = weight.view(groups, 1), bias.view(groups, 1)
        ctx.correction = correction_for(m, unbiased)
        numbers = maps if in_working_form(maps) else maps.new_empty(maps.shape, dtype=working_type(maps))
        means = numbers.new_empty(batch, groups, channels // groups)
        normalised, gates = numbers.new_empty(2, batch, groups, m)
        deviations = numbers.new_empty(batch, groups, 1)
        enhanced = torch.empty_like(maps)
        for piece in pieces(maps):
            if numbers is not maps:
                numbers[piece].copy_(maps[piece])
            x = numbers[piece].view(-1, channels // groups, m)
            g = torch.mean(x, 2, out=means[piece].view(-1, channels // groups))
            c, gate = normalised[piece], gates[piece]
            torch.bmm(g[:, None], x, out=c.view(-1, 1, m))
            deviation, mean = torch.std_mean(c, 2, correction=ctx.correction, keepdim=True)
            deviations[piece] = deviation
            c.sub_(mean).div_(deviation + EPS)
            torch.addcmul(beta, gamma, c, out=gate).sigmoid_()
            if numbers is maps:
                torch.mul(x, gate.view(-1, 1, m), out=enhanced[piece].view(x.shape))
            else:
                enhanced[piece] = (x * gate.view(-1, 1, m)).view_as(maps[piece])
        ctx.save_for_backward(numbers, gamma, means, normalised, gates, deviations)
        return enhanced

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients by maps, gamma and beta.

        Of the similarity c = deviation-normalised c_i = g . x_i: with da the gradient by gamma c + beta,
        dc_i = gamma / (sd + eps) (da_i - mean da) - gamma (sum_j da_j c_j) / ((m - correction) sd) c_i. It reaches
        x_i directly, as dc_i g, and through the mean g, as sum_j dc_j x_j / m.
        """
        numbers, gamma, means, normalised, gates, deviations = ctx.saved_tensors
        batch, groups, m = normalised.shape
        sum_da, sum_da_c = numbers.new_empty(2, batch, groups, 1)
        by_maps = torch.empty_like(upstream)
        in_place = in_working_form(by_maps)
        products, gradients = numbers.new_empty(2, *numbers[: piece_size(numbers)].shape)
        for piece in pieces(upstream):
            gradient = by_maps[piece] if in_place else gradients[: len(gates[piece])]
            gradient.copy_(upstream[piece])
            x, dy = (values.view(-1, means.shape[2], m) for values in (numbers[piece], gradient))
            product = torch.mul(x, dy, out=products.view(-1, *x.shape[1:])[: len(x)])
            g, c, gate, deviation = (
                means[piece].view(*x.shape[:2], 1),
                normalised[piece],
                gates[piece],
                deviations[piece],
            )
            da = torch.ops.aten.sigmoid_backward(product.sum(1).view_as(gate), gate)
            total = torch.sum(da, 2, keepdim=True, out=sum_da[piece])
            along = torch.bmm(da.view(-1, 1, m), c.view(-1, m, 1), out=sum_da_c[piece].view(-1, 1, 1)).view_as(total)
            # A constant map has no deviation, and its normalised similarity, 0, none to pass on.
            turned = torch.where(deviation > 0, along / ((m - ctx.correction) * deviation), 0)
            dc = da.sub_(total / m).mul_(gamma / (deviation + EPS)).addcmul_(c, gamma * turned, value=-1)
            through_mean = torch.bmm(x, dc.view(-1, m, 1), out=x.new_empty(g.shape)).div_(m)
            dy.mul_(gate.view(-1, 1, m)).baddbmm_(g, dc.view(-1, 1, m)).add_(through_mean)
            if not in_place:
                by_maps[piece] = gradient
        by_gamma, by_beta = (sums.sum(0).view(1, groups, 1, 1) for sums in (sum_da_c, sum_da))
        return by_maps, by_gamma, by_beta, None


def in_working_form(maps: Tensor) -> bool:
    """Whether numbers lie as they are worked on: channel by channel, in the working type."""
    return maps.is_contiguous() and maps.dtype == working_type(maps)


def piece_size(maps: Tensor) -> int:
    """How many samples have about `PIECE` numbers, at least one."""
    return max(1, PIECE // max(1, maps.shape[1:].numel()))


def pieces(maps: Tensor) -> list[slice]:
    """The batch in slices of `piece_size` samples."""
    size = piece_size(maps)
    return [slice(start, start + size) for start in range(0, len(maps), size)]
