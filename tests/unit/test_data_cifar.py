"""Reading CIFAR: hand-written Python 2 pickles, refused files, and the official data where it is in reach."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.data import cifar, images
from tenfold.data.prepare import prepare
from tenfold.errors import UserError
from tenfold.launcher import Job
from tenfold.registry import cfg_of, dataset

PREPARE = {
    "train": ["batch_1", "batch_2"],
    "test": ["batch_3"],
    "names": "meta",
    "classes": {"labels": "fine_labels", "names": "fine_label_names"},
    "coarse": {"labels": "coarse_labels", "names": "coarse_label_names"},
}


def text(value: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(value)) + value


def listed(items: list[bytes]) -> bytes:
    return b"](" + b"".join(items) + b"e"


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def array(rows: list[bytes]) -> bytes:
    """A uint8 matrix as numpy wrote it under Python 2, opcode by opcode."""
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + integer(0) + b"t" + text(b"b") + b"tR"
    dtype = b"cnumpy\ndtype\n(" + text(b"u1") + integer(0) + integer(1) + b"tR("
    dtype += integer(3) + text(b"|") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
    shape = b"(" + integer(len(rows)) + integer(len(rows[0])) + b"t"
    return empty + b"(" + integer(1) + shape + dtype + b"I00\n" + text(b"".join(rows)) + b"tb"


def pickled(table: dict[bytes, bytes]) -> bytes:
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in table.items()) + b"u."


def batch(pictures: list[bytes], fine: list[int], coarse: list[int]) -> bytes:
    return pickled(
        {
            b"data": array(pictures),
            b"fine_labels": listed([integer(label) for label in fine]),
            b"coarse_labels": listed([integer(label) for label in coarse]),
        }
    )


def written(folder: Path, contents: dict[str, bytes]) -> tuple[dict[str, Path], dict[str, str]]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}  # noqa: S324
    return {name: folder / name for name in contents}, checksums


def test_planes_rows_labels_and_names_come_out_in_official_order(tmp_path: Path):
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, 3072, dtype=np.uint8).tobytes() for _ in range(4)]
    names = {
        b"fine_label_names": listed([text(b"apple"), text(b"bear")]),
        b"coarse_label_names": listed([text(b"fruit")]),
    }
    contents = {
        "batch_1": batch(pictures[:2], [1, 0], [0, 0]),
        "batch_2": batch(pictures[2:3], [99], [19]),
        "batch_3": batch(pictures[3:], [7], [3]),
        "meta": pickled(names),
    }
    tensors, classes = cifar.read(written(tmp_path, contents)[0], PREPARE, written(tmp_path, contents)[1])
    assert classes == {"classes": ["apple", "bear"], "coarse_classes": ["fruit"]}
    assert tensors["train_labels"].tolist() == [1, 0, 99]
    assert tensors["train_coarse"].tolist() == [0, 0, 19]
    assert tensors["test_labels"].tolist() == [7]
    assert tensors["train_images"].shape == (3, 3, 32, 32)
    for number, channel, row, column in ((0, 0, 0, 0), (1, 1, 2, 3), (2, 2, 31, 31), (0, 2, 30, 0)):
        expected = pictures[number][channel * 1024 + row * 32 + column]
        assert tensors["train_images"][number, channel, row, column] == expected
    assert tensors["test_images"][0].tobytes() == pictures[3]


@pytest.mark.parametrize(
    "payload",
    [b"\x80\x02cos\nsystem\n(X\x0c\x00\x00\x00touch outsidetR.", b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001tR."],
)
def test_a_verified_pickle_still_cannot_run_code(payload: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    files, checksums = written(tmp_path, {"bad": payload})
    with pytest.raises(UserError, match=r"not an official CIFAR file: (os\.system|builtins\.eval) is not allowed"):
        cifar.unpickle(files["bad"], checksums["bad"])
    assert not (tmp_path / "outside").exists()


def test_a_wrong_checksum_is_refused_before_a_byte_is_interpreted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened: list[Any] = []
    monkeypatch.setattr(cifar._Unpickler, "load", lambda self: opened.append(self))
    files, _ = written(tmp_path, {"changed": b"anything"})
    with pytest.raises(UserError, match=r"changed: md5 .* instead of 0{32}; not opened"):
        cifar.unpickle(files["changed"], "0" * 32)
    assert opened == []


@pytest.mark.parametrize(("name", "labels"), [("cifar-10", "labels"), ("cifar-100", "fine_labels")])
def test_the_official_data_read_another_way(name: str, labels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = dataset(name).archives[0]
    folder = Path(os.environ.get("TENFOLD_MIRROR", "/nonexistent"), str(archive.folder))
    if not folder.is_dir():
        pytest.skip(f"needs TENFOLD_MIRROR with {archive.folder}/")
    monkeypatch.chdir(tmp_path)
    prepared = tmp_path / "prepared.safetensors"
    prepare({"dataset": cfg_of(name)}, Job(resume=tmp_path / "resume"), dataset=prepared)
    loaded = images.load(prepared)
    rule = cfg_of(name)["prepare"]
    for split, count in ((loaded.train, 50_000), (loaded.test, 10_000)):
        assert tuple(split.images.shape) == (count, 3, 32, 32)
        assert split.labels.bincount().unique().tolist() == [count // len(loaded.classes)]
    position = 0
    for file in rule["train"]:
        with (folder / file).open("rb") as opened:
            table = pickle.load(opened, encoding="latin1")
        rows = slice(position, position + len(table["data"]))
        assert loaded.train.labels[rows].tolist() == table[labels]
        chosen = loaded.train.images[rows][::997].numpy()
        assert (chosen[:, 1, 5, 9] == table["data"][::997, 1024 + 5 * 32 + 9]).all()
        assert (chosen.reshape(len(chosen), -1) == table["data"][::997]).all()
        if loaded.train.coarse is not None:
            assert loaded.train.coarse[rows].tolist() == table["coarse_labels"]
        position += len(table["data"])
    assert position == len(loaded.train)
