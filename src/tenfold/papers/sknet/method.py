"""Lets each channel choose the size of its receptive field by what the image shows: selective kernel convolution.

"Selective Kernel Networks" (Li et al., CVPR 2019, arXiv:1903.06586) in three moves (Sec. 3.1):

1. Split: several convolutions with kernels of different reach see the same map, ``U_k = ReLU(BN(conv_k(X)))``.
2. Fuse: the sum of the branches, averaged over the map, goes through a small bottleneck,
   ``s = GAP(sum_k U_k)``, ``z = ReLU(BN(W s))`` (Eq. 1 to 4).
3. Select: from z each channel gets a softmax over the branches, ``V_c = sum_k a_kc U_kc`` (Eq. 5 and 6).

``SelectiveKernel`` takes the place of any k x k convolution with BatchNorm and ReLU. The paper's SK[2, 32, 16]:

    SelectiveKernel(128, dilated_kernels(2, groups=32), reduction=16, floor=32)

Placement of BatchNorm and ReLU, missing biases and the first values of the weights follow the official code at 17dd708.
Everything here works on any torch module and needs torch alone.

Claim C1 of the paper: 20.79 % against 22.23 % on ImageNet (SKNet-50, ResNeXt-50).
Ours at real (n = 5): error of mini/k3-k5-sk 44.91, of mini/k3-k5-sum 45.05, of mini/k3 44.78. Runtime: 190 CPU-seconds
at small, 91 CPU-minutes at real (two cores).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Kernel:
    """A branch's convolution: a size x size kernel whose taps stand ``dilation`` pixels apart, in ``groups`` groups.

    A 3x3 kernel of dilation 2 reaches as far as a 5x5 one, and is what the paper uses for "5x5" (Sec. 3.1).
    """

    size: int = 3
    dilation: int = 1
    groups: int = 32

    @property
    def reach(self) -> int:
        """The side of the field that it sees, in pixels: 3, 5 and 7 for 3x3 kernels of dilation 1, 2 and 3."""
        return self.dilation * (self.size - 1) + 1


def dilated_kernels(m: int = 2, groups: int = 32) -> list[Kernel]:
    """M branches of 3x3 kernels with dilations 1 to M: the kernels of SK[M, G, r]."""
    return [Kernel(3, dilation, groups) for dilation in range(1, m + 1)]


def branch(channels: int, kernel: Kernel, stride: int = 1) -> nn.Sequential:
    """Split, one branch: convolution without bias (map size kept at stride 1), BatchNorm, ReLU."""
    padding = kernel.dilation * (kernel.size - 1) // 2
    conv = nn.Conv2d(channels, channels, kernel.size, stride, padding, kernel.dilation, kernel.groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class BranchAttention(nn.Module):
    """Fuse, and the logits of Select: from the pooled sum of the branches to one logit per branch and channel.

    Args:
        channels: channels C of the map.
        branches: their number M.
        reduction: r; the bottleneck has ``d = max(C / r, floor)`` units (Eq. 4).
        floor: L, the smallest d.
    """

    def __init__(self, channels: int, branches: int, reduction: int = 16, floor: int = 32) -> None:
        super().__init__()
        self.branches = branches
        units = max(channels // reduction, floor)
        self.squeeze = nn.Linear(channels, units, bias=False)
        self.norm = nn.BatchNorm1d(units)
        self.select = nn.Linear(units, branches * channels, bias=False)
        for linear in (self.squeeze, self.select):
            nn.init.normal_(linear.weight, std=0.01)

    def forward(self, pooled: Tensor) -> Tensor:
        """(N, C) -> (N, M, C).

        Raises:
            ValueError: a single image in training, whose BatchNorm has nothing to average over.
        """
        if self.training and len(pooled) == 1:
            raise ValueError(
                "SelectiveKernel: its BatchNorm over (N, d) needs at least 2 images a batch in training, got 1; "
                "use a larger batch, drop the last one, or call eval()"
            )
        z = torch.relu(self.norm(self.squeeze(pooled)))
        return self.select(z).unflatten(1, (self.branches, -1))


class SelectiveKernel(nn.Module):
    """A selective kernel convolution.

    Args:
        channels: channels C of input and output.
        kernels: one for each branch, the smallest first.
        reduction: r.
        floor: L.
        stride: of every branch.
    """

    def __init__(
        self, channels: int, kernels: Sequence[Kernel], reduction: int = 16, floor: int = 32, stride: int = 1
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branch(channels, kernel, stride) for kernel in kernels)
        self.attention = BranchAttention(channels, len(kernels), reduction, floor)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride)."""
        branches = [conv(maps) for conv in self.branches]
        # The mean of the sum is the sum of the means, and the sum itself is not needed.
        pooled = sum_of(maps.mean((2, 3)) for maps in branches)
        logits = self.attention(pooled)
        return select_of_two(branches, logits) if len(branches) == 2 else select(branches, logits)


class SummedBranches(nn.Module):
    """The paper's "no SK" ablation (Table 7): the plain sum of the branches, without attention."""

    def __init__(self, channels: int, kernels: Sequence[Kernel], stride: int = 1) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branch(channels, kernel, stride) for kernel in kernels)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride)."""
        return sum_of(conv(maps) for conv in self.branches)


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of at least one tensor, from the first to the last."""
    first, *others = tensors
    for other in others:
        first = first + other
    return first


def attention_weights(logits: Tensor) -> Tensor:
    """(N, M, C) -> (N, M, C): for each channel a softmax over the branches; its M weights sum to 1 (Eq. 5)."""
    return logits.softmax(1)


def select(branches: Sequence[Tensor], logits: Tensor) -> Tensor:
    """Select as the paper writes it: ``V_c = sum_k a_kc U_kc`` (Eq. 6).

    Args:
        branches: M maps (N, C, H, W).
        logits: (N, M, C).

    Returns:
        (N, C, H, W).
    """
    weights = attention_weights(logits).to(branches[0].dtype)
    return sum_of(maps * weights[:, k, :, None, None] for k, maps in enumerate(branches))


def select_of_two(branches: Sequence[Tensor], logits: Tensor) -> Tensor:
    """``select`` for M = 2 in one pass over the maps: ``U_1 + sigmoid(l_2 - l_1) (U_2 - U_1)``.

    A softmax over two logits is a sigmoid of their difference, and the other weight is what is left of 1.
    """
    first, second = branches
    share = torch.sigmoid(logits[:, 1] - logits[:, 0]).to(first.dtype)
    return torch.lerp(first, second, share[:, :, None, None])


def attention_difference(weights: Tensor) -> Tensor:
    """``D_u``: the mean over channels of the last branch's weight minus the first's: (N, M, C) -> (N,).

    This is what Figures 3 and 4 plot of a unit; for M = 2 it is ``2 mean_c(b_c) - 1`` with the larger kernel's b.
    """
    return (weights[:, -1] - weights[:, 0]).mean(1)
