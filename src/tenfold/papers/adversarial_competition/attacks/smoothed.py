"""toshi_k's attack, fifth of the non-targeted ones: the basic iterative method with a smoothed gradient.

A step's sign is that of the gradient behind a Gaussian of 7 x 7, so neighbouring pixels move together; such changes
go over to other nets.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.papers.adversarial_competition.method import Objective, clip, cross_entropy, input_gradient


def gaussian(size: int = 7, reach: float = 2.0) -> Tensor:
    """Weights (size, size) of sum 1: [choice] the normal density at even places up to ``reach`` standard deviations."""
    places = torch.linspace(-reach, reach, size)
    line = torch.exp(-(places**2) / 2)
    weights = torch.outer(line, line)
    return weights / weights.sum()


def smooth(gradient: Tensor, weights: Tensor) -> Tensor:
    """Each channel convolved with the weights, zero beyond the border: (B, C, H, W) -> the same."""
    channels = gradient.shape[1]
    kernel = weights.to(gradient).expand(channels, 1, *weights.shape)
    return F.conv2d(gradient, kernel, padding=weights.shape[0] // 2, groups=channels)


def smoothed(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    steps: int = 15,
    alpha: float | None = None,
    size: int = 7,
    reach: float = 2.0,
    objective: Objective = cross_entropy,
) -> Tensor:
    """``x <- Clip(x + alpha sign(G * grad J(x, y)))``.

    Settings:
        steps: 15 in the team's code.
        alpha: size of a step; [choice] eps / steps if left out.
        size: of the Gaussian G, odd.
        reach: of G, in standard deviations.
        objective: what is climbed.
    """
    alpha = eps / steps if alpha is None else alpha
    weights, crafted = gaussian(size, reach), images
    for _ in range(steps):
        gradient = smooth(input_gradient(objective, nets, crafted, labels), weights)
        crafted = clip(crafted + alpha * gradient.sign(), images, eps)
    return crafted
