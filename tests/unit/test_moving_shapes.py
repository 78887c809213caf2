"""The stand-in for videos: what a frame tells, what differences tell, what captions tell, and nothing more."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tenfold.data import moving_shapes as shapes
from tenfold.data.captions import Captions, load, write
from tenfold.data.shapes import Scenes
from tenfold.errors import UserError

Floats = NDArray[np.float64]
SETTINGS: dict[str, Any] = {"train": 60, "val": 20, "test": 30, "seed": 1, "pairs": 30, "captions": [5, 10],
                            "static": True, "dynamic": True, "lengths": True}  # fmt: skip
MANY = {**SETTINGS, "train": 1200, "val": 1, "test": 500, "pairs": 0}


@pytest.fixture(scope="module")
def many() -> tuple[dict[str, Any], dict[str, shapes.Factors]]:
    return shapes.generate(MANY)


def digest(parameters: dict[str, Any]) -> str:
    splits, _ = shapes.generate(parameters)
    content = hashlib.sha256()
    for split in splits.values():
        content.update(split.frames.tobytes() if split.frames is not None else b"")
        content.update(repr(split.captions).encode())
    return content.hexdigest()


def test_the_same_settings_give_the_same_bytes_and_another_seed_gives_others() -> None:
    assert digest(SETTINGS) == digest(dict(SETTINGS))
    assert digest(SETTINGS) != digest({**SETTINGS, "seed": 2})


def test_clips_do_not_depend_on_how_many_there_are() -> None:
    few, more = shapes.generate(SETTINGS)[0]["test"], shapes.generate({**SETTINGS, "test": 55})[0]["test"]
    assert few.frames is not None
    assert more.frames is not None
    assert np.array_equal(few.frames, more.frames[:30])
    assert few.captions == more.captions[:30]


# What can be told from what


def share_right(seen: Floats, labels: NDArray[np.int64], tested: Floats, wanted: NDArray[np.int64]) -> float:
    """Of a linear classifier by least squares on any features."""
    targets = np.eye(labels.max() + 1)[labels]
    scale = seen.std(0) + 1e-9
    seen, tested = ((part - seen.mean(0)) / scale for part in (seen, tested))
    weights = np.linalg.solve(seen.T @ seen + len(seen) * np.eye(seen.shape[1]), seen.T @ (targets - targets.mean(0)))
    return float(np.mean((tested @ weights + targets.mean(0)).argmax(1) == wanted))


def frame(frames: NDArray[np.uint8], number: int) -> Floats:
    """One frame: its pixels in coarse blocks, how much and how bright each colour is, how many pixels are bright."""
    of = frames[:, number].astype(np.float64)
    blocks = of.reshape(len(of), 8, 4, 8, 4, 3).mean((2, 4)).reshape(len(of), -1)
    histogram = np.stack([(of.max(3) > level).sum((1, 2)) for level in (40, 50, 70, 100, 150)], 1)
    return np.concatenate([blocks, of.mean((1, 2)), of.max((1, 2)), histogram], 1)


def differences(frames: NDArray[np.uint8]) -> Floats:
    """Of absolute differences of grey frames: how much changes when, and where to from one frame to the next."""
    changes = abs(np.diff(frames.astype(np.int64).sum(4), axis=1)).astype(np.float64)
    spectrum = np.fft.rfft2(changes)
    along = np.fft.irfft2(spectrum[:, 1:] * spectrum[:, :-1].conj()).mean(1)  # correlation with each shift
    near = np.roll(along, (4, 4), axis=(1, 2))[:, :9, :9].reshape(len(frames), -1)
    energy = changes.sum((2, 3))
    return np.concatenate([near / (near.sum(1, keepdims=True) + 1), energy, np.sort(energy, 1), energy > 0], 1)


def test_one_frame_tells_the_colour_and_not_the_motion_and_differences_the_other_way_round(many: Any) -> None:
    splits, factors = many
    seen, tested = splits["train"].frames, splits["test"].frames
    colours, motions = ([factors[part].colour[:, 0] for part in ("train", "test")],
                        [factors[part].motion for part in ("train", "test")])  # fmt: skip
    by_frame = frame(seen, 7), frame(tested, 7)
    by_change = differences(seen), differences(tested)
    assert share_right(by_frame[0], colours[0], by_frame[1], colours[1]) > 0.8
    assert (
        share_right(by_frame[0], motions[0], by_frame[1], motions[1]) < 1 / 9 + 0.06
    )  # more than three standard errors
    assert share_right(by_change[0], motions[0], by_change[1], motions[1]) > 0.4
    assert share_right(by_change[0], colours[0], by_change[1], colours[1]) < 1 / 5 + 0.06


def test_differences_of_grey_frames_are_the_same_numbers_whatever_the_colours() -> None:
    scenes = Scenes.of(1, "train", np.arange(60, dtype=np.int64))
    factors = shapes.Factors.of(scenes, SETTINGS)
    other = replace(factors, colour=(factors.colour + 1) % len(shapes.COLOURS))
    one, two = (shapes.draw(scenes, of).astype(np.int64) for of in (factors, other))
    assert not np.array_equal(one, two)
    assert np.array_equal(np.diff(one.sum(4), axis=1), np.diff(two.sum(4), axis=1))


@pytest.mark.parametrize("number", [0, 9])
def test_a_frame_has_the_same_distribution_whatever_the_motion(number: int) -> None:
    """Of one object: its place on the canvas, its radius and its shade; of two: where one is seen from the other."""
    scenes = Scenes.of(3, "train", np.arange(6000, dtype=np.int64))
    factors = shapes.Factors.of(scenes, {"pairs": 0})
    for motion in range(len(shapes.MOTIONS)):
        x, y, radius, dim = (
            values[:, number]
            for values in shapes._course(scenes, replace(factors, motion=0 * factors.motion + motion), 0)
        )
        for values, many in ((x, 128), (y, 128), (radius - 12, 16), (dim, 2)):
            counts = np.bincount(values, minlength=many)
            assert len(counts) == many
            assert ((counts - 6000 / many) ** 2).sum() / (6000 / many) < many + 4 * (2 * many) ** 0.5  # chi-squared
    # With either sign of the direction, all places are alike.
    for relation in (0, 1):
        for pair in ((0, 1), (2, 3)):
            motion = np.where(np.arange(6000) % 2, *pair)
            of = replace(factors, motion=motion, relation=0 * factors.relation + relation)
            first, second = (shapes._course(scenes, of, which)[:2] for which in (0, 1))
            for one, other in zip(first, second, strict=True):
                counts = np.bincount((other - one)[:, number] % 128, minlength=128)
                assert not counts[::2].any()
                assert ((counts[1::2] - 6000 / 64) ** 2).sum() / (6000 / 64) < 64 + 4 * 128**0.5


# Captions


def test_captions_are_short_by_half_and_up_to_thirteen_words_long(many: Any) -> None:
    lengths = np.array([len(words) for of_clip in many[0]["train"].captions for words in of_clip])
    assert (lengths.min(), lengths.max()) == (3, 13)
    assert 0.4 < np.mean(lengths <= 3) < 0.6
    assert np.mean(lengths >= 7) > 0.15
    counts = {len(of_clip) for of_clip in many[0]["train"].captions}
    assert counts == set(range(5, 11))


def test_captions_tell_of_their_clip(many: Any) -> None:
    split, factors = many[0]["test"], many[1]["test"]
    for n, of_clip in enumerate(split.captions):
        colour, motion = list(shapes.COLOURS)[factors.colour[n, 0]], list(shapes.MOTIONS)[factors.motion[n]]
        for words in of_clip:
            assert set(words).isdisjoint(set(shapes.COLOURS) - {colour})
            if len(words) > 3:
                assert any(verb in " ".join(words) for verb in shapes.MOTIONS[motion])


@pytest.mark.parametrize("switch", ["static", "dynamic"])
def test_with_a_switch_off_captions_tell_nothing_of_those_factors(switch: str) -> None:
    splits, factors = shapes.generate({**MANY, "train": 600, "test": 1, switch: False})
    names, drawn = {"static": (list(shapes.COLOURS), factors["train"].colour[:, 0]),
                    "dynamic": (["smaller", "bigger", "left", "right"], factors["train"].motion)}[switch]  # fmt: skip
    told = [{word for words in of_clip for word in words} for of_clip in splits["train"].captions]
    for name in names:
        has = np.array([name in words for words in told])
        rates = [has[drawn == value].mean() for value in np.unique(drawn)]
        assert max(rates) - min(rates) < 0.25  # on, one rate is nearly 1 and the others are 0
    on = shapes.generate({**MANY, "train": 600, "test": 1})[0]["train"]
    assert np.array_equal(on.frames, splits["train"].frames)


def test_without_lengths_all_captions_have_five_words() -> None:
    splits, _ = shapes.generate({**SETTINGS, "lengths": False})
    assert {len(words) for split in splits.values() for of_clip in split.captions for words in of_clip} == {5}


# The file


def test_a_file_gives_back_what_was_written_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    splits, _ = shapes.generate(SETTINGS)
    for name in ("a", "b"):
        write(tmp_path / name, Captions("moving", splits))
    found = load(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert found.name == "moving"
    for name, split in splits.items():
        assert found.splits[name].captions == split.captions
        assert np.array_equal(found.splits[name].frames, split.frames)  # type: ignore[arg-type]


def test_a_dataset_without_captions_is_refused_in_one_line(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(1)}, tmp_path / "images.safetensors")
    with pytest.raises(UserError, match="has no captions"):
        load(tmp_path / "images.safetensors")
