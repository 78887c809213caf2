"""Wide residual networks for small images: WRN-28-10 and its smaller relatives (depth 6n + 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.nets.layers import PointwiseConv2d
from tenfold.nets.stages import PreActivationNet, blocks_at, residual_stages

NAMES = ("wide_resnet",)
STEM = 16


class WideBlock(nn.Module):
    """BatchNorm, ReLU and 3x3 convolution, twice; where channels change, the first ReLU feeds the shortcut too.

    Args:
        in_channels: channels of the input.
        out_channels: channels of both convolutions.
        stride: of the first convolution and the shortcut.

    Attributes:
        before_last_bn: what is done right before the block's last BatchNorm: nothing, by default.
        before_last_conv: what is done right before the block's last convolution: nothing, by default.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.before_last_bn: nn.Module = nn.Identity()
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.before_last_conv: nn.Module = nn.Identity()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if in_channels != out_channels:
            self.shortcut = PointwiseConv2d(in_channels, out_channels, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        activated = torch.relu(self.bn1(maps))
        branch = self.before_last_bn(self.conv1(activated))
        branch = self.conv2(self.before_last_conv(torch.relu(self.bn2(branch))))
        return branch + (maps if self.shortcut is None else self.shortcut(activated))


def build(name: str, *, depth: int = 28, width: int = 10, classes: int = 10) -> PreActivationNet:
    """WRN-``depth``-``width``: stages of 16, 32 and 64 times ``width`` channels.

    Raises:
        UserError: no net of such blocks has this depth.
    """
    counts = [blocks_at(name, depth, 6, 4)] * 3
    conv = nn.Conv2d(3, STEM, 3, padding=1, bias=False)
    return PreActivationNet(conv, *residual_stages(WideBlock, counts, STEM, STEM * width), classes)
