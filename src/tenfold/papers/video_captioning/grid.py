"""What runs for video-captioning at each edition, and what each job's result depends on.

An *arm* is a captioner: ``full``, and others that differ from it in what their name says. A *tag net* is a semantic
detection network: ``both``, ``static`` and ``dynamic`` by their features, ``leaky`` by the clips that it is trained on.
"""

from __future__ import annotations

from typing import Any

from tenfold import config
from tenfold.errors import UserError
from tenfold.workflow import Cfg, Edition, Wildcards, seeds_of, showing

PROXY = "decoder-only proxy, no video"

# Files ------------------------------------------------------------------------------------------------------------


def variant_of(settings: Cfg, arm: str) -> Cfg:
    """An arm's settings in full.

    Raises:
        UserError: it names a tag net, a vocabulary or epochs that there are not.
    """
    variant = {"tags_after": settings["tag_recipe"]["epochs"], **settings["captioner"], **settings["captioners"][arm]}
    named = {"net": settings["tag_nets"], "vocabulary": settings["vocabularies"], "tags_after": settings["tag_epochs"]}
    for key, known in named.items():
        if variant[key] not in known:
            allowed = ", ".join(map(str, known))
            raise UserError(f"captioners.{arm}.{key}: {variant[key]!r} is none that there is; allowed: {allowed}")
    return variant


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all captioners: what each file is of, and its path."""
    return [
        ({"data": edition.settings["data"], "net": "captioners", "arm": arm},
         f"{edition.runs}/captioners/{arm}/{seeds}.json")
        for arm in edition.settings["captioners"]
        for seeds in edition.seed_groups
    ]  # fmt: skip


def tagged(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all tag nets, likewise; none where there are no videos."""
    nets = [] if edition.settings["proxy"] else edition.settings["tag_nets"]
    return [
        ({"data": edition.settings["data"], "net": "tags", "arm": net}, f"{edition.runs}/tags/{net}/{seeds}.json")
        for net in nets
        for seeds in edition.seed_groups
    ]


def captioners(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all captioners."""
    return [path for _, path in trained(edition)]


def tag_metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all tag nets."""
    return [path for _, path in tagged(edition)]


def vocabulary(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The vocabulary of an arm."""
    return [_words(edition, variant_of(edition.settings, wildcards.arm)["vocabulary"])]


def first_vocabulary(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The vocabulary whose tags are told: that of the training clips."""
    return [_words(edition, edition.settings["captioner"]["vocabulary"])]


def _words(edition: Edition, name: str) -> str:
    return f"{edition.runs}/private/words/{name}.json"


def told(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The tags that an arm is told: those of its tag net, where it has one."""
    variant = variant_of(edition.settings, wildcards.arm)
    has_net = variant["tags"] != "present"
    return [f"{edition.runs}/private/tags/{variant['net']}/{wildcards.seeds}.safetensors"] if has_net else []


RESULTS = {"captioners": captioners, "tags": tag_metrics, "claims": "claims.json"}

# What each job's result depends on --------------------------------------------------------------------------------


def _job(edition: Edition, *names: str) -> Cfg:
    return {"data": edition.data, **{name: edition.settings[name] for name in ("proxy", *names)}}


def _compute(edition: Edition) -> Cfg:
    """Device and precision; the edition's precision where none is asked for."""
    asked = edition.compute
    return {**asked, "precision": edition.settings["precision"]} if asked["precision"] == "auto" else asked


def words(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One vocabulary, and the tags."""
    return {**_job(edition, "tags"), **edition.settings["vocabularies"][wildcards.vocabulary]}


def features(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """Features of all clips."""
    return {**_job(edition), "nets": edition.settings["features"]}


def tag(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One tag net."""
    settings, own = edition.settings, edition.settings["tag_nets"][wildcards.arm]
    return {
        "data": edition.data,
        "compute": _compute(edition),
        "seeds": seeds_of(wildcards.seeds),
        "arm": wildcards.arm,
        "features": own["features"],
        "splits": own.get("splits", ["train"]),
        "net": settings["tag_net"],
        "recipe": settings["tag_recipe"],
        "after": settings["tag_epochs"],
        "kinds": settings["kinds"],
    }


def train(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One captioner."""
    settings = edition.settings
    variant = variant_of(settings, wildcards.arm)
    return {
        **_job(edition, "net", "captions", "decode", "select", "kinds", "meteor"),
        "compute": _compute(edition),
        "seeds": seeds_of(wildcards.seeds),
        "arm": wildcards.arm,
        "variant": {key: value for key, value in variant.items() if key not in ("vocabulary", "net")},
        "recipe": edition.recipe_of(wildcards.arm, settings["recipe"]),
    }


def report(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings: dict[str, Any] = edition.settings
    shown = edition.data_shown
    if settings["proxy"]:
        shown = {**shown, "name": f"{shown['name']}, {PROXY}"}
    return {
        "data": shown,
        "seeds": settings["seeds"],
        "files": {"captioners": [of for of, _ in trained(edition)], "tags": [of for of, _ in tagged(edition)]},
        "variants": {arm: variant_of(settings, arm) for arm in settings["captioners"]},
        "kinds": list(settings["kinds"]),
        "published": edition.published,
    }


tables = report


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Figures show nothing that was published."""
    return showing(report(edition, wildcards))


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    editions = config.paper(edition.slug).editions.values()
    known = [("captioners", arm) for settings in editions for arm in settings["captioners"]]
    known += [("tags", net) for settings in editions for net in settings["tag_nets"]]
    config.check_evidence(edition.slug, known)
    return {**report(edition, wildcards), **edition.judged}
