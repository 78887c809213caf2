"""Scores of captions against references: BLEU, ROUGE-L and CIDEr-D by the rules of COCO's evaluation (pycocoevalcap).

One caption for each clip, any number of references, all of them words in lists: no tokeniser is applied. Scores are in
[0, 1], CIDEr in [0, 10]. METEOR is in `tenfold.measure.meteor`, since it is a program in Java.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Words = Sequence[str]
Grams = Counter[tuple[str, ...]]

ORDERS = (1, 2, 3, 4)  # words in a row that BLEU and CIDEr count
TINY, SMALL = 1e-15, 1e-9  # as in COCO's code, so that nothing is divided by zero
ROUGE_BETA = 1.2  # how much more recall counts than precision
CIDER_SIGMA, CIDER_SCALE = 6.0, 10.0


@dataclass(frozen=True)
class Scores:
    """The scores of a set of captions.

    Attributes:
        bleu: of the whole set, up to 1, 2, 3 and 4 words in a row.
        rouge: the mean over clips.
        cider: likewise.
    """

    bleu: tuple[float, ...]
    rouge: float
    cider: float

    def named(self) -> dict[str, float]:
        """By the names that tables use."""
        return {"bleu4": self.bleu[3], "cider": self.cider, "rouge": self.rouge}


class References:
    """The references of all clips, counted once; scores of captions against them.

    Args:
        references: for each clip its references.
    """

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        self.clips = [[list(words) for words in of_clip] for of_clip in references]
        self._grams = [[grams(words) for words in of_clip] for of_clip in self.clips]
        # In how many clips' references each run of words occurs: what is rare tells more.
        self._clips_with: Counter[tuple[str, ...]] = Counter(
            gram for of_clip in self._grams for gram in set().union(*of_clip)
        )
        self._vectors = [[self._vector(counts) for counts in of_clip] for of_clip in self._grams]
        self._most = [_maxima(of_clip) for of_clip in self._grams]

    def score(self, captions: Sequence[Words]) -> Scores:
        """Scores one caption for each clip.

        Raises:
            ValueError: there are not as many captions as clips.
        """
        of_clips = self.score_each(captions)
        return Scores(self.bleu(captions), *(math.fsum(scores) / len(scores) for scores in zip(*of_clips, strict=True)))

    def score_each(self, captions: Sequence[Words]) -> list[tuple[float, float]]:
        """ROUGE-L and CIDEr of each caption by itself."""
        self._check(captions)
        rouge = (rouge_l(caption, of_clip) for caption, of_clip in zip(captions, self.clips, strict=True))
        return list(zip(rouge, self._ciders(captions), strict=True))

    def bleu(self, captions: Sequence[Words]) -> tuple[float, ...]:
        """BLEU of the whole set (Papineni et al., 2002), with the length of the closest reference."""
        self._check(captions)
        right, guessed, closest = [0] * len(ORDERS), [0] * len(ORDERS), 0
        for caption, of_clip, most in zip(captions, self.clips, self._most, strict=True):
            closest += min((abs(len(words) - len(caption)), len(words)) for words in of_clip)[1]
            for gram, count in grams(caption).items():
                right[len(gram) - 1] += min(count, most.get(gram, 0))
            for order in ORDERS:
                guessed[order - 1] += max(0, len(caption) - order + 1)
        return bleu_of_counts(right, guessed, sum(map(len, captions)), closest)

    def _ciders(self, captions: Sequence[Words]) -> Iterable[float]:
        """CIDEr-D of each caption (Vedantam et al., 2015)."""
        for caption, vectors in zip(captions, self._vectors, strict=True):
            ours = self._vector(grams(caption))
            yield CIDER_SCALE * math.fsum(ours.similarity(theirs) for theirs in vectors) / len(vectors)

    def _vector(self, counts: Grams) -> _Vector:
        clips = math.log(len(self.clips))
        weights: list[dict[tuple[str, ...], float]] = [{} for _ in ORDERS]
        for gram, count in counts.items():
            weights[len(gram) - 1][gram] = count * (clips - math.log(max(1, self._clips_with[gram])))
        norms = [math.sqrt(math.fsum(weight**2 for weight in of_order.values())) for of_order in weights]
        return _Vector(weights, norms, sum(count for gram, count in counts.items() if len(gram) == 2))

    def _check(self, captions: Sequence[Words]) -> None:
        if len(captions) != len(self.clips):
            raise ValueError(f"{len(captions)} captions for {len(self.clips)} clips")


def grams(words: Words) -> Grams:
    """How often each run of one to four words occurs."""
    return Counter(tuple(words[i : i + order]) for order in ORDERS for i in range(len(words) - order + 1))


def _maxima(of_clip: Iterable[Grams]) -> dict[tuple[str, ...], int]:
    """For each run of words, how often it occurs in the reference that has it most often."""
    most: dict[tuple[str, ...], int] = {}
    for counts in of_clip:
        for gram, count in counts.items():
            most[gram] = max(count, most.get(gram, 0))
    return most


def bleu_of_counts(right: Sequence[int], guessed: Sequence[int], length: int, closest: int) -> tuple[float, ...]:
    """BLEU from the counts of the whole set.

    Args:
        right: for each order, runs of words that are in a reference too.
        guessed: for each order, all runs of words.
        length: words of all captions.
        closest: words of the references that are closest in length.
    """
    found, product = [], 1.0
    ratio = (length + TINY) / (closest + SMALL)
    penalty = 1.0 if ratio >= 1 else math.exp(1 - 1 / ratio)
    for order, (hits, tries) in enumerate(zip(right, guessed, strict=True), start=1):
        product *= (hits + TINY) / (tries + SMALL)
        found.append(product ** (1 / order) * penalty)
    return tuple(found)


def rouge_l(caption: Words, references: Sequence[Words]) -> float:
    """ROUGE-L of one caption (Lin, 2004), in COCO's form: best precision and best recall over all references."""
    if not caption:
        return 0.0
    common = [longest_common(caption, words) for words in references]
    precision = max(common) / len(caption)
    recall = max(n / len(words) for n, words in zip(common, references, strict=True) if words)
    if not precision:
        return 0.0
    weight = ROUGE_BETA**2
    return (1 + weight) * precision * recall / (recall + weight * precision)


def longest_common(first: Words, second: Words) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for j, other in enumerate(second, start=1):
            above = row[j]
            row[j] = diagonal + 1 if word == other else max(above, row[j - 1])
            diagonal = above
    return row[-1]


@dataclass(frozen=True)
class _Vector:
    """Weights of a caption's runs of words, order by order, their norms, and the number of pairs of words."""

    weights: list[dict[tuple[str, ...], float]]
    norms: list[float]
    pairs: int

    def similarity(self, reference: _Vector) -> float:
        """CIDEr-D: clipped cosines, the mean over orders, less where lengths differ."""
        total = 0.0
        for ours, theirs, norm, other in zip(self.weights, reference.weights, self.norms, reference.norms, strict=True):
            common = math.fsum(
                min(weight, theirs[gram]) * theirs[gram] for gram, weight in ours.items() if gram in theirs
            )
            total += common / (norm * other) if norm and other else common
        return total / len(ORDERS) * math.exp(-((self.pairs - reference.pairs) ** 2) / (2 * CIDER_SIGMA**2))


def overall(of_model: Mapping[str, float], best: Mapping[str, float]) -> float:
    """The paper's overall score: the mean over metrics of a model's score over the best one in the table."""
    return math.fsum(of_model[name] / best[name] for name in best) / len(best)
