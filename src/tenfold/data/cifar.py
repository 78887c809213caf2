"""Reads the official CIFAR-10 and CIFAR-100 files: verified pickles, in official order."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct
from numpy.typing import NDArray

from tenfold.errors import UserError

# All that the official pickles name. numpy._core.multiarray was numpy.core.multiarray when they were written.
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}

Tensors = dict[str, NDArray[np.uint8]]


class _Unpickler(pickle.Unpickler):
    """Builds numpy arrays and plain containers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return ALLOWED[module, name]


def unpickle(path: Path, md5: str) -> dict[str, Any]:
    """The content of an official CIFAR file with text keys.

    Args:
        path: the file.
        md5: its official checksum, compared before a byte is interpreted.

    Raises:
        UserError: the file has another checksum, or holds more than arrays and plain containers.
    """
    content = path.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise UserError(f"{path}: md5 {found} instead of {md5}; not opened")
    try:
        table = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: not an official CIFAR file: {error}") from None
    return {key.decode(): value for key, value in table.items()}


def read(files: dict[str, Path], prepare: dict[str, Any], md5: dict[str, str]) -> tuple[Tensors, dict[str, list[str]]]:
    """The images and labels of a CIFAR set, in official order.

    Args:
        files: the official files by name.
        prepare: ``train`` and ``test`` (lists of file names), ``names`` (the file with the class names), ``classes``
            and, for CIFAR-100, ``coarse``: under which keys the ``labels`` and their ``names`` stand.
        md5: the official checksums by name.

    Returns:
        ``{train,test}_images`` (N, 3, 32, 32), ``{train,test}_labels`` (N,) and, where given, ``{train,test}_coarse``
        (N,), all uint8; and the names of the classes.
    """
    label_keys = {"labels": prepare["classes"]["labels"]}
    name_keys = {"classes": prepare["classes"]["names"]}
    if "coarse" in prepare:
        label_keys["coarse"] = prepare["coarse"]["labels"]
        name_keys["coarse_classes"] = prepare["coarse"]["names"]
    tensors: Tensors = {}
    for split in ("train", "test"):
        batches = [unpickle(files[name], md5[name]) for name in prepare[split]]
        images = np.concatenate([batch["data"] for batch in batches])
        tensors[f"{split}_images"] = images.reshape(-1, 3, 32, 32)
        for tensor, key in label_keys.items():
            tensors[f"{split}_{tensor}"] = np.concatenate([np.array(batch[key], dtype=np.uint8) for batch in batches])
    table = unpickle(files[prepare["names"]], md5[prepare["names"]])
    return tensors, {kind: [name.decode() for name in table[key]] for kind, key in name_keys.items()}
