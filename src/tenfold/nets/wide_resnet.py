"""Wide residual networks for small images: WRN-28-10 and its smaller relatives (depth 6n + 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.errors import UserError
from tenfold.nets.layers import PointwiseConv2d, init_convs

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


class WideResNet(nn.Module):
    """Wide ResNet for 32 x 32 images.

    Args:
        blocks: in each of the three stages.
        width: widening factor: stages have 16, 32 and 64 times as many channels.
        classes: number of classes.

    Attributes:
        before_classifier: what is done with the pooled features: nothing, by default.
    """

    def __init__(self, blocks: int, width: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, STEM, 3, padding=1, bias=False)
        self.blocks = nn.Sequential()
        channels = STEM
        for stage in range(3):
            for position in range(blocks):
                stride = 2 if stage > 0 and position == 0 else 1
                self.blocks.append(WideBlock(channels, STEM * width * 2**stage, stride))
                channels = STEM * width * 2**stage
        self.bn = nn.BatchNorm2d(channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.before_classifier: nn.Module = nn.Identity()
        self.classifier = nn.Linear(channels, classes)
        init_convs(self)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, classes) of images (N, 3, 32, 32)."""
        maps = torch.relu(self.bn(self.blocks(self.conv(images))))
        return self.classifier(self.before_classifier(self.pool(maps).flatten(1)))


def build(name: str, *, depth: int = 28, width: int = 10, classes: int = 10) -> WideResNet:
    """WRN-``depth``-``width``.

    Raises:
        UserError: no net of such blocks has this depth.
    """
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1:
        raise UserError(f"net {name}: depth is {depth}, it must be 6n + 4 with n of at least 1")
    return WideResNet(blocks, width, classes)
