"""The contest's rules: the eps bound on 8-bit images, and the scores by its final rules (eqs 6 to 10 of the report).

Images are projected after rounding to grey levels, in integers. Scores count: of every attack's images, every defence
gives labels; a complete defence is worth the share that it gets right over complete attacks, an attack the share that
complete defences get wrong (or that hits the target). Who is not complete still has a score, but enters no other's.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

NO_LABEL = -1  # where a defence gave none

# Images ---------------------------------------------------------------------------------------------------------------


def to_pixels(images: NDArray[np.floating]) -> Pixels:
    """Images in [0, 1] rounded to the nearest grey levels; truncation would take up to a level from an attack."""
    return np.clip(np.rint(255 * images.astype(np.float64)), 0, 255).astype(np.uint8)


def project(original: Pixels, crafted: Pixels, eps: int) -> Pixels:
    """The nearest image within eps of the original, ``clip(x', clip(x - eps, 0, 255), clip(x + eps, 0, 255))``.

    Args:
        original: one image (H, W, 3); or any number of any layout, if the crafted ones have the same size.
        crafted: what an attack made of it; one image of another size is first resized, bicubic.
        eps: in grey levels.
    """
    if crafted.shape != original.shape:
        from PIL import Image  # only here: what trains and attacks needs no Pillow

        height, width = original.shape[:2]
        crafted = np.asarray(Image.fromarray(crafted).resize((width, height), Image.Resampling.BICUBIC))
    wide = original.astype(np.int32)  # 8 bits would wrap around
    lower, upper = np.clip(wide - eps, 0, 255), np.clip(wide + eps, 0, 255)
    return np.clip(crafted.astype(np.int32), lower, upper).astype(np.uint8)


def within_bound(original: Pixels, crafted: Pixels, eps: int) -> bool:
    """Whether no pixel differs by more than eps grey levels; of images of one size."""
    return bool((np.abs(original.astype(np.int32) - crafted.astype(np.int32)) <= eps).all())


def png(pixels: Pixels, compress_level: int = 6) -> bytes:
    """An image (H, W, 3) as a PNG file; how far it is compressed (0 to 9) changes no pixel."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=compress_level)
    return file.getvalue()


def from_png(content: bytes) -> Pixels:
    """The image (H, W, 3) of a PNG file."""
    from PIL import Image

    with Image.open(BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


# Scores ---------------------------------------------------------------------------------------------------------------


class Counted(Protocol):
    """What scores are made of: integer matrices (D, A), and who counts; see `Contest`."""

    @property
    def images(self) -> int:
        """How many images there are."""

    @property
    def correct(self) -> Counts:
        """Images that a defence labels rightly under an attack, (D, A)."""

    @property
    def error(self) -> Counts:
        """Images that it labels wrongly, (D, A)."""

    @property
    def hit(self) -> Counts:
        """Images that it labels with the target, (D, A)."""

    @property
    def targeted(self) -> Flags:
        """Which attacks have targets, (A,)."""

    @property
    def counting_defences(self) -> Flags:
        """Defences that enter the scores of attacks, (D,)."""

    @property
    def counting_attacks(self) -> Flags:
        """Attacks that enter the scores of defences, (A,)."""

    @property
    def barred_defences(self) -> Flags:
        """The disqualified ones, (D,)."""

    @property
    def barred_attacks(self) -> Flags:
        """The disqualified ones, (A,)."""


@dataclass(frozen=True)
class Contest:
    """What A attacks delivered of N images, and what D defences said of it.

    Attributes:
        labels: the labels that defences gave, (D, A, N); ``NO_LABEL`` where none.
        delivered: the images that attacks gave, (A, N).
        truth: true labels, (N,).
        targets: target labels, (N,).
        targeted: which attacks have targets, (A,).
        barred_defences: the disqualified ones, (D,).
        barred_attacks: the disqualified ones, (A,).
    """

    labels: Counts
    delivered: Flags
    truth: Counts
    targets: Counts
    targeted: Flags
    barred_defences: Flags
    barred_attacks: Flags

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.truth)

    @property
    def labelled(self) -> Flags:
        """Which labels are of an image that there is, (D, A, N); [P] of the report is 0 elsewhere."""
        return (self.labels != NO_LABEL) & self.delivered

    @property
    def correct(self) -> Counts:
        """Images that a defence labels rightly under an attack, (D, A)."""
        return ((self.labels == self.truth) & self.labelled).sum(2)

    @property
    def error(self) -> Counts:
        """Images that it labels wrongly, (D, A)."""
        return ((self.labels != self.truth) & self.labelled).sum(2)

    @property
    def hit(self) -> Counts:
        """Images that it labels with the target, (D, A)."""
        return ((self.labels == self.targets) & self.labelled).sum(2)

    @property
    def counting_defences(self) -> Flags:
        """Those that labelled all that any attack delivered, disqualified and incomplete attacks too, (D,)."""
        return (self.labelled | ~self.delivered).all((1, 2)) & ~self.barred_defences

    @property
    def counting_attacks(self) -> Flags:
        """Those that delivered all images, (A,)."""
        return self.delivered.all(1) & ~self.barred_attacks


@dataclass(frozen=True)
class Scores:
    """Of each submission, NaN for one without.

    Attributes:
        raw: the sum over counting opponents and images.
        score: its share of all that it could be, in [0, 1].
        worst: the share against the counting opponent that leaves least, in [0, 1].
    """

    raw: Floats
    score: Floats
    worst: Floats


def without_failed(present: Flags, failed: Flags, batch_of: Counts) -> Flags:
    """What is left once batches that failed are dropped whole, with whatever they left behind.

    Args:
        present: what was found, (..., N).
        failed: which batches ended with an error or out of time, (..., batches).
        batch_of: the batch of each image, (N,).
    """
    return present & ~failed[..., batch_of]


def defence_scores(contest: Counted) -> Scores:
    """Scores of defences (eq. 10): images labelled rightly, over the counting attacks, targeted ones among them."""
    return _scores(contest.correct, contest.counting_attacks, contest.barred_defences, contest.images)


def attack_scores(contest: Counted) -> Scores:
    """Scores of attacks: images mislabelled by counting defences, or labelled with the target (eqs 6 to 9)."""
    gained = np.where(contest.targeted, contest.hit, contest.error)
    return _scores(gained.T, contest.counting_defences, contest.barred_attacks, contest.images)


def _scores(gained: Counts, counting: Flags, barred: Flags, images: int) -> Scores:
    if not counting.any():
        nothing = np.full(len(gained), np.nan)
        return Scores(nothing, nothing, nothing)
    raw = np.where(barred, np.nan, gained[:, counting].sum(1))
    worst = np.where(barred, np.nan, gained[:, counting].min(1) / images)
    return Scores(raw, raw / (counting.sum() * images), worst)


def ranking(values: Floats) -> list[int]:
    """The places of submissions with a score, best first; of equal ones the order is arbitrary: here, as given."""
    return [int(place) for place in np.argsort(-values, kind="stable") if not np.isnan(values[place])]
