"""Made-up files that a report is made from, with what its configuration says that they are of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def only(made: dict[str, Any], name: str, wanted: Callable[[dict[str, str]], bool]) -> dict[str, Any]:
    """What was made up, as if only some of the files of one list were there.

    Args:
        made: lists of files by name, and ``cfg``, whose ``files`` say by the same name what each is of.
        name: the list.
        wanted: whether files of this net and arm are kept.
    """
    kept = [(path, of) for path, of in zip(made[name], made["cfg"]["files"][name], strict=True) if wanted(of)]
    files = made["cfg"]["files"] | {name: [of for _, of in kept]}
    return made | {name: [path for path, _ in kept], "cfg": made["cfg"] | {"files": files}}
