"""What tests of papers ask of ``claims.json``: its claims by id, each with its only reading, and no gate in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.files import read_json


def without_gates(cfg: dict[str, Any]) -> dict[str, Any]:
    """A cfg whose claims have no gate: made-up nets would pass none."""
    return cfg | {"claims": [{k: v for k, v in claim.items() if k != "gate"} for claim in cfg["claims"]]}


def claims_in(path: Path) -> dict[str, dict[str, Any]]:
    """The claims of a ``claims.json`` by id, each with what its first reading says."""
    return {claim["id"]: claim["readings"][0] | claim for claim in read_json(path)["claims"]}


def no_histories(metrics: list[Path]) -> list[Path]:
    """Histories of these metrics that are not there."""
    return [path.with_suffix(".csv") for path in metrics]
