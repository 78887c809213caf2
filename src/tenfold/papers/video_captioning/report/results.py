"""What the training stages wrote, as tables, figures and verdicts read it. Light: no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenfold.launcher import Cfg
from tenfold.report.arms import Arm as AnyArm
from tenfold.report.arms import BySeed, read_arms

METRICS = ("bleu4", "cider", "meteor", "rouge")
TITLES = {"bleu4": "BLEU-4", "cider": "CIDEr", "meteor": "METEOR", "rouge": "ROUGE-L"}
NOT_MEASURED = "not measured"


class Arm(AnyArm):
    """A captioner, or a tag net."""

    def at(self, *keys: str, times: float = 1.0) -> BySeed:
        """A number deep in each seed's row, times a factor; seeds that lack it are left out."""
        found = {}
        for seed, row in self.rows.items():
            value: Any = row
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            if value is not None:
                found[seed] = times * float(value)
        return found


Arms = dict[str, Arm]


def read(cfg: Cfg, paths: Sequence[Path], kind: str) -> Arms:
    """``captioners`` or ``tags`` by name."""
    return {name: arm for (_, name), arm in read_arms(paths, cfg["files"][kind], Arm).items()}


def with_tags(cfg: Cfg, captioners: Arms, tags: Arms) -> Arms:
    """Captioners with what was measured of their tag nets, as ``tags``; their data as reports call them."""
    found = {}
    for name, arm in captioners.items():
        net = tags.get(cfg["variants"][name]["net"])
        rows = {
            seed: {**row, "tags": net.rows[seed]} if net and seed in net.rows else row for seed, row in arm.rows.items()
        }
        found[name] = replace(arm, rows=rows, facts={**arm.facts, "data": cfg["data"]["name"]})
    return found


def weighted_length(counts: Sequence[int], beta: float) -> float:
    """The mean length of captions, each with ``length^-beta`` times its share, as the loss has it: what it teaches.

    Args:
        counts: how many captions have 0, 1, ... words.
        beta: of the loss, whose lengths count the end as a word.
    """
    weights = [count * (words + 1) ** -beta for words, count in enumerate(counts)]
    return sum(words * weight for words, weight in enumerate(weights)) / sum(weights)


DIFFERS = {
    "full": "-",
    "no-tags": "a plain cell",
    "mean-tags": "told the average clip's tags",
    "static": "static features alone",
    "dynamic": "dynamic features alone",
    "forced": "teacher forcing",
    "argmax": "own words are the likeliest",
    "base": "a plain cell, teacher forcing, beta 0",
    "tags-alone": "teacher forcing, beta 0",
    "leaky": "vocabulary and tag net know validation and test captions",
}


def differs(cfg: Cfg, name: str) -> str:
    """What sets a captioner apart from the full one."""
    variant: Mapping[str, Any] = cfg["variants"][name]
    if name.startswith("beta-"):
        return f"beta {variant['beta']:g}"
    if name.startswith("eps-"):
        return f"own words up to {variant['sampling']:g}"
    if name.startswith("tags-") and name not in DIFFERS:
        return f"tag net of {variant['tags_after']} epochs"
    if name == "leaky" and variant["tags"] == "present":
        return "the vocabulary knows validation and test captions"
    return DIFFERS.get(name, name)
