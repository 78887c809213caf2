"""Functions that a configuration names, imported when they are asked for, as `tenfold.nets.build` does with families.

So a job's code is its stage and the functions that its cfg names, and no other of their kind.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def called(name: str) -> Callable[..., Any]:
    """The function of a dotted name, such as ``tenfold.papers.adversarial_competition.method.fgsm``."""
    module, _, function = name.rpartition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
