"""What a net says of images that are not augmented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.data.images import Images
from tenfold.measure.accuracy import in_eval_mode
from tenfold.training.batches import normalise
from tenfold.training.compute import Compute

BATCH = 500  # images in a forward pass without gradients


def predict(
    forward: Callable[[Tensor], Any],
    model: nn.Module,
    images: Images,
    compute: Compute,
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> list[Any]:
    """What ``forward`` gives for each batch of normalised images, float32 (B, 3, H, W), with ``model`` in eval mode."""
    outputs = []
    with in_eval_mode(model), torch.no_grad(), compute.autocast():
        for some in images.images.split(BATCH):
            pixels = some.to(compute.device).permute(0, 2, 3, 1).contiguous()
            outputs.append(forward(normalise(pixels, mean, std)))
    return outputs


def logits_of(
    model: nn.Module, images: Images, compute: Compute, *, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """Logits, float32 (N, K) on the CPU."""
    outputs = predict(model, model, images, compute, mean=mean, std=std)
    return torch.cat([logits.float().cpu() for logits in outputs])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is the label's, in [0, 1]."""
    return int((logits.argmax(1) == labels).sum()) / len(labels)
