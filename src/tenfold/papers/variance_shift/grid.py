"""What runs for the study of variance shift at each edition, and what each job's result depends on.

An *arm* is a place of noise and its rate.

- ``none``: no dropout.
- ``a-0.5``: dropout of drop ratio 0.5 right before each block's last BatchNorm, the paper's case (a).
- ``b-0.3``: right before each block's last convolution, case (b).
- ``last-0.1``: once before the classifier, behind all BatchNorms.
- ``uout-0.1``: Uout with beta 0.1 in the places of (b).
"""

from __future__ import annotations

from collections.abc import Sequence

from tenfold import config, registry
from tenfold.workflow import Cfg, Edition, Wildcards, seeds_of

NONE, SHIFTED = "none", "a-0.5"  # the arms that are looked at more closely
ADJUSTED = (NONE, SHIFTED, "b-0.5")  # those of Table 3, and what repairing does where nothing has shifted


def split_arm(arm: str) -> tuple[str, float]:
    """``a-0.5`` -> ``("a", 0.5)``, ``none`` -> ``("none", 0.0)``."""
    placement, _, rate = arm.partition("-")
    return placement, float(rate or 0)


# Files --------------------------------------------------------------------------------------------


def _places(edition: Edition) -> list[tuple[str, str]]:
    """All pairs of dataset and net."""
    return [(dataset, net) for dataset in edition.settings["datasets"] for net in edition.settings["nets"]]


def _of(edition: Edition, arms: Sequence[str] = ()) -> list[Cfg]:
    """What files are of: all datasets and nets, and their arms, or some of these; one for each job's seeds."""
    return [
        {"data": dataset, "net": net, "arm": arm, "seeds": seeds}
        for dataset, net in _places(edition)
        for arm in edition.settings["nets"][net]["arms"]
        for seeds in edition.seed_groups
        if arm in arms or not arms
    ]


def files(edition: Edition) -> dict[str, list[tuple[Cfg, str]]]:
    """What reports are made from, by the name of its list: what each file is of, and its path."""
    first = [of for of in _of(edition, [SHIFTED]) if of["seeds"] == edition.seed_groups[0]]
    paths = {
        "metrics": (_of(edition), "metrics/{data}/{net}/{arm}/{seeds}.json"),
        "histories": (_of(edition, [NONE, SHIFTED]), "metrics/{data}/{net}/{arm}/{seeds}.csv"),
        "probes": (_of(edition), "probe/{data}/{net}/{arm}/{seeds}.json"),
        "settled": (_of(edition, ADJUSTED), "settled/{data}/{net}/{arm}/{seeds}.json"),
        "weight_stats": (_of(edition, [NONE]), "weight_stats/{data}/{net}/{seeds}.json"),
        "logits": (first, "logits/{data}/{net}/{arm}/{seeds}.json"),
    }
    return {
        name: [
            ({key: of[key] for key in ("data", "net", "arm")}, f"{edition.runs}/{path.format(**of)}") for of in listed
        ]
        for name, (listed, path) in paths.items()
    }


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all datasets, nets and arms: what each file is of, and its path."""
    return files(edition)["metrics"]


def metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all trained nets."""
    return [path for _, path in trained(edition)]


def histories(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The histories of the arms whose accuracy in both modes is followed."""
    return [path for _, path in files(edition)["histories"]]


def probes(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The shift of all trained nets."""
    return [path for _, path in files(edition)["probes"]]


def all_settled(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The nets whose moving averages settled in use."""
    return [path for _, path in files(edition)["settled"]]


def weight_stats(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The weights of the nets without dropout."""
    return [path for _, path in files(edition)["weight_stats"]]


def logits(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """Logits of the first seed of all nets with most shift."""
    return [path for _, path in files(edition)["logits"]]


RESULTS = {
    "arms": metrics,
    "metrics": metrics,
    "histories": histories,
    "probes": probes,
    "settled": all_settled,
    "weight_stats": weight_stats,
    "logits": logits,
    "theory": "theory.json",
    "claims": "claims.json",
    "counted": "costs.json",
}

# What each job's result depends on ----------------------------------------------------------------


def _net(settings: Cfg) -> Cfg:
    return {key: value for key, value in settings.items() if key not in ("arms", "recipe")}


def _job(edition: Edition, wildcards: Wildcards, arm: str) -> Cfg:
    settings = edition.settings
    recipe = settings["recipe"] | settings["nets"][wildcards.net].get("recipe", {})
    return {
        "data": registry.cfg_of(wildcards.dataset),
        "compute": edition.compute,
        "seeds": seeds_of(wildcards.seeds),
        "images": settings["images"],
        "net": _net(settings["nets"][wildcards.net]),
        "recipe": edition.recipe_of(arm, recipe),
    }


def _arm(arm: str) -> Cfg:
    placement, rate = split_arm(arm)
    return {"arm": arm, "placement": placement, "rate": rate}


def train(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm of one net on one dataset; of some arms, images on which test mode is followed."""
    followed = edition.settings["examine"]["followed"] if wildcards.arm in (NONE, SHIFTED) else 0
    return {**_job(edition, wildcards, wildcards.arm), **_arm(wildcards.arm), "followed": followed}


def _examination(edition: Edition, wildcards: Wildcards, arm: str) -> Cfg:
    job = _job(edition, wildcards, arm)
    batch_size = job.pop("recipe")["batch_size"]
    return {**job, **_arm(arm), "batch_size": batch_size, "examined": edition.settings["examine"]["images"]}


def probe(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The shift of one arm of one net, and its repair."""
    momentum = edition.settings["examine"]["momentum"]
    return {**_examination(edition, wildcards, wildcards.arm), "momentum": momentum}


def settled(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Moving averages of one arm of one net that settle in use."""
    return {**_examination(edition, wildcards, wildcards.arm), **edition.settings["examine"]["settling"]}


def flipped(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Training images that the shift makes wrong, of one net."""
    return {**_examination(edition, wildcards, SHIFTED), "examples": edition.settings["examine"]["examples"]}


def weights_of(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The weights of one net without dropout."""
    job = _job(edition, wildcards, NONE)
    return {key: job[key] for key in ("data", "compute", "seeds", "images", "net")}


def simulate(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Drawn samples beside the formulas."""
    return dict(edition.settings["theory"])


def report(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings = edition.settings
    shown = [registry.dataset(name) for name in settings["datasets"]]
    return {
        "data": [{"name": entry.name, "stands_in_for": entry.stands_in_for} for entry in shown],
        "pixels": settings["images"]["pixels"],
        "seeds": settings["seeds"],
        "files": {name: [of for of, _ in listed] for name, listed in files(edition).items()},
        "nets": settings["nets"],
        "published": edition.published,
    }


tables = report


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Of what was published figures show the names of nets and their mean ratios."""
    nets = [{"title": entry["title"], "net": entry["net"]} for entry in edition.published["nets"]]
    return {**report(edition, wildcards), "published": {"nets": nets, "ratios": edition.published["ratios"]}}


def costs(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The nets whose parameters and BatchNorm layers are counted: the paper's own, and the edition's."""
    paper = {entry["title"]: entry["net"] for entry in edition.published["nets"]}
    return {"nets": {"paper": paper, "ours": {name: _net(net) for name, net in edition.settings["nets"].items()}}}


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    editions = config.paper(edition.slug).editions.values()
    known = [(net, arm) for settings in editions for net, of in settings["nets"].items() for arm in of["arms"]]
    config.check_evidence(edition.slug, known)
    return {**report(edition, wildcards), **edition.judged}
