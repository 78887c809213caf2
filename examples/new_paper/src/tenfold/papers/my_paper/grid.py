"""What runs for my-paper at each edition, and what each job's result depends on."""

from tenfold import config
from tenfold.workflow import Cfg, Edition, Wildcards, seeds_of


def fitted(edition: Edition) -> list[tuple[Cfg, str]]:
    """What the file of each job is of, and its path."""
    return [({"net": "means", "arm": arm}, f"{edition.runs}/metrics/{arm}/{seeds}.json")
            for arm in edition.settings["arms"] for seeds in edition.seed_groups]  # fmt: skip


def metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all arms."""
    return [path for _, path in fitted(edition)]


RESULTS = {"arms": metrics, "claims": "claims.json"}  # what stages that report may have as inputs


def fit(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm; what is not in its cfg cannot change its result."""
    arm = {"arm": wildcards.arm, **edition.settings["arms"][wildcards.arm]}
    return {"data": edition.data, "seeds": seeds_of(wildcards.seeds), "images": edition.settings["images"], **arm}


def tables(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the metrics."""
    files = [of for of, _ in fitted(edition)]
    return {"data": edition.data_shown, "seeds": edition.settings["seeds"], "files": files}


figures = tables


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The claims, whose arms must exist."""
    config.check_evidence(edition.slug, [("means", arm) for arm in edition.settings["arms"]])
    return {**tables(edition, wildcards), **edition.judged}
