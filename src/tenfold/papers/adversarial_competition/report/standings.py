"""The standings of the arena with users' own attacks and defences in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tenfold.files import read_json
from tenfold.launcher import Cfg, Inputs, Job, Outputs, main, stage
from tenfold.papers.adversarial_competition.grid import ARENA
from tenfold.papers.adversarial_competition.report.results import (
    KINDS,
    Count,
    Scored,
    Track,
    of_kind,
    read_tracks,
    scores,
)
from tenfold.papers.adversarial_competition.report.tables import nets_of, note_on_arena
from tenfold.report.arms import data_of
from tenfold.report.face import Face
from tenfold.report.tables import Cell, Column, Row, Table, write_table


@stage
def standings(cfg: Cfg, job: Job, *, counts: Inputs, outcomes: Inputs, columns: Inputs, standings: Outputs) -> None:
    """All arms by rank, with those of users; those that failed come last, with the reason.

    Args:
        cfg: as for tables, and the ``submitted`` attacks and defences.
        job: what surrounds the run.
        counts: of the arena's own attacks and defences.
        outcomes: whether submitted attacks failed.
        columns: counts of the arena's defences on submitted attacks, and of submitted defences on all.
        standings: the table as Markdown and CSV; private.
    """
    arena, failed = joined(cfg, read_tracks(cfg, counts)[ARENA], outcomes, columns)
    of_users: dict[str, Cfg] = {name: {} for name in cfg["submitted"]["attacks"]}
    everyone = {**cfg, "attacks": {**cfg["attacks"], **of_users}}
    found = scores(everyone, arena, frozenset(failed))
    shown = Face(cfg["edition"], data_of(cfg), len(found), arena.facts["device"], arena.facts["precision"])
    rows = [row for kind in KINDS for row in rows_of(cfg, everyone, arena, kind, found, failed)]
    columns_of = (Column("score", "score", ".4f"), Column("worst", "worst score", ".4f"), Column("why", "why none", ""))
    notes = (nets_of(cfg), note_on_arena(cfg), "A submission that fails loses its points, and nothing else changes.")
    table = Table("Standings with submissions", shown, ("kind", "rank", "name", "whose"), columns_of, rows, notes)
    write_table(table, standings)
    for name, why in failed.items():
        job.say(f"{name} loses its points: {why}")


def joined(cfg: Cfg, arena: Track, outcomes: Sequence[Path], columns: Sequence[Path]) -> tuple[Track, dict[str, str]]:
    """The arena with submissions in it, and why those of them that failed did."""
    whole = replace(
        arena,
        attacks=[*arena.attacks, *cfg["submitted"]["attacks"]],
        defences=[*arena.defences, *cfg["submitted"]["defences"]],
    )
    failed: dict[str, str] = {}
    for content in map(read_json, outcomes):
        failed |= {content["name"]: content["why"]} if content["why"] else {}
    for content in map(read_json, columns):
        for row in content["rows"]:
            cells = {(content["arm"], attack): Count.of(of) for attack, of in row["attacks"].items()}
            whole.counts[row["seed"]].update(cells)
        failed |= {content["arm"]: content["why"]} if content.get("why") else {}
    return whole, failed


def rows_of(
    cfg: Cfg, everyone: Cfg, arena: Track, kind: str, found: Mapping[int, Scored], failed: Mapping[str, str]
) -> list[Row]:
    """The rows of a kind of arms, the best first."""
    mine = {*cfg["submitted"]["attacks"], *cfg["submitted"]["defences"]}
    of = {
        name: {key: {seed: scored[name][key] for seed, scored in found.items() if name in scored}
               for key in ("score", "worst")}
        for name in of_kind(everyone, arena, kind)
    }  # fmt: skip
    ordered = sorted(of, key=lambda name: -sum(of[name]["score"].values()) if of[name]["score"] else 1.0)
    return [
        Row((kind, str(place) if of[name]["score"] else "-", name, "submitted" if name in mine else "ours"), {
            **{key: Cell(values, exact=None if values else "-") for key, values in of[name].items()},
            "why": Cell(exact=failed.get(name, "-")),
        })
        for place, name in enumerate(ordered, 1)
    ]  # fmt: skip


if __name__ == "__main__":
    main(standings)
