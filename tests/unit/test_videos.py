"""Frames of video files: which ones, which way up, and what is said of files that are no videos or not whole."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tenfold.data.videos import frames_of
from tenfold.errors import UserError

GREY = np.broadcast_to(np.arange(0, 240, 10, dtype=np.uint8)[:, None, None, None], (24, 64, 96, 3))
NOISE = np.random.default_rng(0).integers(0, 256, (24, 64, 96, 3), dtype=np.uint8)  # files of some length

FILES = {
    "mpeg4.mp4": ("mpeg4", "yuv420p", {}, {}),
    "h264.mp4": ("libx264", "yuv420p", {}, {"movflags": "faststart"}),
    "h264.mov": ("libx264", "yuv420p", {}, {}),
    "vp8.webm": ("libvpx", "yuv420p", {"b": "1M"}, {}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {}, {}),
    "h264.mkv": ("libx264", "yuv420p", {}, {}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {}, {}),
    "lossless.mp4": ("libx264rgb", "rgb24", {"qp": "0"}, {}),
}


def video(path: Path, frames: NDArray[np.uint8], rate: int = 12) -> Path:
    """Writes frames (N, H, W, 3) as the file's name says."""
    codec, pixels, options, of_file = FILES[path.name]
    try:
        av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this build of av has no encoder {codec}")
    with av.open(str(path), "w", options=of_file) as file:
        stream: Any = file.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("count", [16, 32])
def test_frames_are_those_at_equal_distances(tmp_path: Path, name: str, count: int) -> None:
    frames = frames_of(video(tmp_path / name, GREY), count)
    assert {(frame.mode, frame.size) for frame in frames} == {("RGB", (96, 64))}
    shown = [round(float(np.asarray(frame).mean()) / 10) for frame in frames]
    assert shown == [i * 24 // count for i in range(count)]


def test_a_lossless_file_has_the_very_pixels(tmp_path: Path) -> None:
    frames = frames_of(video(tmp_path / "lossless.mp4", NOISE), 24)
    assert np.array_equal(np.stack([np.asarray(frame) for frame in frames]), NOISE)


def test_frames_are_chosen_by_the_time_for_which_they_are_shown(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (8, 8), (grey, grey, grey)) for grey in (0, 100, 200)]
    pictures[0].save(tmp_path / "held.gif", save_all=True, append_images=pictures[1:], duration=[1000, 2000, 1000])
    greys = [frame.getpixel((0, 0)) for frame in frames_of(tmp_path / "held.gif", 8)]
    assert [grey[0] for grey in greys if isinstance(grey, tuple)] == [0, 0, 100, 100, 100, 100, 200, 200]


def test_what_was_filmed_with_a_turned_camera_is_upright(tmp_path: Path) -> None:
    path = video(tmp_path / "h264.mp4", np.concatenate([GREY[12:13, :32], GREY[23:, :32]], 1).repeat(2, 0))
    content = path.read_bytes()
    straight, turned = (struct.pack(">9i", *(n << 16 for n in rows[:8]), rows[8]) for rows in (
        (1, 0, 0, 0, 1, 0, 0, 0, 1 << 30), (0, 1, 0, -1, 0, 0, 0, 0, 1 << 30)))  # fmt: skip
    track = content.index(straight, content.index(b"tkhd"))
    path.write_bytes(content[:track] + turned + content[track + len(turned) :])
    seen = np.asarray(frames_of(path, 2)[0])
    assert seen.shape == (96, 64, 3)
    assert seen[:, :28].mean() > 200 and seen[:, 36:].mean() < 140, "above is now at the right: it was turned clockwise"


@pytest.mark.parametrize("name", [*FILES, "grey.gif"])
def test_a_file_that_breaks_off_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".gif"):
        pictures = [Image.fromarray(frame) for frame in NOISE[:8, :16, :16]]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=50)
    else:
        video(path, NOISE)
    frames_of(path, 16)
    content = path.read_bytes()
    for share in (0.2, 0.5, 0.8):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(UserError, match=r"breaks off|not whole|has no|has 1 frame") as refused:
            frames_of(path, 16)
        assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


def fewer_than_announced(path: Path) -> None:
    """An AVI whose headers announce twice the frames."""
    video(path.with_name("mpeg4.avi"), GREY)
    content = path.with_name("mpeg4.avi").read_bytes()
    assert content.count(struct.pack("<I", 24)) >= 2
    path.write_bytes(content.replace(struct.pack("<I", 24), struct.pack("<I", 48)))


def no_frames(path: Path) -> None:
    """An MP4 with a track of pictures and nothing in it."""
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("mpeg4", rate=12)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        file.start_encoding()


def sound(path: Path) -> None:
    """A file without pictures."""
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))


@pytest.mark.parametrize(
    ("name", "made", "said"),
    [
        ("none.mp4", None, "there is no such file"),
        ("folder.mp4", lambda path: path.mkdir(), "there is no such file"),
        ("empty.mp4", lambda path: path.touch(), "is empty"),
        ("text.mp4", lambda path: path.write_text("a text\n" * 99), "cannot be read as a video"),
        ("text.txt", lambda path: path.write_text("a text\n" * 99), "cannot be read as a video"),
        ("list.m3u8", lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://localhost/a.ts\n"), "none of mov, mp4"),
        ("still.png", lambda path: Image.new("RGB", (40, 40)).save(path), "none of mov, mp4"),
        ("still.gif", lambda path: Image.new("RGB", (40, 40)).save(path), "has 1 frame; a video has two at least"),
        ("short.avi", fewer_than_announced, r"breaks off after 2\.0 of 4\.0 seconds"),
        ("nothing.mp4", no_frames, "has no frames|has no pictures|cannot be read"),
        ("sound.mov", sound, "has no pictures"),
    ],
)
def test_what_is_no_whole_video_gets_one_line(
    tmp_path: Path, name: str, made: Callable[[Path], object] | None, said: str
) -> None:
    path = tmp_path / name
    if made:
        made(path)
    with pytest.raises(UserError, match=said) as refused:
        frames_of(path, 16)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)
