"""Named tensors in files: weights as safetensors, of one net or of several seeds under one roof."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from tenfold.files import written_whole

Tensors = dict[str, Tensor]


def save_weights(path: Path, weights: Mapping[str, Tensor], facts: dict[str, Any] | None = None) -> None:
    """Writes weights as a safetensors file: equal content, equal bytes.

    Args:
        path: where.
        weights: a net's state_dict, or any named tensors.
        facts: what else belongs to them, as JSON.
    """
    # One metadata key only: safetensors writes several of them in random order.
    metadata = {"tenfold": json.dumps(facts, sort_keys=True)} if facts else None
    with written_whole(path) as partial:
        partial.write_bytes(save(copied(weights), metadata))


def load_weights(path: Path) -> Tensors:
    """The tensors of a safetensors file, on the CPU."""
    return load_file(path)


def under(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors below a prefix: ``seed0/e3/stem.conv.weight``."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors that ``under`` put below a prefix, by their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def by_seed(weights: Mapping[Any, Mapping[str, Tensor]]) -> Tensors:
    """The tensors of several seeds under one roof: ``seed0/stem.conv.weight``."""
    return {name: t for seed, tensors in weights.items() for name, t in under(f"seed{seed}", tensors).items()}


def on_cpu(tensor: Tensor) -> Tensor:
    """A copy of its own in main memory, in the order of its indices, as safetensors wants it."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def copied(tensors: Mapping[str, Tensor]) -> Tensors:
    """Copies of named tensors in main memory."""
    return {name: on_cpu(tensor) for name, tensor in tensors.items()}
