"""Top-1 accuracy and cross-entropy of a classifier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.training.batches import normalise
from tenfold.training.compute import Compute


@dataclass(frozen=True)
class Evaluation:
    """How a classifier did on ``n`` images: ``correct`` of them by its largest logit; mean cross-entropy in nats."""

    correct: int
    n: int
    cross_entropy: float

    @property
    def accuracy(self) -> float:
        """The share of images classified correctly, in [0, 1]."""
        return self.correct / self.n


def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    compute: Compute,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int = 500,
) -> Evaluation:
    """Measures a classifier in eval mode, and leaves every part of it in the mode it was in.

    Args:
        model: from float (B, 3, H, W) to logits (B, K).
        images: uint8 (N, 3, H, W), not augmented.
        labels: int64 (N,).
        compute: device and precision.
        mean: of each channel, for pixels in [0, 1].
        std: of each channel.
        batch_size: images per forward pass.
    """
    batches = (
        (some.permute(0, 2, 3, 1).contiguous(), wanted)
        for some, wanted in zip(images.split(batch_size), labels.split(batch_size), strict=True)
    )
    return evaluate_batches(model, batches, compute, mean=mean, std=std)


def evaluate_batches(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    compute: Compute,
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> Evaluation:
    """As `evaluate`, on batches of pixels, uint8 (B, H, W, 3), and labels, int64 (B,)."""
    correct, n, cross_entropy = 0, 0, 0.0
    with in_eval_mode(model), torch.no_grad(), compute.autocast():
        for pixels, labels in batches:
            wanted = labels.to(compute.device)
            logits = model(normalise(pixels.to(compute.device), mean, std)).float()
            correct += int((logits.argmax(1) == wanted).sum())
            cross_entropy += float(F.cross_entropy(logits.double(), wanted, reduction="sum"))
            n += len(labels)
    return Evaluation(correct, n, cross_entropy / n)


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Puts a net into eval mode for the block, and each of its parts back into its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
