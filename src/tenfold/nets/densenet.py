"""DenseNet-BC for small images: bottlenecks, and transitions that halve the channels (depth 6n + 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.errors import UserError
from tenfold.nets.layers import init_convs

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


class DenseNet(nn.Module):
    """DenseNet-BC for 32 x 32 images.

    Args:
        layers: in each of the three dense blocks.
        growth: channels that a layer appends; the stem has twice as many.
        classes: number of classes.

    Attributes:
        before_classifier: what is done with the pooled features: nothing, by default.
    """

    def __init__(self, layers: int, growth: int, classes: int) -> None:
        super().__init__()
        channels = 2 * growth
        self.conv = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.blocks = nn.Sequential()
        for block in range(3):
            if block > 0:
                self.blocks.append(Transition(channels))
                channels //= 2
            for _ in range(layers):
                self.blocks.append(DenseLayer(channels, growth))
                channels += growth
        self.bn = nn.BatchNorm2d(channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.before_classifier: nn.Module = nn.Identity()
        self.classifier = nn.Linear(channels, classes)
        init_convs(self)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, classes) of images (N, 3, 32, 32)."""
        maps = torch.relu(self.bn(self.blocks(self.conv(images))))
        return self.classifier(self.before_classifier(self.pool(maps).flatten(1)))


def build(name: str, *, depth: int = 100, growth: int = 12, classes: int = 10) -> DenseNet:
    """DenseNet-BC of this depth (L) and growth (k).

    Raises:
        UserError: no net of such blocks has this depth.
    """
    layers, rest = divmod(depth - 4, 6)
    if rest or layers < 1:
        raise UserError(f"net {name}: depth is {depth}, it must be 6n + 4 with n of at least 1")
    return DenseNet(layers, growth, classes)
