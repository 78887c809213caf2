"""What every table, figure and verdict says of itself: edition, data, seeds, device, precision."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Data:
    """A dataset by name, and the dataset it stands in for, if it is a stand-in."""

    name: str
    stands_in_for: str | None = None

    @property
    def is_standin(self) -> bool:
        """Whether numbers measured on it say nothing of the real dataset."""
        return self.stands_in_for is not None

    def __str__(self) -> str:
        return f"{self.name} (stand-in for {self.stands_in_for})" if self.is_standin else self.name


@dataclass(frozen=True)
class Face:
    """The facts on the face of a result.

    Attributes:
        edition: smoke, small, real or full.
        data: what the numbers were measured on.
        n: number of seeds.
        device: what it was computed on, such as ``cpu``.
        precision: what it was computed in, such as ``fp32``.
    """

    edition: str
    data: Data
    n: int
    device: str
    precision: str

    def line(self) -> str:
        """All of it on one line."""
        seeds = f"n = {self.n} seed{'' if self.n == 1 else 's'}"
        return f"Edition {self.edition}; data {self.data}; {seeds}; device {self.device}; precision {self.precision}"

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON-ready values."""
        return asdict(self)


COUNTED = Data("none: counted on shapes alone")

RECOVERED = ("paper", "repo")  # where a published value was read; "memory" and "unknown" are not readings
SOURCES = (*RECOVERED, "memory", "unknown")
NOT_RECOVERED = "not recovered"


def published_text(value: float | str | None, source: str, spec: str = "") -> str:
    """A published value as printed: ``not recovered`` unless it was read in the paper or the authors' code.

    A dash where the source gives no number (only a sign, say).
    """
    if source not in RECOVERED:
        return NOT_RECOVERED
    if value is None:
        return "-"
    return value if isinstance(value, str) else format(value, spec)
