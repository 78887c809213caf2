"""JPEG in front of nets, part of the third and of the fifth defence: lossy compression forgets what is small."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F


def compress(images: Tensor, quality: int) -> Tensor:
    """Images behind JPEG, rounded to grey levels before: (B, 3, H, W) in [0, 1] -> the same.

    JPEG has no useful gradient; it is taken as that of the identity (straight through).
    """
    gradient_free: Tensor = _StraightThrough.apply(images, quality)
    return gradient_free


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, images: Tensor, quality: int) -> Tensor:
        pixels = images.detach().mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        decoded = np.stack([_through_jpeg(image, quality) for image in pixels])
        return torch.from_numpy(decoded).permute(0, 3, 1, 2).to(images) / 255

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image)


def jpeg(nets: Sequence[nn.Module], images: Tensor, generator: torch.Generator, *, quality: int = 50) -> Tensor:
    """Log of the nets' summed softmax behind JPEG, (B, K); the fifth defence has quality 15."""
    compressed = compress(images, quality)
    return torch.stack([F.log_softmax(net(compressed), 1) for net in nets]).logsumexp(0)
