"""Reads what the models composed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tenfold.errors import UserError
from tenfold.papers.melody.conditions import FREE


@dataclass(frozen=True)
class Composed:
    """Pieces of equal length and the profiles they were generated under.

    Attributes:
        events: shape (pieces, steps).
        beats: shape (pieces, steps / 4); None for a model without a beat layer.
        bars: shape (pieces, steps / 16); None for a model without a bar layer.
    """

    events: NDArray[np.int8]
    beats: NDArray[np.integer] | None = None
    bars: NDArray[np.integer] | None = None

    def of(self, layer: str) -> NDArray[np.integer]:
        """The profiles of a layer, ``beat`` or ``bar``."""
        fed = {"beat": self.beats, "bar": self.bars}[layer]
        if fed is None:
            raise ValueError(f"these pieces were composed without {layer} profiles")
        return fed


def read_composed(path: Path, seed: int) -> dict[str, Composed]:
    """What one seed's model composed, by condition; ``FREE`` is what it composed by itself.

    Raises:
        UserError: the file has no pieces of the seed.
    """
    start = f"seed{seed}/"
    tensors = {name.removeprefix(start): tensor for name, tensor in load_file(path).items() if name.startswith(start)}
    if "events" not in tensors:
        raise UserError(f"{path} has no pieces of seed {seed}: make it again with snakemake")
    conditions = sorted({name.rpartition("/")[0] for name in tensors})
    return {
        condition or FREE: Composed(
            **{
                name: tensors[key]
                for name in ("events", "beats", "bars")
                if (key := f"{condition}/{name}".lstrip("/")) in tensors
            }
        )
        for condition in conditions
    }
