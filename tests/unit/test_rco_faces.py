"""The ORL open-set toy: reading pictures, identification, and the whole stage on made-up faces."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tenfold.errors import UserError
from tenfold.launcher import Job
from tenfold.papers.rco import faces, grid
from tenfold.registry import dataset
from tenfold.weights import save_weights
from tenfold.workflow import House

torch.set_num_threads(1)


def settings() -> dict[str, Any]:
    return House({}).paper("rco").edition("real").settings["faces"]


def pgm(pixels: np.ndarray) -> bytes:
    return b"P5\n92 112\n255\n" + pixels.astype(np.uint8).tobytes()


def test_a_picture_is_the_rounded_mean_of_its_blocks(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (112, 92))
    (tmp_path / "1.pgm").write_bytes(pgm(pixels))
    read = faces.picture(tmp_path / "1.pgm")
    expected = np.floor(pixels.reshape(28, 4, 23, 4).mean((1, 3)) + 0.5)
    assert read.shape == (3, 28, 23)
    for channel in read:
        assert np.array_equal(channel.numpy(), expected)


@pytest.mark.parametrize("content", [b"<html>", pgm(np.zeros((112, 92)))[:-1], pgm(np.zeros((112, 92))) + b"x"])
def test_another_format_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.pgm").write_bytes(content)
    with pytest.raises(UserError, match=r"1\.pgm: is not a grey PGM picture of 92 x 112 pixels") as error:
        faces.picture(tmp_path / "1.pgm")
    assert "\n" not in str(error.value)


def test_absent_faces_say_what_to_get_and_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENFOLD_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(UserError, match=r"facedatabase\.html.*data/raw/orl-faces/, or set TENFOLD_MIRROR"):
        faces.prepare_faces({"sha256": ""}, Job(resume=tmp_path / "r"), faces=tmp_path / "f")


def test_other_faces_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for person in range(1, 41):
        folder = tmp_path / f"data/raw/orl-faces/s{person}"
        folder.mkdir(parents=True)
        for number in range(1, 11):
            (folder / f"{number}.pgm").write_bytes(pgm(np.full((112, 92), person)))
    with pytest.raises(UserError, match="not the known ORL faces"):
        faces.prepare_faces({"sha256": settings()["sha256"]}, Job(resume=tmp_path / "r"), faces=tmp_path / "f")


@pytest.mark.skipif(
    not Path(os.environ.get("TENFOLD_MIRROR", "nowhere"), "orl-faces").is_dir(),
    reason="TENFOLD_MIRROR is not set, or has no orl-faces",
)
def test_the_real_faces_have_the_recorded_checksum(tmp_path: Path) -> None:
    faces.prepare_faces({"sha256": settings()["sha256"]}, Job(resume=tmp_path / "r"), faces=tmp_path / "f")


def test_rank_1_by_hand() -> None:
    labels = torch.arange(2).repeat_interleave(10)
    apart = torch.eye(2)[labels]
    assert faces.rank1(apart, labels) == 1.0
    assert faces.rank1(7 * apart, labels) == 1.0  # the length of an embedding does not count
    # Person 1's first picture looks like person 0. As a gallery picture it leaves person 1's nine probes to
    # chance in favour of person 0; as a probe it fails in the nine other galleries: 18 of 180 are wrong.
    mistaken = apart.clone()
    mistaken[10] = torch.tensor([1.0, 0.0])
    assert faces.rank1(mistaken, labels) == pytest.approx(1 - 18 / 180)


def test_the_registry_keeps_the_faces_private() -> None:
    entry = dataset("orl-faces")
    assert not entry.redistribute
    assert "Olivetti" in entry.licence
    paper = House({}).paper("rco")
    assert grid.faces(paper.edition("real"), None) == ["runs/real/rco/faces/s0-4.json"]
    assert grid.faces(paper.edition("small"), None) == []
    assert all("private" not in target for target in paper.targets("real"))


def test_the_stage_trains_equal_epochs_and_tests_on_unseen_people(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40).repeat_interleave(10)
    images = (6 * labels.view(-1, 1, 1, 1) + torch.randint(0, 9, (400, 3, 28, 23), generator=generator)).byte()
    save_weights(tmp_path / "faces.safetensors", {"images": images, "labels": labels})
    edition = House({}).paper("rco").edition("real")
    cfg = grid.open_set(edition, SimpleNamespace(seeds="s0"))
    cfg |= {
        "compute": {"device": "cpu", "precision": "fp32"},
        "m": 2,
        "teacher": cfg["teacher"] | {"width": 6},
        "teacher_width": 24,
        "student": cfg["student"] | {"width": 2},
        "recipe": cfg["recipe"] | {"epochs": 2, "batch_size": 100},
    }
    out = {"metrics": tmp_path / "m.json", "history": tmp_path / "h.csv", "times": tmp_path / "t.csv"}
    faces.open_set(cfg, Job(resume=tmp_path / "resume"), faces=tmp_path / "faces.safetensors", **out)
    rows = json.loads(out["metrics"].read_text())["rows"]
    assert [row["arm"] for row in rows] == ["teacher", "alone", "mimic", "one-stage"]
    assert all(0 <= row["rank1"] <= 1 for row in rows)
    arms = [line.split(",")[1] for line in out["history"].read_text().splitlines()[1:]]
    assert arms == ["teacher"] * 2 + ["alone"] * 2 + ["mimic"] * 2 + ["one-stage"] * 2
