"""What tests of papers ask of ``claims.json``: its claims by id, each with its only reading, and no gate in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold import config
from tenfold.files import read_json, write_json


def without_gates(cfg: dict[str, Any]) -> dict[str, Any]:
    """A cfg whose claims have no gate: made-up nets would pass none."""
    return cfg | {"claims": [{k: v for k, v in claim.items() if k != "gate"} for claim in cfg["claims"]]}


def claims_in(path: Path) -> dict[str, dict[str, Any]]:
    """The claims of a ``claims.json`` by id, each with what its first reading says."""
    return {claim["id"]: claim["readings"][0] | claim for claim in read_json(path)["claims"]}


def all_open(slug: str, folder: Path) -> Path:
    """A ``claims.json`` with no more than figures read: of every claim of a paper that it is open."""
    path = folder / "open.json"
    said = {"pipeline_check": None, "printed": {"word": "open"}}
    write_json(path, {"claims": [{"id": claim["id"], **said} for claim in config.paper(slug).claims]})
    return path


def no_histories(metrics: list[Path]) -> list[Path]:
    """Histories of these metrics that are not there."""
    return [path.with_suffix(".csv") for path in metrics]
