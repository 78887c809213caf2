"""Scores of captions: against published scores of real captions, counts of official logs, and naive arithmetic."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import UserError
from tenfold.fetch import MIRROR
from tenfold.measure.captions import References, bleu_of_counts, longest_common, overall, rouge_l
from tenfold.measure.meteor import VARIABLE, find_meteor, meteor

# The published captions ------------------------------------------------------------------------------------------

Captions = tuple[list[list[str]], list[list[list[str]]]]


@pytest.fixture(scope="module")
def published() -> Captions:
    """SCN's captions of the 670 test clips of MSVD, and all captions of people."""
    folder = Path(os.environ.get(MIRROR, "/nowhere")) / "scn"
    if not folder.is_dir():
        pytest.skip(f"needs scn/ in the folder that {MIRROR} names: SCN's captions of MSVD, and the references")
    captions = [line.split() for line in (folder / "youtube2text_scn_test.txt").read_text().splitlines()]
    references: list[list[list[str]]] = [[] for _ in captions]
    for line in (folder / "sents_test_lc_nopunc.txt").read_text().splitlines():
        clip, text = line.split("\t")
        references[int(clip.removeprefix("vid")) - 1301].append(text.split())
    assert (len(captions), sum(map(len, references))) == (670, 27_763)
    return captions, references


def test_published_captions_get_their_published_scores(published: Captions) -> None:
    captions, references = published
    scores = References(references).score(captions)
    assert scores.bleu == pytest.approx((0.80976, 0.69703, 0.60589, 0.51096), abs=1e-5)
    assert scores.rouge == pytest.approx(0.70554, abs=1e-5)
    assert scores.cider == pytest.approx(0.77673, abs=1e-5)


def test_meteor_of_published_captions_is_the_published_one(published: Captions) -> None:
    jar = find_meteor()
    if jar is None:
        pytest.skip(f"needs java, and meteor-1.5.jar, which {VARIABLE} names or pycocoevalcap has")
    assert meteor(jar, *published) == pytest.approx(0.33541, abs=1e-5)


# Counts of the official logs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "guessed", "length", "closest", "bleu"),
    [
        ([3292, 2170, 1330, 702], [3699, 3029, 2359, 1689], 3699, 3687, 0.6217156),
        ([18075, 10988, 5716, 2594], [20602, 17612, 14622, 11632], 20602, 21372, 0.4502339),
    ],
    ids=["MSVD", "MSR-VTT"],
)
def test_bleu_of_the_counts_in_the_official_logs(
    right: list[int], guessed: list[int], length: int, closest: int, bleu: float
) -> None:
    assert bleu_of_counts(right, guessed, length, closest)[3] == pytest.approx(bleu, abs=5e-8)


def said(text: str) -> list[str]:
    return text.split()


# Naive arithmetic ------------------------------------------------------------------------------------------------

words = st.lists(st.sampled_from("abc"), min_size=1, max_size=6)
sets = st.lists(st.tuples(words, st.lists(words, min_size=1, max_size=3)), min_size=2, max_size=4)


def runs(caption: list[str], order: int) -> list[tuple[str, ...]]:
    return [tuple(caption[i : i + order]) for i in range(len(caption)) if i + order <= len(caption)]


@settings(max_examples=60, deadline=None)
@given(sets)
def test_bleu_is_the_clipped_share_of_runs_with_a_penalty_for_short_captions(
    clips: list[tuple[list[str], list[list[str]]]],
) -> None:
    found = References([references for _, references in clips]).bleu([caption for caption, _ in clips])
    length = sum(len(caption) for caption, _ in clips)
    closest = sum(min(map(len, refs), key=lambda n: (abs(n - len(caption)), n)) for caption, refs in clips)
    penalty = min(1.0, math.exp(1 - closest / length))
    product = 1.0
    for order in (1, 2, 3, 4):
        hits = tries = 0
        for caption, refs in clips:
            for run in set(runs(caption, order)):
                hits += min(runs(caption, order).count(run), max(runs(ref, order).count(run) for ref in refs))
            tries += len(runs(caption, order))
        product *= (hits + 1e-15) / (tries + 1e-9)  # as COCO keeps clear of zeros
        assert found[order - 1] == pytest.approx(product ** (1 / order) * penalty, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(sets)
def test_cider_is_the_mean_clipped_cosine_of_rare_runs(clips: list[tuple[list[str], list[list[str]]]]) -> None:
    everything = {run for n in (1, 2, 3, 4) for run in itertools.product("abc", repeat=n)}

    def vector(caption: list[str], order: int) -> dict[tuple[str, ...], float]:
        return {
            run: runs(caption, order).count(run) * math.log(len(clips) / max(1, in_clips[run]))
            for run in everything
            if len(run) == order
        }

    in_clips = {run: sum(any(run in runs(r, len(run)) for r in refs) for _, refs in clips) for run in everything}
    expected = 0.0
    for caption, refs in clips:
        for ref in refs:
            cosines = []
            for order in (1, 2, 3, 4):
                ours, theirs = vector(caption, order), vector(ref, order)
                dot = sum(min(ours[run], theirs[run]) * theirs[run] for run in ours)
                norms = math.dist(ours.values(), [0] * len(ours)) * math.dist(theirs.values(), [0] * len(theirs))
                cosines.append(dot / norms if norms else 0.0)
            gap = len(runs(caption, 2)) - len(runs(ref, 2))
            expected += 10 * sum(cosines) / 4 * math.exp(-(gap**2) / 72) / len(refs) / len(clips)
    found = References([refs for _, refs in clips]).score([caption for caption, _ in clips]).cider
    assert found == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(words, words)
def test_the_longest_common_subsequence_is_the_longest_that_is_in_both(first: list[str], second: list[str]) -> None:
    def parts(caption: list[str]) -> set[tuple[str, ...]]:
        return {part for n in range(len(caption) + 1) for part in itertools.combinations(caption, n)}

    assert longest_common(first, second) == max(map(len, parts(first) & parts(second)))


def test_rouge_takes_the_best_precision_and_the_best_recall_of_any_reference() -> None:
    references = [said("a man rides a horse on a beach"), said("a man")]
    precision, recall = 4 / 4, 2 / 2  # of the first reference, of the second
    assert rouge_l(said("a man rides a"), references) == pytest.approx(
        (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    )


def test_a_caption_of_its_own_references_is_perfect_and_an_empty_one_worth_nothing() -> None:
    references = [[said("a red disc moves to the left")], [said("two squares pass each other")]]
    perfect = References(references).score([of_clip[0] for of_clip in references])
    assert perfect.bleu[3] == pytest.approx(1.0)
    assert perfect.rouge == pytest.approx(1.0)
    assert perfect.cider == pytest.approx(10.0)
    nothing = References(references).score([[], []])
    assert (nothing.rouge, nothing.cider) == (0.0, 0.0)
    assert nothing.bleu[3] < 1e-9


def test_captions_and_clips_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="1 captions for 2 clips"):
        References([[["a"]], [["b"]]]).score([["a"]])


# The paper's overall score: its twelve values follow from its other columns.

MSVD = {"MTVC": (54.5, 92.4, 36.0, 72.8, 0.9198), "SibNet": (54.2, 88.2, 34.8, 71.7, 0.8969),
        "ours": (61.8, 103.0, 37.8, 76.8, 1.0)}  # fmt: skip
MSR_VTT = {
    "v2t_navigator": (40.8, 44.8, 28.2, 60.9, 0.9325),
    "Aalto": (39.8, 45.7, 26.9, 59.8, 0.9157),
    "VideoLAB": (39.1, 44.1, 27.7, 60.6, 0.9140),
    "MTVC": (40.8, 47.1, 28.8, 60.2, 0.9459),
    "CIDEnt-RL": (40.5, 51.7, 28.4, 61.4, 0.9678),
    "SibNet": (40.9, 47.5, 27.5, 60.2, 0.9374),
    "HACA": (43.4, 49.7, 29.5, 61.8, 0.9856),
    "TAMoE": (42.2, 48.9, 29.4, 62.0, 0.9749),
    "ours": (43.8, 51.4, 28.9, 62.4, 0.9935),
}


@pytest.mark.parametrize("table", [MSVD, MSR_VTT], ids=["MSVD", "MSR-VTT"])
def test_overall_scores_of_the_paper_follow_from_its_columns(table: dict[str, tuple[float, ...]]) -> None:
    names = ("B4", "C", "M", "R")
    columns = {model: dict(zip(names, row, strict=False)) for model, row in table.items()}
    best = {name: max(row[name] for row in columns.values()) for name in names}
    for model, row in table.items():
        assert overall(columns[model], best) == pytest.approx(row[4], abs=5.1e-5)


# METEOR ----------------------------------------------------------------------------------------------------------


def test_a_meteor_that_is_another_program_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexit 3\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    jar = tmp_path / "meteor-1.5.jar"
    jar.write_bytes(b"something else")
    monkeypatch.setenv(VARIABLE, str(jar))
    with pytest.raises(UserError, match=r"is not meteor-1\.5\.jar"):
        find_meteor()
    with pytest.raises(UserError, match="did not run"):
        meteor(jar, [["a"]], [[["a"]]])


def test_without_java_meteor_is_not_there() -> None:
    code = "from tenfold.measure.meteor import find_meteor; print(find_meteor())"
    environment = {"PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(sys.path), VARIABLE: "/somewhere/meteor-1.5.jar"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
