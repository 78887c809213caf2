"""Adds to all positions what one attention over them gathers: the global context block (GC, arXiv:1904.11492)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GlobalContext(nn.Module):
    """Context of the whole map by one softmax over positions, transformed by a bottleneck and added.

    Args:
        channels: channels C of the map.
        reduction: the bottleneck has C / reduction units, at least one.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.attend = nn.Conv2d(channels, 1, 1)
        self.transform = nn.Sequential(
            nn.Linear(channels, hidden), nn.LayerNorm(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        weights = torch.softmax(self.attend(maps).flatten(2).float(), 2).to(maps.dtype)  # (N, 1, H W)
        context = torch.bmm(maps.flatten(2), weights.transpose(1, 2)).squeeze(2)
        return maps + self.transform(context)[:, :, None, None]
