"""Why a job runs, in few words: Snakemake's own reason has all settings of a job, as they were and as they are."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

SHOWN = 3  # settings or files that are named
WIDTH = 40  # characters of a setting's value
ABSENT = "absent"

PARAMS = re.compile(r"Params have changed since last execution: .*?before: (?P<old>.*) now: (?P<new>.*) (?=;|$)")
FILES = re.compile(r"(?P<what>Missing output files|Updated input files|Input files updated by another job): "
                   r"(?P<files>[^;]*)")  # fmt: skip
OTHER_INPUTS = "Set of input files has changed since last execution"


def in_short(reason: str, before: Collection[str] = (), now: Collection[str] = ()) -> str:
    """Snakemake's reason, with the changed settings in place of all of them, and with at most three files a part.

    Args:
        reason: in Snakemake's words.
        before: the job's inputs as Snakemake noted them, for a reason that says only that they are others.
        now: its inputs today.
    """
    reason = PARAMS.sub(lambda found: changed_params(found["old"], found["new"]), reason)
    reason = FILES.sub(lambda found: f"{found['what']}: {few(found['files'].split(', '))}", reason)
    inputs = [f"+ {path}" for path in sorted(set(now) - set(before))]
    inputs += [f"- {path}" for path in sorted(set(before) - set(now))]
    return reason.replace(OTHER_INPUTS, f"Other input files than before: {few(inputs)}") if before else reason


def says_change(reason: str) -> bool:
    """Whether a job runs because its settings, its code or the list of its inputs changed."""
    return "have changed since" in reason or "has changed since" in reason


def changed_params(old: str, new: str) -> str:
    """What changed between two lists of string literals: a job's settings as JSON, and the digest of its code."""
    try:
        (was, code_was), (now, code_now) = _parted(old), _parted(new)
    except (ValueError, SyntaxError):
        return "Settings changed"
    said = []
    if len(was) == len(now) == 1:
        said.append(f"Settings changed: {few(list(changes(was[0], now[0])))}")
    elif was or now:
        said.append("Settings changed")
    if code_was or code_now:
        said.append("Code of the stage changed")
    return "; ".join(said)


def changes(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """The differing settings, by dotted paths: ``recipe.lr 0.1 -> 0.05``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from changes(old.get(key, ABSENT), new.get(key, ABSENT), f"{path}.{key}" if path else key)
    elif _has_parts(old) and _has_parts(new) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from changes(one, other, f"{path}.{index}")
    elif old != new:
        yield f"{path} {_shown(old)} -> {_shown(new)}"


def few(names: Sequence[str]) -> str:
    """The first three of some names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _parted(text: str) -> tuple[list[Any], list[str]]:
    """The settings and the digests among params."""
    params = [] if text.startswith("<") else ast.literal_eval(f"[{text}]")
    settings = [json.loads(param) for param in params if param.startswith("{")]
    return settings, [param for param in params if not param.startswith("{")]


def _has_parts(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, dict) for entry in value)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
