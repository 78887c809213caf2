"""Puts attention into a plain residual net: SGE and what the paper compares it with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from tenfold.attention.bottleneck_attention import BottleneckAttention
from tenfold.attention.convolutional_block import ConvolutionalBlockAttention
from tenfold.attention.global_context import GlobalContext
from tenfold.attention.selective_branches import SelectiveBranches
from tenfold.attention.squeeze_excitation import SqueezeExcitation
from tenfold.errors import UserError
from tenfold.launcher import Cfg
from tenfold.nets import build as families
from tenfold.nets.layers import init_convs
from tenfold.nets.resnet import Bottleneck
from tenfold.papers.sge.fast import FastSpatialGroupEnhance

# Behind the last BatchNorm of each residual branch, before the shortcut is added (official code at 2864528).
ON_BRANCHES: dict[str, Callable[..., nn.Module]] = {
    "se": SqueezeExcitation,
    "cbam": ConvolutionalBlockAttention,
    "gc": GlobalContext,
    "sge": lambda channels, **options: enhancement(channels, FastSpatialGroupEnhance(**options)),
}
KINDS = (*ON_BRANCHES, "bam", "sk")


def build(net: Cfg) -> nn.Module:
    """A plain net as `tenfold.nets.build` makes it, and into it, if it has one, its ``attention``.

    The plain part is drawn first, so that nets of equal seeds begin with equal weights there.

    Args:
        net: what the family takes, and ``attention``: ``kind`` (one of ``KINDS``) and the options of its module.
    """
    options = {key: value for key, value in net.items() if key != "attention"}
    model = families.build(options)
    if net.get("attention"):
        insert(model, **net["attention"])
    return model


def insert(model: nn.Module, kind: str, **options: Any) -> None:
    """Puts attention of one kind into all blocks of a residual net, or, for BAM, between its stages.

    Args:
        model: a net with ``blocks``, a sequence of `tenfold.nets.resnet`'s blocks.
        kind: one of ``KINDS``.
        options: of the module.

    Raises:
        UserError: an unknown kind.
    """
    blocks = model.get_submodule("blocks")
    assert isinstance(blocks, nn.Sequential)
    if kind in ON_BRANCHES:
        for block in blocks:
            branch_end(block).add_module(
                "attention", with_drawn_convs(ON_BRANCHES[kind](channels_of(block), **options))
            )
    elif kind == "bam":
        for end in stage_ends(model)[:-1]:
            attention = with_drawn_convs(BottleneckAttention(channels_of(blocks[end]), **options))
            blocks[end] = nn.Sequential(blocks[end], attention)
    elif kind == "sk":
        for block in blocks:
            # [choice] In a basic block, which the official code leaves alone, the first of the two 3x3 convolutions.
            name = "conv2" if isinstance(block, Bottleneck) else "conv1"
            conv = block.get_submodule(name).get_submodule("conv")
            assert isinstance(conv, nn.Conv2d)
            branches = SelectiveBranches(conv.in_channels, conv.out_channels, conv.stride[0], **options)
            setattr(block, name, with_drawn_convs(branches))
    else:
        raise UserError(f"net: {kind!r} is no kind of attention; allowed: {', '.join(KINDS)}")


def enhancement(channels: int, module: FastSpatialGroupEnhance) -> nn.Module:
    """The module, whose groups divide the channels.

    Raises:
        UserError: they do not.
    """
    if channels % module.groups:
        raise UserError(f"attention: {channels} channels do not divide into {module.groups} groups; choose a divisor "
                        f"(config/papers/sge.yaml)")  # fmt: skip
    return module


def stage_ends(model: nn.Module) -> list[int]:
    """The index of the last block of each stage: the next one has other channels, or there is none."""
    channels = [channels_of(block) for block in model.get_submodule("blocks").children()]
    return [index for index, own in enumerate(channels) if channels[index + 1 : index + 2] != [own]]


def branch_end(block: nn.Module) -> nn.Module:
    """The last convolution of a block's residual branch, with its BatchNorm."""
    return block.get_submodule("conv3" if isinstance(block, Bottleneck) else "conv2")


def channels_of(block: nn.Module) -> int:
    """The channels that a block gives."""
    bn = branch_end(block).get_submodule("bn")
    assert isinstance(bn, nn.BatchNorm2d)
    return bn.num_features


def with_drawn_convs(module: nn.Module) -> nn.Module:
    """The module, its convolutions drawn as those of the net around it."""
    init_convs(module)
    return module
