"""What runs for SGE at each edition, and what each job's result depends on.

An *arm* is a kind of attention, with what is varied of it: ``plain``, ``se``, ``sk``, ``bam``, ``cbam``, ``gc``,
``sge``; ``sge-g8`` with 8 groups; ``sge-gamma1-beta0`` with these first values; ``sge-unnormalised``. A *detector* is
named by its kind and its net: ``retinanet-resnet50``.
"""

from __future__ import annotations

import re
from typing import Any

from tenfold import config, registry
from tenfold.errors import UserError
from tenfold.workflow import (
    FIGURE_FORMS,
    Cfg,
    Edition,
    Wildcards,
    beside,
    prepared,
    seeds_of,
    seeds_wildcard,
    showing,
)

MAPS = "figure-maps"  # shows test images; those of a stand-in may be shown to anyone
COCO = "coco-2017"  # what the paper's detectors see
EXAMINED = "sge"  # the arm whose features are looked at


def attention_of(settings: Cfg, arm: str) -> Cfg | None:
    """The attention of an arm, as `tenfold.papers.sge.nets.insert` takes it; None for the plain net.

    Raises:
        UserError: the arm is none that there is.
    """
    if arm == "plain":
        return None
    kind, _, variant = arm.partition("-")
    attention = {"kind": kind, **settings["attention"].get(kind, {})}
    if kind not in settings["attention"]:
        raise UserError(f"'{arm}' is no arm of sge; kinds are plain, {', '.join(settings['attention'])}")
    if groups := re.fullmatch(r"g(\d+)", variant):
        return attention | {"groups": int(groups[1])}
    if first := re.fullmatch(r"gamma([01])-beta([01])", variant):
        return attention | {"gamma": int(first[1]), "beta": int(first[2])}
    if variant == "unnormalised":
        return attention | {"normalise": False}
    if variant:
        raise UserError(f"'{arm}' is no arm of sge; 'sge' takes -g8, -gamma0-beta1 (0 or 1) and -unnormalised")
    return attention


def groups_of(settings: Cfg, arm: str) -> int:
    """The number of groups of an SGE arm."""
    attention = attention_of(settings, arm)
    assert attention is not None
    return int(attention["groups"])


def first_net(settings: Cfg) -> str:
    """The net that claims and ablations are of: the first one configured."""
    return str(next(iter(settings["nets"])))


def first_channels(settings: Cfg) -> int:
    """The channels that the first net's blocks of the first stage give; bottlenecks give four times their width."""
    net = settings["nets"][first_net(settings)]
    return int(net["width"]) * (4 if net["family"] == "resnet_imagenet" else 1)


def kind_and_net(detector: str) -> tuple[str, str]:
    """``retinanet-resnet18-c16`` -> ``retinanet`` and ``resnet18-c16``."""
    kind, _, net = detector.partition("-")
    return kind, net


# Files ------------------------------------------------------------------------------------------------------------


def targets(edition: Edition) -> list[str]:
    """The figure that shows images of a stand-in; one of real images is asked for by its own name."""
    forms = FIGURE_FORMS if edition.data_shown["stands_in_for"] else ()
    return [f"{edition.runs}/figures/{MAPS}.{form}" for form in forms]


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all nets and arms: what each file is of, and its path."""
    return [
        ({"data": edition.settings["data"], "net": net, "arm": arm}, f"{edition.runs}/metrics/{net}/{arm}/{seeds}.json")
        for net, settings in edition.settings["nets"].items()
        for arm in settings["arms"]
        for seeds in edition.seed_groups
    ]


def metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all nets and arms."""
    return [path for _, path in trained(edition)]


def statistics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The statistics of the examined arm of the first net."""
    return [f"{edition.runs}/statistics/{first_net(edition.settings)}/{seeds}.json" for seeds in edition.seed_groups]


def maps_weights(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The weights that the figure of maps is drawn with: those of the first seeds."""
    net, seeds = first_net(edition.settings), edition.seed_groups[0]
    return [f"{edition.runs}/weights/{net}/{EXAMINED}/{seeds}.safetensors"]


def histories(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """How the training of all arms went."""
    return beside(metrics(edition, _wildcards))


def detected(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all detectors and arms: what each file is of, and its path."""
    settings, size = edition.settings["detection"], edition.settings["seeds_per_job"]
    return [
        (
            {"data": settings["data"], "net": name, "arm": arm},
            f"{edition.runs}/detection/metrics/{name}/{arm}/{seeds_wildcard(of['seeds'][start : start + size])}.json",
        )
        for name, of in settings["detectors"].items()
        for arm in of["arms"]
        for start in range(0, len(of["seeds"]), size)
    ]


def detectors(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all detectors and arms."""
    return [path for _, path in detected(edition)]


def pictures(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The prepared pictures that detectors are trained on."""
    return [prepared(edition.settings["detection"]["data"])]


def classifier(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The classifier that a detector's net begins with: of its kind, its attention and its seeds."""
    _, net = kind_and_net(wildcards.net)
    return [f"{edition.runs}/weights/{net}/{wildcards.arm}/{wildcards.seeds}.safetensors"]


RESULTS = {"arms": metrics, "detectors": detectors, "histories": histories, "statistics": statistics,
           "counted": "costs.json", "claims": "claims.json"}  # fmt: skip

# What each job's result depends on --------------------------------------------------------------------------------


def _images(settings: Cfg) -> Cfg:
    """How images are shown to nets: those in memory, or ImageNet's photographs."""
    return {"photos": settings["photos"]} if "photos" in settings else {"images": settings["images"]}


def _net(settings: Cfg, net: str, arm: str) -> Cfg:
    plain = {key: value for key, value in settings["nets"][net].items() if key != "arms"}
    return {**plain, "attention": attention_of(settings, arm)}


def _job(edition: Edition, seeds: list[int], net: str, arm: str) -> Cfg:
    settings = edition.settings
    return {
        "data": edition.data,
        "compute": edition.compute,
        "seeds": seeds,
        "net": _net(settings, net, arm),
        **_images(settings),
    }


def train(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm of one net; on ImageNet by several processes."""
    settings = edition.settings
    processes = {"processes": settings["processes"]} if "photos" in settings else {}
    job = _job(edition, seeds_of(wildcards.seeds), wildcards.net, wildcards.arm)
    return {**job, "arm": wildcards.arm, "recipe": edition.recipe_of(wildcards.arm, settings["recipe"]), **processes}


def examine(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The statistics of the examined arm."""
    job = _job(edition, seeds_of(wildcards.seeds), wildcards.net, EXAMINED)
    return {**job, "name": wildcards.net, "histogram": edition.settings["histogram"]}


def maps(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Where groups light up, in the net of the first seed."""
    settings = edition.settings
    job = _job(edition, settings["seeds"][:1], first_net(settings), EXAMINED)
    return {**job, "maps": settings["maps"]}


def draw_maps(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The figure of that."""
    return {"stage": edition.settings["maps"]["stage"], "shown": edition.data_shown}


def detect(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm of one detector."""
    settings = edition.settings["detection"]
    kind, net = kind_and_net(wildcards.net)
    own = {"processes": edition.settings["processes"]} if settings["data"] == COCO else {}
    shared = ("frozen", "coarser", "channels", "anchor", "hidden", "proposals", "sampled")
    return {
        "data": registry.cfg_of(settings["data"]),
        "compute": edition.compute,
        "seeds": seeds_of(wildcards.seeds),
        "name": wildcards.net,
        "arm": wildcards.arm,
        "net": {**settings["nets"][net], "attention": attention_of(edition.settings, wildcards.arm)},
        "detector": {"kind": kind, "stages": settings["stages"][kind]} | {key: settings[key] for key in shared},
        **{key: settings[key] for key in ("mean", "std", "sizes") if key in settings},
        "recipe": settings["recipe"] | settings["detectors"][wildcards.net].get("recipe", {}),
        "stage": edition.settings["maps"]["stage"],
        **own,
    }


def report(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings: dict[str, Any] = edition.settings
    return {
        "data": edition.data_shown,
        "pixels": settings["photos"]["size"] if "photos" in settings else settings["images"]["pixels"],
        "seeds": settings["seeds"],
        "files": {"metrics": [of for of, _ in trained(edition)], "detectors": [of for of, _ in detected(edition)]},
        "detection": detection_shown(edition),
        "nets": {net: of["arms"] for net, of in settings["nets"].items()},
        "first_channels": first_channels(settings),
        "attention": settings["attention"],
        "published": edition.published,
    }


def detection_shown(edition: Edition) -> Cfg:
    """What tables say of the pictures that detectors see, and how these are trained."""
    settings = edition.settings["detection"]
    entry = registry.dataset(settings["data"])
    other = {} if COCO in (entry.name, (entry.stands_in_for or "").lower()) else {"paper": COCO}
    return {"data": {"name": entry.name, "stands_in_for": entry.stands_in_for, **other},
            "seeds": {name: of["seeds"] for name, of in settings["detectors"].items()}}  # fmt: skip


tables = report


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Figures show gains by groups, and lengths, beside the published ones."""
    return showing(report(edition, wildcards), "imagenet", "groups", "statistics")


def costs(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What is counted: the paper's nets, whatever the edition trains."""
    return {"published": edition.published}


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    editions = config.paper(edition.slug).editions.values()
    known = [
        (net, arm)
        for settings in editions
        for nets in (settings["nets"], settings["detection"]["detectors"])
        for net, of in nets.items()
        for arm in of["arms"]
    ]
    config.check_evidence(edition.slug, known)
    return {**report(edition, wildcards), **edition.judged}
