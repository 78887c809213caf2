"""erko's defence, fourth (Sec. 5.6): a median of 2 x 2 pixels in front of adversarially trained nets.

A filter so small costs clean images little, and removes changes of single pixels. Nets that were not trained
adversarially gain next to nothing by it (Tables 5 and 6).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GREY = 0.5  # 0 on the scale [-1, 1] that the contest's nets have


def median2x2(images: Tensor, border: float = GREY) -> Tensor:
    """The second smallest of each pixel and its neighbours to the right, below and between: (B, C, H, W) -> the same.

    Of four values the team's code takes the lower middle one; beyond the right and lower border lies ``border``.
    Gradients pass: each goes to the pixel that was chosen.
    """
    padded = F.pad(images, (0, 1, 0, 1), value=border)
    a, b = padded[:, :, :-1, :-1], padded[:, :, :-1, 1:]
    c, d = padded[:, :, 1:, :-1], padded[:, :, 1:, 1:]
    larger_minimum = torch.maximum(torch.minimum(a, b), torch.minimum(c, d))
    smaller_maximum = torch.minimum(torch.maximum(a, b), torch.maximum(c, d))
    return torch.minimum(larger_minimum, smaller_maximum)


def median(nets: Sequence[nn.Module], images: Tensor, generator: torch.Generator) -> Tensor:
    """Log of the nets' summed softmax behind the filter, (B, K)."""
    filtered = median2x2(images)
    return torch.stack([F.log_softmax(net(filtered), 1) for net in nets]).logsumexp(0)
