"""What training and examining share: nets with noise in them, and training images as the training showed them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tenfold.data.images import Images
from tenfold.data.splits import scaling
from tenfold.errors import UserError
from tenfold.launcher import Cfg
from tenfold.nets.build import build
from tenfold.papers.variance_shift.method import insert_noise
from tenfold.training.batches import image_batches
from tenfold.training.compute import Compute


def noisy(cfg: Cfg, net: Cfg) -> nn.Module:
    """A fresh net with the arm's noise in it.

    Raises:
        UserError: the net has no such place.
    """
    model = build(net)
    try:
        return insert_noise(model, cfg["placement"], cfg["rate"])
    except ValueError as error:
        raise UserError(f"{error} (config/papers/variance-shift.yaml)") from None


def views(cfg: Cfg, split: Images, batch_size: int, seed: int, compute: Compute) -> Iterator[tuple[Tensor, Tensor]]:
    """One pass over images in random order, augmented as in training.

    Yields:
        Float32 (B, 3, H, W) and the images' indices in the split, int64 (B,).
    """
    batches = image_batches(
        split.images,
        torch.arange(len(split)),
        batch_size=batch_size,
        augment=cfg["images"]["augment"],
        seed=seed,
        device=compute.device,
        **scaling(cfg["images"]),
    )
    for _ in range(len(batches)):
        (images, indices), _n = batches.next()
        yield images, indices


def logits_of_views(
    net: nn.Module, cfg: Cfg, split: Images, batch_size: int, seed: int, compute: Compute
) -> tuple[Tensor, Tensor]:
    """What the net says, in the mode that it is in, in one pass of `views`.

    Returns:
        Logits, float32 (N, K), and the labels of the same images, (N,), in the order of ``split``, on the CPU.
    """
    found, order = [], []
    with torch.no_grad(), compute.autocast():
        for images, indices in views(cfg, split, batch_size, seed, compute):
            found.append(net(images).float().cpu())
            order.append(indices.cpu())
    return torch.cat(found)[torch.cat(order).argsort()], split.labels
