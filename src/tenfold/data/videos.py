"""Some frames of a video file at equal distances, decoded by FFmpeg (PyAV)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from PIL import Image
from tqdm import tqdm

from tenfold.errors import UserError

# What is opened. No playlists, which name other files and addresses, no text, which FFmpeg would draw; and of these
# formats alone it can be seen whether a file is whole.
FORMATS = ("mov", "mp4", "matroska", "webm", "avi", "gif")
WHOLE = 0.9  # of what a file announces; some encoders announce a little more than there is
GIF_ENDS = b";"
ROUNDING = 0.002  # seconds, to which formats round the time of a frame
LONG = 3.0  # seconds after which a bar says how far the decoder is


def frames_of(path: Path, count: int) -> list[Image.Image]:
    """What a video shows at the start of each of so many equal parts of its time, upright, in RGB.

    Of N frames at a constant rate that is frame ``i * N // count``. It is decoded twice, first to learn when frames are
    shown, so that no more than those that are asked for are in memory.

    Args:
        path: a file in one of `FORMATS`.
        count: how many frames; of a shorter video some are repeated.

    Raises:
        UserError: it is no such file, it has fewer than two frames, or it breaks off.
    """
    times, seconds = _times(path)
    starts = times[0] + np.arange(count) * (seconds / count)
    wanted = (np.searchsorted(times, starts + ROUNDING, side="right") - 1).tolist()
    found = {}
    with _opened(path) as video:
        for number, frame in enumerate(video.decode(video=0)):
            if number in wanted:
                found[number] = frame.to_image().rotate(frame.rotation, expand=True)
            if number == wanted[-1]:
                break
    return [found[number] for number in wanted]


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    """A file with a stream of pictures; what cannot be read of it while it is open is a user's error."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    if not path.stat().st_size:
        raise UserError(f"{path}: is empty")
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
    try:
        with av.open(f"file:{path}", options=options) as video:
            if not video.streams.video:
                raise UserError(f"{path}: has no pictures")
            yield video
    except av.FFmpegError as error:
        raise UserError(
            f"{path}: cannot be read as a video ({error.strerror}); it is not whole, or none of {', '.join(FORMATS)}"
        ) from None


def _times(path: Path) -> tuple[list[float], float]:
    """When each frame of a video is shown, and how long all of it lasts, in seconds."""
    with _opened(path) as video:
        stream = video.streams.video[0]
        frames = tqdm(
            video.decode(stream),
            desc=path.name,
            total=stream.frames or None,
            unit=" frames",
            delay=LONG,
            leave=False,
            disable=None,
        )
        times = sorted(frame.time or 0.0 for frame in frames)
        announced, seconds, kind = stream.frames or math.inf, (video.duration or 0) / av.time_base, video.format.name
    found = len(times)
    if found < 2:
        raise UserError(f"{path}: has {found or 'no'} frame{'s'[: not found]}; a video has two at least")
    lasts = (times[-1] - times[0]) * found / (found - 1)
    # A last picture may be held for long, or frames left out on purpose: short is what has too little of both.
    if lasts < WHOLE * seconds and found < WHOLE * announced:
        raise UserError(f"{path}: breaks off after {lasts:.1f} of {seconds:.1f} seconds; bring the whole file")
    if kind == "gif" and not path.read_bytes().rstrip(b"\0").endswith(GIF_ENDS):
        raise UserError(f"{path}: breaks off after {found} frames; bring the whole file")
    return times, max(lasts, seconds)
