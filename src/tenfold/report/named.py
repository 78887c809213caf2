"""Makes the tables or figures that a paper lists by name (``TABLES``, ``FIGURES``), each with what it asks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

Made = TypeVar("Made")


def call(function: Callable[..., Made], given: Mapping[str, Any]) -> Made:
    """Calls a function with those of the given values that its parameters name."""
    return function(**{name: given[name] for name in inspect.signature(function).parameters if name in given})


def bearing(name: str, paths: Iterable[Path]) -> list[Path]:
    """The paths whose file has this name before its first dot, also while it is written (`partial_path`)."""
    return [path for path in paths if path.name.lstrip(".").partition(".")[0] == name]
