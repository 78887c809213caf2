"""What runs for SKNet at each edition, and what each job's result depends on.

An *arm* says which branches the units of a net have and how they are fused; `config/papers/sknet.yaml` lists them all.

- ``k3``: one branch, a 3x3 kernel: plain ResNeXt. ``k5`` and ``k7``: dilation 2 and 3.
- ``k3-k5-sum``: two branches, summed. ``k3-k5-sk``: two branches under attention, the paper's method.
- ``se``: one branch, and squeeze-and-excitation.
- ``wider``, ``deeper``, ``cardinality``: ``k3`` at no lower cost than ``k3-k5-sk``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tenfold import config
from tenfold.errors import UserError
from tenfold.workflow import Cfg, Edition, Wildcards, beside, prepared, seeds_of, showing

SLUG = "sknet"


def of_net(edition: Edition, net: str) -> Edition:
    """The edition as it is for one net, whose own settings take the place of the edition's."""
    return replace(edition, settings=edition.settings | edition.settings["nets"][net].get("settings", {}))


def options(settings: Cfg, net: str, arm: str) -> Cfg:
    """What `tenfold.papers.sknet.nets.build_net` builds an arm of a net from."""
    own = settings["nets"][net]
    return {**own["base"], **settings["arms"].get(arm, {}), **own["arms"][arm]}


def on_photographs(net: str) -> bool:
    """Whether a net is of ImageNet, whose images are decoded as they are needed."""
    return net.startswith(("imagenet-", "shufflenet-"))


def attended(edition: Edition) -> tuple[str, str]:
    """The net and the arm whose attention is looked at."""
    return edition.settings["attention"]["net"], edition.settings["attention"]["arm"]


# Files --------------------------------------------------------------------------------------------


def dataset(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The prepared dataset of a net."""
    return [prepared(of_net(edition, wildcards.net).settings["data"])]


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all nets and arms: what each file is of, and its path."""
    return [
        (
            {"data": of_net(edition, net).settings["data"], "net": net, "arm": arm},
            f"{edition.runs}/metrics/{net}/{arm}/{seeds}.json",
        )
        for net, own in edition.settings["nets"].items()
        for arm in own["arms"]
        for seeds in of_net(edition, net).seed_groups
    ]


def metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all nets and arms."""
    return [path for _, path in trained(edition)]


def attention(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """What was read off the units of the arm that is looked at."""
    net, arm = attended(edition)
    return [f"{edition.runs}/attention/{net}/{arm}/{seeds}.json" for seeds in of_net(edition, net).seed_groups]


def sample_weights(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The weights of the first seeds of that arm, for the illustration."""
    net, arm = attended(edition)
    return [f"{edition.runs}/weights/{net}/{arm}/{of_net(edition, net).seed_groups[0]}.safetensors"]


def histories(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """How the training of all arms went."""
    return beside(metrics(edition, _wildcards))


RESULTS = {"arms": metrics, "histories": histories, "attention": attention, "counts": "counts.json",
           "claims": "claims.json"}  # fmt: skip

# What each job's result depends on ----------------------------------------------------------------


def _job(edition: Edition, wildcards: Wildcards, *keys: str) -> Cfg:
    own = of_net(edition, wildcards.net)
    return {
        "data": own.data,
        "compute": edition.compute,
        "seeds": seeds_of(wildcards.seeds),
        "net": options(edition.settings, wildcards.net, wildcards.arm),
        **{key: own.settings[key] for key in keys},
    }


def train(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm of one net, on images in memory.

    Raises:
        UserError: an epoch would end with a batch of one image, which selective kernels cannot be trained on.
    """
    settings = of_net(edition, wildcards.net).settings
    job = {**_job(edition, wildcards, "images"), "recipe": edition.recipe_of(wildcards.arm, settings["recipe"])}
    fit, batch_size = settings["images"]["fit"], job["recipe"]["batch_size"]
    if fit is not None and fit % batch_size == 1:
        raise UserError(
            f"images.fit {fit} leaves one image in the last batch of {batch_size}, too few for BatchNorm in selective "
            f"kernels; change images.fit or recipe.batch_size (config/papers/sknet.yaml)"
        )
    return job


def train_photos(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm of one net, on photographs."""
    recipe = of_net(edition, wildcards.net).settings["recipe"]
    return {**_job(edition, wildcards, "photos", "processes"), "recipe": edition.recipe_of(wildcards.arm, recipe)}


def attend(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The attention of a trained arm."""
    return {**_job(edition, wildcards, "images"), "scales": edition.settings["attention"]["scales"]}


def attend_photos(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The attention of a trained arm on photographs."""
    return {**_job(edition, wildcards, "photos"), "scales": edition.settings["attention"]["scales"]}


def illustrate(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The attention of the first seed on a few photographs."""
    net, arm = attended(edition)
    own = of_net(edition, net).settings
    images = {"pixels": own["photos"]["size"], **own["photos"]} if on_photographs(net) else own["images"]
    return {
        "compute": edition.compute,
        "seed": own["seeds"][0],
        "trained_on": own["data"],
        "net": options(edition.settings, net, arm),
        "images": {key: images[key] for key in ("pixels", "mean", "std")},
        "scales": edition.settings["attention"]["scales"],
    }


def costs(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The nets whose parameters and multiply-adds are counted: the paper's own, and the edition's."""
    full = config.paper(SLUG).editions["full"]
    return {"nets": {**_counted(full), **_counted(edition.settings)}}


def _counted(settings: dict[str, Any]) -> dict[str, Cfg]:
    return {
        f"{net}/{arm}": {
            "net": options(settings, net, arm),
            "pixels": 224 if on_photographs(net) else settings["images"]["pixels"],
        }
        for net, own in settings["nets"].items()
        for arm in own["arms"]
    }


def report(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings = edition.settings
    return {
        "data": edition.data_shown,
        "seeds": settings["seeds"],
        "files": {"metrics": [of for of, _ in trained(edition)]},
        "nets": {net: list(own["arms"]) for net, own in settings["nets"].items()},
        "attention": settings["attention"],
        "published": edition.published,
    }


def tables(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What tables show beside that."""
    shown = ("imagenet", "equal_cost", "light", "cifar", "second_branch", "kernels", "attention")
    return showing(report(edition, wildcards), *shown)


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Figures show attention beside the published one."""
    return showing(report(edition, wildcards), "attention")


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    editions = config.paper(SLUG).editions.values()
    known = [(net, arm) for settings in editions for net, own in settings["nets"].items() for arm in own["arms"]]
    config.check_evidence(SLUG, known)
    return {**report(edition, wildcards), **edition.judged}
