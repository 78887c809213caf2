"""Top-1 accuracy and cross-entropy of a classifier on photographs that are decoded as they are needed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from tenfold.data.imagenet import Photos
from tenfold.measure.accuracy import Evaluation, in_eval_mode
from tenfold.training.batches import normalise
from tenfold.training.compute import Compute
from tenfold.training.photos import central_pixels


def evaluate_photos(
    model: nn.Module,
    photos: Photos,
    compute: Compute,
    *,
    resize: int,
    size: int,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int = 250,
) -> Evaluation:
    """As ``tenfold.measure.accuracy.evaluate``, on the centres of photographs.

    Args:
        model: from float (B, 3, size, size) to logits (B, K).
        photos: what it is measured on.
        compute: device and precision.
        resize: what the shorter side of a photograph is resized to, in pixels.
        size: side of the central crop.
        mean: of each channel, for pixels in [0, 1].
        std: of each channel.
        batch_size: images per forward pass.
    """
    correct, cross_entropy = 0, 0.0
    with in_eval_mode(model), torch.no_grad(), compute.autocast():
        for pixels, wanted in central_pixels(photos, batch_size, resize, size):
            labels = wanted.to(compute.device)
            logits = model(normalise(pixels.to(compute.device), mean, std)).float()
            correct += int((logits.argmax(1) == labels).sum())
            cross_entropy += float(F.cross_entropy(logits.double(), labels, reduction="sum"))
    return Evaluation(correct, len(photos), cross_entropy / len(photos))
