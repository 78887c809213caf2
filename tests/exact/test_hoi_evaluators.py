"""V-COCO's and HICO-DET's average precision: equal to the official codes and to slow loops, and by hand.

The golden values were made by the official codes: ``vsrl_eval.py`` in float64 and with a stable sort, and
``VOCevaldet_bboxpair.m`` run by Octave with MATLAB's thresholds. They are numbers of made-up detections, drawn from
seeds, over made-up annotations, and over real labels with made-up boxes.
"""

import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.data import hicodet as hico_data
from tenfold.data import vcoco as vcoco_data
from tenfold.measure import hicodet, vcoco
from tenfold.measure.average_precision import all_points, eleven_points, hits, iou

from ..made_up_interactions import (
    coco_instances,
    hico_annotations,
    hico_detections,
    vcoco_actions,
    vcoco_detections,
)

Json = dict[str, Any]
GOLDEN = json.loads(Path(__file__).with_name("hoi_evaluators_golden.json").read_text())
MIRROR = Path(os.environ.get("TENFOLD_MIRROR", "nowhere"))
needs_vcoco = pytest.mark.skipif(not (MIRROR / "v-coco").is_dir(), reason="TENFOLD_MIRROR is not set, or has no v-coco")
needs_hico = pytest.mark.skipif(
    not (MIRROR / "hicodet").is_dir(), reason="TENFOLD_MIRROR is not set, or has no hicodet"
)


def vcoco_case(actions: list[Json], seed: int) -> tuple[Json, list[Json]]:
    instances = coco_instances(actions, seed)
    return instances, vcoco_detections(actions, instances, seed + 1)


def vcoco_scores(actions: list[Json], instances: Json, found: list[Json]) -> vcoco.Scores:
    truth = vcoco_data.join(actions, [instances], actions[0]["image_id"])
    return vcoco.evaluate(truth, vcoco.detections(found, truth))


def real_actions(split: str, images: int) -> list[Json]:
    """The labels of the first images of a split."""
    actions = json.loads((MIRROR / "v-coco" / "data" / "vcoco" / f"vcoco_{split}.json").read_text())
    kept = sorted(set(actions[0]["image_id"]))[:images]
    rows = [row for row, image in enumerate(actions[0]["image_id"]) if image in kept]
    for action in actions:
        objects = np.reshape(action["role_object_id"], (len(action["role_name"]), -1))
        action["role_object_id"] = objects[:, rows].ravel().tolist()
        for key in ("image_id", "ann_id", "label"):
            action[key] = [action[key][row] for row in rows]
    return actions


def real_hico(images: int) -> Json:
    content = json.loads((MIRROR / "hicodet" / "instances_test2015.json").read_text())
    return {**content, **{key: content[key][:images] for key in ("annotation", "filenames")}}


def assert_vcoco_golden(scores: vcoco.Scores, golden: dict[str, list[float]]) -> None:
    for scenario in vcoco.SCENARIOS:
        assert list(scores.role[scenario].values()) == pytest.approx(golden[scenario], abs=1e-9)
    assert list(scores.agent.values()) == pytest.approx(golden["agent"], abs=1e-9)


def test_vcoco_equals_the_official_code_on_made_up_annotations() -> None:
    actions = vcoco_actions(1, images=40)
    assert_vcoco_golden(vcoco_scores(actions, *vcoco_case(actions, 1)), GOLDEN["vcoco_made_up"])


@needs_vcoco
def test_vcoco_equals_the_official_code_on_real_annotations() -> None:
    actions = real_actions("val", 500)
    scores = vcoco_scores(actions, *vcoco_case(actions, 3))
    assert_vcoco_golden(scores, GOLDEN["vcoco_val"])
    role = GOLDEN["vcoco_val"]["scenario_1"]
    point = role[list(scores.role["scenario_1"]).index("point-instr")]
    assert scores.mean_role("scenario_1") == pytest.approx(np.mean(role), abs=1e-9)
    assert scores.mean_role("scenario_1", vcoco.LEFT_OUT) == pytest.approx((np.mean(role) * 25 - point) / 24, abs=1e-9)


def test_hico_equals_the_official_code_on_made_up_annotations() -> None:
    assert_hico_golden(hico_annotations(1, images=60), 2, GOLDEN["hico_made_up"])


@needs_hico
def test_hico_equals_the_official_code_on_real_annotations() -> None:
    assert_hico_golden(real_hico(60), 4, GOLDEN["hico_test"])


def assert_hico_golden(content: Json, seed: int, golden: dict[str, list[float]]) -> None:
    truth = hico_data.pairs(content)
    scores = hicodet.evaluate(truth, hicodet.detections(hico_detections(content, seed), truth))
    has_pairs = np.bincount(truth.classes, minlength=len(truth.triples)) > 0
    for setting in ("default", "known_object"):
        assert getattr(scores, setting)[has_pairs].tolist() == pytest.approx(golden[setting], abs=1e-9)
        assert (getattr(scores, setting)[~has_pairs] == 0).all()


# The rules again, as loops over detections.


def overlap(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if not (width > 0 and height > 0):  # NaN is not
        return 0.0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def corners(one: Json, image: Json) -> list[float]:
    x, y, w, h = one["bbox"]
    wide, high = image["width"] - 1, image["height"] - 1
    return [min(max(v, 0), end) for v, end in zip((x, y, x + w - 1, y + h - 1), (wide, high, wide, high), strict=True)]


def area_under_envelope(curve: list[tuple[float, float]]) -> float:
    area, before = 0.0, 0.0
    for recall, _ in curve:
        area += (recall - before) * max(precision for other, precision in curve if other >= recall)
        before = recall
    return area


def curve_of(ranked: list[bool], positives: int) -> list[tuple[float, float]]:
    """Recall and precision after each detection."""
    return [(sum(ranked[:n]) / positives, sum(ranked[:n]) / n) for n in range(1, len(ranked) + 1)]


def slow_vcoco(
    actions: list[Json], instances: Json, found: list[Json], action: Json, role: str | None, scenario: str
) -> float:
    """The AP of one action or role."""
    image_of = {image["id"]: image for image in instances["images"]}
    person_ids = {one["id"]: one["image_id"] for one in instances["annotations"] if one["category_id"] == 1}
    box_of = {one["id"]: corners(one, image_of[one["image_id"]]) for one in instances["annotations"]}
    row_of = {one: row for row, one in enumerate(actions[0]["ann_id"])}
    name = action["action_name"]
    objects = np.reshape(action["role_object_id"], (len(action["role_name"]), -1))
    events = []
    for image in sorted(image_of):
        taken = set()
        persons = [one for one, where in person_ids.items() if where == image]
        here = [one for one in found if one["image_id"] == image]
        key, at = (f"{name}_agent", None) if role is None else (f"{name}_{role}", 4)
        score = {id(one): one[key] if at is None else one[key][at] for one in here}
        for one in sorted(here, key=lambda one: -score[id(one)]):
            overlaps = [overlap(box_of[person], one["person_box"]) for person in persons]
            person = persons[overlaps.index(max(overlaps))]
            if person not in row_of:
                continue
            right = max(overlaps) >= 0.5 and action["label"][row_of[person]] == 1
            if role is not None:
                other, box = objects[action["role_name"].index(role), row_of[person]], one[key][:4]
                if right and other:
                    right = overlap(box_of[other], box) >= 0.5
                elif right and scenario == "scenario_1":
                    right = all(math.isnan(v) for v in box) or all(v == 0 for v in box)
            events.append((score[id(one)], right and person not in taken))
            if right:
                taken.add(person)
    ranked = [hit for _, hit in sorted(events, key=lambda event: -event[0])]
    return area_under_envelope(curve_of(ranked, sum(action["label"])))


@pytest.mark.parametrize("seed", range(3))
def test_vcoco_equals_a_plain_loop(seed: int) -> None:
    actions = vcoco_actions(seed, images=12)
    instances, found = vcoco_case(actions, seed)
    scores = vcoco_scores(actions, instances, found)
    for action in actions:
        name = action["action_name"]
        assert scores.agent[name] == pytest.approx(slow_vcoco(actions, instances, found, action, None, ""), abs=1e-12)
        for role in action["role_name"][1:]:
            for scenario in vcoco.SCENARIOS:
                slow = slow_vcoco(actions, instances, found, action, role, scenario)
                assert scores.role[scenario][f"{name}-{role}"] == pytest.approx(slow, abs=1e-12)


def slow_hico(content: Json, found: list[Json], number: int, known_object: bool) -> float:
    """The AP of one class."""
    thing = content["correspondence"][number][1]
    of_thing = {hoi for hoi, other, _ in content["correspondence"] if other == thing}
    pairs = dict(zip(content["filenames"], content["annotation"], strict=True))
    used, ranked = set(), []
    in_order = sorted((one for one in found if one["hoi"] == number), key=lambda one: one["image"])
    for one in sorted(in_order, key=lambda one: -one["score"]):
        true = pairs[one["image"]]
        if known_object and not of_thing & set(true["hoi"]):
            continue
        human, thing_box = ([v + 1 for v in one[key]] for key in ("human_box", "object_box"))
        best, nearest = 0.0, None
        for n, hoi in enumerate(true["hoi"]):
            if hoi == number:
                worse = min(overlap(human, true["boxes_h"][n]), overlap(thing_box, true["boxes_o"][n]))
                if worse > best:
                    best, nearest = worse, n
        ranked.append(best >= 0.5 and (one["image"], nearest) not in used)
        if ranked[-1]:
            used.add((one["image"], nearest))
    positives = sum(one["hoi"].count(number) for one in content["annotation"])
    thresholds = [0, 0.1, 0.2, 3 * 0.1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    curve = curve_of(ranked, positives)
    return sum(max((p for r, p in curve if r >= t), default=0.0) for t in thresholds) / 11


@pytest.mark.parametrize("seed", range(3))
def test_hico_equals_a_plain_loop(seed: int) -> None:
    content = hico_annotations(seed, images=30)
    found = hico_detections(content, seed + 1)
    truth = hico_data.pairs(content)
    scores = hicodet.evaluate(truth, hicodet.detections(found, truth))
    assert (scores.known_object != scores.default).any()
    for number in range(6):
        assert scores.default[number] == pytest.approx(slow_hico(content, found, number, False), abs=1e-12)
        assert scores.known_object[number] == pytest.approx(slow_hico(content, found, number, True), abs=1e-12)
    assert scores.mean("default", "rare") == pytest.approx((scores.default[2] + scores.default[5]) / 2)
    assert scores.mean("default", "non_rare") == pytest.approx(scores.default[[0, 1, 3, 4, 6]].sum() / 5)


# By hand.


@pytest.mark.parametrize(
    ("found", "positives", "area", "eleven"),
    [
        ([1, 1], 2, 1, 1),
        ([1, 0, 1], 2, 0.5 + 0.5 * 2 / 3, (6 + 5 * 2 / 3) / 11),
        ([0, 1], 2, 0.5 * 0.5, 6 * 0.5 / 11),
        ([0, 0], 1, 0, 0),
        ([], 3, 0, 0),
        # The envelope: precision 1/2, then 2/3, counts as 2/3 from the start.
        ([0, 1, 1], 2, 2 / 3, 2 / 3),
    ],
)
def test_average_precisions_by_hand(found: list[int], positives: int, area: float, eleven: float) -> None:
    assert all_points(np.array(found, bool), positives) == pytest.approx(area)
    assert eleven_points(np.array(found, bool), positives) == pytest.approx(eleven)


@pytest.mark.parametrize(("hit", "positives", "thresholds"), [(3, 10, 3), (6, 10, 7), (7, 10, 8), (9, 10, 10)])
def test_a_recall_on_a_threshold_is_decided_as_in_matlab(hit: int, positives: int, thresholds: int) -> None:
    """Its vector 0:0.1:1 has 0.1 + 0.2 for 0.3, which a recall of 3 in 10 does not reach, but 0.6, 0.7 and 0.9."""
    assert eleven_points(np.ones(hit, bool), positives) == pytest.approx(thresholds / 11)


def test_overlap_by_hand() -> None:
    box = np.array([0.0, 0, 9, 9])
    assert iou(box, np.array([5.0, 0, 14, 9])) == pytest.approx(50 / 150)
    assert iou(box, np.array([10.0, 0, 19, 9])) == 0
    assert np.isnan(iou(box, np.full(4, np.nan)))


def test_equal_scores_keep_their_order() -> None:
    found = hits(np.array([0.5, 0.5, 0.9]), np.array([7, 7, 8]), np.array([True, True, False]))
    assert found.tolist() == [False, True, False]


ACTIONS = [
    {"action_name": "hold", "role_name": ["agent", "obj"], "label": [1, 1], "role_object_id": [1, 2, 5, 0]},
    {"action_name": "run", "role_name": ["agent"], "label": [0, 1], "role_object_id": [1, 2]},
]
ACTIONS = [{**action, "image_id": [10, 10], "ann_id": [1, 2]} for action in ACTIONS]
FIRST, SECOND, STRANGER, THING = [0, 0, 49, 99], [100, 0, 149, 99], [200, 0, 249, 99], [40, 40, 59, 59]
INSTANCES = {
    "images": [{"id": 10, "width": 300, "height": 200}],
    "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "ball"}],
    "annotations": [
        {"id": n, "image_id": 10, "category_id": kind, "area": 1, "iscrowd": 0,
         "bbox": [x1, y1, x2 - x1 + 1, y2 - y1 + 1]}
        for n, kind, (x1, y1, x2, y2) in [(1, 1, FIRST), (2, 1, SECOND), (3, 1, STRANGER), (5, 2, THING)]
    ],
}  # fmt: skip
EMPTY = [math.nan] * 4


def holds(person: list[float], box: list[float], score: float) -> Json:
    return {"image_id": 10, "person_box": person, "hold_agent": score, "hold_obj": [*box, score], "run_agent": score}


@pytest.mark.parametrize(
    ("found", "first", "second"),
    [
        ([holds(FIRST, THING, 0.9), holds(SECOND, EMPTY, 0.8)], 1, 1),
        ([holds(FIRST, THING, 0.9), holds(SECOND, [0.0] * 4, 0.8)], 1, 1),
        ([holds(FIRST, THING, 0.9), holds(SECOND, THING, 0.8)], 0.5, 1),  # a role where none is annotated
        ([holds(FIRST, EMPTY, 0.9), holds(SECOND, EMPTY, 0.8)], 0.25, 0.25),  # none where one is
        ([holds(FIRST, THING, 0.9), holds(FIRST, THING, 0.8)], 0.5, 0.5),  # the same person twice
        ([holds(STRANGER, THING, 0.9), holds(FIRST, THING, 0.8), holds(SECOND, EMPTY, 0.7)], 1, 1),  # does not count
        ([holds([280, 150, 299, 199], THING, 0.9), holds(FIRST, THING, 0.8)], 0.25, 0.25),  # nobody: the first person
    ],
)
def test_scenarios_by_hand(found: list[Json], first: float, second: float) -> None:
    scores = vcoco_scores(ACTIONS, INSTANCES, found)
    assert scores.role["scenario_1"]["hold-obj"] == pytest.approx(first)
    assert scores.role["scenario_2"]["hold-obj"] == pytest.approx(second)


def test_agents_and_their_mean_by_hand() -> None:
    scores = vcoco_scores(ACTIONS, INSTANCES, [holds(FIRST, THING, 0.9), holds(SECOND, EMPTY, 0.8)])
    assert scores.agent == {"hold": pytest.approx(1), "run": pytest.approx(0.5)}
    assert scores.mean_agent == pytest.approx(0.75)
    assert scores.positives == {"hold": 2, "run": 1}


def test_in_an_image_without_persons_detections_are_false_alarms() -> None:
    """The official code stops there. The only person of this image has no area, so it is none."""
    more = {"image_id": 11, "ann_id": 9, "label": 1}
    actions = [{**action, **{key: [*action[key], one] for key, one in more.items()}} for action in ACTIONS]
    actions[0]["role_object_id"], actions[1]["role_object_id"] = [1, 2, 9, 5, 0, 0], [1, 2, 9]
    nothing = {"id": 9, "image_id": 11, "category_id": 1, "area": 0, "iscrowd": 0, "bbox": FIRST}
    instances = {
        "images": [*INSTANCES["images"], {"id": 11, "width": 300, "height": 200}],
        "categories": INSTANCES["categories"],
        "annotations": [*INSTANCES["annotations"], nothing],
    }
    found = [{**holds(FIRST, THING, 0.95), "image_id": 11}, holds(FIRST, THING, 0.9), holds(SECOND, EMPTY, 0.8)]
    scores = vcoco_scores(actions, instances, found)
    assert scores.positives["hold"] == 2
    assert scores.role["scenario_1"]["hold-obj"] == pytest.approx(2 / 3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_scenario_2_is_never_stricter(seed: int) -> None:
    actions = vcoco_actions(seed, images=5)
    role = vcoco_scores(actions, *vcoco_case(actions, seed)).role
    for name, ap in role["scenario_1"].items():
        assert (ap or 0) <= (role["scenario_2"][name] or 0) + 1e-12


# What the published files hold. Of train and val: persons that do an action, and those whose object is annotated.
POSITIVES = {
    "hold-obj": (4001, 3024), "sit-instr": (1989, 1072), "ride-instr": (488, 445), "look-obj": (3825, 3127),
    "hit-instr": (367, 342), "hit-obj": (367, 228), "eat-obj": (677, 403), "eat-instr": (677, 153),
    "jump-instr": (700, 489), "lay-instr": (471, 283), "talk_on_phone-instr": (354, 292), "carry-obj": (498, 464),
    "throw-obj": (300, 261), "catch-obj": (313, 256), "cut-instr": (300, 247), "cut-obj": (300, 232),
    "work_on_computer-instr": (458, 398), "ski-instr": (500, 437), "surf-instr": (498, 485),
    "skateboard-instr": (489, 467), "drink-instr": (133, 125), "kick-obj": (142, 134), "point-instr": (38, 21),
    "read-obj": (116, 86), "snowboard-instr": (388, 367),
}  # fmt: skip


@needs_vcoco
def test_vcoco_has_the_published_sizes() -> None:
    data = MIRROR / "v-coco" / "data"
    sizes = {"train": 2533, "val": 2867, "trainval": 5400, "test": 4946, "all": 10346}
    assert {split: len(vcoco_data.read_ids(data / "splits" / f"vcoco_{split}.ids")) for split in sizes} == sizes
    files = [json.loads((data / "vcoco" / f"vcoco_{split}.json").read_text()) for split in ("train", "val")]
    assert sum(len(actions[0]["ann_id"]) for actions in files) == 8431
    counts = [vcoco_data.role_counts(actions) for actions in files]
    assert {role: tuple(map(sum, zip(*(of[role] for of in counts), strict=True))) for role in counts[0]} == POSITIVES
    labels = Counter[str]()
    for action in (action for actions in files for action in actions):
        labels[action["action_name"]] += sum(action["label"])
    assert len(labels) == 26
    assert [labels[name] for name in ("stand", "walk", "run", "smile")] == [4598, 656, 622, 1545]


@needs_hico
def test_hico_has_the_published_sizes() -> None:
    truth = hico_data.read_pairs(MIRROR / "hicodet")
    assert (len(truth.images), len(truth.classes), len(truth.triples)) == (9658, 33405, 600)
    assert len({verb for _, verb in truth.triples}) == 117
    assert len({thing for thing, _ in truth.triples}) == 80
    assert (len(truth.rare), 600 - len(truth.rare)) == (138, 462)
    assert len(truth.images) - len(set(truth.image.tolist())) == 112
    assert min(truth.humans.min(), truth.objects.min()) == 1  # boxes count from 1
