"""Parts that the net families share: a conv block, initialisation, and what makes a net prunable."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.errors import UserError


class PrunableNet(nn.Module):
    """A net whose channel counts can be chosen layer by layer.

    Attributes:
        prunable: names of the BatchNorm layers whose channels may be pruned, in the order of the forward pass.
    """

    prunable: list[str]

    @property
    def widths(self) -> list[int]:
        """The number of channels of each prunable layer."""
        return [self.get_parameter(f"{name}.weight").numel() for name in self.prunable]


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution without bias; one of few input channels takes every ``stride``-th position itself.

    On CPUs, the weight gradient of a strided 1x1 convolution of channels_last maps writes past its workspace in oneDNN
    3.10 (torch 2.11) if the maps have fewer channels than a block of its kernel: 8 with AVX2 (fp32), 16 with AVX-512
    (fp32 and bf16; there on large maps, or in several threads): https://github.com/uxlfoundation/oneDNN/issues/6035
    The kernel for stride 1 does not, and gives the same sums.
    """

    SAFE_CHANNELS = 16

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up."""
        down, across = self.stride
        if input.is_cpu and self.in_channels < self.SAFE_CHANNELS and (down, across) != (1, 1):
            return F.conv2d(input[:, :, ::down, ::across], self.weight, self.bias)  # BatchNorm may be folded in
        return super().forward(input)


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution without bias (map size kept at stride 1), BatchNorm and, unless None, an in-place activation."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if kernel == 1 and stride > 1 and groups == 1:
        layers["conv"] = PointwiseConv2d(in_channels, out_channels, stride)
    else:
        padding = kernel // 2
        layers["conv"] = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)
    layers["bn"] = nn.BatchNorm2d(out_channels)
    if activation is not None:
        layers["act"] = activation(inplace=True)
    return nn.Sequential(layers)


def init_convs(net: nn.Module) -> None:
    """Draws every convolution from N(0, 2 / (k * k * C_out)), depthwise ones too (He et al. 2015, fan-out)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def init_linears(net: nn.Module) -> None:
    """Draws every linear weight from N(0, 0.01^2) and sets the biases to 0."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


def chosen_widths(name: str, widths: Sequence[int] | None, standard: Sequence[int]) -> list[int]:
    """The explicit widths if there are any, else the standard ones.

    Raises:
        UserError: not one positive whole number per prunable layer.
    """
    if widths is None:
        widths = standard
    if len(widths) != len(standard):
        raise UserError(f"net {name}: {len(widths)} widths given, {len(standard)} needed: one for each prunable layer")
    for index, width in enumerate(widths):
        if not isinstance(width, int) or width < 1:  # type: ignore[redundant-expr]  # comes from YAML
            raise UserError(f"net {name}: widths[{index}] is {width!r}, it must be a whole number of at least 1")
    return list(widths)
