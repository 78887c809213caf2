"""Clips with captions, and the one file that holds them.

The file is a safetensors file: for each split ``<split>_text`` uint8 (captions clip by clip, UTF-8, a line each) and
``<split>_counts`` int64 (captions of each clip); where there are frames ``<split>_frames`` uint8 (N, T, H, W, 3), where
there are features ``<split>_static`` and ``<split>_dynamic`` float32 (N, width); and metadata ``captions`` (JSON): the
name.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save

from tenfold.errors import UserError
from tenfold.files import canonical_json

SPLITS = ("train", "val", "test")
KINDS = ("static", "dynamic")
KEY = "captions"

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Split:
    """Some clips.

    Attributes:
        captions: for each clip its captions, each a list of words.
        frames: uint8 (N, T, H, W, 3); None where there are no videos.
        features: ``static`` and ``dynamic``, float32 (N, width), where the dataset comes with them.
    """

    captions: list[list[list[str]]]
    frames: Frames | None = None
    features: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.captions)


@dataclass(frozen=True)
class Captions:
    """A dataset of clips with captions.

    Attributes:
        name: of the dataset.
        splits: train, val and test.
    """

    name: str
    splits: dict[str, Split]


def write(path: Path, dataset: Captions) -> None:
    """Writes a dataset: equal content, equal bytes."""
    tensors: dict[str, NDArray[np.generic]] = {}
    for name, split in dataset.splits.items():
        lines = [" ".join(words) + "\n" for of_clip in split.captions for words in of_clip]
        tensors[f"{name}_text"] = np.frombuffer("".join(lines).encode(), dtype=np.uint8)
        tensors[f"{name}_counts"] = np.array([len(of_clip) for of_clip in split.captions], dtype=np.int64)
        if split.frames is not None:
            tensors[f"{name}_frames"] = np.ascontiguousarray(split.frames)
        tensors |= {f"{name}_{kind}": np.ascontiguousarray(of_kind) for kind, of_kind in split.features.items()}
    # One metadata key only: safetensors writes several of them in random order.
    path.write_bytes(save(tensors, {KEY: canonical_json({"name": dataset.name})}))


def load(path: Path) -> Captions:
    """Reads a dataset.

    Raises:
        UserError: it has no captions.
    """
    with safe_open(path, "numpy") as file:
        metadata = file.metadata() or {}
    if KEY not in metadata:
        raise UserError(
            f"{path}: has no captions; this paper needs a dataset of clips with captions (config/papers: data)"
        )
    tensors = load_file(path)
    splits = {}
    for name in SPLITS:
        lines = tensors[f"{name}_text"].tobytes().decode().splitlines()
        ends = itertools.accumulate(tensors[f"{name}_counts"].tolist(), initial=0)
        captions = [[line.split() for line in lines[start:end]] for start, end in itertools.pairwise(ends)]
        features = {kind: tensors[f"{name}_{kind}"] for kind in KINDS if f"{name}_{kind}" in tensors}
        splits[name] = Split(captions, tensors.get(f"{name}_frames"), features)
    return Captions(json.loads(metadata[KEY])["name"], splits)
