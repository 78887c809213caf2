"""What runs for HRNN at each edition, and what each job's result depends on.

A *variant* is a model: ``1L`` (the note layer alone), ``1L-wide`` (as many parameters as 3L), ``2L``, ``3L``, and
further ones that differ in one setting. A *decoding* is how it composes: ``sample``, or ``beam``.
"""

from __future__ import annotations

from typing import Any

from tenfold import config, registry
from tenfold.config import merged
from tenfold.workflow import Cfg, Edition, Wildcards, prepared, seeds_of, showing

# Files --------------------------------------------------------------------------------------------


def targets(edition: Edition) -> list[str]:
    """Melodies to listen to."""
    return [f"{edition.runs}/midi/{variant}.mid" for variant in edition.settings["compose"]["variants"]]


def corpus(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The prepared corpus of a variant: the edition's, or one of its own."""
    return [prepared(_dataset(edition, wildcards.variant))]


def _dataset(edition: Edition, variant: str) -> str:
    name: str = edition.settings["variants"][variant].get("data", edition.settings["data"])
    return name


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The trainings of all variants: what each is of, and the beginning of its files' paths."""
    return [
        ({"data": _dataset(edition, variant), "net": "models", "arm": variant},
         f"{edition.runs}/models/{variant}/{seeds}")
        for variant in edition.settings["variants"]
        for seeds in edition.seed_groups
    ]  # fmt: skip


def models(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all variants."""
    return [f"{path}.json" for _, path in trained(edition)]


def histories(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The courses of their trainings."""
    return [f"{path}.csv" for _, path in trained(edition)]


def profiles(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The profiles of all seeds."""
    return [f"{edition.runs}/profiles/{seeds}.json" for seeds in edition.seed_groups]


def _composed(edition: Edition) -> list[tuple[Cfg, str]]:
    """What the variants composed in the first seeds' job under the main decoding: the variant, and the path."""
    compose = edition.settings["compose"]
    decoding, seeds = compose["decodings"][0], edition.seed_groups[0]
    return [
        ({"net": variant, "arm": decoding}, f"{edition.runs}/generated/{variant}/{decoding}/{seeds}.safetensors")
        for variant in compose["variants"]
    ]


def _without_wide(edition: Edition) -> list[tuple[Cfg, str]]:
    return [(of, path) for of, path in _composed(edition) if of["net"] != "1L-wide"]


def shown(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """What the variants composed in the first seeds' job under the main decoding, without copies."""
    return [path for _, path in _composed(edition)]


def compared(edition: Edition, wildcards: Wildcards) -> list[str]:
    """What listeners compare: the pieces of the models without the wide one, as `shown`."""
    return [path for _, path in _without_wide(edition)]


def examples(edition: Edition, wildcards: Wildcards) -> list[str]:
    """What one variant composed, as `shown`."""
    return [path for of, path in _composed(edition) if of["net"] == wildcards.variant]


def measured(edition: Edition) -> list[tuple[Cfg, str]]:
    """The measures of real pieces and of what all variants composed: what each file is of, and its path."""
    compose = edition.settings["compose"]
    sets = [("real", "training"), ("real", "held-out")]
    sets += [(variant, decoding) for variant in compose["variants"] for decoding in compose["decodings"]]
    return [
        ({"net": who, "arm": how}, f"{edition.runs}/measures/{who}/{how}/{seeds}.json")
        for who, how in sets
        for seeds in edition.seed_groups
    ]


def measures(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The measures of real pieces and of what all variants composed."""
    return [path for _, path in measured(edition)]


RESULTS = {
    "models": models,
    "histories": histories,
    "measures": measures,
    "profiles": profiles,
    "generated": shown,
    "claims": "claims.json",
}

# What each job's result depends on ----------------------------------------------------------------


def cluster(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The profiles of the edition's corpus."""
    settings = edition.settings
    return {
        "data": edition.data,
        "seeds": seeds_of(wildcards.seeds),
        "corpus": settings["corpus"],
        "profiles": settings["profiles"],
    }


def _variant(edition: Edition, name: str) -> Cfg:
    """A variant's settings in full: its own laid over the edition's."""
    settings, own = edition.settings, edition.settings["variants"][name]
    profiles = {key: value for key, value in settings["profiles"].items() if key != "elbow"}
    return {
        "profiles": merged(profiles, own.get("profiles", {})),
        "variant": {
            "layers": own["layers"],
            "codings": own["codings"],
            "lookback": merged(settings["lookback"], own.get("lookback", {})),
            "net": settings["net"] | ({"width": own["width"]} if "width" in own else {}),
        },
    }


def train(edition: Edition, wildcards: Wildcards) -> Cfg:
    """All layers of one variant."""
    settings = edition.settings
    return {
        "data": registry.cfg_of(_dataset(edition, wildcards.variant)),
        "compute": edition.compute,
        "seeds": seeds_of(wildcards.seeds),
        "corpus": settings["corpus"],
        "windows": settings["windows"],
        "training": edition.recipe_of(wildcards.variant, settings["training"]),
        **_variant(edition, wildcards.variant),
    }


def generate(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What one variant composes with one decoding rule."""
    settings = edition.settings
    names = ("pieces", "bars", "guided", "beam", "longest_copy", "probes")
    return {
        "data": registry.cfg_of(_dataset(edition, wildcards.variant)),
        "seeds": seeds_of(wildcards.seeds),
        "corpus": settings["corpus"],
        "variant": _variant(edition, wildcards.variant)["variant"],
        "decoding": wildcards.decoding,
        **{name: settings["compose"][name] for name in names},
    }


def midi(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The pieces that are written as MIDI."""
    return {"seeds": edition.settings["seeds"], "examples": edition.settings["compose"]["examples"]}


def measure(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The measures of one set of pieces."""
    return {
        "data": edition.data,
        "seeds": seeds_of(wildcards.seeds),
        "bars": edition.settings["compose"]["bars"],
    }


measure_real = measure


def report(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings: dict[str, Any] = edition.settings
    return {
        "data": edition.data_shown,
        "seeds": settings["seeds"],
        "files": {
            "models": [of for of, _ in trained(edition)],
            "measures": [of for of, _ in measured(edition)],
            "generated": [of for of, _ in _composed(edition)],
        },
        "decodings": settings["compose"]["decodings"],
        "published": edition.published,
    }


def tables(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What tables show beside that."""
    return showing(report(edition, wildcards), "accuracy", "judged_human", "scores", "votes")


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Figures show nothing that was published."""
    return showing(report(edition, wildcards))


scores = figures


def listening(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The page for listeners."""
    files = {"generated": [of for of, _ in _without_wide(edition)]}
    return {"data": edition.data_shown, "seeds": edition.settings["seeds"], "files": files}


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    editions = config.paper(edition.slug).editions.values()
    config.check_evidence(
        edition.slug, [("models", variant) for settings in editions for variant in settings["variants"]]
    )
    return {**report(edition, wildcards), **edition.judged}
