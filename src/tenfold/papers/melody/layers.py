"""The layers of a model as they are trained: sequences, inputs with their conditions, windows, losses, measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from tenfold.data.melodies import CLASSES, FIRST_NOTE, NO_EVENT, Events
from tenfold.launcher import Cfg
from tenfold.papers.melody.method import (
    LAYERS,
    STEPS,
    Composer,
    EventLSTM,
    conditions,
    event_of,
    input_size,
    log_likelihood,
    lookback,
    repeat_labels,
)
from tenfold.papers.melody.profiles import Floats, assign, clips
from tenfold.training.batches import Batches

BAR = STEPS["bar"]
PADDED = -100  # the label of steps behind the end of a piece
PIECES_AT_ONCE = 16

Centres = dict[str, Floats]
Sequences = dict[str, Tensor]  # of one piece: for each layer int64 (symbols,)


@dataclass(frozen=True)
class Layer:
    """One layer of a model.

    Attributes:
        name: bar, beat or note.
        classes: number of symbols.
        above: the layers that tell it something, with their numbers of profiles, those of beats first.
        distances: of the lookback, in own steps.
        bits: of the lookback's counter.
        coding: of the labels: plain, or repeat.
    """

    name: str
    classes: int
    above: tuple[tuple[str, int], ...]
    distances: tuple[int, ...]
    bits: int
    coding: str = "plain"

    @property
    def repeats(self) -> tuple[int, ...]:
        """The distances that labels may name."""
        return self.distances if self.coding == "repeat" else ()

    def net(self, width: int, depth: int, dropout: float) -> EventLSTM:
        """A fresh net of this layer."""
        inputs = input_size(self.classes, self.distances, self.bits)
        told = sum(classes for _, classes in self.above)
        labels = self.classes + len(self.repeats)
        return EventLSTM(inputs, told, labels, width=width, depth=depth, dropout=dropout)

    def composer(self, net: EventLSTM) -> Composer:
        """What writes with a trained net of this layer."""
        return Composer(net, self.classes, self.distances, self.bits)

    def told(self, profiles: Sequences, steps: int, n: int) -> Tensor:
        """The conditions int8 (n, steps, C), C = 0 without layers above, from their profiles (n, K)."""
        if not self.above:
            return torch.zeros(n, steps, 0, dtype=torch.int8)
        return conditions([(profiles[name], classes) for name, classes in self.above], steps)

    def inputs(self, piece: Sequences) -> Tensor:
        """What the net sees of a piece when it predicts each symbol: int8 (symbols, lookback + conditions)."""
        events = piece[self.name][None]
        seen = lookback(events, self.classes, self.distances, self.bits)
        told = self.told({name: piece[name][None] for name, _ in self.above}, events.shape[1], 1)
        return torch.cat([seen, told], dim=2)[0]

    def labels(self, piece: Sequences) -> Tensor:
        """What the net is to predict: int64 (symbols,)."""
        return repeat_labels(piece[self.name][None], self.classes, self.repeats)[0]


def layers_of(variant: Cfg, centres: Centres) -> dict[str, Layer]:
    """The layers of a model with plain labels, from the top.

    Args:
        variant: ``layers`` and ``lookback`` (distances of each layer, ``counter`` bits).
        centres: the profiles of bars and of beats.
    """
    classes = {"bar": len(centres["bar"]), "beat": len(centres["beat"]), "note": CLASSES}
    found = {}
    for name in LAYERS:
        if name in variant["layers"]:
            above = tuple((other, classes[other]) for other in ("beat", "bar") if other in found)
            distances = tuple(variant["lookback"][name])
            found[name] = Layer(name, classes[name], above, distances, variant["lookback"]["counter"])
    return found


def sequences(piece: Events, centres: Centres) -> Sequences:
    """A piece as the sequences of all layers; profiles are a function of its notes."""
    found = {layer: torch.from_numpy(assign(clips([piece], layer), centres[layer])) for layer in ("bar", "beat")}
    return found | {"note": torch.from_numpy(piece.astype(np.int64))}


# Training ---------------------------------------------------------------------------------------------------------


def window_batches(
    layer: Layer, pieces: Sequence[Sequences], *, bars: int, hop: int, batch_size: int, seed: int, device: torch.device
) -> Batches:
    """Batches ``(inputs, labels)`` of windows, float32 (B, T, ...) and int64 (B, T); equal seeds, equal order.

    [choice] The lookback sees the whole piece, the state of the net begins with the window. The last window of a piece
    ends with it; a piece shorter than a window is one, padded.

    Args:
        layer: whose sequences.
        pieces: of the training set.
        bars: length of a window.
        hop: bars from one window to the next.
        batch_size: windows in a batch.
        seed: of the order.
        device: where batches are made.
    """
    per_bar = BAR // STEPS[layer.name]
    inputs, labels = [], []
    for piece in pieces:
        seen, wanted = layer.inputs(piece), layer.labels(piece)
        for start in window_starts(len(piece["bar"]), bars, hop):
            inputs.append(seen[start * per_bar : (start + bars) * per_bar])
            labels.append(wanted[start * per_bar : (start + bars) * per_bar])
    all_inputs = pad_sequence(inputs, batch_first=True).to(device)
    all_labels = pad_sequence(labels, batch_first=True, padding_value=PADDED).to(device)

    def make(indices: Tensor) -> tuple[Tensor, Tensor]:
        chosen = indices.to(device)
        return all_inputs[chosen].float(), all_labels[chosen]

    return Batches(len(inputs), batch_size, make, seed)


def window_starts(length: int, bars: int, hop: int) -> list[int]:
    """Bars at which the windows of a piece start: every ``hop``, and one that ends with the piece."""
    last = max(length - bars, 0)
    return sorted({*range(0, last, hop), last})


def window_losses(net: nn.Module, batch: Any) -> dict[str, Tensor]:
    """Mean ``-log p`` of the labels (Eq. 1), and per window how many labels of both kinds there were and were right.

    An event is a label other than 0, which is no-event, or the commonest profile.
    """
    inputs, labels = batch
    logits = net(inputs)[0].float()
    right = logits.detach().argmax(2) == labels
    events, no_events = labels > 0, labels == 0
    counts = {
        "event": events,
        "no_event": no_events,
        "event_right": right & events,
        "no_event_right": right & no_events,
    }
    return {
        "loss": F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=PADDED),
        **{name: count.sum() / len(labels) for name, count in counts.items()},
    }


# Measuring --------------------------------------------------------------------------------------------------------


@dataclass
class Score:
    """What a layer says of some pieces, summed over their steps.

    Attributes:
        nats: ``-log P`` of the symbols.
        label_nats: ``-log p`` of the labels, which with repeat labels is more than that of the symbols.
        symbols: how many there are.
        sixteenths: how long the pieces are.
        event: labels other than 0, and how many of them are predicted.
        no_event: labels 0, likewise.
        onset: note-ons, and at how many of them something else than no-event is predicted.
    """

    nats: float = 0.0
    label_nats: float = 0.0
    symbols: int = 0
    sixteenths: int = 0
    event: tuple[int, int] = (0, 0)
    no_event: tuple[int, int] = (0, 0)
    onset: tuple[int, int] = (0, 0)

    @property
    def accuracy(self) -> dict[str, float]:
        """Shares in [0, 1]; those of kinds that do not occur are left out."""
        kinds = {"event": self.event, "no_event": self.no_event, "onset": self.onset}
        return {name: right / of for name, (of, right) in kinds.items() if of}


@torch.no_grad()
def score(net: EventLSTM, layer: Layer, pieces: Sequence[Sequences], device: torch.device) -> Score:
    """Measures a layer on whole pieces, in float32; each begins with the state zero."""
    was_training = net.training
    net.eval()
    total = Score()
    for start in range(0, len(pieces), PIECES_AT_ONCE):
        part = pieces[start : start + PIECES_AT_ONCE]
        inputs = pad_sequence([layer.inputs(piece) for piece in part], batch_first=True).float().to(device)
        labels = pad_sequence([layer.labels(piece) for piece in part], batch_first=True, padding_value=PADDED)
        events = pad_sequence([piece[layer.name] for piece in part], batch_first=True)
        logits = net(inputs)[0].float().cpu()
        valid = labels != PADDED
        add(total, layer, logits, labels, events, valid)
    net.train(was_training)
    return total


def add(total: Score, layer: Layer, logits: Tensor, labels: Tensor, events: Tensor, valid: Tensor) -> None:
    """Adds a batch to a score; ``valid`` (B, T) says which steps are not behind the end of their piece."""
    total.nats -= float(log_likelihood(logits, events, layer.repeats)[valid].double().sum())
    total.label_nats += float(F.cross_entropy(logits[valid].double(), labels[valid], reduction="sum"))
    total.symbols += int(valid.sum())
    total.sixteenths += int(valid.sum()) * STEPS[layer.name]
    predicted = logits.argmax(2)
    right = predicted == labels
    onsets = valid & (events >= FIRST_NOTE)
    something = event_of(predicted, events, layer.classes, layer.repeats) != NO_EVENT
    total.event = _counted(total.event, valid & (labels != 0), right)
    total.no_event = _counted(total.no_event, valid & (labels == 0), right)
    if layer.name == "note":
        total.onset = _counted(total.onset, onsets, something)


def _counted(so_far: tuple[int, int], those: Tensor, right: Tensor) -> tuple[int, int]:
    return so_far[0] + int(those.sum()), so_far[1] + int((those & right).sum())
