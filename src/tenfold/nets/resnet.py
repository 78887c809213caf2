"""ResNets with free inner widths: ResNet-20/32/44/56/110 for CIFAR and ResNet-50 for ImageNet.

Shortcuts tie the block outputs together, so only the widths inside a block are free (and prunable). As in
the official code of "Pruning from Scratch" at 3102332, a shortcut is a 1x1 convolution with BatchNorm where
the shape changes, for CIFAR too (He et al. 2016 pad with zeros there), and the bottleneck's stride is on its 3x3.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tenfold.nets.layers import PrunableNet, chosen_widths, conv_bn
from tenfold.nets.stages import ResidualNet, residual_stages

CIFAR_DEPTHS = {"resnet20": 20, "resnet32": 32, "resnet44": 44, "resnet56": 56, "resnet110": 110}
NAMES = (*CIFAR_DEPTHS, "resnet50")
RESNET50_BLOCKS = (3, 4, 6, 3)
EXPANSION = 4  # output channels of a bottleneck over its inner ones


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return conv_bn(in_channels, out_channels, kernel=1, stride=stride, activation=None)


def imagenet_stem(channels: int) -> nn.Sequential:
    """A 7x7 convolution and a max-pool, each of stride 2."""
    return nn.Sequential(conv_bn(3, channels, kernel=7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the width between the two is free."""

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv_bn(in_channels, inner, kernel=3, stride=stride)
        self.conv2 = conv_bn(inner, out_channels, kernel=3, activation=None)
        self.shortcut = _shortcut(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        return self.relu(self.conv2(self.conv1(maps)) + self.shortcut(maps))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a shortcut; the two inner widths are free."""

    def __init__(self, in_channels: int, inner: tuple[int, int], out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv_bn(in_channels, inner[0], kernel=1)
        self.conv2 = conv_bn(inner[0], inner[1], kernel=3, stride=stride)
        self.conv3 = conv_bn(inner[1], out_channels, kernel=1, activation=None)
        self.shortcut = _shortcut(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        return self.relu(self.conv3(self.conv2(self.conv1(maps))) + self.shortcut(maps))


def plain_block(channels: int, outputs: int, stride: int) -> BasicBlock:
    """A pair of 3x3 convolutions as wide inside as outside."""
    return BasicBlock(channels, outputs, outputs, stride)


def plain_bottleneck(channels: int, outputs: int, stride: int) -> Bottleneck:
    """A bottleneck that is a quarter as wide inside."""
    inner = outputs // EXPANSION
    return Bottleneck(channels, (inner, inner), outputs, stride)


class CifarResNet(ResidualNet, PrunableNet):
    """ResNet of depth 6n + 2 for 32 x 32 images.

    Args:
        width: channels of the stem and of the first stage's outputs; they double from stage to stage.
        inner: inner width of each of the 3n blocks, the prunable ones.
        classes: number of classes.
    """

    def __init__(self, width: int, inner: Sequence[int], classes: int) -> None:
        counts, remaining = [len(inner) // 3] * 3, iter(inner)

        def block(channels: int, outputs: int, stride: int) -> BasicBlock:
            return BasicBlock(channels, next(remaining), outputs, stride)

        stem = conv_bn(3, width, kernel=3)
        super().__init__(stem, *residual_stages(block, counts, width, width), classes)
        self.prunable = [f"blocks.{index}.conv1.bn" for index in range(len(inner))]


class ResNet50(ResidualNet, PrunableNet):
    """ResNet-50 for ImageNet.

    Args:
        inner: the two inner widths of each of the 16 bottlenecks (32 numbers), the prunable ones.
        classes: number of classes.
    """

    def __init__(self, inner: Sequence[int], classes: int) -> None:
        remaining = iter(inner)

        def block(channels: int, outputs: int, stride: int) -> Bottleneck:
            return Bottleneck(channels, (next(remaining), next(remaining)), outputs, stride)

        stem = imagenet_stem(64)
        super().__init__(stem, *residual_stages(block, RESNET50_BLOCKS, 64, 256), classes)
        self.prunable = [f"blocks.{index}.{conv}.bn" for index in range(16) for conv in ("conv1", "conv2")]


def build(
    name: str, *, width: int | None = None, widths: Sequence[int] | None = None, classes: int | None = None
) -> CifarResNet | ResNet50:
    """One of ``NAMES``.

    Args:
        name: which net.
        width: CIFAR: channels of the first stage, inside the blocks and out (16 is standard). ResNet-50: first
            inner width (64 is standard); its block outputs stay 256 to 2048.
        widths: explicit inner widths, one per CIFAR block, two per bottleneck.
        classes: number of classes; by default 10 for CIFAR, 1000 for ResNet-50.
    """
    if name == "resnet50":
        base = 64 if width is None else width
        standard = [base * 2**stage for stage, count in enumerate(RESNET50_BLOCKS) for _ in range(2 * count)]
        return ResNet50(chosen_widths(name, widths, standard), 1000 if classes is None else classes)
    base = 16 if width is None else width
    blocks_per_stage = (CIFAR_DEPTHS[name] - 2) // 6
    standard = [base * 2**stage for stage in range(3) for _ in range(blocks_per_stage)]
    return CifarResNet(base, chosen_widths(name, widths, standard), 10 if classes is None else classes)
