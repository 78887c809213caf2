"""Nets as attacks and defences take them: images in [0, 1] in, class scores out, no gradients of parameters.

`for_crafting` is where speed comes from: half of an attack's time goes into BatchNorm, precision and memory layout.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Normalised(nn.Module):
    """A net of normalised images, as one of images in [0, 1].

    Args:
        net: takes ``(images - mean) / std``.
        mean: of each channel, on the scale [0, 1].
        std: of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> what the net gives."""
        return self.net((images - self.mean) / self.std)


class InPrecision(nn.Module):
    """A net that computes in ``precision`` (fp32 or bf16) and gives its scores in float32."""

    def __init__(self, net: nn.Module, precision: str) -> None:
        super().__init__()
        self.net = net
        self.is_bf16 = precision == "bf16"

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> what the net gives, in float32."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.is_bf16):
            return self.net(images).float()


def for_crafting(net: nn.Module, precision: str = "fp32") -> nn.Module:
    """A frozen copy of a net for attacks and defences: the same scores up to rounding, in less time.

    In eval mode, without gradients of parameters; BatchNorm is folded into the convolution before it where nothing else
    reads that, and kernels lie in channels_last order.

    Args:
        net: takes images in [0, 1]; it is left as it is.
        precision: fp32, or bf16 where the machine has it.
    """
    frozen = InPrecision(fold_batchnorm(copy.deepcopy(net).eval()), precision).eval().requires_grad_(False)
    return frozen.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def fold_batchnorm(net: nn.Module) -> nn.Module:
    """Folds each BatchNorm of a net in eval mode, in place, into the convolution that it alone reads.

    A net whose forward pass branches on values cannot be traced and stays as it is.
    """
    try:
        graph = _Tracer().trace(net)
    except fx.proxy.TraceError:
        return net
    calls = [node for node in graph.nodes if node.op == "call_module"]
    names = [node.target for node in calls]
    for node in calls:
        before = _before(node, net)
        if before is None or names.count(node.target) != 1 or names.count(before.target) != 1:
            continue
        conv, batchnorm = (net.get_submodule(str(each.target)) for each in (before, node))
        if isinstance(conv, nn.Conv2d) and isinstance(batchnorm, nn.BatchNorm2d):
            net.set_submodule(str(before.target), fuse_conv_bn_eval(conv, batchnorm))
            net.set_submodule(str(node.target), nn.Identity())
    return net


class _Tracer(fx.Tracer):
    """Sees convolutions and BatchNorms as wholes, those of subclasses too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is not looked into."""
        return isinstance(m, nn.Conv2d | nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def _before(node: fx.Node, net: nn.Module) -> fx.Node | None:
    """The module whose output a module is alone to read, `nn.Identity` passed over."""
    source: Any = node.args[0]
    while isinstance(source, fx.Node) and len(source.users) == 1 and source.op == "call_module":
        if not isinstance(net.get_submodule(str(source.target)), nn.Identity):
            return source
        source = source.args[0]
    return None


def predicted_labels(nets: Sequence[nn.Module], images: Tensor) -> Tensor:
    """What nets believe together: argmax of the summed softmax, int64 (B,). Attacks without true labels leave these."""
    with torch.no_grad():
        return torch.stack([F.softmax(net(images), 1) for net in nets]).sum(0).argmax(1)


class Defended(nn.Module):
    """A defence as a net, for attacks through it: gradients pass its transformations, new draws are made at each call.

    Args:
        defend: a defence; its scores serve as logits.
        nets: the defence's nets.
        generator: of its draws, on the images' device.
        settings: of the defence; more ``draws`` bring the gradient nearer to that of the expectation.
    """

    def __init__(
        self, defend: Callable[..., Tensor], nets: Sequence[nn.Module], generator: torch.Generator, **settings: Any
    ) -> None:
        super().__init__()
        self.defend, self.generator, self.settings = defend, generator, settings
        self.nets = nn.ModuleList(nets)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> scores (B, K)."""
        return self.defend(list(self.nets), images, self.generator, **self.settings)


class ConvUnit(nn.Sequential):
    """A 3x3 convolution, BatchNorm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """From images to maps of their size: what HGD's denoiser (DUNET) and our trained attacker share (Sec. 5.1, 5.7).

    Args:
        widths: channels of the encoder's levels; each level but the first begins with stride 2.
        units: `ConvUnit` in each level of the encoder.
        up_widths: channels of the decoder's levels, the finest first: one level fewer than the encoder has.
        up_units: `ConvUnit` in each of those.
        in_channels: of the images.
        out_channels: of what the last 1x1 convolution, without bias, gives.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 256, 256),
        units: Sequence[int] = (2, 3, 3, 3, 3),
        up_widths: Sequence[int] = (64, 128, 256, 256),
        up_units: Sequence[int] = (2, 3, 3, 3),
        in_channels: int = 3,
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels = in_channels
        for level, (width, count) in enumerate(zip(widths, units, strict=True)):
            self.down.append(_level(channels, width, count, stride=2 if level else 1))
            channels = width
        for width, count, beside in reversed(list(zip(up_widths, up_units, widths[:-1], strict=True))):
            self.up.append(_level(channels + beside, width, count))
            channels = width
        self.last = nn.Conv2d(channels, out_channels, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        maps, beside = images, []
        for level in self.down:
            maps = level(maps)
            beside.append(maps)
        for level, finer in zip(self.up, reversed(beside[:-1]), strict=True):
            larger = F.interpolate(maps, finer.shape[2:], mode="bilinear", align_corners=False)
            maps = level(torch.cat([larger, finer], 1))
        return self.last(maps)


def _level(in_channels: int, out_channels: int, count: int, stride: int = 1) -> nn.Sequential:
    first = ConvUnit(in_channels, out_channels, stride)
    return nn.Sequential(first, *(ConvUnit(out_channels, out_channels) for _ in range(count - 1)))
