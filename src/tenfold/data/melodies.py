"""Melodies as arrays of events, one for each sixteenth of a 4/4 bar, and the one file that holds a corpus of them.

The file is a safetensors file: ``events`` int8 (steps of all pieces), ``offsets`` int64 (pieces + 1), and metadata
``melodies`` (JSON): name, titles, how many scores were left out for which reason.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save

from tenfold.errors import UserError
from tenfold.files import canonical_json

NO_EVENT, NOTE_OFF, FIRST_NOTE = 0, 1, 2
LOWEST, HIGHEST = 48, 83  # MIDI numbers of the pitches that have a class: three octaves from C
CLASSES = FIRST_NOTE + HIGHEST - LOWEST + 1
BEAT, BAR = 4, 16  # steps

KEY = "melodies"

Events = NDArray[np.int8]


@dataclass(frozen=True)
class Melodies:
    """A corpus.

    Attributes:
        name: of the dataset.
        pieces: events int8 (16 bars,) each.
        titles: of the pieces.
        dropped: reason -> how many scores were left out for it.
    """

    name: str
    pieces: list[Events]
    titles: list[str]
    dropped: dict[str, int]


def write(path: Path, melodies: Melodies) -> None:
    """Writes a corpus: equal content, equal bytes."""
    offsets = np.cumsum([0, *map(len, melodies.pieces)], dtype=np.int64)
    events = np.concatenate([*melodies.pieces, np.zeros(0, dtype=np.int8)])
    facts = {"name": melodies.name, "titles": melodies.titles, "dropped": melodies.dropped}
    # One metadata key only: safetensors writes several of them in random order.
    path.write_bytes(save({"events": events, "offsets": offsets}, {KEY: canonical_json(facts)}))


def load(path: Path) -> Melodies:
    """Reads a corpus.

    Raises:
        UserError: it has no melodies.
    """
    with safe_open(path, "numpy") as file:
        metadata = file.metadata() or {}
    if KEY not in metadata:
        raise UserError(f"{path}: has no melodies; a paper on melodies needs a dataset of them (config/papers: data)")
    facts, tensors = json.loads(metadata[KEY]), load_file(path)
    offsets = tensors["offsets"]
    pieces = [tensors["events"][start:end] for start, end in itertools.pairwise(offsets)]
    return Melodies(facts["name"], pieces, facts["titles"], facts["dropped"])
