"""What the training stages of RCO share: batches that know their indices, nets that show a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tenfold.data.images import Images
from tenfold.launcher import Cfg
from tenfold.measure.cost import Cost, cost
from tenfold.nets.build import build
from tenfold.training.batches import Batches, crop_flip, draw_crop_flip, normalise


def indexed_batches(images: Cfg, split: Images, batch_size: int, seed: int, device: torch.device) -> Batches:
    """Batches ``(images, labels, indices)``: equal seeds give equal order and augmentation in every arm.

    Images are float32 (B, 3, H, W) in channels_last order; indices are their places in the split, for which a
    teacher's outputs may have been kept.
    """
    pixels = split.images.permute(0, 2, 3, 1).contiguous().to(device)
    labels = split.labels.to(device)

    def make(indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        chosen = indices.to(device)
        batch = pixels.index_select(0, chosen)
        if images["augment"] == "crop_flip":
            batch = crop_flip(batch, *draw_crop_flip(len(indices), generator))
        return normalise(batch, images["mean"], images["std"]), labels.index_select(0, chosen), chosen

    return Batches(len(split), batch_size, make, seed)


class WithFeatures(nn.Module):
    """A net that gives its logits and what one of its layers put out.

    Args:
        net: the net.
        layer: the name of one of its modules.
    """

    def __init__(self, net: nn.Module, layer: str) -> None:
        super().__init__()
        self.net = net
        self.features = torch.empty(0)
        net.get_submodule(layer).register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.features = output

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and features (B, C, H, W), both float32."""
        logits = self.net(images).float()
        return logits, self.features.float()


def net_cost(net: Cfg, pixels: int = 32) -> Cost:
    """Parameters and MACs (convolutions and linear layers) of a net for one image."""
    return cost(lambda: build(net), (3, pixels, pixels))
