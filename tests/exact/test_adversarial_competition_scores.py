"""The contest's rules: images in integers, scores by the final rules, and what the printed tables say of each other."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tenfold.config import CONFIG, read_yaml
from tenfold.papers.adversarial_competition.scoring import (
    NO_LABEL,
    Contest,
    Scores,
    attack_scores,
    defence_scores,
    from_png,
    png,
    project,
    ranking,
    to_pixels,
    within_bound,
    without_failed,
)

TRACKS = ("defences", "non-targeted", "targeted")


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(CONFIG / "papers" / "adversarial-competition.yaml")["published"]
    return found


# What the printed tables say of each other


def test_raw_scores_are_sums_over_105_defences_and_145_attacks(published: dict[str, Any]) -> None:
    final = published["final"]
    assert (final["defences"] * final["images"], final["attacks"] * final["images"]) == (525_000, 725_000)
    rows = [(track, row) for track in TRACKS for row in published["scores"][track]]
    assert len(rows) == 19
    for track, row in rows:
        opponents = final["attacks"] if track == "defences" else final["defences"]
        assert row["raw"] / (opponents * final["images"]) == pytest.approx(row["score"], abs=1e-6)


def test_printed_worst_scores_are_below_the_scores(published: dict[str, Any]) -> None:
    for row in itertools.chain.from_iterable(published["scores"].values()):
        assert row["worst"] is None or row["worst"] < row["score"]


def test_the_last_gains_of_figure_1_are_differences_of_the_tables(published: dict[str, Any]) -> None:
    expected = {"defences": 0.180256, "non-targeted": 0.435244, "targeted": 0.202438}
    for track in TRACKS:
        best, *_, baseline = published["scores"][track]
        gain = best["score"] - baseline["score"]
        assert baseline["team"].startswith("baseline")
        assert gain == pytest.approx(expected[track], abs=1e-9)
        assert gain == pytest.approx(published["gains"][track]["by_round"][-1], abs=5e-4)


def test_figure_2_has_the_scores_of_the_tables_at_their_ranks(published: dict[str, Any]) -> None:
    for track, count in zip(TRACKS, (110, 94, 68), strict=True):
        ranked = published["ranked"][track]
        scores = ranked["scores"]
        assert len(scores) == count
        assert scores == sorted(scores, reverse=True)
        assert set(ranked["baselines"].values()) <= set(scores)
        for row in published["scores"][track]:
            assert min(abs(row["score"] - score) for score in scores) <= 1.001e-4
            if row["rank"] <= 5:
                assert scores[row["rank"] - 1] == pytest.approx(row["score"], abs=1.001e-4)


def test_the_median_was_measured_on_160_images(published: dict[str, Any]) -> None:
    by_eps = published["median_by_eps"]
    assert 100 * 159 / 160 == by_eps["without"][0] == 99.375
    exact = by_eps["without"] + by_eps["with"]
    assert [percent for percent in exact if percent * 160 % 100] == []
    printed = [percent for row in published["median"] for percent in row["without"] + row["with"]]
    assert len(printed) == 64
    assert [percent for percent in printed if abs(round(percent * 1.6) / 1.6 - percent) > 0.00501] == []
    last = published["median"][-1]  # all four nets, attack C at eps 16, in both tables
    assert (last["without"][3], last["with"][3]) == (round(by_eps["without"][0], 2), pytest.approx(43.13))


# Images


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 40))
def test_projection_against_plain_integers(original: int, crafted: int, eps: int) -> None:
    before, after = (np.full((1, 1, 3), value, np.uint8) for value in (original, crafted))
    expected = min(max(crafted, original - eps, 0), original + eps, 255)
    projected = project(before, after, eps)
    assert projected.dtype == np.uint8
    assert projected.tolist() == [[[expected] * 3]]
    assert within_bound(before, projected, eps)
    assert within_bound(before, after, eps) == (abs(original - crafted) <= eps)


def test_projection_takes_batches_of_any_layout() -> None:
    draws = np.random.default_rng(0).integers(0, 256, (2, 5, 3, 4, 4), dtype=np.uint8)
    projected = project(draws[0], draws[1], 8)
    assert projected.shape == (5, 3, 4, 4)
    assert within_bound(draws[0], projected, 8)
    assert not within_bound(draws[0], projected, 7)


def test_an_image_of_the_wrong_size_is_resized_before_it_is_projected() -> None:
    draws = np.random.default_rng(1)
    original, crafted = (draws.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((6, 9), (12, 12)))
    resized = np.asarray(Image.fromarray(crafted).resize((9, 6), Image.Resampling.BICUBIC))
    assert np.array_equal(project(original, crafted, 255), resized)
    assert np.array_equal(project(original, crafted, 4), project(original, resized, 4))


def test_grey_levels_are_rounded_to_the_nearest_and_survive_a_file() -> None:
    levels = np.arange(256, dtype=np.float32) / 255
    assert to_pixels(levels).tolist() == list(range(256))
    assert to_pixels(np.array([8.4, 8.6, -1, 300]) / 255).tolist() == [8, 9, 0, 255]
    pixels = np.random.default_rng(2).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    assert np.array_equal(from_png(png(pixels)), pixels)


# Scores, by hand


def contest(
    labels: Any,
    *,
    delivered: Any = None,
    truth: Any = (0, 1, 2, 3),
    targets: Any = (4, 4, 4, 4),
    targeted: Any = (),
    barred_defences: Any = (),
    barred_attacks: Any = (),
) -> Contest:
    """A contest; of ``targeted`` and ``barred`` the places are given."""
    labels = np.array(labels)
    defences, attacks, images = labels.shape
    delivered = np.ones((attacks, images), bool) if delivered is None else np.array(delivered, bool)

    def flags(places: Any, count: int) -> NDArray[np.bool_]:
        return np.isin(np.arange(count), places)

    return Contest(
        labels, delivered, np.array(truth), np.array(targets), flags(targeted, attacks),
        flags(barred_defences, defences), flags(barred_attacks, attacks),
    )  # fmt: skip


# Two defences; two non-targeted attacks and a targeted one; four images.
LABELS = [
    [[0, 1, 2, 3], [0, 1, 0, 0], [0, 1, 4, 4]],
    [[0, 1, 2, 0], [0, 0, 0, 0], [4, 4, 4, 0]],
]
NONE = NO_LABEL


def lists(scores: Scores) -> tuple[list[float], list[float], list[float]]:
    return scores.raw.tolist(), scores.score.tolist(), scores.worst.tolist()


def test_matrices_and_scores_by_hand() -> None:
    whole = contest(LABELS, targeted=[2])
    assert whole.correct.tolist() == [[4, 2, 2], [3, 1, 0]]
    assert whole.error.tolist() == [[0, 2, 2], [1, 3, 4]]
    assert whole.hit.tolist() == [[0, 0, 2], [0, 0, 3]]
    assert lists(defence_scores(whole)) == ([8, 4], [8 / 12, 4 / 12], [2 / 4, 0])
    assert lists(attack_scores(whole)) == ([1, 5, 5], [1 / 8, 5 / 8, 5 / 8], [0, 2 / 4, 2 / 4])


def test_a_missing_image_counts_against_its_attack_alone() -> None:
    labels, delivered = np.array(LABELS), np.ones((3, 4), bool)
    delivered[1, 3] = False
    labels[:, 1, 3] = NONE
    lacking = contest(labels, delivered=delivered, targeted=[2])
    assert lacking.counting_attacks.tolist() == [True, False, True]
    assert lacking.counting_defences.tolist() == [True, True]
    assert lists(defence_scores(lacking)) == ([6, 3], [6 / 8, 3 / 8], [2 / 4, 0])
    assert lists(attack_scores(lacking)) == ([1, 3, 5], [1 / 8, 3 / 8, 5 / 8], [0, 1 / 4, 2 / 4])


def test_a_label_of_an_image_that_is_not_there_does_not_count() -> None:
    delivered = np.ones((3, 4), bool)
    delivered[1, 0] = False  # both defences say 0 of it, which is right
    lacking = contest(LABELS, delivered=delivered, targeted=[2])
    assert lacking.correct[:, 1].tolist() == [1, 0]
    assert lacking.error[:, 1].tolist() == [2, 3]


def test_a_missing_label_counts_against_its_defence_and_takes_it_out_of_attacks_scores() -> None:
    labels = np.array(LABELS)
    labels[0, 0, 0] = NONE
    lacking = contest(labels, targeted=[2])
    assert lacking.counting_defences.tolist() == [False, True]
    assert lists(defence_scores(lacking)) == ([7, 4], [7 / 12, 4 / 12], [2 / 4, 0])
    assert lists(attack_scores(lacking)) == ([1, 3, 3], [1 / 4, 3 / 4, 3 / 4], [1 / 4, 3 / 4, 3 / 4])


def test_a_defence_must_label_incomplete_and_disqualified_attacks_too() -> None:
    labels, delivered = np.array(LABELS), np.ones((3, 4), bool)
    delivered[1, 3] = False
    labels[:, 1, 3] = NONE
    labels[0, 1, 0] = NONE  # of an attack that is incomplete and disqualified
    lacking = contest(labels, delivered=delivered, targeted=[2], barred_attacks=[1])
    assert lacking.counting_defences.tolist() == [False, True]
    assert lacking.counting_attacks.tolist() == [True, False, True]


def test_disqualified_ones_have_no_score_and_enter_none() -> None:
    barred = contest(LABELS, targeted=[2], barred_defences=[0], barred_attacks=[1])
    defences, attacks = defence_scores(barred), attack_scores(barred)
    assert math.isnan(defences.score[0])
    assert (defences.raw[1], defences.score[1], defences.worst[1]) == (3, 3 / 8, 0)
    assert math.isnan(attacks.raw[1])
    assert attacks.score[[0, 2]].tolist() == [1 / 4, 3 / 4]
    assert ranking(attacks.score) == [2, 0]


def test_without_a_complete_defence_attacks_have_no_score_at_all() -> None:
    labels = np.array(LABELS)
    labels[:, 0, 0] = NONE
    lacking = contest(labels, targeted=[2])
    assert np.isnan(attack_scores(lacking).score).all()
    assert np.isnan(attack_scores(lacking).worst).all()
    assert ranking(attack_scores(lacking).raw) == []
    assert defence_scores(lacking).raw.tolist() == [7, 3]


def test_without_a_complete_attack_defences_have_no_score() -> None:
    delivered = np.ones((3, 4), bool)
    delivered[:, 0] = False
    assert np.isnan(defence_scores(contest(LABELS, delivered=delivered)).score).all()


def test_a_batch_that_failed_is_dropped_whole() -> None:
    """An attack that crashed in its second batch left one image of it; a defence crashed on the first of another."""
    batch_of = np.array([0, 0, 1, 1])
    found = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]], bool)
    failed = np.array([[0, 0], [0, 1], [0, 0]], bool)
    delivered = without_failed(found, failed, batch_of)
    assert delivered.tolist() == [[True] * 4, [True, True, False, False], [True] * 4]
    labelled = np.ones((2, 3, 4), bool)
    crashed = np.zeros((2, 3, 2), bool)
    crashed[0, 2, 0] = True
    labels = np.where(without_failed(labelled, crashed, batch_of), np.array(LABELS), NONE)
    crash = contest(labels, delivered=delivered, targeted=[2])
    assert crash.counting_attacks.tolist() == [True, False, True]
    assert crash.counting_defences.tolist() == [False, True]
    assert crash.correct.tolist() == [[4, 2, 0], [3, 1, 0]]
    assert lists(attack_scores(crash)) == ([1, 1, 3], [1 / 4, 1 / 4, 3 / 4], [1 / 4, 1 / 4, 3 / 4])


def test_ranks_are_best_first() -> None:
    assert ranking(np.array([0.2, np.nan, 0.9, 0.2])) == [2, 0, 3]


# Scores, against the equations


@st.composite
def contests(draw: st.DrawFn) -> Contest:
    defences, attacks, images = (draw(st.integers(1, most)) for most in (4, 4, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rate = draw(st.sampled_from([0.0, 0.05, 0.3]))
    delivered = generator.random((attacks, images)) >= rate
    labels = generator.integers(0, 3, (defences, attacks, images))
    labels[~np.broadcast_to(delivered, labels.shape) | (generator.random(labels.shape) < rate / 4)] = NONE
    truth = generator.integers(0, 3, images)
    return contest(
        labels, delivered=delivered, truth=truth, targets=(truth + 1) % 3,
        targeted=np.flatnonzero(generator.random(attacks) < 0.4),
        barred_defences=np.flatnonzero(generator.random(defences) < rate),
        barred_attacks=np.flatnonzero(generator.random(attacks) < rate),
    )  # fmt: skip


@given(contests())
@settings(max_examples=200, deadline=None)
def test_scores_are_those_of_the_equations(drawn: Contest) -> None:
    defences, attacks, images = (range(count) for count in drawn.labels.shape)
    n = len(images)

    def label(d: int, a: int, k: int) -> int | None:
        value = int(drawn.labels[d, a, k])
        return value if drawn.delivered[a, k] and value != NONE else None

    counting_attacks = [a for a in attacks if all(drawn.delivered[a]) and not drawn.barred_attacks[a]]
    counting_defences = [
        d for d in defences if not drawn.barred_defences[d]
        and all(label(d, a, k) is not None for a in attacks for k in images if drawn.delivered[a, k])
    ]  # fmt: skip

    def right(d: int, a: int) -> int:
        return sum(label(d, a, k) == drawn.truth[k] for k in images)

    def gained(d: int, a: int) -> int:
        given = [(label(d, a, k), k) for k in images if label(d, a, k) is not None]
        if drawn.targeted[a]:
            return sum(value == drawn.targets[k] for value, k in given)
        return sum(value != drawn.truth[k] for value, k in given)

    def expected(sums: list[int], barred: bool) -> list[float]:
        if barred or not sums:
            return [math.nan] * 3
        return [sum(sums), sum(sums) / (len(sums) * n), min(sums) / n]

    found = defence_scores(drawn)
    for d in defences:
        wanted = expected([right(d, a) for a in counting_attacks], drawn.barred_defences[d])
        np.testing.assert_allclose([found.raw[d], found.score[d], found.worst[d]], wanted)
    found = attack_scores(drawn)
    for a in attacks:
        wanted = expected([gained(d, a) for d in counting_defences], drawn.barred_attacks[a])
        np.testing.assert_allclose([found.raw[a], found.score[a], found.worst[a]], wanted)


@given(contests())
@settings(max_examples=100, deadline=None)
def test_the_worst_score_is_at_most_the_score(drawn: Contest) -> None:
    for scores in (defence_scores(drawn), attack_scores(drawn)):
        known = ~np.isnan(scores.score)
        assert (scores.worst[known] <= scores.score[known] + 1e-12).all()
        assert ((scores.score[known] >= 0) & (scores.score[known] <= 1)).all()
