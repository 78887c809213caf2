"""What runs for turbo-hoi at each edition, and what each job's result depends on.

*Nets* are all nets that are trained on the same images: drawn ``scenes``, on which both tasks inform each other;
``no-limb-cue``, on which poses tell nothing of interactions; ``photos``; or ``v-coco``.
An *arm* is a way to pass messages between both modules. All have the same net, so as many parameters:

- ``hoi-only`` and ``pose-only``: one module without messages, and its own losses alone.
- ``multitask``: both modules on one backbone, without messages.
- ``pose-to-hoi`` and ``hoi-to-pose``: one-way links.
- ``turbo-2`` and ``turbo-3``: the loop, unfolded for so many turns; with one turn it is ``pose-to-hoi``.
- ``turbo-2-shuffled``: the loop, each person with the messages of another one.
"""

from __future__ import annotations

from typing import Any

from tenfold import config, registry
from tenfold.workflow import FIGURE_FORMS, Cfg, Edition, Wildcards, prepared, seeds_of, showing

OFF = {"use_pose": False, "use_mask": False, "turns": 1, "shuffled": False}
ON = {"use_pose": True, "use_mask": True, "turns": 2, "shuffled": False}
LINKS_OF: dict[str, Cfg] = {
    "hoi-only": OFF,
    "pose-only": OFF,
    "multitask": OFF,
    "pose-to-hoi": OFF | {"use_pose": True},
    "hoi-to-pose": OFF | {"use_mask": True, "turns": 2},
    "turbo-2": ON,
    "turbo-3": ON | {"turns": 3},
    "turbo-2-shuffled": ON | {"shuffled": True},
}
TASKS_OF = {"hoi-only": ["hoi"], "pose-only": ["pose"]}  # of others both
LOOP, MULTITASK, ONE_WAY = "turbo-2", "multitask", ("pose-to-hoi", "hoi-to-pose")
OFF_ARMS = (MULTITASK, "hoi-to-pose")  # that are tested where actions tell nothing of poses, too
TITLES = {
    "hoi-only": "interactions alone",
    "pose-only": "pose alone",
    "multitask": "multitask, no messages",
    "pose-to-hoi": "pose to interaction",
    "hoi-to-pose": "interaction to pose",
    "turbo-2": "loop, T = 2",
    "turbo-3": "loop, T = 3",
    "turbo-2-shuffled": "loop, T = 2, shuffled",
}
SCENES = {
    "": "both inform each other",
    "no-limb-cue": "one object in reach, shirts name the action",
    "no-action-cue": "all arms in sight",
}
PHOTOS = "photos"  # nets on photographs, of which there are far too few to train on
GIVEN, DETECTED = "boxes given", "boxes detected"
FIGURES = ("figure-messages", "figure-scenes")  # they show scenes, drawn ones alone


# Files -----------------------------------------------------------------------------------------------------------


def targets(edition: Edition) -> list[str]:
    """The figures that show scenes; pictures of people are made of no others."""
    forms = FIGURE_FORMS if edition.data_shown["stands_in_for"] else ()
    return [f"{edition.runs}/figures/{name}.{form}" for name in FIGURES for form in forms]


def _dataset(edition: Edition, nets: str) -> str:
    name: str = edition.settings["nets"][nets].get("data", edition.settings["data"])
    return name


def corpus(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The prepared scenes of nets; or what was detected in the images to train and to test on."""
    if edition.settings["nets"][wildcards.nets]["corpus"] == "detected":
        return [f"{edition.runs}/private/detected/{split}.safetensors" for split in ("trainval", "test")]
    return [prepared(_dataset(edition, wildcards.nets))]


def switched_off(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The prepared scenes on which some arms are tested too, with one cue switched off."""
    off = edition.settings["nets"][wildcards.nets].get("without", {}) if wildcards.arm in OFF_ARMS else {}
    return [prepared(name) for name in off.values()]


def kept_weights(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The weights of the loop, of the first seeds."""
    return [f"{edition.runs}/weights/{_first(edition)}/{LOOP}/{edition.seed_groups[0]}.safetensors"]


def _first(edition: Edition) -> str:
    return str(next(iter(edition.settings["nets"])))


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all arms: what each file is of, and its path."""
    return [
        (
            {"data": _dataset(edition, nets), "net": nets, "arm": arm},
            f"{edition.runs}/metrics/{nets}/{arm}/{seeds}.json",
        )
        for nets, of in edition.settings["nets"].items()
        for arm in of["arms"]
        for seeds in edition.seed_groups
    ]


def metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all arms."""
    return [path for _, path in trained(edition)]


def annotated(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The datasets whose annotations are looked at by themselves."""
    return [prepared(name) for name in edition.settings["pairs"]]


def ranked(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """What annotations alone tell, where an edition asks them."""
    return [f"{edition.runs}/pairs.json"] if edition.settings["pairs"] else []


RESULTS = {"arms": metrics, "ranked": ranked, "claims": "claims.json"}

# What each job's result depends on -------------------------------------------------------------------------------


def detect(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What is detected in the images of a split."""
    return {"data": edition.data, "compute": edition.compute, "split": wildcards.split, **edition.settings["detect"]}


def train(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm."""
    settings, arm = edition.settings, wildcards.arm
    of = settings["nets"][wildcards.nets]
    tasks = TASKS_OF.get(arm) or of.get("tasks") or list(settings["losses"])
    off = of.get("without", {}) if arm in OFF_ARMS else {}
    return {
        "data": registry.cfg_of(_dataset(edition, wildcards.nets)),
        "corpus": of["corpus"],
        "off": {name: registry.cfg_of(dataset) for name, dataset in off.items()},
        "compute": edition.compute,
        "seeds": seeds_of(wildcards.seeds),
        "arm": arm,
        "links": LINKS_OF[arm],
        "losses": {task: weight if task in tasks else 0.0 for task, weight in settings["losses"].items()},
        "sizes": settings["sizes"],
        "recipe": edition.recipe_of(arm, settings["recipe"]),
    }


def pairs(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What annotations alone tell."""
    names: list[str] = edition.settings["pairs"]
    return {"names": names, "data": [registry.cfg_of(name) for name in names]}


def show(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What the loop of the first seed says of some test scenes."""
    settings = edition.settings
    return {
        "data": registry.cfg_of(_dataset(edition, _first(edition))),
        "seed": settings["seeds"][0],
        "links": LINKS_OF[LOOP],
        "sizes": settings["sizes"],
        "show": settings["show"],
    }


def _shown(edition: Edition) -> Cfg:
    """What is said of the data: whether a detector was asked."""
    shown = edition.data_shown
    return {**shown, "name": f"{shown['name']}, {DETECTED if 'detect' in edition.settings else GIVEN}"}


def photographs(edition: Edition) -> Cfg:
    """What is said of the photographs, where an edition has some."""
    of = edition.settings["nets"].get(PHOTOS)
    return {"name": f"{of['data']}, {GIVEN}", "stands_in_for": None, "paper": "v-coco"} if of else _shown(edition)


def draw_scenes(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """The figures of that."""
    return {"shown": _shown(edition)}


def report(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings: dict[str, Any] = edition.settings
    return {
        "data": _shown(edition),
        "seeds": settings["seeds"],
        "files": {"metrics": [of for of, _ in trained(edition)]},
        "titles": TITLES,
        "scenes": SCENES,
        "photos": photographs(edition),
        "published": edition.published,
    }


tables = report


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Figures show no published numbers: none is of what they show."""
    return showing(report(edition, wildcards))


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    editions = config.paper(edition.slug).editions.values()
    known = [(nets, arm) for settings in editions for nets, of in settings["nets"].items() for arm in of["arms"]]
    config.check_evidence(edition.slug, known)
    return {**report(edition, wildcards), **edition.judged}
