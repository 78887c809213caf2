"""Writes composed melodies as MIDI files, to be listened to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import mido

from tenfold.data.melodies import BAR, BEAT, Events
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.melody.composed import read_composed
from tenfold.papers.melody.conditions import condition_title
from tenfold.papers.melody.measures import notes_of

TICKS = 480  # per quarter note
STEP = TICKS // BEAT  # a sixteenth
TEMPO = 120  # quarter notes a minute, as most of the paper's lead sheets
PIANO, VELOCITY = 0, 90
BETWEEN = BAR  # sixteenths of silence between two pieces


@stage
def midi(cfg: Cfg, job: Job, *, shown: Input, examples: Output) -> None:
    """The first pieces of the first seed, one after the other; a marker says where each begins.

    Args:
        cfg: ``seeds``, and ``examples``, how many pieces of each condition.
        job: what surrounds the run.
        shown: what the model composed, without pieces that are too much like one of the training set.
        examples: the MIDI file.
    """
    pieces = [
        (f"{condition_title(condition)}, {number}", piece)
        for condition, composed in read_composed(shown, cfg["seeds"][0]).items()
        for number, piece in enumerate(composed.events[: cfg["examples"]], start=1)
    ]
    write_midi(examples, pieces)
    job.say(f"{len(pieces)} pieces")


def write_midi(path: Path, pieces: Sequence[tuple[str, Events]]) -> None:
    """Writes pieces, each with its title, as one track in 4/4: equal pieces, equal bytes."""
    track = mido.MidiTrack([
        mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(TEMPO)),
        mido.MetaMessage("time_signature", numerator=4, denominator=4),
        mido.Message("program_change", program=PIANO),
    ])  # fmt: skip
    now = 0
    for at, message in timed(pieces):
        message.time = at - now
        track.append(message)
        now = at
    mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track]).save(path)


def timed(pieces: Sequence[tuple[str, Events]]) -> Iterator[tuple[int, mido.Message | mido.MetaMessage]]:
    """Messages and when they come, in ticks."""
    start = 0
    for title, piece in pieces:
        yield start * STEP, mido.MetaMessage("marker", text=title)
        for onset, length, pitch in notes_of(piece).tolist():
            yield (start + onset) * STEP, mido.Message("note_on", note=pitch, velocity=VELOCITY)
            yield (start + onset + length) * STEP, mido.Message("note_off", note=pitch, velocity=0)
        start += len(piece) + BETWEEN


if __name__ == "__main__":
    main(midi)
