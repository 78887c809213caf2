"""What the toy paper runs."""

from __future__ import annotations

from tenfold.workflow import Cfg, Edition, Wildcards, seeds_of


def targets(edition: Edition) -> list[str]:
    """The table and the verdicts."""
    return [f"{edition.runs}/tables/table-counts.csv", f"{edition.runs}/claims.json"]


def metrics(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The metrics of all arms."""
    return [
        f"{edition.runs}/metrics/{arm}/{seeds}.json"
        for arm in edition.settings["arms"]
        for seeds in edition.seed_groups
    ]


def count(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm's configuration."""
    return {
        "arm": wildcards.arm,
        "data": edition.data,
        "seeds": seeds_of(wildcards.seeds),
        "steps": edition.settings["steps"],
        **edition.settings["arms"][wildcards.arm],
    }


def table(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the table and the verdicts depend on beside the metrics."""
    return {"arms": list(edition.settings["arms"]), "claims": edition.claims, "data": edition.data_shown}
