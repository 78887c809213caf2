"""Weighs channels and positions together: the bottleneck attention module (BAM, Park et al., arXiv:1807.06514)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BottleneckAttention(nn.Module):
    """One gate for each channel and position, from the sum of a channel and a position branch; between two stages.

    In training a batch needs more than one sample, for the BatchNorm of the channel branch.

    Args:
        channels: channels C of the map.
        reduction: both branches work on C / reduction channels, at least one.
        dilation: of the two 3x3 convolutions of the position branch.
    """

    def __init__(self, channels: int, reduction: int = 16, dilation: int = 4) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.excite = nn.Sequential(
            nn.Linear(channels, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels)
        )
        self.locate = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True))
        for _ in range(2):
            self.locate.append(nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation))
            self.locate.append(nn.BatchNorm2d(hidden))
            self.locate.append(nn.ReLU(inplace=True))
        self.locate.append(nn.Conv2d(hidden, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W), each number multiplied by a factor in (1, 2)."""
        of_channels = self.excite(maps.mean((2, 3)))
        return maps * (1 + torch.sigmoid(of_channels[:, :, None, None] * self.locate(maps)))
