"""ResNeXt for small images: ResNeXt-29 (8x64d and its relatives) and shallower members of the family."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.nets.layers import PointwiseConv2d, init_convs
from tenfold.nets.stages import Classifier, residual_stages

BLOCKS_PER_STAGE = {"resnext11": 1, "resnext20": 2, "resnext29": 3}
NAMES = tuple(BLOCKS_PER_STAGE)
EXPANSION = 4  # output channels of the first stage over the stem's


class Bottleneck(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolution, a BatchNorm after each, and a ReLU after the residual is added.

    Args:
        in_channels: channels of the input.
        inner: channels of the grouped convolution.
        out_channels: channels of the output.
        cardinality: groups of the 3x3 convolution.
        stride: of the 3x3 convolution and the shortcut.

    Attributes:
        before_last_bn: what is done right before the block's last BatchNorm: nothing, by default.
        before_last_conv: what is done right before the block's last convolution: nothing, by default.
    """

    def __init__(self, in_channels: int, inner: int, out_channels: int, cardinality: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=cardinality, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.before_last_conv: nn.Module = nn.Identity()
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.before_last_bn: nn.Module = nn.Identity()
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if in_channels != out_channels:
            self.shortcut.append(PointwiseConv2d(in_channels, out_channels, stride))
            self.shortcut.append(nn.BatchNorm2d(out_channels))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        branch = torch.relu(self.bn1(self.conv1(maps)))
        branch = torch.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.before_last_bn(self.conv3(self.before_last_conv(branch))))
        return torch.relu(self.shortcut(maps) + branch)


class CifarResNeXt(Classifier):
    """ResNeXt for 32 x 32 images.

    Args:
        count: bottlenecks in each of the three stages.
        cardinality: groups of the 3x3 convolutions.
        width: channels of a group in the first stage; they double from stage to stage.
        stem: channels of the first convolution; stages have 4, 8 and 16 times as many at their ends.
        classes: number of classes.
    """

    def __init__(self, count: int, cardinality: int, width: int, stem: int, classes: int) -> None:
        super().__init__()
        first = EXPANSION * stem

        def block(channels: int, outputs: int, stride: int) -> Bottleneck:
            return Bottleneck(channels, cardinality * width * outputs // first, outputs, cardinality, stride)

        self.conv = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(stem)
        self.blocks, outputs = residual_stages(block, [count] * 3, stem, first)
        self.add_classifier(outputs, classes)
        init_convs(self)

    def maps(self, images: Tensor) -> Tensor:
        """See `Classifier`."""
        return self.blocks(torch.relu(self.bn(self.conv(images))))


def build(name: str, *, cardinality: int = 8, width: int = 64, stem: int = 64, classes: int = 10) -> CifarResNeXt:
    """One of ``NAMES``: ``cardinality`` 8 and ``width`` 64 make the 8x64d net."""
    return CifarResNeXt(BLOCKS_PER_STAGE[name], cardinality, width, stem, classes)
