"""The F-measure of face parsing: against brute force, against torchmetrics, and what each reading says of a mistake."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tenfold.data.faces import BACKGROUND, BROW, EYE, INNER_MOUTH, LOWER_LIP, NOSE, PARTS, UPPER_LIP
from tenfold.measure.f_measure import Counts, added, confusion, counts_of, f_measures, part_counts

torch.set_num_threads(1)

Map = NDArray[np.uint8]
maps = arrays(np.uint8, (2, 4, 5), elements=st.integers(0, BACKGROUND))


def table_of(truth: Map, found: Map) -> list[list[int]]:
    return confusion(torch.from_numpy(truth), torch.from_numpy(found))


def random_maps(seed: int = 0, correct: float = 0.6) -> tuple[Map, Map]:
    """Maps of 6 faces, most of whose pixels are labelled right."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 9, (6, 16, 16), dtype=np.uint8)
    other = generator.integers(0, 9, truth.shape, dtype=np.uint8)
    return truth, np.where(generator.random(truth.shape) < correct, truth, other)


def by_hand(truth: Map, found: Map, groups: list[list[int]]) -> float | None:
    """F of counts added over groups of labels, each of which counts as one label; pixel by pixel."""
    hits = alarms = misses = 0
    for true, given_ in zip(truth.flatten().tolist(), found.flatten().tolist(), strict=True):
        for group in groups:
            hits += true in group and given_ in group
            alarms += true not in group and given_ in group
            misses += true in group and given_ not in group
    if hits + alarms + misses == 0:
        return None
    if hits == 0:
        return 0.0
    precision, recall = hits / (hits + alarms), hits / (hits + misses)
    return 2 * precision * recall / (precision + recall)


READINGS = {
    "left_brow": [[0]], "right_brow": [[1]], "left_eye": [[2]], "right_eye": [[3]], "nose": [[4]],
    "upper_lip": [[5]], "inner_mouth": [[6]], "lower_lip": [[7]],
    "brows": [[0], [1]], "brows_union": [[0, 1]], "eyes": [[2], [3]], "eyes_union": [[2, 3]], "mouth": [[5, 6, 7]],
    "overall": [[0], [1], [2], [3], [4], [5, 6, 7]], "overall_binary": [[0, 1, 2, 3, 4, 5, 6, 7]],
}  # fmt: skip


@given(maps, maps)
def test_every_reading_is_what_counting_by_hand_gives(truth: Map, found: Map) -> None:
    measured = f_measures(table_of(truth, found))
    assert set(measured) == {*READINGS, "overall_mean"}
    for name, groups in READINGS.items():
        assert measured[name] == pytest.approx(by_hand(truth, found, groups), abs=1e-12)
    columns = [measured[name] for name in ("eyes", "brows", "nose", "inner_mouth", "upper_lip", "lower_lip", "mouth")]
    known = [value for value in columns if value is not None]
    assert measured["overall_mean"] == (pytest.approx(sum(known) / 7) if len(known) == 7 else None)


@pytest.mark.parametrize("seed", range(3))
def test_single_parts_are_those_of_torchmetrics(seed: int) -> None:
    torchmetrics = pytest.importorskip("torchmetrics", reason="a package of the lock is not in this environment")
    truth, found = (torch.from_numpy(labels).long() for labels in random_maps(seed))
    table = confusion(truth, found)
    of = torchmetrics.functional.classification
    for average, values in {"f1_score": "f", "precision": "precision", "recall": "recall"}.items():
        theirs = getattr(of, f"multiclass_{average}")(found, truth, num_classes=9, average="none").double()
        ours = [getattr(counts_of(table, [part]), values) for part in range(9)]
        torch.testing.assert_close(
            torch.tensor(ours, dtype=torch.float64), theirs, rtol=0, atol=1e-6
        )  # theirs: float32
    confused = of.multiclass_confusion_matrix(found, truth, num_classes=9)
    assert confused.tolist() == table
    binary = of.binary_f1_score((found < BACKGROUND).long(), (truth < BACKGROUND).long())
    assert f_measures(table)["overall_binary"] == pytest.approx(float(binary), abs=1e-6)
    mouth = [torch.isin(labels, torch.tensor([UPPER_LIP, INNER_MOUTH, LOWER_LIP])).long() for labels in (found, truth)]
    assert f_measures(table)["mouth"] == pytest.approx(float(of.binary_f1_score(*mouth)), abs=1e-6)


def test_the_pooled_overall_is_the_micro_average_of_torchmetrics() -> None:
    of = pytest.importorskip("torchmetrics", reason="a package of the lock is not in this environment")
    truth, found = (torch.from_numpy(labels).long() for labels in random_maps())
    table = confusion(truth, found)
    merged = torch.tensor([0, 1, 2, 3, 4, 5, 5, 5, 6])  # the mouth is one label
    theirs = of.functional.classification.multiclass_f1_score(
        merged[found], merged[truth], num_classes=7, average="micro", ignore_index=None
    )
    # The micro average has the background among its labels: one more group.
    assert by_hand(truth.numpy(), found.numpy(), [*READINGS["overall"], [BACKGROUND]]) == pytest.approx(float(theirs))
    by_counting = by_hand(truth.numpy(), found.numpy(), READINGS["overall"])
    assert f_measures(table)["overall"] == pytest.approx(by_counting, abs=1e-12)


@given(maps, maps, maps, maps)
def test_counts_of_batches_add_up_to_those_of_all(one: Map, two: Map, three: Map, four: Map) -> None:
    together = table_of(np.concatenate([one, two]), np.concatenate([three, four]))
    assert added([table_of(one, three), table_of(two, four)]) == together
    assert sum(map(sum, together)) == 80


@given(maps, maps)
def test_truth_and_found_exchange_precision_and_recall(truth: Map, found: Map) -> None:
    there, back = part_counts(table_of(truth, found)), part_counts(table_of(found, truth))
    for name, counts in there.items():
        assert (counts.precision, counts.recall) == (back[name].recall, back[name].precision)
        assert counts.f == back[name].f


@given(maps)
def test_the_truth_itself_scores_one_where_there_is_something(truth: Map) -> None:
    measured = f_measures(table_of(truth, truth))
    for name, groups in READINGS.items():
        assert measured[name] == (1.0 if np.isin(truth, list(itertools.chain(*groups))).any() else None)


def one_row(*labels: int) -> Map:
    return np.array([[labels]], dtype=np.uint8)


def test_left_taken_for_right_is_a_mistake_of_the_pair_and_none_of_the_union() -> None:
    measured = f_measures(table_of(one_row(EYE, EYE + 1, BACKGROUND), one_row(EYE + 1, EYE, BACKGROUND)))
    assert (measured["eyes"], measured["eyes_union"], measured["overall"], measured["overall_binary"]) == (0, 1, 0, 1)


def test_a_lip_taken_for_the_inner_mouth_is_no_mistake_of_the_mouth() -> None:
    measured = f_measures(table_of(one_row(UPPER_LIP, INNER_MOUTH), one_row(INNER_MOUTH, INNER_MOUTH)))
    assert (measured["upper_lip"], measured["mouth"], measured["overall"]) == (0, 1, 1)
    assert measured["inner_mouth"] == pytest.approx(2 / 3)


def test_any_part_taken_for_any_other_is_none_of_the_binary_overall_alone() -> None:
    measured = f_measures(table_of(one_row(NOSE, BROW), one_row(BROW, NOSE)))
    assert (measured["overall"], measured["overall_binary"]) == (0, 1)


def test_a_part_that_is_nowhere_has_no_measure_and_one_that_is_made_up_has_zero() -> None:
    nothing, something = one_row(BACKGROUND, BACKGROUND), one_row(BACKGROUND, NOSE)
    assert set(f_measures(table_of(nothing, nothing)).values()) == {None}
    made_up = counts_of(table_of(nothing, something), [NOSE])
    assert (made_up.precision, made_up.recall, made_up.f) == (0, None, 0)
    missed = counts_of(table_of(something, nothing), [NOSE])
    assert (missed.precision, missed.recall, missed.f) == (None, 0, 0)
    assert f_measures(table_of(something, something))["overall_mean"] is None
    assert Counts(0, 0, 0).f is None


def test_golden_values() -> None:
    # 3 of 4 pixels of the nose found, and 2 elsewhere: P = 3 / 5, R = 3 / 4.
    truth = one_row(NOSE, NOSE, NOSE, NOSE, BACKGROUND, EYE)
    found = one_row(NOSE, NOSE, NOSE, BACKGROUND, NOSE, NOSE)
    counts = counts_of(table_of(truth, found), [NOSE])
    assert counts == Counts(hits=3, false_alarms=2, misses=1)
    assert (counts.precision, counts.recall, counts.f) == (0.6, 0.75, pytest.approx(2 / 3))


def test_other_shapes_and_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="truth has shape"):
        table_of(one_row(0, 1), one_row(0))
    with pytest.raises(ValueError, match="from 0 to 8"):
        table_of(one_row(0), one_row(9))
    assert len(PARTS) == len(table_of(one_row(0), one_row(0))) == 9
