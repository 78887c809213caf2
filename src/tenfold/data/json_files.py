"""Reads published JSON files, whose flaws are a user's to mend."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tenfold.errors import UserError

T = TypeVar("T")


def read_published(path: Path, publisher: str, take: Callable[[Any], T]) -> T:
    """What a function takes from the content of a JSON file that somebody publishes.

    Raises:
        UserError: the file is missing, not JSON, or not as the function wants it.
    """
    try:
        return take(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {publisher} has it") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path}: not as {publisher} has it ({type(error).__name__}: {error})") from None
