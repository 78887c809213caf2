"""Weighs the channels of a map by what the whole map holds: squeeze-and-excitation (Hu et al., arXiv:1709.01507)."""

from __future__ import annotations

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Global average pool, two linear layers with biases, a sigmoid for each channel.

    Args:
        channels: channels C of the map.
        reduction: the hidden layer has C / reduction units, at least one.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.excite = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W), each channel multiplied by its own gate in (0, 1)."""
        gates = self.excite(self.pool(maps).flatten(1))
        return maps * gates[:, :, None, None]
