"""What runs for Pruning from Scratch at each edition, and what each job's result depends on.

An *arm* is a way to get the widths of a net, at a ratio of saved MACs:

- ``full``: the standard widths, without a ratio.
- ``pruned-p0.5``: widths from gates learned on random weights, the paper's method; each seed has its own.
- ``pretrained-p0.5``: widths from gates learned on the last checkpoint of that seed's pre-training.
- ``uniform-p0.5``: the same fraction of every layer.
- ``random-p0.5``: a random structure, drawn anew for each seed.
- ``scratch-b-p0.5``: as ``pruned``, trained for as many MACs as the full net.
- ``chosen-p0.5``: of the structures of ``pruned``, the one that does best on validation images, for all seeds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tenfold import config
from tenfold.workflow import Cfg, Edition, Wildcards, beside, prepared, seeds_of, seeds_wildcard, showing

RANDOM_INIT = "random-init"
ORIGIN = {"pruned": RANDOM_INIT, "scratch-b": RANDOM_INIT, "uniform": "uniform", "random": "random", "chosen": "chosen"}


def of_net(edition: Edition, net: str) -> Edition:
    """The edition as it is for one net, whose own settings take the place of the edition's."""
    own = edition.settings["nets"][net].get("settings", {})
    return replace(edition, settings=edition.settings | own)


def arms(edition: Edition, net: str) -> list[str]:
    """The arms that the edition trains of a net."""
    names = []
    for kind, ratios in edition.settings["nets"][net]["arms"].items():
        names += ["full"] if kind == "full" else [f"{kind}-p{ratio}" for ratio in ratios]
    return names


def split_arm(arm: str) -> tuple[str, float | None]:
    """``pruned-p0.5`` -> ``("pruned", 0.5)``; ``full`` -> ``("full", None)``."""
    kind, _, ratio = arm.rpartition("-p")
    return (kind, float(ratio)) if kind else (arm, None)


def sources(edition: Edition, net: str) -> list[str]:
    """What a net's gates are learned on: random weights, and the checkpoints of a pre-training, if it has one."""
    checkpoints = of_net(edition, net).settings["pretrain"]["checkpoints"]
    return [RANDOM_INIT, *(f"pretrained-e{epoch}" for epoch in checkpoints)]


def origin(edition: Edition, arm: str) -> str:
    """Where an arm's widths come from: a source of gates, ``uniform``, ``random`` or ``chosen``."""
    kind, _ = split_arm(arm)
    if kind == "pretrained":
        return f"pretrained-e{edition.settings['pretrain']['checkpoints'][-1]}"
    return ORIGIN[kind]


def init_groups(edition: Edition, net: str) -> list[str]:
    """The random initialisations that gates are learned on, as seeds of one job each; the arms' seeds come first."""
    seeds, size = edition.settings["seeds"], edition.settings["seeds_per_job"]
    more = list(range(seeds[-1] + 1, of_net(edition, net).settings["inits"]))
    return edition.seed_groups + [seeds_wildcard(more[start : start + size]) for start in range(0, len(more), size)]


# Files --------------------------------------------------------------------------------------------


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all nets and arms: what each file is of, and its path."""
    return [
        ({**_of(edition, net), "arm": arm}, f"{edition.runs}/metrics/{net}/{arm}/{seeds}.json")
        for net in edition.settings["nets"]
        for arm in arms(edition, net)
        for seeds in edition.seed_groups
    ]


def _of(edition: Edition, net: str) -> Cfg:
    return {"data": of_net(edition, net).settings["data"], "net": net}


def metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all nets and arms."""
    return [path for _, path in trained(edition)]


def pruned(edition: Edition) -> list[tuple[Cfg, str]]:
    """The structures of all nets, of every origin that an arm of the edition has: what each is of, and its path."""
    return [
        ({**_of(edition, net), "origin": name}, f"{edition.runs}/structures/{net}/{name}/{seeds}.json")
        for net in edition.settings["nets"]
        for name in _origins(edition, net)
        for seeds in (init_groups(edition, net) if name == RANDOM_INIT else edition.seed_groups)
    ]


def structures(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The structures of all nets, of every origin that an arm of the edition has."""
    return [path for _, path in pruned(edition)]


def _origins(edition: Edition, net: str) -> list[str]:
    of_arms = [origin(edition, arm) for arm in arms(edition, net) if split_arm(arm)[0] not in ("full", "chosen")]
    return list(dict.fromkeys([*sources(edition, net), *of_arms]))


def dataset(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The prepared dataset of a net that has one of its own."""
    return [prepared(of_net(edition, wildcards.net).settings["data"])]


def structure(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The structure file of an arm; none for the full net."""
    kind, ratio = split_arm(wildcards.arm)
    if kind == "full":
        return []
    if kind == "chosen":
        return [f"{edition.runs}/structures/{wildcards.net}/chosen/p{ratio}.json"]
    return [f"{edition.runs}/structures/{wildcards.net}/{origin(edition, wildcards.arm)}/{wildcards.seeds}.json"]


def candidates(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The structures among which one is chosen."""
    return [f"{edition.runs}/structures/{wildcards.net}/{RANDOM_INIT}/{seeds}.json" for seeds in edition.seed_groups]


def checkpoint(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The pre-trained weights that gates are learned on; none where the weights are random."""
    if wildcards.source == RANDOM_INIT:
        return []
    return [f"{edition.runs}/weights/{wildcards.net}/pretrain/{wildcards.seeds}.safetensors"]


def searches(edition: Edition, wildcards: Wildcards) -> list[str]:
    """What gate learning and pre-training did and cost, for all nets."""
    return [f"{path}.json" for _, path in _courses(edition)]


def search_times(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The seconds that gate learning and pre-training took, for all nets."""
    return [f"{path}.times.csv" for _, path in _courses(edition)]


def gate_histories(edition: Edition, wildcards: Wildcards) -> list[str]:
    """How the gates of random inits went, for all nets."""
    return [path for _, path in _histories(edition)]


def _histories(edition: Edition) -> list[tuple[Cfg, str]]:
    return [
        (_of(edition, net), f"{edition.runs}/gates/{net}/{RANDOM_INIT}/{seeds}.csv")
        for net in edition.settings["nets"]
        for seeds in edition.seed_groups
    ]


def _courses(edition: Edition) -> list[tuple[Cfg, str]]:
    """Gate learning and pre-training: what was learned on or that it was a pre-training, and the path's beginning."""
    files = []
    for net in edition.settings["nets"]:
        of = _of(edition, net)
        for source in sources(edition, net):
            groups = init_groups(edition, net) if source == RANDOM_INIT else edition.seed_groups
            files += [({**of, "source": source}, f"{edition.runs}/gates/{net}/{source}/{seeds}") for seeds in groups]
        if len(sources(edition, net)) > 1:
            groups = edition.seed_groups
            files += [({**of, "source": "pretrain"}, f"{edition.runs}/pretrain/{net}/{seeds}") for seeds in groups]
    return files


def histories(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """How the training of all arms went."""
    return beside(metrics(edition, _wildcards))


RESULTS = {
    "arms": metrics,
    "histories": histories,
    "structures": structures,
    "searches": searches,
    "search_times": search_times,
    "gate_histories": gate_histories,
    "counted": "costs.json",
    "claims": "claims.json",
}
OUTPUTS = {"times": "tables/table-search-cost.times.csv"}

# What each job's result depends on ----------------------------------------------------------------


def _net(edition: Edition, net: str, width: str) -> Cfg:
    settings = edition.settings["nets"][net]
    return {"family": settings["family"], "name": settings["name"], "width": settings[width]}


def _training(edition: Edition, wildcards: Wildcards, width: str) -> Cfg:
    own = of_net(edition, wildcards.net)
    return {
        "data": own.data,
        "compute": edition.compute,
        "seeds": seeds_of(wildcards.seeds),
        "net": _net(edition, wildcards.net, width),
        "images": own.settings["images"],
    }


def pretrain(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The expanded net, trained on the images that gates are learned on."""
    return {
        **_training(edition, wildcards, "expanded"),
        "validation": edition.settings["gates"]["validation"],
        "recipe": edition.settings["train"] | {"epochs": edition.settings["pretrain"]["checkpoints"][-1]},
        "checkpoints": edition.settings["pretrain"]["checkpoints"],
    }


def learn_gates(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Gates of the expanded net, on random or on pre-trained weights."""
    return {
        **_training(edition, wildcards, "expanded"),
        "source": wildcards.source,
        "gates": of_net(edition, wildcards.net).settings["gates"],
    }


def _search(edition: Edition, wildcards: Wildcards) -> Cfg:
    images = of_net(edition, wildcards.net).settings["images"]
    size = {"size": images["size"]} if "size" in images else {}
    return {
        "seeds": seeds_of(wildcards.seeds),
        "net": _net(edition, wildcards.net, "expanded"),
        "standard": _net(edition, wildcards.net, "width"),
        "ratios": edition.settings["budgets"],
        **size,
    }


def prune(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Structures from gates, at every budget."""
    return {**_search(edition, wildcards), "source": wildcards.source, "search": edition.settings["search"]}


def baseline(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Uniform or random structures, at every budget."""
    return {**_search(edition, wildcards), "kind": wildcards.kind}


def choose(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One training of each candidate structure, without the validation images."""
    return {
        "data": edition.data,
        "compute": edition.compute,
        "seeds": edition.settings["seeds"],
        "ratio": float(wildcards.ratio),
        "net": _net(edition, wildcards.net, "expanded"),
        "images": edition.settings["images"],
        "validation": edition.settings["gates"]["validation"],
        "recipe": edition.settings["train"],
    }


def train(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm, trained from scratch; what is not prunable in it is as wide as in the net that was pruned."""
    kind, ratio = split_arm(wildcards.arm)
    settings = of_net(edition, wildcards.net).settings
    longer = {"epochs": settings["scratch_b_epochs"]} if kind == "scratch-b" and "scratch_b_epochs" in settings else {}
    return {
        **_training(edition, wildcards, "width" if kind == "full" else "expanded"),
        "standard": _net(edition, wildcards.net, "width"),
        "arm": kind,
        "ratio": ratio,
        "recipe": edition.recipe_of(wildcards.arm, settings["train"] | longer),
    }


def data_shown(edition: Edition) -> Cfg:
    """What tables and figures say of the data; nets that have a dataset of their own are named with it."""
    others: dict[str, list[str]] = {}
    for net in edition.settings["nets"]:
        name = of_net(edition, net).settings["data"]
        if name != edition.settings["data"]:
            others.setdefault(name, []).append(net)
    name = edition.data_shown["name"]
    beside = "".join(f"; {other} for {', '.join(nets)}" for other, nets in others.items())
    return edition.data_shown | {"name": name + beside}


def report(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings: dict[str, Any] = edition.settings
    return {
        "data": data_shown(edition),
        "seeds": settings["seeds"],
        "files": {
            "metrics": [of for of, _ in trained(edition)],
            "structures": [of for of, _ in pruned(edition)],
            "searches": [of for of, _ in _courses(edition)],
            "gate_histories": [of for of, _ in _histories(edition)],
        },
        "nets": {net: {"arms": arms(edition, net), **_net(edition, net, "width")} for net in settings["nets"]},
        "budgets": settings["budgets"],
        "tolerance": settings["search"]["tolerance"],
        "published": edition.published,
    }


def tables(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Tables show accuracies beside that; what is published of costs stands in the list of nets to count."""
    return showing(report(edition, wildcards), "accuracy")


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Figures show nothing that was published."""
    return showing(report(edition, wildcards))


def costs(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The nets whose parameters, MACs and gates are counted."""
    return {"nets": edition.published["costs"]}


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    editions = config.paper(edition.slug).editions.values()
    known = [(net, kind) for settings in editions for net, of in settings["nets"].items() for kind in of["arms"]]
    config.check_evidence(edition.slug, known)
    return {**report(edition, wildcards), **edition.judged}
