"""The conditions that models compose under, by name: whose profiles of rhythm they are given."""

from __future__ import annotations

from collections.abc import Sequence

FREE, TUNE = "sampled", "twinkle"  # conditions: profiles drawn by the model itself, and those of the tune


def condition_title(condition: str) -> str:
    """A condition as printed: ``bars-1-2`` -> ``hand-made bars 1, 2``."""
    kind, _, numbers = condition.partition("-")
    if kind in ("beats", "bars") and numbers:
        return f"hand-made {kind} {numbers.replace('-', ', ')}"
    titles = {
        FREE: "its own",
        "true": "a held-out piece's",
        "shuffled": "a held-out piece's, shuffled",
        TUNE: '"Twinkle"',
    }
    return titles.get(condition, condition)


def in_order(conditions: Sequence[str]) -> list[str]:
    """Conditions in the order in which they are shown: the model's own profiles, those of tunes, hand-made ones."""
    first = [FREE, "true", "shuffled", TUNE]
    return [*(name for name in first if name in conditions), *sorted(set(conditions) - set(first))]


def hand_made(conditions: Sequence[str], layer: str) -> list[str]:
    """Those of the conditions that are made by hand for a layer (``beat`` or ``bar``)."""
    return [name for name in conditions if name.startswith(f"{layer}s-")]
