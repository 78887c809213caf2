"""Measures what each model composed, and real pieces in the same way, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.melodies import BAR, Events, load
from tenfold.errors import UserError
from tenfold.files import read_json, write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.melody.classifier import described, tell_apart
from tenfold.papers.melody.composed import Composed, read_composed
from tenfold.papers.melody.conditions import FREE, TUNE
from tenfold.papers.melody.measures import (
    LAGS,
    Shared,
    compression,
    curve_distance,
    guidance,
    idle_note_offs,
    irregular,
    repetition,
    rhythm,
    rhythms_of_bars,
    same_rhythm,
    self_similarity,
)
from tenfold.papers.melody.mgeval import compare_sets, features_of, mean_overlap
from tenfold.papers.melody.profiles import Floats, read_centres
from tenfold.papers.melody.tunes import twinkle


@stage
def measure(cfg: Cfg, job: Job, *, data: Input, generated: Input, profiles: Input, measures: Output) -> None:
    """The measures of what one model composed with one decoding rule, a row for each seed.

    Args:
        cfg: ``seeds``, and ``bars``, the length of composed pieces.
        job: what surrounds the run.
        data: the corpus.
        generated: all that was composed.
        profiles: of the same seeds, with their divisions of the corpus.
        measures: JSON.
    """
    rows = []
    for seed, corpus in corpora(cfg, data, profiles).items():
        row = of_composed(read_composed(generated, seed), corpus, read_centres([profiles], seed), seed)
        job.say(f"seed {seed}: L1 distance of rhythm repetition {row['rhythm_repetition_distance']:.3f}")
        rows.append(row)
    write_json(measures, {"rows": rows})


@stage
def measure_real(cfg: Cfg, job: Job, *, data: Input, profiles: Input, training: Output, held_out: Output) -> None:
    """The same measures of real pieces: the training pieces as the reference, held-out ones as what can be expected."""
    divided = corpora(cfg, data, profiles)
    write_json(training, {"rows": [of_corpus(corpus, seed) for seed, corpus in divided.items()]})
    write_json(held_out, {"rows": [of_real(corpus, seed) for seed, corpus in divided.items()]})
    job.say(f"real pieces of {len(divided)} divisions of the corpus")


def corpora(cfg: Cfg, data: Path, profiles: Path) -> dict[int, Corpus]:
    """The corpus as each seed divides it, in excerpts as long as the composed pieces."""
    pieces, found = load(data).pieces, {}
    for row in read_json(profiles)["rows"]:
        train, test = ([pieces[i] for i in row["split"][part]] for part in ("train", "test"))
        found[row["seed"]] = Corpus(train, test, cfg["bars"], row["seed"])
    return {seed: found[seed] for seed in cfg["seeds"]}


class Corpus:
    """The real pieces of one seed's split, and excerpts of them as long as the generated pieces.

    Args:
        train: the pieces that models are trained on.
        held_out: those that decide nothing.
        bars: length of an excerpt.
        seed: divides the excerpts of all tunes in two random halves, one of which is the reference.

    Raises:
        UserError: too few pieces are long enough.
    """

    def __init__(self, train: Sequence[Events], held_out: Sequence[Events], bars: int, seed: int) -> None:
        self.train, self.bars = train, bars
        self.excerpts, self.held_out = self._beginnings(train), self._beginnings(held_out)
        every = [*self.excerpts, *self.held_out]
        order = np.random.default_rng(seed).permutation(len(every))
        half = len(every) // 2
        if half < 2 or not self.held_out:
            raise UserError(f"too few pieces have {bars} bars to measure with: lower compose.bars in the configuration")
        self.reference, self.rest = ([every[i] for i in part] for part in (order[:half], order[half : 2 * half]))

    def _beginnings(self, pieces: Sequence[Events]) -> list[Events]:
        steps = BAR * self.bars
        return [piece[:steps] for piece in pieces if len(piece) >= steps]

    @cached_property
    def shared(self) -> Shared:
        """The training pieces, to look for copies in."""
        return Shared(self.train)

    @cached_property
    def rhythms(self) -> set[bytes]:
        """The rhythms of all bars of the training pieces."""
        return rhythms_of_bars(self.train)


def structure(pieces: Sequence[Events], corpus: Corpus) -> dict[str, Any]:
    """Repetition, irregular bars, self-similarity, compression and copies, beside those of the training excerpts."""
    found: dict[str, Any] = {"pieces": len(pieces)}
    for name, view in (("rhythm", rhythm), ("pitch", np.asarray)):
        curve, of_corpus = (repetition([view(piece) for piece in of], LAGS) for of in (pieces, corpus.excerpts))
        found[f"{name}_repetition"] = curve
        found[f"{name}_repetition_distance"] = curve_distance(curve, of_corpus)
    similar, usual = self_similarity(pieces), self_similarity(corpus.excerpts)
    longest = [corpus.shared.longest(piece) for piece in pieces]
    return found | {
        "irregular": irregular(pieces, corpus.rhythms),
        "self_similarity": similar.tolist(),
        "self_similarity_distance": float(np.mean(np.abs(similar - usual))),
        "compression": float(np.mean([compression(piece) for piece in pieces])),
        "idle_note_offs": idle_note_offs(pieces),
        "longest_copy": float(np.mean(longest)),
        "longest_copy_of_all": max(longest),
    }


def likeness(pieces: Sequence[Events], corpus: Corpus, seed: int) -> dict[str, Any]:
    """Distances to the reference half of the real excerpts, and what a classifier makes of both."""
    n = min(len(pieces), len(corpus.reference))
    real, other = corpus.reference[:n], pieces[:n]
    compared = compare_sets(features_of(real), features_of(other))
    return {
        "compared": n,
        "mgeval": compared,
        "overlap": mean_overlap(compared),
        "classifier": tell_apart(described(real), described(other), np.random.default_rng(seed)),
    }


def of_real(corpus: Corpus, seed: int) -> dict[str, Any]:
    """What held-out pieces reach, and for likeness the other half of the real excerpts: the floor of the measures."""
    return {"seed": seed, **structure(corpus.held_out, corpus), **likeness(corpus.rest, corpus, seed)}


def of_corpus(corpus: Corpus, seed: int) -> dict[str, Any]:
    """The training excerpts themselves: the curves that distances are measured from."""
    curves = {
        f"{name}_repetition": repetition([view(piece) for piece in corpus.excerpts], LAGS)
        for name, view in (("rhythm", rhythm), ("pitch", np.asarray))
    }
    return {
        "seed": seed,
        "pieces": len(corpus.excerpts),
        **curves,
        "self_similarity": self_similarity(corpus.excerpts).tolist(),
        "compression": float(np.mean([compression(piece) for piece in corpus.excerpts])),
    }


def of_composed(sets: dict[str, Composed], corpus: Corpus, centres: dict[str, Floats], seed: int) -> dict[str, Any]:
    """What one model composed with one decoding rule.

    Args:
        sets: by condition; ``FREE`` is what the model composed by itself.
        corpus: the real pieces of the seed's split.
        centres: the ``beat`` and ``bar`` profiles of that split.
        seed: the seed.
    """
    free = list(sets[FREE].events)
    row = {"seed": seed, **structure(free, corpus), **likeness(free, corpus, seed)}
    row["guidance"] = {condition: guidance_of(composed, centres) for condition, composed in sets.items()}
    if TUNE in sets:
        row["tune"] = same_rhythm(list(sets[TUNE].events), twinkle())
    return row


def guidance_of(composed: Composed, centres: dict[str, Floats]) -> dict[str, dict[str, float]]:
    """For each layer above the notes, how well the pieces follow it."""
    layers = {"beat": composed.beats, "bar": composed.bars}
    return {
        layer: guidance(list(composed.events), list(fed), centres[layer])
        for layer, fed in layers.items()
        if fed is not None
    }


if __name__ == "__main__":
    main(measure, measure_real)
