"""Nets as they are: the baselines among defences, and what all others stand in front of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def plain(nets: Sequence[nn.Module], images: Tensor, generator: torch.Generator) -> Tensor:
    """Log of the nets' mean softmax, (B, K)."""
    return torch.stack([F.log_softmax(net(images), 1) for net in nets]).logsumexp(0)
