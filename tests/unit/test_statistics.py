"""Intervals and tests against scipy, hand-computed cases, and simulated coverage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tenfold.measure.statistics import (
    Summary,
    compare_samples,
    correlation,
    holm,
    mean_correlation,
    mean_interval,
    paired_difference,
    permutation_test,
    ratio_interval,
    summary,
)

OURS = [91.1, 90.4, 91.9, 90.8, 91.3]
OTHER = [90.6, 90.5, 90.9, 90.1, 91.0]


def test_paired_interval_is_that_of_scipy_paired_t_test() -> None:
    ours = paired_difference(OURS, OTHER)
    theirs = stats.ttest_rel(OURS, OTHER)
    low, high = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high, ours.p) == pytest.approx((low, high, theirs.pvalue), rel=1e-12)
    assert ours.n == 5


def test_one_sample_interval_and_null_are_those_of_scipy() -> None:
    ours = mean_interval(OURS, null=90.5, confidence=0.99)
    theirs = stats.ttest_1samp(OURS, 90.5)
    low, high = theirs.confidence_interval(0.99)
    assert (ours.low, ours.high, ours.p) == pytest.approx((low, high, theirs.pvalue), rel=1e-12)


def test_by_hand() -> None:
    # differences 1, 2, 3: mean 2, sd 1, standard error 1/sqrt 3, t(0.975, 2) = 4.302653 from a printed table
    interval = paired_difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert interval.estimate == 2.0
    assert interval.high - interval.estimate == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    # t = 2 sqrt 3 with 2 degrees of freedom: p = 1 - t / sqrt(t^2 + 2) in closed form
    assert interval.p == pytest.approx(1 - math.sqrt(12 / 14), rel=1e-9)


def test_half_width_in_standard_deviations() -> None:
    for n, width in ((3, 2.48), (5, 1.24), (8, 0.84)):
        values = stats.zscore(np.arange(n, dtype=float), ddof=1)
        assert mean_interval(values).high == pytest.approx(width, abs=0.005)


def test_ratio_is_symmetric_under_exchange_and_geometric() -> None:
    there = ratio_interval([2.0, 8.0, 4.0], [1.0, 2.0, 2.0])
    back = ratio_interval([1.0, 2.0, 2.0], [2.0, 8.0, 4.0])
    assert there.estimate == pytest.approx((2 * 4 * 2) ** (1 / 3))
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))
    assert there.p == pytest.approx(back.p)
    assert there.p == pytest.approx(stats.ttest_1samp(np.log([2.0, 4.0, 2.0]), 0).pvalue)


def test_ratio_of_given_ratios_against_a_stated_value() -> None:
    stated = ratio_interval([9.0, 11.0, 10.0], null=10.0)
    assert stated.low < 10 < stated.high
    assert stated.p > 0.5


@pytest.mark.parametrize("values", [[1.0, 0.0, 2.0], [1.0, -3.0]])
def test_ratio_refuses_what_has_no_logarithm(values: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        ratio_interval(values)
    with pytest.raises(ValueError, match="positive"):
        ratio_interval([1.0] * len(values), values)


def test_one_seed_excludes_nothing() -> None:
    interval = paired_difference([99.0], [1.0])
    assert (interval.low, interval.high, interval.p) == (-math.inf, math.inf, 1.0)
    ratio = ratio_interval([99.0], [1.0])
    assert (ratio.low, ratio.high, ratio.p) == (0.0, math.inf, 1.0)


def test_no_spread_gives_a_degenerate_interval() -> None:
    interval = paired_difference([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
    assert (interval.low, interval.estimate, interval.high, interval.p) == (2.0, 2.0, 2.0, 0.0)
    assert mean_interval([2.0, 2.0], null=2.0).p == 1.0


def test_rounding_is_not_a_difference() -> None:
    assert 0.1 + 0.2 != 0.3
    assert paired_difference([0.1 + 0.2] * 5, [0.3] * 5).p == 1.0
    assert ratio_interval([0.1 + 0.2] * 5, [0.3] * 5).p == 1.0


def test_bad_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="different length: 2 and 3"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])


samples = st.lists(st.floats(-100, 100), min_size=3, max_size=8).filter(lambda values: np.std(values) > 1e-3)


@settings(max_examples=60, deadline=None)
@given(samples, st.floats(-100, 100))
def test_the_interval_excludes_the_null_exactly_where_p_is_below_alpha(values: list[float], null: float) -> None:
    interval = mean_interval(values, null=null)
    if abs(interval.p - 0.05) > 1e-9:
        assert (interval.p < 0.05) == (not interval.low <= null <= interval.high)


@settings(max_examples=60, deadline=None)
@given(samples)
def test_exchanging_the_arms_mirrors_the_interval(values: list[float]) -> None:
    zero = [0.0] * len(values)
    there, back = paired_difference(values, zero), paired_difference(zero, values)
    assert (there.low, there.high, there.p) == pytest.approx((-back.high, -back.low, back.p))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_coverage_of_the_interval(n: int) -> None:
    draws = np.random.default_rng(7).normal(1.0, 2.0, size=(4000, n))
    intervals = [mean_interval(row) for row in draws]
    covered = np.mean([interval.low <= 1.0 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, made monotone: .04 .06 .06 .06
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.7, 0.6]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_uncorrected_and_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p) + 1e-15
    for (p, q), (r, s) in itertools.combinations(zip(p_values, adjusted, strict=True), 2):
        assert p == r or (p < r) == (q < s) or q == s


def test_holm_controls_the_family_under_the_null() -> None:
    p_values = np.random.default_rng(3).uniform(size=(4000, 6))
    false_alarms = np.mean([min(holm(list(row))) < 0.05 for row in p_values])
    assert false_alarms == pytest.approx(0.05, abs=0.014)


def test_two_samples_are_judged_as_scipy_two_sample_test_does() -> None:
    rng = np.random.default_rng(1)
    for shift in (0.0, 2.0, 4.0, 6.0, 8.0):
        first, second = rng.normal(0, 1, 4), rng.normal(shift, 1, 6)
        comparison = compare_samples(summary(first), summary(second), resolution=0.0)
        assert comparison is not None
        assert comparison.same == (stats.ttest_ind(first, second).pvalue >= 0.001)


def test_two_samples_by_hand() -> None:
    # sd 1 both, n 3 both: pooled standard error sqrt(2/3), t(0.9995, 4) = 8.610302 from a printed table
    comparison = compare_samples(Summary(90.0, 1.0, 3), Summary(91.0, 1.0, 3), resolution=0.01)
    assert comparison is not None
    assert comparison.allowed == pytest.approx(8.610302 * math.sqrt(2 / 3), rel=1e-6)
    assert comparison.difference == 1.0


def test_printed_resolution_is_always_allowed_and_single_values_are_not_judged() -> None:
    steady, close = Summary(90.0, 0.0, 3), Summary(90.01, 0.0, 3)
    judged = compare_samples(steady, close, resolution=0.0101)
    assert judged is not None
    assert judged.same
    judged = compare_samples(steady, close, resolution=0.001)
    assert judged is not None
    assert not judged.same
    assert compare_samples(summary([90.0]), steady, resolution=1.0) is None
    assert compare_samples(steady, summary([90.0]), resolution=1.0) is None


def test_correlation_against_numpy_and_its_limits() -> None:
    a, b = [16, 16, 32, 64, 60], [12, 16, 30, 40, 64]
    assert correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert correlation(a, [-2 * x + 1 for x in a]) == pytest.approx(-1)
    with pytest.raises(ValueError, match="constant"):
        correlation(a, [8] * 5)
    vectors = [a, b, [10, 20, 20, 50, 40]]
    upper = np.corrcoef(vectors)[np.triu_indices(3, k=1)]
    assert mean_correlation(vectors) == pytest.approx(upper.mean())
    with pytest.raises(ValueError, match="at least two"):
        mean_correlation([a])


def test_permutation_test_is_the_enumeration_of_all_divisions() -> None:
    first, second = [0.91, 0.95, 0.93, 0.99], [0.80, 0.92, 0.85, 0.70]
    pooled = np.array(first + second)
    observed = np.mean(first) - np.mean(second)
    divisions = [
        pooled[list(chosen)].mean() - np.delete(pooled, list(chosen)).mean()
        for chosen in itertools.combinations(range(8), 4)
    ]
    upper = np.mean([d >= observed - 1e-12 for d in divisions])
    test = permutation_test(first, second)
    assert test.estimate == pytest.approx(observed)
    assert test.p == pytest.approx(2 * upper)
    assert (test.low, test.high, test.n) == (-math.inf, math.inf, 4)


def test_three_against_three_can_never_reach_five_percent() -> None:
    assert permutation_test([100.0, 101.0, 102.0], [1.0, 2.0, 3.0]).p == pytest.approx(2 / 20)
    assert permutation_test([1.0], [2.0, 3.0]).p == 1.0


def test_large_permutation_tests_are_drawn_the_same_each_time() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, 20), rng.normal(0.5, 1, 20)
    assert permutation_test(first, second, resamples=999) == permutation_test(first, second, resamples=999)
