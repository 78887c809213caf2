"""Reads what training and measuring stages wrote, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.files import read_json
from tenfold.launcher import Cfg
from tenfold.report.arms import Arm, BySeed, read_arms

VARIANTS = ("1L", "1L-wide", "2L", "3L")  # of the paper; further ones are ablations
LAYERS = ("note", "beat", "bar")
CODINGS = ("plain", "repeat")  # how the note layer's labels are coded
FREE, TUNE = "sampled", "twinkle"  # conditions: profiles drawn by the model itself, and those of the tune
REAL = ("real", "held-out")  # where the measures of real pieces stand among those of models
CORPUS = ("real", "training")


class Measured(Arm):
    """A model's metrics, or the measures of what it composed with one decoding rule, of all seeds."""

    def at(self, *keys: str) -> BySeed:
        """A number deep in each seed's row, by seed; seeds that lack it are left out."""
        found = {seed: _deep(row, keys) for seed, row in self.rows.items()}
        return {seed: float(value) for seed, value in found.items() if value is not None}

    def percent_at(self, *keys: str) -> BySeed:
        """A share deep in each seed's row as percent."""
        return {seed: 100 * value for seed, value in self.at(*keys).items()}

    def names(self, *keys: str) -> list[str]:
        """The keys below ``keys`` in any seed's row, in their order."""
        return list(dict.fromkeys(name for row in self.rows.values() for name in _deep(row, keys) or {}))


Models = dict[str, Measured]
Measures = dict[tuple[str, str], Measured]


def _deep(row: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if not isinstance(row, dict) or key not in row:
            return None
        row = row[key]
    return row


def read_models(cfg: Cfg, paths: Sequence[Path]) -> Models:
    """Metrics of the models, by variant."""
    return {name: model for (_, name), model in read_arms(paths, cfg["files"]["models"], Measured).items()}


def read_measures(cfg: Cfg, paths: Sequence[Path]) -> Measures:
    """Measures, by variant and decoding, and those of real pieces."""
    return read_arms(paths, cfg["files"]["measures"], Measured)


@dataclass(frozen=True)
class Profiles:
    """The profiles of one seed's training pieces, for one layer.

    Attributes:
        centres: shape (profiles, steps), the commonest first.
        counts: how many clips have each profile.
        elbow: number of clusters -> mean distance of a clip to its centre.
    """

    centres: NDArray[np.float64]
    counts: NDArray[np.int64]
    elbow: dict[int, float]


def read_profiles(paths: Sequence[Path]) -> dict[int, dict[str, Profiles]]:
    """The profiles of all seeds (``profiles/<seeds>.json``): seed -> ``beat`` or ``bar`` -> profiles."""
    return {
        row["seed"]: {
            layer: Profiles(
                np.array(row[layer]["centres"], dtype=np.float64),
                np.array(row[layer]["counts"]),
                {point["k"]: point["distance"] for point in row[layer]["elbow"]},
            )
            for layer in ("beat", "bar")
        }
        for path in paths
        for row in read_json(path)["rows"]
    }


def read_centres(paths: Sequence[Path], seed: int) -> dict[str, NDArray[np.float64]]:
    """The centres of one seed, ``beat`` and ``bar``."""
    return {layer: profiles.centres for layer, profiles in read_profiles(paths)[seed].items()}


def main_decoding(cfg: Cfg) -> str:
    """The decoding rule that models are compared under: the first one configured."""
    return str(cfg["decodings"][0])


def title_of(variant: str) -> str:
    """``3L`` -> ``HRNN-3L``."""
    return f"HRNN-{variant}"


def condition_title(condition: str) -> str:
    """A condition as printed: ``bars-1-2`` -> ``hand-made bars 1, 2``."""
    kind, _, numbers = condition.partition("-")
    if kind in ("beats", "bars") and numbers:
        return f"hand-made {kind} {numbers.replace('-', ', ')}"
    titles = {
        FREE: "its own",
        "true": "a held-out piece's",
        "shuffled": "a held-out piece's, shuffled",
        TUNE: '"Twinkle"',
    }
    return titles.get(condition, condition)


def in_order(conditions: Sequence[str]) -> list[str]:
    """Conditions in the order in which they are shown: the model's own profiles, those of tunes, hand-made ones."""
    first = [FREE, "true", "shuffled", TUNE]
    return [*(name for name in first if name in conditions), *sorted(set(conditions) - set(first))]


def hand_made(conditions: Sequence[str], layer: str) -> list[str]:
    """Those of the conditions that are made by hand for a layer (``beat`` or ``bar``)."""
    return [name for name in conditions if name.startswith(f"{layer}s-")]


def vote_test(votes: int, of: int) -> tuple[float, float]:
    """Pearson's chi-squared of a vote against 50 : 50, without continuity correction, and its p value.

    ``chi2 = (2k - n)^2 / n``, which has one degree of freedom, so ``p = erfc(sqrt(chi2 / 2))``.
    """
    chi2 = (2 * votes - of) ** 2 / of
    return chi2, math.erfc(math.sqrt(chi2 / 2))
