"""What runs for RCO at each edition, and what each job's result depends on.

An *arm* is a way to train a student; its number says how much of it. One budget is the student's schedule.

- ``alone-1x``: on the labels alone, for one budget (``alone-4x``: for four).
- ``kd-1x``: knowledge distillation from the converged teacher; ``kd-4x``: for the budget of four stages, one schedule.
- ``kd-restarts-4``: likewise with warm restarts, a schedule for each stage as RCO has it; it differs from ``eei-4`` in
  the anchors alone.
- ``from-e3``: from the teacher's checkpoint of epoch 3, the "early teacher" control.
- ``hint-1x``: as ``kd``, with a hint on features.
- ``eei-4``: the paper's method: four anchors at equal epoch intervals, one budget each. ``hint-eei-4``: with hints.
- ``one-stage-4``: four anchors within one budget.
- ``gs-0.8``: anchors found by greedy search with this relaxation factor, one budget each.
"""

from __future__ import annotations

from typing import Any

from tenfold import config
from tenfold.errors import UserError
from tenfold.workflow import Cfg, Edition, Wildcards, beside, seeds_of, showing

# What claims call the arms that differ from edition to edition: of most anchors ({}), and their controls.
MOST = {"eei-most": "eei-{}", "kd-most": "kd-{}x", "kd-restarts-most": "kd-restarts-{}",
        "hint-eei-most": "hint-eei-{}", "hint-most": "hint-{}x", "one-stage-most": "one-stage-{}"}  # fmt: skip

# The kinds of arm whose stages begin alike, so that one job trains those that they share once.
SEARCHED = ("gs", "kd-restarts")

NUMBER_AS = {"alone": "alone-{}x", "kd": "kd-{}x", "from": "from-e{}", "hint": "hint-{}x"}


def arms(edition: Edition, student: str) -> list[str]:
    """The arms that the edition trains of a student."""
    return [
        name_of(kind, value)
        for kind, values in edition.settings["students"][student]["arms"].items()
        for value in values
    ]


def name_of(kind: str, value: float) -> str:
    """``("kd", 4)`` -> ``kd-4x``, ``("from", 3)`` -> ``from-e3``, ``("gs", 0.8)`` -> ``gs-0.8``."""
    return NUMBER_AS.get(kind, kind + "-{}").format(value)


def split_arm(arm: str) -> tuple[str, float]:
    """``kd-4x`` -> ``("kd", 4)``; ``gs-0.8`` -> ``("gs", 0.8)``."""
    kind, _, number = arm.rpartition("-")
    return kind, float(number.strip("xe"))


def largest_m(edition_arms: list[str], kind: str = "eei") -> int:
    """The largest number of anchors among the arms of a kind; 0 without one."""
    return max((int(value) for found, value in map(split_arm, edition_arms) if found == kind), default=0)


def candidates(edition: Edition) -> list[int]:
    """The teacher's epochs that a greedy search chooses from, its last epoch among them.

    Raises:
        UserError: the interval does not divide the teacher's epochs.
    """
    interval, epochs = edition.settings["candidate_interval"], edition.settings["teacher"]["recipe"]["epochs"]
    if epochs % interval:
        raise UserError(
            f"candidate_interval is {interval}, but the teacher has {epochs} epochs; it must divide them, so that the "
            f"last candidate is the converged teacher (config/papers/rco.yaml)"
        )
    return list(range(interval, epochs + 1, interval))


def examined(edition: Edition, student: str) -> list[str]:
    """The arms whose ways and robustness are looked at: RCO with most anchors, and KD for the same budget."""
    most = largest_m(arms(edition, student))
    return [arm for arm in (f"kd-{most}x", f"eei-{most}") if arm in arms(edition, student)]


# Files --------------------------------------------------------------------------------------------


def _students(edition: Edition) -> list[str]:
    return list(edition.settings["students"])


def route(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of the teacher's checkpoints; none where its outputs are kept of all that students see."""
    if edition.settings["targets"] == "cached":
        return []
    return [f"{edition.runs}/weights/route/{wildcards.seeds}.safetensors"]


def trained(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of all students and arms, but those that are ``SEARCHED``: what each is of, and its path."""
    return [
        ({**_of(edition, student), "arm": arm}, f"{edition.runs}/metrics/{student}/{arm}/{seeds}.json")
        for student in _students(edition)
        for arm in arms(edition, student)
        if split_arm(arm)[0] not in SEARCHED
        for seeds in edition.seed_groups
    ]


def searched(edition: Edition) -> list[tuple[Cfg, str]]:
    """The metrics of each student's ``SEARCHED`` arms: what each is of, and its path."""
    return [
        (_of(edition, student), f"{edition.runs}/search/{student}/{seeds}.json")
        for student in _students(edition)
        if any(split_arm(arm)[0] in SEARCHED for arm in arms(edition, student))
        for seeds in edition.seed_groups
    ]


def _of(edition: Edition, student: str) -> Cfg:
    return {"data": edition.settings["data"], "net": student}


def metrics(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of all students and arms, but those that are ``SEARCHED``."""
    return [path for _, path in trained(edition)]


def searches(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of each student's ``SEARCHED`` arms."""
    return [path for _, path in searched(edition)]


def teachers(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of the teachers' checkpoints."""
    return [f"{edition.runs}/teacher/{seeds}.json" for seeds in edition.seed_groups]


def examined_weights(edition: Edition, wildcards: Wildcards) -> list[str]:
    """The weights of the arms that are looked at."""
    return [
        f"{edition.runs}/weights/students/{wildcards.student}/{arm}/{wildcards.seeds}.safetensors"
        for arm in examined(edition, wildcards.student)
    ]


def noise(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """Noise robustness, for all students that are looked at."""
    return [path for _, path in _examinations(edition, "noise.json")]


def landscapes(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The ways of the first seed of all students that are looked at."""
    return [path for _, path in _examinations(edition, "landscape.csv", first_only=True)]


def _examinations(edition: Edition, suffix: str, first_only: bool = False) -> list[tuple[Cfg, str]]:
    return [
        (_of(edition, student), f"{edition.runs}/examine/{student}/{seeds}.{suffix}")
        for student in _students(edition)
        if len(examined(edition, student)) == 2
        for seeds in edition.seed_groups[: 1 if first_only else None]
    ]


def faces(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """The metrics of the ORL open-set toy, where the edition has it."""
    if "faces" not in edition.settings:
        return []
    return [f"{edition.runs}/faces/{seeds}.json" for seeds in edition.seed_groups]


def histories(edition: Edition, _wildcards: Wildcards) -> list[str]:
    """How the training of all arms went."""
    return beside(metrics(edition, _wildcards))


RESULTS = {
    "arms": metrics,
    "histories": histories,
    "searches": searches,
    "teachers": teachers,
    "noise": noise,
    "landscapes": landscapes,
    "faces": faces,
    "counted": "costs.json",
    "claims": "claims.json",
}

# What each job's result depends on ----------------------------------------------------------------


def _net(net: Cfg) -> Cfg:
    return {key: value for key, value in net.items() if key != "arms"}


def _job(edition: Edition, wildcards: Wildcards) -> Cfg:
    settings = edition.settings
    return {
        "data": edition.data,
        "compute": edition.compute,
        "seeds": seeds_of(wildcards.seeds),
        "images": settings["images"],
        "teacher": settings["teacher"]["net"],
        "targets": settings["targets"],
        "hint_layer": settings["hint"]["layer"],
    }


def teacher(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The teacher, whose own training images are augmented whatever its students see."""
    settings = edition.settings["teacher"]
    return {
        **_job(edition, wildcards),
        "augment": settings["augment"],
        "recipe": settings["recipe"],
        "checkpoints": settings["checkpoints"],
        "candidates": candidates(edition),
    }


def _student(edition: Edition, wildcards: Wildcards) -> Cfg:
    settings = edition.settings
    return {
        **_job(edition, wildcards),
        "student": _net(settings["students"][wildcards.student]),
        "teacher_epochs": settings["teacher"]["recipe"]["epochs"],
        "recipe": settings["student_recipe"],
        "kd": settings["kd"],
        "hint_weight": settings["hint"]["weight"],
    }


def distil(edition: Edition, wildcards: Wildcards) -> Cfg:
    """One arm of one student."""
    kind, value = split_arm(wildcards.arm)
    keep_way = wildcards.arm in examined(edition, wildcards.student)
    job = _student(edition, wildcards)
    job["recipe"] = edition.recipe_of(wildcards.arm, job["recipe"])
    return {**job, "arm": kind, "value": value, "keep_way": keep_way}


def search(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The greedy searches of one student, one for each relaxation factor, and its distillation with restarts."""
    of = edition.settings["students"][wildcards.student]["arms"]
    return {
        **_student(edition, wildcards),
        "deltas": of.get("gs", []),
        "restarts": of.get("kd-restarts", []),
        "candidates": candidates(edition),
    }


def examine(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Noise and ways of the arms that are looked at."""
    return {
        "data": edition.data,
        "compute": edition.compute,
        "seeds": seeds_of(wildcards.seeds),
        "images": edition.settings["images"],
        "student": _net(edition.settings["students"][wildcards.student]),
        "arms": examined(edition, wildcards.student),
        **edition.settings["examine"],
    }


def prepare_faces(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The one file of faces."""
    return {"sha256": edition.settings["faces"]["sha256"]}


def open_set(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The ORL open-set toy."""
    settings = {key: value for key, value in edition.settings["faces"].items() if key != "sha256"}
    return {"compute": edition.compute, "seeds": seeds_of(wildcards.seeds), **settings}


def report(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What tables, figures and verdicts depend on beside the files they are made from."""
    settings: dict[str, Any] = edition.settings
    return {
        "data": edition.data_shown,
        "labels": settings["images"]["labels"],
        "pixels": settings["images"]["pixels"],
        "seeds": settings["seeds"],
        "files": {
            "metrics": [of for of, _ in trained(edition)],
            "searches": [of for of, _ in searched(edition)],
            "noise": [of for of, _ in _examinations(edition, "noise.json")],
            "landscapes": [of for of, _ in _examinations(edition, "landscape.csv", first_only=True)],
        },
        "students": {student: arms(edition, student) for student in settings["students"]},
        "teacher_epochs": settings["teacher"]["recipe"]["epochs"],
        "published": edition.published,
    }


def tables(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What tables show beside that."""
    return showing(report(edition, wildcards), "methods", "strategies", "megaface")


def figures(edition: Edition, wildcards: Wildcards) -> Cfg:
    """Figures show the published gain of RCO."""
    return showing(report(edition, wildcards), "methods")


def costs(edition: Edition, wildcards: Wildcards) -> Cfg:
    """The nets whose parameters and MACs are counted."""
    return {"nets": edition.published["costs"]}


def claims(edition: Edition, wildcards: Wildcards) -> Cfg:
    """What the verdicts depend on beside the files they are decided on."""
    known = [
        (student, name_of(kind, value))
        for settings in config.paper(edition.slug).editions.values()
        for student, of in settings["students"].items()
        for kind, values in of["arms"].items()
        for value in values
    ]
    config.check_evidence(edition.slug, [*known, *(("", alias) for alias in MOST)])
    return {**report(edition, wildcards), **edition.judged}
