"""Melodies that are on record as notes, to be heard and seen: MP3, which every browser plays, and a piano roll."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from markupsafe import Markup

HEADER = ["piece", "onset", "length", "pitch"]  # of the numbers behind a figure of melodies; in sixteenths, MIDI pitch
SIXTEENTH = 0.125  # seconds, at 120 beats a minute
RATE, BITS = 22050, 32000  # samples and bits a second
PARTIALS = (1.0, 0.45, 0.2, 0.1)
ATTACK, DECAY = 0.01, 0.6  # seconds

Note = tuple[int, int, int]  # onset, length, pitch


def pieces(figure: Path) -> dict[str, list[Note]]:
    """The melodies behind a figure by name; none where it shows something else."""
    header, *rows = csv.reader(figure.with_suffix(".csv").read_text(encoding="utf-8").splitlines())
    found: dict[str, list[Note]] = {}
    for row in rows if header == HEADER else ():
        onset, length, pitch = map(int, row[1:])
        found.setdefault(row[0], []).append((onset, length, pitch))
    return found


def samples(notes: Sequence[Note]) -> np.ndarray:
    """The sound of notes, as 16-bit numbers: a few partials each, struck and dying away."""
    end = max(onset + length for onset, length, _ in notes)
    sound = np.zeros(int((end * SIXTEENTH + 0.5) * RATE))
    for onset, length, pitch in notes:
        time = np.arange(int(length * SIXTEENTH * RATE)) / RATE
        tone = 440 * 2 ** ((pitch - 69) / 12)
        struck = np.exp(-time / DECAY) * np.minimum(1, time / ATTACK) * np.minimum(1, time[::-1] / ATTACK)
        start = int(onset * SIXTEENTH * RATE)
        sound[start : start + len(time)] += struck * sum(
            part * np.sin(2 * np.pi * tone * (number + 1) * time) for number, part in enumerate(PARTIALS)
        )
    return (sound / np.abs(sound).max() * 0.8 * 32767).astype("<i2")


def write_mp3(path: Path, notes: Sequence[Note]) -> None:
    """Writes the sound of notes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = av.AudioFrame.from_ndarray(samples(notes)[np.newaxis], format="s16p", layout="mono")
    frame.sample_rate = RATE
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mp3", rate=RATE, layout="mono", bit_rate=BITS)
        file.mux([*stream.encode(frame), *stream.encode(None)])


def roll(notes: Sequence[Note]) -> Markup:
    """The notes as a piano roll (SVG): time to the right, a line a bar, pitch upwards."""
    low, high = min(pitch for *_, pitch in notes), max(pitch for *_, pitch in notes)
    end = max(onset + length for onset, length, _ in notes)
    bars = "".join(f'<path class="bar" d="M{bar} 0V{high - low + 1}"/>' for bar in range(16, end, 16))
    drawn = "".join(f'<rect x="{onset}" y="{high - pitch}" width="{length - 0.3:g}" height="0.9"/>'
                    for onset, length, pitch in notes)  # fmt: skip
    box = f'viewBox="0 0 {end} {high - low + 1}" preserveAspectRatio="none"'
    return Markup(f'<svg class="roll" {box} aria-hidden="true">{bars}{drawn}</svg>')  # noqa: S704
