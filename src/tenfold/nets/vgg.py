"""VGG with BatchNorm for CIFAR (32 x 32), every conv width free.

As used by "Pruning from Scratch" (official code at 3102332) and by the pruning literature before it:
3x3 convolutions without bias, five stages, average pooling of the last 2x2 map and one linear layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.nets.layers import PrunableNet, chosen_widths, conv_bn, init_convs, init_linears

STAGES = {  # convolutions per stage; the width doubles from stage to stage, up to eight times the first
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
NAMES = tuple(STAGES)
MULTIPLES = (1, 2, 4, 8, 8)


class CifarVGG(PrunableNet):
    """VGG for 32 x 32 images; a max-pool stands before each stage but the first.

    Args:
        convs: convolutions per stage.
        widths: channels of each convolution, all of them prunable.
        classes: number of classes.
    """

    def __init__(self, convs: Sequence[int], widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential()
        channels, remaining = 3, iter(widths)
        for stage, count in enumerate(convs):
            if stage:
                self.features.append(nn.MaxPool2d(2))
            for _ in range(count):
                width = next(remaining)
                self.features.append(conv_bn(channels, width, kernel=3))
                channels = width
        self.classifier = nn.Linear(channels, classes)
        self.prunable = [name for name, module in self.named_modules() if isinstance(module, nn.BatchNorm2d)]

        init_convs(self)
        init_linears(self)
        for name in self.prunable:
            nn.init.constant_(self.get_parameter(f"{name}.weight"), 0.5)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, classes) of images (N, 3, 32, 32)."""
        maps = self.features(images)
        return self.classifier(F.adaptive_avg_pool2d(maps, 1).flatten(1))


def build(name: str, *, width: int = 64, widths: Sequence[int] | None = None, classes: int = 10) -> CifarVGG:
    """One of ``NAMES``: with first width ``width`` (64 is standard), or with an explicit width per convolution."""
    convs = STAGES[name]
    standard = [width * multiple for multiple, count in zip(MULTIPLES, convs, strict=True) for _ in range(count)]
    return CifarVGG(convs, chosen_widths(name, widths, standard), classes)
