"""Writes a page on which people compare melodies blindly, and counts what they answered. It simulates no listener.

As in the paper (Sec. 4.2) the pairs are 3L/1L, 2L/1L and 3L/2L, mixed, of the same length, played at 120 beats a minute
by one instrument with notes held to the end of their bar, and chosen by forced choice without a limit of time.
``make listening-page`` writes the page; what listeners have saved is counted with ``python -m
tenfold.papers.melody.report.listening votes --cfg {} --key KEY --answers FILE ... --table votes.csv``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

from scipy import stats

from tenfold.data.melodies import BAR, Events
from tenfold.errors import UserError
from tenfold.files import canonical_json, read_json, write_json, write_text
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.melody.composed import read_composed
from tenfold.papers.melody.conditions import FREE
from tenfold.papers.melody.measures import notes_of
from tenfold.papers.melody.report.page import page_html
from tenfold.papers.melody.report.results import title_of, vote_test
from tenfold.report.arms import data_of, each_of
from tenfold.report.tables import write_csv

PAIRS = (("3L", "1L"), ("2L", "1L"), ("3L", "2L"))
PIECES = 15  # of each model
COMPARISONS = 15  # of each two models
SIXTEENTH = 0.125  # seconds, at 120 beats a minute
VOTES_HEADER = ("preferred", "to", "votes", "of", "chi2", "p", "listeners", "share by listener", "p by listener")


@stage
def listening(cfg: Cfg, job: Job, *, generated: Inputs, page: Output, key: Output) -> None:
    """Writes the page, and the key that says which model composed which piece.

    Args:
        cfg: ``edition``, ``data`` (as shown), ``files`` (the variant of each of ``generated``), ``seeds``; the first
            seed's pieces are used, and it orders them.
        job: what surrounds the run.
        generated: what models composed in the first seeds' job.
        page: HTML. It names no model.
        key: JSON, not for listeners.
    """
    seed = cfg["seeds"][0]
    of_each = each_of(generated, cfg["files"]["generated"])
    pieces = {of["net"]: list(read_composed(path, seed)[FREE].events[:PIECES]) for path, of in of_each}
    key_of, data = blinded(pieces, seed)
    data["face"] = f"Edition {cfg['edition']}; trained on {data_of(cfg)}; seed {seed}."
    write_text(page, page_html(data))
    write_json(key, {"page": data["page"], "pieces": key_of})
    job.say(f"{len(data['pairs'])} pairs of {len(key_of)} pieces")


def blinded(pieces: dict[str, list[Events]], seed: int) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Pieces under names that tell nothing, and the pairs to compare, in random order; equal for equal seeds.

    Args:
        pieces: of each model in ``PAIRS``.
        seed: of the order.

    Returns:
        The key: name -> ``variant`` and ``piece`` (its number). What the page needs, see `page.page_html`.

    Raises:
        UserError: a model has no pieces.
    """
    wanted = list(dict.fromkeys(variant for pair in PAIRS for variant in pair))
    for variant in wanted:
        if not pieces.get(variant):
            raise UserError(f"there are no pieces of {title_of(variant)} to listen to: compose more (compose.pieces)")
    random = Random(seed)
    every = [(variant, number) for variant in wanted for number in range(len(pieces[variant]))]
    random.shuffle(every)
    names = {of: f"p{place:02d}" for place, of in enumerate(every)}
    pairs = []
    for models in PAIRS:
        for _ in range(COMPARISONS):
            pair = [names[variant, random.randrange(len(pieces[variant]))] for variant in models]
            random.shuffle(pair)
            pairs.append(pair)
    random.shuffle(pairs)
    notes = {name: held(pieces[variant][number]) for (variant, number), name in names.items()}
    content = {"sixteenth": SIXTEENTH, "pieces": notes, "pairs": pairs}
    digest = hashlib.sha256(canonical_json(content).encode()).hexdigest()
    key = {name: {"variant": variant, "piece": number} for (variant, number), name in names.items()}
    return key, content | {"page": digest}


def held(piece: Events) -> list[list[int]]:
    """The notes of a piece, each held to the end of the bar it begins in: onset, length, MIDI pitch."""
    return [[onset, max(length, BAR - onset % BAR), pitch] for onset, length, pitch in notes_of(piece).tolist()]


@stage
def votes(cfg: Cfg, job: Job, *, key: Input, answers: Inputs, table: Output) -> None:
    """Counts the answers that listeners saved, one file for each: a row for each two models.

    ``p`` is the paper's test, which takes all votes as independent; ``p by listener`` is Student's test of the
    listeners' shares against one half, in which the listener is the unit.
    """
    counted = count_votes(read_json(key), answers)
    write_csv(table, VOTES_HEADER, [row for pair in PAIRS if (row := row_of(pair, counted[pair]))])
    job.say(f"answers of {len(answers)} listeners")


Counts = dict[tuple[str, str], list[tuple[int, int]]]  # two models -> of each listener, votes for the first, of


def count_votes(key: dict[str, Any], answers: Sequence[Path]) -> Counts:
    """Each listener's votes for the first of each two models.

    Raises:
        UserError: a file is none of answers to this page.
    """
    variant_of = {name: piece["variant"] for name, piece in key["pieces"].items()}
    counts: Counts = {pair: [] for pair in PAIRS}
    for path in answers:
        content = read_json(path)
        if not isinstance(content, dict) or content.get("page") != key["page"]:
            raise UserError(f"{path}: has no answers to this page ({key['page'][:8]}); take the key of its own page")
        chosen = [voted(variant_of, answer, path) for answer in content["answers"]]
        for pair in PAIRS:
            votes = [vote for of, vote in chosen if set(of) == set(pair)]
            if votes:
                counts[pair].append((votes.count(pair[0]), len(votes)))
    return counts


def voted(variant_of: dict[str, str], answer: dict[str, str], path: Path) -> tuple[tuple[str, str], str]:
    """The two models of an answer, and the one that was chosen."""
    try:
        first, second, chosen = (variant_of[answer[name]] for name in ("first", "second", "chosen"))
    except (KeyError, TypeError):
        raise UserError(f"{path}: the answer {answer} names pieces that the page does not have") from None
    return (first, second), chosen


def row_of(pair: tuple[str, str], by_listener: Iterable[tuple[int, int]]) -> list[float | int | str | None]:
    """The row of two models; empty where nobody compared them."""
    listeners = list(by_listener)
    if not listeners:
        return []
    votes, of = (sum(numbers) for numbers in zip(*listeners, strict=True))
    shares = [chosen / asked for chosen, asked in listeners]
    by_unit = float(stats.ttest_1samp(shares, 0.5).pvalue) if len(set(shares)) > 1 else None
    return [*map(title_of, pair), votes, of, *vote_test(votes, of), len(listeners), mean(shares), by_unit]


if __name__ == "__main__":
    main(listening, votes)
