"""From an image and given boxes to the RoI features that the method works on."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from tenfold.papers.turbo_hoi.method import Links, Sizes, TurboHOI, Turn

STRIDE = 4  # pixels to a cell of the map


class SceneNet(nn.Module):
    """A shallow convolutional map of the image, RoIAlign of given boxes, and both modules on it.

    [choice] All of it: the paper's map is that of a deep net which was trained before.

    Args:
        sizes: of the modules; ``channels`` are those of the map.
        actions: outputs A (an action with two roles has two).
        joints: K.
        links: which messages pass.
    """

    def __init__(self, sizes: Sizes, actions: int, joints: int, links: Links) -> None:
        super().__init__()
        self.sizes = sizes
        widths = (3, sizes.channels // 2, sizes.channels)
        self.convs = nn.ModuleList(nn.Conv2d(*pair, 3, stride=2, padding=1) for pair in pairwise(widths))
        self.turbo = TurboHOI(sizes, actions, joints, links)
        self.apply(for_rectifiers)

    def forward(self, images: Tensor, persons: Tensor, objects: Tensor) -> list[Turn]:
        """The turns 1 to T; pairs are every person with every object of its image, see `every_pair`.

        Args:
            images: (B, 3, H, W), float.
            persons: boxes (B, P, 4), left, top, right, bottom in pixels.
            objects: boxes (B, Q, 4).
        """
        maps = images
        for conv in self.convs:
            maps = F.relu(conv(maps))
        rois = [
            roi_align(maps.float(), of_images(boxes), side, 1 / STRIDE, sampling_ratio=1, aligned=True).to(maps.dtype)
            for boxes, side in ((persons, self.sizes.persons), (objects, self.sizes.objects))
        ]
        pairs = every_pair(len(images), persons.shape[1], objects.shape[1], images.device)
        turns: list[Turn] = self.turbo(*rois, pairs)
        return turns


def of_images(boxes: Tensor) -> Tensor:
    """Boxes of images (B, n, 4) as RoIAlign takes them, each behind the number of its image: (B n, 5)."""
    image = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None, None]
    return torch.cat([image.expand(-1, boxes.shape[1], 1), boxes], 2).flatten(0, 1)


def every_pair(images: int, persons: int, objects: int, device: torch.device | None = None) -> Tensor:
    """Every person with every object of its image, numbered through the batch: int64 (B P Q, 2)."""
    image = torch.arange(images, device=device)[:, None, None]
    person = image * persons + torch.arange(persons, device=device)[:, None]
    other = image * objects + torch.arange(objects, device=device)
    return torch.stack([part.expand(images, persons, objects).flatten() for part in (person, other)], 1)


def for_rectifiers(layer: nn.Module) -> None:
    """First weights that keep the size of what passes (He et al., 2015)."""
    if isinstance(layer, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
