"""Captions of real clips: read from the known files only, and as many as are published."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold import registry
from tenfold.data.captions import SPLITS, Split, load
from tenfold.data.prepare_captions import read_captions
from tenfold.data.prepare_features import prepare, read_msr_vtt, with_features, words_of
from tenfold.errors import UserError
from tenfold.fetch import MIRROR
from tenfold.files import sha256
from tenfold.launcher import Job
from tenfold.papers.video_captioning.look import look


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


# Features that others took of the clips ---------------------------------------------------------------------------

FEATURES = {"file": "data.zip", "member": "features.npy", "static": 3, "dynamic": 2}


def packed(path: Path, **members: Any) -> Path:
    """An archive of arrays, and of texts."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if isinstance(content, np.ndarray):
                file = io.BytesIO()
                np.save(file, content)
                archive.writestr(f"data/{name}.npy", file.getvalue())
            else:
                archive.writestr(f"{name}.json", json.dumps(content))
    return path


def test_features_of_others_are_divided_as_their_clips_are(tmp_path: Path) -> None:
    splits = {name: Split([[["a"]]] * n) for name, n in (("train", 3), ("val", 1), ("test", 2))}
    values = np.arange(30.0).reshape(6, 5)
    archive = packed(tmp_path / "data.zip", other=values[:2], features=values)
    found = with_features(splits, archive, FEATURES)
    assert np.array_equal(found["test"].features["static"], values[4:, :3])
    assert np.array_equal(found["val"].features["dynamic"], values[3:4, 3:])
    assert found["train"].features["static"].dtype == np.float32
    with pytest.raises(UserError, match=r"features\.npy is \(6, 5\), needed is \(5, 5\)"):
        with_features(splits | {"val": Split([])}, archive, FEATURES)
    with pytest.raises(UserError, match=r"has no none\.npy"):
        with_features(splits, archive, FEATURES | {"member": "none.npy"})


def test_features_are_not_unpickled(tmp_path: Path) -> None:
    archive = packed(tmp_path / "data.zip", features=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match=r"features\.npy is no matrix of numbers"):
        with_features({name: Split([]) for name in SPLITS}, archive, FEATURES)


def msr_vtt(folder: Path, *, clips: int = 4, of_clip: int = 2) -> dict[str, Any]:
    """A tiny MSR-VTT in two files, as the publisher has it; gives what the registry would say of it."""
    sentences = [
        {"video_id": f"video{clip}", "sen_id": 10 * clip - n, "caption": f"It's CLIP {clip}, no-{n}."}
        for clip in range(clips)
        for n in range(of_clip)
    ]
    captions = packed(
        folder / "annotation.zip", train_val={"sentences": sentences[:5]}, test={"sentences": sentences[5:]}
    )
    features = packed(folder / "data.zip", features=np.ones((4, 5), np.float32))
    return {
        "kind": "msr_vtt",
        "captions": {"file": captions.name, "sha256": sha256(captions)},
        "clips": {"train": 2, "val": 1, "test": 1},
        "of_clip": 2,
        "features": FEATURES | {"sha256": sha256(features)},
    }


def test_captions_of_msr_vtt_are_those_of_its_clips_in_order(tmp_path: Path) -> None:
    settings = msr_vtt(tmp_path)
    splits = read_msr_vtt(tmp_path / "annotation.zip", settings)
    assert {name: len(split) for name, split in splits.items()} == settings["clips"]
    assert splits["val"].captions == [[["it", "s", "clip", "2", "no-1"], ["it", "s", "clip", "2", "no-0"]]]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"clips": 3}, "video3 is missing"),
        ({"clips": 5}, "video4 is missing, or none of video0 to video3"),
        ({"of_clip": 3}, "video0 has 3 captions instead of 2"),
    ],
)
def test_another_msr_vtt_is_refused(tmp_path: Path, made: dict[str, int], said: str) -> None:
    settings = msr_vtt(tmp_path, **made)
    with pytest.raises(UserError, match=said):
        read_msr_vtt(tmp_path / "annotation.zip", settings)


def test_real_captions_of_msr_vtt_are_divided_into_words_as_others_did() -> None:
    folder = Path(os.environ.get(MIRROR, "/nowhere")) / "msr-vtt-captions/data/MSR-VTT/metadata"
    if not folder.is_dir():
        pytest.skip(f"needs msr-vtt-captions/ in the folder that {MIRROR} names")
    published = registry.dataset("msr-vtt").prepare
    texts = []
    for split in ("val", "test"):
        clips = json.loads((folder / f"{split}.json").read_text())
        assert len(clips) == published["clips"][split]
        assert {len(captions) for captions in clips.values()} == {published["of_clip"]}
        texts += [text for captions in clips.values() for text in captions.values()]
    # These were rid of most punctuation already; a dash by itself is no word.
    differing = [text for text in texts if words_of(text) != text.replace(" - ", " ").split()]
    assert len(differing) / len(texts) < 0.005, differing[:5]


@pytest.mark.parametrize("dataset", ["msvd", "msr-vtt"])
def test_clips_with_features_are_prepared_from_the_known_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, dict[str, str]], dataset: str
) -> None:
    monkeypatch.setenv(MIRROR, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / dataset).mkdir()
    settings = msr_vtt(tmp_path / dataset)
    if dataset == "msvd":
        (tmp_path / "msvd-captions").mkdir()
        for file in files.values():
            (tmp_path / file["file"]).rename(tmp_path / "msvd-captions" / file["file"])
        features = packed(tmp_path / "msvd/data.zip", features=np.ones((6, 5), np.float32))
        settings = {"kind": "msvd", "captions": "msvd-captions", "files": files,
                    "features": FEATURES | {"sha256": sha256(features)}}  # fmt: skip
    cfg = {"dataset": {"name": dataset, "prepare": settings, "files": {}, "sha256": None}}
    prepare(cfg, Job(tmp_path / "resume"), dataset=tmp_path / "made")
    found = load(tmp_path / "made")
    assert found.name == dataset
    assert found.splits["test"].features["dynamic"].shape == (len(found.splits["test"]), 2)
    (tmp_path / dataset / "data.zip").write_bytes(b"an HTML page")
    with pytest.raises(UserError, match=r"data\.zip: needed is the file with sha256 .*, here is"):
        prepare(cfg, Job(tmp_path / "resume"), dataset=tmp_path / "made")


@pytest.mark.parametrize("dataset", ["msvd", "msr-vtt", "own-videos"])
def test_who_has_no_features_is_told_what_to_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    monkeypatch.delenv(MIRROR, raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"^{dataset} is not here .*put it into data/raw/{dataset}/"):
        (look if dataset == "own-videos" else prepare)(
            {"dataset": registry.cfg_of(dataset)}, Job(tmp_path / "resume"), dataset=tmp_path / "made"
        )
