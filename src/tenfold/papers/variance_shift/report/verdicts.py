"""Decides the claims of Variance Shift on what was measured."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.variance_shift.report.results import (
    Arm,
    Arms,
    Place,
    Weights,
    all_arms,
    as_one,
    beside,
    published,
    rates_of,
    read_arms,
    read_weights,
    title_of,
)
from tenfold.report.arms import BySeed, add_histories, face_of, joined, minus
from tenfold.report.evidence import Check, Evidence, NetArms, Paired, gather
from tenfold.report.words import conclude


@stage
def claims(
    cfg: Cfg,
    job: Job,
    *,
    metrics: Inputs,
    histories: Inputs,
    probes: Inputs,
    settled: Inputs,
    weight_stats: Inputs,
    theory: Input,
    claims: Output,
) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    trained, probed = read_arms(cfg, metrics, "metrics"), read_arms(cfg, probes, "probes")
    in_use = read_arms(cfg, settled, "settled")
    weights = read_weights(cfg, weight_stats)
    add_histories(all_arms(trained), histories, cfg["files"]["histories"], by=("data", "net", "arm"))
    for arm in all_arms(probed).values():
        for row in arm.rows.values():
            row["moved_by_adjusting"] = abs(row["accuracy_adjusted"] - row["accuracy"])
    places = [
        NetArms(
            place[1],
            joined(joined(arms, probed.get(place, {}), "probe"), in_use.get(place, {}), "settled"),
            at(place),
        )
        for place, arms in trained.items()
    ]
    special = {
        "C1": formula_holds(theory, "a"),
        "C2": formula_holds(theory, "b"),
        "C3": grows_with_d(weights),
        "C3-values": weights_as_published(cfg, weights),
        "C4": ratio_rises(probed, "a"),
        "C4-b": ratio_rises(probed, "b"),
        "C6-gap": loses_more(probed, "a-0.5", "none"),
        "C10": formula_holds(theory, "uout", mean=0.0),  # other means are an extension of ours
    }
    evidence = gather(cfg, places, title=title_of, cell="{ours} against {other}, {net}", special=special)
    face = face_of(as_one(cfg), all_arms(trained))
    conclude(cfg, job, claims, paper="variance-shift", face=face, evidence=evidence, nets=places)


def lost_in_test_mode(arm: Arm) -> BySeed:
    """Accuracy on training images that is lost from train to test mode, in points."""
    return minus(arm.percent("train_mode_accuracy"), arm.percent("test_mode_accuracy"))


def mean_ratio(arm: Arm) -> BySeed:
    """Ratio of the variances that BatchNorm stored and meets in test mode, mean over its layers."""
    return arm.of("mean_ratio")


def missing(what: str) -> Evidence:
    """What is said where nothing that a claim is about was run."""
    return Evidence(reason=f"this edition does not train {what}")


def at(place: Place) -> str:
    """A net on a dataset, as the label of a cell."""
    data, net = place
    return f"{net} on {data}"


def formula_holds(theory: Path, case: str, **given: float) -> Evidence:
    """Drawn samples against a formula, in multiples of what it gives: every set of parameters with those given."""
    cells = []
    for row in read_json(theory)["rows"]:
        if row.items() >= {"case": case, **given}.items():
            facts = (f"{name} {value}" for name, value in row.items() if name not in NO_PARAMETERS)
            cells.append(Check(", ".join(facts), row["measured"] / row["formula"], 1.0))
    return Evidence(cells, trained=False) if cells else Evidence(reason=f"no samples of case {case} were drawn")


NO_PARAMETERS = ("case", "formula", "measured", "relative_error")


def grows_with_d(weights: Mapping[Place, Weights]) -> Evidence:
    """The power of d with which d cos^2 grows, of every net: above 0."""
    cells = [Paired(at(place), of_net.power) for place, of_net in weights.items()]
    return Evidence(cells, unit="power of d") if cells else missing("nets without dropout")


def weights_as_published(cfg: Cfg, weights: Mapping[Place, Weights]) -> Evidence:
    """Both columns of Table 1, in multiples of the published numbers."""
    cells = []
    for row in beside(cfg, list(weights)):
        entry = published(cfg, "weights", row)
        if row.place is None or entry is None:
            continue
        of_net = weights[row.place]
        for name, by_seed in (("cos2", of_net.cos2), ("d_cos2", of_net.d_cos2)):
            average = sum(by_seed.values()) / len(by_seed)
            cells.append(Check(f"{name}, {at(row.place)}", average / entry[name], 1.0, n=len(by_seed)))
    return Evidence(cells) if cells else missing("nets of the paper")


def loses_more(probed: Arms, ours: str, other: str) -> Evidence:
    """What one arm loses in test mode against what another loses, for every net and dataset that has both."""
    cells = [
        Paired(f"{title_of(ours)} against {title_of(other)}, {at(place)}", lost_in_test_mode(of_place[ours]),
              lost_in_test_mode(of_place[other]))
        for place, of_place in probed.items()
        if ours in of_place and other in of_place
    ]  # fmt: skip
    return Evidence(cells, unit="points") if cells else missing(f"nets of {title_of(ours)} and {title_of(other)}")


def ratio_rises(probed: Arms, case: str) -> Evidence:
    """Mean ratio at each drop ratio of a case against that at the next smaller one, from none."""
    cells = []
    for place, of_place in probed.items():
        for less, more in itertools.pairwise(rates_of(of_place, case)):
            label = f"{title_of(more.name)} against {title_of(less.name)}, {at(place)}"
            cells.append(Paired(label, mean_ratio(more), mean_ratio(less)))
    return Evidence(cells, unit="mean ratio") if cells else missing(f"nets with dropout ({case})")


if __name__ == "__main__":
    main(claims)
