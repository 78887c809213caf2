"""Pictures with objects: the drawn stand-in against its off switch, COCO's files, and its archives, made up."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tenfold import registry
from tenfold.data import coco_archives, coco_pictures, objects, pictures
from tenfold.data.prepare_objects import prepare, write
from tenfold.errors import UserError
from tenfold.files import sha256
from tenfold.launcher import Job
from tenfold.registry import Archive, Dataset


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(resume=tmp_path / "resume")


def drawn(**changes: Any) -> dict[str, Any]:
    return objects.generate(registry.cfg_of("objects")["prepare"] | {"train": 60, "test": 1} | changes)[0]


# The stand-in


def test_smoke_scenes_have_the_recorded_bytes(tmp_path: Path, job: Job) -> None:
    prepare({"dataset": registry.cfg_of("objects-smoke")}, job, dataset=tmp_path / "objects")
    assert sha256(tmp_path / "objects") == registry.dataset("objects-smoke").sha256
    found = pictures.load(tmp_path / "objects")
    assert (found.name, found.classes) == ("objects-smoke", ["disc", "square", "triangle"])
    assert (len(found.train), len(found.test)) == (24, 12)


def test_other_bytes_are_refused(tmp_path: Path, job: Job) -> None:
    cfg = registry.cfg_of("objects-smoke") | {"sha256": "0" * 64}
    with pytest.raises(UserError, match=r"^objects-smoke: what was prepared has other bytes than recorded \(sha256"):
        prepare({"dataset": cfg}, job, dataset=tmp_path / "objects")


def test_only_integers_are_used() -> None:
    tree = ast.parse(Path(objects.__file__).read_text(encoding="utf-8"))
    assert not any(isinstance(node, ast.Div | ast.Pow) for node in ast.walk(tree))
    assert not any(isinstance(node.value, float) for node in ast.walk(tree) if isinstance(node, ast.Constant))


def test_each_object_is_where_its_box_is_and_touches_no_other() -> None:
    found = drawn()
    first = 0
    for instances, count in zip(found["train_instances"], found["train_counts"].tolist(), strict=True):
        assert set(np.unique(instances)) - {0} == set(range(1, count + 1)), "every object has pixels, numbered in turn"
        for number in range(1, count + 1):
            left, top, right, bottom = found["train_boxes"][first + number - 1].astype(int)
            inside = np.zeros_like(instances, bool)
            inside[top:bottom, left:right] = True
            assert not (instances[~inside] == number).any()
            for edge in (instances[top, :], instances[bottom - 1, :], instances[:, left], instances[:, right - 1]):
                assert (edge == number).any(), "no box is too large"
            assert (instances == number).sum() == found["train_areas"][first + number - 1]
            grown = np.pad(instances == number, 1)
            near = grown[2:, 1:-1] | grown[:-2, 1:-1] | grown[1:-1, 2:] | grown[1:-1, :-2]
            assert set(np.unique(instances[near])) <= {0, number}
        first += count
    assert first == len(found["train_labels"])


def test_the_three_sizes_are_cocos_in_published_pixels() -> None:
    of = registry.cfg_of("objects")["prepare"]
    for size, low, high in (("small", 0, 32**2), ("medium", 32**2, 96**2), ("large", 96**2, np.inf)):
        alone = {"large": 0, "medium": 0, "small": 0} | {size: 6}
        found = drawn(tried=alone)
        areas = found["train_areas"] * of["unit"] ** 2
        assert len(areas) > 20
        assert ((low <= areas) & (areas < high)).all(), size


def test_with_objects_off_a_picture_says_nothing_of_them() -> None:
    on, off = drawn(), drawn(objects=False)
    assert np.array_equal(on["train_boxes"], off["train_boxes"])
    seen = on["train_instances"] > 0
    differ = (on["train_images"] != off["train_images"]).any(1)
    assert differ[seen].mean() > 0.99
    assert not differ[~seen].any(), "without them the pictures are the same"


def test_classes_are_even_and_colours_say_nothing_of_them() -> None:
    found = drawn(train=200)
    labels = found["train_labels"]
    assert min(np.bincount(labels)[1:]) > 0.28 * len(labels)
    brightness = []
    first = 0
    for image, instances, count in zip(
        found["train_images"], found["train_instances"], found["train_counts"], strict=True
    ):
        for number in range(1, int(count) + 1):
            brightness.append((int(labels[first + number - 1]), image[:, instances == number].mean()))
        first += int(count)
    means = [np.mean([value for label, value in brightness if label == kind]) for kind in (1, 2, 3)]
    assert max(means) - min(means) < 12  # grey levels; colours differ from their ground by 100 and more


# As detectors see them


def test_targets_masks_and_their_mirror_images(tmp_path: Path) -> None:
    write(tmp_path / "objects", "x", *objects.generate(registry.cfg_of("objects-smoke")["prepare"]))
    train = pictures.load(tmp_path / "objects").train
    for number in range(len(train)):
        plain, mirrored = train.target(number), train.target(number, flipped=True)
        assert torch.equal(mirrored["masks"], plain["masks"].flip(2))
        for box, mask in zip(mirrored["boxes"].int().tolist(), mirrored["masks"], strict=True):
            rows, columns = mask.nonzero().unbind(1)
            assert box == [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


def test_true_boxes_as_detections_have_an_ap_of_1_and_none_of_0(tmp_path: Path) -> None:
    from tenfold.measure.coco import average_precision

    write(tmp_path / "objects", "x", *objects.generate(registry.cfg_of("objects-smoke")["prepare"]))
    test = pictures.load(tmp_path / "objects").test
    truth, found = test.truth(3), []
    for number in range(len(test)):
        target = test.target(number)
        found += test.detections(number, {**target, "scores": torch.ones(len(target["labels"]))})
    assert average_precision(truth, found, "bbox") == dict.fromkeys(
        ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"), 1.0
    )
    assert set(average_precision(truth, [], "bbox").values()) == {0.0}
    assert {one["area"] for one in truth["annotations"]} == {float(area) * 25 for area in test.areas}


# COCO's own files


def coco_tree(folder: Path, *, both: bool = False) -> Path:
    """Two training pictures and a validation picture of 20 x 40, resized from 40 x 80; a crowd; a box without width.

    Only one of the training pictures has objects, or both have.
    """
    square = {"segmentation": [[10, 4, 20, 4, 20, 14, 10, 14]], "bbox": [10, 4, 10, 10], "area": 100, "iscrowd": 0}
    behind = {"segmentation": [[0, 0, 40, 0, 40, 20, 0, 20]], "bbox": [0, 0, 40, 20], "area": 800, "iscrowd": 0}
    crowd = {
        "segmentation": {"size": [20, 40], "counts": [0, 40, 760]},
        "bbox": [0, 0, 2, 20],
        "area": 40,
        "iscrowd": 1,
    }
    flat = square | {"bbox": [3, 3, 0, 5], "area": 0.1}
    for part, ids in (("train2017", [7, 3]), ("val2017", [9])):
        (folder / part).mkdir(parents=True)
        images = [{"id": number, "file_name": f"{number:012d}.jpg", "height": 20, "width": 40, "orig_height": 40,
                   "orig_width": 80} for number in ids]  # fmt: skip
        for number in ids:
            pixels = np.full((20, 40, 3), 20 * number, np.uint8)
            Image.fromarray(pixels).save(folder / part / f"{number:012d}.jpg", quality=95)
        of = [(square, 18), (crowd, 1), (flat, 1), (behind, 90)] if part == "train2017" else [(square, 90)]
        annotations = [
            one | {"id": 100 - k, "image_id": ids[0], "category_id": category} for k, (one, category) in enumerate(of)
        ]
        if both and part == "train2017":
            annotations.append(square | {"id": 50, "image_id": 3, "category_id": 1})
        categories = [{"id": number, "name": f"kind {number}"} for number in (90, 1, 18)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(content))
    return folder


def test_cocos_pictures_fit_into_squares_and_keep_their_pixels_for_ap(tmp_path: Path, job: Job) -> None:
    folder = coco_tree(tmp_path / "coco")
    with pytest.raises(UserError, match=r"these are not the known pictures \(digest (\w+)") as refused:
        coco_pictures.read(folder, {"side": 32, "content": "x"}, job)
    digest = str(refused.value).split("digest ")[1].split()[0]
    tensors, classes = coco_pictures.read(folder, {"side": 32, "content": digest}, job)
    assert classes == ["kind 1", "kind 18", "kind 90"]
    write(tmp_path / "prepared", "coco", tensors, classes)
    found = pictures.load(tmp_path / "prepared")
    assert found.train.ends.tolist() == [0, 3], "pictures in the order of their numbers, a box without width left out"
    assert found.train.images.shape == (2, 3, 32, 32)
    assert (found.train.images[0, 0, :16] - 60).abs().max() < 4 and found.train.images[0, :, 16:].max() == 0
    assert found.train.units.tolist() == [2.5, 2.5]
    target = found.train.target(1)
    assert target["labels"].tolist() == [3, 2], "the crowd is nothing to learn"
    assert target["boxes"].tolist() == [[0, 0, 32, 16], pytest.approx([8, 3.2, 16, 11.2])]
    assert target["masks"][1].sum() == pytest.approx(64, abs=16), "the smaller object is in front"
    assert target["masks"][0].sum() == pytest.approx(32 * 16 - 64 - 32, abs=40)
    (truth,) = found.test.truth(3)["annotations"]
    assert truth["bbox"] == pytest.approx([20, 8, 20, 20]) and truth["area"] == pytest.approx(400)
    crowds = [one["iscrowd"] for one in found.train.truth(3)["annotations"]]
    assert crowds == [0, 1, 0]


def test_a_picture_that_is_missing_or_broken_is_one_line(tmp_path: Path, job: Job) -> None:
    folder = coco_tree(tmp_path / "coco")
    (folder / "val2017/000000000009.jpg").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"000000000009.jpg: not a whole picture$"):
        coco_pictures.read(folder, {"side": 32, "content": "x"}, job)
    (folder / "val2017/000000000009.jpg").unlink()
    with pytest.raises(UserError, match=r"000000000009.jpg is missing: annotations name it$"):
        coco_pictures.read(folder, {"side": 32, "content": "x"}, job)


@pytest.mark.skipif(
    not Path(os.environ.get("TENFOLD_MIRROR", "/none"), "coco-mini").is_dir(), reason="coco-mini is absent"
)
def test_coco_mini_has_the_recorded_bytes(tmp_path: Path, job: Job) -> None:
    prepare({"dataset": registry.cfg_of("coco-mini-objects")}, job, dataset=tmp_path / "coco")
    found = pictures.load(tmp_path / "coco")
    areas = [one["area"] for one in found.test.truth(80)["annotations"]]
    sizes = [sum(low <= area < high for area in areas) for low, high in ((0, 1024), (1024, 9216), (9216, 1e9))]
    assert sizes == [284, 163, 177]  # of the published pictures 284, 162 and 173; four in crowds, one on the bound


def coco_archives_at(folder: Path, *, both: bool = False) -> Dataset:
    """The same as archives, laid out as the official ones."""
    tree = coco_tree(folder / "tree", both=both)
    parts = {"train2017.zip": "train2017", "val2017.zip": "val2017", "annotations_trainval2017.zip": "annotations"}
    archives = []
    raw = folder / "data/raw/coco-2017"
    raw.mkdir(parents=True)
    for file, part in parts.items():
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path in sorted((tree / part).iterdir()):
                archive.write(path, f"{part}/{path.name}")
        (raw / file).write_bytes(packed.getvalue())
        archives.append(Archive(file, hashlib.md5(packed.getvalue(), usedforsecurity=False).hexdigest()))
    return Dataset("coco-2017", "COCO", "none", redistribute=False, archives=archives)


def test_cocos_archives_are_read_where_they_lie(tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = coco_archives_at(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    monkeypatch.setattr(coco_archives, "entry_of", lambda name: entry)
    coco_archives.index({"dataset": {"name": "coco-2017"}}, job, dataset=tmp_path / "index")
    found = coco_archives.load(tmp_path / "index")
    assert (len(found.train), len(found.test), len(found.classes)) == (1, 1, 3), "nothing is learned of empty pictures"
    image = found.train.image(0)
    assert image.shape == (3, 20, 40) and abs(int(image.float().mean()) - 140) < 4
    plain, mirrored = found.train.target(0), found.train.target(0, flipped=True)
    assert plain["labels"].tolist() == [3, 2]
    assert plain["boxes"].tolist() == [[0, 0, 40, 20], [10, 4, 20, 14]]
    assert plain["masks"].flatten(1).sum(1).tolist() == [800, 100], "objects are whole where they overlap"
    assert mirrored["boxes"].tolist() == [[0, 0, 40, 20], [20, 4, 30, 14]]
    assert torch.equal(mirrored["masks"], plain["masks"].flip(2))
    (tmp_path / "data/raw/coco-2017/val2017.zip").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"^val2017.zip of \d+ bytes, which the index of COCO was made of, is not in"):
        coco_archives.load(tmp_path / "index")
