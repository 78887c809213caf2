"""Lets each group of channels look for its own thing: one gate for each group and position, almost without parameters.

"Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional Networks" (Li, Hu and Yang,
arXiv:1905.09646). A group's mean over the map says what it has found; positions that resemble the mean are enhanced,
the others suppressed (`spatial_group_enhance`, Sec. 3). `SpatialGroupEnhance` is the module to put behind the last
BatchNorm of each residual branch. It computes the same by hand, gradient included: on one core three times as fast on
the maps of the first stage of ResNet-50, about as fast on small ones (bench/bench_attention.py).

Official code: implus/PytorchInsight at 2864528. Where it differs from the paper, the code is the default.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tenfold.errors import UserError

EPS = 1e-5  # added to the deviation, not under its root


def spatial_group_enhance(
    maps: Tensor, weight: Tensor, bias: Tensor, *, unbiased: bool = True, normalise: bool = True
) -> Tensor:
    """Spatial group-wise enhancement as the paper writes it (Eq. 1 to 5), in float32 at least.

    Args:
        maps: (B, C, H, W); the C channels are G neighbouring groups, x_i being a group's C / G numbers at position i.
        weight: gamma of each group, (1, G, 1, 1).
        bias: beta of each group, (1, G, 1, 1).
        unbiased: divide by H W - 1 in the variance, as the official code does; else by H W, as in Eq. 3.
        normalise: the ablation of Table 3 leaves normalisation out.

    Returns:
        (B, C, H, W) in the maps' own type.
    """
    batch, channels, height, width = maps.shape
    groups = weight.numel()
    grouped = maps.to(working_type(maps)).reshape(batch, groups, channels // groups, height, width)
    semantic = grouped.mean((3, 4), keepdim=True)  # Eq. 1: g, the group's mean
    similarity = (semantic * grouped).sum(2)  # Eq. 2: c_i = g . x_i, (B, G, H, W)
    if normalise:  # Eq. 3
        correction = correction_for(height * width, unbiased)
        deviation, mean = torch.std_mean(similarity, (2, 3), correction=correction, keepdim=True)
        similarity = (similarity - mean) / (deviation + EPS)
    gate = torch.sigmoid(weight * similarity + bias)  # Eq. 4 and 5: a_i = gamma c_i + beta
    return (grouped * gate.unsqueeze(2)).view(batch, channels, height, width).to(maps.dtype)


class SpatialGroupEnhance(nn.Module):
    """Spatial group-wise enhancement (SGE) with two learned numbers for each group.

    Args:
        groups: G; the paper recommends 32 or 64 and uses 64 in every block.
        gamma: initial scale of the normalised similarity.
        beta: initial offset; with gamma 0 and beta 1 the module begins as a multiplication by sigmoid(1) = 0.731.
        unbiased: variance with H W - 1 in the denominator (official code), else with H W (Eq. 3).
        normalise: whether the similarity is normalised; only an ablation leaves it out.

    Attributes:
        weight: gamma, (1, G, 1, 1), by the name and in the shape of the official checkpoints.
        bias: beta, likewise. Both are decayed like all weights in the official recipe.
    """

    def __init__(
        self, groups: int = 64, *, gamma: float = 0.0, beta: float = 1.0, unbiased: bool = True, normalise: bool = True
    ) -> None:
        super().__init__()
        self.groups, self.unbiased, self.normalise = groups, unbiased, normalise
        self.weight = nn.Parameter(torch.full((1, groups, 1, 1), float(gamma)))
        self.bias = nn.Parameter(torch.full((1, groups, 1, 1), float(beta)))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W), in the type and memory order of the maps.

        Raises:
            UserError: the channels do not divide into the groups.
        """
        if maps.shape[1] % self.groups:
            raise UserError(f"SGE: {maps.shape[1]} channels do not divide into {self.groups} groups; choose a divisor")
        if not self.normalise:
            return spatial_group_enhance(maps, self.weight, self.bias, normalise=False)
        enhanced: Tensor = Enhance.apply(maps, self.weight, self.bias, self.unbiased)
        return enhanced

    def extra_repr(self) -> str:
        """What the module prints of itself."""
        return f"groups={self.groups}, unbiased={self.unbiased}, normalise={self.normalise}"


def working_type(maps: Tensor) -> torch.dtype:
    """What gates are computed in: float32, or float64 for maps of that type."""
    return torch.promote_types(maps.dtype, torch.float32)


def correction_for(positions: int, unbiased: bool) -> int:
    """What the number of positions is lessened by in the variance: a map of one position has none to spare."""
    return min(int(unbiased), positions - 1)


# The same by hand -------------------------------------------------------------------------------------------------

PIECE = 2**18  # numbers of a map that are worked on at once: with their gradients they stay in the processor's cache


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
