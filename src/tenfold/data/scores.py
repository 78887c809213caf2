"""Reads melodies from scores: MusicXML (.mxl, .musicxml), ABC and MIDI, each as one event for every sixteenth.

Scores come from anywhere, so whatever is wrong with one leaves one reason, and the others are read.
"""

from __future__ import annotations

import hashlib
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import mido
import numpy as np
from music21 import converter, harmony, key, meter, note, stream

from tenfold.data.melodies import BAR, BEAT, FIRST_NOTE, HIGHEST, LOWEST, NO_EVENT, NOTE_OFF, Events

MAX_BYTES = 20_000_000  # of a score, unpacked


class UnusableError(Exception):
    """Why a score is left out, in a few words."""


@dataclass(frozen=True)
class Sound:
    """A note, or a rest where there is no pitch; times in sixteenths from the beginning of its bar.

    Attributes:
        onset: when it begins.
        length: how long it lasts.
        pitch: MIDI number; None for a rest.
        tied: whether it goes on with the note before it.
    """

    onset: Fraction
    length: Fraction
    pitch: int | None
    tied: bool = False


@dataclass
class Score:
    """One tune as it is written.

    Attributes:
        title: where it was read: the file, and within it the number of the tune.
        metres: all time signatures, such as "4/4".
        sharps: of the first key signature (flats count negative); None where there is none.
        bars: their sounds, in order.
        lengths: of the bars, in sixteenths.
    """

    title: str
    metres: list[str]
    sharps: int | None
    bars: list[list[Sound]] = field(default_factory=list)
    lengths: list[Fraction] = field(default_factory=list)


@dataclass
class Reading:
    """What was read of many files.

    Attributes:
        pieces: events int8 (16 bars,), all in C major or A minor.
        titles: of the pieces.
        dropped: ``file`` and ``reason`` of what was left out, one for each tune or broken file.
        estimated_keys: how many of the pieces had no key signature.
    """

    pieces: list[Events] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    dropped: list[dict[str, str]] = field(default_factory=list)
    estimated_keys: int = 0


def read(files: Iterator[tuple[str, Path]] | list[tuple[str, Path]]) -> Reading:
    """Reads scores and leaves out, with a reason, what the model cannot represent.

    Args:
        files: names, as they appear in titles and reasons, and paths.
    """
    reading = Reading()
    for name, path in files:
        try:
            scores = scores_of(name, path)
        except UnusableError as reason:
            reading.dropped.append({"file": name, "reason": str(reason)})
            continue
        for score in scores:
            try:
                events = events_of(score)
            except UnusableError as reason:
                reading.dropped.append({"file": score.title, "reason": str(reason)})
                continue
            reading.pieces.append(events)
            reading.titles.append(score.title)
            reading.estimated_keys += score.sharps is None
    return reading


def scores_of(name: str, path: Path) -> list[Score]:
    """The tunes of a file.

    Raises:
        UnusableError: it is broken, too large, or of no known kind.
    """
    try:
        match path.suffix.lower():
            case ".mxl":
                return [_from_stream(name, _parsed(_unpacked(path), "musicxml"))]
            case ".musicxml" | ".xml":
                return [_from_stream(name, _parsed(_text(path), "musicxml"))]
            case ".abc":
                parsed = _parsed(_text(path), "abc")
                tunes = list(parsed.scores) if isinstance(parsed, stream.Opus) else [parsed]
                return [_from_stream(f"{name}#{number}", tune) for number, tune in enumerate(tunes, start=1)]
            case ".mid" | ".midi":
                return [_from_midi(name, path)]
    except UnusableError:
        raise
    except Exception as error:  # parsers fail in many ways on files that are not what they seem
        raise UnusableError(f"cannot be read ({type(error).__name__})") from None
    raise UnusableError(f"{path.suffix or 'no suffix'} is not a known kind of score")


def _lasting(metres: dict[Fraction, str]) -> list[str]:
    """Time signatures in order, from when on, in sixteenths, each is in force.

    One that another replaces before a bar of 4/4 is over belongs to a short first bar, and is no metre of the tune.
    """
    changes = sorted(metres)
    if len(changes) > 1 and changes[1] < BAR:
        del changes[0]
    return list(dict.fromkeys(metres[start] for start in changes))


# Files ------------------------------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise UnusableError(f"larger than {MAX_BYTES // 10**6} MB")
    return path.read_text(encoding="utf-8", errors="replace")


def _unpacked(path: Path) -> str:
    """The score in a compressed MusicXML file; no more of it is unpacked than is allowed."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.startswith("META-INF")]
            scores = [name for name in names if name.endswith((".xml", ".musicxml"))]
            if not scores:
                raise UnusableError("has no score in it")
            with archive.open(scores[0]) as file:
                content = file.read(MAX_BYTES + 1)
    except zipfile.BadZipFile:
        raise UnusableError("is not a whole zip archive") from None
    if len(content) > MAX_BYTES:
        raise UnusableError(f"unpacks to more than {MAX_BYTES // 10**6} MB")
    return content.decode("utf-8", errors="replace")


def _parsed(text: str, form: str) -> Any:
    if "<!ENTITY" in text:
        raise UnusableError("defines entities, which scores do not need")
    return converter.parseData(text, format=form)


# MusicXML and ABC -------------------------------------------------------------------------------------------------


def _from_stream(title: str, score: Any) -> Score:
    part = score.parts[0] if isinstance(score, stream.Score) and score.parts else score
    metres = {
        BEAT * Fraction(signature.getOffsetInHierarchy(part)): signature.ratioString
        for signature in part.recurse().getElementsByClass(meter.TimeSignature)
    }
    signatures = list(part.recurse().getElementsByClass(key.KeySignature))
    found = Score(title, _lasting(metres), signatures[0].sharps if signatures else None)
    bars = part if part.hasMeasures() else part.makeMeasures()  # an ABC tune without bar lines has none
    for bar in bars.getElementsByClass(stream.Measure):
        if len(bar.voices) > 1:
            raise UnusableError("more than one voice")
        sounds = [
            _sound(element, bar)
            for element in bar.recurse().notesAndRests
            if not isinstance(element, harmony.Harmony) and not element.duration.isGrace
        ]
        found.bars.append(sounds)
        found.lengths.append(max((sound.onset + sound.length for sound in sounds), default=Fraction(0)))
    return found


def _sound(element: Any, bar: Any) -> Sound:
    """A note, a rest, or a chord's highest note."""
    pitch = None if isinstance(element, note.Rest) else max(each.midi for each in element.pitches)
    tied = element.tie is not None and element.tie.type in ("stop", "continue")
    onset = Fraction(element.getOffsetInHierarchy(bar))
    return Sound(BEAT * onset, BEAT * Fraction(element.duration.quarterLength), pitch, tied)


# MIDI -------------------------------------------------------------------------------------------------------------


def _from_midi(title: str, path: Path) -> Score:
    """The melody of a MIDI file; a note ends where the next begins. Without a time signature its metre is 4/4.

    Bar lines are those of its time signatures; a rest before the first note is a part of its bar, as in any score.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UnusableError(f"larger than {MAX_BYTES // 10**6} MB")
    file = mido.MidiFile(path)
    metres: dict[Fraction, str] = {}  # from when on, in sixteenths
    sharps: int | None = None
    starts: dict[int, int] = {}  # pitch -> tick
    notes: list[tuple[int, int, int]] = []  # onset and end in ticks, pitch
    now = 0
    for message in mido.merge_tracks(file.tracks):
        now += message.time
        match message.type:
            case "time_signature":
                metres[_sixteenths(now, file)] = f"{message.numerator}/{message.denominator}"
            case "key_signature" if sharps is None:
                sharps = key.Key(_key_name(message.key)).sharps
            case "note_on" if message.velocity:
                starts.setdefault(message.note, now)
            case "note_on" | "note_off" if message.note in starts:
                notes.append((starts.pop(message.note), now, message.note))
    notes.sort()
    sounds: list[Sound] = []
    silent_from = Fraction(0)
    for index, (onset, end, pitch) in enumerate(notes):
        if index + 1 < len(notes):
            end = min(end, notes[index + 1][0])
        begins, ends = _sixteenths(onset, file), _sixteenths(end, file)
        if begins > silent_from:
            sounds.append(Sound(silent_from, begins - silent_from, None))
        if ends > begins:
            sounds.append(Sound(begins, ends - begins, pitch))
            silent_from = ends
    first = next((start for start in sorted(metres) if 0 < start < BAR), Fraction(BAR))
    return _in_bars(Score(title, _lasting(metres) or ["4/4"], sharps), sounds, first)


def _sixteenths(ticks: int, file: mido.MidiFile) -> Fraction:
    return Fraction(BEAT * ticks, file.ticks_per_beat)


def _key_name(midi: str) -> str:
    """The name of a key in MIDI files as music21 writes it: ``Bbm`` -> ``b-``."""
    tonic = midi.removesuffix("m").replace("b", "-")
    return tonic.lower() if midi.endswith("m") else tonic


def _in_bars(score: Score, sounds: list[Sound], first: Fraction) -> Score:
    """Cuts sounds at the lines of bars: one of length ``first``, and then bars of 4/4."""
    if not sounds:
        return score
    bars: dict[int, list[Sound]] = {}
    for sound in sounds:
        start, end, tied = sound.onset, sound.onset + sound.length, False
        while start < end:
            bar = int((start - first) // BAR) + 1
            line = first + BAR * (bar - 1) if bar else Fraction(0)
            until = min(end, first + BAR * bar)
            bars.setdefault(bar, []).append(Sound(start - line, until - start, sound.pitch, tied))
            start, tied = until, sound.pitch is not None
    score.bars = [bars.get(bar, []) for bar in range(max(bars) + 1)]
    score.lengths = [first] + [Fraction(BAR)] * (len(score.bars) - 1)
    return score


# Events -----------------------------------------------------------------------------------------------------------


def events_of(score: Score) -> Events:
    """A score as events: int8 (16 bars,), 0 no-event, 1 note-off, 2 the note-on of MIDI pitch 48, and so on.

    A held note is a note-on followed by no-events; note-off stands where a rest follows a note. The tune is shifted by
    the smallest interval to C major or A minor, and notes outside 48 to 83 by octaves (Sec. 4.1). A short bar is
    filled up. A pickup is a first bar that is shorter than the others: the paper leaves such tunes out, for their bars
    are cut wrongly. A bar that begins with a rest is whole ([choice]), and its tune stays, whatever the kind of score.

    Raises:
        UnusableError: it is not 4/4 throughout, begins with a pickup, or leaves the sixteenth grid.
    """
    if score.metres != ["4/4"]:
        raise UnusableError(f"not 4/4 throughout: {', '.join(score.metres) or 'no time signature'}")
    if not any(sound.pitch is not None for bar in score.bars for sound in bar):
        raise UnusableError("no notes")
    if any(length > BAR for length in score.lengths):
        raise UnusableError("a bar longer than 4/4")
    if score.lengths[0] < BAR:
        raise UnusableError("begins with a pickup")
    if any(time.denominator != 1 for bar in score.bars for sound in bar for time in (sound.onset, sound.length)):
        raise UnusableError("off the sixteenth grid")
    shift = shift_to_c(_sharps(score) if score.sharps is None else score.sharps)
    events = np.full(BAR * len(score.bars), NO_EVENT, dtype=np.int8)
    sounds = False
    for number, bar in enumerate(score.bars):
        for sound in bar:
            step = BAR * number + int(sound.onset)
            if sound.pitch is None:
                if sounds:
                    events[step] = NOTE_OFF
                sounds = False
            elif not (sound.tied and sounds):
                events[step] = class_of(sound.pitch + shift)
                sounds = True
    return events


def class_of(pitch: int) -> int:
    """The class of a note-on, its pitch first brought by octaves into the three that have classes."""
    while pitch < LOWEST:
        pitch += 12
    while pitch > HIGHEST:
        pitch -= 12
    return FIRST_NOTE + pitch - LOWEST


def shift_to_c(sharps: int) -> int:
    """Semitones, -6 to 5, from a key signature to none: to C major, or to A minor, which has the same signature."""
    return (6 - 7 * sharps) % 12 - 6


def _sharps(score: Score) -> int:
    """The key signature that music21's Krumhansl-Schmuckler key finder estimates where the score has none."""
    tune: Any = stream.Stream()
    for bar in score.bars:
        for sound in bar:
            if sound.pitch is not None:
                tune.append(note.Note(sound.pitch, quarterLength=sound.length / BEAT))
    return int(tune.analyze("key").sharps)


def content_digest(files: list[tuple[str, Path]]) -> str:
    """One SHA-256 over names and contents of files."""
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n".encode())
    return digest.hexdigest()


def listed(folder: Path, pattern: str) -> list[tuple[str, Path]]:
    """The files below a folder that fit a pattern, by name, in an order that is the same on every system."""
    paths = [path for path in folder.glob(pattern) if path.is_file()]
    return sorted((unicodedata.normalize("NFC", path.relative_to(folder).as_posix()), path) for path in paths)
