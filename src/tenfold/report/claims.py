"""Decides a paper's claims: what was claimed, what was measured, and one word that says whether it holds.

The kinds ``direction``, ``not-worse``, ``ratio`` and ``exists`` ask on which side of a boundary a quantity
lies: 0 for a difference, minus the margin for "not worse", the stated ratio for a ratio. The two-sided test of the
boundary decides, so a verdict is the position of the 95 % interval: wholly on the claimed side, wholly on the
other side, or astride of the boundary, which is "not resolved".

A claim with several cells (one per ratio, net, dataset) says that *all* of them hold. It is supported only if every
cell is: its p-value is the largest of theirs (intersection-union test). It is contradicted as soon as one cell
is, with the smallest p-value of the cells on the other side times the number of cells (Bonferroni).

The tested claims of one paper are a family: beside the uncorrected word stands the one after Holm's correction.
On stand-in data the words are ``shows`` and ``does not show``: a pipeline check, which is not corrected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tenfold.errors import UserError
from tenfold.files import write_json
from tenfold.measure.statistics import (
    Interval,
    holm,
    mean_interval,
    paired_difference,
    permutation_test,
    ratio_interval,
)
from tenfold.report.face import RECOVERED, SOURCES, Face, published_text

Claim = Mapping[str, Any]

FORMAT = 1
ALPHA = 0.05
SEEDS_FOR_A_VERDICT = 5
SEEDS_FOR_A_PIPELINE_CHECK = 3

TESTED = ("direction", "not-worse", "ratio", "exists")  # kinds that an interval decides
COMPARED = ("exact", "value")  # kinds that a comparison of two numbers decides
TOO_SMALL = "n too small"
NOT_TESTABLE = "not testable here"
STANDIN_WORDS = ("shows", "does not show")


@dataclass(frozen=True)
class Arms:
    """One cell of a tested claim: the value of each seed in both arms, paired by seed.

    Attributes:
        label: which cell of the claim it is, such as ``MACs -50 %``.
        ours: seed -> value of the arm the claim is about.
        other: seed -> value of the arm it is compared with; None where the claim is about ``ours`` itself
            (a difference measured within one net, a ratio).
        better: on which side of the boundary the claim sees ours: ``higher`` or ``lower``.
    """

    label: str
    ours: Mapping[int, float]
    other: Mapping[int, float] | None = None
    better: str = "higher"


@dataclass(frozen=True)
class Groups:
    """One cell of a ``direction`` claim about unpaired groups: one number per independent group.

    Three against three never reach 5 % (the smallest p is 0.1), four against four do.
    """

    label: str
    ours: Sequence[float]
    other: Sequence[float]
    better: str = "higher"


@dataclass(frozen=True)
class Pair:
    """One cell of an ``exact`` or ``value`` claim: a measured number and the one it should be.

    Attributes:
        label: which cell of the claim it is.
        measured: our number (for ``value``: the mean over seeds).
        expected: the number that the definition, the paper or its code gives.
        tolerance: largest absolute difference allowed; None for the claim's margin (0 without one).
        n: how many seeds ``measured`` is the mean of; None where no seed enters.
    """

    label: str
    measured: float
    expected: float
    tolerance: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class Evidence:
    """What a paper's code hands over for one claim.

    Attributes:
        cells: what was measured; all of them must hold.
        unit: unit of the difference, such as ``points``.
        trained: whether a trained net enters; a ``value`` claim without may be decided at any edition.
        reason: why the claim cannot be tested here; then there are no cells.
    """

    cells: Sequence[Arms | Groups | Pair] = ()
    unit: str = ""
    trained: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """What is said of one claim.

    Attributes:
        claim: the claim as configured.
        word: the uncorrected word.
        holm: the word after Holm's correction over the paper's tested claims; ``word`` where nothing is tested.
        data_is_standin: whether the word is a pipeline check only.
        edition: where it was decided.
        unit: unit of the estimate.
        estimate: difference, ratio or measured number of the deciding cell (the weakest one).
        low: lower end of its 95 % interval; None where there is none.
        high: upper end.
        n: seeds (smallest n of the cells); None where no seed enters.
        p: two-sided p-value of the boundary, over all cells; None where no word was drawn from it.
        p_holm: p after Holm's correction.
        on_claimed_side: on which side of the boundary the deciding cell lies; None where nothing is tested.
        sentence: the outcome in plain English.
        cells: estimate, interval, n and p of each cell.
    """

    claim: Claim
    word: str
    holm: str
    data_is_standin: bool
    edition: str
    sentence: str
    unit: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    p: float | None = None
    p_holm: float | None = None
    on_claimed_side: bool | None = None
    cells: tuple[dict[str, Any], ...] = ()

    @property
    def is_pipeline_check(self) -> bool:
        """Whether the word says only that the pipeline can show the effect: a tested claim on a stand-in."""
        return self.data_is_standin and self.claim["kind"] in TESTED and self.word != NOT_TESTABLE

    @property
    def ours(self) -> str:
        """The estimate as printed."""
        if self.estimate is None:
            return "-"
        if self.claim["kind"] in TESTED:
            return f"{self._number(self.estimate)} {self.unit}".strip()
        held = sum(cell["holds"] for cell in self.cells)
        return f"{held} of {len(self.cells)} hold" if len(self.cells) > 1 else f"{self.estimate:.10g}"

    @property
    def interval(self) -> str:
        """The interval as printed."""
        if self.low is None or self.high is None:
            return "-"
        return f"[{self._number(self.low)}, {self._number(self.high)}]"

    def _number(self, value: float) -> str:
        ends = [end for end in (self.estimate, self.low, self.high) if end is not None]
        return _number(self.claim["kind"], value, _decimals(*ends))


def decide(claim: Claim, evidence: Evidence | None, *, data_is_standin: bool, edition: str) -> Verdict:
    """The verdict on one claim, taken by itself (no correction for the other claims).

    Args:
        claim: id, claim, kind, published, source, margin, reason, editions. ``margin`` is the allowed loss
            (not-worse), the stated ratio (ratio) or the tolerance (exact, value).
        evidence: what was measured; None is allowed only where ``editions`` leaves this edition out.
        data_is_standin: whether the data are a stand-in.
        edition: the edition at which the evidence was measured.

    Raises:
        UserError: the claim is badly configured, or the evidence does not fit it.
    """
    _check(claim)
    if edition not in claim["editions"]:
        where = ", ".join(claim["editions"]) or "none"
        return _not_testable(claim, f"editions that test it: {where}", data_is_standin, edition)
    if evidence is None:
        raise UserError(f"claim {claim['id']}: no evidence was measured, though its editions name {edition}")
    if evidence.reason:
        return _not_testable(claim, evidence.reason, data_is_standin, edition)
    if not evidence.cells:
        raise UserError(f"claim {claim['id']}: evidence has neither cells nor a reason why it cannot be tested")
    if claim["kind"] in TESTED:
        return _decide_by_interval(claim, evidence, data_is_standin, edition)
    if claim["kind"] == "value":
        if evidence.trained and (data_is_standin or edition != "full"):
            reason = "a trained value is compared with the published one only at full, on the real data"
            return _not_testable(claim, reason, data_is_standin, edition)
        if claim["source"] not in RECOVERED:
            return _not_testable(claim, "the published value was not recovered", data_is_standin, edition)
    return _decide_by_comparison(claim, evidence, data_is_standin, edition)


def decide_family(
    claims: Sequence[Claim], evidence: Mapping[str, Evidence], *, data_is_standin: bool, edition: str
) -> list[Verdict]:
    """The verdicts on all claims of one paper, with Holm's correction over those that were tested.

    Args:
        claims: the paper's claims, as configured.
        evidence: claim id -> what was measured for it.
        data_is_standin: whether the data are a stand-in.
        edition: the edition at which the evidence was measured.

    Raises:
        UserError: evidence for a claim that is not configured, or as for ``decide``.
    """
    unknown = sorted(set(evidence) - {claim["id"] for claim in claims})
    if unknown:
        raise UserError(f"evidence for claims that are not configured: {', '.join(unknown)}")
    verdicts = [
        decide(claim, evidence.get(claim["id"]), data_is_standin=data_is_standin, edition=edition) for claim in claims
    ]
    tested = [(index, verdict.p) for index, verdict in enumerate(verdicts) if verdict.p is not None]
    for (index, _), p_holm in zip(tested, holm([p for _, p in tested]), strict=True):
        verdicts[index] = _corrected(verdicts[index], p_holm, len(tested))
    return verdicts


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
        rows.append((claim["id"], claim["kind"], *words, verdict.ours, verdict.interval, n, claim["claim"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _check(claim: Claim) -> None:
    missing = [key for key in ("id", "claim", "kind", "source", "editions") if key not in claim]
    if missing:
        raise UserError(f"claim {claim.get('id', '?')}: missing {', '.join(missing)}")
    if claim["kind"] not in TESTED + COMPARED:
        allowed = ", ".join(COMPARED + TESTED)
        raise UserError(f"claim {claim['id']}: unknown kind {claim['kind']!r}; allowed are {allowed}")
    if claim["source"] not in SOURCES:
        raise UserError(f"claim {claim['id']}: unknown source {claim['source']!r}; allowed are {', '.join(SOURCES)}")
    if claim["kind"] in ("not-worse", "ratio") and not (claim.get("margin") or 0) > 0:
        raise UserError(f"claim {claim['id']}: kind {claim['kind']} needs a margin above 0")


def _not_testable(claim: Claim, reason: str, data_is_standin: bool, edition: str) -> Verdict:
    sentence = f"Not testable here: {reason}."
    return Verdict(claim, NOT_TESTABLE, NOT_TESTABLE, data_is_standin, edition, sentence)


# Kinds that an interval decides


@dataclass(frozen=True)
class _Tested:
    """A cell of a tested claim, measured against its boundary."""

    label: str
    interval: Interval
    boundary: float
    claimed: bool

    def record(self) -> dict[str, Any]:
        interval = self.interval
        return {
            "label": self.label,
            "estimate": interval.estimate,
            "low": _ends(interval)[0],
            "high": _ends(interval)[1],
            "n": interval.n,
            "p": interval.p if interval.n > 1 else None,
            "on_claimed_side": self.claimed,
        }


def _decide_by_interval(claim: Claim, evidence: Evidence, data_is_standin: bool, edition: str) -> Verdict:
    kind = claim["kind"]
    cells = [_measure(claim, cell) for cell in evidence.cells]
    deciding, p = _all_must_hold(cells)
    n = min(cell.interval.n for cell in cells)
    low, high = _ends(deciding.interval)
    enough = n >= (SEEDS_FOR_A_PIPELINE_CHECK if data_is_standin else SEEDS_FOR_A_VERDICT)
    word = _word(kind, p, deciding.claimed, data_is_standin) if enough else TOO_SMALL
    return Verdict(
        claim=claim,
        word=word,
        holm=word,
        data_is_standin=data_is_standin,
        edition=edition,
        sentence=_sentence(claim, deciding, cells, p if enough else None, evidence.unit, data_is_standin),
        unit=evidence.unit,
        estimate=deciding.interval.estimate,
        low=low,
        high=high,
        n=n,
        p=p if enough else None,
        p_holm=p if enough else None,
        on_claimed_side=deciding.claimed,
        cells=tuple(cell.record() for cell in cells),
    )


def _measure(claim: Claim, cell: Arms | Groups | Pair) -> _Tested:
    """The cell's interval and on which side of the claim's boundary it lies."""
    where = f"claim {claim['id']}, cell {cell.label!r}"
    if isinstance(cell, Pair):
        raise UserError(f"{where}: kind {claim['kind']} needs the values of each seed, not a pair of numbers")
    if cell.better not in ("higher", "lower"):
        raise UserError(f"{where}: better is {cell.better!r}; allowed are higher, lower")
    sign = 1 if cell.better == "higher" else -1
    margin = float(claim.get("margin") or 0)
    boundary = {"not-worse": -sign * margin, "ratio": margin}.get(claim["kind"], 0.0)
    try:
        interval = _interval(claim["kind"], cell, boundary)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    return _Tested(cell.label, interval, boundary, sign * (interval.estimate - boundary) > 0)


def _interval(kind: str, cell: Arms | Groups, boundary: float) -> Interval:
    if isinstance(cell, Groups):
        if kind != "direction":
            raise ValueError(f"groups can decide a direction, not {kind}")
        return permutation_test(_finite(cell.ours), _finite(cell.other))
    if cell.other is not None and set(cell.ours) != set(cell.other):
        unpaired = ", ".join(str(seed) for seed in sorted(set(cell.ours) ^ set(cell.other)))
        raise ValueError(f"seeds without a partner: {unpaired}")
    seeds = sorted(cell.ours)
    ours = _finite([cell.ours[seed] for seed in seeds])
    other = None if cell.other is None else _finite([cell.other[seed] for seed in seeds])
    if kind == "ratio":
        return ratio_interval(ours, other, null=boundary)
    if other is None:
        return mean_interval(ours, null=boundary)
    return paired_difference(ours, other, null=boundary)


def _finite(values: Sequence[float]) -> Sequence[float]:
    if not all(map(math.isfinite, values)):
        raise ValueError(f"a value is not finite: {', '.join(f'{value:g}' for value in values)}")
    return values


def _all_must_hold(cells: Sequence[_Tested]) -> tuple[_Tested, float]:
    """The cell that decides "all cells hold", and the p-value of that decision (see the module's docstring)."""
    against = [cell for cell in cells if not cell.claimed]
    if against:
        worst = min(against, key=lambda cell: cell.interval.p)
        return worst, min(1.0, len(cells) * worst.interval.p)
    weakest = max(cells, key=lambda cell: cell.interval.p)
    return weakest, weakest.interval.p


def _word(kind: str, p: float, claimed: bool, data_is_standin: bool) -> str:
    decided = p < ALPHA
    if data_is_standin:
        return "shows" if decided and claimed else "does not show"
    if decided and claimed:
        return "supported"
    return "contradicted" if decided and kind != "exists" else "not resolved"


def _corrected(verdict: Verdict, p_holm: float, family: int) -> Verdict:
    word = _word(verdict.claim["kind"], p_holm, bool(verdict.on_claimed_side), verdict.data_is_standin)
    sentence = verdict.sentence
    if word != verdict.word:
        sentence += f" Corrected for {family} tested claims (Holm, p = {p_holm:.2g}) it is: {word}."
    return replace(verdict, holm=word, p_holm=p_holm, sentence=sentence)


def _sentence(
    claim: Claim, cell: _Tested, cells: Sequence[_Tested], p: float | None, unit: str, data_is_standin: bool
) -> str:
    kind, interval = claim["kind"], cell.interval
    ends = _ends(interval)
    decimals = _decimals(interval.estimate, *(end for end in ends if end is not None))
    estimate, boundary, *limits = (
        _number(kind, value, decimals) for value in (interval.estimate, cell.boundary, *ends) if value is not None
    )
    what = {"ratio": "the ratio", "exists": "the difference of the one chosen on validation data"}
    subject = f"{what.get(kind, 'the difference')} is {estimate} {unit}".rstrip()
    if len(cells) > 1:
        subject = f"of {len(cells)} cells, all of which must hold, {cell.label} decides: {subject}"
    subject = subject[0].upper() + subject[1:]
    subject += f" (95 % interval {limits[0]} to {limits[1]}, n = {interval.n})" if limits else f" (n = {interval.n})"
    if cell.boundary == 0:
        boundary = "0"
    if p is None:
        needed = SEEDS_FOR_A_PIPELINE_CHECK if data_is_standin else SEEDS_FOR_A_VERDICT
        outcome = f"too few seeds for a word; {needed} are needed"
    elif p >= ALPHA:
        outcome = f"on which side of {boundary} it lies is not resolved (p = {p:.2g})"
    else:
        outcome = f"on the {'claimed' if cell.claimed else 'other'} side of {boundary} (p = {p:.2g})"
        if interval.low == interval.high:
            outcome += ", with no spread between seeds"
    return f"{subject}: {outcome}."


def _ends(interval: Interval) -> tuple[float, float] | tuple[None, None]:
    """Low and high end; two None for one value and for permutation tests, which have no interval."""
    return (interval.low, interval.high) if math.isfinite(interval.high) else (None, None)


def _decimals(*values: float) -> int:
    """How many decimals show two significant digits of the largest of the values: 2 to 6."""
    largest = max(map(abs, values))
    return 2 if largest == 0 else min(6, max(2, 1 - math.floor(math.log10(largest))))


def _number(kind: str, value: float, decimals: int) -> str:
    """A ratio as it is, a difference with its sign."""
    return f"{value:.{decimals}f}" if kind == "ratio" else f"{value:+.{decimals}f}"


# Kinds that a comparison of two numbers decides


def _decide_by_comparison(claim: Claim, evidence: Evidence, data_is_standin: bool, edition: str) -> Verdict:
    cells = [_compare(claim, cell) for cell in evidence.cells]
    failed = [cell for cell in cells if not cell["holds"]]
    worst = max(cells, key=lambda cell: (not cell["holds"], abs(cell["difference"]) - cell["tolerance"]))
    if claim["kind"] == "exact":
        word = "fails" if failed else "holds"
    else:
        word = f"off by {worst['difference']:+.4g}" if failed else "reproduced"
    counted = [cell["n"] for cell in cells if cell["n"] is not None]
    equal = "within the tolerance of" if worst["tolerance"] else "equal to"
    if failed:
        sentence = (
            f"{len(failed)} of {len(cells)} numbers are not {equal} the expected ones; worst is {worst['label']}: "
            f"{worst['measured']:.10g}, expected {worst['expected']:.10g} (tolerance {worst['tolerance']:.4g})."
        )
    else:
        sentence = f"All {len(cells)} numbers are {equal} the expected ones."
        if len(cells) == 1:
            sentence = f"{worst['measured']:.10g} is {equal} the expected {worst['expected']:.10g}."
    return Verdict(
        claim=claim,
        word=word,
        holm=word,
        data_is_standin=data_is_standin,
        edition=edition,
        sentence=sentence,
        unit=evidence.unit,
        estimate=worst["measured"],
        n=min(counted) if counted else None,
        cells=tuple(cells),
    )


def _compare(claim: Claim, cell: Arms | Groups | Pair) -> dict[str, Any]:
    if not isinstance(cell, Pair):
        raise UserError(f"claim {claim['id']}, cell {cell.label!r}: kind {claim['kind']} needs a pair of numbers")
    if not (math.isfinite(cell.measured) and math.isfinite(cell.expected)):
        raise UserError(f"claim {claim['id']}, cell {cell.label!r}: {cell.measured:g} against {cell.expected:g}")
    tolerance = cell.tolerance if cell.tolerance is not None else float(claim.get("margin") or 0)
    difference = cell.measured - cell.expected
    return asdict(cell) | {"tolerance": tolerance, "difference": difference, "holds": abs(difference) <= tolerance}


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
            "ours": verdict.ours,
            "interval": verdict.interval,
        },
        "sentence": verdict.sentence,
        "cells": list(verdict.cells),
    }
