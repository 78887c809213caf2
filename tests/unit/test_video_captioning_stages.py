"""The stages of video-captioning: what is learned of which captions, what is measured, and what users are told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from tenfold.data import moving_shapes
from tenfold.data.captions import Captions, Split, write
from tenfold.errors import UserError
from tenfold.launcher import Job
from tenfold.measure.captions import References
from tenfold.papers.video_captioning import caption as command
from tenfold.papers.video_captioning.clips import Words, features_of, read_clips, standardised
from tenfold.papers.video_captioning.features import DifferenceNet, dynamic_features
from tenfold.papers.video_captioning.grid import variant_of
from tenfold.papers.video_captioning.method import END, Captioner, TagNet
from tenfold.papers.video_captioning.scores import behind, by_position, lengths_of, measures, written_by
from tenfold.papers.video_captioning.tag import precision_of
from tenfold.papers.video_captioning.train import Examples, best_of, build, moved, tags_of
from tenfold.papers.video_captioning.words import words
from tenfold.weights import save_weights, under
from tenfold.workflow import seeds_wildcard

CLIPS = {
    "train": [["a dog runs", "the dog runs", "a dog", "it runs fast"], ["a cat"]],
    "val": [["a bird", "a bird sings"]],
    "test": [["a fish", "a fish swims", "fish"]],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    splits = {name: Split([[text.split() for text in of] for of in clips]) for name, clips in CLIPS.items()}
    write(tmp_path / "data", Captions("made-up", splits))
    return tmp_path / "data"


def counted(data: Path, **changed: Any) -> dict[str, list[str]]:
    cfg = {
        "proxy": False,
        "splits": ["train"],
        "least": 1,
        "tags": {"count": 2, "without": ["a", "the", "it"]},
        **changed,
    }
    words(cfg, Job(data.with_name("resume")), data=data, words=data.with_name("words"))
    found: dict[str, list[str]] = json.loads(data.with_name("words").read_text())
    return found


# Words


def test_a_vocabulary_has_the_words_of_training_captions_alone_the_most_frequent_first(data: Path) -> None:
    found = counted(data)
    assert found["words"] == ["<end>", "<unknown>", "a", "dog", "runs", "cat", "fast", "it", "the"]
    assert found["tags"] == ["dog", "runs"]
    assert counted(data, least=2)["words"] == ["<end>", "<unknown>", "a", "dog", "runs"]


def test_the_leaky_vocabulary_knows_words_of_test_captions(data: Path) -> None:
    assert {"fish", "swims", "sings"} <= set(counted(data, splits=["train", "val", "test"])["words"])
    assert {"fish", "swims", "sings"}.isdisjoint(counted(data)["words"])


def test_the_proxy_takes_tags_of_one_half_of_the_captions_and_writes_the_other(data: Path) -> None:
    train = read_clips(data, proxy=True)["train"]
    assert [" ".join(words) for words in train.told[0]] == ["a dog runs", "a dog"]
    assert [" ".join(words) for words in train.written[0]] == ["the dog runs", "it runs fast"]
    assert train.told[1] == train.written[1] == [["a", "cat"]]  # one caption is both halves
    found = counted(data, proxy=True)
    assert "fast" in found["words"]
    assert found["tags"] == ["dog", "cat"]
    both = read_clips(data, proxy=False)["train"]
    assert both.told == both.written


def test_words_are_numbers_with_an_end_and_back_again() -> None:
    known = Words(["<end>", "<unknown>", "a", "dog"], ["dog"])
    assert known.encode(["a", "dog", "barks"]) == [2, 3, 1, 0]
    assert known.decode([2, 3]) == ["a", "dog"]
    assert known.present([[["a"], ["dog"]], [["a"]]]).tolist() == [[1.0], [0.0]]


# Features


def test_features_are_standardised_by_the_training_clips() -> None:
    seen = standardised({"train": torch.tensor([[1.0, 5.0], [3.0, 5.0]]), "test": torch.tensor([[5.0, 9.0]])})
    assert seen["train"].mean(0).tolist() == [0.0, 0.0]
    assert float(seen["train"][:, 0].std()) == pytest.approx(1.0)
    assert float(seen["test"][0, 0]) == pytest.approx(3 / 2**0.5)
    assert float(seen["test"][0, 1]) == 0.0  # constant in training: it tells nothing


def test_dynamic_features_do_not_know_colours() -> None:
    settings = {"train": 6, "val": 1, "test": 1, "seed": 1, "pairs": 30, "captions": [5, 10],
                "static": True, "dynamic": True, "lengths": True}  # fmt: skip
    frames = moving_shapes.generate(settings)[0]["train"].frames
    assert frames is not None
    net = DifferenceNet(8)
    rolled = np.ascontiguousarray(np.roll(frames, 1, axis=4))  # red is green, green is blue, blue is red
    assert torch.equal(dynamic_features(net, frames), dynamic_features(net, rolled))
    assert not torch.equal(dynamic_features(net, frames), dynamic_features(net, frames[:, ::-1].copy()))


def test_features_that_are_not_there_are_named() -> None:
    found = {f"{split}/static": torch.zeros(1, 2) for split in ("train", "val", "test")}
    assert features_of(found, "static")["val"].shape == (1, 2)
    with pytest.raises(UserError, match="no dynamic ones"):
        features_of(found, "both")


# Tags


def test_the_average_precision_of_tags_is_over_those_that_occur_and_by_kind() -> None:
    words_ = Words([], ["dog", "red", "never"])
    present = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    told = torch.tensor([[0.9, 0.8, 0.5], [0.1, 0.7, 0.5], [0.2, 0.9, 0.5], [0.3, 0.1, 0.5]])
    found = precision_of(told, present, words_, {"static": ["red", "never"]})
    assert found["static"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["all"] == pytest.approx((1 + found["static"]) / 2)
    trivial = precision_of(None, present, words_, {})
    assert trivial["all"] == pytest.approx((1 / 4 + 2 / 4) / 2)


def test_the_average_clips_tags_are_those_of_training_clips_for_all() -> None:
    told = {f"seed3/9/{split}": torch.rand(4, 2) for split in ("train", "val", "test")}
    found = tags_of({"tags": "mean", "tags_after": 9}, {}, told, 3)
    average = told["seed3/9/train"].mean(0)
    assert all(torch.equal(values, average.expand(4, 2)) for values in found.values())
    assert torch.equal(tags_of({"tags": "net", "tags_after": 9}, {}, told, 3)["test"], told["seed3/9/test"])


# Captions to learn


def examples(of_clip: int | None = None, longest: int | None = None) -> Examples:
    known = Words(["<end>", "<unknown>", "a", "b"], [])
    return Examples.of([[["a"], ["a", "b", "a"]], [["b", "b"]]], known, of_clip, longest)


def test_all_captions_of_a_clip_are_learned_but_for_those_beyond_the_limits() -> None:
    every = examples()
    assert every.clips.tolist() == [0, 0, 1]
    assert every.words.tolist() == [[2, 0, 0, 0], [2, 3, 2, 0], [3, 3, 0, 0]]
    assert every.lengths.tolist() == [2, 4, 3]
    assert examples(of_clip=1).lengths.tolist() == [2, 3]
    assert examples(longest=2).lengths.tolist() == [2, 3]


def test_batches_have_the_longest_captions_first_and_coins_that_no_variant_changes() -> None:
    z, s = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [10.0]])
    one, other = (examples().batches(z, tags, 3, seed=5) for tags in (s, torch.zeros(2, 4)))
    (seen, told, words_, lengths, coins), n = one.next()
    assert n == 3
    assert lengths.tolist() == [4, 3, 2]
    assert words_.tolist() == [[2, 3, 2, 0], [3, 3, 0, 0], [2, 0, 0, 0]]
    assert seen.flatten().tolist() == [0.0, 1.0, 0.0]
    assert told.flatten().tolist() == [0.0, 10.0, 0.0]
    assert torch.equal(other.next()[0][4], coins)
    assert len(coins) == 4


# What is measured


def test_measures_count_lengths_variety_and_words_of_a_kind_that_are_right() -> None:
    references = References([[["a", "red", "dog"]], [["a", "blue", "cat"], ["cat"]]])
    found = measures([["a", "red", "cat"], ["red"]], references, kinds={"colours": ["red", "blue"], "none": ["x"]})
    assert found["length"] == 2.0
    assert found["lengths"][:4] == [0, 1, 0, 1]
    assert found["distinct"] == 1.0
    assert found["kinds"]["colours"] == {"right": 0.5, "named": 1.0}
    assert found["kinds"]["none"] == {"right": 0.0, "named": 0.0}
    assert found["meteor"] is None
    assert lengths_of([["a"] * 25])[20] == 1


def test_a_word_is_right_at_its_place_where_any_reference_has_it_there() -> None:
    torch.manual_seed(1)
    known = Words(["<end>", "<unknown>", "a", "b", "c"], [])
    net = Captioner(torch.randn(5, 4), 3, 2, 6).eval()
    net.output_bias.data[1] = -99.0  # what is unknown is not written
    z, s = torch.randn(12, 2), torch.rand(12, 3)
    written = written_by(net, z, s, steps=4)
    # References that are what the model writes: all is right, after own words and after given ones.
    own = [[known.decode(numbers)] for numbers in written]
    found = by_position(net, z, s, written, own, known)
    assert set(found["free"]) == {1.0}
    assert set(found["forced"][:4]) == {1.0}
    wrong = by_position(net, z, s, written, [[["nothing"]]] * 12, known)
    assert wrong["free"][0] == 0.0


def test_places_that_few_captions_have_say_nothing() -> None:
    known = Words(["<end>", "<unknown>", "a"], [])
    net = Captioner(torch.randn(3, 4), 3, 2, 6).eval()
    written = [[2, 2, 2], *[[2]] * 10]  # with their ends one has four words, ten have two
    found = by_position(net, torch.randn(11, 2), torch.rand(11, 3), written, [[["a"]]] * 11, known)
    assert found["written"] == [11, 11]
    assert found["free"] == [1.0, pytest.approx(10 / 11)]
    assert len(found["forced"]) == 2


def test_free_words_fall_behind_from_the_fifth_place_on_by_how_many_they_are() -> None:
    places = {"forced": [1, 1, 1, 1, 0.8, 0.6], "free": [0, 0, 0, 0, 0.5, 0.5, 0.9], "written": [9, 9, 9, 9, 3, 1, 1]}
    assert behind(places) == pytest.approx((3 * 0.3 + 1 * 0.1) / 4)
    assert behind({"forced": [1.0], "free": [1.0], "written": [5]}) == 0.0


def test_the_best_epoch_is_that_of_the_highest_score_on_validation_clips() -> None:
    assert best_of([{"epoch": 1}, {"epoch": 2, "val_score": 1.5}, {"epoch": 4, "val_score": 0.5}]) == 2


def test_training_has_settled_when_its_last_tenth_moves_the_loss_little() -> None:
    assert moved([9.0] * 18 + [2.0, 2.0]) == pytest.approx(1 - 2 / 9)
    assert moved([2.0] * 20) == 0.0
    assert moved([2.0]) == 1.0


# Settings and the command


def test_a_captioner_of_a_tag_net_that_there_is_not_is_refused() -> None:
    settings = {"captioner": {"net": "both", "vocabulary": "train"}, "captioners": {"full": {"net": "deep"}},
                "tag_nets": {"both": {}}, "vocabularies": {"train": {}}, "tag_epochs": [9],
                "tag_recipe": {"epochs": 9}}  # fmt: skip
    with pytest.raises(UserError, match=r"captioners\.full\.net: 'deep' is none that there is; allowed: both"):
        variant_of(settings, "full")


def gif(path: Path, frames: int) -> Path:
    pictures = [Image.fromarray(np.full((40, 60, 3), 9 * n, dtype=np.uint8)) for n in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=50)
    return path


def test_sixteen_frames_at_equal_distances_are_looked_at(tmp_path: Path) -> None:
    frames = command.read_frames(gif(tmp_path / "long.gif", 24))
    assert frames.shape == (16, 32, 32, 3)
    assert [round(int(value) / 9) for value in frames[:, 0, 0, 0]] == [i * 24 // 16 for i in range(16)]
    assert command.read_frames(gif(tmp_path / "short.gif", 2)).shape == (16, 32, 32, 3)


def trained(folder: Path, settings: dict[str, Any]) -> None:
    """Writes all that the command reads of a captioner, with random weights."""
    torch.manual_seed(0)
    tags, seeds = 5, seeds_wildcard(settings["seeds"])
    width, epochs = settings["features"]["width"], settings["tag_recipe"]["epochs"]
    known = {"words": ["<end>", "<unknown>", *"abcdefgh"], "tags": list("abcde")}
    net = build(settings["net"], Words(**known), tags, 2 * width, "net")
    for weight in net.parameters():
        torch.nn.init.normal_(weight)
    net.output_bias.data[END] = -1e3  # so that there are words
    tag_net = TagNet(2 * width, settings["tag_net"]["hidden"], tags)
    for path, tensors in {
        "features": {f"train/{kind}": torch.rand(9, width) for kind in ("static", "dynamic")},
        f"tags/both/{seeds}": under(f"seed0/{epochs}/net", tag_net.state_dict()),
        f"weights/full/{seeds}": under("seed0", net.state_dict()),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        save_weights(folder / f"{path}.safetensors", tensors)
    (folder / "words").mkdir()
    (folder / "words/train.json").write_text(json.dumps(known))


def test_a_video_gets_the_caption_of_its_frames_whatever_its_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"train": 3, "val": 1, "test": 1, "seed": 1, "pairs": 100, "captions": [5, 10],
                "static": True, "dynamic": True, "lengths": True}  # fmt: skip
    clips = moving_shapes.generate(settings)[0]["train"].frames
    assert clips is not None
    trained(tmp_path / "runs/small/video-captioning/private", command.settings_of("small", "full"))
    monkeypatch.chdir(tmp_path)
    written = set()
    for clip in clips:
        large = clip.repeat(4, 1).repeat(4, 2)
        pictures = [Image.fromarray(frame) for frame in large]
        pictures[0].save("clip.gif", save_all=True, append_images=pictures[1:], duration=80)
        with av.open("clip.mp4", "w") as file:
            stream: Any = file.add_stream("libx264rgb", rate=12, options={"qp": "0"})
            stream.height, stream.width, stream.pix_fmt = 128, 128, "rgb24"
            for frame in large:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            file.mux(stream.encode())
        told = command.caption(clip, "small", "full")
        for name in ("clip.gif", "clip.mp4"):
            assert np.array_equal(command.read_frames(Path(name)), clip)
            command.main([name])
            assert capsys.readouterr().out == f"{told}\n"
        written.add(told)
    assert len(written) > 1 and all(written)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.gif", "there is no such file"),
        ("bad.gif", "cannot be read as a video"),
        ("still.gif", "has 1 frame; a video has two at least"),
        ("bad.mp4", "cannot be read as a video"),
    ],
)
def test_a_file_that_cannot_be_captioned_gets_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    path = tmp_path / name
    if name.startswith("bad"):
        path.write_bytes(b"nothing of that kind")
    elif name.startswith("still"):
        gif(path, 1)
    with pytest.raises(SystemExit) as stopped:
        command.main([str(path)])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(said, error)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--edition", "real"], "has no captioner that has seen frames; allowed: smoke, small"),
        (["--arm", "best"], "is no captioner of small; allowed: full, no-tags"),
        ([], "train the captioner first, with `snakemake runs/small/video-captioning/private/weights/full/s0-4"),
    ],
)
def test_a_captioner_that_is_not_there_is_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    path = gif(tmp_path / "clip.gif", 3)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        command.main([str(path), *options])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
