"""What is measured of captions: scores against references, lengths, variety, and words of one kind that are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tenfold.measure.captions import References
from tenfold.measure.meteor import meteor
from tenfold.papers.video_captioning.clips import Sentences, Words
from tenfold.papers.video_captioning.method import END, Captioner, beam, captions_going_on, greedy

CLIPS_AT_ONCE = 256
POSITIONS = 15  # of a caption, whose accuracy is noted
FEWEST = 10  # captions that have a word at a place; fewer say nothing of it
FIFTH = 4  # the first place from which on errors are taken to add up
LONGEST = 20  # of the lengths that are counted one by one; longer ones count as this

Numbers = list[list[int]]


def written_by(net: Captioner, z: Tensor, s: Tensor, steps: int, size: int = 1) -> Numbers:
    """Captions of clips, greedy or with a beam, as numbers of words without the end."""
    found: Numbers = []
    for part_z, part_s in zip(z.split(CLIPS_AT_ONCE), s.split(CLIPS_AT_ONCE), strict=True):
        found += greedy(net, part_z, part_s, steps) if size == 1 else beam(net, part_z, part_s, size, steps)
    return found


def measures(
    captions: Sequence[Sequence[str]],
    references: References,
    *,
    kinds: Mapping[str, Sequence[str]],
    jar: Path | None = None,
) -> dict[str, Any]:
    """Scores of captions, one for each clip.

    Args:
        captions: their words.
        references: of the same clips.
        kinds: names of words that are told apart, and these.
        jar: the program of METEOR, if it is to be measured.

    Returns:
        ``bleu4``, ``rouge`` in [0, 1], ``cider`` in [0, 10], ``meteor`` (null: not measured); ``length``, the mean;
        ``lengths``, how many have 0, 1, ... words; ``distinct``, the share of different ones; for each kind the share
        of its words that are in a reference of their clip, ``right``, and of captions that have such words, ``named``.
    """
    lengths = [len(caption) for caption in captions]
    return {
        **references.score(captions).named(),
        "meteor": None if jar is None else meteor(jar, captions, references.clips),
        "length": sum(lengths) / len(lengths),
        "lengths": lengths_of(captions),
        "distinct": len({tuple(caption) for caption in captions}) / len(captions),
        "kinds": {kind: _of_kind(captions, references.clips, set(words)) for kind, words in kinds.items()},
    }


def lengths_of(captions: Sequence[Sequence[str]]) -> list[int]:
    """How many captions have 0, 1, ... words; the last number counts the longer ones too."""
    counts = [0] * (LONGEST + 1)
    for caption in captions:
        counts[min(len(caption), LONGEST)] += 1
    return counts


def _of_kind(captions: Sequence[Sequence[str]], clips: Sentences, words: set[str]) -> dict[str, float]:
    named = right = uses = 0
    for caption, of_clip in zip(captions, clips, strict=True):
        told = [word for word in caption if word in words]
        known = {word for reference in of_clip for word in reference}
        named += bool(told)
        uses += len(told)
        right += sum(word in known for word in told)
    return {"right": right / uses if uses else 0.0, "named": named / len(captions)}


@torch.no_grad()
def by_position(
    net: Captioner, z: Tensor, s: Tensor, written: Numbers, references: Sentences, words: Words
) -> dict[str, list[float]]:
    """How often the word at each place is one that a reference has there, the end included.

    ``free`` after the model's own words, ``forced`` after those of the first reference of each clip, up to the last
    place that `FEWEST` captions have; ``written``, how many of the model's own have the place. Where ``free`` falls
    behind ``forced``, errors add up.

    Args:
        net: in eval mode.
        z: features.
        s: tags.
        written: the model's greedy captions.
        references: of the same clips.
        words: the vocabulary.
    """
    encoded = [[words.encode(caption) for caption in of_clip] for of_clip in references]
    places = [
        [{numbers[t] for numbers in of_clip if t < len(numbers)} for t in range(POSITIONS)] for of_clip in encoded
    ]
    forced = taught(net, z, s, [of_clip[0] for of_clip in encoded])
    free = [[*numbers, END] for numbers in written]
    found = {name: _right_at(said, places) for name, said in (("free", free), ("forced", forced))}
    return {**found, "written": [sum(t < len(numbers) for numbers in free) for t in range(len(found["free"]))]}


def behind(positions: Mapping[str, Sequence[float]]) -> float:
    """How far words after own ones fall behind words after given ones, from the fifth on; 0 where there are none.

    The mean over the model's own words, so that places which few captions have count little.
    """
    places = list(zip(positions["forced"], positions["free"], positions["written"], strict=False))[FIFTH:]
    words = sum(count for _, _, count in places)
    return sum(count * (forced - free) for forced, free, count in places) / words if words else 0.0


def taught(net: Captioner, z: Tensor, s: Tensor, fed: Numbers) -> Numbers:
    """The likeliest word at each place of captions, after the words before it."""
    order = sorted(range(len(fed)), key=lambda clip: -len(fed[clip]))
    found: Numbers = [[] for _ in fed]
    for start in range(0, len(order), CLIPS_AT_ONCE):
        clips = order[start : start + CLIPS_AT_ONCE]
        lengths = torch.tensor([len(fed[clip]) for clip in clips])
        words = pad_sequence([torch.tensor(fed[clip]) for clip in clips], batch_first=True).to(z.device)
        likeliest = iter(net(z[clips], s[clips], words, lengths).argmax(1).tolist())
        for count in captions_going_on(lengths):
            for clip in clips[:count]:
                found[clip].append(next(likeliest))
    return found


def _right_at(said: Numbers, places: Sequence[Sequence[set[int]]]) -> list[float]:
    shares = []
    for t in range(POSITIONS):
        right = [numbers[t] in of_clip[t] for numbers, of_clip in zip(said, places, strict=True) if t < len(numbers)]
        if len(right) < FEWEST:
            break
        shares.append(sum(right) / len(right))
    return shares
