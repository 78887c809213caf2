"""Notes which functions run, to hold what is read off the sources against what happens. Stands alone."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


@contextmanager
def noting(root: Path, file: Path) -> Iterator[None]:
    """Adds the functions that are entered meanwhile to a file, one ``module:name`` a line.

    Bodies of modules and classes, which importing runs, are none.

    Args:
        root: the folder of the sources; only functions below it are noted.
        file: gets the lines, sorted, at the end, also of a block that raises.
    """
    seen: set[str] = set()
    prefix = str(root.resolve()) + os.sep

    def note(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & inspect.CO_OPTIMIZED and code.co_filename.startswith(prefix):
            module = code.co_filename.removeprefix(prefix).removesuffix(".py").replace(os.sep, ".")
            seen.add(f"{module}:{code.co_qualname.partition('.<locals>')[0]}")

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        with file.open("a", encoding="utf-8") as lines:
            lines.write("".join(f"{name}\n" for name in sorted(seen)))
