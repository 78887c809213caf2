"""Weighs channels, then positions: the convolutional block attention module (CBAM, Woo et al., arXiv:1807.06521)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GlobalMaxPool(nn.Module):
    """The largest value of each channel: (N, C, H, W) -> (N, C, 1, 1); its gradient is deterministic on GPUs, too."""

    def forward(self, maps: Tensor) -> Tensor:
        """See the class."""
        return maps.amax((2, 3), keepdim=True)


class ConvolutionalBlockAttention(nn.Module):
    """Channel gates from mean and maximum of the map, then position gates from mean and maximum over the channels.

    Args:
        channels: channels C of the map.
        reduction: the hidden layer of the channel gates has C / reduction units, at least one.
        kernel: side of the convolution of the position gates.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.average, self.maximum = nn.AdaptiveAvgPool2d(1), GlobalMaxPool()
        self.excite = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))
        self.locate = nn.Sequential(nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(1))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        logits = self.excite(self.average(maps).flatten(1)) + self.excite(self.maximum(maps).flatten(1))
        maps = maps * torch.sigmoid(logits)[:, :, None, None]
        over_channels = torch.cat([maps.amax(1, keepdim=True), maps.mean(1, keepdim=True)], 1)
        return maps * torch.sigmoid(self.locate(over_channels))
