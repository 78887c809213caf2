"""What runs for iCNN face parsing at each edition, and what each job's result depends on.

*Nets* are all nets that see the same faces: ``thin``, and where an edition has them ``thick``, whose parts are not
thin.
An *arm* is a way to build or to train them:

- ``icnn``: the paper's.
- ``no-links``: rows that exchange nothing, widened until the parameters are as many.
- ``kernel-5``: the first and the last layer with kernels of 5 x 5 instead of 9 x 9.
- ``uncalibrated``: without the maps that tell the copies of an enlarged pixel apart.
- ``width-softmax``: the loss as the published code computes it.
- ``joint``: the follow-up's, all nets trained on as one through a spatial transformer; ``fixed``: with as many steps,
  but the second stage's nets alone.
"""

from __future__ import annotations

from typing import Any

from tenfold import config, registry
from tenfold.workflow import FIGURE_FORMS, Cfg, Edition, Wildcards, prepared, seeds_of, showing

FORM = {"kernel": 9, "linked": True, "calibrated": True}
FORMS: dict[str, Cfg] = {
    "icnn": FORM,
    "no-links": FORM | {"linked": False},
    "kernel-5": FORM | {"kernel": 5},
    "uncalibrated": FORM | {"calibrated": False},
    "width-softmax": FORM,
}
MAIN = "icnn"
JOINT = ("fixed", "joint")  # arms that go on from the main arm's nets
STAGES = {"first": ["face"], "second": ["brows", "eyes", "nose", "mouth"]}
TITLES = {
    "icnn": "interlinked (iCNN)",
    "no-links": "no links, as many parameters",
    "kernel-5": "outer kernels 5 x 5",
    "uncalibrated": "without calibration maps",
    "width-softmax": "softmax over the width",
    "fixed": "trained on, first stage fixed",
    "joint": "trained on jointly (follow-up)",
}
FIGURES = ("figure-stages", "figure-faces")  # they show faces; those of a stand-in may be shown to anyone


# Files -----------------------------------------------------------------------------------------------------------


def targets(edition: Edition) -> list[str]:
    """The figures that show faces, if these are drawn ones; pictures of people are made of no others."""
    forms = FIGURE_FORMS if edition.data_shown["stands_in_for"] else ()
    return [f"{edition.runs}/figures/{name}.{form}" for name in FIGURES for form in forms]


def corpus(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The prepared faces of nets: the edition's, or some of their own."""
    return [prepared(_dataset(edition, wildcards.nets))]


def _dataset(edition: Edition, nets: str) -> str:
    name: str = edition.settings["nets"][nets].get("data", edition.settings["data"])
    return name


def _stages(edition: Edition, nets: str, arm: str) -> list[str]:
    return list(STAGES) if arm in edition.settings["nets"][nets]["two_stages"] else ["first"]


def _trained(edition: Edition, wildcards: Wildcards, folder: str, form: str) -> list[str]:
    return [
        f"{edition.runs}/{folder}/{wildcards.nets}/{wildcards.arm}/{stage}/{wildcards.seeds}.{form}"
        for stage in _stages(edition, wildcards.nets, wildcards.arm)
    ]


def nets_weights(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of an arm's stages."""
    return _trained(edition, wildcards, "weights", "safetensors")


def nets_metrics(edition: Edition, wildcards: Wildcards) -> list[str]:
    """What training noted of them."""
    return _trained(edition, wildcards, "training", "json")


def main_weights(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of the main arm's stages, of the same seeds."""
    folder = f"{edition.runs}/weights/{wildcards.nets}/{MAIN}"
    return [f"{folder}/{stage}/{wildcards.seeds}.safetensors" for stage in STAGES]


def kept_weights(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The weights of the main arm's stages, of the first seeds."""
    folder = f"{edition.runs}/weights/{_first(edition)}/{MAIN}"
    return [f"{folder}/{stage}/{edition.seed_groups[0]}.safetensors" for stage in STAGES]


def _first(edition: Edition) -> str:
    return str(next(iter(edition.settings["nets"])))


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of the arms whose nets begin anew: what each file is of, and its path."""
    return [of for of in measured(edition) if of[0]["arm"] not in JOINT]


def measured(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all arms."""
    return [
        (
            {"data": _dataset(edition, nets), "net": nets, "arm": arm},
            f"{edition.runs}/metrics/{nets}/{arm}/{seeds}.json",
        )
        for nets, of in edition.settings["nets"].items()
        for arm in _arms(of)
        for seeds in edition.seed_groups
    ]


def _arms(of: Cfg) -> list[str]:
    return [*of["two_stages"], *of.get("one_stage", []), *of.get("joint", [])]


def metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all arms."""
    return [path for _, path in measured(edition)]


RESULTS = {"arms": metrics, "counted": "costs.json", "claims": "claims.json"}

# What each job's result depends on -------------------------------------------------------------------------------


def _faces(edition: Edition, nets: str) -> Cfg:
    return {"data": registry.cfg_of(_dataset(edition, nets)), "faces": edition.settings["faces"]}


def _arm(edition: Edition, nets: str, arm: str) -> Cfg:
    settings = edition.settings
    wanted = [net for stage in _stages(edition, nets, arm) for net in STAGES[stage]]
    return {
        **_faces(edition, nets),
        "compute": edition.compute,
        "arm": arm,
        "widths": settings["widths"],
        "form": FORMS[arm],
        "sides": {net: settings["sides"][net] for net in wanted},
    }


def train(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The nets of one stage of one arm."""
    settings, arm = edition.settings, wildcards.arm
    nets = STAGES[wildcards.stage]
    return {
        **_arm(edition, wildcards.nets, arm),
        "seeds": seeds_of(wildcards.seeds),
        "nets": nets,
        "sides": {net: settings["sides"][net] for net in nets},
        "spread": settings["spread"],
        "begin_with_shares": settings["begin_with_shares"],
        "softmax": "width" if arm == "width-softmax" else "channel",
        "augment": settings["augment"],
        "recipes": {
            net: edition.recipe_of(arm, settings["recipe"] | settings["net_recipes"].get(net, {})) for net in nets
        },
    }


def evaluate(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What comes of an arm's nets."""
    settings = edition.settings
    return {
        **_arm(edition, wildcards.nets, wildcards.arm),
        "seeds": seeds_of(wildcards.seeds),
        "centre": settings["centre"],
        "near": settings["near"],
    }


def joint(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The main arm's nets trained on."""
    settings = edition.settings
    return {
        **_arm(edition, wildcards.nets, MAIN),
        "arm": wildcards.arm,
        "seeds": seeds_of(wildcards.seeds),
        "near": settings["near"],
        "augment": settings["augment"],
        "joint": {fit: settings["recipe"] | settings["joint"][fit] for fit in ("localise", "go_on")},
        "is_joint": wildcards.arm == "joint",
    }


def keep(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """The main arm's nets of the first seed as one file."""
    of = _arm(edition, _first(edition), MAIN)
    settings = edition.settings
    return {key: of[key] for key in ("data", "faces", "widths", "form", "sides")} | {
        "seed": settings["seeds"][0],
        "centre": settings["centre"],
    }


def show(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What these nets make of some test faces."""
    return {**_faces(edition, _first(edition)), "show": edition.settings["show"]}


def draw_faces(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """The figures of that."""
    return {"shown": edition.data_shown}


def report(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings: dict[str, Any] = edition.settings
    return {
        "data": edition.data_shown,
        "seeds": settings["seeds"],
        "files": {"metrics": [of for of, _ in measured(edition)]},
        "faces": settings["faces"],
        "sides": settings["sides"],
        "near": settings["near"],
        "titles": TITLES,
        "published": edition.published,
    }


tables = report


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Figures show no published numbers, for none was recovered."""
    return {**showing(report(edition, wildcards)), "shown_claims": ["C4", "C4-thin", "C6"]}


def costs(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What is counted: the paper's nets, whatever the edition trains."""
    return {"nets": edition.published["costs"]}


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    editions = config.paper(edition.slug).editions.values()
    known = [(nets, arm) for settings in editions for nets, of in settings["nets"].items() for arm in _arms(of)]
    config.check_evidence(edition.slug, known)
    return {**report(edition, wildcards), **edition.judged}
