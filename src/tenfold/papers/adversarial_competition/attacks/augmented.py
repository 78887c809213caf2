"""Sangxia's attacks, second in both tracks (Sec. 5.4): gradients at randomly changed copies of the images.

Each step averages the nets' gradients at copies that a small random projective map T_theta and Gaussian noise have
changed, so that the result does not depend on the place of single pixels, and goes over to other nets:
``x <- Clip(x + alpha_i sign(mean_k grad J(f_k(T_theta(x + noise)), y)))``. To a target nothing is changed: it would
destroy the hits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.papers.adversarial_competition.method import clip, input_gradient
from tenfold.papers.adversarial_competition.warp import projective, warp


def augmented(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    steps: int = 19,
    sizes: Sequence[float] = (1.0, 0.5, 0.2, 0.1),
    noise: Sequence[float] = (0.2, 0.04),
    scale: float = 0.02,
    draws: int = 1,
    subset: int | None = None,
) -> Tensor:
    """The non-targeted attack, with the values of the team's code.

    Settings:
        steps: how many.
        sizes: of steps, as shares of eps; [choice] each for as many steps, as far as that goes.
        noise: standard deviation of the noise in the first and in the last step, as a share of eps.
        scale: how far the eight parameters of T_theta may lie from the identity's.
        draws: changed copies for each net in a step; 1 or 2.
        subset: nets in a step, drawn anew; all if left out.
    """

    def objective(nets: Sequence[nn.Module], images: Tensor, labels: Tensor) -> Tensor:
        losses = []
        for net in nets:
            for _ in range(draws):
                noisy = images + deviation * torch.randn(images.shape, generator=generator, device=images.device)
                changed = warp(noisy, projective(len(images), scale, generator))
                losses.append(F.cross_entropy(net(changed), labels, reduction="none"))
        return torch.stack(losses).mean(0)

    crafted = images
    for step in range(steps):
        alpha = eps * sizes[step * len(sizes) // steps]
        deviation = eps * between(noise, step, steps)
        gradient = input_gradient(objective, chosen(nets, subset, generator), crafted, labels)
        crafted = clip(crafted + alpha * gradient.sign(), images, eps)
    return crafted


def plain_target(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    steps: int = 20,
    alphas: Sequence[float] = (1.8 / 255, 0.18 / 255),
    subset: int | None = None,
) -> Tensor:
    """The targeted attack: no changed copies, steps that shrink.

    Settings:
        steps: how many; [choice] 20, as the baseline.
        alphas: size of the first and of the last step; [choice] falling evenly.
        subset: nets in a step, drawn anew; all if left out.
    """

    def objective(nets: Sequence[nn.Module], images: Tensor, labels: Tensor) -> Tensor:
        return torch.stack([F.cross_entropy(net(images), labels, reduction="none") for net in nets]).mean(0)

    crafted = images
    for step in range(steps):
        gradient = input_gradient(objective, chosen(nets, subset, generator), crafted, labels)
        crafted = clip(crafted - between(alphas, step, steps) * gradient.sign(), images, eps)
    return crafted


def between(ends: Sequence[float], step: int, steps: int) -> float:
    """The value of a step (from 0) where values go evenly from the first of two ends to the last."""
    return ends[0] + (ends[1] - ends[0]) * step / max(steps - 1, 1)


def chosen(nets: Sequence[nn.Module], subset: int | None, generator: torch.Generator) -> list[nn.Module]:
    """A random choice of ``subset`` nets; all of them if that is None."""
    if subset is None:
        return list(nets)
    order = torch.randperm(len(nets), generator=generator, device=generator.device)
    return [nets[index] for index in order[:subset].tolist()]
