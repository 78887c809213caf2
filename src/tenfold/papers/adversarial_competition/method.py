"""Attacks that follow the sign of a gradient: the contest's baselines, and MI-FGSM, which won both tracks (Sec. 5.2).

Every attack of this package takes ``(nets, images, labels, eps, generator)`` and settings of its own: nets that give
logits (B, K) of images (B, 3, H, W) in [0, 1]; labels, int64 (B,), to leave, or to reach where it is targeted; eps, the
radius of the L-inf ball on the same scale. It gives images in [0, 1] within the ball. Here, what is climbed, or
descended to a target, is an ``objective``: a loss of each image (B,), by default cross-entropy of the mean logits.

Claim K3 of the paper: 78.2 % of images and defences against 34.6 % (Table 2).
Ours at small (n = 3): score of tsail 0.656, of fgsm 0.548. Runtime: about 216 CPU-seconds at small (AVX-512 with bf16).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Objective = Callable[[Sequence[nn.Module], Tensor, Tensor], Tensor]


def cross_entropy(nets: Sequence[nn.Module], images: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of the mean logits for each image, (B,); the contest's targeted baselines smooth labels by 0.1."""
    logits = torch.stack([net(images) for net in nets]).mean(0)
    return F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)


def smoothed_cross_entropy(nets: Sequence[nn.Module], images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with labels smoothed by 0.1; the baselines' auxiliary heads (weight 0.4) are left out."""
    return cross_entropy(nets, images, labels, smoothing=0.1)


def input_gradient(objective: Objective, nets: Sequence[nn.Module], images: Tensor, labels: Tensor) -> Tensor:
    """The gradient of each image's objective with respect to the image, and of nothing else: (B, 3, H, W)."""
    leaf = images.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(objective(nets, leaf, labels).sum(), leaf)
    return gradient


def clip(crafted: Tensor, images: Tensor, eps: float) -> Tensor:
    """The nearest images in [0, 1] that differ from the originals by at most eps in each pixel."""
    return crafted.clamp((images - eps).clamp(min=0), (images + eps).clamp(max=1))


def per_image(values: Tensor, statistic: Callable[[Tensor], Tensor]) -> Tensor:
    """A statistic of each image, (B, 1, 1, 1), never 0, to divide by."""
    return statistic(values.flatten(1)).clamp(min=torch.finfo(values.dtype).tiny).view(-1, 1, 1, 1)


def l1_normalised(gradient: Tensor) -> Tensor:
    """Each image's gradient over its L1 norm. The winners' code divides by the mean size: signs are the same."""
    return gradient / per_image(gradient, lambda flat: flat.abs().sum(1))


def std_normalised(gradient: Tensor) -> Tensor:
    """Each image's gradient over its standard deviation."""
    return gradient / per_image(gradient, lambda flat: flat.std(1))


# One step ---------------------------------------------------------------------------------------------------------


def fgsm(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    objective: Objective = cross_entropy,
) -> Tensor:
    """Fast gradient sign: ``x + eps sign(grad J(x, y))``."""
    return clip(images + eps * input_gradient(objective, nets, images, labels).sign(), images, eps)


def step_target(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    objective: Objective = smoothed_cross_entropy,
) -> Tensor:
    """One step to a target: ``x - eps sign(grad J(x, y_target))``."""
    return clip(images - eps * input_gradient(objective, nets, images, labels).sign(), images, eps)


# Many steps -------------------------------------------------------------------------------------------------------


def bim(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    steps: int = 10,
    alpha: float | None = None,
    targeted: bool = False,
    objective: Objective = cross_entropy,
) -> Tensor:
    """The basic iterative method: ``x <- Clip(x + alpha sign(grad J(x, y)))``, minus where it is targeted.

    Settings:
        steps: T.
        alpha: size of a step; eps / T if left out.
        targeted: whether labels are to be reached.
        objective: what is climbed or descended.
    """
    alpha = _towards(targeted) * (eps / steps if alpha is None else alpha)
    crafted = images
    for _ in range(steps):
        crafted = clip(crafted + alpha * input_gradient(objective, nets, crafted, labels).sign(), images, eps)
    return crafted


def iterative_target(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    steps: int = 20,
    alpha: float = 1 / 255,
    objective: Objective = smoothed_cross_entropy,
) -> Tensor:
    """The contest's targeted baseline: steps of one grey level, 20 or 10 of them."""
    return bim(nets, images, labels, eps, generator, steps=steps, alpha=alpha, targeted=True, objective=objective)


def mi_fgsm(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    steps: int = 10,
    alpha: float | None = None,
    decay: float = 1.0,
    targeted: bool = False,
    objective: Objective = cross_entropy,
) -> Tensor:
    """Momentum (MI-FGSM): ``g <- mu g + grad / |grad|_1``, ``x <- Clip(x + alpha sign(g))``.

    Settings:
        steps: T.
        alpha: size of a step; eps / T if left out.
        decay: mu; 0 is the basic iterative method.
        targeted: whether labels are to be reached. The winners' targeted attack has steps of its own: `tsail_targeted`.
        objective: what is climbed or descended.
    """
    alpha = _towards(targeted) * (eps / steps if alpha is None else alpha)
    crafted, momentum = images, torch.zeros_like(images)
    for _ in range(steps):
        momentum = decay * momentum + l1_normalised(input_gradient(objective, nets, crafted, labels))
        crafted = clip(crafted + alpha * momentum.sign(), images, eps)
    return crafted


def tsail_targeted(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    steps: int | None = None,
    divisor: float | None = None,
    decay: float = 1.0,
    objective: Objective = cross_entropy,
) -> Tensor:
    """The winners' targeted rule: ``g <- mu g + grad / std(grad)``, ``x <- Clip(x - alpha Clip_[-2, 2](round(g)))``.

    As in their code, g is divided by its standard deviation again before it is rounded.

    Settings:
        steps: T; as in their code if left out: 40 below eps = 8/255, 20 from there on.
        divisor: alpha is eps over this; 28 below 8/255 and 12 from there on if left out.
        decay: mu.
        objective: what is descended.
    """
    is_small = eps < 7.5 / 255
    steps = steps or (40 if is_small else 20)
    alpha = eps / (divisor or (28 if is_small else 12))
    crafted, momentum = images, torch.zeros_like(images)
    for _ in range(steps):
        momentum = decay * momentum + std_normalised(input_gradient(objective, nets, crafted, labels))
        crafted = clip(crafted - alpha * std_normalised(momentum).round().clamp(-2, 2), images, eps)
    return crafted


def _towards(targeted: bool) -> int:
    return -1 if targeted else 1
