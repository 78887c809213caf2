"""What the toy paper runs."""

from __future__ import annotations

from tenfold.workflow import TABLE_FORMS, Cfg, Edition, Wildcards, seeds_of


def targets(edition: Edition) -> list[str]:
    """The table, the metrics and the verdicts."""
    table = [f"{edition.runs}/tables/table-counts.{form}" for form in TABLE_FORMS]
    return [*table, f"{edition.runs}/metrics.json", f"{edition.runs}/claims.json"]


def metrics(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The metrics of all arms."""
    arms = edition.settings["arms"]
    return [f"{edition.runs}/metrics/{arm}/{seeds}.json" for arm in arms for seeds in edition.seed_groups]


def count(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm's configuration."""
    return {
        "arm": wildcards.arm,
        "data": edition.data,
        "seeds": seeds_of(wildcards.seeds),
        "steps": edition.settings["steps"],
        "padding": edition.settings["padding"],
        **edition.settings["arms"][wildcards.arm],
    }


def table(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the table and the verdicts depend on beside the metrics."""
    return {
        "arms": list(edition.settings["arms"]),
        "seeds": edition.settings["seeds"],
        "steps": edition.settings["steps"],
        "claims": edition.claims,
        "data": edition.data_shown,
    }
