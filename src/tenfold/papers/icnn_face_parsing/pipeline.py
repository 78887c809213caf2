"""Faces in two stages: find the parts in the reduced face, label them in crops of the original, put them together.

Labels are those of `tenfold.data.faces.PARTS`: 0 to 7 for parts, left being the image's left, and 8 for the background,
that is skin, hair and all else. A point (y, x) is given in pixels, the first one's middle being 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.data.faces import BACKGROUND
from tenfold.papers.icnn_face_parsing.method import mirrored, standardised

VISIBLE = 50 / 255  # a pixel is the background's where no part covers more of it (the author's code)
BATCH = 50  # faces that are parsed at once


@dataclass(frozen=True)
class Part:
    """A part of the face that the second stage labels in a crop.

    Attributes:
        name: in words.
        labels: what it consists of.
        net: the net that labels it.
        mirrored: whether that net sees the crop mirrored.
    """

    name: str
    labels: tuple[int, ...]
    net: str
    mirrored: bool = False

    @property
    def span(self) -> slice:
        """Its labels, which follow one another."""
        return slice(self.labels[0], self.labels[-1] + 1)


PARTS = (
    Part("left brow", (0,), "brows"),
    Part("right brow", (1,), "brows", mirrored=True),
    Part("left eye", (2,), "eyes"),
    Part("right eye", (3,), "eyes", mirrored=True),
    Part("nose", (4,), "nose"),
    Part("mouth", (5, 6, 7), "mouth"),
)
FACE = "face"  # the net of the first stage
FOREGROUND = {FACE: BACKGROUND} | {part.net: len(part.labels) for part in PARTS}  # labels of each net


# The reduced face ------------------------------------------------------------------------------------------------


def reduced(images: Tensor, side: int) -> Tensor:
    """Faces as the first stage sees them: (N, H, H, 3) uint8 -> (N, side, side, 3) uint8, without aliasing."""
    small = F.interpolate(
        images.permute(0, 3, 1, 2).float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )
    return small.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def reduced_labels(labels: Tensor, side: int) -> Tensor:
    """Their labels: (N, H, H) uint8 -> (N, side, side) uint8. A part keeps a pixel of which it covers the most.

    Maps are averaged, not sampled, and only then compared: thin parts would vanish otherwise.
    """
    return torch.cat([harden(F.adaptive_avg_pool2d(one_hot(some), (side, side))) for some in labels.split(BATCH)])


def one_hot(labels: Tensor) -> Tensor:
    """(N, H, W) of 0 to 8 -> (N, 9, H, W), float32."""
    return (labels[:, None] == torch.arange(BACKGROUND + 1, device=labels.device)[:, None, None]).float()


def harden(maps: Tensor) -> Tensor:
    """Soft maps (N, 9, H, W) in [0, 1] as labels, uint8: the part that covers most, if it is more than `VISIBLE`."""
    most, label, _ = foremost(maps)
    return torch.where(most > VISIBLE, label, BACKGROUND)


def foremost(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of maps (N, 9, H, W): the largest of the parts', whose it is (uint8), and the background's, (N, H, W) each."""
    most, label = maps[:, :BACKGROUND].max(1)
    return most, label.to(torch.uint8), maps[:, BACKGROUND]


def lean(most: Tensor, label: Tensor, background: Tensor, leaning: float) -> Tensor:
    """Labels, the background's probability multiplied by exp(leaning)."""
    return torch.where(most >= background * math.exp(leaning), label, BACKGROUND)


# Centres ---------------------------------------------------------------------------------------------------------


def label_centres(labels: Tensor, how: str) -> Tensor:
    """The centre of the pixels of each label: (N, H, W) -> (N, 8, 2), float64, not a number where there are none.

    Args:
        labels: of the faces.
        how: ``mean`` of the coordinates, or their ``median``.
    """
    maps = one_hot(labels)[:, :BACKGROUND].double()
    centre = {"mean": mean_of, "median": median_of}[how]
    return torch.stack([centre(maps.sum(3)), centre(maps.sum(2))], 2)


def mean_of(counts: Tensor) -> Tensor:
    """The mean of coordinates that occur so often: (N, K, H) -> (N, K)."""
    places = torch.arange(counts.shape[2], dtype=counts.dtype, device=counts.device)
    return (counts * places).sum(2) / counts.sum(2)


def median_of(counts: Tensor) -> Tensor:
    """Their median, the mean of both middle ones of an even number."""
    up_to, total = counts.cumsum(2), counts.sum(2, keepdim=True)
    lower, upper = (reached.double().argmax(2).double() for reached in (2 * up_to >= total, 2 * up_to > total))
    return torch.where(total[..., 0] > 0, (lower + upper) / 2, torch.nan)


def part_centres(labels: Tensor, how: str) -> Tensor:
    """The centre of each part: (N, H, W) -> (N, 6, 2). That of the mouth is the mean of its labels' centres."""
    of_labels = label_centres(labels, how)
    return torch.stack([of_labels[:, part.span].nanmean(1) for part in PARTS], 1)


def box_centres(labels: Tensor) -> Tensor:
    """The middle of each part's bounding box, around which training crops are cut: (N, H, W) -> (N, 6, 2)."""
    maps = one_hot(labels)
    found = []
    for part in PARTS:
        covered = maps[:, part.span].amax(1) > 0
        for axis in (2, 1):
            there = covered.any(axis).double()
            first, last = there.argmax(1), there.shape[1] - 1 - there.flip(1).argmax(1)
            found.append(torch.where(there.any(1), (first + last).double() / 2, torch.nan))
    return torch.stack(found, 1).view(len(labels), len(PARTS), 2)


def or_usual(centres: Tensor, usual: Tensor) -> Tensor:
    """Centres (N, 6, 2), with the usual ones (6, 2) for parts that were not found."""
    return torch.where(centres.isnan(), usual.to(centres), centres)


# Crops -----------------------------------------------------------------------------------------------------------


def crop(images: Tensor, centres: Tensor, side: int, outside: int = 0) -> Tensor:
    """Squares of the originals, their pixel (side / 2, side / 2) at the nearest pixel to the centre.

    Args:
        images: (N, H, W, ...), pixels or labels.
        centres: (N, 2), in pixels.
        side: of the squares.
        outside: what is where there is no image.

    Returns:
        (N, side, side, ...).
    """
    rows, columns = places(centres, side)
    n, height, width = images.shape[:3]
    inside = within(rows, height)[:, :, None] & within(columns, width)[:, None]
    index = torch.arange(n, device=images.device)[:, None, None]
    found = images[index, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]]
    return torch.where(inside.view(inside.shape + (1,) * (images.dim() - 3)), found, outside)


def places(centres: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The rows and the columns of an image that a crop shows, (N, side) each."""
    first = centres.round().long() - side // 2
    along = torch.arange(side, device=centres.device)
    return first[:, :1] + along, first[:, 1:] + along


def within(places: Tensor, size: int) -> Tensor:
    """Whether there is an image at these rows or columns."""
    return (places >= 0) & (places < size)


def paste(crops: Sequence[Tensor], centres: Tensor, height: int, width: int) -> Tensor:
    """Crops put back into the face.

    Args:
        crops: for each part the probabilities of its labels (N, k, S, S).
        centres: (N, 6, 2), around which they were cut.
        height: of the faces.
        width: of the faces.

    Returns:
        Labels, (N, H, W) uint8, see `merged`.
    """
    face = torch.arange(len(centres), device=centres.device)[:, None, None]
    planes = []
    for number, found in enumerate(crops):
        rows, columns = places(centres[:, number], found.shape[-1])
        inside = within(rows, height)[:, :, None] & within(columns, width)[:, None]
        at = [where.expand_as(inside)[inside] for where in (face, rows[:, :, None], columns[:, None])]
        plane = found.new_zeros(len(centres), height, width, found.shape[1])
        plane[at[0], at[1], at[2]] = found.permute(0, 2, 3, 1)[inside]
        planes.append(plane.permute(0, 3, 1, 2))
    return merged(planes)


def merged(planes: Sequence[Tensor]) -> Tensor:
    """Labels of the whole face, (N, H, W) uint8, by each part's probabilities of its labels (N, k, H, W).

    The face's background is what is background for every part (the product of their probabilities), and the most
    probable label counts, as in the follow-up of the paper; the paper's own rule for overlaps is unknown.
    """
    background = torch.stack([1 - plane.sum(1) for plane in planes]).prod(0)
    return torch.cat([*planes, background[:, None]], 1).argmax(1).to(torch.uint8)


# Parsing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parser:
    """Trained nets, and what they are used with.

    Attributes:
        nets: by name, the first stage's and where there is a second one its four.
        side: of the reduced face.
        crops: side of the crops, by net.
        usual: where parts are that the first stage does not find, (6, 2) in shares of the face's side.
        centre: ``mean`` or ``median`` of a part's pixels.
        device: of the nets.
    """

    nets: Mapping[str, nn.Module]
    side: int
    crops: Mapping[str, int]
    usual: Tensor
    centre: str
    device: torch.device

    def first_stage(self, images: Tensor) -> Tensor:
        """Probabilities of the labels in the reduced faces: (N, H, H, 3) uint8 -> (N, 9, side, side)."""
        return self.labelled(FACE, reduced(images, self.side))

    def enlarged(self, probabilities: Tensor, side: int, leaning: float = 0.0) -> Tensor:
        """Labels of the whole face by the first stage alone, its probabilities enlarged: (N, side, side) uint8.

        Args:
            probabilities: (N, 9, S, S).
            side: of the faces.
            leaning: how much larger the background's logit is taken.
        """
        large = F.interpolate(probabilities, size=(side, side), mode="bilinear", align_corners=False)
        return lean(*foremost(large), leaning)

    def locate(self, probabilities: Tensor, side: int) -> Tensor:
        """The centres of the parts in the original, (N, 6, 2), not a number for those that are not found."""
        scale = side / self.side
        return (part_centres(probabilities.argmax(1), self.centre) + 0.5) * scale - 0.5

    def second_stage(self, images: Tensor, centres: Tensor) -> Tensor:
        """Labels of the whole face by crops around centres: (N, H, H, 3) uint8, (N, 6, 2) -> (N, H, H) uint8."""
        side = images.shape[1]
        where = or_usual(centres, self.usual * side)
        crops = []
        for number, part in enumerate(PARTS):
            pixels = crop(images, where[:, number], self.crops[part.net])
            shown = pixels.flip(2) if part.mirrored else pixels
            found = self.labelled(part.net, shown)
            crops.append((mirrored(found) if part.mirrored else found)[:, :-1].cpu())
        return paste(crops, where, side, side)

    def labelled(self, net: str, pixels: Tensor) -> Tensor:
        """Probabilities by one of the nets: (N, S, S, 3) uint8 -> (N, k + 1, S, S), float32."""
        images = standardised(pixels.permute(0, 3, 1, 2).to(self.device))
        return self.nets[net](images).float().softmax(1)

    def parse(self, images: Tensor) -> Tensor:
        """Both stages: (N, H, H, 3) uint8 -> labels (N, H, H) uint8."""
        with torch.no_grad():
            probabilities = self.first_stage(images)
            return self.second_stage(images, self.locate(probabilities, images.shape[1]))


def usual_places(labels: Tensor) -> Tensor:
    """Where the parts lie on average: (N, H, H) -> (6, 2), in shares of the face's side."""
    return torch.cat([part_centres(some, "mean") for some in labels.split(BATCH)]).nanmean(0) / labels.shape[1]
