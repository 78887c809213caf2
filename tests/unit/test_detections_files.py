"""Detections that users bring for scoring: read, or refused in one line that says what to mend."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.measure import hicodet, vcoco

from ..made_up_interactions import coco_instances, hico_annotations, hico_detections, vcoco_actions, vcoco_detections

Json = dict[str, Any]


@pytest.fixture(scope="module")
def vcoco_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as V-COCO's ``data/``, and a file of detections."""
    folder = tmp_path_factory.mktemp("vcoco")
    actions = vcoco_actions(1, images=6)
    instances = coco_instances(actions, 1)
    write(folder / "vcoco" / "vcoco_test.json", actions)
    (folder / "splits").mkdir()
    (folder / "splits" / "vcoco_test.ids").write_text("".join(f"{one['id']}\n" for one in instances["images"]))
    half = len(instances["annotations"]) // 2
    write(folder / "instances_train2014.json", {**instances, "annotations": instances["annotations"][:half]})
    write(folder / "instances_val2014.json", {**instances, "annotations": instances["annotations"][half:]})
    write(folder / "detections.json", vcoco_detections(actions, instances, 2))
    return folder


@pytest.fixture
def copy(vcoco_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(vcoco_folder, tmp_path / "data"))


@pytest.fixture(scope="module")
def hico_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hico")
    annotations = hico_annotations(1, images=6)
    write(folder / "instances_test2015.json", annotations)
    write(folder / "detections.json", hico_detections(annotations, 2))
    return folder


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def score(module: Any, path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = module.main([str(path), "--annotations", str(folder)])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_file_is_scored_as_a_command(vcoco_folder: Path) -> None:
    command = [sys.executable, "-m", "tenfold.measure.vcoco", vcoco_folder / "detections.json"]
    ran = subprocess.run([*command, "--annotations", vcoco_folder], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [line.split()[0] for line in ran.stdout.splitlines()[1:6]] == [
        "hold-obj", "hit-instr", "hit-obj", "sit-instr", "point-instr",
    ]  # fmt: skip
    assert "AP_role, mean of 5" in ran.stdout
    assert "AP_role, mean of 4" in ran.stdout
    assert "AP_agent, mean of 5" in ran.stdout


def test_an_object_that_two_files_have_counts_once(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    once = score(vcoco, copy / "detections.json", copy, capsys)
    shutil.copy(copy / "instances_val2014.json", copy / "instances_again.json")
    assert score(vcoco, copy / "detections.json", copy, capsys) == once


def test_both_means_are_printed_as_scored(vcoco_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = score(vcoco, vcoco_folder / "detections.json", vcoco_folder, capsys)
    lines = {line.rsplit("  ", 1)[0][:24].strip(): line.split() for line in out.splitlines()}
    without_point = [float(lines[role][1]) for role in ("hold-obj", "hit-instr", "hit-obj", "sit-instr")]
    assert float(lines["AP_role, mean of 4"][-2]) == pytest.approx(np.mean(without_point), abs=0.01)


def test_pairs_are_scored_too(hico_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = score(hicodet, hico_folder / "detections.json", hico_folder, capsys)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["mAP", "full", "rare", "non-rare", "known"]
    assert "of images with a true pair of the object" in out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one.update(image_id=3), "detection 2: its image is not one of the split"),
        (lambda one: one.update(image_id=10.5), "detection 2: its image is not one of the split"),
        (lambda one: one.update(image_id="x"), "detection 2: 'image_id' is \"x\" instead of a number"),
        (lambda one: one.pop("image_id"), "detection 2: 'image_id' is missing"),
        (
            lambda one: one.update(hold_objects=1),
            "detection 2: 'hold_objects' is not a key; allowed: image_id, person_",
        ),
        (lambda one: one.update(person_box=[1, 2, 3]), "'person_box' is [1, 2, 3] instead of 4 numbers"),
        (lambda one: one.update(person_box=[1, 2, 3, None]), "detection 2: 'person_box' is not finite"),
        (lambda one: one.update(hold_obj=[1, 2, 3, 4]), "'hold_obj' is [1, 2, 3, 4] instead of 5 numbers"),
        (lambda one: one.update(hold_obj=[1, 2, 3, None, 0.5]), "the box of 'hold_obj' is neither finite nor empty"),
        (lambda one: one.update(hold_obj=[1, 2, 3, 4, float("nan")]), "the score of 'hold_obj' is not finite; leave"),
        (lambda one: one.update(run_agent=float("inf")), "detection 2: the score of 'run_agent' is not finite; leave"),
        (lambda one: one.update(run_agent=None), "detection 2: the score of 'run_agent' is not finite; leave"),
        (lambda one: one.update(run_agent={}), "detection 2: 'run_agent' is {} instead of a number"),
    ],
)
def test_a_flaw_of_a_detection_is_one_line(
    change: Any, says: str, vcoco_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = json.loads((vcoco_folder / "detections.json").read_text())
    change(entries[1])
    assert_refused(vcoco, entries, says, vcoco_folder, tmp_path, capsys)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one.update(image="HICO_test2015_00009999.jpg"), "detection 2: 'image' is not one of the test set"),
        (lambda one: one.update(image=["a"]), "detection 2: 'image' is not one of the test set"),
        (lambda one: one.update(hoi=7), "detection 2: 'hoi' is not a whole number from 0 to 6"),
        (lambda one: one.update(hoi=0.5), "detection 2: 'hoi' is not a whole number from 0 to 6"),
        (lambda one: one.pop("score"), "detection 2: 'score' is missing"),
        (lambda one: one.update(score=float("nan")), "detection 2: 'score' is not finite"),
        (lambda one: one.update(object_box=[0, 0, 1, float("nan")]), "detection 2: 'object_box' is not finite"),
    ],
)
def test_a_flaw_of_a_pair_is_one_line(
    change: Any, says: str, hico_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = json.loads((hico_folder / "detections.json").read_text())
    change(entries[1])
    assert_refused(hicodet, entries, says, hico_folder, tmp_path, capsys)


def assert_refused(
    module: Any, entries: Any, says: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "mine.json", entries)
    code, out, err = score(module, tmp_path / "mine.json", folder, capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("tenfold: ")
    assert says in err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "mine.json: no such file"),
        ("[{]", "mine.json: not JSON ("),
        ("{}", "mine.json: not a list of objects"),
        ("[1]", "mine.json: not a list of objects"),
        ("[]", "mine.json: no detections"),
        ("\x80", "mine.json: not JSON ("),
    ],
)
def test_a_file_of_another_kind_is_one_line(
    content: str | None, says: str, vcoco_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "mine.json").write_bytes(content.encode("latin1"))
    code, _, err = score(vcoco, tmp_path / "mine.json", vcoco_folder, capsys)
    assert (code, err.count("\n")) == (2, 1)
    assert says in err


def test_an_action_that_no_detection_has_is_not_a_silent_zero(
    vcoco_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = json.loads((vcoco_folder / "detections.json").read_text())
    for entry in entries:
        del entry["sit_instr"]
    assert_refused(vcoco, entries, "no detection has 'sit_instr'", vcoco_folder, tmp_path, capsys)


def test_a_pickle_is_not_read_but_its_conversion_is_told(
    vcoco_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = json.loads((vcoco_folder / "detections.json").read_text())
    as_arrays = [
        {key: value if key == "image_id" else np.array(value) for key, value in one.items()} for one in entries
    ]
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(as_arrays))
    code, _, err = score(vcoco, tmp_path / "mine.pkl", vcoco_folder, capsys)
    assert (code, err.count("\n")) == (2, 1)
    told = err[err.index("json.dump(") : -1]
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", f"import json, pickle; {told}"], check=True)
    assert score(vcoco, tmp_path / "mine.json", vcoco_folder, capsys) == (
        score(vcoco, vcoco_folder / "detections.json", vcoco_folder, capsys)
    )


@pytest.mark.parametrize(
    ("remove", "says"),
    [
        ("vcoco/vcoco_test.json", "vcoco_test.json: no such file; https://github.com/s-gupta/v-coco has it"),
        ("splits/vcoco_test.ids", "vcoco_test.ids: no list of image ids as https://github.com/s-gupta/v-coco has it"),
        ("instances_*.json", "no instances*.json; it needs V-COCO's instances_vcoco_all_2014.json, or COCO's"),
    ],
)
def test_missing_annotations_say_where_they_are_published(
    remove: str, says: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in copy.glob(remove):
        path.unlink()
    code, _, err = score(vcoco, copy / "detections.json", copy, capsys)
    assert (code, err.count("\n")) == (2, 1)
    assert says in err


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        (
            "instances_val2014.json",
            lambda one: one["annotations"].clear(),
            "is not among COCO's instances of its image",
        ),
        (
            "instances_val2014.json",
            lambda one: one.pop("annotations"),
            "val2014.json: not as https://cocodataset.org has it (",
        ),
        ("instances_train2014.json", lambda one: one["images"].clear(), ""),  # the other file has them too
        ("vcoco/vcoco_test.json", lambda one: one[1]["ann_id"].pop(), "hit lists other persons than hold"),
        ("vcoco/vcoco_test.json", lambda one: one[0]["image_id"].append(7), "are not those of the list of the split"),
        ("vcoco/vcoco_test.json", lambda one: one[0].pop("label"), "not as https://github.com/s-gupta/v-coco has it ("),
    ],
)
def test_annotations_that_do_not_fit_together_are_one_line(
    file: str, change: Any, says: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((copy / file).read_text())
    change(content)
    write(copy / file, content)
    code, _, err = score(vcoco, copy / "detections.json", copy, capsys)
    assert (code, err.count("\n")) == ((2, 1) if says else (0, 0))
    assert says in err
