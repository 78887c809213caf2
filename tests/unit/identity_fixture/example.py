"""An example of the syntax that the digest must read alike on every Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Pair:
    """Two numbers."""

    left: float
    right: float = math.pi

    def swapped(self) -> Pair:
        """The other way round."""
        return Pair(self.right, self.left)


def double(x: int, *rest: int, scale: float = 2.0, **options: object) -> str:
    """Twice as much."""
    try:
        match rest:
            case []:
                return f"{x * 2:>{4}} {x:>4} {'ab'!r} {x=}"
            case [first, *_] if first > 0:
                return rf"\d{first:{x}.{x}}"
            case _:
                raise ValueError("négatif")
    except* ValueError:
        pass
    return "".join(str(i) for i in range(10) if (y := i) and y % 2)


async def later(function: Callable[[int], int]) -> list[int]:
    """Only documented."""
    return [function(i) async for i in aiter(())]  # type: ignore[arg-type]


def silent() -> None:
    """Nothing but a docstring."""
