"""Attacks that look at no net: images as they are, and random noise. What any other attack has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def no_op(nets: Sequence[nn.Module], images: Tensor, labels: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    """The images as they are."""
    return images


def noise(nets: Sequence[nn.Module], images: Tensor, labels: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    """Plus or minus eps in each pixel, at random: ``x + eps sign(N(0, 1))``."""
    draws = torch.randn(images.shape, generator=generator, device=images.device)
    return (images + eps * draws.sign()).clamp(0, 1)
