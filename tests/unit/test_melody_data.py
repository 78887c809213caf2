"""Melodies: read from scores of three kinds, drawn, divided, and coded by profiles."""

from __future__ import annotations

import itertools
import json
import os
import struct
import zipfile
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.cluster.vq import kmeans2

from tenfold import config, registry
from tenfold.data import aaba, scores
from tenfold.data.melodies import BAR, CLASSES, Melodies, load, write
from tenfold.data.prepare_melodies import folder_of, prepare
from tenfold.errors import UserError
from tenfold.files import sha256
from tenfold.launcher import Job
from tenfold.papers.melody.measures import notes_of, repetition, rhythm
from tenfold.papers.melody.profiles import assign, clips, elbow, fit, inertia
from tenfold.papers.melody.split import near_duplicates, split

# E5 C5 D5 B4, a rest, B4: the bar of the paper's Figure 3, E5 N C5 N D5 N B4 N O N N N B4 N N N.
FIGURE_3 = [30, 0, 26, 0, 28, 0, 25, 0, 1, 0, 0, 0, 25, 0, 0, 0]
ABC = "X:1\nT:bar\nM:{metre}\nL:1/8\nK:{key}\n{notes}\n"
METRE = "<time><beats>{beats}</beats><beat-type>4</beat-type></time>"
EIGHTH = "<note>{what}<duration>{length}</duration>{tie}<voice>1</voice></note>"


def from_abc(tmp_path: Path, notes: str, metre: str = "4/4", key: str = "C") -> scores.Reading:
    path = tmp_path / "tune.abc"
    path.write_text(ABC.format(metre=metre, key=key, notes=notes))
    return scores.read([("tune.abc", path)])


def note_xml(name: str, length: int, tie: str = "") -> str:
    what = f"<pitch><step>{name[0]}</step><octave>{name[1]}</octave></pitch>" if name != "rest" else "<rest/>"
    return EIGHTH.format(what=what, length=length, tie=f'<tie type="{tie}"/>' if tie else "")


def musicxml(bars: list[list[tuple]], fifths: int = 0, beats: int = 4, divisions: int = 4) -> str:
    attributes = (
        f"<attributes><divisions>{divisions}</divisions><key><fifths>{fifths}</fifths></key>"
        f"{METRE.format(beats=beats)}</attributes>"
    )
    measures = "".join(
        f'<measure number="{n}">{attributes if n == 1 else ""}{"".join(note_xml(*each) for each in bar)}</measure>'
        for n, bar in enumerate(bars, start=1)
    )
    head = '<part-list><score-part id="P1"><part-name>M</part-name></score-part></part-list>'
    return f'<?xml version="1.0"?><score-partwise>{head}<part id="P1">{measures}</part></score-partwise>'


def mxl(path: Path, text: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", text)
    return path


def midi(path: Path, notes: list[tuple[int, int, int]], *, first: int = 0, key: str = "C") -> Path:
    """Notes as (onset, length, pitch) in sixteenths of 120 ticks; a first bar of 0 is no other than those of 4/4."""
    track = mido.MidiTrack([mido.MetaMessage("key_signature", key=key)])
    messages: list[tuple[int, mido.Message | mido.MetaMessage]] = [
        (120 * first, mido.MetaMessage("time_signature", numerator=4, denominator=4))
    ]
    if first:
        messages += [(0, mido.MetaMessage("time_signature", numerator=first, denominator=16))]
    for velocity, at in ((90, 0), (0, 1)):
        messages += [
            (120 * (on + at * long), mido.Message("note_on", note=pitch, velocity=velocity))
            for on, long, pitch in notes
        ]
    now = 0
    for at, message in sorted(messages, key=lambda each: (each[0], getattr(each[1], "velocity", 0))):
        track.append(message.copy(time=at - now))
        now = at
    mido.MidiFile(type=0, ticks_per_beat=480, tracks=[track]).save(path)
    return path


# Reading ----------------------------------------------------------------------------------------------------------


def test_the_bar_of_figure_3_is_coded_as_printed_from_every_kind_of_score(tmp_path: Path):
    eighths = [("E5", 2), ("C5", 2), ("D5", 2), ("B4", 2), ("rest", 4), ("B4", 4)]
    played = [(0, 2, 76), (2, 2, 72), (4, 2, 74), (6, 2, 71), (12, 4, 71)]
    readings = [
        from_abc(tmp_path, "ecdB z2B2|"),
        scores.read([("x.mxl", mxl(tmp_path / "x.mxl", musicxml([eighths])))]),
        scores.read([("x.mid", midi(tmp_path / "x.mid", played))]),
    ]
    for reading in readings:
        assert reading.dropped == []
        assert reading.pieces[0].tolist() == FIGURE_3
    assert notes_of(readings[0].pieces[0]).tolist() == [[0, 2, 76], [2, 2, 72], [4, 2, 74], [6, 2, 71], [12, 4, 71]]


def test_ties_go_on_and_equal_pitches_begin_anew(tmp_path: Path):
    tied = musicxml([[("C5", 8), ("C5", 8, "start")], [("C5", 4, "stop"), ("C5", 12)]])
    (piece,) = scores.read([("x.mxl", mxl(tmp_path / "x.mxl", tied))]).pieces
    assert np.flatnonzero(piece).tolist() == [0, 8, 20]
    (same,) = from_abc(tmp_path, "c4c4-|c2c6|").pieces
    assert np.array_equal(piece, same)


@pytest.mark.parametrize(
    ("key", "tonic", "shift"),
    [("C", 60, 0), ("D", 62, -2), ("Bb", 70, 2), ("F#", 66, -6), ("Am", 69, 0), ("Em", 64, 5)],
)
def test_tunes_are_shifted_by_the_smallest_interval_to_c_major_or_a_minor(
    key: str, tonic: int, shift: int, tmp_path: Path
):
    path = midi(tmp_path / "x.mid", [(0, 16, tonic)], key=key)
    (piece,) = scores.read([("x.mid", path)]).pieces
    pitch = int(piece[0]) - 2 + 48
    assert pitch == tonic + shift
    assert pitch % 12 == (9 if key.endswith("m") else 0)


def test_notes_outside_three_octaves_are_brought_in_by_octaves():
    assert [scores.class_of(pitch) for pitch in (47, 48, 83, 84, 20, 108)] == [13, 2, 37, 26, 10, 26]
    assert max(scores.class_of(pitch) for pitch in range(128)) == CLASSES - 1


def test_a_score_without_a_key_signature_gets_an_estimated_one(tmp_path: Path):
    text = musicxml([[("G4", 4), ("B4", 4), ("D5", 4), ("G5", 4)]]).replace("<key><fifths>0</fifths></key>", "")
    reading = scores.read([("x.mxl", mxl(tmp_path / "x.mxl", text))])
    assert reading.estimated_keys == 1
    assert int(reading.pieces[0][0]) - 2 + 48 == 72  # G4 a fourth up


def test_what_is_wrong_with_a_score_is_one_line_and_stops_nothing(tmp_path: Path):
    whole = musicxml([[("C5", 16)]])
    cut = mxl(tmp_path / "cut.mxl", whole)
    cut.write_bytes(cut.read_bytes()[:-40])
    bomb = mxl(tmp_path / "bomb.mxl", "<a>" + "0" * (scores.MAX_BYTES + 1))
    files = {
        "waltz.mxl": mxl(tmp_path / "waltz.mxl", musicxml([[("C5", 12)]], beats=3)),
        "cut.mxl": cut,
        "bomb.mxl": bomb,
        "triplet.mxl": mxl(tmp_path / "triplet.mxl", musicxml([[("C5", 1), ("D5", 11)]], divisions=3)),
        "silence.mxl": mxl(tmp_path / "silence.mxl", musicxml([[("rest", 16)]])),
        "garbage.mxl": mxl(tmp_path / "garbage.mxl", "<score-partwise><part></score>"),
        "entities.mxl": mxl(tmp_path / "entities.mxl", '<!DOCTYPE a [<!ENTITY b "c">]>' + whole),
        "upbeat.mid": midi(tmp_path / "upbeat.mid", [(0, 4, 60), (4, 16, 62)], first=4),
        "good.mxl": mxl(tmp_path / "good.mxl", whole),
    }
    (tmp_path / "empty.mid").write_bytes(b"")
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 0, 480)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "hollow.mid").write_bytes(header)
    files |= {name: tmp_path / name for name in ("empty.mid", "hollow.mid", "notes.txt")}
    reading = scores.read(list(files.items()))
    assert bomb.stat().st_size < 100_000
    assert reading.titles == ["good.mxl"]
    reasons = {entry["file"]: entry["reason"] for entry in reading.dropped}
    assert len(reading.dropped) == len(files) - 1
    assert all("\n" not in reason for reason in reasons.values())
    assert reasons == {
        "waltz.mxl": "not 4/4 throughout: 3/4",
        "cut.mxl": "is not a whole zip archive",
        "bomb.mxl": "unpacks to more than 20 MB",
        "triplet.mxl": "off the sixteenth grid",
        "silence.mxl": "no notes",
        "garbage.mxl": reasons["garbage.mxl"],
        "entities.mxl": "defines entities, which scores do not need",
        "upbeat.mid": "begins with a pickup",
        "empty.mid": "cannot be read (EOFError)",
        "hollow.mid": "no notes",
        "notes.txt": ".txt is not a known kind of score",
    }
    assert reasons["garbage.mxl"].startswith("cannot be read")


def test_a_pickup_and_an_overlong_bar_are_left_out_and_a_short_later_bar_is_filled(tmp_path: Path):
    assert from_abc(tmp_path, "c2|c8|").dropped == [{"file": "tune.abc#1", "reason": "begins with a pickup"}]
    long = mxl(tmp_path / "long.mxl", musicxml([[("C5", 16)], [("C5", 18)]]))
    assert scores.read([("long.mxl", long)]).dropped == [{"file": "long.mxl", "reason": "a bar longer than 4/4"}]
    (piece,) = from_abc(tmp_path, "c8|c4|e8|").pieces
    assert np.flatnonzero(piece).tolist() == [0, 16, 32]


# G4 as a pickup of one beat, then C5 E5 over the bar line and a rest, D5.
UPBEAT, WHOLE = [("G4", 4)], [[("C5", 8), ("E5", 8, "start")], [("E5", 4, "stop"), ("rest", 4), ("D5", 8)]]
PLAYED = [(12, 4, 67), (16, 8, 72), (24, 12, 76), (40, 8, 74)]


def test_a_tune_with_a_pickup_has_the_same_bars_whatever_it_is_read_from(tmp_path: Path):
    """Written out as a rest the first bar is whole; written short it is a pickup, and the tune is left out."""
    bars = [[("rest", 12), *UPBEAT], *WHOLE]
    readings = [
        scores.read([("x", mxl(tmp_path / "x.mxl", musicxml(bars)))]),
        scores.read([("x", midi(tmp_path / "x.mid", PLAYED))]),
        from_abc(tmp_path, "z6G2|c4e4-|e2z2d4|"),
    ]
    for reading in readings:
        assert reading.dropped == []
        events = reading.pieces[0]
        assert {int(at): int(events[at]) for at in np.flatnonzero(events)} == {12: 21, 16: 26, 24: 30, 36: 1, 40: 28}

    short = [(onset - 12, length, pitch) for onset, length, pitch in PLAYED]
    changing = musicxml([UPBEAT, *WHOLE], beats=1).replace(
        '<measure number="2">', f'<measure number="2"><attributes>{METRE.format(beats=4)}</attributes>'
    )
    readings = [
        scores.read([("x", mxl(tmp_path / "x.mxl", musicxml([UPBEAT, *WHOLE])))]),
        scores.read([("x", mxl(tmp_path / "x.mxl", changing))]),
        scores.read([("x", midi(tmp_path / "x.mid", short, first=4))]),
        from_abc(tmp_path, "G2|c4e4-|e2z2d4|"),
    ]
    assert [reading.dropped[0]["reason"] for reading in readings] == 4 * ["begins with a pickup"]


def test_bars_of_both_kinds_are_cut_at_the_same_places_behind_a_short_one(tmp_path: Path):
    (xml,) = scores.scores_of("x", mxl(tmp_path / "x.mxl", musicxml([UPBEAT, *WHOLE])))
    short = [(onset - 12, length, pitch) for onset, length, pitch in PLAYED]
    (played,) = scores.scores_of("x", midi(tmp_path / "x.mid", short, first=4))
    assert xml.bars == played.bars
    assert xml.lengths == played.lengths == [4, 16, 16]
    assert xml.metres == played.metres == ["4/4"]


# The corpus file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["aaba", "aaba-smoke", "aaba-off"])
def test_the_stand_in_has_the_recorded_bytes(name: str, tmp_path: Path):
    paths = {"dataset": tmp_path / "x.safetensors", "report": tmp_path / "x.json"}
    prepare({"dataset": registry.cfg_of(name)}, Job(resume=tmp_path / "resume"), **paths)
    assert sha256(paths["dataset"]) == registry.dataset(name).sha256
    assert json.loads(paths["report"].read_text()) == []
    corpus = load(paths["dataset"])
    assert len(corpus.pieces) == registry.cfg_of(name)["prepare"]["pieces"] == len(corpus.titles)
    assert {len(piece) for piece in corpus.pieces} == {32 * BAR}


def test_a_corpus_comes_back_as_it_was_written(tmp_path: Path):
    pieces = [np.arange(16, dtype=np.int8), np.arange(48, dtype=np.int8) % CLASSES]
    written = Melodies("x", pieces, ["one", "two"], {"no notes": 3})
    write(tmp_path / "x.safetensors", written)
    read = load(tmp_path / "x.safetensors")
    assert [piece.tolist() for piece in read.pieces] == [piece.tolist() for piece in pieces]
    assert (read.name, read.titles, read.dropped) == ("x", ["one", "two"], {"no notes": 3})


def test_missing_and_other_scores_are_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    with pytest.raises(UserError, match="openewld is not here.*OpenEWLD at commit ec03cbd.*data/raw/openewld"):
        folder_of("openewld")
    (tmp_path / "openewld" / "dataset").mkdir(parents=True)
    (tmp_path / "openewld" / "dataset" / "x.mxl").write_bytes(b"x")
    monkeypatch.setenv("TENFOLD_MIRROR", str(tmp_path))
    cfg = {"dataset": registry.cfg_of("openewld")}
    with pytest.raises(UserError, match="1 files, which are not the known ones"):
        prepare(cfg, Job(resume=tmp_path / "r"), dataset=tmp_path / "d", report=tmp_path / "e")


@pytest.mark.slow
def test_openewld_has_the_known_pieces(tmp_path: Path):
    if not Path(os.environ.get("TENFOLD_MIRROR", "-"), "openewld").is_dir():
        pytest.skip("TENFOLD_MIRROR has no openewld")
    paths = {"dataset": tmp_path / "x.safetensors", "report": tmp_path / "x.json"}
    prepare({"dataset": registry.cfg_of("openewld")}, Job(resume=tmp_path / "resume"), **paths)
    pieces = load(paths["dataset"]).pieces
    assert (len(pieces), sum(map(len, pieces)) // BAR) == (199, 6151)


# The stand-in -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def songs() -> dict[bool, list]:
    settings = {"pieces": 100, "seed": 3, "noise": 10}
    return {structure: aaba.generate(settings | {"structure": structure}) for structure in (True, False)}


def test_phrases_come_back_with_structure_and_only_by_chance_without(songs):
    rhythms, chance = (repetition([rhythm(piece) for piece in songs[on]], (2, 8, 16, 24)) for on in (True, False))
    assert all(chance[lag] < 0.12 for lag in chance)
    assert rhythms[2] > chance[2] + 0.15
    assert rhythms[8] > chance[8] + 0.2  # phrase 2 of three has the rhythm of the one before
    assert rhythms[16] > chance[16] + 0.3  # phrase 4 has that of phrase 2
    assert 0.85 < rhythms[24] < 0.97  # the last phrase is the first again, but for 10 % noise
    exact = {on: repetition(songs[on], (8, 24)) for on in (True, False)}
    assert exact[True][24] > 0.85
    assert exact[True][8] < 0.05  # A' has new pitches
    assert exact[False][24] < 0.05


def test_without_noise_the_form_is_exact():
    (piece,) = aaba.generate({"pieces": 1, "seed": 0, "noise": 0, "structure": True})
    phrases = piece.reshape(4, 8, BAR)
    assert np.array_equal(phrases[0], phrases[3])
    assert np.array_equal(phrases[0] != 0, phrases[1] != 0)
    assert not np.array_equal(phrases[0], phrases[1])
    bars = phrases[0] != 0
    assert all(np.array_equal(bars[i], bars[j]) for i, j in ((0, 2), (1, 3), (0, 6)))


# Division ---------------------------------------------------------------------------------------------------------


def test_near_copies_stay_on_one_side_for_every_seed(songs):
    pieces = [*songs[False][:40]]
    copy = pieces[5].copy()
    copy[: 8 * BAR] = pieces[6][: 8 * BAR]  # three quarters of piece 5
    pieces.append(copy)
    assert [5, 40] in near_duplicates(pieces, 0.5)
    divisions = [split(pieces, validation=0.1, test=0.1, near=0.5, seed=seed) for seed in range(20)]
    for parts in divisions:
        sides = [parts.train, parts.validation, parts.test]
        assert sorted(itertools.chain(*sides)) == list(range(41))
        assert [5 in side for side in sides] == [40 in side for side in sides]
        assert len(parts.test) in (5, 6)
        assert len(parts.validation) in (5, 6)
    assert divisions[0] == split(pieces, validation=0.1, test=0.1, near=0.5, seed=0)
    assert len({tuple(parts.test) for parts in divisions}) > 15


def test_too_few_pieces_are_a_clear_error(songs):
    with pytest.raises(UserError, match="too few to be split"):
        split(songs[False][:2], validation=0.4, test=0.4, near=0.5, seed=0)


# Profiles ---------------------------------------------------------------------------------------------------------


def test_profiles_depend_on_rhythm_alone(songs):
    pieces = songs[True][:10]
    others = [np.where(piece >= 2, 5, piece).astype(np.int8) for piece in pieces]
    assert np.array_equal(clips(pieces, "bar"), clips(others, "bar"))


def test_sixteen_beat_profiles_are_every_rhythm_that_a_beat_can_have():
    rhythms = np.array([[index >> bit & 1 for bit in range(4)] for index in range(16)] * 3, dtype=float)
    centres = fit(rhythms, 16, 4, seed=0)
    assert len(centres) == 16
    assert inertia(rhythms, centres) == 0
    assert np.array_equal(centres[assign(rhythms, centres)], rhythms)


def test_clusters_are_the_same_each_time_the_commonest_first_and_better_the_more(songs):
    rhythms = clips(songs[True], "bar")
    centres = fit(rhythms, 8, 50, seed=1)
    assert np.array_equal(centres, fit(rhythms, 8, 50, seed=1))
    counts = np.bincount(assign(rhythms, centres), minlength=8)
    assert counts.min() > 0
    assert list(counts) == sorted(counts, reverse=True)
    distances = [inertia(rhythms, fit(rhythms, k, 50, seed=1)) for k in (1, 4, 8, 16)]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] == pytest.approx(rhythms.var(axis=0).sum())  # one centre is the mean


@given(
    rhythms=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12), fill=st.nothing()),
    numbers=st.lists(st.integers(1, 14), min_size=2, max_size=6, unique=True),
    swaps=st.integers(0, 3),
    seed=st.integers(0, 3),
)
def test_the_elbow_curve_never_rises(rhythms: np.ndarray, numbers: list[int], swaps: int, seed: int):
    curve = elbow(rhythms.astype(float), numbers, swaps, seed)
    assert list(curve) == sorted(numbers)
    reached = list(curve.values())
    assert all(more <= fewer for fewer, more in itertools.pairwise(reached))
    assert reached[0] <= inertia(rhythms.astype(float), fit(rhythms.astype(float), min(numbers), swaps, seed))


@given(
    rhythms=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12), fill=st.nothing()),
    k=st.integers(1, 6),
    swaps=st.integers(0, 20),
)
def test_swaps_never_make_profiles_worse_and_k_means_has_settled(rhythms: np.ndarray, k: int, swaps: int):
    clip = rhythms.astype(float)
    centres = fit(clip, k, swaps, seed=0)
    assert inertia(clip, centres) <= inertia(clip, fit(clip, k, swaps // 2, seed=0)) + 1e-9
    nearest = assign(clip, centres)
    for index, centre in enumerate(centres):
        if (nearest == index).any():
            assert centre == pytest.approx(clip[nearest == index].mean(axis=0))


def best_of_starts(rhythms: np.ndarray, k: int, starts: int) -> float:
    """The least inertia of so many starts of SciPy's k-means++."""
    generator = np.random.default_rng(0)
    reached = []
    for _ in range(starts):
        centres, _ = kmeans2(rhythms, k, iter=50, minit="++", missing="warn", rng=generator)
        reached.append(inertia(rhythms, centres))
    return min(reached)


@pytest.mark.filterwarnings("ignore:One of the clusters is empty")
def test_bar_profiles_are_as_near_to_clips_as_the_best_of_200_starts():
    settings = registry.cfg_of("aaba")["prepare"] | {"pieces": 40}
    rhythms = clips(aaba.generate(settings), "bar")
    swaps = config.paper("melody").editions["small"]["profiles"]["swaps"]
    found = inertia(rhythms, fit(rhythms, 16, swaps, seed=0))
    assert found <= 1.02 * best_of_starts(rhythms, 16, 200)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:One of the clusters is empty")
@pytest.mark.parametrize("name", ["openewld", "nottingham"])
def test_profiles_of_real_tunes_are_as_near_as_the_best_of_200_starts(name: str, tmp_path: Path):
    if not Path(os.environ.get("TENFOLD_MIRROR", "-"), name).is_dir():
        pytest.skip(f"TENFOLD_MIRROR has no {name}")
    prepare({"dataset": registry.cfg_of(name)}, Job(resume=tmp_path / "resume"), dataset=tmp_path / "x",
            report=tmp_path / "y")  # fmt: skip
    rhythms = clips(load(tmp_path / "x").pieces, "bar")
    swaps = config.paper("melody").editions["real"]["profiles"]["swaps"]
    assert inertia(rhythms, fit(rhythms, 16, swaps, seed=0)) <= 1.02 * best_of_starts(rhythms, 16, 200)


def test_two_clear_clusters_are_found():
    rhythms = np.array([[1, 0, 0, 0]] * 6 + [[1, 1, 1, 1]] * 3 + [[1, 1, 1, 0]], dtype=float)
    assert fit(rhythms, 2, 4, seed=0) == pytest.approx(np.array([[1, 0, 0, 0], [1, 1, 1, 0.75]]))
