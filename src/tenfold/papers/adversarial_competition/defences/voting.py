"""Anil Thomas's defence, third (its code and posters; the report has no section on it): nets vote on changed images.

Each vote is a net, a change of the images and a weight; the weighted logits are summed. The submission gave most weight
to the ensemble-adversarially trained net behind small affine maps and noise, the rest to others and to JPEG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.papers.adversarial_competition.defences.jpeg import compress
from tenfold.papers.adversarial_competition.warp import affine, warp

NOISE = 2 / 255  # standard deviation; 4/255 on the scale [-1, 1]


def plain(images: Tensor, generator: torch.Generator) -> Tensor:
    """The images as they are."""
    return images


def rotated(images: Tensor, generator: torch.Generator) -> Tensor:
    """Noise, a rotation of 2 to 3 degrees either way and a zoom of 1.05 to 1.1."""
    noisy = images + NOISE * torch.randn(images.shape, generator=generator, device=images.device)
    return warp(noisy, affine(len(images), generator, degrees=(2, 3), zoom=(1.05, 1.1)))


def sheared(images: Tensor, generator: torch.Generator) -> Tensor:
    """A small shear, shift, zoom and rotation; [choice] up to 0.05, 2 %, 1.05 and 3 degrees."""
    return warp(images, affine(len(images), generator, degrees=(0, 3), zoom=(1, 1.05), shear=0.05, shift=0.02))


def compressed(images: Tensor, generator: torch.Generator) -> Tensor:
    """JPEG of quality 50."""
    return compress(images, 50)


CHANGES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "plain": plain,
    "rotated": rotated,
    "sheared": sheared,
    "compressed": compressed,
}
# The first two of the submission's nets; VGG-16 (0.1) and ResNet-152 (0.05) voted, too, and auxiliary heads with 0.8.
VOTES = (
    {"net": 0, "change": "sheared", "weight": 0.7},
    {"net": 0, "change": "compressed", "weight": 0.1},
    {"net": 1, "change": "rotated", "weight": 0.2},
    {"net": 1, "change": "compressed", "weight": 0.1},
)


def voting(
    nets: Sequence[nn.Module],
    images: Tensor,
    generator: torch.Generator,
    *,
    votes: Sequence[Mapping[str, Any]] = VOTES,
    draws: int = 1,
) -> Tensor:
    """The weighted sum of logits, (B, K).

    Settings:
        votes: of each the ``net``'s place, the ``change`` (one of ``CHANGES``) and the ``weight``.
        draws: how often all vote; the mean counts.
    """
    scores = [
        vote["weight"] * nets[vote["net"]](CHANGES[vote["change"]](images, generator))
        for _ in range(draws)
        for vote in votes
    ]
    return torch.stack(scores).sum(0) / draws
