"""Label maps as pictures. Light: no torch, no matplotlib."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tenfold.data.faces import BACKGROUND

Pixels = NDArray[np.uint8]

# The colours of Okabe and Ito; those of a pair's sides are light and dark, so that a grey print tells them apart.
COLOURS = np.array(
    [
        (0, 114, 178), (86, 180, 233),  # brows: blue, sky
        (213, 94, 0), (230, 159, 0),  # eyes: vermilion, orange
        (0, 158, 115),  # nose: green
        (204, 121, 167), (240, 228, 66), (153, 51, 119),  # mouth: pink, yellow, plum
        (0, 0, 0),  # background
    ],
    dtype=np.uint8,
)  # fmt: skip


def coloured(labels: Pixels) -> Pixels:
    """Labels (..., H, W) from 0 to 8 as colours (..., H, W, 3); the background is black."""
    return COLOURS[labels]


def overlaid(image: Pixels, labels: Pixels) -> Pixels:
    """A picture (..., H, W, 3) with its parts (..., H, W) half covered by their colours."""
    mixed = (image.astype(np.uint16) + coloured(labels) + 1) // 2
    return np.where((labels == BACKGROUND)[..., None], image, mixed).astype(np.uint8)
