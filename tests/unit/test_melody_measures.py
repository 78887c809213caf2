"""Measures of melodies, against values counted by hand or computed another way."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from tenfold.papers.melody import classifier, mgeval
from tenfold.papers.melody.measures import (
    Shared,
    compression,
    curve_distance,
    guidance,
    idle_note_offs,
    irregular,
    notes_of,
    profiles_of,
    repetition,
    rhythm,
    rhythms_of_bars,
    same_rhythm,
    self_similarity,
)
from tenfold.papers.melody.report.results import vote_test
from tenfold.papers.melody.tunes import twinkle

C, D, E, G = 14, 16, 18, 21  # classes of C4 = MIDI 60 and above
QUARTERS = [C, 0, 0, 0] * 4
HALVES = [C, 0, 0, 0, 0, 0, 0, 0] * 2
EIGHTHS = [C, 0] * 8
RESTING = [C, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]


def piece(*bars: list[int]) -> np.ndarray:
    return np.concatenate([np.array(bar, dtype=np.int8) for bar in bars])


def in_pitch(bar: list[int], pitch: int) -> list[int]:
    return [pitch if event == C else event for event in bar]


def test_notes_end_at_the_next_event_or_with_the_piece() -> None:
    found = notes_of(np.array([0, C, 0, D, 0, 0, 1, 0, 0, E, 0], dtype=np.int8))
    assert found.tolist() == [[1, 2, 60], [3, 3, 62], [9, 2, 64]]
    assert notes_of(np.zeros(16, dtype=np.int8)).shape == (0, 3)
    assert notes_of(np.array([2, 37], dtype=np.int8))[:, 2].tolist() == [48, 83]


def test_a_note_off_is_idle_where_nothing_sounds() -> None:
    assert idle_note_offs([piece(RESTING)]) == 0.5
    assert idle_note_offs([np.array([1, 0, C, 1, 1], dtype=np.int8)]) == pytest.approx(2 / 3)
    assert idle_note_offs([piece(QUARTERS)]) == 0


def test_note_offs_belong_to_the_rhythm_and_pitches_do_not() -> None:
    assert np.flatnonzero(rhythm(piece(RESTING))).tolist() == [0, 4, 12]
    assert (rhythm(piece(QUARTERS)) == rhythm(piece(in_pitch(QUARTERS, G)))).all()


# Guidance ---------------------------------------------------------------------------------------------------------

BEATS = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0.9, 0.1, 0.8, 0.2]])


def test_the_profile_is_the_nearest_centre() -> None:
    assert profiles_of(piece(QUARTERS), BEATS).tolist() == [0, 0, 0, 0]
    assert profiles_of(piece(HALVES), BEATS).tolist() == [0, 1, 0, 1]
    assert profiles_of(piece(EIGHTHS), BEATS).tolist() == [2, 2, 2, 2]


def test_guidance_counts_clips_that_follow() -> None:
    fed = [np.array([0, 1, 0, 2], dtype=np.int8), np.array([2, 2, 2, 0], dtype=np.uint8)]
    found = guidance([piece(HALVES), piece(EIGHTHS)], fed, BEATS)
    # Own profiles: 0 1 0 1 and 2 2 2 2. The two that stray miss 2 steps (1010 wanted, 0000 made) and 1 (1000, 1010).
    assert found["followed"] == 6 / 8
    assert found["hamming"] == 3 / 8
    assert found["chance"] == pytest.approx((2 * 3 + 2 * 1 + 4 * 4) / 64)


@given(st.lists(st.integers(0, 2), min_size=4, max_size=12), st.integers(0, 2**32 - 1))
def test_chance_is_the_mean_over_shuffles(fed: list[int], seed: int) -> None:
    fed = fed[: len(fed) // 4 * 4]
    generator = np.random.default_rng(seed)
    events = np.where(generator.random(4 * len(fed)) < 0.4, C, 0).astype(np.int8)
    found = guidance([events], [np.array(fed)], BEATS)["chance"]
    own = profiles_of(events, BEATS)
    shifts = [np.mean(own == np.roll(fed, shift)) for shift in range(len(fed))]  # each pair meets once in all rotations
    assert found == pytest.approx(np.mean(shifts))


def test_profiles_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="4 clips cannot follow 3 profiles"):
        guidance([piece(QUARTERS)], [np.array([0, 0, 0])], BEATS)


def test_a_new_melody_in_the_rhythm_of_a_tune() -> None:
    tune = piece(QUARTERS, HALVES)
    new = piece(in_pitch(QUARTERS, D), [D, 0, 0, 0, 0, 0, 0, 0, C, 0, 0, 0, 0, 0, 0, 0])
    off = piece(in_pitch(QUARTERS, D), in_pitch(EIGHTHS, D))
    assert same_rhythm([tune], tune) == {"bars": 1.0, "pitches": 1.0}
    assert same_rhythm([new], tune) == {"bars": 1.0, "pitches": pytest.approx(1 / 6)}
    assert same_rhythm([new, off], tune)["bars"] == 0.75


def test_the_tune_has_twelve_bars_of_a_known_melody() -> None:
    tune = twinkle()
    assert len(tune) == 12 * 16
    names = {60: "C", 62: "D", 64: "E", 65: "F", 67: "G", 69: "A"}
    assert "".join(names[pitch] for pitch in notes_of(tune)[:14, 2]) == "CCGGAAGFFEEDDC"
    assert notes_of(tune)[:7, 1].tolist() == [4, 4, 4, 4, 4, 4, 8]
    assert repetition([rhythm(tune)], [2]) == {2: 1.0}


# Repetition and structure -------------------------------------------------------------------------------------------


def test_repetition_of_rhythm_and_of_notes() -> None:
    tune = piece(QUARTERS, HALVES, in_pitch(QUARTERS, D), HALVES, QUARTERS)
    assert repetition([rhythm(tune)], [1, 2, 4]) == {1: 0.0, 2: 1.0, 4: 1.0}
    assert repetition([tune], [1, 2, 4]) == {1: 0.0, 2: pytest.approx(1 / 3), 4: 1.0}
    # Bars are pooled over pieces; a piece that is too short for a lag says nothing of it.
    short = piece(HALVES, HALVES)
    assert repetition([rhythm(tune), rhythm(short)], [1, 8]) == {1: pytest.approx(1 / 5)}


def test_the_distance_of_curves_is_a_sum() -> None:
    assert curve_distance({1: 0.1, 4: 0.5}, {1: 0.3, 4: 0.2}) == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"different lags: \[1\] and \[2\]"):
        curve_distance({1: 0.0}, {2: 0.0})


def test_a_bar_is_irregular_where_no_training_piece_has_its_rhythm() -> None:
    known = rhythms_of_bars([piece(in_pitch(QUARTERS, G), HALVES)])
    assert len(known) == 2
    assert irregular([piece(QUARTERS, EIGHTHS), piece(HALVES, QUARTERS)], known) == 0.25


def test_self_similarity_is_symmetric_with_ones() -> None:
    tune = piece(QUARTERS, HALVES, EIGHTHS)
    found = self_similarity([tune, tune])
    assert found.tolist() == [[1, 14 / 16, 12 / 16], [14 / 16, 1, 10 / 16], [12 / 16, 10 / 16, 1]]


def test_repeated_pieces_compress_better() -> None:
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 38, 320).astype(np.int8)
    assert compression(np.tile(piece(QUARTERS), 20)) < 0.1 < 0.6 < compression(noise)
    assert compression(noise) == len(zlib.compress(bytes(noise.tolist()), 9)) / 320


# Copying ------------------------------------------------------------------------------------------------------------


def longest_by_table(first: list[int], second: list[int]) -> int:
    """The longest common substring by dynamic programming."""
    best, row = 0, [0] * (len(second) + 1)
    for a in first:
        row = [0] + [row[j] + 1 if a == b else 0 for j, b in enumerate(second)]
        best = max(best, *row)
    return best


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=20), min_size=1, max_size=4),
       st.lists(st.integers(0, 3), min_size=1, max_size=20))  # fmt: skip
def test_the_longest_copy_is_the_longest_common_substring(collection: list[list[int]], copy: list[int]) -> None:
    shared = Shared(np.array(text, dtype=np.int8) for text in collection)
    assert shared.longest(np.array(copy, dtype=np.int8)) == max(longest_by_table(text, copy) for text in collection)


def test_no_copy_runs_from_one_piece_into_the_next() -> None:
    shared = Shared([piece(QUARTERS), piece(EIGHTHS)])
    assert shared.longest(piece(QUARTERS, EIGHTHS)) == 16


# MGEval -------------------------------------------------------------------------------------------------------------

MELODY = np.array([C, 0, D, 0, 0, 0, C, 0, 0, 0, 0, 0, 1, 0, G, 0] + [0] * 8, dtype=np.int8)
# Notes: C 2, D 4, C 6 sixteenths, G 10; onsets 0, 2, 6, 14.


def test_features_counted_by_hand() -> None:
    found = {name: values[0] for name, values in mgeval.features_of([MELODY]).items()}
    assert list(found) == list(mgeval.FEATURES)
    assert found["pitch count"] == [3]
    assert found["pitch range"] == [7]
    assert found["note count"] == [4]
    assert found["mean pitch interval"] == pytest.approx((2 + 2 + 7) / 3)
    assert found["mean inter-onset interval"] == pytest.approx((2 + 4 + 8) / 3)
    histogram = np.zeros(12)
    histogram[[0, 2, 7]] = 0.5, 0.25, 0.25
    assert found["pitch-class histogram"].tolist() == histogram.tolist()
    steps = found["pitch-class transitions"].reshape(12, 12)
    assert steps[0, 2] == steps[2, 0] == steps[0, 7] == pytest.approx(1 / 3)
    assert steps.sum() == pytest.approx(1)
    lengths = np.zeros(9)  # bins 1, 2, 3, 4, 6, 8, 12, 16, longer
    lengths[[1, 3, 4, 5]] = 0.25
    assert found["note-length histogram"].tolist() == lengths.tolist()
    moves = found["note-length transitions"].reshape(9, 9)
    assert moves[1, 3] == moves[3, 4] == moves[4, 5] == pytest.approx(1 / 3)


def test_a_piece_without_notes_has_features_too() -> None:
    found = mgeval.features_of([np.zeros(16, dtype=np.int8)])
    assert all((values == 0).all() for values in found.values())


def test_a_note_longer_than_a_bar_has_a_bin_of_its_own() -> None:
    long = np.array([C] + [0] * 31, dtype=np.int8)
    assert mgeval.features_of([long])["note-length histogram"][0].tolist() == [0] * 8 + [1]


def test_divergence_and_overlap_are_integrals_of_the_densities() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.normal(5, 1, 60), generator.normal(6, 1.5, 80)
    kld, overlap = mgeval.divergence_and_overlap(first, second)
    p, q = stats.gaussian_kde(first), stats.gaussian_kde(second)
    wanted = quad(lambda x: p(x)[0] * np.log(p(x)[0] / q(x)[0]), 0, 11, limit=200)[0]
    assert kld == pytest.approx(wanted, rel=0.02)
    assert overlap == pytest.approx(quad(lambda x: min(p(x)[0], q(x)[0]), -1, 14, limit=200)[0], rel=0.01)


def test_scotts_bandwidth_is_the_one_that_is_used() -> None:
    sample = np.random.default_rng(2).normal(size=50)
    assert stats.gaussian_kde(sample, "scott").factor == pytest.approx(50 ** (-1 / 5))


def test_equal_samples_overlap_wholly() -> None:
    sample = np.random.default_rng(3).normal(3, 1, 40)
    kld, overlap = mgeval.divergence_and_overlap(sample, sample)
    assert kld == pytest.approx(0, abs=1e-9)
    assert overlap == pytest.approx(1, abs=0.01)  # what lies beyond three bandwidths is cut off


def test_distances_that_are_all_equal_have_no_density() -> None:
    assert mgeval.divergence_and_overlap(np.zeros(5), np.arange(5.0)) == (None, None)
    nearly = np.zeros(5) + 1e-9 * np.arange(5)
    assert mgeval.divergence_and_overlap(nearly, np.arange(5.0)) == (None, None)
    assert mgeval.divergence_and_overlap(nearly, nearly)[1] == pytest.approx(1, abs=0.01)


def test_sets_are_compared_by_all_pairs() -> None:
    real = {"a": np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])}
    other = {"a": np.array([[0.0, 0.0], [6.0, 8.0], [0.0, 2.0]])}
    found = mgeval.compare_sets(real, other)["a"]
    assert found["intra"] == pytest.approx((10 + 2 + math.hypot(6, 6)) / 3)
    pairs = [np.hypot(*(x - y)) for x in real["a"] for y in other["a"]]
    assert found["inter"] == pytest.approx(np.mean(pairs))
    assert mgeval.mean_overlap({"a": {"overlap": 0.5}, "b": {"overlap": None}, "c": {"overlap": 1.0}}) == 0.75
    with pytest.raises(ValueError, match="equally large"):
        mgeval.compare_sets(real, {"a": other["a"][:2]})


# Classifier ---------------------------------------------------------------------------------------------------------


def test_two_blobs_are_told_apart_and_one_is_not() -> None:
    generator = np.random.default_rng(4)
    blob = generator.normal(size=(200, 5))
    apart = classifier.tell_apart(blob, generator.normal(size=(200, 5)) + 4, np.random.default_rng(0))
    assert apart["auc"] > 0.99 and apart["balanced_accuracy"] > 0.97 and apart["judged_real"] < 0.03
    alike = classifier.tell_apart(blob, generator.normal(size=(200, 5)), np.random.default_rng(0))
    assert 0.35 < alike["auc"] < 0.65 and 0.4 < alike["balanced_accuracy"] < 0.6


def test_the_fit_is_where_the_gradient_vanishes() -> None:
    generator = np.random.default_rng(5)
    features, labels = generator.normal(3, 2, size=(60, 3)), generator.integers(0, 2, 60).astype(float)
    mean, scale, weights = classifier.fit(features, labels)
    inputs = np.hstack([(features - mean) / scale, np.ones((60, 1))])
    slope = inputs.T @ (1 / (1 + np.exp(-inputs @ weights)) - labels) + classifier.PENALTY * weights * [1, 1, 1, 0]
    assert np.abs(slope).max() < 1e-3
    assert classifier.score((mean, scale, weights), features) == pytest.approx(inputs @ weights)


def test_the_area_under_the_curve_is_a_share_of_pairs() -> None:
    positive, negative = np.array([3.0, 1.0, 2.0]), np.array([2.0, 0.0])
    wins = [(a > b) + 0.5 * (a == b) for a in positive for b in negative]
    assert classifier.area_under_curve(positive, negative) == pytest.approx(np.mean(wins))


def test_a_feature_that_never_changes_does_no_harm() -> None:
    features = np.hstack([np.ones((20, 1)), np.repeat([[0.0], [1.0]], 10, axis=0)])
    weights = classifier.fit(features, np.repeat([0.0, 1.0], 10))
    assert np.isfinite(classifier.score(weights, features)).all()


def test_pieces_of_one_length_are_described_alike() -> None:
    described = classifier.described([piece(*[QUARTERS] * 10), piece(*[EIGHTHS] * 10)])
    assert described.shape == (2, 1 + 12 + 1 + 1 + 1 + 1 + 9 + 4 + 4 + 1)


# Votes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("votes", "of", "chi2", "p"),
    [(127, 203, 12.8128, 3.4425e-4), (317, 435, 91.0368, 1.4103e-21), (293, 461, 33.8937, 5.8207e-9),
     (226, 290, 90.4966, 1.8530e-21)],
)  # fmt: skip
def test_the_test_of_a_vote_is_pearsons(votes: int, of: int, chi2: float, p: float) -> None:
    found = vote_test(votes, of)
    assert found == pytest.approx((chi2, p), rel=1e-4)
    other = stats.chisquare([votes, of - votes])
    assert found == pytest.approx((other.statistic, other.pvalue), rel=1e-12)
