"""What every table, figure and verdict says of itself: edition, data, seeds, device, precision."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Data:
    """A dataset: the paper's, other real data, or a stand-in.

    Attributes:
        name: what it is called.
        stands_in_for: the real dataset that a generated one takes the place of.
        paper: the paper's dataset, where it is neither this one nor what this one stands in for.
    """

    name: str
    stands_in_for: str | None = None
    paper: str | None = None

    @property
    def is_standin(self) -> bool:
        """Whether numbers measured on it say nothing of the real dataset."""
        return self.stands_in_for is not None

    @property
    def of_paper(self) -> str | None:
        """What the paper's numbers are of, where they are not of this dataset."""
        return self.paper or self.stands_in_for

    def __str__(self) -> str:
        kind = f"stand-in for {self.stands_in_for}" if self.is_standin else "other real data"
        if self.paper:
            return f"{self.name} ({kind}, paper: {self.paper})"
        return f"{self.name} ({kind})" if self.is_standin else self.name


@dataclass(frozen=True)
class Face:
    """The facts on the face of a result.

    Attributes:
        edition: smoke, small, real, lab or full.
        data: what the numbers were measured on.
        n: number of seeds; 0 for counts, drawings and published numbers alone.
        device: what it was computed on, such as ``cpu``.
        precision: what it was computed in, such as ``fp32``.
    """

    edition: str
    data: Data
    n: int
    device: str
    precision: str

    def line(self) -> str:
        """All of it on one line; where no seed enters, that nothing was trained."""
        if not self.n:
            return f"Edition {self.edition}; data {self.data}; nothing trained"
        seeds = f"n = {self.n} seed{'' if self.n == 1 else 's'}"
        return f"Edition {self.edition}; data {self.data}; {seeds}; device {self.device}; precision {self.precision}"

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON-ready values; of the paper's dataset where it is another one."""
        said = asdict(self)
        if self.data.paper is None:
            del said["data"]["paper"]
        return said


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
