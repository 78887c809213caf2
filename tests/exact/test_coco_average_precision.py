"""COCO's AP: hand cases, and OKS against a loop written from COCO's description, on real annotations where they are."""

import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.measure import coco

MIRROR = Path(os.environ.get("TENFOLD_MIRROR", "/nonexistent"))
SIGMAS = [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]
SIGMAS = [sigma / 10 for sigma in SIGMAS]


def annotation(number: int, image: int, box: list[float], **more: Any) -> dict[str, Any]:
    entry = {"id": number, "image_id": image, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
    return {**entry, **more}


def detection(image: int, score: float, **found: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": 1, "score": score, **found}


def truth(annotations: list[dict[str, Any]], images: int = 2) -> dict[str, Any]:
    return {"images": [{"id": i} for i in range(images)], "categories": [{"id": 1}], "annotations": annotations}


def test_boxes_by_hand() -> None:
    known = truth([annotation(1, 0, [0, 0, 10, 10]), annotation(2, 1, [0, 0, 100, 100])])
    found = [detection(0, 0.9, bbox=[0, 0, 10, 10]), detection(1, 0.8, bbox=[0, 0, 100, 62])]
    scores = coco.average_precision(known, found, "bbox")
    # IoU 0.62 counts at .50, .55, .60; elsewhere half of what there is was found: recalls 0 to .50 are 51 of 101.
    assert scores["ap"] == pytest.approx((3 + 7 * 51 / 101) / 10, abs=1e-12)
    assert scores["ap50"] == pytest.approx(1)
    assert scores["ap75"] == pytest.approx(51 / 101)
    assert scores["ap_small"] == pytest.approx(1)
    assert scores["ap_medium"] is None
    assert scores["ap_large"] == pytest.approx(0.3)


def test_nothing_found_and_nothing_there() -> None:
    assert coco.average_precision(truth([annotation(1, 0, [0, 0, 10, 10])]), [], "bbox")["ap"] == 0
    assert set(coco.average_precision(truth([]), [], "bbox").values()) == {None}


def test_a_crowd_is_neither_found_nor_missed() -> None:
    known = truth([annotation(1, 0, [0, 0, 10, 10]), annotation(2, 0, [50, 50, 90, 90], iscrowd=1)])
    found = [detection(0, 0.9, bbox=[60, 60, 20, 20]), detection(0, 0.8, bbox=[0, 0, 10, 10])]
    assert coco.average_precision(known, found, "bbox")["ap"] == pytest.approx(1)


def test_prints_nothing_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    known, found = truth([annotation(1, 0, [0, 0, 10, 10])]), [detection(0, 0.9, bbox=[0, 0, 10, 10])]
    before = json.dumps([known, found])
    coco.average_precision(known, found, "bbox")
    assert json.dumps([known, found]) == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (detection(7, 0.9, bbox=[0, 0, 1, 1]), "detections of image 7, which there is not"),
        (detection(0, math.nan, bbox=[0, 0, 1, 1]), "a score is not a number"),
        (detection(0, 0.9, bbox=[0, 0, 1, 1]) | {"category_id": 3}, "detections of category 3, which there is not"),
    ],
)
def test_refuses(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        coco.average_precision(truth([annotation(1, 0, [0, 0, 10, 10])]), [wrong], "bbox")


def test_refuses_the_id_that_pycocotools_takes_for_no_match() -> None:
    with pytest.raises(ValueError, match="count from 1"):
        coco.average_precision(truth([annotation(0, 0, [0, 0, 10, 10])]), [], "bbox")


def oks(known: dict[str, Any], found: list[float], sigmas: list[float]) -> float:
    """Of a person with at least one labelled keypoint."""
    similar = []
    for k, sigma in enumerate(sigmas):
        x, y, visible = known["keypoints"][3 * k : 3 * k + 3]
        if visible > 0:
            squared = (x - found[3 * k]) ** 2 + (y - found[3 * k + 1]) ** 2
            similar.append(math.exp(-squared / (2 * (known["area"] + np.spacing(1)) * (2 * sigma) ** 2)))
    return sum(similar) / len(similar)


def slow_keypoint_ap(
    known: dict[str, Any], found: list[dict[str, Any]], threshold: float, sigmas: list[float]
) -> float:
    """AP where every true person has a labelled keypoint; of an image's detections the best 20 count."""
    taken: set[int] = set()
    seen: Counter[int] = Counter()
    hits = []
    for one in sorted(found, key=lambda one: -one["score"]):
        seen[one["image_id"]] += 1
        if seen[one["image_id"]] > 20:
            continue
        best, best_oks = None, min(threshold, 1 - 1e-10)
        for person in known["annotations"]:
            if person["image_id"] == one["image_id"] and person["id"] not in taken:
                similar = oks(person, one["keypoints"], sigmas)
                if similar >= best_oks:
                    best, best_oks = person["id"], similar
        hits.append(best is not None)
        if best is not None:
            taken.add(best)
    precision_at = []
    for wanted in np.linspace(0, 1, 101):
        reached = [
            sum(hits[: i + 1]) / (i + 1)
            for i in range(len(hits))
            if sum(hits[: i + 1]) / len(known["annotations"]) >= wanted
        ]
        precision_at.append(max(reached, default=0.0))
    return sum(precision_at) / 101


def moved(known: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Each true person twice, its keypoints off by more and less, and a few that are nowhere."""
    generator = np.random.default_rng(seed)
    found = []
    for person in known["annotations"]:
        for spread in generator.choice([0.01, 0.05, 0.1, 0.3], size=2, replace=False):
            points = np.array(person["keypoints"], float).reshape(-1, 3)
            points[:, :2] += generator.normal(0, spread * math.sqrt(person["area"]), (len(points), 2))
            found.append(detection(person["image_id"], float(generator.random()), keypoints=points.ravel().tolist()))
    return found


def drawn_persons(sigmas: int) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    persons = []
    for number in range(1, 31):
        points = np.column_stack([generator.uniform(0, 90, (sigmas, 2)), generator.integers(0, 3, sigmas)])
        points[0, 2] = 2
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        persons.append(
            annotation(
                number, int(generator.integers(6)), [*low, *(high - low)],
                keypoints=points.ravel().tolist(), num_keypoints=int((points[:, 2] > 0).sum()),
            )
        )  # fmt: skip
    return truth(persons, images=6)


def test_keypoints_equal_a_plain_loop_on_drawn_persons() -> None:
    known = drawn_persons(5)
    found, sigmas = moved(known, 1), [0.03, 0.05, 0.07, 0.09, 0.11]
    scores = coco.average_precision(known, found, "keypoints", sigmas)
    thresholds = np.linspace(0.5, 0.95, 10)
    slow = [slow_keypoint_ap(known, found, threshold, sigmas) for threshold in thresholds]
    assert 0.1 < np.mean(slow) < 0.9
    assert scores["ap"] == pytest.approx(np.mean(slow), abs=1e-12)
    assert scores["ap50"] == pytest.approx(slow[0], abs=1e-12)
    assert scores["ap75"] == pytest.approx(slow[5], abs=1e-12)


@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_keypoints_equal_a_plain_loop_on_real_persons(split: str) -> None:
    path = MIRROR / "coco-mini" / "annotations" / f"person_keypoints_{split}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    known = json.loads(path.read_text())
    known["annotations"] = [one for one in known["annotations"] if one["num_keypoints"] and not one["iscrowd"]]
    assert len(known["annotations"]) == {"train2017": 86, "val2017": 68}[split]
    found = moved(known, 2)
    scores = coco.average_precision(known, found, "keypoints")
    slow = [slow_keypoint_ap(known, found, threshold, SIGMAS) for threshold in np.linspace(0.5, 0.95, 10)]
    assert 0.1 < np.mean(slow) < 0.9
    assert scores["ap"] == pytest.approx(np.mean(slow), abs=1e-12)
    assert scores["ap50"] == pytest.approx(slow[0], abs=1e-12)
