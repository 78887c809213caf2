"""Small projective changes of images, drawn for each image; gradients pass them, on every device the same bits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

GREY = 0.5  # 0 on the scale [-1, 1] that the contest's nets have


def warp(images: Tensor, matrices: Tensor, fill: float = GREY) -> Tensor:
    """Images seen through projective maps, bilinear between pixels.

    ``F.grid_sample`` has no deterministic gradient on GPUs; four gathers have.

    Args:
        images: (B, C, H, W).
        matrices: (B, 3, 3), from a place of the result to one of the image, both on the scale [-1, 1] (x, y, 1).
        fill: what lies outside of an image.
    """
    height, width = images.shape[2:]
    down, across = (torch.arange(size, device=images.device) for size in (height, width))
    y, x = torch.meshgrid((2 * down + 1) / height - 1, (2 * across + 1) / width - 1, indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)]).flatten(1)  # (3, H W)
    sources = matrices.to(places) @ places  # (B, 3, H W)
    x, y = (sources[:, :2] / sources[:, 2:]).unbind(1)
    column, row = ((x + 1) * width - 1) / 2, ((y + 1) * height - 1) / 2
    left, top = column.floor(), row.floor()
    right_share, bottom_share = column - left, row - top

    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), value=fill).flatten(2)
    corners = []
    for lower, vertical in ((0, 1 - bottom_share), (1, bottom_share)):
        for further, horizontal in ((0, 1 - right_share), (1, right_share)):
            rows = (top + lower).clamp(-1, height).long() + 1
            columns = (left + further).clamp(-1, width).long() + 1
            index = (rows * (width + 2) + columns)[:, None].expand(-1, images.shape[1], -1)
            corners.append(padded.gather(2, index) * (vertical * horizontal)[:, None])
    return torch.stack(corners).sum(0).view_as(images)


def projective(count: int, scale: float, generator: torch.Generator) -> Tensor:
    """Maps whose eight parameters lie within ``scale`` of those of the identity, drawn evenly: (count, 3, 3)."""
    draws = torch.rand(count, 9, generator=generator, device=generator.device)
    offsets = scale * (2 * draws - 1)
    offsets[:, 8] = 0
    return torch.eye(3, device=generator.device) + offsets.view(count, 3, 3)


def affine(
    count: int,
    generator: torch.Generator,
    *,
    degrees: Sequence[float] = (0.0, 0.0),
    zoom: Sequence[float] = (1.0, 1.0),
    shear: float = 0.0,
    shift: float = 0.0,
) -> Tensor:
    """Maps of rotations either way, zooms, shears and shifts, drawn evenly: (count, 3, 3).

    Args:
        count: how many.
        generator: of the draws.
        degrees: the least and the largest rotation.
        zoom: the least and the largest magnification.
        shear: at most, as x per y.
        shift: at most, as a share of the image's size.
    """
    draws = torch.rand(6, count, generator=generator, device=generator.device)
    angle = torch.deg2rad(degrees[0] + (degrees[1] - degrees[0]) * draws[0]) * torch.where(draws[1] < 0.5, -1.0, 1.0)
    shrink = 1 / (zoom[0] + (zoom[1] - zoom[0]) * draws[2])
    slope, right, down = shear * (2 * draws[3] - 1), 2 * shift * (2 * draws[4] - 1), 2 * shift * (2 * draws[5] - 1)
    cos, sin = shrink * angle.cos(), shrink * angle.sin()
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    entries = [cos, -sin + slope * cos, right, sin, cos + slope * sin, down, zero, zero, one]
    return torch.stack(entries, 1).view(count, 3, 3)
