"""What the seeds of one job leave: their weights under one roof, and how their training went."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tenfold.training.loop import write_rows


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors below a prefix: ``seed0/e3/stem.conv.weight``."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that ``under`` put below a prefix, by their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def by_seed(weights: Mapping[Any, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of several seeds under one roof: ``seed0/stem.conv.weight``."""
    return {name: t for seed, tensors in weights.items() for name, t in under(f"seed{seed}", tensors).items()}


def write_course(results: list[dict[str, Any]], history: Path, times: Path) -> None:
    """Writes how the training of all seeds went: losses and accuracies, and apart from them seconds and rates.

    Args:
        results: one for each seed, with rows ``history`` and ``times`` that carry their seed.
        history: CSV of the former.
        times: CSV of the latter.
    """
    for path, name in ((history, "history"), (times, "times")):
        write_rows(path, [row for result in results for row in result[name]])
