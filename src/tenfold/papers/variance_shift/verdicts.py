"""Decides the claims of Variance Shift on what was measured."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.variance_shift.results import (
    Arm,
    Arms,
    Place,
    Weights,
    all_arms,
    as_one,
    beside,
    papers_net,
    published,
    rate_of,
    rates_of,
    read_arms,
    read_weights,
    title_of,
)
from tenfold.report.arms import BySeed, data_of, face_of, minus
from tenfold.report.claims import Arms as Pairs
from tenfold.report.claims import Evidence, Pair, decide_family, verdict_lines, write_claims

POINTS = "points"
WRN = "WRN-28-10"
SMALL_RATIO = 0.3

Measure = Callable[[Arm], BySeed]


@stage
def claims(
    cfg: Cfg, job: Job, *, metrics: Inputs, probes: Inputs, weight_stats: Inputs, theory: Input, claims: Output
) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    trained, probed, weights = read_arms(metrics), read_arms(probes), read_weights(weight_stats)
    wide = {place: arms for place, arms in trained.items() if papers_net(cfg, place[1]) == WRN}
    evidence = {
        "C1": formula_holds(theory, "a"),
        "C2": formula_holds(theory, "b"),
        "C3": grows_with_d(weights),
        "C3-values": weights_as_published(cfg, weights),
        "C4": ratio_rises(probed, "a"),
        "C4-b": ratio_rises(probed, "b"),
        "C4-order": compared(probed, ("a-0.5", "b-0.5"), mean_ratio, better="higher", unit="mean ratio"),
        "C5": compared(trained, ("a-0.5", "none"), error, better="higher"),
        "C5-order": compared(trained, ("a-0.5", "b-0.5"), error, better="higher"),
        "C5-wrn": small_ratios_gain(wide),
        "C5-wrn-half": compared(wide, ("b-0.5", "none"), error, better="lower", nets="WRN"),
        "C6": within(probed, "a-0.5", test_mode, train_mode, better="lower"),
        "C6-gap": compared(probed, ("a-0.5", "none"), lost_in_test_mode, better="higher"),
        "C6-none": within(probed, "none", test_mode, train_mode, better="higher"),
        "C7": within(probed, "a-0.5", adjusted_error, error, better="lower"),
        "C7-layers": within(probed, "a-0.5", readjusted_error, error, better="lower"),
        "C7-b": within(probed, "b-0.5", adjusted_error, error, better="lower"),
        "C7-none": adjusted_beat_none(probed),
        "C8": changes_little(trained, "last-0.1"),
        "C8-gain": compared(trained, ("last-0.1", "none"), error, better="lower"),
        "C10": formula_holds(theory, "uout", mean=0.0),  # other means are an extension of ours
        "C10-gain": compared(trained, ("uout-0.1", "none"), error, better="lower"),
    }
    one = as_one(cfg)
    verdicts = decide_family(cfg["claims"], evidence, data_is_standin=data_of(one).is_standin, edition=cfg["edition"])
    write_claims(claims, paper="variance-shift", face=face_of(one, all_arms(trained)), verdicts=verdicts)
    for line in verdict_lines(verdicts):
        job.say(line)


# What is measured of an arm -----------------------------------------------------------------------------------------


def error(arm: Arm) -> BySeed:
    """Test error in percent, as trained."""
    return arm.error


def adjusted_error(arm: Arm) -> BySeed:
    """Test error in percent with BatchNorm's moments measured again: all with the old ones in place, then replaced."""
    return arm.error_of("accuracy_adjusted")


def readjusted_error(arm: Arm) -> BySeed:
    """Test error in percent with moments measured again, each layer behind layers that have their new ones."""
    return arm.error_of("accuracy_readjusted")


def mean_ratio(arm: Arm) -> BySeed:
    """Ratio of the variances that BatchNorm stored and meets in test mode, mean over its layers."""
    return arm.of("mean_ratio")


def train_mode(arm: Arm) -> BySeed:
    """Accuracy in percent on training images, with dropout and the moments of each batch."""
    return arm.percent("train_mode_accuracy")


def test_mode(arm: Arm) -> BySeed:
    """Accuracy in percent on the same training images, without dropout, with the stored moments."""
    return arm.percent("test_mode_accuracy")


def lost_in_test_mode(arm: Arm) -> BySeed:
    """Accuracy on training images that is lost from train to test mode, in points."""
    return minus(train_mode(arm), test_mode(arm))


# Evidence -----------------------------------------------------------------------------------------------------------


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
            cells.append(Pair(", ".join(facts), row["measured"] / row["formula"], 1.0))
    return Evidence(cells, trained=False) if cells else Evidence(reason=f"no samples of case {case} were drawn")


NO_PARAMETERS = ("case", "formula", "measured", "relative_error")


def grows_with_d(weights: Mapping[Place, Weights]) -> Evidence:
    """The power of d with which d cos^2 grows, of every net: above 0."""
    cells = [Pairs(at(place), of_net.power) for place, of_net in weights.items()]
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
            cells.append(Pair(f"{name}, {at(row.place)}", average / entry[name], 1.0, n=len(by_seed)))
    return Evidence(cells) if cells else missing("nets of the paper")


def compared(
    arms: Arms, names: tuple[str, str], measure: Measure, *, better: str, unit: str = POINTS, nets: str = "nets"
) -> Evidence:
    """The first arm against the second, paired by seed, for every net and dataset that has both."""
    ours, other = names
    cells = [
        Pairs(f"{title_of(ours)} against {title_of(other)}, {at(place)}", measure(of_place[ours]),
              measure(of_place[other]), better)
        for place, of_place in arms.items()
        if ours in of_place and other in of_place
    ]  # fmt: skip
    return Evidence(cells, unit=unit) if cells else missing(f"{nets} of {title_of(ours)} and {title_of(other)}")


def within(arms: Arms, name: str, ours: Measure, other: Measure, *, better: str) -> Evidence:
    """Two measurements of one arm's nets against each other, for every net and dataset that has the arm."""
    cells = [
        Pairs(f"{title_of(name)}, {at(place)}", ours(of_place[name]), other(of_place[name]), better)
        for place, of_place in arms.items()
        if name in of_place
    ]
    return Evidence(cells, unit=POINTS) if cells else missing(f"nets of {title_of(name)}")


def ratio_rises(probed: Arms, case: str) -> Evidence:
    """Mean ratio at each drop ratio of a case against that at the next smaller one, from none."""
    cells = []
    for place, of_place in probed.items():
        for less, more in itertools.pairwise(rates_of(of_place, case)):
            label = f"{title_of(more.name)} against {title_of(less.name)}, {at(place)}"
            cells.append(Pairs(label, mean_ratio(more), mean_ratio(less)))
    return Evidence(cells, unit="mean ratio") if cells else missing(f"nets with dropout ({case})")


def small_ratios_gain(wide: Arms) -> Evidence:
    """Test error of WRN with a little dropout (b) against none."""
    cells = [
        Pairs(f"{title_of(arm.name)} against none, {at(place)}", arm.error, of_place["none"].error, "lower")
        for place, of_place in wide.items()
        for arm in rates_of(of_place, "b")
        if 0 < rate_of(arm.name) <= SMALL_RATIO and "none" in of_place
    ]
    return Evidence(cells, unit=POINTS) if cells else missing(f"WRN with dropout (b) of {SMALL_RATIO} and less")


def adjusted_beat_none(probed: Arms) -> Evidence:
    """Test error of adjusted nets of (a) 0.5 against that of nets without dropout as they were trained."""
    cells = [
        Pairs(f"adjusted (a) 0.5 against none, {at(place)}", adjusted_error(of_place["a-0.5"]),
              of_place["none"].error, "lower")
        for place, of_place in probed.items()
        if "a-0.5" in of_place and "none" in of_place
    ]  # fmt: skip
    return Evidence(cells, unit=POINTS) if cells else missing("nets of (a) 0.5 and none")


def changes_little(trained: Arms, name: str) -> Evidence:
    """Test error with an arm's noise and without, each not worse than the other: two one-sided tests of each net."""
    cells = []
    for place, of_place in trained.items():
        if name in of_place and "none" in of_place:
            with_noise, without = of_place[name].error, of_place["none"].error
            cells.append(Pairs(f"no worse than none, {at(place)}", with_noise, without, "lower"))
            cells.append(Pairs(f"no better than none, {at(place)}", without, with_noise, "lower"))
    return Evidence(cells, unit=POINTS) if cells else missing(f"nets of {title_of(name)} and none")


if __name__ == "__main__":
    main(claims)
