"""What the nets have in common: stages of residual blocks, and a linear layer on the mean of the last maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tenfold.errors import UserError
from tenfold.nets.layers import init_convs


def residual_stages(
    block: Callable[[int, int, int], nn.Module], counts: Sequence[int], channels: int, outputs: int
) -> tuple[nn.Sequential, int]:
    """The blocks of all stages, and the channels behind them; stages but the first begin with a block of stride 2.

    Args:
        block: makes a block from the channels of its input, those of its output, and its stride.
        counts: blocks in each stage.
        channels: of the first block's input.
        outputs: channels that the first stage gives; they double from stage to stage.
    """
    blocks = nn.Sequential()
    for stage, count in enumerate(counts):
        for position in range(count):
            stride = 2 if stage > 0 and position == 0 else 1
            blocks.append(block(channels, outputs * 2**stage, stride))
            channels = outputs * 2**stage
    return blocks, channels


def blocks_at(name: str, depth: int, layers: int, others: int) -> int:
    """The n of a depth of ``layers`` n + ``others``.

    Raises:
        UserError: no net of such blocks has this depth.
    """
    count, rest = divmod(depth - others, layers)
    if rest or count < 1:
        raise UserError(f"net {name}: depth is {depth}, it must be {layers}n + {others} with n of at least 1")
    return count


class Classifier(nn.Module):
    """A net that scores classes by a linear layer on the mean of its maps; by default those of ``stem`` and ``blocks``.

    Attributes:
        before_classifier: what is done with the pooled features: nothing, by default.
    """

    stem: nn.Module
    blocks: nn.Sequential

    def add_classifier(self, channels: int, classes: int) -> None:
        """Ends the net, once it has all its other parts: the order of parts is that of their first values' draws."""
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.before_classifier: nn.Module = nn.Identity()
        self.classifier = nn.Linear(channels, classes)

    def maps(self, images: Tensor) -> Tensor:
        """The last maps (N, channels, h, w) of images (N, 3, H, W)."""
        return self.blocks(self.stem(images))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, classes) of images (N, 3, H, W): 32 x 32 for CIFAR, usually 224 x 224 for ImageNet."""
        return self.classifier(self.before_classifier(self.pool(self.maps(images)).flatten(1)))


class ResidualNet(Classifier):
    """A stem, and blocks that end in a ReLU.

    Args:
        stem: from images to the first maps.
        blocks: what follows.
        channels: of the last block's output.
        classes: number of classes.
    """

    def __init__(self, stem: nn.Module, blocks: nn.Sequential, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = blocks
        self.add_classifier(channels, classes)
        init_convs(self)


class PreActivationNet(Classifier):
    """A 3x3 convolution, blocks that begin with BatchNorm and ReLU, and a last BatchNorm and ReLU.

    Args:
        conv: from images to the first maps.
        blocks: what follows.
        channels: of the last block's output.
        classes: number of classes.
    """

    def __init__(self, conv: nn.Module, blocks: nn.Sequential, channels: int, classes: int) -> None:
        super().__init__()
        self.conv = conv
        self.blocks = blocks
        self.bn = nn.BatchNorm2d(channels)
        self.add_classifier(channels, classes)
        init_convs(self)

    def maps(self, images: Tensor) -> Tensor:
        """See `Classifier`."""
        return torch.relu(self.bn(self.blocks(self.conv(images))))
