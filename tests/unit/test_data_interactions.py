"""Annotations of interactions, and photographs with persons: read, checked, prepared as one file."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from tenfold import registry
from tenfold.data import hicodet, prepare_interactions, vcoco
from tenfold.errors import UserError
from tenfold.files import sha256
from tenfold.launcher import Job

from ..made_up_interactions import hico_annotations

MIRROR = Path(os.environ.get("TENFOLD_MIRROR", "nowhere"))
VCOCO = {
    "images": [10, 12, 13],
    "annotations": [
        {"boxes_h": [[1, 2, 30.5, 40]] * 2, "boxes_o": [[5, 6, 7, 8], [9, 9, 12, 13]],
         "actions": [1, 0], "objects": [1, 2]},
        {"boxes_h": [], "boxes_o": [], "actions": [], "objects": []},
        {"boxes_h": [[0, 0, 5, 5]], "boxes_o": [[1, 1, 2, 2]], "actions": [1], "objects": [2]},
    ],
    "classes": ["hold obj", "sit instr"],
    "objects": ["background", "person", "cup"],
}  # fmt: skip


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setenv("TENFOLD_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.chdir(tmp_path)
    return Job(resume=tmp_path / "resume")


def brought(name: str, files: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Writes files into the mirror; the cfg of their dataset."""
    folder = Path(os.environ["TENFOLD_MIRROR"], settings.get("folder", name))
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(json.dumps(content))
    settings["files"] = {file: sha256(folder / file) for file in files}
    return {"dataset": {"name": name, "prepare": settings, "sha256": None}}


def prepared(cfg: dict[str, Any], job: Job) -> Path:
    """The prepared file, whatever its checksum."""
    out = job.resume.with_name("out.safetensors")
    with pytest.raises(UserError, match="what was prepared has other bytes than recorded") as refused:
        prepare_interactions.prepare(cfg, job, dataset=out)
    assert f"sha256 {sha256(out)} instead" in str(refused.value)
    cfg["dataset"]["sha256"] = sha256(out)
    prepare_interactions.prepare(cfg, job, dataset=out)
    return out


def assert_equal(one: Any, other: Any) -> None:
    for name, value in vars(one).items():
        assert np.array_equal(value, getattr(other, name)), name


def test_pairs_of_vcoco_come_back_as_they_were_read(job: Job) -> None:
    splits = {"train": "instances/a.json", "test": "instances/b.json"}
    few = {**VCOCO, "images": [10], "annotations": VCOCO["annotations"][:1]}
    settings = {"kind": "vcoco-pairs", "folder": "v-coco", "splits": splits, "labels": {"train": "c.json"}}
    labels = [{"action_name": "hit", "role_name": ["agent", "instr", "obj"], "label": [1, 1, 0],
               "role_object_id": [5, 6, 7, 0, 8, 0, 0, 0, 9]}]  # fmt: skip
    cfg = brought("v-coco-pairs", {"instances/a.json": VCOCO, "instances/b.json": few, "c.json": labels}, settings)
    path = prepared(cfg, job)
    found = prepare_interactions.read_pairs(path, vcoco.Pairs)
    assert prepare_interactions.read_counts(path) == {"train": {"hit-instr": (2, 1), "hit-obj": (2, 0)}}
    assert_equal(found["train"], vcoco.pairs(VCOCO))
    assert_equal(found["test"], vcoco.pairs(few))
    assert found["train"].image.tolist() == [0, 0, 2]
    assert found["train"].humans.tolist() == [[1, 2, 30.5, 40], [1, 2, 30.5, 40], [0, 0, 5, 5]]
    assert found["train"].role_names == ["hold-obj", "sit-instr"]
    assert (found["train"].roles.tolist(), found["train"].things.tolist()) == ([1, 0, 1], [1, 2, 2])


def test_pairs_of_hicodet_come_back_as_they_were_read(job: Job) -> None:
    content = hico_annotations(1, images=5)
    cfg = brought("hicodet", {"a.json": content}, {"kind": "hicodet", "splits": {"test": "a.json"}})
    found = prepare_interactions.read_pairs(prepared(cfg, job), hicodet.Pairs)
    assert found["test"].triples[3] == ["bat", "hit"]
    assert found["test"].rare == [2, 5]
    assert len(found["test"].images) == 5
    assert found["test"].classes.tolist() == [hoi for one in content["annotation"] for hoi in one["hoi"]]


def test_other_files_are_refused(job: Job) -> None:
    cfg = brought("hicodet", {"a.json": {}}, {"kind": "hicodet", "splits": {"test": "a.json"}})
    path = Path(os.environ["TENFOLD_MIRROR"], "hicodet", "a.json")
    with pytest.raises(
        UserError, match=r"a\.json: not as https://github.com/fredzzhang/hicodet has it \(KeyError: 'ann"
    ):
        prepare_interactions.prepare(cfg, job, dataset=job.resume)
    path.write_text("{} ")
    with pytest.raises(
        UserError, match=r"hicodet/a\.json: sha256 \w{64} instead of \w{64}, as config/datasets\.yaml has"
    ):
        prepare_interactions.prepare(cfg, job, dataset=job.resume)
    path.unlink()
    with pytest.raises(
        UserError, match=r"hicodet is not here .*instances_test2015\.json of https.*data/raw/hicodet/, or"
    ):
        prepare_interactions.prepare(cfg, job, dataset=job.resume)


def test_a_second_file_that_is_missing_is_named(job: Job) -> None:
    splits = {"train": "a.json", "test": "b.json"}
    settings = {"kind": "vcoco-pairs", "folder": "v-coco", "splits": splits}
    cfg = brought("v-coco-pairs", {"a.json": VCOCO, "b.json": VCOCO}, settings)
    Path(os.environ["TENFOLD_MIRROR"], "v-coco", "b.json").unlink()
    with pytest.raises(UserError, match=r"v-coco/b\.json: no such file \(sha256 \w{64}\)"):
        prepare_interactions.prepare(cfg, job, dataset=job.resume)


def photographs(job: Job) -> dict[str, Any]:
    """Two photographs of 40 x 30 and 16 x 32 pixels, with a person and a cup."""
    person = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 0}
    boxes = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30, "flickr_url": "x"},
                   {"id": 2, "file_name": "b.jpg", "width": 16, "height": 32, "flickr_url": "x"}],
        "annotations": [person | {"segmentation": []}, person | {"id": 6, "category_id": 47}],
        "categories": [{"id": 1, "name": "person"}, {"id": 47, "name": "cup"}],
    }  # fmt: skip
    keypoints = {"annotations": [person | {"keypoints": [7, 8, 2] * 17, "num_keypoints": 17}]}
    folder = Path(os.environ["TENFOLD_MIRROR"], "coco-mini", "val")
    folder.mkdir(parents=True)
    digest = hashlib.sha256()
    for name, size, colour in (("a.jpg", (40, 30), (200, 10, 10)), ("b.jpg", (16, 32), (10, 200, 10))):
        Image.new("RGB", size, colour).save(folder / name)
        digest.update(f"val/{name}".encode() + (folder / name).read_bytes())
    files = {"annotations/instances_val.json": boxes, "annotations/person_keypoints_val.json": keypoints}
    settings = {"kind": "coco", "splits": {"val": "val"}, "canvas": 48, "content": digest.hexdigest()}
    return brought("coco-mini", files, settings)


def test_photographs_lie_in_the_corner_of_a_canvas_beside_their_annotations(job: Job) -> None:
    with safe_open(prepared(photographs(job), job), framework="numpy") as file:
        images = file.get_tensor("val_images")
        truth = json.loads(file.metadata()[prepare_interactions.KEY])["splits"]["val"]
    assert images.shape == (2, 48, 48, 3)
    assert abs(images[0, :30, :40].astype(int) - [200, 10, 10]).max() < 5
    assert images[0, 30:].max() == images[0, :, 40:].max() == images[1, 32:].max() == images[1, :, 16:].max() == 0
    person, cup = truth["annotations"]
    assert (person["num_keypoints"], person["keypoints"][:3]) == (17, [7, 8, 2])
    assert "keypoints" not in cup
    assert truth["images"][1] == {"id": 2, "file_name": "b.jpg", "width": 16, "height": 32}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "a.jpg").unlink(), r"val/a\.jpg: no such file; the annotations name it"),
        (
            lambda folder: (folder / "a.jpg").write_text("no"),
            r"val/a\.jpg: not a whole picture; the annotations name it",
        ),
        (
            lambda folder: Image.new("RGB", (40, 29)).save(folder / "a.jpg"),
            r"40 x 29 pixels; the annotations say 40 x 30",
        ),
        (lambda folder: Image.new("RGB", (40, 30)).save(folder / "a.jpg"), "other photographs than those on record"),
    ],
)
def test_other_photographs_are_refused(change: Any, says: str, job: Job) -> None:
    cfg = photographs(job)
    change(Path(os.environ["TENFOLD_MIRROR"], "coco-mini", "val"))
    with pytest.raises(UserError, match=says):
        prepare_interactions.prepare(cfg, job, dataset=job.resume)


@pytest.mark.parametrize("name", ["v-coco-pairs", "hicodet", "coco-mini"])
def test_the_real_files_have_the_recorded_checksum(name: str, tmp_path: Path) -> None:
    entry = registry.dataset(name)
    folder = MIRROR / entry.prepare.get("folder", name)
    if not folder.is_dir():
        pytest.skip(f"TENFOLD_MIRROR is not set, or has no {folder.name}")
    out = tmp_path / "out.safetensors"
    prepare_interactions.prepare({"dataset": registry.cfg_of(name)}, Job(resume=tmp_path / "r"), dataset=out)
    if name == "v-coco-pairs":
        splits = prepare_interactions.read_pairs(out, vcoco.Pairs)
        assert {split: len(pairs.roles) for split, pairs in splits.items()} == {
            "train": 6400,
            "val": 7417,
            "test": 12402,
        }
        assert {split: len(pairs.image_ids) for split, pairs in splits.items()} == {
            "train": 2533,
            "val": 2867,
            "test": 4946,
        }
        test = splits["test"]
        assert len(test.image_ids) - len(np.unique(test.image)) == 414
        counts = dict(zip(test.role_names, np.bincount(test.roles).tolist(), strict=True))
        assert len(counts) == 24
        listed = {"hold-obj": 2733, "look-obj": 2752, "sit-instr": 1089, "ride-instr": 505, "surf-instr": 464}
        of_labels = prepare_interactions.read_counts(out)
        assert [sum(of_labels[split]["sit-instr"][n] for split in ("train", "val")) for n in (0, 1)] == [1989, 1072]
        assert counts == counts | listed | {"carry-obj": 433, "read-obj": 86, "drink-instr": 78}
