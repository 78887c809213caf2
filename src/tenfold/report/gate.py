"""The gate before any word: whether what was trained is large and settled enough to say something of the paper.

Three checks, declared in ``config/papers/<slug>.yaml``: (a) the baseline is near a named public value at its scale,
(b) it has converged, (c) the method acted. Light: no numpy, no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from tenfold.report.arms import Arm
from tenfold.report.evidence import NetArms, values_of

NEAR = 3.0  # points between a baseline and its public value, where the gate does not say another number
STILL = 0.3  # points that the last tenth of training may move a baseline by
DECIMALS = 2


@dataclass(frozen=True)
class Checked:
    """One check of a gate, at one place.

    Attributes:
        letter: a (baseline), b (converged) or c (the method acted).
        what: what was measured, with the net.
        measured: the number as it is printed; None where it was not measured.
        low: the least that passes; None where there is no such bound.
        high: the largest that passes.
        bound: both in words: ``91.25±3``.
        source: where the bound comes from.
    """

    letter: str
    what: str
    measured: float | None
    low: float | None
    high: float | None
    bound: str
    source: str = ""

    @property
    def lacking(self) -> float:
        """By how much it fails; 0 where it passes."""
        if self.measured is None:
            return float("inf")
        below = 0.0 if self.low is None else self.low - self.measured
        above = 0.0 if self.high is None else self.measured - self.high
        return round(max(below, above, 0.0), DECIMALS)

    @property
    def printed(self) -> str:
        """The number beside what passes, as the scoreboard has it."""
        number = "not measured" if self.measured is None else f"{self.measured:.{DECIMALS}f}"
        return f"{self.letter} {number} ({self.bound})"

    def record(self) -> dict[str, Any]:
        """As it stands in ``claims.json``."""
        passes = self.lacking == 0
        return {"check": self.letter, "what": self.what, "measured": self.measured, "bound": self.bound,
                "source": self.source, "passes": passes,
                "lacking": None if self.measured is None else self.lacking}  # fmt: skip


def gate_of(claim: str, gate: Mapping[str, Any], nets: Sequence[NetArms]) -> tuple[Checked, ...]:
    """All checks of a claim's gate, at each of the nets that it was measured in.

    Args:
        claim: its id, for errors.
        gate: as ``workflow/schemas/paper.schema.yaml`` has it, its measures in full.
        nets: where the claim was measured.
    """
    found = []
    for net in nets:
        if "baseline" in gate:
            found.append(_baseline(claim, gate["baseline"], net))
        if "baseline" in gate or "converged" in gate:
            found.append(_converged(claim, gate, net))
        found += [_bounded("c", claim, check, net) for check in gate.get("acted", [])]
    return tuple(found)


def worst_of(checks: Sequence[Checked]) -> list[Checked]:
    """Of each of a, b and c the check that is farthest from passing."""
    letters = sorted({check.letter for check in checks})
    return [max((one for one in checks if one.letter == letter), key=lambda one: one.lacking) for letter in letters]


def _baseline(claim: str, baseline: Mapping[str, Any], net: NetArms) -> Checked:
    arm, measure, near = _first(baseline["of"], net), baseline["measure"], baseline.get("within", NEAR)
    public = baseline["public"].get(net.net)
    what = f"{arm.name if arm else ' or '.join(baseline['of'])}, {net.label}"
    measured = None if arm is None else _mean_of(claim, arm, measure)
    value = public["value"] if public else None
    value = value.get(net.data) if isinstance(value, dict) else value
    if public is None or value is None:
        return Checked("a", what, None, None, None, "no public value")
    return Checked("a", what, measured, value - near, value + near, f"{value:g}±{near:g}", public["source"])


def _converged(claim: str, gate: Mapping[str, Any], net: NetArms) -> Checked:
    rule = gate.get("converged", {})
    if "measure" in rule:
        return _bounded("b", claim, rule, net)
    of, most = [name for name in gate["baseline"]["of"] if name in net.arms], rule.get("within", STILL)
    arm = next((net.arms[name] for name in of if net.arms[name].histories), None)  # some rows come without one
    moves = [] if arm is None else [last_tenth(course) for course in arm.histories.values()]
    measured = round(abs(mean(moves)), DECIMALS) if moves and arm else None
    what = f"{arm.name if arm else 'no history'}, {net.label}: last tenth of training"
    return Checked("b", what, measured, None, most - 10**-DECIMALS, f"<{most:g}")


def _bounded(letter: str, claim: str, check: Mapping[str, Any], net: NetArms) -> Checked:
    """A measure of an arm against the bound that the paper's sheet gives."""
    arm = _first(check["of"] if isinstance(check["of"], list) else [check["of"]], net)
    what = f"{check['measure'].get('title', check['measure']['name'])}, {net.label}"
    measured = None if arm is None else _mean_of(claim, arm, check["measure"])
    step = 10**-DECIMALS
    if "above" in check:
        bound, low, high = f">{check['above']:g}", check["above"] + step, None
    else:
        bound, low, high = f"<{check['below']:g}", None, check["below"] - step
    return Checked(letter, what, measured, low, high, bound, check.get("reason", ""))


def _first(names: Sequence[str], net: NetArms) -> Arm | None:
    return next((net.arms[name] for name in names if name in net.arms), None)


def _mean_of(claim: str, arm: Arm, measure: Mapping[str, Any]) -> float | None:
    """Over the seeds of which it was measured; None if of none."""
    first = measure["of"].partition(".")[0]
    values = values_of(claim, replace(arm, rows={seed: row for seed, row in arm.rows.items() if first in row}), measure)
    return round(mean(values.values()), DECIMALS) if values else None


def last_tenth(course: Sequence[Mapping[str, str]]) -> float:
    """By how many points the accuracy moves in the last tenth of training.

    Test accuracy where it was noted before and after, else that on training images. Of a training of fewer than ten
    epochs, the tenth is that part of the last epoch.

    Args:
        course: one row an epoch, in order, as a history has it.
    """
    noted = []
    for column in ("test_accuracy", "accuracy"):
        noted = [(epoch, 100 * float(row[column])) for epoch, row in enumerate(course, 1) if row.get(column)]
        begin = [(epoch, value) for epoch, value in noted if epoch <= 0.9 * len(course)]
        if begin:
            (first, before), (last, after) = begin[-1], noted[-1]
            return (after - before) * 0.1 * len(course) / (last - first)
    return float("inf")
