"""Average precision against its definition, threshold by threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.measure.ranking import average_precision


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=9).filter(
        lambda some: any(p for _, p in some)
    )
)
def test_it_is_the_mean_precision_at_each_gain_of_recall(pairs: list[tuple[int, bool]]) -> None:
    positives, expected, recall = sum(present for _, present in pairs), 0.0, 0.0
    for threshold in sorted({score for score, _ in pairs}, reverse=True):
        taken = [present for score, present in pairs if score >= threshold]
        expected += (sum(taken) / positives - recall) * sum(taken) / len(taken)
        recall = sum(taken) / positives
    scores, present = (np.array(column) for column in zip(*pairs, strict=True))
    assert average_precision(scores.astype(float), present) == pytest.approx(expected)


def test_a_perfect_ranking_has_1_and_equal_scores_the_share_of_positives() -> None:
    present = np.array([False, True, False, True, False])
    assert average_precision(present.astype(float), present) == 1.0
    assert average_precision(np.zeros(5), present) == pytest.approx(0.4)
    # scikit-learn's own example
    assert average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == pytest.approx(
        5 / 6
    )


def test_without_a_positive_there_is_none() -> None:
    with pytest.raises(ValueError, match="no positive"):
        average_precision(np.zeros(2), np.zeros(2, dtype=bool))
