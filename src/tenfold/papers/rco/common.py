"""What the training stages of RCO share: batches that know their indices, nets that show a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tenfold.data.images import Images
from tenfold.data.splits import scaling
from tenfold.launcher import Cfg
from tenfold.measure.cost import Cost, cost
from tenfold.nets.build import build
from tenfold.training.batches import Batches, image_batches


def indexed_batches(images: Cfg, split: Images, batch_size: int, seed: int, device: torch.device) -> Batches:
    """Batches ``(images, labels, indices)``: equal seeds give equal order and augmentation in every arm.

    Indices are the images' places in the split, for which a teacher's outputs may have been kept.
    """
    return image_batches(
        split.images,
        split.labels,
        torch.arange(len(split)),
        batch_size=batch_size,
        augment=images["augment"],
        seed=seed,
        device=device,
        **scaling(images),
    )


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
