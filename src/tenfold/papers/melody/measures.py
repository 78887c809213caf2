"""Measures melodies where no listener is at hand: guidance, repetition, structure, copying.

A piece is an array of events, one for each sixteenth, sixteen to a bar: 0 is no-event, 1 note-off, 2 the note-on of
MIDI pitch 48, 3 that of 49, and so on. Its *rhythm* is where something happens: a note-on or a note-off. Profiles are
centres of rhythm vectors of one beat (4 steps) or one bar (16 steps) (Sec. 3.2 of the paper).
"""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tenfold.data.melodies import BAR, FIRST_NOTE, LOWEST, NO_EVENT, NOTE_OFF, Events
from tenfold.papers.melody.profiles import Floats, assign

LAGS = (1, 2, 4, 8, 16)  # bars


def notes_of(piece: Events) -> NDArray[np.int64]:
    """The notes of a piece, one a row: onset, length (both in sixteenths), MIDI pitch; shape (notes, 3).

    A note ends at the next note-on, at a note-off, or with the piece.
    """
    happens = np.flatnonzero(piece != NO_EVENT)
    ends = np.append(happens[1:], len(piece))
    sounds = piece[happens] >= FIRST_NOTE
    onsets = happens[sounds]
    return np.stack([onsets, ends[sounds] - onsets, piece[onsets].astype(np.int64) - FIRST_NOTE + LOWEST], axis=1)


def idle_note_offs(pieces: Iterable[Events]) -> float:
    """Share of note-offs that end nothing: nothing sounds before them. 0 without any note-off."""
    idle = offs = 0
    for piece in pieces:
        events = piece[piece != NO_EVENT]
        ends = events == NOTE_OFF
        after_silence = np.concatenate([[True], ends[:-1]])
        offs += int(ends.sum())
        idle += int((ends & after_silence).sum())
    return idle / offs if offs else 0.0


def rhythm(piece: Events) -> NDArray[np.bool_]:
    """Where something happens, note-on or note-off: the binary vector that profiles are made of."""
    return piece != NO_EVENT


# Guidance (E2) ----------------------------------------------------------------------------------------------------


def profiles_of(piece: Events, centres: Floats) -> NDArray[np.int64]:
    """The profile of each clip of a piece: the nearest centre.

    Args:
        piece: events, shape (steps,).
        centres: shape (profiles, 4) for beats or (profiles, 16) for bars.

    Returns:
        Shape (steps / 4,) or (steps / 16,).
    """
    return assign(rhythm(piece).reshape(-1, centres.shape[1]).astype(np.float64), centres)


def guidance(pieces: Sequence[Events], fed: Sequence[NDArray[np.integer]], centres: Floats) -> dict[str, float]:
    """How well pieces follow the profiles that were handed down to them.

    Args:
        pieces: generated events.
        fed: for each piece the profiles that it was generated under.
        centres: the profiles.

    Returns:
        ``followed``: share of clips whose own profile is the one that was fed. ``chance``: the share that is expected
        when the fed profiles are shuffled over all clips. ``hamming``: mean number of steps of a clip in which its
        rhythm differs from that of the fed profile, rounded to 0 and 1.
    """
    own = np.concatenate([profiles_of(piece, centres) for piece in pieces])
    wanted = np.concatenate(list(fed)).astype(np.int64)
    if own.shape != wanted.shape:
        raise ValueError(f"{len(own)} clips cannot follow {len(wanted)} profiles")
    counts = [np.bincount(profiles, minlength=len(centres)).astype(np.float64) for profiles in (own, wanted)]
    clips = np.concatenate([rhythm(piece).reshape(-1, centres.shape[1]) for piece in pieces])
    return {
        "followed": float(np.mean(own == wanted)),
        "chance": float(counts[0] @ counts[1]) / len(own) ** 2,
        "hamming": float(np.mean((clips != (centres[wanted] >= 0.5)).sum(axis=1))),
    }


def same_rhythm(pieces: Sequence[Events], tune: Events) -> dict[str, float]:
    """How far pieces are new melodies in the rhythm of a given tune (Sec. 4 of the paper, "Twinkle").

    Returns:
        ``bars``: share of bars with exactly the tune's rhythm. ``pitches``: of the steps at which both begin a note,
        the share with the tune's pitch too (1 is a copy); 0 where there are none.
    """
    bars = [(rhythm(piece) == rhythm(tune)).reshape(-1, BAR).all(axis=1) for piece in pieces]
    together = [(piece >= FIRST_NOTE) & (tune >= FIRST_NOTE) for piece in pieces]
    equal = sum(int((piece == tune)[both].sum()) for piece, both in zip(pieces, together, strict=True))
    begun = sum(int(both.sum()) for both in together)
    return {"bars": float(np.mean(bars)), "pitches": equal / begun if begun else 0.0}


# Repetition and structure (E3, E4) ----------------------------------------------------------------------------------


def repetition(pieces: Iterable[NDArray[np.generic]], lags: Sequence[int] = LAGS) -> dict[int, float]:
    """Share of bars that equal the one so many bars before: of events, or of rhythms where those are given.

    Args:
        pieces: each of shape (16 bars,).
        lags: distances in bars; those that no piece is long enough for are left out.
    """
    bars = [piece.reshape(-1, BAR) for piece in pieces]
    found = {}
    for lag in lags:
        equal = [(of[lag:] == of[:-lag]).all(axis=1) for of in bars if len(of) > lag]
        if equal:
            found[lag] = float(np.concatenate(equal).mean())
    return found


def curve_distance(first: Mapping[int, float], second: Mapping[int, float]) -> float:
    """L1 distance of two repetition curves, which must have the same lags."""
    if first.keys() != second.keys():
        raise ValueError(f"curves of different lags: {sorted(first)} and {sorted(second)}")
    return float(sum(abs(first[lag] - second[lag]) for lag in first))


def rhythms_of_bars(pieces: Iterable[Events]) -> set[bytes]:
    """The distinct rhythms of all bars."""
    return {bar.tobytes() for piece in pieces for bar in rhythm(piece).reshape(-1, BAR)}


def irregular(pieces: Iterable[Events], known: set[bytes]) -> float:
    """Share of bars whose rhythm is none of the known ones (those of all bars of the training pieces)."""
    return float(np.mean([bar.tobytes() not in known for piece in pieces for bar in rhythm(piece).reshape(-1, BAR)]))


def self_similarity(pieces: Sequence[NDArray[np.generic]]) -> Floats:
    """Share of steps in which two bars of a piece agree, the mean over pieces of equal length; shape (bars, bars)."""
    bars = np.stack([piece.reshape(-1, BAR) for piece in pieces])
    similar: Floats = (bars[:, :, None] == bars[:, None]).mean(axis=(0, 3))
    return similar


def compression(piece: Events) -> float:
    """Compressed over plain size of the event string (zlib, level 9): the lower, the more regular it is."""
    plain = piece.astype(np.int8).tobytes()
    return len(zlib.compress(plain, 9)) / len(plain)


# Copying (E7) -------------------------------------------------------------------------------------------------------


class Shared:
    """Finds how much of a piece also stands in a collection, event by event.

    All suffixes of the collection's pieces lie sorted; the longest beginning that a string shares with any of them it
    shares with one of its two neighbours.
    """

    def __init__(self, collection: Iterable[Events]) -> None:
        texts = [piece.astype(np.int8).tobytes() for piece in collection]
        self.suffixes = sorted(text[start:] for text in texts for start in range(len(text)))

    def longest(self, piece: Events) -> int:
        """Length of the longest run of events that the piece shares with a piece of the collection, in steps."""
        text, best = piece.astype(np.int8).tobytes(), 0
        for start in range(len(text)):
            if start + best >= len(text):
                break
            suffix = text[start:]
            place = bisect.bisect_left(self.suffixes, suffix)
            for neighbour in self.suffixes[max(0, place - 1) : place + 1]:
                best = max(best, _common_beginning(suffix, neighbour))
        return best


def _common_beginning(first: bytes, second: bytes) -> int:
    length = min(len(first), len(second))
    differ = np.flatnonzero(np.frombuffer(first[:length], np.int8) != np.frombuffer(second[:length], np.int8))
    return int(differ[0]) if len(differ) else length
