"""What training and measuring stages wrote, as tables, figures and verdicts read it. Light: no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenfold.launcher import Cfg
from tenfold.report.arms import Arm, BySeed, read_arms

VARIANTS = ("1L", "1L-wide", "2L", "3L")  # of the paper; further ones are ablations
LAYERS = ("note", "beat", "bar")
CODINGS = ("plain", "repeat")  # how the note layer's labels are coded
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


def main_decoding(cfg: Cfg) -> str:
    """The decoding rule that models are compared under: the first one configured."""
    return str(cfg["decodings"][0])


def title_of(variant: str) -> str:
    """``3L`` -> ``HRNN-3L``."""
    return f"HRNN-{variant}"


def vote_test(votes: int, of: int) -> tuple[float, float]:
    """Pearson's chi-squared of a vote against 50 : 50, without continuity correction, and its p value.

    ``chi2 = (2k - n)^2 / n``, which has one degree of freedom, so ``p = erfc(sqrt(chi2 / 2))``.
    """
    chi2 = (2 * votes - of) ** 2 / of
    return chi2, math.erfc(math.sqrt(chi2 / 2))
