"""Chooses, channel by channel, between a dense and a grouped 3x3 convolution: SK as PytorchInsight compares it.

A selective kernel unit (Li et al., arXiv:1903.06586) made as cheap as the attention modules it is compared with
(implus/PytorchInsight at 2864528): one grouped 3x3 convolution beside the net's own, without dilation and without a
least width of the squeezed layer. The paper's own unit is another one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SelectiveBranches(nn.Module):
    """In place of a 3x3 convolution with BatchNorm and ReLU: two of them, mixed by a softmax for each channel.

    Args:
        in_channels: channels of the input.
        channels: channels C of the output.
        stride: of both convolutions.
        groups: of the second one.
        reduction: the squeezed layer has C / reduction channels, at least one.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1, groups: int = 32, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels, channels, 3, stride, padding=1, groups=count, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            )
            for count in (1, groups)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Sequential(nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden))
        self.choose = nn.Conv2d(hidden, 2 * channels, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, C, H / stride, W / stride)."""
        first, second = (branch(maps) for branch in self.branches)
        squeezed = torch.relu(self.squeeze(self.pool(first) + self.pool(second)))
        weights = torch.softmax(self.choose(squeezed).view(len(maps), 2, -1, 1, 1).float(), 1).to(first.dtype)
        return first * weights[:, 0] + second * weights[:, 1]
