"""A verdict in words: the sentence, the printed numbers, one line for the eye, and its record in ``claims.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.files import write_json
from tenfold.launcher import Cfg, Job
from tenfold.report.evidence import Evidence
from tenfold.report.face import RECOVERED, Face, published_text
from tenfold.report.verdict import (
    ALPHA,
    SEEDS_FOR_A_PIPELINE_CHECK,
    SEEDS_FOR_A_VERDICT,
    TESTED,
    Verdict,
    decide_family,
)

FORMAT = 1


def conclude(cfg: Cfg, job: Job, path: Path, *, paper: str, face: Face, evidence: Mapping[str, Evidence]) -> None:
    """Decides all claims of a paper, writes ``claims.json`` and says each verdict; the end of a paper's ``claims``.

    Args:
        cfg: edition and claims.
        job: where the verdicts are said.
        path: ``claims.json``.
        paper: the paper's slug.
        face: what the verdicts rest on.
        evidence: claim id -> what was measured for it.
    """
    verdicts = decide_family(cfg["claims"], evidence, data_is_standin=face.data.is_standin, edition=cfg["edition"])
    write_claims(path, paper=paper, face=face, verdicts=verdicts)
    for line in verdict_lines(verdicts):
        job.say(line)


def write_claims(path: Path, *, paper: str, face: Face, verdicts: Sequence[Verdict]) -> None:
    """Writes ``claims.json`` (schema: ``workflow/schemas/claims.schema.yaml``), whole or not at all."""
    write_json(
        path,
        {
            "format": FORMAT,
            "paper": paper,
            "face": face.as_dict(),
            "claims": [_record(verdict) for verdict in verdicts],
        },
    )


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """The verdicts for the eye: fixed columns, one line a claim, a heading first."""
    heading = ("claim", "kind", "verdict (Holm)", "uncorrected", "ours", "95 % interval", "n", "what is claimed")
    rows = [heading]
    for verdict in verdicts:
        if verdict.is_pipeline_check:
            words = (f"pipeline check: {verdict.word}", "")
        else:
            words = (verdict.holm, "" if verdict.p is None else verdict.word)
        n = "-" if verdict.n is None else str(verdict.n)
        claim = verdict.claim
        rows.append((claim["id"], claim["kind"], *words, ours(verdict), interval(verdict), n, claim["claim"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _record(verdict: Verdict) -> dict[str, Any]:
    """One claim as it stands in ``claims.json``."""
    claim, check = verdict.claim, verdict.is_pipeline_check
    recovered = claim["source"] in RECOVERED
    return {
        "id": claim["id"],
        "claim": claim["claim"],
        "kind": claim["kind"],
        "published": claim.get("published") if recovered else None,
        "source": claim["source"],
        "margin": claim.get("margin"),
        "verdict": None if check else verdict.holm,
        "uncorrected": None if check else verdict.word,
        "pipeline_check": verdict.word if check else None,
        "estimate": verdict.estimate,
        "low": verdict.low,
        "high": verdict.high,
        "unit": verdict.unit,
        "n": verdict.n,
        "p": verdict.p,
        "p_holm": verdict.p_holm,
        "printed": {
            "published": published_text(claim.get("published"), claim["source"], ".10g"),
            "ours": ours(verdict),
            "interval": interval(verdict),
        },
        "sentence": sentence(verdict),
        "cells": list(verdict.cells),
    }


# Numbers as printed


def ours(verdict: Verdict) -> str:
    """The estimate as printed."""
    if verdict.estimate is None:
        return "-"
    if verdict.claim["kind"] in TESTED:
        return f"{_number(verdict, verdict.estimate)} {verdict.unit}".strip()
    held = sum(cell["holds"] for cell in verdict.cells)
    return f"{held} of {len(verdict.cells)} hold" if len(verdict.cells) > 1 else f"{verdict.estimate:.10g}"


def interval(verdict: Verdict) -> str:
    """The interval as printed."""
    if verdict.low is None or verdict.high is None:
        return "-"
    return f"[{_number(verdict, verdict.low)}, {_number(verdict, verdict.high)}]"


def _number(verdict: Verdict, value: float) -> str:
    """A ratio as it is, a difference with its sign; two significant digits of the largest of estimate and ends."""
    largest = max(abs(end) for end in (verdict.estimate, verdict.low, verdict.high) if end is not None)
    decimals = 2 if largest == 0 else min(6, max(2, 1 - math.floor(math.log10(largest))))
    return f"{value:.{decimals}f}" if verdict.claim["kind"] == "ratio" else f"{value:+.{decimals}f}"


# Sentences


def sentence(verdict: Verdict) -> str:
    """The outcome in plain English."""
    if verdict.reason:
        return f"Not testable here: {verdict.reason}."
    if verdict.claim["kind"] not in TESTED:
        return _compared(verdict)
    said = f"{_measured(verdict)}: {_side(verdict)}."
    if verdict.holm != verdict.word:
        said += f" Corrected for {verdict.family} tested claims (Holm, p = {verdict.p_holm:.2g}) it is: {verdict.holm}."
    return said


def _measured(verdict: Verdict) -> str:
    """What the deciding cell measures, with its interval."""
    assert verdict.estimate is not None
    what = {"ratio": "the ratio", "exists": "the difference of the one chosen on validation data"}
    estimate = _number(verdict, verdict.estimate)
    subject = f"{what.get(verdict.claim['kind'], 'the difference')} is {estimate} {verdict.unit}".rstrip()
    if len(verdict.cells) > 1:
        subject = (
            f"of {len(verdict.cells)} cells, all of which must hold, {verdict.deciding['label']} decides: {subject}"
        )
    ends = ""
    if verdict.low is not None and verdict.high is not None:
        ends = f"95 % interval {_number(verdict, verdict.low)} to {_number(verdict, verdict.high)}, "
    return f"{subject[0].upper()}{subject[1:]} ({ends}n = {verdict.deciding['n']})"


def _side(verdict: Verdict) -> str:
    """On which side of the boundary the deciding cell lies."""
    if verdict.p is None:
        needed = SEEDS_FOR_A_PIPELINE_CHECK if verdict.data_is_standin else SEEDS_FOR_A_VERDICT
        return f"too few seeds for a word; {needed} are needed"
    boundary = "0" if verdict.boundary == 0 else _number(verdict, verdict.boundary)
    if verdict.p >= ALPHA:
        return f"on which side of {boundary} it lies is not resolved (p = {verdict.p:.2g})"
    side = "claimed" if verdict.on_claimed_side else "other"
    spread = ", with no spread between seeds" if verdict.low is not None and verdict.low == verdict.high else ""
    return f"on the {side} side of {boundary} (p = {verdict.p:.2g}){spread}"


def _compared(verdict: Verdict) -> str:
    """How many numbers are the expected ones."""
    worst, cells = verdict.deciding, verdict.cells
    failed = sum(not cell["holds"] for cell in cells)
    equal = "within the tolerance of" if worst["tolerance"] else "equal to"
    if failed:
        return (
            f"{failed} of {len(cells)} numbers are not {equal} the expected ones; worst is {worst['label']}: "
            f"{worst['measured']:.10g}, expected {worst['expected']:.10g} (tolerance {worst['tolerance']:.4g})."
        )
    if len(cells) == 1:
        return f"{worst['measured']:.10g} is {equal} the expected {worst['expected']:.10g}."
    return f"All {len(cells)} numbers are {equal} the expected ones."
