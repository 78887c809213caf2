"""What the toy paper runs."""

from __future__ import annotations

from tenfold.workflow import Cfg, Edition, Wildcards, seeds_of


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all arms: what each file is of, and its path."""
    return [
        ({"arm": arm}, f"{edition.runs}/metrics/{arm}/{seeds}.json")
        for arm in edition.settings["arms"]
        for seeds in edition.seed_groups
    ]


def metrics(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The metrics of all arms."""
    return [path for _, path in trained(edition)]


RESULTS = {"arms": metrics}


def count(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm's configuration."""
    return {
        "arm": wildcards.arm,
        "compute": edition.compute,
        "data": edition.data,
        "seeds": seeds_of(wildcards.seeds),
        "padding": edition.settings["padding"],
        **edition.recipe_of(wildcards.arm, {"steps": edition.settings["steps"]}),
        **edition.settings["arms"][wildcards.arm],
    }


def tables(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the table and the verdicts depend on beside the metrics."""
    return {
        "arms": list(edition.settings["arms"]),
        "seeds": edition.settings["seeds"],
        "steps": edition.settings["steps"],
        **edition.judged,
        "data": edition.data_shown,
    }
