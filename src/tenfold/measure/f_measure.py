"""The F-measure of face parsing, from pixel counts that are pooled over a test set.

Everything follows from one table of counts, ``confusion[truth][found]``, whose rows and columns are the positions in
`tenfold.data.faces.PARTS`. Counts are integers and add up over images, so nothing depends on batches.

What a word of the field means is not always said, so each reading has a name of its own here:

- ``brows``, ``eyes``: the counts of left and right are added, so a right eye called a left one is an error;
  ``brows_union``, ``eyes_union``: left and right are one label, so it is none.
- ``mouth``: both lips and what is between them as one label, so a lip called inner mouth counts as right.
- ``overall``: counts of eyes, brows, nose and mouth are added; ``overall_binary``: all parts are one label;
  ``overall_mean``: the mean of F over the table's seven columns, in which the mouth occurs twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tenfold.data.faces import BACKGROUND, BROW, EYE, INNER_MOUTH, LOWER_LIP, PARTS, UPPER_LIP

Confusion = Sequence[Sequence[int]]  # pixels, by true and by found label

COLUMNS = ("eyes", "brows", "nose", "inner_mouth", "upper_lip", "lower_lip", "mouth")  # of the paper's table
GROUPS = ("eyes", "brows", "nose", "mouth")  # what the overall measure adds up


@dataclass(frozen=True)
class Counts:
    """Pixels of a label: found where they are, found where they are not, and missed."""

    hits: int
    false_alarms: int
    misses: int

    def __add__(self, other: Counts) -> Counts:
        hits, false_alarms = self.hits + other.hits, self.false_alarms + other.false_alarms
        return Counts(hits, false_alarms, self.misses + other.misses)

    @property
    def precision(self) -> float | None:
        """The share of what was found that is right; None where nothing was found."""
        return _ratio(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> float | None:
        """The share of what there is that was found; None where there is nothing."""
        return _ratio(self.hits, self.hits + self.misses)

    @property
    def f(self) -> float | None:
        """2 P R / (P + R) = 2 TP / (2 TP + FP + FN); None where there is nothing and nothing was found."""
        return _ratio(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)


def confusion(truth: Tensor, found: Tensor) -> list[list[int]]:
    """How many pixels of each true label were given each label.

    Args:
        truth: labels of some faces, any shape, integers from 0 to 8.
        found: what was found there, the same shape.

    Raises:
        ValueError: another shape, or a label that there is not.
    """
    if truth.shape != found.shape:
        raise ValueError(f"truth has shape {tuple(truth.shape)}, found has {tuple(found.shape)}")
    size = len(PARTS)
    true, given = truth.flatten().long(), found.flatten().long()
    if true.numel() and not (0 <= min(true.min(), given.min()) and max(true.max(), given.max()) < size):
        raise ValueError(f"labels are from 0 to {size - 1}")
    counts: list[list[int]] = torch.bincount(true * size + given, minlength=size * size).view(size, size).tolist()
    return counts


def added(tables: Iterable[Confusion]) -> list[list[int]]:
    """The counts of several tables together."""
    size = range(len(PARTS))
    listed = list(tables)
    return [[sum(table[truth][found] for table in listed) for found in size] for truth in size]


def counts_of(table: Confusion, labels: Sequence[int]) -> Counts:
    """The counts of some labels taken as one: mistaking one of them for another is none."""
    inside = set(labels)
    pixels = {(truth, found): n for truth, row in enumerate(table) for found, n in enumerate(row)}
    return Counts(
        hits=sum(n for (truth, found), n in pixels.items() if truth in inside and found in inside),
        false_alarms=sum(n for (truth, found), n in pixels.items() if truth not in inside and found in inside),
        misses=sum(n for (truth, found), n in pixels.items() if truth in inside and found not in inside),
    )


def part_counts(table: Confusion) -> dict[str, Counts]:
    """The counts of all parts, of what is made of them, and of both readings of the whole that have counts."""
    counts = {name.replace(" ", "_"): counts_of(table, [label]) for label, name in enumerate(PARTS[:BACKGROUND])}
    counts["brows"] = counts["left_brow"] + counts["right_brow"]
    counts["eyes"] = counts["left_eye"] + counts["right_eye"]
    counts["brows_union"] = counts_of(table, [BROW, BROW + 1])
    counts["eyes_union"] = counts_of(table, [EYE, EYE + 1])
    counts["mouth"] = counts_of(table, [UPPER_LIP, INNER_MOUTH, LOWER_LIP])
    counts["overall"] = sum((counts[name] for name in GROUPS), Counts(0, 0, 0))
    counts["overall_binary"] = counts_of(table, range(BACKGROUND))
    return counts


def f_measures(table: Confusion) -> dict[str, float | None]:
    """F of each part and of the whole in its three readings, in [0, 1]; None where there is nothing to measure."""
    found = {name: counts.f for name, counts in part_counts(table).items()}
    return found | {"overall_mean": mean_of_columns(found)}


def mean_of_columns(found: dict[str, float | None]) -> float | None:
    """The mean of F over the seven columns of the paper's table, as the follow-up's helper has it; None if one is None.

    (That helper averages what it has after each image; here each column's F is that of the whole set.)
    """
    columns = [value for name in COLUMNS if (value := found[name]) is not None]
    return sum(columns) / len(COLUMNS) if len(columns) == len(COLUMNS) else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
