"""Verdicts as a sceptic reads them: nothing unresolved passes for success, and each word is earned."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.report.evidence import Check, Evidence, Groups, Paired
from tenfold.report.face import Data, Face
from tenfold.report.verdict import Verdict, decide, decide_family
from tenfold.report.words import interval, ours, sentence, verdict_lines, write_claims

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "claims.schema.yaml"
SPREAD = (-0.2, -0.1, 0.0, 0.1, 0.2)  # its 95 % half width is 0.196: t(0.975, 4) = 2.776 times 0.158 / sqrt 5


def claim(kind: str, **overrides: Any) -> dict[str, Any]:
    return {
        "id": "C1",
        "claim": "A beats B",
        "kind": kind,
        "published": 2.14,
        "source": "paper",
        "margin": None,
        "reason": None,
        "editions": ["small", "real", "full"],
    } | overrides


def around(difference: float, n: int = 5, **overrides: Any) -> Paired:
    """Values whose per-seed differences have the given mean and a half width of 0.196 (for n = 5)."""
    other = {seed: 90.0 + 3 * seed for seed in range(n)}
    ours = {seed: value + difference + SPREAD[seed] for seed, value in other.items()}
    return Paired(**({"label": "all", "ours": ours, "other": other} | overrides))


def real(claim: dict[str, Any], *cells: Any, edition: str = "real", **evidence: Any) -> Verdict:
    return decide(claim, Evidence(cells, **evidence), data_is_standin=False, edition=edition)


def standin(claim: dict[str, Any], *cells: Any) -> Verdict:
    return decide(claim, Evidence(cells), data_is_standin=True, edition="small")


@pytest.mark.parametrize(
    ("difference", "word"),
    [(0.20, "supported"), (0.19, "not resolved"), (-0.19, "not resolved"), (-0.20, "contradicted")],
)
def test_direction_is_the_position_of_the_interval(difference: float, word: str) -> None:
    verdict = real(claim("direction"), around(difference))
    assert verdict.word == word
    assert verdict.estimate == pytest.approx(difference)
    assert verdict.high == pytest.approx(difference + 0.1963, abs=1e-4)


@pytest.mark.parametrize(("difference", "word"), [(0.20, "contradicted"), (-0.20, "supported")])
def test_a_claim_of_lower_flips_the_sides_not_the_sign(difference: float, word: str) -> None:
    verdict = real(claim("direction"), around(difference, better="lower"))
    assert verdict.word == word
    assert verdict.estimate == pytest.approx(difference)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=5, max_size=8))
def test_what_is_not_significant_is_never_supported_and_exchange_flips_the_word(differences: list[float]) -> None:
    ours, other = dict(enumerate(differences)), dict.fromkeys(range(len(differences)), 0.0)
    there, back = (real(claim("direction"), Paired("x", a, b)) for a, b in ((ours, other), (other, ours)))
    flipped = {"supported": "contradicted", "contradicted": "supported", "not resolved": "not resolved"}
    assert back.word == flipped[there.word]
    assert there.low is not None
    assert there.high is not None
    assert there.p is not None
    if abs(there.p - 0.05) > 1e-9:
        assert (there.word == "supported") == (there.low > 0)
        assert (there.word == "contradicted") == (there.high < 0)


@pytest.mark.parametrize(
    ("difference", "word"),
    [
        (0.5, "supported"),
        (-0.30, "supported"),  # interval -0.496 to -0.104: worse, but by less than the margin of 0.5
        (-0.31, "not resolved"),
        (-0.69, "not resolved"),
        (-0.70, "contradicted"),  # upper end -0.504
    ],
)
def test_not_worse_is_judged_at_minus_the_margin(difference: float, word: str) -> None:
    verdict = real(claim("not-worse", margin=0.5), around(difference))
    assert verdict.word == word


def test_not_worse_for_errors_is_judged_at_plus_the_margin() -> None:
    assert real(claim("not-worse", margin=0.5), around(0.30, better="lower")).word == "supported"
    assert real(claim("not-worse", margin=0.5), around(0.70, better="lower")).word == "contradicted"


@pytest.mark.parametrize("margin", [None, 0, -0.5])
def test_not_worse_without_a_margin_is_refused(margin: float | None) -> None:
    with pytest.raises(UserError, match="C1: kind not-worse needs a margin above 0"):
        real(claim("not-worse", margin=margin), around(1.0))


@pytest.mark.parametrize(
    ("ratios", "word"),
    [
        ([11.0, 12.0, 11.5, 12.5, 11.2], "supported"),
        ([9.0, 11.0, 10.0, 10.5, 9.5], "not resolved"),
        ([6.0, 7.0, 6.5, 6.2, 6.9], "contradicted"),  # wholly on the other side of the stated 10
    ],
)
def test_ratio_against_the_stated_value(ratios: list[float], word: str) -> None:
    other = {seed: 3.0 + seed for seed in range(5)}
    ours = {seed: ratios[seed] * value for seed, value in other.items()}
    verdict = real(claim("ratio", margin=10.0), Paired("cost", ours, other))
    assert verdict.word == word
    assert verdict.estimate == pytest.approx(math.prod(ratios) ** 0.2)
    lower = real(claim("ratio", margin=10.0), Paired("cost", ours, other, better="lower"))
    assert lower.word == {"supported": "contradicted", "contradicted": "supported"}.get(word, word)


def test_exists_cannot_be_contradicted() -> None:
    assert real(claim("exists"), around(0.3)).word == "supported"
    assert real(claim("exists"), around(-0.3)).word == "not resolved"


@pytest.mark.parametrize("n", [1, 2, 4])
def test_below_five_seeds_real_data_get_no_verdict(n: int) -> None:
    verdict = real(claim("direction"), around(50.0, n=n))
    assert (verdict.word, verdict.holm, verdict.p, verdict.n) == ("n too small", "n too small", None, n)
    assert (verdict.low is None) == (n == 1)


def test_a_single_seed_has_no_interval_and_no_spread() -> None:
    verdict = standin(claim("direction"), around(50.0, n=1))
    assert (verdict.word, interval(verdict), verdict.low, verdict.high) == ("n too small", "-", None, None)


@pytest.mark.parametrize(
    ("difference", "n", "word"),
    [(5.0, 2, "n too small"), (5.0, 3, "shows"), (0.01, 3, "does not show"), (-5.0, 3, "does not show")],
)
def test_standins_show_or_do_not_show(difference: float, n: int, word: str) -> None:
    verdict = standin(claim("direction"), around(difference, n=n))
    assert verdict.word == word
    assert verdict.is_pipeline_check


def test_equal_arms_are_not_resolved_and_no_spread_is_said() -> None:
    same = dict.fromkeys(range(5), 90.0)
    assert real(claim("direction"), Paired("x", same, same)).word == "not resolved"
    shifted = real(claim("direction"), Paired("x", {seed: value + 1 for seed, value in same.items()}, same))
    assert shifted.word == "supported"
    assert "no spread between seeds" in sentence(shifted)


def test_an_effect_within_one_arm_is_tested_against_zero() -> None:
    assert real(claim("direction"), Paired("x", {0: 1.0, 1: 1.2, 2: 0.9, 3: 1.1, 4: 1.0})).word == "supported"


def test_groups_are_permuted_and_only_decide_directions() -> None:
    apart = Groups("similarity", [0.95, 0.96, 0.97, 0.98, 0.99], [0.5, 0.6, 0.7, 0.8, 0.9])
    verdict = real(claim("direction"), apart)
    assert (verdict.word, verdict.n, interval(verdict)) == ("supported", 5, "-")
    assert verdict.p == pytest.approx(2 / 252)
    mixed = Groups("similarity", [0.95, 0.6, 0.97, 0.7, 0.99], [0.5, 0.96, 0.7, 0.8, 0.98])
    assert real(claim("direction"), mixed).word == "not resolved"
    with pytest.raises(UserError, match="groups can decide a direction, not ratio"):
        real(claim("ratio", margin=1.0), apart)


def test_all_cells_must_hold_and_the_weakest_decides() -> None:
    strong, weak, against = around(2.0, label="p 30"), around(0.1, label="p 50"), around(-2.0, label="p 70")
    assert real(claim("direction"), strong, strong).word == "supported"
    both = real(claim("direction"), strong, weak)
    assert both.word == "not resolved"
    assert "p 50 decides" in sentence(both)
    assert both.estimate == pytest.approx(0.1)
    assert [cell["label"] for cell in both.cells] == ["p 30", "p 50"]
    assert real(claim("direction"), strong, weak, against).word == "contradicted"


def test_many_cells_do_not_make_a_contradiction_out_of_one_borderline_cell() -> None:
    borderline, fine = around(-0.20), around(2.0)
    assert real(claim("direction"), borderline).word == "contradicted"
    assert real(claim("direction"), borderline, fine).word == "not resolved"


@pytest.mark.parametrize("data_is_standin", [True, False])
def test_exact_holds_or_fails_on_any_data(data_is_standin: bool) -> None:
    def judge(*pairs: Check) -> Verdict:
        return decide(claim("exact"), Evidence(pairs), data_is_standin=data_is_standin, edition="small")

    right, wrong = Check("parameters", 272474, 272474), Check("MACs", 40_551_553, 40_551_552)
    assert judge(right).word == "holds"
    assert judge(right).n is None
    failing = judge(right, wrong)
    assert failing.word == "fails"
    assert "MACs" in sentence(failing)
    assert ours(failing) == "1 of 2 hold"
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


@pytest.mark.parametrize("source", ["memory", "unknown"])
def test_a_memory_is_never_a_target_and_never_printed(source: str, tmp_path: Path) -> None:
    verdict = real(claim("value", source=source, margin=9.0), Check("top-1", 2.0, 2.14), edition="full")
    assert verdict.word == "not testable here"
    document = written(tmp_path, [verdict], "full", standin=False)
    assert "2.14" not in str(document)
    assert document["claims"][0]["printed"]["published"] == "not recovered"


def test_editions_that_cannot_test_say_why() -> None:
    only_full = claim("direction", editions=["full"])
    verdict = decide(only_full, None, data_is_standin=True, edition="small")
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
        ({}, Evidence([Check("x", 1, 1)]), "cell 'x': kind direction needs the values of each seed"),
        ({"kind": "exact"}, Evidence([Paired("x", {0: 1.0})]), "cell 'x': kind exact needs a pair of numbers"),
        ({}, Evidence([Paired("x", {0: 1.0, 1: 2.0}, {0: 1.0, 2: 1.0})]), "seeds without a partner: 1, 2"),
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


def family(*differences: float, data_is_standin: bool = False) -> list[Verdict]:
    claims = [claim("direction", id=f"C{index}") for index in range(len(differences))]
    evidence = {f"C{index}": Evidence([around(value)]) for index, value in enumerate(differences)}
    edition = "small" if data_is_standin else "real"
    return decide_family(claims, evidence, data_is_standin=data_is_standin, edition=edition)


def test_holm_turns_a_borderline_claim_to_not_resolved() -> None:
    alone = family(0.20)[0]
    assert (alone.word, alone.holm) == ("supported", "supported")
    strong, borderline, null = family(2.0, 0.20, 0.0)
    assert (strong.word, strong.holm) == ("supported", "supported")
    assert (borderline.word, borderline.holm) == ("supported", "not resolved")
    assert borderline.p is not None
    assert borderline.p_holm == pytest.approx(2 * borderline.p)
    assert "Corrected for 3 tested claims" in sentence(borderline)
    assert (null.word, null.holm) == ("not resolved", "not resolved")


def test_only_tested_claims_are_in_the_family() -> None:
    claims = [
        claim("direction", id="C0"),
        claim("exact", id="C1"),
        claim("direction", id="C2", editions=["full"]),
        claim("direction", id="C3"),
    ]
    evidence = {
        "C0": Evidence([around(0.20)]),
        "C1": Evidence([Check("x", 1, 1)]),
        "C3": Evidence([around(50.0, n=4)]),
    }
    verdicts = decide_family(claims, evidence, data_is_standin=False, edition="real")
    assert [verdict.holm for verdict in verdicts] == ["supported", "holds", "not testable here", "n too small"]
    assert verdicts[0].p_holm == verdicts[0].p


def test_evidence_for_an_unknown_claim_is_refused() -> None:
    with pytest.raises(UserError, match="not configured: C9"):
        decide_family([], {"C9": Evidence(reason="x")}, data_is_standin=False, edition="real")


def written(tmp_path: Path, verdicts: list[Verdict], edition: str, *, standin: bool) -> dict[str, Any]:
    data = Data("shapes-10", "CIFAR-10") if standin else Data("cifar-10")
    face = Face(edition, data, n=5, device="cpu", precision="fp32")
    write_claims(tmp_path / "claims.json", paper="rco", face=face, verdicts=verdicts)
    document = read_json(tmp_path / "claims.json")
    jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text())).validate(document)
    return dict(document)


def test_real_data_have_verdicts_and_standins_have_pipeline_checks(tmp_path: Path) -> None:
    entry = written(tmp_path, family(2.0, 0.20), "real", standin=False)["claims"][1]
    assert entry["p_holm"] == entry["p"] > 0
    strong, *_ = written(tmp_path, family(2.0, 0.20), "real", standin=False)["claims"]
    assert strong["p_holm"] == pytest.approx(2 * strong["p"])
    assert (entry["verdict"], entry["uncorrected"], entry["pipeline_check"]) == ("supported", "supported", None)
    entry = written(tmp_path, family(2.0, 0.20, data_is_standin=True), "small", standin=True)["claims"][0]
    assert (entry["verdict"], entry["uncorrected"], entry["pipeline_check"]) == (None, None, "shows")


def test_the_schema_refuses_what_must_not_be_said(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text()))
    document = written(tmp_path, family(2.0), "real", standin=False)
    for change in (
        {"verdict": "confirmed"},
        {"verdict": "supported", "pipeline_check": "shows"},
        {"source": "memory"},
        {"verdict": None},
    ):
        spoilt = document | {"claims": [document["claims"][0] | change]}
        assert not validator.is_valid(spoilt), change


def test_words_of_success_are_only_said_of_success() -> None:
    lines = verdict_lines(family(2.0, 0.19, -2.0))
    unresolved, contradicted = lines[2], lines[3]
    for word in ("supported", "holds", "reproduced", "shows"):
        assert word not in unresolved
        assert word not in contradicted
    said = sentence(family(0.19)[0])
    assert "not resolved" in said
    assert "claimed side" not in said


def test_lines_have_fixed_columns() -> None:
    lines = verdict_lines([*family(2.0, 0.19), standin(claim("direction", id="C-long"), around(5.0, n=3))])
    column = lines[0].index("what is claimed")
    assert all(line[column:] == "A beats B" for line in lines[1:])
    assert "+2.00" in lines[1]
    assert "[+1.80, +2.20]" in lines[1]
    assert "pipeline check: shows" in lines[3]


def test_sentences_are_plain() -> None:
    assert sentence(real(claim("direction"), around(0.84), unit="points")) == (
        "The difference is +0.84 points (95 % interval +0.64 to +1.04, n = 5): on the claimed side of 0 (p = 0.00029)."
    )
    assert sentence(standin(claim("direction"), around(0.84, n=2))) == (
        "The difference is +0.69 (95 % interval +0.05 to +1.33, n = 2): too few seeds for a word; 3 are needed."
    )
