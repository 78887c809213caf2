"""Named points at which a test can kill the process, as a power cut would.

``TENFOLD_FAULT=checkpoint-write:3`` kills the process with SIGKILL the third time it passes
``fault("checkpoint-write")``. Without the variable a point costs one dictionary look-up.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

_passed: Counter[str] = Counter()


def fault(point: str) -> None:
    """Dies here if ``TENFOLD_FAULT`` names this point and this passing of it."""
    wanted = os.environ.get("TENFOLD_FAULT")
    if not wanted:
        return
    name, _, count = wanted.partition(":")
    if name == point:
        _passed[point] += 1
        if _passed[point] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)
