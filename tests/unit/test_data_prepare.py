"""Preparing and loading: equal bytes in every process, recorded checksums, whole files or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tenfold import registry
from tenfold.config import ROOT
from tenfold.data import images, shapes
from tenfold.data.prepare import prepare, write_tensors
from tenfold.errors import UserError
from tenfold.files import canonical_json, sha256
from tenfold.launcher import Job

torch.set_num_threads(1)

SMOKE = ["shapes-10-smoke", "shapes-100-smoke", "shapes-scale-smoke", "shapes-zoom-smoke"]


@pytest.mark.parametrize("name", SMOKE)
def test_stand_ins_have_the_recorded_bytes(name: str, tmp_path: Path):
    prepared = tmp_path / "prepared.safetensors"
    prepare({"dataset": registry.cfg_of(name)}, Job(resume=tmp_path / "resume"), dataset=prepared)
    assert sha256(prepared) == registry.dataset(name).sha256


@pytest.mark.parametrize("name", SMOKE)
def test_the_smoke_form_is_the_beginning_of_the_small_one(name: str):
    smoke, small = registry.cfg_of(name)["prepare"], registry.cfg_of(name.removesuffix("-smoke"))["prepare"]
    assert {key for key in small if small[key] != smoke[key]} == {"train", "test"}
    few, _ = shapes.generate(smoke | {"train": 7, "test": 7})
    more, _ = shapes.generate(smoke | {"train": 260, "test": 11})
    assert all((more[tensor][:7] == few[tensor]).all() for tensor in few)


def run(name: str, output: Path, cfg: dict, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tenfold.data.prepare", "--cfg", canonical_json({"dataset": cfg})]
    return subprocess.run(
        [*command, "--dataset", str(output)],
        cwd=output.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_processes_agree_whatever_the_hash_seed_and_the_instruction_set(tmp_path: Path):
    cfg = registry.cfg_of("shapes-100-smoke")
    wide = " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"])
    for number, disabled in enumerate(("", wide)):
        output = tmp_path / f"{number}.safetensors"
        environment = {"PYTHONHASHSEED": str(number), "NPY_DISABLE_CPU_FEATURES": disabled}
        done = run("shapes-100-smoke", output, cfg, **environment)
        assert done.returncode == 0, done.stderr
        assert sha256(output) == cfg["sha256"]


def test_other_bytes_than_recorded_are_refused_and_nothing_is_left(tmp_path: Path):
    cfg = registry.cfg_of("shapes-10-smoke") | {"sha256": "0" * 64}
    done = run("shapes-10-smoke", tmp_path / "x.safetensors", cfg)
    assert done.returncode == 2
    assert "generator gives other bytes than recorded" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("*.safetensors")) == []


def test_a_dataset_by_hand_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    with pytest.raises(UserError, match="imagenet is not here.*an account.*ILSVRC2012_img_train.tar") as raised:
        prepare({"dataset": registry.cfg_of("imagenet")}, Job(resume=tmp_path / "r"), dataset=tmp_path / "x")
    assert "\n" not in str(raised.value)
    for md5 in registry.cfg_of("imagenet")["files"].values():
        assert md5 in str(raised.value)


def test_the_header_is_sorted_and_the_file_is_an_ordinary_safetensors_file(tmp_path: Path):
    tensors = {name: np.arange(size, dtype=np.uint8) for name, size in (("b", 3), ("a", 5), ("c", 8))}
    metadata = {key: key * 3 for key in ("zeta", "name", "classes", "alpha", "ångström")}
    for number in range(5):
        write_tensors(tmp_path / str(number), tensors, metadata)
    assert len({(tmp_path / str(number)).read_bytes() for number in range(5)}) == 1
    content = (tmp_path / "0").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    assert list(json.loads(content[8 : 8 + length])["__metadata__"]) == sorted(metadata)
    with safe_open(tmp_path / "0", framework="np") as file:
        assert file.metadata() == metadata
        assert {name: file.get_tensor(name).tolist() for name in file.keys()} == {  # noqa: SIM118
            name: tensor.tolist() for name, tensor in tensors.items()
        }


def test_what_is_loaded_is_what_was_drawn(tmp_path: Path):
    cfg = registry.cfg_of("shapes-100-smoke")
    tensors, names = shapes.generate(cfg["prepare"])
    prepare({"dataset": cfg}, Job(resume=tmp_path / "resume"), dataset=tmp_path / "x.safetensors")
    data = images.load(tmp_path / "x.safetensors")
    assert (data.name, data.classes, data.coarse_classes) == (cfg["name"], names["classes"], names["coarse_classes"])
    assert data.train.images.dtype == torch.uint8
    for split, loaded in (("train", data.train), ("test", data.test)):
        assert len(loaded) == cfg["prepare"][split]
        assert (loaded.images.numpy() == tensors[f"{split}_images"]).all()
        for kind, values in (("labels", loaded.labels), ("coarse", loaded.coarse), ("scale", loaded.scale)):
            assert values is not None
            assert values.dtype == torch.int64
            assert values.tolist() == tensors[f"{split}_{kind}"].tolist()
    part = data.test[10:20]
    assert part.labels.tolist() == data.test.labels[10:20].tolist()
    assert part.coarse is not None
    assert part.coarse.tolist() == data.test.labels.floor_divide(5)[10:20].tolist()
