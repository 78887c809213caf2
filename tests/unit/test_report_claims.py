"""Verdicts as a sceptic reads them: what is open never passes for success, and each word is earned."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.report.arms import Arm
from tenfold.report.evidence import Check, Evidence, Groups, NetArms, Paired
from tenfold.report.face import Data, Face
from tenfold.report.gate import Checked, gate_of, last_tenth
from tenfold.report.verdict import Verdict, decide, decide_all, size_of, word_of
from tenfold.report.words import sentence, verdict_lines, word, write_claims

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "claims.schema.yaml"
SPREAD = (-0.2, -0.1, 0.0, 0.1, 0.2)  # its 95 % half width is 0.196: t(0.975, 4) = 2.776 times 0.158 / sqrt 5


def claim(kind: str, **overrides: Any) -> dict[str, Any]:
    return {
        "id": "C1",
        "claim": "A beats B",
        "role": "secondary",
        "kind": kind,
        "published": "2.14 points",
        "source": "paper",
        "effect": 2.14,
        "margin": None,
        "reason": "",
        "editions": ["small", "real", "full"],
    } | overrides


def around(difference: float, n: int = 5, **overrides: Any) -> Paired:
    """Values whose per-seed differences have the given mean and a half width of 0.196 (for n = 5)."""
    other = {seed: 90.0 + 3 * seed for seed in range(n)}
    ours = {seed: value + difference + SPREAD[seed] for seed, value in other.items()}
    return Paired(**({"label": "all", "ours": ours, "other": other} | overrides))


def real(claim: dict[str, Any], *cells: Any, edition: str = "real", **evidence: Any) -> Verdict:
    return decide(claim, Evidence(cells, **evidence), data_is_standin=False, edition=edition)


def standin(claim: dict[str, Any], *cells: Any, **evidence: Any) -> Verdict:
    return decide(claim, Evidence(cells, **evidence), data_is_standin=True, edition="small")


# The position of the interval


@pytest.mark.parametrize(
    ("difference", "said"), [(0.21, "supported"), (0.19, "open"), (-0.19, "open"), (-0.21, "contradicted")]
)
def test_direction_is_the_position_of_the_interval(difference: float, said: str) -> None:
    verdict = real(claim("direction"), around(difference))
    interval = verdict.outcomes[0].interval
    assert verdict.word == said
    assert interval is not None
    assert interval.estimate == pytest.approx(difference)
    assert interval.high == pytest.approx(difference + 0.1963, abs=1e-4)


def test_the_printed_interval_decides() -> None:
    # the lower end is +0.0037: printed with two decimals it is +0.00, which is on no side of 0
    verdict = real(claim("direction"), around(0.20))
    assert verdict.outcomes[0].interval is not None
    assert verdict.outcomes[0].interval.low > 0
    assert verdict.word == "open"


@pytest.mark.parametrize(("difference", "said"), [(0.21, "contradicted"), (-0.21, "supported")])
def test_a_claim_of_lower_flips_the_sides_not_the_sign(difference: float, said: str) -> None:
    verdict = real(claim("direction"), around(difference, better="lower"))
    assert verdict.word == said
    assert verdict.outcomes[0].interval is not None
    assert verdict.outcomes[0].interval.estimate == pytest.approx(difference)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=8))
def test_exchange_flips_the_word(differences: list[float]) -> None:
    ours, other = dict(enumerate(differences)), dict.fromkeys(range(len(differences)), 0.0)
    there, back = (real(claim("direction"), Paired("x", a, b)) for a, b in ((ours, other), (other, ours)))
    flipped = {"supported": "contradicted", "contradicted": "supported"}
    assert back.word == flipped.get(there.word, there.word)


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (0.5, "supported"),
        (-0.29, "supported"),  # interval -0.49 to -0.09: worse, but by less than the margin of 0.5
        (-0.31, "open"),
        (-0.69, "open"),
        (-0.71, "contradicted"),
    ],
)
def test_not_worse_is_judged_at_minus_the_margin(difference: float, said: str) -> None:
    assert real(claim("not-worse", margin=0.5), around(difference)).word == said
    assert real(claim("not-worse", margin=0.5), around(-difference, better="lower")).word == said


@pytest.mark.parametrize(
    ("difference", "said"),
    [(0.0, "supported"), (0.29, "supported"), (0.31, "open"), (0.71, "contradicted"), (-0.71, "contradicted")],
)
def test_within_is_judged_on_both_sides(difference: float, said: str) -> None:
    assert real(claim("within", margin=0.5), around(difference)).word == said


@pytest.mark.parametrize("kind", ["not-worse", "within", "ratio"])
@pytest.mark.parametrize("margin", [None, 0, -0.5])
def test_these_kinds_without_a_margin_are_refused(kind: str, margin: float | None) -> None:
    with pytest.raises(UserError, match=f"C1: kind {kind} needs a margin above 0"):
        real(claim(kind, margin=margin), around(1.0))


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([11.0, 12.0, 11.5, 12.5, 11.2], "supported"),
        ([9.0, 11.0, 10.0, 10.5, 9.5], "open"),
        ([6.0, 7.0, 6.5, 6.2, 6.9], "contradicted"),  # wholly on the other side of the stated 10
    ],
)
def test_ratio_against_the_stated_value(ratios: list[float], said: str) -> None:
    other = {seed: 3.0 + seed for seed in range(5)}
    ours = {seed: ratios[seed] * value for seed, value in other.items()}
    verdict = real(claim("ratio", margin=10.0), Paired("cost", ours, other))
    interval = verdict.outcomes[0].interval
    assert verdict.word == said
    assert interval is not None
    assert interval.estimate == pytest.approx(math.prod(ratios) ** 0.2)
    logs = stats.ttest_1samp([math.log(ratio) for ratio in ratios], 0).confidence_interval()
    assert (interval.low, interval.high) == pytest.approx(tuple(math.exp(end) for end in logs))


def test_exists_cannot_be_contradicted() -> None:
    assert real(claim("exists"), around(0.3)).word == "supported"
    assert real(claim("exists"), around(-0.3)).word == "open"


# One effect over several cells


def test_the_effect_is_the_mean_over_the_cells_and_a_seed_is_a_block() -> None:
    cells = around(2.0, label="a"), around(-0.4, label="b")
    verdict = real(claim("direction"), *cells)
    outcome = verdict.outcomes[0]
    effects = [0.8 + SPREAD[seed] for seed in range(5)]  # the mean of 2.0 and -0.4, and the spread of both
    low, high = stats.ttest_1samp(effects, 0).confidence_interval()
    assert outcome.interval is not None
    assert (outcome.interval.low, outcome.interval.high) == pytest.approx((low, high))
    assert verdict.word == "supported"
    assert outcome.counted == (1, 2)
    assert [cell["label"] for cell in outcome.cells] == ["a", "b"]


def test_where_the_paper_says_every_the_count_is_part_of_the_word() -> None:
    cells = around(2.0, label="a"), around(-0.4, label="b")
    assert word(real(claim("direction", every=True), *cells)) == "supported in 1 of 2"
    assert word(real(claim("direction"), *cells)) == "supported"


def test_only_seeds_that_all_cells_have_count() -> None:
    verdict = real(claim("direction"), around(1.0), around(1.0, n=3))
    assert verdict.outcomes[0].n == 3
    with pytest.raises(UserError, match="no seed has a value in all of its cells"):
        real(claim("direction"), Paired("x", {0: 1.0}, {1: 1.0}))


def test_a_cell_near_chance_is_shown_and_does_not_count() -> None:
    wrong = around(-9.0, label="floor", left_out="within 2 of chance (10)")
    verdict = real(claim("direction"), around(1.0), wrong)
    assert (verdict.word, verdict.outcomes[0].counted) == ("supported", (1, 1))
    assert len(verdict.outcomes[0].cells) == 2
    alone = real(claim("direction"), wrong)
    assert (alone.word, alone.outcomes[0].interval) == ("too small to say", None)
    assert "within 2 of chance" in sentence(alone)


def test_groups_have_welchs_interval_and_only_decide_directions() -> None:
    first, second = [0.95, 0.96, 0.97, 0.98, 0.99], [0.5, 0.6, 0.7, 0.8, 0.9]
    verdict = real(claim("direction"), Groups("similarity", first, second))
    interval = verdict.outcomes[0].interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(
        tuple(stats.ttest_ind(first, second, equal_var=False).confidence_interval())
    )
    assert verdict.word == "supported"
    with pytest.raises(UserError, match="groups can decide a direction, not ratio"):
        real(claim("ratio", margin=1.0), Groups("similarity", first, second))


def test_overlapping_splits_widen_the_interval() -> None:
    evidence = Evidence([around(0.25)])
    plain = decide(claim("direction"), evidence, data_is_standin=False, edition="real")
    wide = decide(claim("direction"), evidence, data_is_standin=False, edition="real", overlap=20 / 159)
    assert (plain.word, wide.word) == ("supported", "open")  # 0.196 times 1.276 is 0.25


# No test at all


@pytest.mark.parametrize(
    ("ours", "other", "said"),
    [
        (100 * 0.1708, 100 * 0.1808, "by construction"),  # -1 but for rounding, and the margin is 1
        (91.0, 90.0, "by construction"),
        (90.0, 90.0, "by construction"),
        (0.0, 0.0, "floor"),
        (100.0, 100.0, "ceiling"),
    ],
)
@pytest.mark.parametrize("n", [3, 5, 7, 12])
def test_no_spread_is_no_test(ours: float, other: float, said: str, n: int) -> None:
    cell = Paired("x", dict.fromkeys(range(n), ours), dict.fromkeys(range(n), other))
    assert real(claim("not-worse", margin=1.0), cell, bounds=(0, 100)).word == said
    assert standin(claim("direction"), cell, bounds=(0, 100)).word == said


def test_a_constant_sample_is_not_decided_by_its_rounding() -> None:
    alike = {seed: 100 * ((1708 + seed) / 10_000) for seed in range(5)}
    other = {seed: 100 * ((1808 + seed) / 10_000) for seed in range(5)}
    assert len({alike[seed] - other[seed] for seed in range(5)}) > 1  # rounding makes a spread of some 1e-15
    assert real(claim("not-worse", margin=1.0), Paired("x", alike, other)).word == "by construction"
    assert real(claim("direction"), Paired("x", dict.fromkeys(range(7), 0.1))).word == "by construction"


@pytest.mark.parametrize("n", [1, 2])
def test_below_three_seeds_there_is_no_word(n: int) -> None:
    for verdict in (real(claim("direction"), around(50.0, n=n)), standin(claim("direction"), around(50.0, n=n))):
        assert (verdict.word, verdict.outcomes[0].n) == ("too few seeds", n)
    assert real(claim("direction"), around(50.0, n=3)).word == "supported"


# The gate


def checked(letter: str, measured: float | None, low: float | None, high: float | None) -> Checked:
    return Checked(letter, "x", measured, low, high, "bound")


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ([checked("a", 90.0, 88.25, 94.25), checked("b", 0.1, None, 0.29)], "supported"),
        ([checked("a", 68.09, 88.25, 94.25), checked("b", 0.1, None, 0.29)], "too small to say (a)"),
        ([checked("a", 68.09, 88.25, 94.25), checked("b", 0.3, None, 0.29)], "too small to say (a, b)"),
        ([checked("a", 91.0, 88.25, 94.25), checked("a", 60.0, 88.25, 94.25)], "too small to say (a)"),
        ([checked("c", None, 20.01, None)], "too small to say (c)"),
    ],
)
def test_nothing_is_said_behind_a_gate_that_is_shut(gate: list[Checked], said: str) -> None:
    verdict = decide(claim("direction"), Evidence([around(5.0)]), data_is_standin=False, edition="real", gate=gate)
    assert word(verdict) == said
    on_standin = decide(claim("direction"), Evidence([around(5.0)]), data_is_standin=True, edition="small", gate=gate)
    assert (on_standin.word, on_standin.gate) == ("effect visible", ())


def test_by_how_much_a_check_fails() -> None:
    assert checked("a", 68.09, 88.25, 94.25).lacking == 20.16
    assert checked("a", 95.0, 88.25, 94.25).lacking == 0.75
    assert checked("a", 88.25, 88.25, 94.25).lacking == 0
    assert checked("b", 0.3, None, 0.29).lacking == 0.01


def course(accuracies: list[float], tests: dict[int, float] | None = None) -> list[dict[str, str]]:
    tests = tests or {}
    return [
        {"epoch": str(epoch), "accuracy": str(value), "test_accuracy": str(tests.get(epoch, ""))}
        for epoch, value in enumerate(accuracies, 1)
    ]


def test_what_the_last_tenth_of_training_moves() -> None:
    assert last_tenth(course([0.5] * 18 + [0.51, 0.53])) == pytest.approx(3.0)  # epoch 20 against epoch 18
    assert last_tenth(course([0.5, 0.6, 0.7, 0.75])) == pytest.approx(5 * 0.4)  # four tenths of the last of 4 epochs
    assert last_tenth(course([0.5] * 20, {18: 0.9, 20: 0.91})) == pytest.approx(
        1.0
    )  # the test accuracy, if it is there
    assert last_tenth(course([0.5, 0.6, 0.7, 0.75], {4: 0.9})) == pytest.approx(2.0)  # noted once only
    assert last_tenth(course([0.5])) == math.inf


def test_a_gate_is_held_against_every_net() -> None:
    measure = {"name": "accuracy", "of": "accuracy", "as": "percent", "unit": "points", "better": "higher"}
    gated = {"name": "gated", "of": "gates.accuracy", "as": "percent", "unit": "points", "better": "higher"}
    gate = {
        "baseline": {"measure": measure, "of": ["full", "uniform"], "public": {"n": {"value": 91.25, "source": "He"}}},
        "acted": [{"measure": gated, "of": "ours", "above": 20, "reason": "twice chance"}],
    }
    full = Arm("n", "full", {0: {"accuracy": 0.90}, 1: {"accuracy": 0.91}}, histories={0: course([0.5] * 20)})
    ours = Arm("n", "ours", {0: {"accuracy": 0.8, "gates": {"accuracy": 0.29}}, 1: {"accuracy": 0.8}})
    other = Arm("m", "uniform", {0: {"accuracy": 0.5}})
    found = gate_of(
        "C1", gate, [NetArms("n", {"full": full, "ours": ours}, "N"), NetArms("m", {"uniform": other}, "M")]
    )
    assert [(check.letter, check.measured, check.lacking == 0) for check in found] == [
        ("a", 90.5, True),
        ("b", 0.0, True),
        ("c", 29.0, True),  # of the seeds of which it was measured
        ("a", None, False),  # no public value is named
        ("b", None, False),  # no history
        ("c", None, False),  # no such arm
    ]
    assert [check.printed for check in found[:3]] == ["a 90.50 (91.25±3)", "b 0.00 (<0.3)", "c 29.00 (>20)"]


# Size, power, readings, data


@pytest.mark.parametrize(
    ("ends", "published", "size"),
    [
        ((1.0, 3.0), (2.14, 2.14), "as published"),
        ((11.07, 12.82), (2.14, 2.14), "above published"),
        ((-0.74, 0.83), (1.2, 1.2), "below published"),
        ((-3.0, -1.0), (1.2, 1.2), "other sign"),
        ((-4.14, -2.81), (-5.88, -0.38), "as published"),
        ((7.84, 10.97), (-5.88, -0.38), "other sign"),
        ((-0.2, 0.1), (-5.88, -0.38), "above published"),
        ((0.1, 0.2), (0.2, 0.4), "as published"),
    ],
)
def test_size(ends: tuple[float, float], published: tuple[float, float], size: str) -> None:
    assert size_of(*ends, *published) == size


def test_open_says_what_could_have_been_seen() -> None:
    verdict = real(claim("direction"), around(0.1), unit="points")
    # sd 0.158 of n = 5: statsmodels' TTestPower gives 1.682 sd for 80 % power
    assert verdict.outcomes[0].detectable == pytest.approx(1.682 * 0.1581, rel=1e-3)
    assert sentence(verdict) == (
        "+0.10 [-0.10, +0.30] points (95 % interval, n = 5), claimed > 0: open (80 % power from 0.27 points); "
        "size: below published (+2.14)."
    )


def read(**cells: Paired) -> Evidence:
    return Evidence(readings={name: Evidence([cell]) for name, cell in cells.items()})


def test_readings_that_disagree_are_said_to() -> None:
    def word_of_readings(**cells: Paired) -> str:
        return decide(claim("direction"), read(**cells), data_is_standin=False, edition="real").word

    assert word_of_readings(a=around(1.0), b=around(-1.0)) == "depends on the reading"
    assert word_of_readings(a=around(1.0), b=around(0.0)) == "depends on the reading"
    assert word_of_readings(a=around(1.0), b=around(2.0)) == "supported"


def test_words_on_other_real_data_say_so() -> None:
    evidence = Evidence([around(1.0)], data=("cifar-10",))
    verdict = decide(claim("direction", data=["imagenet"]), evidence, data_is_standin=False, edition="real")
    assert word(verdict) == "supported on cifar-10 (paper: imagenet)"
    same = decide(claim("direction", data=["cifar-10"]), evidence, data_is_standin=False, edition="real")
    assert word(same) == "supported"


@pytest.mark.parametrize(("difference", "said"), [(5.0, "effect visible"), (0.01, "not visible"), (-5.0, "reversed")])
def test_standins_have_words_of_their_own(difference: float, said: str) -> None:
    verdict = standin(claim("direction"), around(difference, n=3))
    assert verdict.word == said
    assert verdict.is_pipeline_check
    assert verdict.outcomes[0].size == ""


def test_an_interval_wider_than_the_measure_is_too_noisy() -> None:
    noisy = Paired("x", {0: 90.0, 1: 10.0, 2: 60.0}, {0: 10.0, 1: 60.0, 2: 50.0})
    assert standin(claim("direction"), noisy, bounds=(0, 100)).word == "too noisy"
    assert standin(claim("direction"), noisy).word == "not visible"


# Comparisons of two numbers


@pytest.mark.parametrize("data_is_standin", [True, False])
def test_exact_holds_or_fails_on_any_data(data_is_standin: bool) -> None:
    def judge(*pairs: Check) -> Verdict:
        return decide(claim("exact"), Evidence(pairs), data_is_standin=data_is_standin, edition="small")

    right, wrong = Check("parameters", 272474, 272474), Check("MACs", 40_551_553, 40_551_552)
    assert judge(right).word == "holds"
    assert judge(right).outcomes[0].n is None
    failing = judge(right, wrong)
    assert failing.word == "fails"
    assert "MACs" in sentence(failing)
    assert failing.outcomes[0].counted == (1, 2)
    assert not failing.is_pipeline_check


def test_tolerances_come_from_the_pair_or_from_the_margin() -> None:
    assert real(claim("exact", margin=1e-3), Check("budget", 0.5004, 0.5)).word == "holds"
    assert real(claim("exact", margin=1e-3), Check("budget", 0.5011, 0.5)).word == "fails"
    assert real(claim("exact", margin=1.0), Check("budget", 0.5011, 0.5, tolerance=1e-3)).word == "fails"
    assert real(claim("exact"), Check("budget", 0.5 + 1e-9, 0.5)).word == "fails"


def test_value_is_compared_at_full_only_or_where_nothing_is_trained() -> None:
    pair = Check("top-1", 91.5, 92.0, n=5)
    for edition, standin_data in (("small", True), ("real", False), ("full", True)):
        verdict = decide(claim("value", margin=0.3), Evidence([pair]), data_is_standin=standin_data, edition=edition)
        assert verdict.word == "not testable here"
    assert real(claim("value", margin=0.3), pair, edition="full").word == "off by -0.5"
    assert real(claim("value", margin=0.6), pair, edition="full").word == "reproduced"
    assert real(claim("value", margin=0.6), pair, trained=False).word == "reproduced"


def test_editions_that_cannot_test_say_why() -> None:
    verdict = decide(claim("direction", editions=["full"]), None, data_is_standin=True, edition="small")
    assert (verdict.word, sentence(verdict)) == ("not testable here", "Not testable here: editions that test it: full.")
    reason = decide(claim("direction"), Evidence(reason="needs two GPUs"), data_is_standin=False, edition="real")
    assert (reason.word, sentence(reason)) == ("not testable here", "Not testable here: needs two GPUs.")


@pytest.mark.parametrize(
    ("changed", "evidence", "message"),
    [
        ({}, None, "no evidence was measured, though its editions name real"),
        ({}, Evidence(), "neither cells nor a reason"),
        ({"kind": "better"}, Evidence(), "unknown kind 'better'; allowed are exact, value, direction"),
        ({"source": "blog"}, Evidence(), "unknown source 'blog'; allowed are paper, repo, memory, unknown"),
        ({"role": "main"}, Evidence(), "unknown role 'main'; allowed are primary, secondary, control, check"),
        ({}, Evidence([Check("x", 1, 1)]), "cell 'x': kind direction needs the values of each seed"),
        ({"kind": "exact"}, Evidence([Paired("x", {0: 1.0})]), "cell 'x': kind exact needs a pair of numbers"),
        ({}, Evidence([Paired("x", {0: float("nan")}, {0: 1.0})]), "not finite: nan"),
        ({}, Evidence([Paired("x", {0: 1.0}, better="up")]), "allowed are higher, lower"),
        ({"kind": "ratio", "margin": 1.0}, Evidence([Paired("x", {0: 0.0}, {0: 1.0})]), "needs positive values"),
        ({"kind": "exact"}, Evidence([Check("x", float("nan"), 1)]), "nan against 1"),
    ],
)
def test_mistakes_get_one_line(changed: dict[str, Any], evidence: Evidence | None, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        decide(claim("direction") | changed, evidence, data_is_standin=False, edition="real")
    assert "\n" not in str(error.value)


# A paper's claims together, and their record


def paper(*differences: float, role: str = "primary", standin_data: bool = False) -> list[Verdict]:
    claims = [claim("direction", id=f"C{index}", role=role) for index in range(len(differences))]
    evidence = {f"C{index}": Evidence([around(value)]) for index, value in enumerate(differences)}
    edition = "small" if standin_data else "real"
    return decide_all(claims, evidence, data_is_standin=standin_data, edition=edition)


def test_two_primary_claims_share_five_percent() -> None:
    one, two = paper(0.21), paper(0.21, 2.0)
    assert [verdict.outcomes[0].confidence for verdict in one + two] == [0.95, 0.975, 0.975]
    assert [verdict.word for verdict in one + two] == ["supported", "open", "supported"]
    assert {verdict.word for verdict in paper(*[0.21] * 20, role="secondary")} == {"supported"}  # no correction
    with pytest.raises(UserError, match="3 primary claims; a paper has one or two"):
        paper(1.0, 1.0, 1.0)


def test_evidence_for_an_unknown_claim_is_refused() -> None:
    with pytest.raises(UserError, match="not configured: C9"):
        decide_all([], {"C9": Evidence(reason="x")}, data_is_standin=False, edition="real")


def written(tmp_path: Path, verdicts: list[Verdict], edition: str = "real", *, standin: bool = False) -> dict[str, Any]:
    data = Data("shapes-10", "CIFAR-10") if standin else Data("cifar-10")
    face = Face(edition, data, n=5, device="cpu", precision="fp32")
    write_claims(tmp_path / "claims.json", paper="rco", face=face, verdicts=verdicts)
    document = read_json(tmp_path / "claims.json")
    jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text())).validate(document)
    return dict(document)


@pytest.mark.parametrize("source", ["memory", "unknown"])
def test_a_memory_is_never_a_target_and_never_printed(source: str, tmp_path: Path) -> None:
    for kind, cell in (("value", Check("top-1", 2.0, 2.14)), ("direction", around(1.0))):
        verdict = real(claim(kind, source=source, margin=9.0), cell, edition="full")
        assert verdict.outcomes[0].size == ""
        document = written(tmp_path, [verdict], "full")
        assert "2.14" not in str(document["claims"][0]["printed"]) + str(document["claims"][0]["published"])
        assert document["claims"][0]["printed"]["published"] == "not recovered"
    assert real(claim("value", source=source), Check("x", 2.0, 2.14), edition="full").word == "not testable here"


def test_real_data_have_verdicts_and_standins_have_pipeline_checks(tmp_path: Path) -> None:
    (entry,) = written(tmp_path, paper(2.0))["claims"]
    assert (entry["verdict"], entry["pipeline_check"]) == ("supported", None)
    assert entry["readings"][0]["cells"][0]["seeds"] == {
        str(seed): pytest.approx(2 + SPREAD[seed]) for seed in range(5)
    }
    (entry,) = written(tmp_path, paper(2.0, standin_data=True), "small", standin=True)["claims"]
    assert (entry["verdict"], entry["pipeline_check"]) == (None, "effect visible")


def test_the_schema_refuses_what_must_not_be_said(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text()))
    document = written(tmp_path, paper(2.0))
    for change in (
        {"verdict": "confirmed"},
        {"verdict": "supported", "pipeline_check": "effect visible"},
        {"source": "memory"},
        {"verdict": None},
        {"role": "main"},
    ):
        spoilt = document | {"claims": [document["claims"][0] | change]}
        assert not validator.is_valid(spoilt), change


def test_words_of_success_are_only_said_of_success() -> None:
    lines = verdict_lines(paper(2.0, role="secondary") + paper(0.19, -2.0, role="secondary"))
    for said in ("supported", "holds", "reproduced", "visible"):
        assert said not in lines[2] + lines[3]


def test_lines_have_fixed_columns() -> None:
    lines = verdict_lines([*paper(2.0, 0.19), standin(claim("direction", id="C-long"), around(5.0, n=3))])
    column = lines[0].index("what is claimed")
    assert all(line[column:] == "A beats B" for line in lines[1:])
    assert "+2.00 [+1.75, +2.25]" in lines[1]  # 97.5 %
    assert "pipeline check: effect visible" in lines[3]


@pytest.mark.parametrize("kind", ["direction", "not-worse", "within", "ratio", "exists"])
def test_an_end_on_the_boundary_is_on_neither_side(kind: str) -> None:
    boundary = {"not-worse": -1.0, "within": 1.0, "ratio": 1.0}.get(kind, 0.0)
    for low, high in ((boundary, boundary + 1), (boundary - 1, boundary)):
        assert word_of(kind, low, high, boundary, "higher") == "open"
