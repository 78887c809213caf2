"""The tune whose rhythm is lent to a new melody (Figure 8 of the paper): traditional, in C, twelve bars."""

from __future__ import annotations

import numpy as np

from tenfold.data.melodies import BEAT, FIRST_NOTE, LOWEST, NO_EVENT, Events

# "Twinkle, Twinkle, Little Star": a letter is a quarter note, a dash holds it for another quarter.
FIRST = "CCGG AAG- FFEE DDC-"
MIDDLE = "GGFF EED- GGFF EED-"
TWINKLE = f"{FIRST} {MIDDLE} {FIRST}"
PITCHES = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 69}


def twinkle() -> Events:
    """The tune as events, shape (192,): it begins on middle C."""
    events = np.full(BEAT * len(TWINKLE.replace(" ", "")), NO_EVENT, dtype=np.int8)
    for beat, letter in enumerate(TWINKLE.replace(" ", "")):
        if letter != "-":
            events[BEAT * beat] = PITCHES[letter] - LOWEST + FIRST_NOTE
    return events
