"""One loss for several nets: logits, losses or probabilities fused (Sec. 5.2, 5.5), and weights that change on the way.

For a target y, the loss of the mean probability is at most the mean of losses (Jensen), so descending the latter (the
"loss ensemble") asks every net for the target, where a single sure net satisfies the former.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.papers.adversarial_competition import method
from tenfold.papers.adversarial_competition.method import Objective


def of_logits(
    nets: Sequence[nn.Module], images: Tensor, labels: Tensor, weights: Sequence[float] | None = None
) -> Tensor:
    """``J(sum_k w_k f_k(x), y)`` for each image, (B,); equal weights 1/K if left out."""
    logits = torch.stack([weight * net(images) for net, weight in zip(nets, _weights(nets, weights), strict=True)])
    return F.cross_entropy(logits.sum(0), labels, reduction="none")


def of_losses(
    nets: Sequence[nn.Module], images: Tensor, labels: Tensor, weights: Sequence[float] | None = None
) -> Tensor:
    """``sum_k w_k J(f_k(x), y)`` for each image, (B,)."""
    pairs = zip(nets, _weights(nets, weights), strict=True)
    losses = [weight * F.cross_entropy(net(images), labels, reduction="none") for net, weight in pairs]
    return torch.stack(losses).sum(0)


def of_probabilities(
    nets: Sequence[nn.Module], images: Tensor, labels: Tensor, weights: Sequence[float] | None = None
) -> Tensor:
    """``-log sum_k w_k p_k(y | x)`` for each image, (B,)."""
    pairs = zip(nets, _weights(nets, weights), strict=True)
    logs = torch.stack([F.log_softmax(net(images), 1) + math.log(weight) for net, weight in pairs])
    return F.nll_loss(logs.logsumexp(0), labels, reduction="none")


def dynamic(nets: Sequence[nn.Module], images: Tensor, labels: Tensor, enough: float = 0.05) -> Tensor:
    """``1/K sum_k delta_k J(f_k(x), y)`` for each image, (B,): nets whose loss is small enough drop out (Sec. 5.5).

    Settings:
        enough: delta_k is 0 for an image where the loss of net k is below this; [choice] 0.05, a probability of 95 %.
    """
    losses = torch.stack([F.cross_entropy(net(images), labels, reduction="none") for net in nets])
    return (losses * (losses.detach() >= enough)).mean(0)


FUSIONS = {"logits": of_logits, "losses": of_losses, "probabilities": of_probabilities}


def fused(fusion: str, weights: Sequence[float] | None = None) -> Objective:
    """The objective of ``logits``, ``losses`` or ``probabilities``."""
    return partial(FUSIONS[fusion], weights=weights)


def bim(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    fusion: str = "losses",
    weights: Sequence[float] | None = None,
    **settings: Any,
) -> Tensor:
    """`method.bim`, with its settings, on a fused loss."""
    return method.bim(nets, images, labels, eps, generator, objective=fused(fusion, weights), **settings)


def mi_fgsm(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    fusion: str = "logits",
    weights: Sequence[float] | None = None,
    **settings: Any,
) -> Tensor:
    """`method.mi_fgsm`, with its settings, on a fused loss; on logits it is the attack that won."""
    return method.mi_fgsm(nets, images, labels, eps, generator, objective=fused(fusion, weights), **settings)


def tsail_targeted(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    weights: Sequence[float] | None = None,
    **settings: Any,
) -> Tensor:
    """`method.tsail_targeted`, with its settings, on weighted logits: the winners' targeted attack."""
    objective = fused("logits", weights)
    return method.tsail_targeted(nets, images, labels, eps, generator, objective=objective, **settings)


def fat_fingers(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    enough: float = 0.05,
    **settings: Any,
) -> Tensor:
    """Targeted `method.bim` on `dynamic`. Eq. 22 prints a plus before alpha; the loss of a target is descended."""
    objective = partial(dynamic, enough=enough)
    return method.bim(nets, images, labels, eps, generator, targeted=True, objective=objective, **settings)


def _weights(nets: Sequence[nn.Module], weights: Sequence[float] | None) -> Sequence[float]:
    return [1 / len(nets)] * len(nets) if weights is None else weights
