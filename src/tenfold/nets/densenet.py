"""DenseNet-BC for small images: bottlenecks, and transitions that halve the channels (depth 6n + 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.nets.stages import PreActivationNet, blocks_at

NAMES = ("densenet_bc",)
EXPANSION = 4  # channels between a layer's two convolutions, over the growth


class DenseLayer(nn.Module):
    """BatchNorm, ReLU and 1x1 convolution, then the same with 3x3; the output is appended to the input.

    Args:
        in_channels: channels of the input.
        growth: channels that are appended.

    Attributes:
        before_last_bn: what is done right before the layer's last BatchNorm: nothing, by default.
        before_last_conv: what is done right before the layer's last convolution: nothing, by default.
    """

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, EXPANSION * growth, 1, bias=False)
        self.before_last_bn: nn.Module = nn.Identity()
        self.bn2 = nn.BatchNorm2d(EXPANSION * growth)
        self.before_last_conv: nn.Module = nn.Identity()
        self.conv2 = nn.Conv2d(EXPANSION * growth, growth, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, in_channels + growth, H, W)."""
        new = self.before_last_bn(self.conv1(torch.relu(self.bn1(maps))))
        new = self.conv2(self.before_last_conv(torch.relu(self.bn2(new))))
        return torch.cat([maps, new], 1)


class Transition(nn.Module):
    """BatchNorm, ReLU, a 1x1 convolution to half the channels, and average pooling to half the size."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, in_channels / 2, H / 2, W / 2)."""
        return self.pool(self.conv(torch.relu(self.bn(maps))))


def dense_blocks(layers: int, growth: int, channels: int) -> tuple[nn.Sequential, int]:
    """Three dense blocks of ``layers`` layers with transitions between them, and the channels behind the last."""
    blocks = nn.Sequential()
    for block in range(3):
        if block > 0:
            blocks.append(Transition(channels))
            channels //= 2
        for _ in range(layers):
            blocks.append(DenseLayer(channels, growth))
            channels += growth
    return blocks, channels


def build(name: str, *, depth: int = 100, growth: int = 12, classes: int = 10) -> PreActivationNet:
    """DenseNet-BC of this depth (L) and growth (k); its first convolution has twice as many channels.

    Raises:
        UserError: no net of such blocks has this depth.
    """
    layers = blocks_at(name, depth, 6, 4)
    conv = nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False)
    return PreActivationNet(conv, *dense_blocks(layers, growth, 2 * growth), classes)
