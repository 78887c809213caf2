"""How the training of the seeds of one job went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.training.loop import write_rows


def write_course(results: list[dict[str, Any]], history: Path, times: Path) -> None:
    """Writes how the training of all seeds went: losses and accuracies, and apart from them seconds and rates.

    Args:
        results: one for each seed, with rows ``history`` and ``times`` that carry their seed.
        history: CSV of the former.
        times: CSV of the latter.
    """
    for path, name in ((history, "history"), (times, "times")):
        write_rows(path, [row for result in results for row in result[name]])
