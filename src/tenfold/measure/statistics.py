"""Intervals and tests in which the seed is the unit: Student t, Holm, permutations of independent groups.

Nothing here resamples seeds: at n = 3 a percentile bootstrap over seeds covers 75 % where it says 95 %.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import correlation as correlation_of

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

ROUNDING = 1e-12  # two float64 values that differ relatively by less are the same number


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval and the p-value of the tested null value.

    Below two values nothing is known of the spread: the interval is the whole line and p is 1.
    Without any spread the interval is the estimate itself, and p is 0, or 1 at the null value.

    Attributes:
        estimate: the mean (of values, differences), or the geometric mean (of ratios).
        low: lower end; -inf (0 for a ratio) below two values.
        high: upper end; inf below two values.
        n: how many independent values it rests on.
        p: two-sided p-value of the null value; below 1 - confidence exactly where the interval excludes it.
    """

    estimate: float
    low: float
    high: float
    n: int
    p: float


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation (n - 1 in the denominator) of n values; no sd for one value."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Comparison:
    """Two samples of one quantity: how far their means lie apart, and how far they may."""

    difference: float
    allowed: float

    @property
    def same(self) -> bool:
        """Whether the difference is within what the seeds (or the printed digits) allow."""
        return abs(self.difference) <= self.allowed


def summary(values: ArrayLike) -> Summary:
    """Mean, standard deviation and number of the values.

    Raises:
        ValueError: there is no value.
    """
    sample = _sample(values)
    return Summary(float(sample.mean()), float(sample.std(ddof=1)) if sample.size > 1 else None, sample.size)


def mean_interval(values: ArrayLike, *, null: float = 0.0, confidence: float = 0.95) -> Interval:
    """Student t interval of a mean, with the one-sample t test of ``null``.

    Args:
        values: one number per seed (or other independent unit), shape (n,).
        null: the value of the mean that p tests.
        confidence: coverage of the interval.

    Raises:
        ValueError: there is no value.
    """
    sample = _sample(values)
    mean, n = float(sample.mean()), sample.size
    if n < 2:
        return Interval(mean, -math.inf, math.inf, n, 1.0)
    error = float(sample.std(ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return Interval(mean, mean - half, mean + half, n, _p_of_t(mean - null, error, n - 1))


def paired_difference(first: ArrayLike, second: ArrayLike, *, null: float = 0.0, confidence: float = 0.95) -> Interval:
    """Student t interval of the mean of ``first - second``, paired by position (the paired t test).

    Raises:
        ValueError: the two have different lengths, or none.
    """
    return mean_interval(_paired(first, second, np.subtract), null=null, confidence=confidence)


def ratio_interval(
    first: ArrayLike, second: ArrayLike | None = None, *, null: float = 1.0, confidence: float = 0.95
) -> Interval:
    """Interval of the geometric mean of ``first / second``: Student t on the logarithms.

    Args:
        first: positive numbers, shape (n,); the ratios themselves where ``second`` is None.
        second: positive numbers, shape (n,), paired with ``first`` by position.
        null: the ratio that p tests.
        confidence: coverage of the interval.

    Raises:
        ValueError: a value is not positive, or the lengths differ, or there is none.
    """
    over = np.ones_like(_sample(first)) if second is None else _sample(second)
    if min(_sample(first).min(), over.min(), null) <= 0:
        raise ValueError("a ratio needs positive values")
    logs = mean_interval(
        _paired(first, over, lambda a, b: np.log(a) - np.log(b)), null=math.log(null), confidence=confidence
    )
    return Interval(math.exp(logs.estimate), math.exp(logs.low), math.exp(logs.high), logs.n, logs.p)


def compare_samples(
    first: Summary, second: Summary, *, resolution: float, confidence: float = 0.999
) -> Comparison | None:
    """Whether two independent samples (a record and a rerun) can be of one quantity.

    The means may differ by t(confidence, two-sided, n1 + n2 - 2 degrees of freedom) times the pooled
    standard error, and always by ``resolution``, one unit of the last printed digit.

    Returns:
        None where either sample is a single value: such cells are shown, not judged.
    """
    if first.sd is None or second.sd is None:
        return None
    freedom = first.n + second.n - 2
    variance = ((first.n - 1) * first.sd**2 + (second.n - 1) * second.sd**2) / freedom
    error = math.sqrt(variance * (1 / first.n + 1 / second.n))
    within = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    return Comparison(second.mean - first.mean, max(within, resolution))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being one family, in the given order (Holm 1979, step-down).

    The i-th smallest of m is multiplied by m - i + 1; none is adjusted below a smaller one, nor above 1.
    """
    adjusted = [0.0] * len(p_values)
    reached = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = reached
    return adjusted


def correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Pearson's correlation coefficient of two vectors of equal length.

    Raises:
        ValueError: the lengths differ, are below 2, or a vector is constant.
    """
    a, b = _sample(first), _sample(second)
    if a.shape != b.shape or a.size < 2:
        raise ValueError("a correlation needs two vectors of equal length, at least 2")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ValueError("a constant vector has no correlation")
    return correlation_of(a.tolist(), b.tolist())


def mean_correlation(vectors: Sequence[ArrayLike]) -> float:
    """One number for one group of vectors: the mean of Pearson's correlation over its pairs.

    The pairs within a group share members and are not independent, so a test takes this number, one per group.
    """
    pairs = list(itertools.combinations(vectors, 2))
    if not pairs:
        raise ValueError("a group needs at least two vectors")
    return float(np.mean([correlation(a, b) for a, b in pairs]))


def permutation_test(first: ArrayLike, second: ArrayLike, *, resamples: int = 9999) -> Interval:
    """Difference of the means of two independent groups, tested by permuting the group labels.

    Args:
        first: one number per independent group of the first kind, shape (n1,).
        second: the same of the second kind, shape (n2,).
        resamples: up to so many divisions are enumerated (the test is then exact), else so many are drawn.

    Returns:
        The difference with its two-sided p-value; n is the smaller group. It has no interval (the whole line).
    """
    a, b = _sample(first), _sample(second)
    difference = float(a.mean() - b.mean())
    n = min(a.size, b.size)
    if n < 2:
        return Interval(difference, -math.inf, math.inf, n, 1.0)

    def difference_of_means(x: Floats, y: Floats, axis: int) -> Floats:
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    test = stats.permutation_test(
        (a, b), difference_of_means, vectorized=True, n_resamples=resamples, rng=np.random.default_rng(0)
    )
    return Interval(difference, -math.inf, math.inf, n, float(test.pvalue))


def _sample(values: ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError("a sample is a list of at least one number")
    return sample


def _paired(first: ArrayLike, second: ArrayLike, change: Callable[[Floats, Floats], Floats]) -> Floats:
    """``change(first, second)``, exactly 0 where the two differ by no more than rounding."""
    a, b = _sample(first), _sample(second)
    if a.shape != b.shape:
        raise ValueError(f"paired samples of different length: {a.size} and {b.size}")
    return np.where(np.isclose(a, b, rtol=ROUNDING, atol=0), 0.0, change(a, b))


def _p_of_t(distance: float, error: float, freedom: int) -> float:
    if error == 0:
        return 1.0 if distance == 0 else 0.0
    return float(2 * stats.t.sf(abs(distance) / error, freedom))
