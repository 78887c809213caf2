"""Finds how many channels each layer should keep, from a random net that is never trained.

"Pruning from Scratch" (Wang et al., AAAI 2020, arXiv:1909.12579) in four moves:

1. Freeze a wide net at its random initialisation and give every prunable channel a gate (``GatedNet``).
2. Learn the gates alone: cross-entropy plus a pull of their mean to a sparsity level (``sparsity_penalty``).
3. Bisect one global threshold on the gates to a budget of multiply-adds (``threshold_search``).
4. Build a fresh net with the channel counts found and train it as usual, for longer by ``scratch_b_epochs``.

Only the counts survive: no weight, and not which channel it was. Everything here works on any torch module whose
prunable BatchNorm layers are named. Details follow the official code (github.com/frankwang345/pruning-from-scratch
at 3102332), departures from it are marked [choice].

Claim C1 of the paper: similar or higher accuracy.
Ours at real (n = 5): accuracy of resnet20-c8/pruned-p0.5 63.86, of resnet20-c8/pretrained-p0.5 63.67, of
resnet20-c8/uniform-p0.5 66.51. Runtime: 433 CPU-seconds at small (AVX2 in fp32), 116 CPU-minutes at real (two
cores).
"""

from __future__ import annotations

import bisect
import functools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# Gates ------------------------------------------------------------------------------------------------------------


class GatedNet(nn.Module):
    """A frozen net with one learnable gate per prunable channel: ``y = relu(gate * BN(conv(x)))``.

    The gates multiply the outputs of the named BatchNorm layers, start at exactly 1 (which leaves the net as it
    was, bit for bit) and are the only parameters that want a gradient. Learn them in train mode: BatchNorm then
    uses batch statistics, without which a deep random net saturates, and keeps running ones for the validation.

    Args:
        net: the net; all its parameters are frozen in place.
        layers: names of its prunable BatchNorm layers, in order.

    Attributes:
        gates: all gates, layer after layer (C,).
        sizes: number of gates of each layer.

    Raises:
        ValueError: no layer named, a name twice, a name that the net lacks or that is no BatchNorm.
    """

    def __init__(self, net: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        norms = [_batch_norm(net, name) for name in layers]
        if not norms:
            raise ValueError("no prunable layer named: give the names of the BatchNorm layers to prune")
        if len(set(layers)) < len(layers):
            raise ValueError(f"a prunable layer is named twice: {', '.join(layers)}")
        self.net = net.requires_grad_(False)
        self.sizes = [norm.num_features for norm in norms]
        self.gates = nn.Parameter(torch.ones(sum(self.sizes), device=next(net.parameters()).device))
        start = 0
        for norm, size in zip(norms, self.sizes, strict=True):
            norm.register_forward_hook(functools.partial(self._gate, slice(start, start + size)))
            start += size

    def _gate(self, channels: slice, _norm: nn.Module, _inputs: tuple[Tensor, ...], maps: Tensor) -> Tensor:
        gates = self.gates[channels].to(maps.dtype)
        return maps * gates.view(-1, *[1] * (maps.dim() - 2))

    def forward(self, inputs: Tensor) -> Tensor:
        """What the net gives, with its channels gated."""
        return self.net(inputs)

    @torch.no_grad()
    def clamp_(self) -> None:
        """Puts the gates back into [0, 1]; call it after every optimiser step."""
        self.gates.clamp_(0, 1)


def _batch_norm(net: nn.Module, name: str) -> _BatchNorm:
    try:
        layer = net.get_submodule(name)
    except AttributeError:
        raise ValueError(
            f"the net has no layer {name!r}: prunable layers are named as in net.named_modules()"
        ) from None
    if not isinstance(layer, _BatchNorm):
        raise ValueError(f"layer {name!r} is {type(layer).__name__}, not a BatchNorm: gates multiply BatchNorm outputs")
    return layer


def sparsity_penalty(gates: Tensor, gamma: float, r: float) -> Tensor:
    """``gamma * (mean |gate| - r)^2``, with one mean over the gates (C,) of all layers.

    Its gradient is ``2 gamma (mean - r) / C``, the same for each gate in (0, 1]; at 0 the gradient of ``abs`` is
    0, and only the cross-entropy can revive a gate. The paper has gamma 0.5, r 0.2 for CIFAR; 0.05, 0.5 for ImageNet.
    """
    return gamma * (gates.abs().mean() - r) ** 2


def non_zero_fraction(gates: Tensor) -> float:
    """The fraction of gates that are not exactly zero."""
    return int(gates.count_nonzero()) / gates.numel()


@dataclass
class GateKeeper:
    """Keeps the gates to prune by: the most accurate ones seen whose non-zero fraction is at most ``r``.

    In short runs that may never happen (gates fall far before they reach zero); then the last gates are taken.

    Attributes:
        r: the sparsity level of the penalty.
        accuracy: validation accuracy of the kept gates; 0 as long as there are none.
        gates: the kept gates (C,), or None.
    """

    r: float
    accuracy: float = 0.0
    gates: Tensor | None = None

    def offer(self, gates: Tensor, accuracy: float) -> bool:
        """Keeps a copy of the gates if they are sparse enough and the most accurate so far; says whether it did."""
        if non_zero_fraction(gates) > self.r or accuracy <= self.accuracy:
            return False
        self.gates, self.accuracy = gates.detach().clone(), accuracy
        return True

    def chosen(self, last: Tensor) -> Tensor:
        """The gates to prune by: the kept ones, or ``last`` if none were kept."""
        return last.detach().clone() if self.gates is None else self.gates


# From gates to channel counts -------------------------------------------------------------------------------------

Macs = Callable[[list[int]], int]
"""Multiply-adds of the net with these widths, everything that is not prunable being as in the wide net."""


@dataclass(frozen=True)
class Structure:
    """Channel counts, and how they meet the budget.

    Attributes:
        widths: channels of each prunable layer.
        keep: channels asked for; with ``floored`` layers fewer than there are.
        floored: layers that would have lost their last channel and kept it.
        macs: multiply-adds with these widths.
        achieved: ``1 - macs / standard_macs``, to be compared with the budget p; negative if larger than standard.
        met: whether ``|achieved - p| / p`` is within the tolerance.
        steps: how many structures were counted to find this one.
    """

    widths: list[int]
    keep: int
    floored: int
    macs: int
    achieved: float
    met: bool
    steps: int


def widths_at(scores: Tensor, sizes: Sequence[int], keep: int) -> list[int]:
    """How many of the ``keep`` largest scores (C,) lie in each layer; a layer may get none.

    One top-k over all layers. [choice] Among equal scores the one with the lower index (earlier layer, earlier
    channel) goes first, so that keeping more never narrows a layer.
    """
    order = torch.sort(scores, descending=True, stable=True).indices
    kept = torch.zeros(scores.numel(), dtype=torch.bool)
    kept[order[:keep].cpu()] = True
    return [int(layer.sum()) for layer in kept.split(list(sizes))]


def zero_gates_kept(gates: Tensor, keep: int) -> int:
    """How many of the ``keep`` largest gates are zero, that is, kept for no merit but their index."""
    return max(0, keep - int(gates.count_nonzero()))


def threshold_search(
    gates: Tensor,
    sizes: Sequence[int],
    macs: Macs,
    standard_macs: int,
    p: float,
    tolerance: float = 1e-3,
    max_steps: int = 10,
) -> Structure:
    """Bisects the fraction q of channels to remove until the budget is met, or ``max_steps`` are used up.

    ``keep = round(C (1 - q))``, Python's round (half to even). The last structure is returned, met or not.
    [choice] A layer keeps at least one channel (the official code would fail).

    Args:
        gates: learned gates of the wide net (C,).
        sizes: number of gates of each layer.
        macs: counts a structure.
        standard_macs: of the net of STANDARD width, to which the budget is relative.
        p: fraction of the standard multiply-adds to save, between 0 and 1.
        tolerance: accepted ``|achieved - p| / p``.
        max_steps: most structures to count.

    Raises:
        ValueError: a budget that is not between 0 and 1, or sizes that do not add up to the number of gates.
    """
    at = _judge(gates, sizes, macs, standard_macs, p, tolerance)
    low, high = 0.0, 1.0
    for step in range(1, max_steps + 1):
        q = (low + high) / 2
        structure = replace(at(round(gates.numel() * (1 - q))), steps=step)
        if structure.met:
            break
        if structure.achieved > p:
            high = q
        else:
            low = q
    return structure


def nearest_reachable(
    scores: Tensor,
    sizes: Sequence[int],
    macs: Macs,
    standard_macs: int,
    p: float,
    tolerance: float = 1e-3,
) -> Structure:
    """The structure nearest to the budget among those that any ``keep`` from 0 to C gives (the smaller of two).

    Multiply-adds never fall as ``keep`` grows, so about log2(C) counts find it. Arguments as in ``threshold_search``.
    """
    at = functools.cache(_judge(scores, sizes, macs, standard_macs, p, tolerance))
    budget = (1 - p) * standard_macs
    first_above = bisect.bisect_left(range(scores.numel()), budget, key=lambda keep: at(keep).macs)
    neighbours = [at(keep) for keep in (first_above - 1, first_above) if keep >= 0]
    nearest = min(neighbours, key=lambda structure: abs(structure.macs - budget))
    return replace(nearest, steps=at.cache_info().misses)


def _judge(
    scores: Tensor, sizes: Sequence[int], macs: Macs, standard_macs: int, p: float, tolerance: float
) -> Callable[[int], Structure]:
    """A function that counts the structure for one ``keep``."""
    if not 0 < p < 1:
        raise ValueError(f"budget p is {p}: it must lie between 0 and 1 (the fraction of multiply-adds to save)")
    if sum(sizes) != scores.numel():
        raise ValueError(f"{scores.numel()} gates do not fit layers of {sum(sizes)} channels in all")

    def structure(keep: int) -> Structure:
        counts = widths_at(scores, sizes, keep)
        widths = [max(1, count) for count in counts]
        cost = macs(widths)
        achieved = 1 - cost / standard_macs
        met = abs(achieved - p) / p <= tolerance
        return Structure(widths, keep, counts.count(0), cost, achieved, met, steps=1)

    return structure


# Structures to compare with ---------------------------------------------------------------------------------------


def proportional_scores(sizes: Sequence[int], shares: Sequence[float]) -> Tensor:
    """Scores (C,) by which a top-k keeps channels of each layer in proportion to ``share * size``.

    The j-th channel of a layer (from 0) scores ``share * size / (j + 1/2)``: at a threshold t a layer has
    ``round(share * size / t)`` channels, as far as it has them.
    """
    layers = [share * size / (torch.arange(size) + 0.5) for size, share in zip(sizes, shares, strict=True)]
    return torch.cat(layers)


def uniform_widths(sizes: Sequence[int], macs: Macs, standard_macs: int, p: float) -> Structure:
    """The same fraction of every layer, as near to the budget as it gets (a layer may be one channel ahead)."""
    return nearest_reachable(proportional_scores(sizes, [1.0] * len(sizes)), sizes, macs, standard_macs, p)


def random_widths(
    sizes: Sequence[int], macs: Macs, standard_macs: int, p: float, generator: torch.Generator
) -> Structure:
    """A random structure of the same multiply-adds.

    [choice] Each layer draws its share from U(0.1, 1) and all shares are scaled by one factor (up to the full layer) to
    the budget. Random gates in one top-k would not do: every layer would keep about the same fraction.
    """
    shares = torch.empty(len(sizes)).uniform_(0.1, 1.0, generator=generator).tolist()
    return nearest_reachable(proportional_scores(sizes, shares), sizes, macs, standard_macs, p)


def structure_correlation(first: Sequence[int], second: Sequence[int]) -> float:
    """Pearson correlation of two structures' channel counts; NaN if the layers of one are all equally wide."""
    if len(set(first)) == 1 or len(set(second)) == 1:
        return math.nan
    return statistics.correlation(first, second)


# Training the pruned net ------------------------------------------------------------------------------------------


def scratch_b_epochs(p: float, epochs: int = 160) -> int:
    """Epochs that give a net with a fraction p fewer multiply-adds the same computation: ``int(epochs / (1 - p))``."""
    return int(epochs / (1 - p))
