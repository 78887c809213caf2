"""Composes with trained models: by themselves, and under profiles that are given to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tenfold.data.melodies import BAR, BEAT, Melodies, load
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.melody.layers import Centres, Layer, Sequences, layers_of, sequences
from tenfold.papers.melody.measures import Shared
from tenfold.papers.melody.method import Composer
from tenfold.papers.melody.profiles import bars_of_beats
from tenfold.papers.melody.split import split
from tenfold.papers.melody.tunes import twinkle
from tenfold.training.compute import start
from tenfold.weights import below, load_weights, save_weights

BEATS_PER_BAR = BAR // BEAT

OF_REAL = ("true", "shuffled")  # conditions whose pieces have the rhythm of real ones
SHOWN = 20  # pieces of a condition, enough for figures, MIDI files and the page for listeners

Tensors = dict[str, Tensor]


@stage
def generate(cfg: Cfg, job: Job, *, data: Input, weights: Input, every: Output, shown: Output) -> None:
    """Pieces of one model and one decoding rule, for each seed.

    By itself a model begins with a primer from a validation piece drawn at random (Sec. 4.1): one bar profile, one
    beat profile, one beat of notes. Under given profiles only the beat of notes is primed [choice], with one from the
    validation pieces that has the first of the given beat profiles.

    Args:
        cfg: the job's configuration.
        job: what surrounds the run.
        data: the corpus.
        weights: of the model.
        every: ``seed0/events`` int8 (pieces, steps), ``seed0/beats`` and ``seed0/bars``, the profiles that they were
            generated under; ``seed0/true/events`` and so on, under given profiles. It is private: a piece may be a
            tune of the training set.
        shown: the first ``SHOWN`` pieces of each condition, without those that have more than ``longest_copy`` events
            in a row from a training piece, and none that were composed under a real piece's profiles.
    """
    start({"device": "cpu", "precision": "fp32"}, job)
    corpus, saved = load(data), load_weights(weights)
    kept: list[Tensors] = [{}, {}]
    for seed in cfg["seeds"]:
        model = Model(cfg, seed, corpus, below(f"seed{seed}", saved))
        known = Shared([corpus.pieces[i] for i in model.parts.train])
        for condition, given in model.conditions().items():
            composed = model.compose(given)
            prefix = f"seed{seed}/{condition}".rstrip("/")
            kept[0] |= {f"{prefix}/{name}": tensor for name, tensor in composed.items()}
            new = [known.longest(piece) <= cfg["longest_copy"] for piece in composed["events"].numpy()]
            if condition not in OF_REAL:
                some = torch.tensor(new).nonzero().flatten()[:SHOWN]
                kept[1] |= {f"{prefix}/{name}": tensor[some] for name, tensor in composed.items()}
            job.say(
                f"seed {seed}: {len(new)} pieces, {condition or 'free'}, {len(new) - sum(new)} of them too like others"
            )
    for path, tensors in zip((every, shown), kept, strict=True):
        save_weights(path, tensors)


@dataclass(frozen=True)
class Given:
    """What the composing of some pieces begins with.

    Attributes:
        bars: length of the pieces.
        profiles: given profiles int64 (pieces, clips), by layer; layers that are not here are drawn.
        primers: the first symbols of the layers that are drawn, int64 (pieces, symbols).
    """

    bars: int
    profiles: Sequences
    primers: Sequences


class Model:
    """One seed's trained model.

    Args:
        cfg: the job's configuration.
        seed: the seed.
        corpus: the corpus, divided as in training.
        saved: its weights and centres.
    """

    def __init__(self, cfg: Cfg, seed: int, corpus: Melodies, saved: Tensors) -> None:
        self.cfg = cfg
        self.parts = split(corpus.pieces, **cfg["corpus"], seed=seed)
        self.centres: Centres = {name: centre.numpy() for name, centre in below("centres", saved).items()}
        self.layers = layers_of(cfg["variant"], self.centres)
        self.composers = {name: composer(cfg, layer, below(name, saved)) for name, layer in self.layers.items()}
        self.generator = torch.Generator().manual_seed(seed)
        self.validation, self.test = (
            [sequences(corpus.pieces[i], self.centres) for i in part]
            for part in (self.parts.validation, self.parts.test)
        )

    def compose(self, given: Given) -> Tensors:
        """Pieces: ``events`` int8 (pieces, steps), and of layers above ``beats``, ``bars`` uint8 (pieces, clips)."""
        made = dict(given.profiles)
        for name, layer in self.layers.items():
            if name not in made:
                per_bar = {"bar": 1, "beat": BEATS_PER_BAR, "note": BAR}[name]
                made[name] = self.write(name, layer.told(made, given.bars * per_bar, len(given.primers[name])),
                                        given.primers[name])  # fmt: skip
        pieces = {"events": made["note"].to(torch.int8)}
        return pieces | {f"{name}s": made[name].to(torch.uint8) for name in ("beat", "bar") if name in self.layers}

    def write(self, name: str, told: Tensor, primer: Tensor) -> Tensor:
        """The sequence of one layer, by the decoding rule."""
        if self.cfg["decoding"] == "beam":
            return self.composers[name].beam(told, primer, self.cfg["beam"])
        return self.composers[name].sample(told, primer, self.generator)

    # What pieces begin with ---------------------------------------------------------------------------------------

    def conditions(self) -> dict[str, Given]:
        """By condition; "" is what the model composes by itself."""
        cfg = self.cfg
        found = {"": self.free(cfg["pieces"], cfg["bars"])}
        if "beat" not in self.layers:
            return found
        real = [piece for piece in self.test if len(piece["bar"]) >= cfg["bars"]]
        if real:
            found["true"] = self.under([self.cut(real[i % len(real)]) for i in range(cfg["guided"])])
            found["shuffled"] = self.under([self.shuffled(self.cut(real[i % len(real)])) for i in range(cfg["guided"])])
        found["twinkle"] = self.under([sequences(twinkle(), self.centres)] * cfg["guided"])
        for numbers in cfg["probes"]["beats"]:
            if max(numbers) <= len(self.centres["beat"]):
                found[named("beats", numbers)] = self.under([self.by_hand("beat", numbers)] * cfg["guided"])
        for numbers in cfg["probes"]["bars"] if "bar" in self.layers else ():
            if max(numbers) <= len(self.centres["bar"]):
                found[named("bars", numbers)] = self.under([self.by_hand("bar", numbers)] * cfg["guided"])
        return found

    def free(self, pieces: int, bars: int) -> Given:
        """Nothing given but primers: the beginnings of validation pieces."""
        drawn = torch.randint(len(self.validation), (pieces,), generator=self.generator)
        chosen = [self.validation[int(i)] for i in drawn]
        lengths = {"bar": 1, "beat": 1, "note": BEAT}
        return Given(bars, {}, {name: torch.stack([piece[name][: lengths[name]] for piece in chosen])
                                for name in self.layers})  # fmt: skip

    def under(self, wanted: Sequence[Sequences]) -> Given:
        """Pieces under given profiles; the bar profiles alone, where beats are to be drawn."""
        above = [name for name in self.layers if name != "note" and name in wanted[0]]
        profiles = {name: torch.stack([each[name] for each in wanted]) for name in above}
        bars = wanted[0]["bar"].shape[0]
        primers = {"note": torch.stack([self.beat_like(each) for each in wanted])}
        if "beat" not in above:
            primers["beat"] = torch.zeros(len(wanted), 0, dtype=torch.int64)
        return Given(bars, profiles, primers)

    def beat_like(self, wanted: Sequences) -> Tensor:
        """One beat of notes, int64 (4,), from the validation pieces: with the first of the wanted beat profiles."""
        beats = [piece["beat"] for piece in self.validation]
        notes = torch.cat([piece["note"].view(-1, BEAT) for piece in self.validation])
        if "beat" in wanted:
            right = torch.nonzero(torch.cat(beats) == wanted["beat"][0]).flatten()
            notes = notes[right] if len(right) else notes
        return notes[int(torch.randint(len(notes), (1,), generator=self.generator))]

    def cut(self, piece: Sequences) -> Sequences:
        """The profiles of a real piece's beginning."""
        bars = self.cfg["bars"]
        return {"bar": piece["bar"][:bars], "beat": piece["beat"][: bars * BEATS_PER_BAR]}

    def shuffled(self, piece: Sequences) -> Sequences:
        """Its bars, each with its beats, in random order."""
        order = torch.randperm(len(piece["bar"]), generator=self.generator)
        return {"bar": piece["bar"][order], "beat": piece["beat"].view(-1, BEATS_PER_BAR)[order].flatten()}

    def by_hand(self, layer: str, numbers: Sequence[int]) -> Sequences:
        """The paper's probes (Figures 6 and 7): profiles by number, from 1, repeated to the probe's length.

        Where beats are made by hand, bars are the profiles nearest to them [choice]; where bars are, beats are drawn.
        """
        bars = self.cfg["probes"]["length"]
        length = bars * (BEATS_PER_BAR if layer == "beat" else 1)
        given = torch.tensor([numbers[i % len(numbers)] - 1 for i in range(length)])
        if layer == "bar":
            return {"bar": given}
        return {"beat": given, "bar": torch.from_numpy(bars_of_beats(given.numpy(), self.centres))}


def named(layer: str, numbers: Sequence[int]) -> str:
    """``("beats", [1, 1, 1, 2])`` -> ``beats-1-1-1-2``."""
    return "-".join([layer, *map(str, numbers)])


def composer(cfg: Cfg, layer: Layer, weights: Tensors) -> Composer:
    """A trained layer, ready to write."""
    net = layer.net(**cfg["variant"]["net"])
    net.load_state_dict(weights)
    return layer.composer(net.eval())


if __name__ == "__main__":
    main(generate)
