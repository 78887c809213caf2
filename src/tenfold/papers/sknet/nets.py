"""The nets of the paper: ResNeXt whose 3x3 convolutions may have several branches, summed or selected.

One class holds them all: a plain ResNeXt has one branch, an SKNet several and attention, and a SENet one branch and a
squeeze-and-excitation behind each unit (Table 1). Light nets are in `tenfold.papers.sknet.shufflenet`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.attention.squeeze_excitation import SqueezeExcitation
from tenfold.errors import UserError
from tenfold.nets.layers import conv_bn
from tenfold.nets.stages import Classifier
from tenfold.papers.sknet.method import Kernel, SelectiveKernel, SummedBranches

BN_MOMENTUM = 0.05  # Caffe's moving average fraction of 0.95 in the official prototxt
FUSE = ("sum", "attention")


def build_net(net: Mapping[str, Any]) -> nn.Module:
    """A net from its configuration.

    Args:
        net: ``kind`` is ``sknet`` (the default; then the options of ``ResNeXt``, its ``kernels`` as [size, dilation]
            or [size, dilation, groups], and ``groups`` for those that say none, 32 by default) or ``shufflenet``.

    Raises:
        UserError: an unknown kind or way to fuse, or groups that do not divide the width.
    """
    options = dict(net)
    match options.pop("kind", "sknet"):
        case "sknet":
            groups, kernels = options.pop("groups", 32), options.pop("kernels", [[3, 1]])
            return ResNeXt([Kernel(*[*kernel, groups][:3]) for kernel in kernels], **options)
        case "shufflenet":
            from tenfold.papers.sknet import shufflenet  # needs torchvision, which the others do not

            return shufflenet.build(**options)
        case unknown:
            raise UserError(f"net: {unknown!r} is no kind; allowed: sknet, shufflenet")


class Unit(nn.Module):
    """1x1 convolution, middle, 1x1 convolution, where asked for squeeze-and-excitation, and a shortcut.

    Args:
        in_channels: channels of the input.
        middle: from and to (N, width, H, W), with the unit's stride.
        width: channels of the middle.
        out_channels: channels of the output.
        stride: of middle and shortcut.
        excite: whether the output is weighed by squeeze-and-excitation.
    """

    def __init__(
        self, in_channels: int, middle: nn.Module, width: int, out_channels: int, stride: int, excite: bool
    ) -> None:
        super().__init__()
        self.reduce = conv_bn(in_channels, width, kernel=1)
        self.middle = middle
        self.expand = conv_bn(width, out_channels, kernel=1, activation=None)
        self.excite = SqueezeExcitation(out_channels) if excite else nn.Identity()
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv_bn(in_channels, out_channels, 1, stride, activation=None)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        return torch.relu(self.excite(self.expand(self.middle(self.reduce(maps)))) + self.shortcut(maps))


def stem_of(kind: str, channels: int) -> nn.Sequential:
    """The first layers: ``imagenet`` shrinks 4 times, ``cifar`` not at all, ``strided`` 2 times [choice].

    As in the official prototxt, the pooling has no padding and rounds up: 112 -> 56.
    """
    if kind == "imagenet":
        return nn.Sequential(conv_bn(3, channels, 7, stride=2), nn.MaxPool2d(3, stride=2, ceil_mode=True))
    return nn.Sequential(conv_bn(3, channels, 3, stride={"cifar": 1, "strided": 2}[kind]))


class ResNeXt(Classifier):
    """ResNeXt of any depth and width with one or more branches in its units; the defaults are ResNeXt-50 32x4d.

    Args:
        kernels: the branches of each unit.
        fuse: ``attention`` for selective kernels, ``sum`` for plain branches.
        depths: units in each stage.
        width: inner channels of the first stage; they double from stage to stage.
        outputs: channels behind the first stage, which double, too.
        stem: see ``stem_of``.
        stem_channels: channels behind the stem.
        excite: squeeze-and-excitation (reduction 16) in each unit.
        reduction: r of selective kernels.
        floor: their L.
        classes: number of classes.
    """

    def __init__(
        self,
        kernels: Sequence[Kernel],
        fuse: str = "sum",
        depths: Sequence[int] = (3, 4, 6, 3),
        width: int = 128,
        outputs: int = 256,
        stem: str = "imagenet",
        stem_channels: int = 64,
        excite: bool = False,
        reduction: int = 16,
        floor: int = 32,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        if fuse not in FUSE:
            raise UserError(f"net: fuse is {fuse!r}; allowed: {', '.join(FUSE)}")
        for kernel in kernels:
            if width % kernel.groups:
                raise UserError(f"net: width {width} is no multiple of {kernel.groups} groups; change one of them")

        def middle(channels: int, stride: int) -> nn.Module:
            if fuse == "attention":
                return SelectiveKernel(channels, kernels, reduction, floor, stride)
            return SummedBranches(channels, kernels, stride)

        self.stem = stem_of(stem, stem_channels)
        self.stages = nn.Sequential()
        channels = stem_channels
        for number, depth in enumerate(depths):
            inner, out_channels = width * 2**number, outputs * 2**number
            stage = nn.Sequential()
            for position in range(depth):
                stride = 2 if number > 0 and position == 0 else 1
                stage.append(Unit(channels, middle(inner, stride), inner, out_channels, stride, excite))
                channels = out_channels
            self.stages.append(stage)
        self.add_classifier(channels, classes)
        init_like_caffe(self)

    def maps(self, images: Tensor) -> Tensor:
        """See `Classifier`."""
        return self.stages(self.stem(images))


def init_like_caffe(net: ResNeXt) -> None:
    """First values as in the official prototxt: convolutions by fan-in (He et al. 2015), classifier from N(0, 0.01^2).

    Selective kernels draw their own linear layers; squeeze-and-excitation keeps torch's first values.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.momentum = BN_MOMENTUM
    nn.init.normal_(net.classifier.weight, std=0.01)
    nn.init.zeros_(net.classifier.bias)


def selective_kernels(net: nn.Module) -> dict[str, SelectiveKernel]:
    """The SK units of a net, named as in the paper: ``SK_3_4`` is the fourth unit of conv3_x, the second stage."""
    found = {}
    for name, module in net.named_modules():
        if isinstance(module, SelectiveKernel):
            _, stage, position, _ = name.split(".")
            found[f"SK_{int(stage) + 2}_{int(position) + 1}"] = module
    return found
