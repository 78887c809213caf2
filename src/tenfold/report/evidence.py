"""What is measured for a claim: values of two arms by seed, values of two groups, or a number and what it should be.

Most claims declare in ``config/papers/<slug>.yaml`` what decides them: which measure, which arm against which, in which
nets. `gather` reads that off the arms; what is special is a function of the paper. Light: no numpy, no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Any

from tenfold.errors import UserError
from tenfold.launcher import Cfg
from tenfold.report.arms import Arm, BySeed

NEAR_CHANCE = 2.0  # points; what is as near to chance as that has not learned what it was to learn
COSTS = ("epochs", "images", "steps", "macs", "params")  # what a seed's row may say of an arm's cost


@dataclass(frozen=True)
class Paired:
    """One cell of a tested claim: the value of each seed in both arms, paired by seed.

    Attributes:
        label: which cell of the claim it is, such as ``MACs -50 %``.
        ours: seed -> value of the arm the claim is about.
        other: seed -> value of the arm it is compared with; None where the claim is about ``ours`` itself
            (a difference measured within one net, a ratio).
        better: on which side of the boundary the claim sees ours: ``higher`` or ``lower``.
        left_out: why the cell is shown and does not count; empty where it counts.
        costs: what ours costs over what the other costs, by name.
    """

    label: str
    ours: Mapping[int, float]
    other: Mapping[int, float] | None = None
    better: str = "higher"
    left_out: str = ""
    costs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Groups:
    """One cell of a ``direction`` claim about unpaired groups: one number per independent group."""

    label: str
    ours: Sequence[float]
    other: Sequence[float]
    better: str = "higher"
    left_out: str = ""


@dataclass(frozen=True)
class Check:
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


Cell = Paired | Groups | Check


@dataclass(frozen=True)
class Evidence:
    """What was measured for one claim, in one reading of its words.

    Attributes:
        cells: what was measured; the effect is their mean, and of an exact claim all must hold.
        unit: unit of the difference, such as ``points``.
        bounds: the least and the largest value that the measure can have; those of percents where the unit is theirs,
            None where it has no bounds.
        trained: whether a trained net enters; a ``value`` claim without may be decided at any edition.
        reason: why the claim cannot be tested here; then there are no cells.
        data: the datasets that were measured on.
        nets: where, by the labels of the places.
        readings: the same in each way that the claim's words can be read; then there is nothing above.
    """

    cells: Sequence[Cell] = ()
    unit: str = ""
    bounds: tuple[float, float] | None = None
    trained: bool = True
    reason: str = ""
    data: tuple[str, ...] = ()
    nets: tuple[str, ...] = ()
    readings: Mapping[str, Evidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bounds is None and (self.unit == "points" or self.unit.startswith("%")):
            object.__setattr__(self, "bounds", (0, 100))


# Evidence that a claim declares


@dataclass(frozen=True)
class NetArms:
    """Where arms are compared: one net, on one dataset, at one budget.

    Attributes:
        net: the net's name in the configuration.
        arms: what was trained there, by the names that evidence calls them.
        label: what cells call it.
    """

    net: str
    arms: Mapping[str, Arm]
    label: str

    @property
    def data(self) -> str:
        """The dataset, where the metrics say it."""
        return next((arm.facts["data"] for arm in self.arms.values() if "data" in arm.facts), "")


def by_net(arms: Mapping[tuple[str, str], Arm]) -> list[NetArms]:
    """Arms as places: one for each net, in their order."""
    return [
        NetArms(net, {name: arm for (of, name), arm in arms.items() if of == net}, net)
        for net in dict.fromkeys(net for net, _ in arms)
    ]


def gather(
    cfg: Cfg,
    nets: Sequence[NetArms],
    *,
    special: Mapping[str, Evidence] | None = None,
    title: Callable[[str], str] = str,
    cell: str = "{ours} against {other}",
) -> dict[str, Evidence]:
    """All evidence of a paper: what its code measured, and of the claims that this edition tests what they declare.

    Args:
        cfg: edition and claims, whose ``evidence`` is as ``workflow/schemas/paper.schema.yaml`` has it.
        nets: where arms are compared, the main net first.
        special: claim id -> what the paper's own functions measured.
        title: what cells and sentences call an arm.
        cell: what a cell is called where the claim does not say it.

    Raises:
        UserError: the metrics of an arm lack what is measured, or a claim has evidence of both kinds.
    """
    found = {name: _at(nets, measured) for name, measured in (special or {}).items()}
    for claim in cfg["claims"]:
        declared = claim.get("readings", {"": claim["evidence"]} if "evidence" in claim else {})
        if declared and claim["id"] in found:
            raise UserError(
                f"claim {claim['id']}: it declares its evidence, and verdicts.py measures it; drop one of them"
            )
        if declared and cfg["edition"] in claim["editions"]:
            read = {name: _measured(claim["id"], one, nets, title, cell) for name, one in declared.items()}
            found[claim["id"]] = read[""] if "" in read else Evidence(readings=read)
    return found


def _measured(
    claim: str, evidence: Mapping[str, Any], nets: Sequence[NetArms], title: Callable[[str], str], cell: str
) -> Evidence:
    """Every pair in every net that is meant, or the reason why there are none."""
    pairs = [(pair, pair) if isinstance(pair, str) else tuple(pair) for pair in evidence["of"]]
    labels = evidence.get("cells", [cell] * len(pairs))
    measures = _each_with_its_other(evidence["measure"])
    where = evidence.get("nets", "first")
    chosen = chosen_nets(nets, where)
    absent = [net for net in where if net not in {found.net for found in chosen}] if isinstance(where, list) else []
    cells = []
    for net in chosen:
        for names, label in zip(pairs, labels, strict=True):
            absent += [title(name) for name in names if name not in net.arms]
            if all(name in net.arms for name in names):
                ours, other = (net.arms[name] for name in names)
                words = {"ours": title(ours.name), "other": title(other.name), "net": net.label}
                for measure, of_other in measures:
                    called = label.format(**words, measure=measure.get("title", measure["name"]))
                    better = evidence.get("better", measure["better"])
                    values = values_of(claim, ours, measure), values_of(claim, other, of_other)
                    low = _at_chance(net.data, zip(values, (measure, of_other), strict=True))
                    cells.append(Paired(called, *values, better, left_out=low, costs=_costs(ours, other)))
    if where == "all" or evidence.get("untrained") == "skip":
        wanted = " or ".join(" and ".join(f"'{title(name)}'" for name in names) for names in pairs)
        reason = "" if cells else f"not run: a pair of arms {wanted}"
    else:
        reason = f"not run: {' and '.join(dict.fromkeys(absent))}" if absent else ""
    if reason:
        return Evidence(reason=reason)
    used = [net for net in chosen if any(all(name in net.arms for name in names) for names in pairs)]
    return _at(used, Evidence(cells, measures[0][0]["unit"], _bounds(measures[0][0])))


def _at(nets: Sequence[NetArms], evidence: Evidence) -> Evidence:
    """Evidence with where it was measured."""
    data = tuple(dict.fromkeys(net.data for net in nets if net.data))
    return replace(evidence, data=data, nets=tuple(net.label for net in nets))


def chosen_nets(nets: Sequence[NetArms], where: str | list[str]) -> list[NetArms]:
    """The nets that a claim means."""
    if where == "all":
        return list(nets)
    return [net for net in nets if net.net in (where if isinstance(where, list) else [nets[0].net])]


def _each_with_its_other(measure: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What is measured of ours and of the other arm, measure by measure."""
    if isinstance(measure, list):
        return [(each, each) for each in measure]
    return [(measure["ours"], measure["other"]) if "ours" in measure else (measure, measure)]


def _bounds(measure: Mapping[str, Any]) -> tuple[float, float] | None:
    low, high = measure.get("bounds", (0, 100) if measure["as"] in ("percent", "error") else (None, None))
    return None if low is None else (low, high)


def _at_chance(data: str, values: Iterable[tuple[BySeed, Mapping[str, Any]]]) -> str:
    """Why a cell does not count: an arm has learned next to nothing."""
    for by_seed, measure in values:
        chance = measure.get("chance", {}).get(data)
        if chance is not None and by_seed and abs(mean(by_seed.values()) - chance) <= NEAR_CHANCE:
            return f"within {NEAR_CHANCE:g} of chance ({chance:g})"
    return ""


def _costs(ours: Arm, other: Arm) -> dict[str, float]:
    """What one arm costs over what the other costs, where both say it and are two."""
    found = {}
    for name in COSTS if ours is not other else ():
        of_both = [[row[name] for row in arm.rows.values() if row.get(name)] for arm in (ours, other)]
        if all(of_both):
            found[name] = mean(of_both[0]) / mean(of_both[1])
    return found


def values_of(claim: str, arm: Arm, measure: Mapping[str, Any]) -> BySeed:
    """A measure of an arm, by seed: a number as it is, a share in percent, or the error that belongs to an accuracy."""
    found = {}
    for seed, row in arm.rows.items():
        value: Any = row
        for key in measure["of"].split("."):
            if not isinstance(value, Mapping) or key not in value:
                known = ", ".join(value) if isinstance(value, Mapping) else "nothing"
                raise UserError(
                    f"claim {claim}: {arm.name}, seed {seed}: no '{measure['of']}' was measured; where '{key}' "
                    f"should be there is {known}"
                )
            value = value[key]
        number = float(value)
        found[seed] = {"number": number, "percent": 100 * number, "error": 100 - 100 * number}[measure["as"]]
    return found
