"""What is measured for a claim: values of two arms by seed, values of two groups, or a number and what it should be.

Most claims declare in ``config/papers/<slug>.yaml`` what decides them: which measure, which arm against which, in which
nets. `gather` reads that off the arms; what is special is a function of the paper. Light: no numpy, no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.errors import UserError
from tenfold.launcher import Cfg
from tenfold.report.arms import Arm, BySeed


@dataclass(frozen=True)
class Paired:
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
    """What a paper's code hands over for one claim.

    Attributes:
        cells: what was measured; all of them must hold.
        unit: unit of the difference, such as ``points``.
        trained: whether a trained net enters; a ``value`` claim without may be decided at any edition.
        reason: why the claim cannot be tested here; then there are no cells.
    """

    cells: Sequence[Cell] = ()
    unit: str = ""
    trained: bool = True
    reason: str = ""


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
    found = dict(special or {})
    for claim in cfg["claims"]:
        if "evidence" in claim and claim["id"] in found:
            raise UserError(
                f"claim {claim['id']}: it declares its evidence, and verdicts.py measures it; drop one of them"
            )
        if "evidence" in claim and cfg["edition"] in claim["editions"]:
            found[claim["id"]] = _measured(claim["id"], claim["evidence"], nets, title, cell)
    return found


def _measured(
    claim: str, evidence: Mapping[str, Any], nets: Sequence[NetArms], title: Callable[[str], str], cell: str
) -> Evidence:
    """Every pair in every net that is meant, or the reason why there are none."""
    pairs = [(pair, pair) if isinstance(pair, str) else tuple(pair) for pair in evidence["of"]]
    labels = evidence.get("cells", [cell] * len(pairs))
    measures = _each_with_its_other(evidence["measure"])
    where = evidence.get("nets", "first")
    chosen = _chosen(nets, where)
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
                    values = _values(claim, ours, measure), _values(claim, other, of_other)
                    cells.append(Paired(called, *values, better))
    if where == "all" or evidence.get("untrained") == "skip":
        wanted = " or ".join(" and ".join(f"'{title(name)}'" for name in names) for names in pairs)
        reason = "" if cells else f"this edition trains no pair of arms {wanted}"
    else:
        reason = f"this edition does not train {' and '.join(dict.fromkeys(absent))}" if absent else ""
    return Evidence(reason=reason) if reason else Evidence(cells, unit=measures[0][0]["unit"])


def _chosen(nets: Sequence[NetArms], where: str | list[str]) -> list[NetArms]:
    if where == "all":
        return list(nets)
    return [net for net in nets if net.net in (where if isinstance(where, list) else [nets[0].net])]


def _each_with_its_other(measure: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What is measured of ours and of the other arm, measure by measure."""
    if isinstance(measure, list):
        return [(each, each) for each in measure]
    return [(measure["ours"], measure["other"]) if "ours" in measure else (measure, measure)]


def _values(claim: str, arm: Arm, measure: Mapping[str, Any]) -> BySeed:
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
