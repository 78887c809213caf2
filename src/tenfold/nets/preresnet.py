"""Pre-activation ResNets for small images, of basic blocks (depth 6n + 2) and of bottlenecks (9n + 2).

"PreResNet-110" of the paper on variance shift is the bottleneck net of depth 164: the code base that it names took 18
blocks in each stage for a depth of 110, and made them bottlenecks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.nets.layers import PointwiseConv2d
from tenfold.nets.stages import PreActivationNet, blocks_at, residual_stages

LAYERS_PER_BLOCK = {"preresnet_basic": 2, "preresnet_bottleneck": 3}
NAMES = tuple(LAYERS_PER_BLOCK)
EXPANSION = 4  # of a bottleneck


class BasicBlock(nn.Module):
    """BatchNorm, ReLU and 3x3 convolution, twice; the shortcut, where one is needed, acts on the raw input.

    Args:
        in_channels: channels of the input.
        channels: channels of both convolutions.
        stride: of the first convolution and the shortcut.

    Attributes:
        before_last_bn: what is done right before the block's last BatchNorm: nothing, by default.
        before_last_conv: what is done right before the block's last convolution: nothing, by default.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.before_last_bn: nn.Module = nn.Identity()
        self.bn2 = nn.BatchNorm2d(channels)
        self.before_last_conv: nn.Module = nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut = shortcut(in_channels, channels, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        branch = self.before_last_bn(self.conv1(torch.relu(self.bn1(maps))))
        branch = self.conv2(self.before_last_conv(torch.relu(self.bn2(branch))))
        return self.shortcut(maps) + branch


class Bottleneck(nn.Module):
    """BatchNorm, ReLU and a convolution, three times: 1x1, 3x3 and 1x1; else like `BasicBlock`."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        inner = out_channels // EXPANSION
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
        self.before_last_bn: nn.Module = nn.Identity()
        self.bn3 = nn.BatchNorm2d(inner)
        self.before_last_conv: nn.Module = nn.Identity()
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.shortcut = shortcut(in_channels, out_channels, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        branch = self.conv1(torch.relu(self.bn1(maps)))
        branch = self.before_last_bn(self.conv2(torch.relu(self.bn2(branch))))
        branch = self.conv3(self.before_last_conv(torch.relu(self.bn3(branch))))
        return self.shortcut(maps) + branch


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity, or a 1x1 convolution where the shape changes."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return PointwiseConv2d(in_channels, out_channels, stride)


def build(name: str, *, depth: int = 110, width: int = 16, classes: int = 10) -> PreActivationNet:
    """One of ``NAMES`` with ``depth`` layers, those of shortcuts not counted.

    Args:
        name: of basic blocks or of bottlenecks.
        depth: of the whole net.
        width: channels of the stem and inner channels of the first stage; they double from stage to stage.
        classes: number of classes.

    Raises:
        UserError: no net of such blocks has this depth.
    """
    in_block = LAYERS_PER_BLOCK[name]
    counts = [blocks_at(name, depth, 3 * in_block, 2)] * 3
    conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
    block, outputs = (BasicBlock, width) if in_block == 2 else (Bottleneck, EXPANSION * width)
    return PreActivationNet(conv, *residual_stages(block, counts, width, outputs), classes)
