"""Counts parameters and multiply-adds of any torch module, without computing anything.

The net is built and run on torch's ``meta`` device: shapes only, no memory and no arithmetic. Papers count
differently, so what counts is a parameter, the convention: a table from module type to rule. Only modules are
counted, not the functional calls between them (additions, activations, attention products).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Rule = Callable[[nn.Module, Tensor, Tensor], int]
Convention = Mapping[type[nn.Module], Rule]


@dataclass(frozen=True)
class Cost:
    """Number of parameters, and of multiply-adds (one multiply-add counts once) for one input."""

    params: int
    macs: int


def conv_macs(module: nn.Module, _input: Tensor, output: Tensor) -> int:
    """Kernel size x input channels per group, for every output element."""
    return output.numel() * math.prod(module.get_parameter("weight").shape[1:])


def linear_macs(_module: nn.Module, input: Tensor, output: Tensor) -> int:
    """Input features, for every output element."""
    return output.numel() * input.shape[-1]


def input_elements(_module: nn.Module, input: Tensor, _output: Tensor) -> int:
    """One for every input element."""
    return input.numel()


CONV_AND_LINEAR: Convention = {
    nn.Conv1d: conv_macs,
    nn.Conv2d: conv_macs,
    nn.Conv3d: conv_macs,
    nn.Linear: linear_macs,
}
"""Convolutions and linear layers; biases, BatchNorm, activations and pooling are free."""

WITH_AVERAGE_POOLS: Convention = {
    **CONV_AND_LINEAR,
    nn.AvgPool2d: input_elements,
    nn.AdaptiveAvgPool2d: input_elements,
}
"""Also the input elements of average-pool modules, as the counter of "Pruning from Scratch" does (3102332)."""


def cost(build: Callable[[], nn.Module], input_size: Sequence[int], convention: Convention = CONV_AND_LINEAR) -> Cost:
    """The cost of a net for one input.

    Args:
        build: makes the net; called with ``meta`` as the default device.
        input_size: shape of one input without the batch axis, such as ``(3, 32, 32)``.
        convention: which modules count, and how; a subclass counts like its nearest listed parent.
    """
    with torch.device("meta"):
        net = build().eval()
        inputs = torch.empty(1, *input_size)
    macs = 0

    def counted_by(rule: Rule) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            nonlocal macs
            macs += rule(module, args[0], output)

        return hook

    for module in net.modules():
        rule = next((convention[kind] for kind in type(module).__mro__ if kind in convention), None)
        if rule is not None:
            module.register_forward_hook(counted_by(rule))
    with torch.no_grad():
        net(inputs)
    return Cost(sum(parameter.numel() for parameter in net.parameters()), macs)
