"""Clips as the stages use them: which captions tags are taken of, which are learned and referred to, and their words.

Where there are videos, all captions of a clip are for both. Without videos (the *decoder-only proxy*), tags are taken
of one half of a clip's captions, and the other half is what is learned and referred to: a test of language, not of
seeing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from tenfold.data.captions import SPLITS, load
from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.papers.video_captioning.method import END

END_WORD, UNKNOWN = "<end>", "<unknown>"

Sentences = list[list[list[str]]]  # for each clip its captions


@dataclass(frozen=True)
class Clips:
    """One split.

    Attributes:
        told: the captions that tags are taken of.
        written: the captions that are learned, or referred to.
    """

    told: Sentences
    written: Sentences


def read_clips(path: Path, proxy: bool) -> dict[str, Clips]:
    """All splits of a dataset; of a clip with one caption, both halves are that one.

    Args:
        path: the prepared file.
        proxy: whether to take tags of every other caption, and to write the others.
    """
    found = {}
    for name, split in load(path).splits.items():
        halves = [
            (of_clip[::2], of_clip[1::2] or of_clip) if proxy else (of_clip, of_clip) for of_clip in split.captions
        ]
        found[name] = Clips([told for told, _ in halves], [written for _, written in halves])
    return found


@dataclass(frozen=True)
class Words:
    """A vocabulary, with the end as word 0 and what is unknown as word 1, and the tags.

    Attributes:
        words: by number.
        tags: by number.
    """

    words: list[str]
    tags: list[str]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def encode(self, caption: Sequence[str]) -> list[int]:
        """The numbers of a caption's words, and the end."""
        return [*(self.numbers.get(word, 1) for word in caption), END]

    def decode(self, numbers: Sequence[int]) -> list[str]:
        """The words of a caption."""
        return [self.words[number] for number in numbers]

    def present(self, captions: Sentences) -> Tensor:
        """Which tags occur in any caption of each clip: float32 (N, tags)."""
        found = [{word for caption in of_clip for word in caption} for of_clip in captions]
        return torch.tensor([[tag in words for tag in self.tags] for words in found], dtype=torch.float32)


def read_words(path: Path) -> Words:
    """A vocabulary that the stage ``words`` wrote."""
    content = read_json(path)
    return Words(content["words"], content["tags"])


def count(splits: Sequence[Sentences]) -> Counter[str]:
    """How often each word occurs."""
    return Counter(word for split in splits for of_clip in split for caption in of_clip for word in caption)


def standardised(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """Features of all splits with mean 0 and deviation 1 on the training clips; constant ones are 0."""
    train = features["train"]
    mean, deviation = train.mean(0), train.std(0)
    scale = torch.where(deviation > 1e-6, 1 / deviation.clamp(min=1e-6), 0.0)
    return {name: (values - mean) * scale for name, values in features.items()}


def features_of(found: dict[str, Tensor], which: str) -> dict[str, Tensor]:
    """Features by split: ``static``, ``dynamic``, ``both``; without videos ``tags``.

    Raises:
        UserError: there are none of that kind, as without videos.
    """
    kinds = ["static", "dynamic"] if which == "both" else [which]
    if missing := [kind for kind in kinds if f"train/{kind}" not in found]:
        raise UserError(f"features: there are no {missing[0]} ones at this edition (config/papers: captioners)")
    return {name: torch.cat([found[f"{name}/{kind}"] for kind in kinds], 1) for name in SPLITS}
