"""The follow-up's spatial transformer: both stages trained as one net (STN-iCNN, arXiv:2002.04831).

The first stage's probabilities tell a localisation net where the parts are; the crops that the second stage sees are
sampled there, so that its loss reaches the first stage. Only scale and shift of a transformation are free.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.data.faces import BACKGROUND
from tenfold.papers.icnn_face_parsing.pipeline import PARTS

STRIDES = 4  # layers of the localisation net, each of which halves its maps
CHANNELS = 16


class Localisation(nn.Module):
    """From the label maps of the reduced face to the transformations of the six parts: (N, 9, S, S) -> (N, 6, 2, 3).

    A few convolutions and a linear layer; the follow-up's reported numbers have a ResNet-18 here. The last layer begins
    at 0 with the usual transformations as its bias.

    Args:
        side: of the reduced face.
        usual: the transformations of an average face, (6, 2, 3).
    """

    free: Tensor  # 1 where a number of a transformation is free, else 0

    def __init__(self, side: int, usual: Tensor) -> None:
        super().__init__()
        widths = [BACKGROUND + 1] + [CHANNELS] * STRIDES
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.theta = nn.Linear(CHANNELS * (side // 2**STRIDES) ** 2, 6 * len(PARTS))
        nn.init.zeros_(self.theta.weight)
        with torch.no_grad():
            self.theta.bias.copy_(usual.flatten())
        self.register_buffer("free", torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), persistent=False)

    def forward(self, probabilities: Tensor) -> Tensor:
        """Transformations, of which only scale and shift survive."""
        maps = probabilities
        for layer in self.layers:
            maps = torch.relu(layer(maps))
        theta: Tensor = self.theta(maps.flatten(1)).float().view(-1, len(PARTS), 2, 3)
        return theta * self.free


def theta_of(centres: Tensor, side: int, size: int) -> Tensor:
    """The transformation that cuts a square around a centre out of an image: (..., 2) -> (..., 2, 3).

    In coordinates from -1 to 1 between the middles of the outermost pixels (``align_corners``).

    Args:
        centres: (y, x) in pixels.
        side: of the squares, odd where a centre is to be a pixel.
        size: of the image, as high as wide.
    """
    y, x = (2 * centres / (size - 1) - 1).unbind(-1)
    zero = torch.zeros_like(x)
    scale = zero + (side - 1) / (size - 1)
    return torch.stack([torch.stack([scale, zero, x], -1), torch.stack([zero, scale, y], -1)], -2)


def centres_of(theta: Tensor, size: int) -> Tensor:
    """The centres of transformations: (..., 2, 3) -> (..., 2), (y, x) in pixels."""
    return (theta[..., [1, 0], [2, 2]] + 1) * (size - 1) / 2


def inverse(theta: Tensor) -> Tensor:
    """The transformation that puts a square back to where it was cut out."""
    scale = theta[..., [0, 1], [0, 1]]
    return torch.cat([torch.diag_embed(1 / scale), (-theta[..., 2] / scale)[..., None]], -1)


def sample(images: Tensor, theta: Tensor, side: int) -> Tensor:
    """Squares of images, bilinear, 0 outside: (N, C, H, W), (N, 2, 3) -> (N, C, side, side), float32.

    As ``grid_sample`` of ``affine_grid`` with aligned corners. Without rotation a square is a product of two matrices
    with the image, whose gradient is the same each time on a GPU too.
    """
    height, width = images.shape[2:]
    down = tents(theta[:, 1, 1], theta[:, 1, 2], side, height)
    along = tents(theta[:, 0, 0], theta[:, 0, 2], side, width)
    with torch.autocast(images.device.type, enabled=False):  # places of pixels need more digits than bf16 has
        return down[:, None] @ images.to(down.dtype) @ along[:, None].transpose(2, 3)


def tents(scale: Tensor, shift: Tensor, side: int, size: int) -> Tensor:
    """How much each pixel of a row weighs in each sample of it: (N,), (N,) -> (N, side, size)."""
    steps = torch.linspace(-1, 1, side, device=scale.device)
    at = (scale[:, None] * steps + shift[:, None] + 1) * (size - 1) / 2
    pixels = torch.arange(size, device=scale.device, dtype=at.dtype)
    return F.relu(1 - (at[:, :, None] - pixels).abs())


def sample_labels(labels: Tensor, theta: Tensor, side: int) -> Tensor:
    """The nearest pixels' labels, the background outside: (N, H, W), (N, 2, 3) -> (N, side, side)."""
    n, height, width = labels.shape
    steps = torch.linspace(-1, 1, side, device=theta.device)
    rows, columns = (
        ((theta[:, axis, axis, None] * steps + theta[:, axis, 2, None] + 1) * (size - 1) / 2).round().long()
        for axis, size in ((1, height), (0, width))
    )
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    face = torch.arange(n, device=labels.device)[:, None, None]
    found = labels[face, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]]
    return torch.where(inside, found, BACKGROUND)
