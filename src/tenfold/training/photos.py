"""Batches of photographs of any size: cropped, flipped, jittered, with all randomness in one resumable place."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transform

from tenfold.data.imagenet import Photos
from tenfold.training.batches import Batches, Drawn, row_scale, scaled

DECODERS = 8  # threads that decode; they do not change what comes out
TRIES = 10  # crops that are drawn before the central one is taken, as in torchvision
RATIOS = (math.log(3 / 4), math.log(4 / 3))  # of a crop's sides, logarithms

# Principal axes of the colours of ImageNet's pixels in [0, 1], and the deviations along them (Krizhevsky et al. 2012).
COLOUR_AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
COLOUR_DEVIATIONS = (0.2175, 0.0188, 0.0045)

ADJUSTMENTS: tuple[Callable[[Image.Image, float], Image.Image], ...] = (
    transform.adjust_brightness,
    transform.adjust_contrast,
    transform.adjust_saturation,
)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Draw:
    """What chance decides of one view of a photograph.

    Attributes:
        crops: area and ratio of ``TRIES`` crops and their places, uniform in [0, 1): (TRIES, 4).
        flip: whether it is mirrored.
        factors: of brightness, contrast and saturation.
        order: in which these are applied.
    """

    crops: list[list[float]]
    flip: bool
    factors: list[float]
    order: list[int]


def draws(n: int, jitter: float, generator: torch.Generator) -> list[Draw]:
    """Draws for ``n`` photographs; factors are uniform in ``1 - jitter`` to ``1 + jitter``."""
    crops = torch.rand(n, TRIES, 4, generator=generator).tolist()
    flips = (torch.rand(n, generator=generator) < 0.5).tolist()
    factors = (1 + jitter * (2 * torch.rand(n, 3, generator=generator) - 1)).tolist()
    orders = torch.rand(n, 3, generator=generator).argsort(1).tolist()
    return [Draw(*each) for each in zip(crops, flips, factors, orders, strict=True)]


def crop_box(height: int, width: int, scale: Sequence[float], crops: list[list[float]]) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random crop.

    The first of the drawn crops that fits into the image; its area is a share of the image's between ``scale[0]`` and
    ``scale[1]``, its ratio of sides between 3/4 and 4/3. If none fits, the largest central crop of such a ratio.
    """
    for area, ratio, down, right in crops:
        target = height * width * (scale[0] + area * (scale[1] - scale[0]))
        sides = math.exp(RATIOS[0] + ratio * (RATIOS[1] - RATIOS[0]))
        wide, high = round(math.sqrt(target * sides)), round(math.sqrt(target / sides))
        if 0 < wide <= width and 0 < high <= height:
            return int(down * (height - high + 1)), int(right * (width - wide + 1)), high, wide
    high = min(height, round(width * 4 / 3))
    wide = min(width, round(height * 4 / 3))
    return (height - high) // 2, (width - wide) // 2, high, wide


def training_view(photo: bytes, size: int, scale: Sequence[float], draw: Draw) -> Pixels:
    """One random view of a photograph: uint8 (size, size, 3)."""
    with Image.open(io.BytesIO(photo)) as file:
        image = file.convert("RGB")
    image = transform.resized_crop(image, *crop_box(image.height, image.width, scale, draw.crops), [size, size])
    if draw.flip:
        image = transform.horizontal_flip(image)
    for number in draw.order:
        image = ADJUSTMENTS[number](image, draw.factors[number])
    return np.asarray(image)


def central_view(photo: bytes, resize: int, size: int) -> Pixels:
    """The centre of a photograph whose shorter side was resized: uint8 (size, size, 3)."""
    with Image.open(io.BytesIO(photo)) as file:
        image = file.convert("RGB")
    return np.asarray(transform.center_crop(transform.resize(image, [resize]), [size, size]))


class InParts(Batches):
    """Batches whose epoch, to the training loop, is one of ``parts`` equal parts of a pass over the data.

    Where the parts do not divide a pass, the last one reaches into the next pass.
    """

    parts = 1

    def __len__(self) -> int:
        """Batches per part."""
        return -(-super().__len__() // self.parts)


def photo_batches(
    photos: Photos,
    *,
    batch_size: int,
    size: int,
    scale: Sequence[float],
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
    device: torch.device,
    jitter: float = 0.0,
    lighting: float = 0.0,
    parts: int = 1,
    drop_last: bool = False,
    share: tuple[int, int] = (0, 1),
) -> Batches:
    """Batches ``(images, labels)``: float32 (B, 3, size, size) in channels_last order, and int64 (B,).

    Args:
        photos: what they are made of.
        batch_size: images per batch.
        size: side of an image in pixels.
        scale: smallest and largest share of a photograph that a random crop covers.
        mean: of each channel, for pixels in [0, 1].
        std: of each channel.
        seed: of order and augmentation.
        device: where batches are made.
        jitter: largest change of brightness, contrast and saturation.
        lighting: deviation of the noise along the principal axes of colour, in units of their own deviations.
        parts: how many epochs of the training loop one pass makes.
        drop_last: leave out an epoch's last batch where it would be smaller.
        share: ``(k, n)``: of each batch only every n-th image, from the k-th on, as they are drawn for the whole batch.
    """
    labels = torch.from_numpy(photos.labels.copy())
    axes = torch.tensor(COLOUR_AXES) * torch.tensor(COLOUR_DEVIATIONS)
    of_row = row_scale(mean, std, size, device)
    pool = ThreadPoolExecutor(DECODERS)

    def draw(indices: Tensor, generator: torch.Generator) -> Drawn:
        mine = slice(share[0], None, share[1])
        chance = draws(len(indices), jitter, generator)[mine]
        noise = lighting * torch.randn(len(indices), 3, generator=generator)[mine] @ axes.T / torch.tensor(std)
        indices = indices[mine]
        files = pool.map(photos.read, indices.tolist())
        views = pool.map(lambda file, draw: training_view(file, size, scale, draw), files, chance)
        return torch.from_numpy(np.stack(list(views))), noise, labels[indices]

    def make(pixels: Tensor, noise: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        return scaled(pixels.to(device), *of_row).add_(noise.to(device)[:, :, None, None]), wanted.to(device)

    batches = InParts(len(photos), batch_size, make, seed, drop_last, draw)
    batches.parts = parts
    return batches


def central_pixels(photos: Photos, batch_size: int, resize: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The photographs in order, not augmented: uint8 (B, size, size, 3) and labels, int64 (B,)."""
    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(photos), batch_size):
            numbers = range(start, min(start + batch_size, len(photos)))
            views = pool.map(lambda number: central_view(photos.read(number), resize, size), numbers)
            pixels = torch.from_numpy(np.stack(list(views)))
            yield pixels, torch.from_numpy(photos.labels[numbers.start : numbers.stop].copy())
