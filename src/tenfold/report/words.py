"""A verdict in words: the printed numbers, the sentence, one line for the eye, and its record in ``claims.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.files import write_json
from tenfold.launcher import Cfg, Job
from tenfold.report.evidence import Evidence, NetArms
from tenfold.report.face import RECOVERED, Face, published_text
from tenfold.report.gate import Checked, gate_of, worst_of
from tenfold.report.verdict import (
    COMPARED,
    NOT_TESTABLE,
    ON_STANDIN,
    TOO_SMALL,
    Outcome,
    Verdict,
    decide_all,
    worst_cell,
)

FORMAT = 2


def conclude(
    cfg: Cfg,
    job: Job,
    path: Path,
    *,
    paper: str,
    face: Face,
    evidence: Mapping[str, Evidence],
    nets: Sequence[NetArms] = (),
) -> None:
    """Decides all claims of a paper, writes ``claims.json`` and says each verdict; the end of a paper's ``claims``.

    Args:
        cfg: edition and claims.
        job: where the verdicts are said.
        path: ``claims.json``.
        paper: the paper's slug.
        face: what the verdicts rest on.
        evidence: claim id -> what was measured for it.
        nets: where arms were compared; the gates are held against them.
    """
    verdicts = decide_all(
        cfg["claims"],
        evidence,
        data_is_standin=face.data.is_standin,
        edition=cfg["edition"],
        gates={} if face.data.is_standin else gates_of(cfg["claims"], evidence, nets),
        overlap=cfg.get("overlap", 0.0),
    )
    write_claims(path, paper=paper, face=face, verdicts=verdicts)
    for line in verdict_lines(verdicts):
        job.say(line)


def gates_of(
    claims: Sequence[Mapping[str, Any]], evidence: Mapping[str, Evidence], nets: Sequence[NetArms]
) -> dict[str, tuple[Checked, ...]]:
    """The checks of each claim's gate, at the nets that the claim was measured in."""
    found = {}
    for claim in claims:
        measured = evidence.get(claim["id"])
        if "gate" in claim and measured is not None and not measured.reason:
            parts = list(measured.readings.values()) or [measured]
            used = {net for part in parts for net in part.nets}
            found[claim["id"]] = gate_of(claim["id"], claim["gate"], [net for net in nets if net.label in used])
    return found


def write_claims(path: Path, *, paper: str, face: Face, verdicts: Sequence[Verdict]) -> None:
    """Writes ``claims.json`` (schema: ``workflow/schemas/claims.schema.yaml``), whole or not at all."""
    claims = [_record(verdict) for verdict in verdicts]
    write_json(path, {"format": FORMAT, "paper": paper, "face": face.as_dict(), "claims": claims})


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """The verdicts for the eye: fixed columns, a line for each claim (and reading), a heading first."""
    rows = [("claim", "role", "verdict", "ours", "claimed", "n", "what is claimed")]
    for verdict in verdicts:
        said = f"pipeline check: {word(verdict)}" if verdict.is_pipeline_check else word(verdict)
        claim = verdict.claim
        for outcome in verdict.outcomes:
            n = "-" if outcome.n is None else str(outcome.n)
            name = f"{claim['id']} {outcome.reading}".strip()
            what = (claim["role"], said, ours(verdict, outcome), claimed(verdict, outcome), n, claim["claim"])
            rows.append((name, *what))
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines in fixed columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


KEPT = ("reason", "plus", "caveat", "next")  # of a claim, as it is configured; what a page shows


def _record(verdict: Verdict) -> dict[str, Any]:
    """One claim as it stands in ``claims.json``."""
    claim, check = verdict.claim, verdict.is_pipeline_check
    recovered = claim["source"] in RECOVERED
    return {
        **{key: claim[key] for key in ("id", "claim", "role", "kind", "source")},
        "short": claim.get("short", ""),
        "published": claim.get("published") if recovered else None,
        "effect": claim.get("effect") if recovered else None,
        "margin": claim.get("margin"),
        **{key: claim.get(key, "") for key in KEPT},
        "verdict": None if check else verdict.word,
        "pipeline_check": verdict.word if check else None,
        "other_data": verdict.other_data,
        "gate": {
            "passes": not verdict.failed if verdict.gate else None,
            "checks": [one.record() for one in verdict.gate],
        },
        "readings": [_reading(verdict, outcome) for outcome in verdict.outcomes],
        "printed": {"published": published(claim), "gate": gate(verdict), "word": word(verdict)},
        "sentence": sentence(verdict),
    }


def _reading(verdict: Verdict, outcome: Outcome) -> dict[str, Any]:
    interval = outcome.interval
    has_ends = interval is not None and interval.n > 1
    return {
        "reading": outcome.reading,
        "word": outcome.word,
        "reason": outcome.reason,
        "unit": outcome.unit,
        "estimate": None if interval is None else interval.estimate,
        "low": interval.low if interval is not None and has_ends else None,
        "high": interval.high if interval is not None and has_ends else None,
        "confidence": outcome.confidence,
        "n": outcome.n,
        "boundary": outcome.boundary,
        "better": outcome.better,
        "size": outcome.size,
        "detectable": outcome.detectable,
        "cells": list(outcome.cells),
        "printed": {
            "ours": ours(verdict, outcome),
            "claimed": claimed(verdict, outcome),
            "cells": cells(outcome),
            "size": outcome.size or "-",
            "detectable": "-" if outcome.detectable is None else f"{outcome.detectable:.{outcome.decimals}f}",
        },
    }


# Numbers as printed


def word(verdict: Verdict) -> str:
    """The word with what belongs to it: the gate's failing checks, the count of "in every", data of others."""
    said = verdict.word
    if said == TOO_SMALL and verdict.failed:
        said += f" ({', '.join(check.letter for check in verdict.failed)})"
    elif verdict.claim.get("every") and len(verdict.outcomes) == 1 and said in (*ON_STANDIN, *ON_STANDIN.values()):
        said += f" in {cells(verdict.outcomes[0])}"
    if verdict.other_data and verdict.word != NOT_TESTABLE:
        said += f" on {verdict.other_data} (paper: {' and '.join(verdict.claim['data'])})"
    return said


def published(claim: Mapping[str, Any]) -> str:
    """The published effect as printed, in the unit and with the sign of ours; else what else was published."""
    if claim["source"] not in RECOVERED or claim.get("effect") is None:
        return published_text(claim.get("published"), claim["source"], ".10g")
    ends = claim["effect"] if isinstance(claim["effect"], list) else [claim["effect"]]
    return " to ".join(f"{end:.10g}" if claim["kind"] == "ratio" else f"{end:+.10g}" for end in ends)


def ours(verdict: Verdict, outcome: Outcome) -> str:
    """The effect with its interval as printed, or how many numbers hold."""
    if verdict.claim["kind"] in COMPARED and outcome.cells:
        first = outcome.cells[0]
        return f"{cells(outcome)} hold" if len(outcome.cells) > 1 else f"{first['measured']:.10g}"
    if outcome.interval is None:
        return "-"
    interval, said = outcome.interval, number(verdict, outcome, outcome.interval.estimate)
    if interval.n > 1:
        said += f" [{number(verdict, outcome, interval.low)}, {number(verdict, outcome, interval.high)}]"
    return f"{said} {outcome.unit}".strip()


def number(verdict: Verdict, outcome: Outcome, value: float) -> str:
    """A ratio as it is, a difference with its sign."""
    sign = "" if verdict.claim["kind"] == "ratio" else "+"
    return f"{value:{sign}.{outcome.decimals}f}"


def claimed(verdict: Verdict, outcome: Outcome) -> str:
    """The side of the boundary that the claim sees the effect on."""
    if outcome.interval is None:
        return "-"
    if verdict.claim["kind"] == "within":
        return f"within ±{outcome.boundary:g}"
    return f"{'>' if outcome.better == 'higher' else '<'} {outcome.boundary:g}"


def cells(outcome: Outcome) -> str:
    """How many cells lie on the claimed side: ``5 of 6``."""
    counted, count = outcome.counted
    return f"{counted} of {count}" if count else "-"


def gate(verdict: Verdict) -> str:
    """The worst of each of the gate's checks, as printed."""
    return ", ".join(check.printed for check in worst_of(verdict.gate)) or "-"


# Sentences


def sentence(verdict: Verdict) -> str:
    """The outcome in plain English."""
    said = [_of_reading(verdict, outcome) for outcome in verdict.outcomes]
    if len(said) > 1:
        readings = (outcome.reading for outcome in verdict.outcomes)
        said = [f"Read as {name}: {text}" for name, text in zip(readings, said, strict=True)]
    return " ".join(said)


def _of_reading(verdict: Verdict, outcome: Outcome) -> str:
    if outcome.word == NOT_TESTABLE:
        return f"Not testable here: {outcome.reason}."
    if verdict.claim["kind"] in COMPARED:
        return _compared(outcome)
    if outcome.interval is None:
        return f"Too small to say: {outcome.reason}."
    of_cells = f"; {cells(outcome)} cells on the claimed side" if len(outcome.cells) > 1 else ""
    share = f"{100 * outcome.confidence:g} % interval, n = {outcome.n}"
    said = f"{ours(verdict, outcome)} ({share}), claimed {claimed(verdict, outcome)}{of_cells}: {outcome.word}"
    if outcome.reason:
        return f"{said} ({outcome.reason})."
    if outcome.word == "open":
        seen = f"{outcome.detectable:.{outcome.decimals}f} {outcome.unit}".strip()
        said += f" (80 % power from {seen})"
    return said + (f"; size: {outcome.size} ({published(verdict.claim)})." if outcome.size else ".")


def _compared(outcome: Outcome) -> str:
    """How many numbers are the expected ones."""
    worst, checked = worst_cell(outcome.cells), outcome.cells
    failed = sum(not cell["holds"] for cell in checked)
    equal = "within the tolerance of" if worst["tolerance"] else "equal to"
    if failed:
        return (
            f"{failed} of {len(checked)} numbers are not {equal} the expected ones; worst is {worst['label']}: "
            f"{worst['measured']:.10g}, expected {worst['expected']:.10g} (tolerance {worst['tolerance']:.4g})."
        )
    if len(checked) == 1:
        return f"{worst['measured']:.10g} is {equal} the expected {worst['expected']:.10g}."
    return f"All {len(checked)} numbers are {equal} the expected ones."
