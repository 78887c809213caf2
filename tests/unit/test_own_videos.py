"""Features of one's own videos: what is seen by which net, and what is said of files that do not fit."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model

from tenfold.data.captions import load
from tenfold.data.videos import frames_of
from tenfold.errors import UserError
from tenfold.fetch import MIRROR
from tenfold.launcher import Job
from tenfold.papers.video_captioning import look as looking

CAPTIONS = {"train": "b\ta dog runs\na\ta Cat\nb\ta dog\n", "val": "c\ta bird\n", "test": "d\ta fish\n"}
PREPARE = {"kind": "videos", "frames": 2, "static": "resnet18", "dynamic": "mc3_18"}
CFG: dict[str, Any] = {"dataset": {"name": "own-videos", "prepare": PREPARE, "files": {}, "sha256": None}}


@pytest.fixture(scope="module")
def nets() -> dict[str, nn.Module]:
    """Both nets, with random weights."""
    torch.manual_seed(0)
    return {kind: get_model(PREPARE[kind]).eval() for kind in ("static", "dynamic")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nets: dict[str, nn.Module]) -> Path:
    """Four tiny videos with captions, and the weights: one file of each kind."""
    monkeypatch.setenv(MIRROR, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "own-videos"
    for name in ("videos", "nets"):
        (folder / name).mkdir(parents=True)
    for split, text in CAPTIONS.items():
        (folder / f"{split}.txt").write_text(text)
    torch.save(nets["static"].state_dict(), folder / "nets/static.pth")
    save_file(nets["dynamic"].state_dict(), folder / "nets/dynamic.safetensors")
    generator = np.random.default_rng(0)
    for number, clip in enumerate("abcd"):
        with av.open(str(folder / f"videos/{clip}.mp4"), "w") as file:
            stream: Any = file.add_stream("mpeg4", rate=10)
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
            for _ in range(3 + number):
                frame = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            file.mux(stream.encode())
    return folder


def prepared(folder: Path) -> Path:
    """Looks at all videos."""
    looking.look(CFG, Job(folder.with_name("resume")), dataset=folder.with_name("made"))
    return folder.with_name("made")


def test_each_clip_has_what_the_nets_see_of_it(folder: Path, nets: dict[str, nn.Module]) -> None:
    splits = load(prepared(folder)).splits
    assert splits["train"].captions == [[["a", "dog", "runs"], ["a", "dog"]], [["a", "cat"]]]
    for split, clips in (("train", "ba"), ("val", "c"), ("test", "d")):
        assert {kind: values.shape for kind, values in splits[split].features.items()} == {
            "static": (len(clips), 512),
            "dynamic": (len(clips), 512),
        }
    for clip, split, row in (("a", "train", 1), ("d", "test", 0)):
        frames = torch.tensor(np.stack([np.asarray(frame) for frame in frames_of(folder / f"videos/{clip}.mp4", 2)]))
        for kind, pictures in (("static", frames_by_hand(frames)), ("dynamic", clip_by_hand(frames))):
            with torch.no_grad():
                expected = nn.Sequential(*list(nets[kind].children())[:-1])(pictures).flatten(1).mean(0)
            assert splits[split].features[kind][row] == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-4)


def resized(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Frames (T, H, W, 3) in [0, 1] of another size: (T, 3, height, width), rounded to grey levels."""
    pictures = frames.permute(0, 3, 1, 2).float()
    larger = nn.functional.interpolate(pictures, (height, width), mode="bilinear", antialias=True)
    return larger.round() / 255


def frames_by_hand(frames: torch.Tensor) -> torch.Tensor:
    """The shorter side 256, the middle of 224, the mean and deviation of ImageNet."""
    mean, deviation = (torch.tensor(of)[:, None, None] for of in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    top, left = (256 - 224) // 2, round((341 - 224) / 2)
    return (resized(frames, 256, 341)[..., top : top + 224, left : left + 224] - mean) / deviation


def clip_by_hand(frames: torch.Tensor) -> torch.Tensor:
    """128 x 171 pixels, the middle of 112, the mean and deviation of Kinetics: (1, 3, T, 112, 112)."""
    mean, deviation = (
        torch.tensor(of)[:, None, None] for of in ([0.43216, 0.394666, 0.37645], [0.22803, 0.22145, 0.216989])
    )
    top, left = (128 - 112) // 2, round((171 - 112) / 2)
    return ((resized(frames, 128, 171)[..., top : top + 112, left : left + 112] - mean) / deviation).transpose(0, 1)[
        None
    ]


def test_a_job_that_was_stopped_looks_at_no_video_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "net_of", lambda *_given: lambda pictures: pictures.float().flatten(1)[:, :4])
    whole = prepared(folder).read_bytes()
    folder.with_name("resume").unlink()
    monkeypatch.setattr(looking, "CLIPS_A_PART", 2)
    seen: list[str] = []
    look_at = looking.look_at

    def counted(path: Path, *given: Any) -> Any:
        if len(seen) == 3:
            seen.append("stopped")
            raise KeyboardInterrupt
        seen.append(path.stem)
        return look_at(path, *given)

    monkeypatch.setattr(looking, "look_at", counted)
    with pytest.raises(KeyboardInterrupt):
        prepared(folder)
    assert prepared(folder).read_bytes() == whole
    assert seen == ["b", "a", "c", "stopped", "c", "d"]


def test_videos_may_have_other_names_than_clips(folder: Path) -> None:
    (folder / "videos/b.mp4").rename(folder / "videos/-4w su_5_15.mp4")
    with pytest.raises(UserError, match=r"videos: has no video of b \(1 of 4 have none\)"):
        prepared(folder)
    (folder / "names.txt").write_text("-4w su_5_15 b\n")
    assert looking.videos_of(folder, ["b"])["b"].name == "-4w su_5_15.mp4"


class Unsafe:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return open, ("/nowhere/unpickled",)


@pytest.mark.parametrize(
    ("name", "made", "said"),
    [
        ("nets/static.pth", None, r"static\.safetensors is not here, nor static\.pth"),
        ("nets/static.pth", lambda path: path.write_bytes(b"none"), "is no file of weights"),
        ("nets/static.pth", lambda path: path.write_bytes(pickle.dumps(Unsafe(), 2)), "is no file of weights"),
        ("nets/static.pth", lambda path: torch.save({"a": Unsafe()}, path), "is no file of weights"),
        ("nets/static.pth", lambda path: torch.save([torch.ones(1)], path), "has no named tensors"),
        ("nets/static.pth", lambda path: torch.save({"a": torch.ones(1)}, path), "no weights of resnet18: Missing key"),
        ("nets/dynamic.safetensors", lambda path: path.write_bytes(b"none"), "is no file of weights"),
        ("train.txt", lambda path: path.write_text("a a dog\n"), "line 1: 'a a dog' is not"),
        ("train.txt", lambda path: path.write_bytes(b"a\t\xff dog\n"), "is no text in UTF-8"),
        ("val.txt", lambda path: path.write_text(""), "has no captions"),
        ("val.txt", lambda path: path.write_text("a\ta dog\n"), "a is in two of train.txt, val.txt, test.txt"),
        ("test.txt", None, "there is no such file"),
        ("videos/a.mov", lambda path: path.touch(), r"a\.mp4|is of clip a"),
        ("videos/a.mp4", lambda path: path.write_bytes(path.read_bytes()[:900]), "a.mp4: cannot be read as a video"),
    ],
)
def test_what_does_not_fit_gets_one_line(
    folder: Path, name: str, made: Callable[[Path], object] | None, said: str
) -> None:
    path = folder / name
    if made:
        made(path)
    else:
        path.unlink()
    with pytest.raises(UserError, match=said) as refused:
        prepared(folder)
    assert "\n" not in str(refused.value)
