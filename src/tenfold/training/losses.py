"""Losses for the training loop that more than one paper uses."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.training.step import Loss


def classification(label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy of a classifier on batches ``(images, labels)``, with the batch's accuracy noted beside it."""

    def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        images, labels = batch
        logits = model(images).float()
        return {
            "loss": F.cross_entropy(logits, labels, label_smoothing=label_smoothing),
            "accuracy": top1(logits, labels),
        }

    return loss


def top1(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of rows whose largest logit is the label's: (B, K), (B,) -> ()."""
    return (logits.detach().argmax(1) == labels).float().mean()
