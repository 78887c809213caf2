"""Drawn scenes: what is where, and that poses and interactions need each other by construction."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tenfold.data.scenes import (
    ACTIONS,
    CLASSES,
    COCO_JOINT,
    FINE,
    HEIGHT,
    HIDDEN,
    JOINTS,
    OBJECTS,
    OUTPUTS,
    PERSONS,
    SEEN,
    SPLITS,
    UNLABELLED,
    WIDTH,
    Deeds,
    Split,
    coco,
    deeds,
    draw,
    generate,
    vcoco,
)
from tenfold.data.shapes import Scenes

SETTINGS = {"train": 60, "val": 5, "test": 20, "seed": 3, "hidden": 50, "reach": 4}
SCENES = Scenes.of(5, "test", np.arange(30, dtype=np.int64))
NAMES = list(ACTIONS)


@pytest.fixture(scope="module")
def split() -> Split:
    return generate(SETTINGS)["train"]


def with_deeds(action: int, side: int, **switches: int) -> Split:
    """The same scenes, all persons doing this."""
    everyone = np.ones((len(SCENES.keys), PERSONS), dtype=np.int64)
    return draw(SCENES, Deeds(action * everyone, side * everyone), SETTINGS | {"hidden": 100} | switches)


def place(split: Split) -> NDArray[np.int64]:
    """Where the acting joint is, (N, P, 2)."""
    return np.take_along_axis(split.joints, split.acting[..., None, None], 2)[:, :, 0]


def upper(split: Split) -> NDArray[np.uint8]:
    """The pixels above the hips of each person, all else black."""
    images = split.images.copy()
    for scene, number in np.ndindex(*split.actions.shape):
        hips = split.joints[scene, number, [JOINTS.index("left_hip"), JOINTS.index("right_hip")], 1].min() // FINE
        half = slice(number * WIDTH // PERSONS, (number + 1) * WIDTH // PERSONS)
        images[scene, hips - 1 :, half] = 0
    return images


# What each task needs of the other ----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [0, 1])
def test_hidden_arms_leave_two_places_for_the_wrist_and_the_action_leaves_one(side: int) -> None:
    """All actions look alike above the hips; half of them, as likely as the others, have the wrist elsewhere."""
    acting = [action for action, name in enumerate(NAMES) if ACTIONS[name]]
    drawn = {action: with_deeds(action, side) for action in acting}
    pictures = [upper(split) for split in drawn.values()]
    assert all((picture == pictures[0]).all() for picture in pictures)
    places = {action: place(split) for action, split in drawn.items()}
    low, high = places[NAMES.index("hold")], places[NAMES.index("catch")]
    assert (abs(low - high).max(2) > 3 * FINE).all()
    for action, found in places.items():
        assert (found == (low if action >= len(ACTIONS) // 2 else high)).all()
    assert sum(action >= len(ACTIONS) // 2 for action in acting) * 2 == len(acting)


def test_wrists_that_may_be_the_own_one_look_alike() -> None:
    """At both places of a hidden wrist there are the same pixels, but for what lies behind them and grain."""
    high, low = (with_deeds(NAMES.index(name), 0) for name in ("catch", "hold"))
    for split in (high, low):
        x, y = (place(split) // FINE).reshape(-1, 2).T
        pixels = split.images[np.arange(len(SCENES.keys)).repeat(PERSONS), y, x]
        x, y = (place(low if split is high else high) // FINE).reshape(-1, 2).T
        others = split.images[np.arange(len(SCENES.keys)).repeat(PERSONS), y, x]
        assert (abs(pixels.astype(int) - others) <= 10).all()


@pytest.mark.parametrize("name", ["catch", "hold"])
def test_arms_in_sight_tell_whose_forearm_it_is(name: str) -> None:
    """With nothing hidden the picture above the hips depends on what decides the wrist's place."""
    action = NAMES.index(name)
    one, other = (with_deeds(action ^ flip, 0, hidden=0) for flip in (0, len(ACTIONS) // 2))
    assert (upper(one) != upper(other)).any((1, 2, 3)).all()
    assert (one.seen == SEEN).all()


def test_objects_and_forearms_say_nothing_of_the_target() -> None:
    """Over all that may be done, each of the four objects is equally often the target in one and the same layout."""
    targets, layouts = [], []
    for action, side in product(range(len(ACTIONS)), (0, 1)):
        if ACTIONS[NAMES[action]]:
            split = with_deeds(action, side)
            targets.append(split.targets[..., 0] % OBJECTS)
            layouts.append((split.objects, split.classes))
    for objects, classes in layouts:
        assert (objects == layouts[0][0]).all() and (classes == layouts[0][1]).all()
    for scene, number in np.ndindex(*targets[0].shape):
        assert sorted(Counter(int(target[scene, number]) for target in targets).values()) == [3, 3, 3, 3]


def test_the_action_does_not_say_which_object(split: Split) -> None:
    """Only the forearm's direction does: with the same action and gaze, either object of a side is the target."""
    one = with_deeds(NAMES.index("hold"), 0)
    assert set((one.targets[..., 0] % OBJECTS).flatten().tolist()) == {0, 2}
    boxes = np.take_along_axis(one.objects, one.targets[..., :1].repeat(4, 2), 1)
    centre_y = (boxes[..., 1] + boxes[..., 3]) / 2
    elbow, wrist = (one.joints[:, :, JOINTS.index(f"left_{joint}"), 1] for joint in ("elbow", "wrist"))
    points_up = wrist < elbow - FINE
    middle = one.persons[..., 1::2].mean(2)
    assert (points_up == (centre_y < middle)).all()


def test_one_object_in_reach_is_the_target() -> None:
    split = with_deeds(NAMES.index("hit"), 1, reach=1)
    assert split.objects.shape[1] == PERSONS
    assert (split.targets == [[0, -1], [1, -1]]).all()
    full = with_deeds(NAMES.index("hit"), 1)
    kept = np.take_along_axis(full.objects, full.targets[..., :1].repeat(4, 2), 1)
    assert (split.objects == kept).all() and (place(split) == place(full)).all()
    assert (full.targets[..., 1] == full.targets[..., 0] ^ 2).all()  # the other level of the same side


def test_shirts_tell_the_action_only_where_they_are_told_to() -> None:
    def shirts(action: int, told: int) -> list[tuple[int, ...]]:
        split = with_deeds(action, 0, told=told)
        y, x = (split.joints[:, :, [1, 2, 7, 8], axis].mean(2).astype(int) // FINE for axis in (1, 0))
        pixels = split.images[np.arange(len(SCENES.keys))[:, None], y, x].reshape(-1, 3)
        return [tuple(pixel) for pixel in (pixels > 100).tolist()]

    told = [set(shirts(action, 1)) for action in range(len(ACTIONS))]
    assert all(len(colours) == 1 for colours in told) and len(set.union(*told)) == len(ACTIONS)
    assert shirts(0, 0) == shirts(7, 0) and len(set(shirts(0, 0))) == len(ACTIONS)


def test_what_is_done_is_drawn_evenly_and_independently() -> None:
    done = deeds(Scenes.of(1, "train", np.arange(4000, dtype=np.int64)))
    pairs = Counter(zip(done.action.flatten().tolist(), done.side.flatten().tolist(), strict=True))
    assert len(pairs) == 16
    assert all(abs(count - 500) < 5 * 500**0.5 for count in pairs.values())


# Geometry -----------------------------------------------------------------------------------------------------------


def test_a_split_is_what_it_says(split: Split) -> None:
    n, q = SETTINGS["train"], PERSONS * OBJECTS
    assert split.images.shape == (n, HEIGHT, WIDTH, 3) and split.images.dtype == np.uint8
    assert split.persons.shape == (n, PERSONS, 4) and split.objects.shape == (n, q, 4)
    assert split.joints.shape == (n, PERSONS, len(JOINTS), 2)
    left, top, right, bottom = np.moveaxis(split.persons, 2, 0)
    assert (right - left == bottom - top).all()
    assert (left >= [0, WIDTH // 2]).all() and (right <= [WIDTH // 2, WIDTH]).all()
    assert (top >= 0).all() and (bottom <= HEIGHT).all()
    first, last = (FINE * split.persons[:, :, None, corner] for corner in (slice(2), slice(2, 4)))
    inside = ((split.joints >= first) & (split.joints < last)).all(3)
    assert (inside == (split.seen > UNLABELLED)).all()
    idle = np.isin(split.actions, [NAMES.index("stand"), NAMES.index("sit")])
    assert ((split.acting == -1) == idle).all() and ((split.targets[..., 0] == -1) == idle).all()
    assert ((split.targets[..., 1] >= 0) == (split.actions == NAMES.index("hit"))).all()
    own = split.targets[~idle][:, 0] // OBJECTS
    assert (own == np.where(~idle)[1]).all()


def test_half_of_the_persons_have_both_arms_out_of_sight_and_the_acting_one_labelled(split: Split) -> None:
    arms = np.array([joint.split("_")[-1] in ("elbow", "wrist") for joint in JOINTS])
    out_of_sight = (split.seen[..., arms] < SEEN).all(2)
    assert (split.seen[~out_of_sight] == SEEN).all() and (split.seen[..., ~arms] == SEEN).all()
    assert 0.35 < out_of_sight.mean() < 0.65
    for scene, number in np.argwhere(out_of_sight):
        acting = split.acting[scene, number]
        hidden = np.flatnonzero(split.seen[scene, number] == HIDDEN).tolist()
        assert hidden == ([] if acting < 0 else [acting - 2, acting])
        assert [JOINTS[joint].split("_")[1] for joint in hidden] in ([], ["elbow", "wrist"])


def test_the_own_hand_and_its_target_are_on_the_side_of_the_gaze(split: Split) -> None:
    neck = split.joints[:, :, [1, 2], 0].mean(2)
    looks_right = split.joints[:, :, 0, 0] > neck
    for scene, number in np.argwhere(split.acting >= 0):
        target = split.objects[scene, split.targets[scene, number, 0]]
        right = looks_right[scene, number]
        assert right == JOINTS[split.acting[scene, number]].startswith("left")
        assert right == (FINE * (target[0] + target[2]) / 2 > neck[scene, number])


def test_the_bytes_are_the_same_everywhere(split: Split) -> None:
    again = generate(SETTINGS)
    assert set(again) == set(SPLITS)
    assert all((getattr(split, name) == getattr(again["train"], name)).all() for name in vars(split))
    assert not (again["train"].images[:5] == again["val"].images).all()
    assert int(split.images.astype(np.int64).sum()) == 32875184
    assert int((split.joints * np.arange(1, 27).reshape(13, 2)).sum()) == -28669520


# Formats ------------------------------------------------------------------------------------------------------------


def test_coco_has_all_boxes_and_joints(split: Split) -> None:
    told = coco(split, first=7)
    assert [image["id"] for image in told["images"]] == list(range(7, 67))
    by_id = {annotation["id"]: annotation for annotation in told["annotations"]}
    assert len(by_id) == len(told["annotations"]) == 60 * PERSONS * (1 + OBJECTS)
    names = {category["id"]: category["name"] for category in told["categories"]}
    for scene, number in ((0, 0), (11, 1)):
        person = by_id[100 * (7 + scene) + number]
        assert names[person["category_id"]] == "person" and person["image_id"] == 7 + scene
        left, top, width, height = person["bbox"]
        assert [left, top, left + width, top + height] == split.persons[scene, number].tolist()
        keypoints = np.reshape(person["keypoints"], (17, 3))
        places = np.where(split.seen[scene, number, :, None] > 0, split.joints[scene, number], 0)
        assert (keypoints[list(COCO_JOINT), :2] * FINE == places).all()
        assert (keypoints[list(COCO_JOINT), 2] == split.seen[scene, number]).all()
        assert person["num_keypoints"] == (keypoints[:, 2] > 0).sum()
    thing = by_id[100 * 18 + PERSONS + 5]
    assert names[thing["category_id"]] == CLASSES[split.classes[11, 5]]


def test_vcoco_says_who_does_what_with_which_object(split: Split) -> None:
    told = {action["action_name"]: action for action in vcoco(split, first=7)}
    assert list(told) == NAMES
    objects = {annotation["id"]: annotation for annotation in coco(split, first=7)["annotations"]}
    seen: list[tuple[Any, ...]] = []
    for name, action in told.items():
        assert action["role_name"] == ["agent", *ACTIONS[name]]
        columns = np.reshape(action["role_object_id"], (len(action["role_name"]), -1)).T
        assert (columns[:, 0] == action["ann_id"]).all()
        for image, ids, label in zip(action["image_id"], columns, action["label"], strict=True):
            scene, number = image - 7, int(ids[0]) % 100
            assert label == (split.actions[scene, number] == NAMES.index(name))
            for role, thing in enumerate(ids[1:]):
                assert (thing > 0) == bool(label)
                if label:
                    target = split.objects[scene, split.targets[scene, number, role]]
                    assert objects[int(thing)]["bbox"][:2] == target[:2].tolist()
                    seen.append((name, role))
    assert len(set(seen)) == len([role for _, role in OUTPUTS if role])
