"""The tables of RCO, ours beside what was recovered of the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.rco.report.results import (
    Arm,
    Arms,
    Teacher,
    control_of,
    early_arms,
    main_student,
    most_anchors,
    read_arms,
    read_teacher,
    restarts_of,
    setting_note,
)
from tenfold.report.arms import face_of, minus
from tenfold.report.face import Data, Face
from tenfold.report.tables import (
    Cell,
    Column,
    Published,
    Row,
    Table,
    Tables,
    untrained,
    write_metrics,
    write_tables,
)

WITHDRAWN = "cannot be reproduced: the datasets were withdrawn"

ACCURACY = Column("accuracy", "top-1 [%]", ".2f")


def control_cells(arms: Arms, arm: Arm) -> dict[str, Cell]:
    """An arm's accuracy, that of its controls of equal epochs, and its paired differences from them."""
    cells = {"accuracy": Cell(arm.accuracy, files=arm.files)}
    if arm.kind == "kd":  # its own control
        cells |= {"control": Cell(exact="-"), "difference": Cell(exact="-")}
    elif (control := control_of(arms, arm)) is not None:
        files = files_with(arms, arm, "kd")
        cells |= {"control": Cell(control, files=files), "difference": Cell(minus(arm.accuracy, control), files=files)}
    if arm.kind not in ("eei", "gs"):  # not a route of several schedules
        cells |= {"restarts": Cell(exact="-"), "restarts_difference": Cell(exact="-")}
    elif (restarts := restarts_of(arms, arm)) is not None:
        files = files_with(arms, arm, "kd-restarts")
        cells["restarts"] = Cell(restarts, files=files)
        cells["restarts_difference"] = Cell(minus(arm.accuracy, restarts), files=files)
    return cells


def files_with(arms: Arms, arm: Arm, kind: str) -> list[str]:
    """The files of an arm, and of all arms of a kind that its student has."""
    return [*arm.files, *(file for (of, _), rival in arms.items() if of == arm.net and rival.kind == kind
                          for file in rival.files)]  # fmt: skip


CONTROL = (
    Column("control", "KD for as many epochs [%]", ".2f"),
    Column("difference", "difference", "+.2f"),
    Column("restarts", "KD with as many restarts [%]", ".2f"),
    Column("restarts_difference", "difference", "+.2f"),
)


def table_arms(cfg: Cfg, arms: Arms, teacher: Teacher, shown: Face) -> Table:
    """Arm by arm: accuracy beside its control, congruence with the final teacher, cost."""
    of_students = [*(column.name for column in CONTROL), "kl_train", "kl_held_out", "epochs", "images"]
    none = {name: Cell(exact="-") for name in of_students}
    rows = [
        Row(("teacher", f"epoch {epoch}"), none | {"accuracy": Cell(teacher.accuracy(epoch), files=teacher.files)})
        for epoch in teacher.rows
    ]
    for (student, name), arm in arms.items():
        cells = control_cells(arms, arm) | {
            "kl_train": Cell(arm.of("kl_train"), files=arm.files),
            "kl_held_out": Cell(arm.of("kl_held_out"), files=arm.files),
            "epochs": Cell(arm.of("epochs"), files=arm.files),
            "images": Cell(arm.of("images"), files=arm.files),
        }
        rows.append(Row((student, name), cells))
    return Table(
        "Every arm: accuracy, congruence with the final teacher, epochs",
        shown,
        ("net", "arm"),
        (
            ACCURACY,
            *CONTROL,
            Column("kl_train", "KL from the final teacher, training images", ".4f"),
            Column("kl_held_out", "KL, held-out images", ".4f"),
            Column("epochs", "student epochs", ".1f"),
            Column("images", "images", ",.0f"),
        ),
        rows,
        (
            setting_note(cfg),
            "Last epoch of the last stage. kd-2x: distillation for the epochs of two stages, in one schedule.",
            "kd-restarts-2: distillation in two stages, each with the whole schedule: as eei-2, but for the anchors.",
            "from-e3: from the teacher's epoch 3 alone; eei-4: four equally spaced anchors; gs-0.8: greedy, delta 0.8.",
            "KL at the temperature of the loss, without its factor; images that are not augmented.",
        ),
    )


def table_early(cfg: Cfg, arms: Arms, teacher: Teacher, shown: Face) -> Table:
    """The paper's Table 1: a student of each checkpoint, and its gap to it."""
    student = main_student(cfg)
    last = cfg["teacher_epochs"]
    of_epoch = {int(arm.value): arm for arm in early_arms(arms, student)} | {last: arms[student, "kd-1x"]}
    unknown = Published(None, "unknown")
    rows = []
    for epoch, arm in sorted(of_epoch.items()):
        files = [*teacher.files, *arm.files]
        cells = {
            "teacher": Cell(teacher.accuracy(epoch), files=teacher.files, published=unknown),
            "student": Cell(arm.accuracy, files=arm.files, published=unknown),
            "gap": Cell(minus(teacher.accuracy(epoch), arm.accuracy), files=files, published=unknown),
            "kl": Cell(arm.hardness(epoch), files=arm.files),
        }
        rows.append(Row((student, f"{epoch} of {last}"), cells))
    return Table(
        "Students of single checkpoints of the teacher (Table 1)",
        shown,
        ("student", "teacher's epoch"),
        (
            Column("teacher", "teacher [%]", ".2f"),
            Column("student", "student [%]", ".2f"),
            Column("gap", "gap", "+.2f"),
            Column("kl", "KL from that checkpoint, held-out images", ".4f"),
        ),
        rows,
        (setting_note(cfg), "The paper's checkpoints are of epochs 10, 40, 120 and 240 of 240."),
    )


def table_methods(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The paper's Tables 2 and 4: labels alone, hint, KD and RCO, each for one budget but RCO."""
    student = main_student(cfg)
    most = most_anchors(arms, student)
    names = {"alone": "alone-1x", "hint": "hint-1x", "kd": "kd-1x", "eei": f"eei-{most}"}
    rows = []
    for row in cfg["published"]["methods"]:
        published = Published(row["top1"], row["source"])
        cell = Cell(published=published)
        if row["arm"] == "gain":
            ours, kd = arms[student, names["eei"]], arms[student, "kd-1x"]
            cell = Cell(minus(ours.accuracy, kd.accuracy), files=[*ours.files, *kd.files], published=published)
        elif (student, names.get(row["arm"], "")) in arms:
            arm = arms[student, names[row["arm"]]]
            cell = Cell(arm.accuracy, files=arm.files, published=published)
        rows.append(Row((row["data"], row["method"]), {"accuracy": cell}))
    return Table(
        "Labels, hints, distillation and RCO (Tables 2 and 4)",
        shown,
        ("the paper's data", "method"),
        (ACCURACY,),
        rows,
        (
            setting_note(cfg),
            f"RCO is ours with {most} anchors, so of {most} times the epochs; the table of all arms has its control.",
            "ImageNet is not trained on at any edition.",
        ),
    )


def table_one_stage(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The paper's Table 6: distillation and one-stage RCO of equal epochs."""
    student = main_student(cfg)
    rows = [
        Row((student, name), {
            "accuracy": Cell(arm.accuracy, files=arm.files, published=Published(None, "unknown")),
            "epochs": Cell(arm.of("epochs"), files=arm.files),
        })
        for (of, name), arm in arms.items()
        if of == student and (name == "kd-1x" or arm.kind == "one-stage")
    ]  # fmt: skip
    return Table(
        "One-stage RCO beside distillation of equal epochs (Table 6)",
        shown,
        ("student", "arm"),
        (ACCURACY, Column("epochs", "student epochs", ".0f")),
        rows,
        (setting_note(cfg),),
    )


def table_strategies(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The paper's Table 7: strategies to choose anchors, each beside its control of equal epochs."""
    student = main_student(cfg)
    rows = []
    for row in cfg["published"]["strategies"]:
        arm = strategy_arm(arms, student, row["arm"], row["anchors"])
        published = Published(row["top1"], row["source"])
        cells = {"accuracy": Cell(published=published)}
        if arm is not None:
            cells = control_cells(arms, arm) | {
                "accuracy": Cell(arm.accuracy, files=arm.files, published=published),
                "epochs": Cell(arm.of("epochs"), files=arm.files),
            }
        rows.append(Row((row["strategy"], str(row["epochs"]), "-" if arm is None else titled(arm)), cells))
    return Table(
        "Strategies to choose anchors (Table 7)",
        shown,
        ("strategy", "epochs, published", "arm, ours"),
        (ACCURACY, *CONTROL, Column("epochs", "epochs, ours", ".1f")),
        rows,
        (
            setting_note(cfg),
            "The paper's student is not named in its Table 7; its control for 480 and more epochs is not in it.",
        ),
    )


def strategy_arm(arms: Arms, student: str, kind: str, anchors: int | None) -> Arm | None:
    """The arm of a strategy; for one-stage RCO the one with most anchors, for greedy search delta 0.8."""
    if kind == "one-stage":
        found = [arm for (of, _), arm in arms.items() if of == student and arm.kind == kind]
        return max(found, key=lambda arm: arm.value, default=None)
    name = {"kd": "kd-1x", "gs": "gs-0.8"}.get(kind, f"{kind}-{anchors}")
    return arms.get((student, name))


def titled(arm: Arm) -> str:
    """An arm's name, and of a greedy search that passed over nothing, that it did not."""
    return f"{arm.name}, took all candidates" if arm.kind == "gs" and arm.took_all else arm.name


def table_sweep(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The whole sweep of the relaxation factor: what was chosen, for how many epochs, how good it is."""
    rows = []
    for (student, _), arm in arms.items():
        if arm.kind == "gs":
            chosen = "; ".join("-".join(map(str, arm.rows[seed]["anchors"])) for seed in sorted(arm.rows))
            cells = control_cells(arms, arm) | {
                "held_out": Cell(arm.percent("held_out_accuracy"), files=arm.files),
                "stages": Cell({seed: len(row["anchors"]) for seed, row in arm.rows.items()}, files=arm.files),
                "passed": Cell(arm.of("passed_over"), files=arm.files),
                "epochs": Cell(arm.of("epochs"), files=arm.files),
            }
            rows.append(Row((student, f"{arm.value:g}", chosen), cells))
    return Table(
        "Greedy search: the whole sweep of the relaxation factor",
        shown,
        ("student", "delta", "anchors of each seed"),
        (
            Column("held_out", "held-out images [%]", ".2f"),
            ACCURACY,
            *CONTROL,
            Column("stages", "stages", ".2f"),
            Column("passed", "candidates passed over", ".2f"),
            Column("epochs", "student epochs", ".1f"),
        ),
        rows,
        (
            setting_note(cfg),
            "Hardness was measured on held-out training images, never on the test set.",
            *(
                f"At delta {arm.value:g} the search of {student} took every candidate in all seeds: it chose nothing."
                for (student, _), arm in arms.items()
                if arm.kind == "gs" and arm.took_all
            ),
        ),
    )


FACE_ARMS = {
    "teacher": "teacher",
    "alone": "student, labels alone",
    "mimic": "student, mimics the last teacher",
    "one-stage": "student, mimics along the route (one-stage)",
}


def table_faces(cfg: Cfg, faces: Sequence[Path], shown: Face) -> Table:
    """The paper's face experiment, which cannot be made again, and the toy that shows its idea."""
    toy = Data("ORL open-set toy")
    published = Published(cfg["published"]["megaface"]["rank1"], cfg["published"]["megaface"]["source"])
    rows = [
        Row(("MegaFace, 1 M distractors", "RCO, student of 0.8 M parameters"),
            {"megaface": Cell(exact=WITHDRAWN, published=published), "rank1": Cell(exact="-")})
    ]  # fmt: skip
    contents = [read_json(path)["rows"] for path in faces]
    for arm, title in FACE_ARMS.items():
        values = {row["seed"]: 100 * row["rank1"] for content in contents for row in content if row["arm"] == arm}
        files = [path.as_posix() for path in faces] if values else []
        cells = {"megaface": Cell(exact="-"), "rank1": Cell(values, files=files)}
        rows.append(Row(("ORL open-set toy", title), cells))
    return Table(
        "Faces",
        Face(shown.edition, toy, shown.n, shown.device, shown.precision),
        ("test", "net"),
        (
            Column("megaface", "rank-1 on MegaFace [%]", ".2f"),
            Column("rank1", "rank-1 on 10 unseen ORL people [%]", ".2f"),
        ),
        rows,
        (
            "MS-Celeb-1M, IMDb-Face and MegaFace were withdrawn. The ORL open-set toy says nothing of MegaFace:",
            "30 people are learned, 10 others identified, each of their pictures in turn being the gallery.",
        ),
    )


def table_cost(cfg: Cfg, costs: list[dict[str, Any]]) -> Table:
    """Parameters and MACs of teachers and students."""
    return Table(
        "Parameters and MACs of teachers and students",
        untrained(cfg["edition"]),
        ("net", "classes"),
        (Column("params", "parameters", ",d"), Column("macs", "MACs at 32 x 32", ",d")),
        [
            Row((row["title"], row["classes"]), {name: Cell(exact=row[name]) for name in ("params", "macs")})
            for row in costs
        ],
        ("Multiply-adds of convolutions and linear layers, one each; parameters include BatchNorm's.",),
    )


TABLES: Tables = {
    "table-arms": table_arms,
    "table-early": table_early,
    "table-methods": table_methods,
    "table-one-stage": table_one_stage,
    "table-strategies": table_strategies,
    "table-sweep": table_sweep,
    "table-faces": table_faces,
    "table-cost": table_cost,
}


@stage
def tables(
    cfg: Cfg,
    job: Job,
    *,
    arms: Inputs,
    searches: Inputs,
    teachers: Inputs,
    faces: Inputs,
    counted: Input,
    tables: Outputs,
    metrics: Output,
) -> None:
    """All tables, and ``metrics.json``."""
    found = read_arms(cfg, arms, searches)
    write_tables(TABLES, tables, cfg=cfg, arms=found, teacher=read_teacher(teachers), faces=faces,
                 costs=read_json(counted), shown=face_of(cfg, found))  # fmt: skip
    write_metrics(metrics, {
        f"{student}/{name}": {
            "accuracy": arm.accuracy, "kl_train": arm.of("kl_train"), "kl_held_out": arm.of("kl_held_out")
        }
        for (student, name), arm in found.items()
    })  # fmt: skip
    job.say(f"{len(found)} arms")


if __name__ == "__main__":
    main(tables)
