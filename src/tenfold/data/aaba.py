"""The stand-in for songs: melodies of four phrases A A' B A'' whose repetitions are known, drawn with integers only.

A phrase has eight bars, whose rhythms are a b a b c d a e: bars 3 and 4 come back to bars 1 and 2. A' has the rhythm of
A with new pitches, B is new, A'' is A again, note for note. Each bar that would be a copy is a new one instead with a
chance of ``noise`` in 100. Pitches walk on the scale of C major, and on the first beat they meet the chord of the bar.
With ``structure`` off every bar is new: nothing comes back but by chance.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from random import Random
from typing import Any

import numpy as np

from tenfold.data.melodies import BAR, BEAT, FIRST_NOTE, LOWEST, NOTE_OFF, Events

FORM = "AaBA"  # phrases: a lower-case letter has the rhythm of its capital, with new pitches
BARS = "ababcdae"  # rhythms of the bars of a phrase; e ends it
BEATS = ("x...", "x.x.", "....", "xxxx", "..x.", "x..x")  # what a beat may be: x is a note-on
WEIGHTS = (46, 24, 18, 3, 5, 4)  # how often, in 100
ENDINGS = ("x.......x.....o.", "x...x...x.....o.", "x.x.x...x.......")  # o is a note-off
BANK = 24  # rhythms that bars are made of, the same in all pieces of a data set
SCALE = (0, 2, 4, 5, 7, 9, 11)
CHORDS = ((0, 4, 7), (9, 0, 4), (5, 9, 0), (7, 11, 2))  # C, A minor, F, G: one a bar, in turn
MIDDLE, REACH = 67, 9  # semitones: melodies keep near G4

Bar = tuple[str, tuple[int, ...]]  # its rhythm, and the pitches of its note-ons


def generate(settings: dict[str, Any]) -> list[Events]:
    """Melodies of 32 bars: events int8 (512,) each.

    Args:
        settings: ``pieces``, ``seed``, ``noise`` (in 100) and ``structure``.
    """
    random = Random(settings["seed"])
    bank = rhythms(random)
    return [piece(random, bank, settings["noise"], structure=settings["structure"]) for _ in range(settings["pieces"])]


def rhythms(random: Random) -> list[str]:
    """``BANK`` different rhythms of a bar; each begins with a note."""
    bank: list[str] = []
    while len(bank) < BANK:
        beats = [_weighted(random) for _ in range(BAR // BEAT)]
        rhythm = "".join(beats)
        if rhythm.startswith("x") and rhythm not in bank:
            bank.append(rhythm)
    return bank


def _weighted(random: Random) -> str:
    """One of ``BEATS``, drawn by its weight."""
    drawn = random.randrange(sum(WEIGHTS))
    return BEATS[bisect_right(list(accumulate(WEIGHTS)), drawn)]


def piece(random: Random, bank: list[str], noise: int, *, structure: bool) -> Events:
    """One melody."""
    phrases: dict[str, list[Bar]] = {}
    bars: list[Bar] = []
    for letter in FORM:
        known = phrases.get(letter.upper())
        phrase = new_phrase(random, bank, noise, structure=structure)
        if structure and known is not None:
            phrase = [
                fresh if random.randrange(100) < noise else copied(random, bar, number, exactly=letter.isupper())
                for number, (bar, fresh) in enumerate(zip(known, phrase, strict=True))
            ]
        phrases.setdefault(letter.upper(), phrase)
        bars += phrase
    return np.concatenate([events_of(bar) for bar in bars])


def new_phrase(random: Random, bank: list[str], noise: int, *, structure: bool) -> list[Bar]:
    """Eight bars, of which some have the rhythm of earlier ones."""
    chosen: dict[str, str] = {}
    bars = []
    for number, letter in enumerate(BARS):
        rhythm = random.choice(ENDINGS) if letter == "e" else random.choice(bank)
        if structure and random.randrange(100) >= noise:
            rhythm = chosen.get(letter, rhythm)
        chosen.setdefault(letter, rhythm)
        bars.append((rhythm, pitches(random, rhythm.count("x"), number)))
    return bars


def copied(random: Random, bar: Bar, number: int, *, exactly: bool) -> Bar:
    """A bar again: as it was, or its rhythm with new pitches."""
    return bar if exactly else (bar[0], pitches(random, bar[0].count("x"), number))


def pitches(random: Random, n: int, number: int) -> tuple[int, ...]:
    """MIDI numbers for the notes of a bar, the first one in the chord of the bar."""
    chord = CHORDS[number % len(CHORDS)]
    start = random.choice([p for p in range(MIDDLE - REACH, MIDDLE + REACH + 1) if p % 12 in chord])
    steps = [p for p in range(MIDDLE - REACH, MIDDLE + REACH + 1) if p % 12 in SCALE]
    place = steps.index(start)
    walk = [start]
    for _ in range(n - 1):
        place = min(max(place + random.choice((-2, -1, -1, 0, 1, 1, 2)), 0), len(steps) - 1)
        walk.append(steps[place])
    return tuple(walk)


def events_of(bar: Bar) -> Events:
    """A bar as events, int8 (16,)."""
    rhythm, notes = bar
    events = np.zeros(BAR, dtype=np.int8)
    events[[step for step, sign in enumerate(rhythm) if sign == "x"]] = [p - LOWEST + FIRST_NOTE for p in notes]
    events[[step for step, sign in enumerate(rhythm) if sign == "o"]] = NOTE_OFF
    return events
