"""The tables of turbo-hoi: ours beside what was recovered of the paper's, the variants, and what real data tell."""

from __future__ import annotations

from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.turbo_hoi.grid import LINKS_OF, LOOP, MULTITASK
from tenfold.papers.turbo_hoi.report.results import (
    NAMES,
    TASKS,
    Arm,
    Arms,
    gain,
    main_net,
    on_scenes,
    photos_of,
    read_arms,
)
from tenfold.report.arms import face_of
from tenfold.report.face import Data, Face
from tenfold.report.tables import Cell, Column, Published, Row, Table, Tables, untrained, write_metrics, write_tables

SCENARIOS = {
    "role_1": "AP_role, scenario 1, 24",
    "role_1_all": "AP_role, scenario 1, 25",
    "role_2": "AP_role, scenario 2, 24",
    "role_2_all": "AP_role, scenario 2, 25",
}
MEASURED = ("ap_role", "ap_role_with_point", "ap_role_scenario_two", "ap_role_scenario_two_with_point")
HICO = {"full": "full", "rare": "rare", "non_rare": "non-rare"}
DESIGN = (
    "[DESIGN] The paper's equations, layers and losses were not at hand: what is trained here is a design of ours "
    "within what its abstract and the caption of its Figure 2 say."
)
MEANS = (
    "Scenario 1 wants an empty role where no object is annotated, scenario 2 takes any. 24: the mean without `point`; "
    "25: with it. In drawn scenes nobody points and each role has its object, so that all four are the same."
)
RANKED = (
    "Mean over actions of the average precision among annotated pairs, each of which interacts: no AP_role, no number "
    "of the paper's, and no image is seen. Density: the method's, around the mean place of an action's object."
)
LISTED = "Published: as DirtyHarryLYL/HOI-Learning-List has it; which rows the paper's own table has is not known."


def cell(arm: Arm, *keys: str | int) -> Cell:
    """A measured share in percent; a dash where the arm does not have that task."""
    values = arm.at(*keys)
    return Cell(values, files=arm.files) if values else Cell(exact="-")


def table_vcoco(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The paper's main table: AP_role, ours in both scenarios and with both means."""
    rows = []
    for method in cfg["published"]["vcoco"]:
        arm = arms.get((main_net(arms), method.get("arm", "")))
        cells = {name: Cell(exact="-") if arm is None else cell(arm, "hoi", name) for name in SCENARIOS}
        if "source" in method:
            published = Published(method["role_1"], method["source"])
            cells["role_1"] = Cell(cells["role_1"].seeds, cells["role_1"].exact, cells["role_1"].files, published)
        rows.append(Row((method["method"],), cells))
    columns = [Column(name, header, ".1f") for name, header in SCENARIOS.items()]
    return Table("AP_role on V-COCO", shown, ("method",), columns, rows, (MEANS, LISTED, DESIGN))


def table_hico(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """HICO-DET's mean AP of all classes, of rare and of other ones, in the default setting."""
    rows = []
    for method in cfg["published"]["hico"]:
        arm = arms.get(("hicodet", method.get("arm", "")))
        ours = {
            name: cell(arm, "hico", name) if arm else Cell() if "arm" in method else Cell(exact="-") for name in HICO
        }
        rows.append(Row((method["method"],), {
            name: Cell(one.seeds, one.exact, one.files,
                       Published(method[name], method["source"]) if "source" in method else None)
            for name, one in ours.items()
        }))  # fmt: skip
    columns = [Column(name, header, ".2f", Data("hicodet")) for name, header in HICO.items()]
    return Table("mAP on HICO-DET, default setting", shown, ("method",), columns, rows, (LISTED, DESIGN))


def table_variants(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The ablation: each way to pass messages on both tasks, and what it adds to none."""
    net = main_net(arms)
    rows = []
    for name in LINKS_OF:
        title = cfg["titles"][name]
        if (arm := arms.get((net, name))) is None:
            rows.append(Row((title,), {}))
            continue
        rows.append(Row((title,), {
            **{task: cell(arm, *keys) for task, keys in TASKS.items()},
            "role_2": cell(arm, "hoi", "role_2"),
            **{f"{task}_gain": difference(arms, net, name, task) for task in TASKS},
            **{key: cell(arm, "pose", key) for key in ("pck_hidden", "pck_seen")},
            "params": Cell(exact=arm.facts.get("params"), files=arm.files),
        }))  # fmt: skip
    plain = arms.get((net, MULTITASK), Arm(net, MULTITASK))
    trivial = {**TASKS, "role_2": ("hoi", "role_2"), **{key: ("pose", key) for key in ("pck_hidden", "pck_seen")}}
    cells = {name: cell(plain, "trivial", *keys) for name, keys in trivial.items()}
    nothing = {name: Cell(exact="-") for name in ("role_gain", "keypoints_gain", "params")}
    rows.append(Row(("trivial predictors",), cells | nothing))
    columns = [
        Column("role", "AP_role, scenario 1", ".1f"),
        Column("role_gain", "less multitask's", "+.1f", interval=True),
        Column("role_2", "AP_role, scenario 2", ".1f"),
        Column("keypoints", "keypoint AP", ".1f"),
        Column("keypoints_gain", "keypoint AP less multitask's", "+.1f", interval=True),
        Column("pck_hidden", "PCK, hidden joints", ".1f"),
        Column("pck_seen", "PCK, seen joints", ".1f"),
        Column("params", "parameters", ",d"),
    ]
    notes = (
        "Multitask has no messages; a module alone learns its own task. The paper's ablations are not known.",
        "Trivial predictors: how often persons act so, with the nearest object; the mean pose in the person's box.",
        DESIGN,
    )
    return Table("What the messages do", shown, ("variant",), columns, rows, notes)


def difference(arms: Arms, net: str, name: str, task: str) -> Cell:
    """What an arm adds to multitask on a task, in points."""
    values = {} if name == MULTITASK else gain(arms, net, name, task)
    files = list(dict.fromkeys([*arms[net, name].files, *arms[net, MULTITASK].files]))
    return Cell(values, files=files) if values else Cell(exact="-")


def table_roles(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """AP_role action by action, in both scenarios."""
    net = main_net(arms)
    shown_arms = [arms.get((net, name), Arm(net, name)) for name in ("hoi-only", MULTITASK, "pose-to-hoi", LOOP)]
    roles = list(dict.fromkeys(role for arm in shown_arms for row in arm.rows.values() for role in row["roles"]))
    columns = [Column(f"{arm.name}_{scenario}", f"{cfg['titles'][arm.name]}, {scenario}", ".1f")
               for scenario in (1, 2) for arm in shown_arms]  # fmt: skip
    rows = [
        Row((role,), {f"{arm.name}_{scenario}": cell(arm, "roles", role, f"scenario_{scenario}")
                      for scenario in (1, 2) for arm in shown_arms if arm.rows})
        for role in roles
    ] or [Row(("all roles",), {})]  # fmt: skip
    notes = ("1 and 2 are the scenarios. The paper's values of single actions are not known.", DESIGN)
    return Table("AP_role by action", shown, ("action and role",), columns, rows, notes)


def table_turns(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """Both tasks after each turn of loops that were trained with one, two and three."""
    net, most = main_net(arms), max(links["turns"] for links in LINKS_OF.values())
    rows = [
        Row((cfg["titles"][name],), {
            f"{task}_{turn + 1}": cell(arms[net, name], "turns", turn, task) if turn < links["turns"]
            else Cell(exact="-")
            for turn in range(most) for task in TASKS if (net, name) in arms
        })
        for name, links in LINKS_OF.items()
    ]  # fmt: skip
    columns = [Column(f"{task}_{turn + 1}", f"{NAMES[task]}, turn {turn + 1}", ".1f")
               for task in TASKS for turn in range(most)]  # fmt: skip
    return Table(
        "Both tasks turn by turn", shown, ("variant",), columns, rows, ("Losses are the mean over turns.", DESIGN)
    )


def table_switches(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """What each link adds to multitask where the cue that it lives on is there, and where it is off."""
    links, net = {"pose-to-hoi": "role", "hoi-to-pose": "keypoints"}, main_net(arms)
    rows = []
    for off, title in cfg["scenes"].items():
        cells: dict[str, Cell] = {}
        for link, task in links.items():
            where, of = (off, "") if (off, link) in arms else (net, off)
            if values := gain(arms, where, link, task, of):
                plain = arms[where, MULTITASK]
                cells[f"{link}_none"] = Cell(plain.of_task(task, of), files=plain.files)
                cells[link] = Cell(values, files=[*plain.files, *arms[where, link].files])
        rows.append(Row((title,), cells))
    columns = []
    for link, task in links.items():
        columns += [
            Column(f"{link}_none", f"{NAMES[task]}, no messages", ".1f"),
            Column(link, f"{cfg['titles'][link]} adds", "+.1f", interval=True),
        ]
    trained, tested = (cfg["scenes"][off] for off in ("no-limb-cue", "no-action-cue"))
    notes = (f"{trained}: nets that are trained there; {tested}: the same nets, tested there.", DESIGN)
    return Table("What the links live on", shown, ("scenes",), columns, rows, notes)


def table_photos(cfg: Cfg, photos: Arms) -> Table:
    """Keypoints of real photographs: the whole way from pictures to the benchmark's score, and no result."""
    shown = face_of({**cfg, "data": cfg["photos"]}, photos)
    rows = [Row((cfg["titles"][name],), {
        **{key: cell(arm, "pose", key) for key in ("ap", "ap50", "pck")},
        **{f"mean_{key}": cell(arm, "trivial", "pose", key) for key in ("ap", "pck")},
    }) for (_, name), arm in photos.items()]  # fmt: skip
    columns = [
        Column("ap", "keypoint AP", ".1f"),
        Column("ap50", "AP at .50", ".1f"),
        Column("pck", "PCK", ".1f"),
        Column("mean_ap", "AP of the mean pose", ".1f"),
        Column("mean_pck", "PCK of the mean pose", ".1f"),
    ]
    notes = tuple(
        f"A smoke test: {one['train_images']} persons of photographs to train on, {one['test_images']} to test on, "
        f"far too few. Nobody labelled what they do, so keypoints alone are learned."
        for one in [arm.facts for arm in photos.values()][:1]
    )
    return Table(
        "Real photographs, a smoke test", shown, ("variant",), columns, rows or [Row(("all",), {})], (*notes, DESIGN)
    )


def table_pairs(cfg: Cfg, pairs: list[dict[str, Any]], file: str) -> Table:
    """What annotations alone tell: pairs of a person and an object, ranked without a look at the image."""
    shown = untrained(cfg["edition"], Data("annotations alone, boxes and objects given"))
    rows = [Row((PAIRS[one["data"]],), {
        **{key: Cell(exact=one[key], files=[file]) for key in ("fitted", "tested")},
        **{key: Cell(exact=100 * one[key], files=[file]) for key in PREDICTORS},
    }) for one in pairs]  # fmt: skip
    columns = [
        Column("fitted", "pairs known", ",d"),
        Column("tested", "pairs ranked", ",d"),
        *(Column(key, title, ".1f") for key, title in PREDICTORS.items()),
    ]
    notes = (
        RANKED,
        "HICO-DET's pairs to train on were not at hand: those of every other test image are known, the others ranked.",
    )
    title = "Actions of annotated pairs, by what the object is and where"
    return Table(title, shown, ("annotations",), columns, rows or [Row(("all",), {})], notes)


PAIRS = {"v-coco-pairs": "V-COCO test, 24 roles", "hicodet": "HICO-DET test, 117 verbs"}
PREDICTORS = {"chance": "chance", "object": "the object", "object_density": "object and density",
              "object_place": "object and normal place"}  # fmt: skip
TABLES: Tables = {
    "table-vcoco": table_vcoco,
    "table-hico": table_hico,
    "table-variants": table_variants,
    "table-roles": table_roles,
    "table-turns": table_turns,
    "table-switches": table_switches,
    "table-photos": table_photos,
    "table-pairs": table_pairs,
}


@stage
def tables(cfg: Cfg, job: Job, *, arms: Inputs, ranked: Inputs, tables: Outputs, metrics: Output) -> None:
    """All tables, and ``metrics.json``."""
    found = read_arms(cfg, arms)
    scenes = on_scenes(found)
    pairs = [one for path in ranked for one in read_json(path)]
    write_tables(TABLES, tables, cfg=cfg, arms=scenes, photos=photos_of(found), pairs=pairs,
                 file=" ".join(path.as_posix() for path in ranked), shown=face_of(cfg, scenes))  # fmt: skip
    write_metrics(metrics, {f"{net}/{name}": metrics_of(arm) for (net, name), arm in found.items()})
    job.say(f"{len(found)} arms")


def metrics_of(arm: Arm) -> dict[str, Any]:
    """An arm's measures by name, in percent."""
    named = {name: ("hoi", key) for name, key in zip(MEASURED, SCENARIOS, strict=True)}
    named |= {"keypoint_ap": ("pose", "ap")}
    named |= {key: ("pose", key) for key in ("pck", "pck_hidden", "pck_seen")}
    return {name: arm.at(*keys) for name, keys in named.items()}


if __name__ == "__main__":
    main(tables)
