"""What runs for the competition at each edition, and what each job's result depends on.

Nets are trained once for each list of seeds. An attack is run once, on the nets that its arm names; a defence labels
what the attacks of a track have made, one job for each track: the work grows with attacks times nets and defences times
attacks, and another defence is one more column. A *track* is a set of attacks with the defences that they meet:
``arena`` is the competition, the others are experiments that single teams report of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tenfold import config
from tenfold.errors import UserError
from tenfold.workflow import WILDCARDS, Cfg, Edition, Wildcards, beside, seeds_of, showing

SUBMITTED = "submitted"  # the track of users' own attacks
SUBMISSIONS = {"attacks": "attack", "defences": "defend"}  # folders below submissions/, and what a file there defines
ARENA = "arena"  # the track that is scored; also what claims call the place where arms meet
NO_OP = "no-op"  # the attack that does nothing: what a defence costs
PACKAGE = "tenfold.papers.adversarial_competition"


def called(settings: Cfg, kind: str, name: str) -> Cfg:
    """An arm of ``nets``, ``attacks``, ``defences`` or ``learned``, by its name; one that is ``like`` another, in full.

    Raises:
        UserError: there is no such arm.
    """
    if name not in settings[kind]:
        raise UserError(f"'{name}' is none of the {kind}; allowed: {', '.join(settings[kind])}")
    own: Cfg = settings[kind][name]
    base = called(settings, kind, own["like"]) if "like" in own else {}
    return base | {key: value for key, value in own.items() if key != "like"}


def function(call: str) -> str:
    """The whole dotted name of a function below the paper's package.

    Raises:
        UserError: the package has no such function.
    """
    module, _, name = call.rpartition(".")
    path = config.PAPERS / config.package_of("adversarial-competition") / f"{module.replace('.', '/')}.py"
    if not path.is_file() or not re.search(rf"^def {name}\(", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        raise UserError(f"call: '{call}' is no function; {module} would have to define it")
    return f"{PACKAGE}.{call}"


def attacks_of(edition: Edition, track: str) -> list[str]:
    """The attacks of a track, in order."""
    if track == SUBMITTED:
        return submissions("attacks")
    return list(edition.settings["tracks"][track]["attacks"])


def submissions(kind: str) -> list[str]:
    """The names of users' own attacks or defences, which lie in submissions/.

    Raises:
        UserError: a file's name is none that an arm can have.
    """
    found = sorted(Path("submissions", kind).glob("*.py"))
    for path in found:
        if re.fullmatch(WILDCARDS["arm"], path.stem) is None:
            raise UserError(f"{path}: its name becomes that of an arm; write small letters, digits and hyphens")
    return [path.stem for path in found]


def defences_of(edition: Edition, track: str) -> list[str]:
    """The defences of a track, in order."""
    return list(edition.settings["tracks"][track]["defences"])


def all_of(edition: Edition, kind: str) -> list[str]:
    """The attacks or defences of all tracks, each once."""
    return list(dict.fromkeys(name for track in edition.settings["tracks"].values() for name in track[kind]))


def nets_of(settings: Cfg, kind: str, name: str) -> list[str]:
    """The nets that an attack or a defence is given."""
    return list(called(settings, kind, name).get("nets", []))


def trained_nets(edition: Edition) -> list[str]:
    """The nets that the edition trains: those that an arm of it uses, and those that these are hardened with."""
    settings = edition.settings
    used = [net for kind in ("attacks", "defences") for arm in all_of(edition, kind)
            for net in (*nets_of(settings, kind, arm), *_of_learned(settings, kind, arm))]  # fmt: skip
    used += settings["submissions"]["nets"]
    more = [net for name in used for net in settings["nets"].get(name, {}).get("adversarial", {}).get("nets", [])]
    return [net for net in settings["nets"] if net in {*used, *more}]


def learners(edition: Edition) -> list[str]:
    """What attacks and defences of the edition learn beforehand."""
    of = [called(edition.settings, kind, arm) for kind in ("attacks", "defences") for arm in all_of(edition, kind)]
    return list(dict.fromkeys(arm["learned"] for arm in of if "learned" in arm))


def _of_learned(settings: Cfg, kind: str, arm: str) -> list[str]:
    learned = called(settings, kind, arm).get("learned")
    return nets_of(settings, "learned", learned) if learned else []


# Files ------------------------------------------------------------------------------------------------------------


def _weights(edition: Edition, nets: Iterable[str], seeds: str) -> list[str]:
    return [f"{edition.runs}/weights/{net}/{seeds}.safetensors" for net in nets]


def _learned(edition: Edition, arm: Cfg, seeds: str) -> list[str]:
    return [f"{edition.runs}/weights/learned/{arm['learned']}/{seeds}.safetensors"] if "learned" in arm else []


def sources(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of the nets whose adversarial examples a hardened net sees beside its own."""
    net = called(edition.settings, "nets", wildcards.net)
    return _weights(edition, net["adversarial"].get("nets", []), wildcards.seeds)


def taught_on(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of the nets on which something is learned."""
    return _weights(edition, nets_of(edition.settings, "learned", wildcards.learned), wildcards.seeds)


def attacked(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of an attack's nets."""
    return _weights(edition, nets_of(edition.settings, "attacks", wildcards.attack), wildcards.seeds)


def attack_learned(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of what an attack has learned, if it learns."""
    return _learned(edition, called(edition.settings, "attacks", wildcards.attack), wildcards.seeds)


def defended(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of a defence's nets."""
    return _weights(edition, nets_of(edition.settings, "defences", wildcards.defence), wildcards.seeds)


def defence_learned(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of what a defence has learned, if it learns."""
    return _learned(edition, called(edition.settings, "defences", wildcards.defence), wildcards.seeds)


def crafted(edition: Edition, wildcards: Wildcards) -> list[str]:
    """What the attacks of a track have made of the images."""
    return _crafted(edition, wildcards.track, wildcards.seeds)


def _crafted(edition: Edition, track: str, seeds: str) -> list[str]:
    if track == SUBMITTED:
        return [
            f"{edition.runs}/private/submitted/attacks/{name}/{seeds}.safetensors" for name in submissions("attacks")
        ]
    return [f"{edition.runs}/private/crafted/{attack}/{seeds}.safetensors" for attack in attacks_of(edition, track)]


def given(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of the nets that submissions are given."""
    return _weights(edition, edition.settings["submissions"]["nets"], wildcards.seeds)


def met(edition: Edition, wildcards: Wildcards) -> list[str]:
    """What all attacks of the arena, and the submitted ones, have made of the images."""
    return [path for track in (ARENA, SUBMITTED) for path in _crafted(edition, track, wildcards.seeds)]


def submitted_outcomes(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """Whether submitted attacks have failed."""
    return [
        f"{edition.runs}/private/submitted/attacks/{name}/{seeds}.json"
        for name in submissions("attacks")
        for seeds in edition.seed_groups
    ]


def submitted_columns(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The counts of the arena's defences on submitted attacks, and of submitted defences on all."""
    attacked = defences_of(edition, ARENA) if submissions("attacks") else []
    places = [f"counts/{SUBMITTED}/{defence}" for defence in attacked]
    places += [f"submitted/defences/{name}" for name in submissions("defences")]
    return [f"{edition.runs}/private/{place}/{seeds}.json" for place in places for seeds in edition.seed_groups]


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all nets: what each file is of, and its path."""
    return [
        ({"data": edition.settings["data"], "net": ARENA, "arm": net}, f"{edition.runs}/metrics/{net}/{seeds}.json")
        for net in trained_nets(edition)
        for seeds in edition.seed_groups
    ]


def made(edition: Edition) -> list[tuple[Cfg, str]]:
    """What is noted of the images that attacks have made, likewise."""
    return [
        ({"net": ARENA, "arm": attack}, f"{edition.runs}/attacks/{attack}/{seeds}.json")
        for attack in all_of(edition, "attacks")
        for seeds in edition.seed_groups
    ]


def columns(edition: Edition) -> list[tuple[Cfg, str]]:
    """The counts of all defences on all tracks, likewise."""
    return [
        ({"net": track, "arm": defence}, f"{edition.runs}/counts/{track}/{defence}/{seeds}.json")
        for track in edition.settings["tracks"]
        for defence in defences_of(edition, track)
        for seeds in edition.seed_groups
    ]


def pierced(edition: Edition) -> list[tuple[Cfg, str]]:
    """The counts of defences that were attacked through themselves, likewise."""
    return [
        ({"net": ARENA, "arm": defence}, f"{edition.runs}/through/{defence}/{seeds}.json")
        for defence in defences_of(edition, ARENA)
        for seeds in edition.seed_groups
    ]


def metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all nets."""
    return [path for _, path in trained(edition)]


def histories(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """How the training of all nets went."""
    return beside(metrics(edition, _wildcards))


def attacks(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """What is noted of the images that attacks have made."""
    return [path for _, path in made(edition)]


def counts(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The counts of all defences on all tracks."""
    return [path for _, path in columns(edition)]


def throughs(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The counts of defences that were attacked through themselves."""
    return [path for _, path in pierced(edition)]


def attack_times(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """How long attacks took."""
    return beside(attacks(edition, _wildcards), ".times.csv")


def defence_times(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """How long defences took in the arena."""
    return beside([path for of, path in columns(edition) if of["net"] == ARENA], ".times.csv")


RESULTS = {"arms": metrics, "histories": histories, "attacks": attacks, "counts": counts, "through": throughs,
           "attack_times": attack_times, "defence_times": defence_times, "claims": "claims.json"}  # fmt: skip
OUTPUTS = {"times": "tables/table-seconds.times.csv"}

# What each job's result depends on --------------------------------------------------------------------------------


def _net(settings: Cfg, name: str) -> Cfg:
    net = called(settings, "nets", name)
    return {key: value for key, value in net.items() if key not in ("recipe", "adversarial")}


def _nets(settings: Cfg, names: Sequence[str]) -> list[Cfg]:
    return [{"name": name, "net": _net(settings, name)} for name in names]


def _call(arm: Cfg) -> Cfg:
    """What of an arm is its function, and what that is given beside nets, images, labels, eps and chance."""
    apart = ("call", "nets", "kind", "eps", "learned", "recipe")
    settings = {key: value for key, value in arm.items() if key not in apart}
    return {"call": function(arm["call"]), "settings": settings}


def _job(edition: Edition, wildcards: Wildcards) -> Cfg:
    return {"data": edition.data, "compute": edition.compute, "seeds": seeds_of(wildcards.seeds),
            "images": edition.settings["images"]}  # fmt: skip


def _meeting(edition: Edition, wildcards: Wildcards, nets: Sequence[str]) -> Cfg:
    settings = edition.settings
    of_images = {key: settings[key] for key in ("test_images", "batch_size")}
    return {**_job(edition, wildcards), **of_images, "nets": _nets(settings, nets)}


def train(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One net."""
    settings, net = edition.settings, called(edition.settings, "nets", wildcards.net)
    recipe = edition.recipe_of(wildcards.net, settings["recipe"] | net.get("recipe", {}))
    return {**_job(edition, wildcards), "arm": wildcards.net, "net": _net(settings, wildcards.net), "recipe": recipe}


def harden(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One net that sees adversarial examples, of its own and of other nets."""
    adversarial = edition.settings["nets"][wildcards.net]["adversarial"]
    nets = _nets(edition.settings, adversarial.get("nets", []))
    return {**train(edition, wildcards), "nets": nets, "adversarial": _call(adversarial)}


def learn(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What an attack or a defence learns."""
    settings, arm = edition.settings, called(edition.settings, "learned", wildcards.learned)
    recipe = settings["recipe"] | arm.get("recipe", {})
    return {**_job(edition, wildcards), "nets": _nets(settings, arm["nets"]), "recipe": recipe, "learned": _call(arm)}


def _of_learning(settings: Cfg, arm: Cfg) -> Cfg:
    return {"learned": _call(called(settings, "learned", arm["learned"]))} if "learned" in arm else {}


def _attack(edition: Edition, name: str) -> Cfg:
    arm = called(edition.settings, "attacks", name)
    rules = {"targeted": arm.get("kind") == "targeted", "eps": arm.get("eps", edition.settings["eps"])}
    return {"name": name, **rules, **_call(arm), **_of_learning(edition.settings, arm)}


def craft(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One attack, on all batches."""
    job = _meeting(edition, wildcards, nets_of(edition.settings, "attacks", wildcards.attack))
    return {**job, "attack": _attack(edition, wildcards.attack)}


def _defence(edition: Edition, name: str) -> Cfg:
    arm = called(edition.settings, "defences", name)
    return {"name": name, **_call(arm), **_of_learning(edition.settings, arm)}


def defend(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One defence, against all attacks of one track."""
    job = _meeting(edition, wildcards, nets_of(edition.settings, "defences", wildcards.defence))
    attacks = attacks_of(edition, wildcards.track)
    return {**job, "defence": _defence(edition, wildcards.defence), "attacks": attacks}


def through(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One defence that is attacked through itself."""
    settings = edition.settings
    job = _meeting(edition, wildcards, nets_of(settings, "defences", wildcards.defence))
    attack = {"eps": settings["eps"], **_call(settings["through"])}
    return {**job, "defence": _defence(edition, wildcards.defence), "attack": attack}


def _rules(settings: Cfg, kind: str, name: str) -> Cfg:
    """What of an arm reports have to know; an attack knows the nets that it learned on as well."""
    arm = called(settings, kind, name)
    learned = _of_learned(settings, kind, name) if kind == "attacks" else []
    found: Cfg = {key: arm[key] for key in ("kind", "eps") if key in arm}
    return found | {"nets": list(dict.fromkeys([*arm.get("nets", []), *learned]))}


def _submission(edition: Edition, wildcards: Wildcards) -> Cfg:
    settings = edition.settings["submissions"]
    job = _meeting(edition, wildcards, settings["nets"])
    return {**job, "eps": edition.settings["eps"], "name": wildcards.submission, "seconds": settings["seconds"]}


submitted_attack = _submission


def submitted_defence(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One of a user's defences, against all attacks."""
    attacks = [*attacks_of(edition, ARENA), *submissions("attacks")]
    return {**_submission(edition, wildcards), "attacks": attacks}


def standings(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the standings with submissions depend on beside the files they are made from."""
    return {**report(edition, wildcards), "submitted": {kind: submissions(kind) for kind in SUBMISSIONS}}


def report(edition: Edition, _wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings: dict[str, Any] = edition.settings
    arms = {
        kind: {name: _rules(settings, kind, name) for name in all_of(edition, kind)} for kind in ("attacks", "defences")
    }
    files = {"nets": trained, "attacks": made, "counts": columns, "through": pierced}
    return {
        "data": edition.data_shown,
        "seeds": settings["seeds"],
        **{key: settings[key] for key in ("test_images", "batch_size", "eps", "tracks")},
        "pixels": settings["images"]["pixels"],
        **arms,
        "nets": {net: "adversarial" in settings["nets"][net] for net in trained_nets(edition)},
        "built": {net: settings["nets"][net]["name"] for net in trained_nets(edition)},
        "files": {name: [of for of, _ in listed(edition)] for name, listed in files.items()},
        "published": edition.published,
    }


tables = report


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Figures show less of what was published."""
    return showing(report(edition, wildcards), "gains", "ranked", "transfer", "ensembles", "iterations",
                   "median_by_eps")  # fmt: skip


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    editions = config.paper(edition.slug).editions.values()
    known = [
        (ARENA, arm) for settings in editions for kind in ("nets", "attacks", "defences") for arm in settings[kind]
    ]
    config.check_evidence(edition.slug, known)
    return {**report(edition, wildcards), **edition.judged}
