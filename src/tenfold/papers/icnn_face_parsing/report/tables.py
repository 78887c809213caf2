"""The tables of face parsing, ours beside what was recovered of the paper's and of its follow-up's."""

from __future__ import annotations

from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.icnn_face_parsing.grid import MAIN
from tenfold.papers.icnn_face_parsing.report.results import COLUMNS, WAYS, Arm, Arms, main_arm, read_arms
from tenfold.report.arms import face_of, minus
from tenfold.report.face import Face
from tenfold.report.tables import Cell, Column, Published, Row, Table, Tables, untrained, write_metrics, write_tables

POOLED = "F from pixel counts pooled over all test faces; those of left and right are added; the mouth is one label."
READINGS = "Overall: counts of eyes, brows, nose and mouth are added. Binary: all parts are one label."
MEAN = "Mean: of F over the seven columns of Table 1. Sides alike: left and right are one label."
FOLLOW_UP = (
    "The follow-up has larger nets, on Helen; its code has the binary reading and the mean, and does not say which of "
    "them its numbers are."
)


def f_columns(parts: dict[str, str]) -> list[Column]:
    """A column of F for each part."""
    return [Column(name, header, ".3f") for name, header in parts.items()]


def f_cells(arm: Arm, way: str, parts: dict[str, str]) -> dict[str, Cell]:
    """F of each part, by one arm in one way."""
    return {name: Cell(arm.f(way, name), files=arm.files) for name in parts if arm.f(way, name)}


def table_parts(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The paper's Table 1: F of each part, method by method."""
    arm, rows = main_arm(arms), []
    for published in cfg["published"]["parts"]:
        cells = f_cells(arm, published["way"], COLUMNS) if "way" in published else {}
        rows.append(Row((published["method"],), {
            name: Cell(
                cells[name].seeds if name in cells else {},
                None if "way" in published else "-",
                files=arm.files if name in cells else (),
                published=Published(published.get(name), published["source"]) if "source" in published else None,
            )
            for name in COLUMNS
        }))  # fmt: skip
    notes = (POOLED, "Skin, which one of the published methods labels too, is left out.")
    return Table("F of each part of the face (Table 1)", shown, ("method",), f_columns(COLUMNS), rows, notes)


def table_stages(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """One stage, two, and crops at the true places: the whole in three readings, beside the follow-up's numbers."""
    readings = {"overall": "overall", "overall_binary": "overall, binary", "overall_mean": "overall, mean"}
    pairs = {"brows_union": "brows, sides alike", "eyes_union": "eyes, sides alike"}
    parts = {**readings, "brows": "brows", "eyes": "eyes", **pairs}
    rows = []
    for published in cfg["published"]["stages"]:
        arm = arms.get((main_arm(arms).net, published["arm"]))
        cells = {} if arm is None else f_cells(arm, published["way"], parts)
        cells["follow_up"] = Cell(exact="-", published=Published(published["overall"], published["source"]))
        rows.append(Row((published["method"],), cells))
    notes = (POOLED, READINGS, MEAN, FOLLOW_UP)
    columns = [*f_columns(parts), Column("follow_up", "follow-up, overall", ".4f")]
    return Table("One stage and two", shown, ("method",), columns, rows, notes)


def table_ablation(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """Each arm against the paper's own on the same faces, by two stages; and what its first stage alone does."""
    rows = []
    for (net, name), arm in arms.items():
        cells = {
            "overall": Cell(arm.f("two_stage", "overall"), files=arm.files),
            "difference": Cell(exact="-") if name == MAIN else difference(arm, "two_stage", arms[net, MAIN]),
            "thin": Cell(arm.f("two_stage", "thin"), files=arm.files),
            "one_stage": Cell(arm.f("one_stage", "overall"), files=arm.files),
            "near": Cell(arm.near, files=arm.files),
            "params": Cell(exact=arm.facts.get("params"), files=arm.files),
        }
        rows.append(Row((cfg["titles"].get(name, name), arm.facts["data"]), cells))
    ours = main_arm(arms)
    same = {name: Cell(exact="-") for name in ("one_stage", "near", "params")}
    for way in ("true_crops", "other_centre"):
        cells = same | {
            "overall": Cell(ours.f(way, "overall"), files=ours.files),
            "difference": difference(ours, way, ours),
            "thin": Cell(ours.f(way, "thin"), files=ours.files),
        }
        rows.append(Row((f"{cfg['titles'].get(MAIN, MAIN)}: {WAYS[way]}", ours.facts["data"]), cells))
    columns = [
        Column("overall", "overall F, two stages", ".3f"),
        Column("difference", "less iCNN's", "+.3f", interval=True),
        Column("thin", "F of brows and lips", ".3f"),
        Column("one_stage", "overall F, first stage", ".3f"),
        Column("near", "centres found [%]", ".1f"),
        Column("params", "parameters", ",d"),
    ]
    found = f"A centre is found where the first stage puts it within {cfg['near']:g} of its own pixels."
    notes = (
        POOLED,
        found,
        "Other centres: the median of a part's pixels where the method has their mean.",
        "Parameters: of all five nets; of arms without a second stage, of the one that they have.",
    )
    return Table("What the parts of the method do", shown, ("arm", "faces"), columns, rows, notes)


def difference(arm: Arm, way: str, ours: Arm) -> Cell:
    """An arm's overall F in some way less that of the paper's own by two stages, paired by seed."""
    values, others = arm.f(way, "overall"), ours.f("two_stage", "overall")
    files = list(dict.fromkeys([*arm.files, *ours.files]))
    return Cell(minus(values, others) if values.keys() <= others.keys() else {}, files=files)


def table_costs(cfg: Cfg, costs: list[dict[str, Any]], file: str) -> Table:
    """Parameters and multiply-adds of the paper's nets."""
    rows = [
        Row((row["title"], f"{row['side']} x {row['side']}", f"{row['kernel']} x {row['kernel']}"), {
            "labels": Cell(exact=row["foreground"] + 1, files=[file]),
            "params": Cell(exact=row["params"], files=[file]),
            "macs": Cell(exact=row["macs"] / 1e6, files=[file]),
        })
        for row in costs
    ]  # fmt: skip
    columns = [
        Column("labels", "labels with the background", "d"),
        Column("params", "parameters", ",d"),
        Column("macs", "multiply-adds [M]", ",.1f"),
    ]
    title, note = (
        "Size of the paper's nets",
        "Of convolutions; the paper's own numbers, if it has any, were not recovered.",
    )
    return Table(title, untrained(cfg["edition"]), ("net", "pixels", "outer kernels"), columns, rows, (note,))


TABLES: Tables = {
    "table-parts": table_parts,
    "table-stages": table_stages,
    "table-ablation": table_ablation,
    "table-costs": table_costs,
}


@stage
def tables(cfg: Cfg, job: Job, *, arms: Inputs, counted: Input, tables: Outputs, metrics: Output) -> None:
    """All tables, and ``metrics.json``."""
    found = read_arms(cfg, arms)
    write_tables(TABLES, tables, cfg=cfg, arms=found, costs=read_json(counted), file=counted.as_posix(),
                 shown=face_of(cfg, found))  # fmt: skip
    write_metrics(metrics, {
        f"{net}/{name}": {f"{way}_{part}": arm.f(way, part) for way in WAYS for part in (*COLUMNS, "thin")}
        for (net, name), arm in found.items()
    })  # fmt: skip
    job.say(f"{len(found)} arms")


if __name__ == "__main__":
    main(tables)
