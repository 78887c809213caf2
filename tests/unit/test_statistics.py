"""Intervals and tests against scipy, hand-computed cases, and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tenfold.measure.statistics import (
    Interval,
    Summary,
    compare_samples,
    correlation,
    detectable,
    mean_interval,
    pooled,
    summary,
    welch_interval,
)

OURS = [91.1, 90.4, 91.9, 90.8, 91.3]
OTHER = [90.6, 90.5, 90.9, 90.1, 91.0]


def differences(first: list[float], second: list[float]) -> list[float]:
    return [a - b for a, b in zip(first, second, strict=True)]


@pytest.mark.parametrize("confidence", [0.95, 0.975])
def test_the_interval_of_differences_is_that_of_scipys_paired_t_test(confidence: float) -> None:
    ours = mean_interval(differences(OURS, OTHER), confidence=confidence)
    low, high = stats.ttest_rel(OURS, OTHER).confidence_interval(confidence)
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-12)
    assert (ours.n, ours.freedom) == (5, 4)


def test_against_statsmodels() -> None:
    """DescrStatsW([...]).tconfint_mean(alpha=.025) and CompareMeans(...).tconfint_diff(usevar="unequal"), 0.15.0."""
    one = mean_interval(OURS, confidence=0.975)
    assert (one.low, one.high) == pytest.approx((90.22266007392602, 91.97733992607397), rel=1e-12)
    two = welch_interval([1.0, 2.0, 3.0], [4.0, 5.0, 5.5, 9.0])
    assert (two.low, two.high) == pytest.approx((-7.172688915664615, -0.5773110843353844), rel=1e-12)


def test_by_hand() -> None:
    # differences 1, 2, 3: mean 2, sd 1, standard error 1/sqrt 3, t(0.975, 2) = 4.302653 from a printed table
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.estimate == 2.0
    assert interval.error == pytest.approx(1 / math.sqrt(3))
    assert interval.high - interval.estimate == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_half_width_in_standard_deviations() -> None:
    for n, width in ((3, 2.48), (5, 1.24), (8, 0.84)):
        values = stats.zscore(np.arange(n, dtype=float), ddof=1)
        assert mean_interval(values).high == pytest.approx(width, abs=0.005)


def test_overlapping_splits_widen_by_nadeau_and_bengio() -> None:
    # five splits with 20 to test on and 159 to train on: the variance is (1/5 + 20/159) / (1/5) = 1.629 times as large
    plain, wide = mean_interval(OURS), mean_interval(OURS, overlap=20 / 159)
    assert (wide.high - wide.low) / (plain.high - plain.low) == pytest.approx(math.sqrt(1 + 5 * 20 / 159))
    assert wide.estimate == plain.estimate


def test_one_seed_excludes_nothing() -> None:
    interval = mean_interval([99.0])
    assert (interval.low, interval.high, detectable(interval)) == (-math.inf, math.inf, math.inf)
    group = welch_interval([99.0], [1.0, 2.0])
    assert (group.low, group.high, group.n) == (-math.inf, math.inf, 1)


@pytest.mark.parametrize("n", [2, 5, 7, 11])
def test_what_is_constant_but_for_rounding_has_no_spread(n: int) -> None:
    assert len({0.1 * 3 * k / k - 0.3 for k in range(1, 50)}) > 1  # the rounding that is meant
    for values in ([0.1] * n, [0.1 * 3 * k / k for k in range(1, n + 1)]):
        interval = mean_interval(values)
        assert (interval.error, interval.low, interval.high) == (0.0, interval.estimate, interval.estimate)
    hundreds = [100 * 0.1708 - 100 * 0.1808, 17.08 - 18.08, -1.0, *[-1.0] * n]
    assert mean_interval(hundreds, scale=18.08).error == 0
    assert mean_interval([1.0, 1.0 + 1e-9]).error > 0


def test_bad_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
    with pytest.raises(ValueError, match="nothing to pool"):
        pooled([])


samples = st.lists(st.floats(-100, 100), min_size=3, max_size=8).filter(lambda values: np.std(values) > 1e-3)


@settings(max_examples=60, deadline=None)
@given(samples)
def test_exchanging_the_arms_mirrors_the_interval(values: list[float]) -> None:
    there, back = mean_interval(values), mean_interval([-value for value in values])
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


@settings(max_examples=60, deadline=None)
@given(samples, samples)
def test_welch_is_that_of_scipy(first: list[float], second: list[float]) -> None:
    ours = welch_interval(first, second)
    low, high = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((low, high))
    assert ours.n == min(len(first), len(second))


def test_pooled_by_hand() -> None:
    # errors 1 and 2 of 4 and 2 degrees of freedom: mean of 2 and 6 is 4, its error sqrt(1 + 4) / 2;
    # (1 + 4)^2 / (1/4 + 16/2) = 3.0303 degrees of freedom
    one, two = Interval(2.0, 0, 0, 5, 1.0, 4), Interval(6.0, 0, 0, 3, 2.0, 2)
    both = pooled([one, two])
    assert (both.estimate, both.n) == (4.0, 3)
    assert both.error == pytest.approx(math.sqrt(5) / 2)
    assert both.freedom == pytest.approx(25 / 8.25)


def test_power_is_that_of_statsmodels() -> None:
    """TTestPower().solve_power(nobs=n, alpha=.05, power=.8, alternative="two-sided"), statsmodels 0.15.0."""
    for n, effect in ((3, 3.264043552819638), (5, 1.6819970833), (10, 0.9960019107624178), (30, 0.5292357045238948)):
        values = stats.zscore(np.arange(n, dtype=float), ddof=1)
        assert detectable(mean_interval(values)) == pytest.approx(effect, rel=1e-5)


DRAWS = 20_000


def coverage(values: np.ndarray, truth: float, confidence: float = 0.95) -> float:
    """How often the interval of `mean_interval` holds the truth, for many samples at once; shape (draws, n)."""
    n = values.shape[1]
    first = mean_interval(values[0], confidence=confidence)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(axis=1, ddof=1) / math.sqrt(n)
    assert first.high - first.estimate == pytest.approx(half[0])  # the same formula, vectorised
    return float(np.mean(np.abs(values.mean(axis=1) - truth) <= half))


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("spreads", [(1, 1), (1, 3), (5, 0.5)])
def test_coverage_of_paired_seeds_of_equal_and_unequal_spread(n: int, spreads: tuple[float, float]) -> None:
    rng = np.random.default_rng(7)
    seed = rng.normal(size=(DRAWS, 1, n))  # what a seed does to both arms
    arms = seed + rng.normal(size=(DRAWS, 2, n)) * np.array(spreads)[:, None]
    assert 0.94 <= coverage(arms[:, 0] - arms[:, 1] + 1.5, 1.5) <= 0.96
    assert 0.97 <= coverage(arms[:, 0] - arms[:, 1], 0.0, 0.975) <= 0.98


@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_coverage_of_a_mean_over_cells(shared: float) -> None:
    """Four cells of unequal effect and spread, independent or with much of a seed in common."""
    rng = np.random.default_rng(3)
    effects, spreads = np.array([0.0, 1.0, 2.0, 5.0]), np.array([0.2, 1.0, 1.0, 4.0])
    of_seed = shared * rng.normal(size=(DRAWS, 1, 5))
    cells = effects[:, None] + of_seed + spreads[:, None] * rng.normal(size=(DRAWS, 4, 5))
    assert 0.94 <= coverage(cells.mean(axis=1), effects.mean()) <= 0.96


def test_the_spread_of_other_arms_would_not_cover() -> None:
    """Why no spread is borrowed: two noisy arms of five, over all arms' residuals, as randomised blocks have it."""
    rng = np.random.default_rng(1)
    arms = rng.normal(size=(DRAWS, 5, 5)) * np.array([3, 3, 1, 1, 1])[:, None]
    rest = arms - arms.mean(2, keepdims=True) - arms.mean(1, keepdims=True) + arms.mean((1, 2), keepdims=True)
    half = stats.t.ppf(0.975, 16) * np.sqrt(2 / 5 * (rest**2).sum((1, 2)) / 16)
    assert np.mean(np.abs((arms[:, 0] - arms[:, 1]).mean(1)) <= half) < 0.85
    alike = [stats.levene(*draw, center="median").pvalue > 0.01 for draw in rest[:300]]
    assert np.mean(alike) > 0.95  # Brown and Forsythe's test does not see it
    assert 0.94 <= coverage(arms[:, 0] - arms[:, 1], 0.0) <= 0.96


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
