"""Captions of real clips: read from the known files only, and as many as are published."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenfold import registry
from tenfold.data.captions import SPLITS
from tenfold.data.prepare_captions import read_captions
from tenfold.errors import UserError
from tenfold.fetch import MIRROR
from tenfold.files import sha256


def test_msvd_has_its_published_numbers_of_clips_captions_and_words() -> None:
    folder = Path(os.environ.get(MIRROR, "/nowhere")) / "msvd-captions"
    if not folder.is_dir():
        pytest.skip(f"needs msvd-captions/ in the folder that {MIRROR} names")
    splits = read_captions(folder, registry.dataset("msvd-captions").prepare["files"])
    assert {name: len(split) for name, split in splits.items()} == {"train": 1200, "val": 100, "test": 670}
    captions = {name: sum(map(len, split.captions)) for name, split in splits.items()}
    assert captions == {"train": 48_774, "val": 4_290, "test": 27_763}
    # The official vocabulary has the words of all three splits, the end, and one more.
    words = {word for split in splits.values() for of_clip in split.captions for caption in of_clip for word in caption}
    assert len(words) + 2 == 12_594


@pytest.fixture
def files(tmp_path: Path) -> dict[str, dict[str, str]]:
    found = {}
    for number, name in enumerate(SPLITS):
        path = tmp_path / f"{name}.txt"
        path.write_text(f"vid{number}\ta man runs\nvid{number}\ta man\nvid9{number}\tit s a dog\n")
        found[name] = {"file": path.name, "sha256": sha256(path)}
    return found


def test_captions_are_words_clip_by_clip(tmp_path: Path, files: dict[str, dict[str, str]]) -> None:
    train = read_captions(tmp_path, files)["train"]
    assert train.captions == [[["a", "man", "runs"], ["a", "man"]], [["it", "s", "a", "dog"]]]
    assert train.frames is None


@pytest.mark.parametrize("flaw", ["missing", "changed"])
def test_other_captions_than_the_known_ones_are_refused(
    tmp_path: Path, files: dict[str, dict[str, str]], flaw: str
) -> None:
    path = tmp_path / "val.txt"
    path.unlink() if flaw == "missing" else path.write_text("vid1\ta man\n")
    with pytest.raises(UserError, match=r"val\.txt: needed is the file with sha256"):
        read_captions(tmp_path, files)
