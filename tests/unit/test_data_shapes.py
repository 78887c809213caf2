"""The drawn stand-in: labels, mirror symmetry, and each factor against its off switch."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tenfold import registry
from tenfold.data import shapes


def parameters(name: str, **changes: Any) -> dict[str, Any]:
    return registry.cfg_of(name)["prepare"] | changes


def features(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How far pixels lie from their image's median, at 16x16, both halves folded together; and a constant."""
    distance = abs(pictures - np.median(pictures, axis=(2, 3), keepdims=True)).mean(axis=1)
    coarse = distance.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4))
    coarse /= coarse.mean(axis=(1, 2), keepdims=True)
    folded = (coarse + coarse[:, :, ::-1])[:, :, :8].reshape(len(pictures), -1)
    return np.column_stack([folded, np.ones(len(folded))])


def predicted(tensors: dict[str, NDArray[np.uint8]], classes: int) -> NDArray[np.int64]:
    """The test labels by ridge regression on one-hot training labels."""
    X = features(tensors["train_images"])
    Y = np.eye(classes)[tensors["train_labels"]]
    weights = np.linalg.solve(X.T @ X + 30 * np.eye(X.shape[1]), X.T @ Y)
    return (features(tensors["test_images"]) @ weights).argmax(axis=1)


def accuracy(**changes: Any) -> float:
    tensors, _ = shapes.generate(parameters("shapes-10", train=1200, test=1000, **changes))
    return float((predicted(tensors, 10) == tensors["test_labels"]).mean())


def test_without_objects_nothing_tells_the_class():
    # Chance is 0.1 with a standard deviation of 0.0095 on 1000 images.
    assert accuracy() > 0.2
    assert abs(accuracy(objects=False) - 0.1) < 0.035


def confusions_within_coarse(**changes: Any) -> float:
    """The share of wrong predictions that stay within the coarse class."""
    chosen = parameters("shapes-100", train=2500, test=1000, **changes)
    tensors, _ = shapes.generate(chosen)
    labels = predicted(tensors, 100)
    wrong = labels != tensors["test_labels"]
    assert wrong.sum() > 300
    return float((shapes.coarse_of_fine(chosen)[labels] == tensors["test_coarse"])[wrong].mean())


def test_without_coarse_order_confusions_do_not_stay_in_the_coarse_class():
    # Chance is 4 of the 99 other classes, 0.04, with a standard deviation below 0.011 on more than 300 errors.
    assert confusions_within_coarse() > 0.2
    assert confusions_within_coarse(coarse_order=False) < 0.09


@pytest.mark.parametrize("ordered", [True, False])
def test_each_coarse_class_has_five_fine_ones(ordered: bool):
    table = shapes.coarse_of_fine(parameters("shapes-100", coarse_order=ordered))
    assert np.bincount(table).tolist() == [5] * 20
    assert (table == np.arange(100) // 5).all() == ordered


def object_sizes(**changes: Any) -> NDArray[np.int64]:
    """For each scene of a paired test set: how many pixels its object changes at each scale, shape (scenes, 3)."""
    chosen = parameters("shapes-scale", train=1, test=150, fragments_in_front=0, **changes)
    drawn, _ = shapes.generate(chosen)
    empty, _ = shapes.generate(chosen | {"objects": False})
    return (drawn["test_images"] != empty["test_images"]).any(axis=1).sum(axis=(1, 2)).reshape(-1, 3)


def test_objects_grow_with_the_recorded_scale_and_with_nothing_else():
    sizes = object_sizes().sum(axis=0)
    assert sizes[1] / sizes[0] == pytest.approx(1.5**2, rel=0.1)
    assert sizes[2] / sizes[0] == pytest.approx(2.0**2, rel=0.1)
    fixed = object_sizes(paired_scales=[100, 100, 100])
    assert (fixed == fixed[:, :1]).all()
    assert fixed.sum() > 0


def test_scale_is_recorded_for_each_image():
    paired, _ = shapes.generate(parameters("shapes-scale-smoke"))
    assert paired["test_scale"].reshape(-1, 3).tolist() == [[100, 150, 200]] * 100
    assert (paired["test_labels"].reshape(-1, 3) == paired["test_labels"][::3, None]).all()
    assert (paired["train_scale"].min(), paired["train_scale"].max()) == (100, 200)
    fixed, _ = shapes.generate(parameters("shapes-scale-smoke", scale=[120, 120], paired_scales=[]))
    assert set(fixed["test_scale"]) == set(fixed["train_scale"]) == {120}


@pytest.mark.parametrize("name", ["shapes-10", "shapes-10-clutter", "shapes-100", "shapes-scale", "shapes-zoom"])
def test_classes_are_balanced_and_splits_share_no_image(name: str):
    chosen = parameters(name)
    tensors, names = shapes.generate(chosen | {"train": 300, "test": 300})
    assert np.bincount(tensors["train_labels"], minlength=100).max() == 300 // chosen["classes"]
    assert len(names["classes"]) == len(set(names["classes"])) == chosen["classes"]
    pictures = [picture.tobytes() for split in ("train", "test") for picture in tensors[f"{split}_images"]]
    assert len(set(pictures)) == 600


def test_seeds_give_other_images_of_the_same_classes():
    one, _ = shapes.generate(parameters("shapes-10-smoke"))
    two, _ = shapes.generate(parameters("shapes-10-smoke", seed=7))
    assert (one["train_labels"] == two["train_labels"]).all()
    assert not (one["train_images"] == two["train_images"]).all(axis=(1, 2, 3)).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(-200, 200), st.integers(-200, 200), st.integers(-36, 36), st.integers(400, 6000))
def test_a_mirrored_object_is_an_object_of_its_class(x: int, y: int, turn: int, radius: int):
    labels = np.arange(100)

    def masks(x: int, turn: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        return shapes.object_masks(
            labels, np.full((100, 2), (x, y)), np.full(100, 5 * turn), np.full(100, radius), classes=100
        )

    for mask, mirrored in zip(masks(x, turn), masks(shapes.QUARTER * shapes.SIDE - x, -turn), strict=True):
        assert (mask[:, :, ::-1] == mirrored).all()


def test_all_classes_look_different_and_none_is_empty():
    centre, turn, radius = np.full((100, 2), 64), np.zeros(100, dtype=np.int64), np.full(100, 4800)
    outline, pattern = shapes.object_masks(np.arange(100), centre, turn, radius, classes=100)
    looks = np.where(outline, 1 + pattern.astype(np.int64), 0)
    assert len({look.tobytes() for look in looks}) == 100
    for first in range(100):
        for second in range(first):
            assert (looks[first] != looks[second]).sum() >= 100, (first, second)


def test_sines_are_rounded_sines():
    degrees = 5 * np.arange(-80, 160)
    assert shapes._sine(degrees).tolist() == np.round(1024 * np.sin(np.radians(degrees))).astype(int).tolist()


def test_drawn_integers_are_in_range_even_and_independent_of_company():
    scenes = shapes.Scenes.of(3, "train", np.arange(4000))
    drawn = scenes.integers("purpose", -2, 3, 5)
    assert drawn.shape == (4000, 5)
    counts = np.bincount(drawn.ravel() + 2)
    assert len(counts) == 6
    # Chi-squared with 5 degrees of freedom: above 25.7 once in 10,000 draws.
    assert ((counts - 20_000 / 6) ** 2 / (20_000 / 6)).sum() < 25.7
    assert abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 0.07
    alone = shapes.Scenes.of(3, "train", np.array([17])).integers("purpose", -2, 3, 5)
    assert (alone == drawn[17]).all()
    assert (scenes.integers("other", -2, 3, 5) != drawn).mean() == pytest.approx(5 / 6, abs=0.03)


def test_the_mixing_is_splitmix64():
    # Reference values: state 0 and state 1234567 of the published generator, first two outputs, in Python's integers.
    def reference(state: int) -> int:
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        return state ^ (state >> 31)

    states = [0, 1, 1234567, 2**63, 2**64 - 1]
    assert shapes._mix(np.array(states, dtype=np.uint64)).tolist() == [reference(state) for state in states]
    assert reference(1234567) == 6457827717110365317


def test_the_generator_has_no_floating_point():
    tree = ast.parse(Path(str(shapes.__file__)).read_text(encoding="utf-8"))
    floats = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    divisions = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]
    assert floats == []
    assert divisions == []
