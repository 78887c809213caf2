"""Decides a paper's claims: what was claimed, what was measured, and one word that says whether it holds.

The word follows from the interval as it is printed. ``direction``, ``not-worse``, ``within``, ``ratio`` and ``exists``
ask on which side of a boundary the effect lies: 0 for a difference, minus the margin for "not worse" (and plus the
margin too for "within"), the stated ratio for a ratio. The effect of a seed is its mean over the claim's cells, and the
interval Student's t over the seeds: 95 %, or 97.5 % for each of two primary claims.

Before any word on real data stand at least three seeds, and the gate. On a stand-in the words are other ones: a check
of the pipeline, which says nothing of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import mean
from typing import Any

from tenfold.errors import UserError
from tenfold.measure.statistics import Interval, detectable, mean_interval, pooled, welch_interval
from tenfold.report.evidence import Cell, Check, Evidence, Groups, Paired
from tenfold.report.face import RECOVERED, SOURCES
from tenfold.report.gate import Checked, worst_of

Claim = Mapping[str, Any]

ROLES = ("primary", "secondary", "control", "check")
SEEDS_FOR_A_WORD = 3
CONFIDENCE = {1: 0.95, 2: 0.975}  # of each primary claim, by their number

TESTED = ("direction", "not-worse", "within", "ratio", "exists")  # kinds that an interval decides
COMPARED = ("exact", "value")  # kinds that a comparison of two numbers decides
NOT_TESTABLE = "not testable here"
TOO_SMALL = "too small to say"
TOO_FEW = "too few seeds"
DEPENDS = "depends on the reading"
NO_TEST = ("by construction", "floor", "ceiling")
ON_STANDIN = {"supported": "effect visible", "contradicted": "reversed", "open": "not visible"}
TOO_NOISY = "too noisy"


@dataclass(frozen=True)
class Outcome:
    """What was found for a claim in one reading of its words.

    Attributes:
        reading: its name; empty where the words have one reading only.
        word: what is said.
        reason: why nothing is, or could be; empty where the interval says it.
        unit: unit of the effect.
        interval: the effect with its interval; None where there is none.
        confidence: that of the interval.
        decimals: how many are printed, and decide.
        boundary: what the effect is held against.
        better: the side of the boundary that is claimed: higher or lower.
        cells: each cell of the claim, with the values of its seeds.
        size: how the interval lies to the published effect; empty where none is published.
        detectable: the effect that would have been found with 80 % power; None without an interval.
    """

    reading: str
    word: str
    reason: str = ""
    unit: str = ""
    interval: Interval | None = None
    confidence: float = CONFIDENCE[1]
    decimals: int = 2
    boundary: float = 0.0
    better: str = "higher"
    cells: tuple[Mapping[str, Any], ...] = ()
    size: str = ""
    detectable: float | None = None

    @property
    def counted(self) -> tuple[int, int]:
        """How many of the cells that count are on the claimed side, or hold, and how many there are."""
        count = [cell for cell in self.cells if not cell.get("left_out")]
        return sum(bool(cell.get("holds", cell.get("on_claimed_side"))) for cell in count), len(count)

    @property
    def n(self) -> int | None:
        """Seeds, the smallest number of the cells; None where none enters."""
        if self.interval is not None:
            return self.interval.n
        return min((cell["n"] for cell in self.cells if cell.get("n") is not None), default=None)


@dataclass(frozen=True)
class Verdict:
    """What is said of one claim.

    Attributes:
        claim: the claim as configured.
        word: one word for all readings.
        outcomes: one for each reading.
        gate: all checks of its gate; empty where it has none, or the data are a stand-in.
        edition: where it was decided.
        data_is_standin: whether the word is a check of the pipeline only.
        other_data: the real data that the word is of, where they are not the paper's.
    """

    claim: Claim
    word: str
    outcomes: tuple[Outcome, ...]
    gate: tuple[Checked, ...]
    edition: str
    data_is_standin: bool
    other_data: str = ""

    @property
    def is_pipeline_check(self) -> bool:
        """Whether the word says only that the pipeline can show the effect: a tested claim on a stand-in."""
        return self.data_is_standin and self.claim["kind"] in TESTED and self.word != NOT_TESTABLE

    @property
    def failed(self) -> list[Checked]:
        """Which of a, b and c of the gate failed, at the worst place each."""
        return [check for check in worst_of(self.gate) if check.lacking]


def decide_all(
    claims: Sequence[Claim],
    evidence: Mapping[str, Evidence],
    *,
    data_is_standin: bool,
    edition: str,
    gates: Mapping[str, Sequence[Checked]] | None = None,
    overlap: float = 0.0,
) -> list[Verdict]:
    """The verdicts on all claims of one paper.

    Args:
        claims: the paper's claims, as configured.
        evidence: claim id -> what was measured for it.
        data_is_standin: whether the data are a stand-in.
        edition: the edition at which the evidence was measured.
        gates: claim id -> the checks of its gate.
        overlap: test over training examples, where seeds are random splits of the same data.

    Raises:
        UserError: a claim is badly configured, or the evidence does not fit it.
    """
    unknown = sorted(set(evidence) - {claim["id"] for claim in claims})
    if unknown:
        raise UserError(f"evidence for claims that are not configured: {', '.join(unknown)}")
    primary = sum(claim["role"] == "primary" for claim in claims)
    if primary > max(CONFIDENCE):
        raise UserError(f"{primary} primary claims; a paper has one or two, its others are secondary")
    return [
        decide(
            claim,
            evidence.get(claim["id"]),
            data_is_standin=data_is_standin,
            edition=edition,
            gate=(gates or {}).get(claim["id"], ()),
            confidence=CONFIDENCE[primary if claim["role"] == "primary" else 1],
            overlap=overlap,
        )
        for claim in claims
    ]


def decide(
    claim: Claim,
    evidence: Evidence | None,
    *,
    data_is_standin: bool,
    edition: str,
    gate: Sequence[Checked] = (),
    confidence: float = CONFIDENCE[1],
    overlap: float = 0.0,
) -> Verdict:
    """The verdict on one claim; see `decide_all` for the arguments.

    Raises:
        UserError: the claim is badly configured, or the evidence does not fit it.
    """
    _check(claim)
    gate = () if data_is_standin else tuple(gate)
    if edition not in claim["editions"]:
        where = ", ".join(claim["editions"]) or "none"
        evidence = Evidence(reason=f"editions that test it: {where}")
    if evidence is None:
        raise UserError(f"claim {claim['id']}: no evidence was measured, though its editions name {edition}")
    judge = _Judge(claim, data_is_standin, edition, gate, confidence, overlap)
    outcomes = tuple(judge.outcome(name, one) for name, one in (evidence.readings or {"": evidence}).items())
    words = {outcome.word for outcome in outcomes}
    measured = [data for one in (evidence, *evidence.readings.values()) for data in one.data]
    others = [name for name in dict.fromkeys(measured) if name not in claim.get("data", measured)]
    tested = claim["kind"] in TESTED and not data_is_standin
    word = words.pop() if len(words) == 1 else DEPENDS
    return Verdict(claim, word, outcomes, gate, edition, data_is_standin, " and ".join(others) if tested else "")


def _check(claim: Claim) -> None:
    missing = [key for key in ("id", "claim", "role", "kind", "source", "editions") if key not in claim]
    if missing:
        raise UserError(f"claim {claim.get('id', '?')}: missing {', '.join(missing)}")
    for key, allowed in (("kind", COMPARED + TESTED), ("source", SOURCES), ("role", ROLES)):
        if claim[key] not in allowed:
            raise UserError(f"claim {claim['id']}: unknown {key} {claim[key]!r}; allowed are {', '.join(allowed)}")
    if claim["kind"] in ("not-worse", "within", "ratio") and not (claim.get("margin") or 0) > 0:
        raise UserError(f"claim {claim['id']}: kind {claim['kind']} needs a margin above 0")


@dataclass(frozen=True)
class _Judge:
    """A claim, and on what it is decided."""

    claim: Claim
    data_is_standin: bool
    edition: str
    gate: tuple[Checked, ...]
    confidence: float
    overlap: float

    def outcome(self, reading: str, evidence: Evidence) -> Outcome:
        if evidence.reason:
            return Outcome(reading, NOT_TESTABLE, evidence.reason)
        if not evidence.cells:
            raise self.error("evidence has neither cells nor a reason why it cannot be tested")
        if self.claim["kind"] in TESTED:
            return self.by_interval(reading, evidence)
        if self.claim["kind"] == "value" and evidence.trained and (self.data_is_standin or self.edition != "full"):
            reason = "a trained value is compared with the published one only at full, on the real data"
            return Outcome(reading, NOT_TESTABLE, reason)
        if self.claim["kind"] == "value" and self.claim["source"] not in RECOVERED:
            return Outcome(reading, NOT_TESTABLE, "the published value was not recovered")
        return self.by_comparison(reading, evidence)

    def error(self, text: str, cell: str = "") -> UserError:
        return UserError(f"claim {self.claim['id']}{f', cell {cell!r}' if cell else ''}: {text}")

    # Kinds that an interval decides

    def by_interval(self, reading: str, evidence: Evidence) -> Outcome:
        cells = [self.measured(cell) for cell in evidence.cells]
        counting = [cell for cell in evidence.cells if isinstance(cell, Paired | Groups) and not cell.left_out]
        if not counting:
            reason = f"every cell is {cells[0]['left_out']}"
            return Outcome(reading, TOO_SMALL, reason, evidence.unit, confidence=self.confidence, cells=tuple(cells))
        interval, better = self.effect(counting), counting[0].better
        decimals = _decimals(interval)
        found = Outcome(
            reading,
            word="",
            unit=evidence.unit,
            interval=interval,
            confidence=self.confidence,
            decimals=decimals,
            boundary=self.boundary(better),
            better=better,
            cells=tuple(cells),
            size=self.size(interval, decimals),
        )
        if interval.n < SEEDS_FOR_A_WORD:
            return replace(found, word=TOO_FEW, reason=f"n = {interval.n}; {SEEDS_FOR_A_WORD} are needed")
        if interval.error == 0:
            return replace(found, word=_without_spread(counting, evidence.bounds), reason="no spread between seeds")
        found = replace(found, detectable=detectable(interval, confidence=self.confidence))
        if failed := [check for check in worst_of(self.gate) if check.lacking]:
            return replace(found, word=TOO_SMALL, reason="; ".join(f"{one.what}: {one.printed}" for one in failed))
        low, high = (_as_printed(end, decimals) for end in (interval.low, interval.high))
        word = word_of(self.claim["kind"], low, high, found.boundary, better)
        if self.data_is_standin:
            least, most = evidence.bounds or (-math.inf, math.inf)
            word = TOO_NOISY if high - low > most - least else ON_STANDIN[word]
        return replace(found, word=word)

    def boundary(self, better: str) -> float:
        margin = float(self.claim.get("margin") or 0)
        if self.claim["kind"] == "ratio":
            return margin
        return {"not-worse": -margin if better == "higher" else margin, "within": margin}.get(self.claim["kind"], 0.0)

    def measured(self, cell: Cell) -> dict[str, Any]:
        """The cell by itself: its values, and on which side of the boundary they lie."""
        if isinstance(cell, Check):
            raise self.error(
                f"kind {self.claim['kind']} needs the values of each seed, not a pair of numbers", cell.label
            )
        if cell.better not in ("higher", "lower"):
            raise self.error(f"better is {cell.better!r}; allowed are higher, lower", cell.label)
        boundary, interval = self.boundary(cell.better), self.effect([cell])
        beyond = interval.estimate > boundary if cell.better == "higher" else interval.estimate < boundary
        ends = _ends(interval)
        return {
            "label": cell.label,
            "seeds": {} if isinstance(cell, Groups) else self.by_seed([cell]),
            "estimate": interval.estimate,
            "low": ends[0],
            "high": ends[1],
            "n": interval.n,
            "on_claimed_side": abs(interval.estimate) < boundary if self.claim["kind"] == "within" else beyond,
            "left_out": cell.left_out,
            "costs": {} if isinstance(cell, Groups) else dict(cell.costs),
        }

    def effect(self, cells: Sequence[Cell]) -> Interval:
        """The mean over the cells, with its interval over seeds (or, of independent groups, Welch's)."""
        if groups := [cell for cell in cells if isinstance(cell, Groups)]:
            if self.claim["kind"] != "direction" or len(groups) < len(cells):
                raise self.error(f"groups can decide a direction, not {self.claim['kind']}", groups[0].label)
            sides = [(self.finite(cell.ours, cell), self.finite(cell.other, cell)) for cell in groups]
            return pooled([welch_interval(*two) for two in sides], confidence=self.confidence)
        by_seed = self.by_seed(cells)
        if not by_seed:
            raise self.error("no seed has a value in all of its cells")
        values = list(by_seed.values())
        if self.claim["kind"] != "ratio":
            return mean_interval(values, confidence=self.confidence, overlap=self.overlap, scale=_largest(cells))
        logs = mean_interval([math.log(value) for value in values], confidence=self.confidence, overlap=self.overlap)
        ends = (math.exp(logs.estimate), math.exp(logs.low), math.exp(min(logs.high, 700)))
        return Interval(*ends, logs.n, logs.error, logs.freedom)

    def by_seed(self, cells: Sequence[Cell]) -> dict[int, float]:
        """The effect of each seed that all cells have: its mean over them (of ratios the geometric mean)."""
        pairs = [cell for cell in cells if isinstance(cell, Paired)]
        of_both = [set(cell.ours) if cell.other is None else set(cell.ours) & set(cell.other) for cell in pairs]
        return {seed: self.of_seed(pairs, seed) for seed in sorted(set.intersection(*of_both))}

    def of_seed(self, cells: Sequence[Paired], seed: int) -> float:
        ratio, effects = self.claim["kind"] == "ratio", []
        for cell in cells:
            ours, other = cell.ours[seed], (float(ratio) if cell.other is None else cell.other[seed])
            self.finite([ours, other], cell)
            if ratio and min(ours, other) <= 0:
                raise self.error("a ratio needs positive values", cell.label)
            effects.append(math.log(ours / other) if ratio else ours - other)
        return math.exp(mean(effects)) if ratio else mean(effects)

    def finite(self, values: Sequence[float], cell: Cell) -> Sequence[float]:
        if not all(map(math.isfinite, values)):
            raise self.error(f"a value is not finite: {', '.join(f'{value:g}' for value in values)}", cell.label)
        return values

    def size(self, interval: Interval, decimals: int) -> str:
        effect = self.claim.get("effect")
        if effect is None or interval.n < 2 or self.claim["source"] not in RECOVERED or self.data_is_standin:
            return ""
        ends = effect if isinstance(effect, list) else [effect, effect]
        return size_of(*(_as_printed(end, decimals) for end in (interval.low, interval.high)), *ends)

    # Kinds that a comparison of two numbers decides

    def by_comparison(self, reading: str, evidence: Evidence) -> Outcome:
        cells = [self.compared(cell) for cell in evidence.cells]
        failed = [cell for cell in cells if not cell["holds"]]
        worst = worst_cell(cells)
        if self.claim["kind"] == "exact":
            word = "fails" if failed else "holds"
        else:
            word = f"off by {worst['difference']:+.4g}" if failed else "reproduced"
        return Outcome(reading, word, unit=evidence.unit, cells=tuple(cells))

    def compared(self, cell: Cell) -> dict[str, Any]:
        if not isinstance(cell, Check):
            raise self.error(f"kind {self.claim['kind']} needs a pair of numbers", cell.label)
        if not (math.isfinite(cell.measured) and math.isfinite(cell.expected)):
            raise self.error(f"{cell.measured:g} against {cell.expected:g}", cell.label)
        tolerance = cell.tolerance if cell.tolerance is not None else float(self.claim.get("margin") or 0)
        difference = cell.measured - cell.expected
        return asdict(cell) | {"tolerance": tolerance, "difference": difference, "holds": abs(difference) <= tolerance}


def worst_cell(cells: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of compared numbers the one that is farthest from holding."""
    return max(cells, key=lambda cell: (not cell["holds"], abs(cell["difference"]) - cell["tolerance"]))


# The rule, on printed numbers


def word_of(kind: str, low: float, high: float, boundary: float, better: str) -> str:
    """The word for an interval, by its ends as they are printed; an end on the boundary is on neither side."""
    if kind == "within":
        inside, outside = -boundary < low and high < boundary, low > boundary or high < -boundary
    else:
        above, below = low > boundary, high < boundary
        inside, outside = (above, below) if better == "higher" else (below, above)
    if inside:
        return "supported"
    return "contradicted" if outside and kind != "exists" else "open"


def size_of(low: float, high: float, least: float, most: float) -> str:
    """How an interval lies to the published effect, which is one number or from least to most."""
    if low <= most and least <= high:
        return "as published"
    if least > 0 > high or most < 0 < low:
        return "other sign"
    return "above published" if low > most else "below published"


def _without_spread(cells: Sequence[Cell], bounds: tuple[float, float] | None) -> str:
    """Why all seeds are alike: all values are the least or the largest that there can be, or they have to be so."""
    values = {value for cell in cells if isinstance(cell, Paired)
              for side in (cell.ours, cell.other or {}) for value in side.values()}  # fmt: skip
    if bounds is not None and len(values) == 1:
        return {bounds[0]: "floor", bounds[1]: "ceiling"}.get(values.pop(), NO_TEST[0])
    return NO_TEST[0]


def _decimals(interval: Interval) -> int:
    """Two significant digits of half the interval, and at least two decimals."""
    half = (interval.high - interval.low) / 2
    scale = half if 0 < half < math.inf else abs(interval.estimate)
    return 2 if scale == 0 else min(6, max(2, 1 - math.floor(math.log10(scale))))


def _as_printed(value: float, decimals: int) -> float:
    return float(f"{value:.{decimals}f}")


def _largest(cells: Sequence[Cell]) -> float:
    """Size of the numbers that differences were taken of."""
    return max(abs(value) for cell in cells if isinstance(cell, Paired)
               for side in (cell.ours, cell.other or {}) for value in side.values())  # fmt: skip


def _ends(interval: Interval) -> tuple[float, float] | tuple[None, None]:
    """Low and high end; two None for one value, which has no interval."""
    return (interval.low, interval.high) if interval.n > 1 else (None, None)
