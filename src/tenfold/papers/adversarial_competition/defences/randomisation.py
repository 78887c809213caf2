"""iyswim's defence, second (Sec. 5.3): random resizing and padding in front of an adversarially trained net.

An attack is made for one size and place; of thousands of patterns, the defence draws some and sums what the net says.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GREY = 0.5  # 0 on the scale [-1, 1] that the contest's nets have


def patterns(smallest: int, largest: int, padded: int) -> int:
    """How many sizes and places there are: ``sum_r (padded - r + 1)^2`` for r from smallest to largest.

    3,794 for the submission (310 to 330 in 331), 12,528 for the range of the authors' paper (299 to 330 in 331).
    """
    return sum((padded - size + 1) ** 2 for size in range(smallest, largest + 1))


def resize_and_pad(images: Tensor, size: int, top: int, left: int, padded: int, flip: bool = False) -> Tensor:
    """Images resized to the nearest pixels, with grey around them: (B, 3, H, W) -> (B, 3, padded, padded)."""
    resized = F.interpolate(images, (size, size), mode="nearest")
    if flip:
        resized = resized.flip(3)
    return F.pad(resized, (left, padded - size - left, top, padded - size - top), value=GREY)


def randomised(
    nets: Sequence[nn.Module],
    images: Tensor,
    generator: torch.Generator,
    *,
    smallest: int = 310,
    largest: int = 330,
    padded: int = 331,
    draws: int = 30,
) -> Tensor:
    """Log of the summed softmax of nets and draws, (B, K). A draw is one size, place and mirroring for all images.

    Settings:
        smallest: least side of a resized image.
        largest: largest side.
        padded: side of what a net sees.
        draws: how many; 30 in the submission.
    """
    scores = []
    for _ in range(draws):
        size = _draw(smallest, largest, generator)
        top, left = (_draw(0, padded - size, generator) for _ in range(2))
        changed = resize_and_pad(images, size, top, left, padded, flip=bool(_draw(0, 1, generator)))
        scores += [F.log_softmax(net(changed), 1) for net in nets]
    return torch.stack(scores).logsumexp(0)


def _draw(least: int, most: int, generator: torch.Generator) -> int:
    return int(torch.randint(least, most + 1, (), generator=generator, device=generator.device))
