"""Decides the claims of HRNN on what was measured. No listener was asked, and none is simulated."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import mean
from typing import Any

from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.papers.melody.conditions import FREE, TUNE, condition_title, hand_made
from tenfold.papers.melody.report.results import (
    VARIANTS,
    Measured,
    Models,
    main_decoding,
    read_measures,
    read_models,
    title_of,
    vote_test,
)
from tenfold.report.arms import BySeed, face_of, joined
from tenfold.report.evidence import Check, Evidence, NetArms, Paired, gather
from tenfold.report.words import conclude

POINTS = "points"


@stage
def claims(cfg: Cfg, job: Job, *, models: Inputs, measures: Inputs, claims: Output) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    trained, decoding = read_models(cfg, models), main_decoding(cfg)
    composed = {variant: arm for (variant, rule), arm in read_measures(cfg, measures).items() if rule == decoding}
    all_models = NetArms("models", joined(joined(trained, ended(trained), "ended"), composed, "composed"), "models")
    special = {
        "M1-p": printed_p(cfg["published"]["votes"]),
        "M4-beat": follows(composed, "3L", "beat"),
        "M4-bar": follows(composed, "3L", "bar"),
        "M5-accuracy": more_accurate(trained, "3L", "1L"),
        "M6": in_rhythm_of_the_tune(composed, "3L"),
        "M8": stops_later(trained, ("2L", "3L"), "1L"),
    }
    evidence = gather(cfg, [all_models], title=title_of, special=special)
    conclude(cfg, job, claims, paper="melody", face=face_of(cfg, trained), evidence=evidence, nets=[all_models])


def ended(models: Models) -> Models:
    """``by_rule`` for each model: of all layers of the paper's models, the share whose training the rule ended.

    The same for each of them, since a claim holds one against another, and all layers are in what it measures.
    """
    compared = [models[variant] for variant in VARIANTS if variant in models]
    seeds = {seed for model in compared for seed in model.rows}
    shares = {
        seed: mean(course["by_rule"] for model in compared for course in model.rows[seed]["stopped"].values())
        for seed in seeds
    }
    return {
        name: replace(model, rows={seed: {"by_rule": shares[seed]} for seed in model.rows if seed in shares})
        for name, model in models.items()
    }


def missing(*variants: str) -> Evidence:
    """What is said where models were not trained, or nothing was composed by them."""
    return Evidence(reason=f"this edition does not have {' and '.join(map(title_of, variants))}")


def printed_p(votes: list[dict[str, Any]]) -> Evidence:
    """P values from the printed counts, each to half a unit of the third digit of the printed one."""
    cells = [
        Check(f"{row['ours']} against {row['other']}", vote_test(row["votes"], row["of"])[1], row["p"],
             tolerance=half_unit(row["p"]))
        for row in votes if row["votes"] is not None
    ]  # fmt: skip
    return Evidence(cells, trained=False)


def half_unit(printed: float, digits: int = 3) -> float:
    """Half a unit of the last of the printed significant digits, with room for the rounding of float64."""
    return 0.5 * 10.0 ** (math.floor(math.log10(printed)) - digits + 1) * (1 + 1e-9)


def follows(composed: dict[str, Measured], variant: str, layer: str) -> Evidence:
    """Clips as told against chance: under the model's own, a real piece's and hand-made profiles of the layer."""
    if variant not in composed:
        return missing(variant)
    arm = composed[variant]
    conditions = arm.names("guidance")
    cells = [told(arm, condition, layer) for condition in (FREE, "true") if condition in conditions]
    if by_hand := hand_made(conditions, layer):
        averaged = [
            averaged_over([arm.percent_at("guidance", condition, layer, name) for condition in by_hand])
            for name in ("followed", "chance")
        ]
        cells.append(Paired(f"hand-made {layer}s", averaged[0], averaged[1]))
    return Evidence(cells, unit=POINTS) if cells else Evidence(reason="nothing was composed under known profiles")


def told(arm: Measured, condition: str, layer: str) -> Paired:
    """One cell: clips as told against chance, under the profiles of one condition."""
    values = [arm.percent_at("guidance", condition, layer, name) for name in ("followed", "chance")]
    return Paired(f"{condition_title(condition)} {layer}s", values[0], values[1])


def averaged_over(several: list[BySeed]) -> BySeed:
    """The mean over several conditions, seed by seed."""
    return {seed: mean(values[seed] for values in several) for seed in several[0]}


def more_accurate(models: Models, ours: str, other: str) -> Evidence:
    """Accuracy on held-out events and no-events, labels with repeats."""
    if absent := [variant for variant in (ours, other) if variant not in models]:
        return missing(*absent)
    if "repeat" not in models[ours].names("accuracy"):
        return Evidence(reason="this edition trains no note layer with repeat labels")
    cells = []
    for what, title in (("event", "events"), ("no_event", "no-events")):
        shares = [models[variant].percent_at("accuracy", "repeat", what) for variant in (ours, other)]
        cells.append(Paired(title, shares[0], shares[1]))
    return Evidence(cells, unit=POINTS)


def in_rhythm_of_the_tune(composed: dict[str, Measured], variant: str) -> Evidence:
    """Beats of new melodies that have the tune's profile, against chance."""
    if variant not in composed or TUNE not in composed[variant].names("guidance"):
        return Evidence(reason="this edition composes nothing under the profiles of the tune")
    return Evidence([told(composed[variant], TUNE, "beat")], unit=POINTS)


def stops_later(models: Models, ours: tuple[str, ...], other: str) -> Evidence:
    """The iteration at which early stopping ends the training of the note layer."""
    if absent := [variant for variant in (*ours, other) if variant not in models]:
        return missing(*absent)
    early = [
        variant
        for variant in (*ours, other)
        if not all(row["stopped"]["note"]["by_rule"] for row in models[variant].rows.values())
    ]
    if early:
        return Evidence(
            reason=f"the limit of iterations ended {' and '.join(map(title_of, early))} before the rule did"
        )
    stopped = models[other].at("stopped_at")
    cells = [
        Paired(f"{title_of(variant)} against {title_of(other)}", models[variant].at("stopped_at"), stopped)
        for variant in ours
    ]
    return Evidence(cells, unit="iterations")


if __name__ == "__main__":
    main(claims)
