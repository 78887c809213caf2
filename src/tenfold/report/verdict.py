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
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tenfold.errors import UserError
from tenfold.measure.statistics import (
    Interval,
    holm,
    mean_interval,
    paired_difference,
    permutation_test,
    ratio_interval,
)
from tenfold.report.evidence import Cell, Check, Evidence, Groups, Paired
from tenfold.report.face import RECOVERED, SOURCES

Claim = Mapping[str, Any]

ALPHA = 0.05
SEEDS_FOR_A_VERDICT = 5
SEEDS_FOR_A_PIPELINE_CHECK = 3

TESTED = ("direction", "not-worse", "ratio", "exists")  # kinds that an interval decides
COMPARED = ("exact", "value")  # kinds that a comparison of two numbers decides
TOO_SMALL = "n too small"
NOT_TESTABLE = "not testable here"
STANDIN_WORDS = ("shows", "does not show")


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
        boundary: what the deciding cell was tested against.
        deciding: the cell that decides, one of ``cells``; empty where nothing was measured.
        cells: estimate, interval, n and p of each cell.
        family: how many tested claims the word was corrected for; 0 before that.
        reason: why the claim is not testable here; empty where it is.
    """

    claim: Claim
    word: str
    holm: str
    data_is_standin: bool
    edition: str
    unit: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    p: float | None = None
    p_holm: float | None = None
    on_claimed_side: bool | None = None
    boundary: float = 0.0
    deciding: Mapping[str, Any] = field(default_factory=dict)
    cells: tuple[Mapping[str, Any], ...] = ()
    family: int = 0
    reason: str = ""

    @property
    def is_pipeline_check(self) -> bool:
        """Whether the word says only that the pipeline can show the effect: a tested claim on a stand-in."""
        return self.data_is_standin and self.claim["kind"] in TESTED and self.word != NOT_TESTABLE


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
    return Verdict(claim, NOT_TESTABLE, NOT_TESTABLE, data_is_standin, edition, reason=reason)


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
        unit=evidence.unit,
        estimate=deciding.interval.estimate,
        low=low,
        high=high,
        n=n,
        p=p if enough else None,
        p_holm=p if enough else None,
        on_claimed_side=deciding.claimed,
        boundary=deciding.boundary,
        deciding=deciding.record(),
        cells=tuple(cell.record() for cell in cells),
    )


def _measure(claim: Claim, cell: Cell) -> _Tested:
    """The cell's interval and on which side of the claim's boundary it lies."""
    where = f"claim {claim['id']}, cell {cell.label!r}"
    if isinstance(cell, Check):
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


def _interval(kind: str, cell: Paired | Groups, boundary: float) -> Interval:
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
    return replace(verdict, holm=word, p_holm=p_holm, family=family)


def _ends(interval: Interval) -> tuple[float, float] | tuple[None, None]:
    """Low and high end; two None for one value and for permutation tests, which have no interval."""
    return (interval.low, interval.high) if math.isfinite(interval.high) else (None, None)


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
    return Verdict(
        claim=claim,
        word=word,
        holm=word,
        data_is_standin=data_is_standin,
        edition=edition,
        unit=evidence.unit,
        estimate=worst["measured"],
        n=min(counted) if counted else None,
        deciding=worst,
        cells=tuple(cells),
    )


def _compare(claim: Claim, cell: Cell) -> dict[str, Any]:
    if not isinstance(cell, Check):
        raise UserError(f"claim {claim['id']}, cell {cell.label!r}: kind {claim['kind']} needs a pair of numbers")
    if not (math.isfinite(cell.measured) and math.isfinite(cell.expected)):
        raise UserError(f"claim {claim['id']}, cell {cell.label!r}: {cell.measured:g} against {cell.expected:g}")
    tolerance = cell.tolerance if cell.tolerance is not None else float(claim.get("margin") or 0)
    difference = cell.measured - cell.expected
    return asdict(cell) | {"tolerance": tolerance, "difference": difference, "holds": abs(difference) <= tolerance}
