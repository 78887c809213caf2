"""What the head of each method says of the paper and of our numbers is what is on record."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from tenfold import config

ROOT = Path(__file__).parents[2]
SLUGS = [slug for slug in config.house()["papers"] if list(ROOT.glob(f"results/*/{slug}/metrics.json"))]
CLAIM = re.compile(r"^Claim (\S+) of the paper: (.*?)\.\nOurs", re.MULTILINE | re.DOTALL)
OURS = re.compile(r"^Ours at (\w+) \(n = (\d+)\)(?:, [^:]*)?: (.*?) ?Runtime: ", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?:(?P<metric>[a-z][a-z_ ]*?) )?of (?P<arm>\S+) (?P<value>\d+\.\d+)")


def head(slug: str) -> str:
    """The docstring of a paper's method."""
    path = ROOT / "src/tenfold/papers" / config.package_of(slug) / "method.py"
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def differing(text: str, slug: str) -> list[str]:
    """What a head says otherwise than the claim's entry and the recorded metrics."""
    claim_id, published = CLAIM.findall(text)[0]
    claim = next(claim for claim in config.paper(slug).claims if claim["id"] == claim_id)
    wrong = [] if " ".join(published.split()) == claim["published"] else [published]
    edition, n, said = OURS.findall(text)[0]
    recorded = json.loads((ROOT / f"results/{edition}/{slug}/metrics.json").read_text())
    metric = ""
    numbers = list(NUMBER.finditer(" ".join(said.split())))
    assert len(numbers) >= 2, said
    for number in numbers:
        metric = (number["metric"] or metric).strip()
        found = recorded[number["arm"]][metric]
        digits = len(number["value"].partition(".")[2])
        if found["n"] != int(n) or f"{found['mean']:.{digits}f}" != number["value"]:
            wrong.append(number[0])
    return wrong


@pytest.mark.parametrize("slug", SLUGS)
def test_a_head_says_claim_numbers_and_runtime_as_they_are_on_record(slug: str) -> None:
    assert differing(head(slug), slug) == []
    assert re.search(r"Runtime: ((about )?[\d.]+\s+CPU-(seconds|minutes)|not measured)", head(slug))


@pytest.mark.parametrize(("old", "new"), [("66.92", "66.93"), ("n = 5", "n = 3"), ("+1.20 points", "+1.30 points")])
def test_a_head_that_says_otherwise_is_found(old: str, new: str) -> None:
    assert old in head("sge")
    assert len(differing(head("sge").replace(old, new), "sge")) >= 1
