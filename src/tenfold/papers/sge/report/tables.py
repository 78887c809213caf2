"""The tables of SGE, ours beside the paper's."""

from __future__ import annotations

from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.sge.grid import first_net
from tenfold.papers.sge.report.results import (
    NAMES,
    NETS,
    Statistics,
    arms_of,
    group_arms,
    initial_arm,
    read_arms,
    read_statistics,
)
from tenfold.report.arms import Arm, Arms, face_of, minus
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

IMAGENET = Data("imagenet")
FIRST_CHANNELS = 256  # of the first stage's blocks in the paper's nets
NO_DETECTION = "not testable here: detection"
BEST_EPOCH = (
    "Published accuracies are of the best epoch on the validation set, of one run each; ours are of the last epoch."
)
COUNTER = (
    "Operations as the official counter counts: multiply-adds and biases of convolutions and linear layers, elements "
    "of ReLU and pooling, twice those of BatchNorm."
)
SK = (
    "SK*: one grouped 3x3 convolution beside each 3x3, without dilation. The official code counts 4.187 and 7.980 "
    "GFLOPs; the 4.185 and 7.978 in print are of an older state of it."
)


def on_imagenet(name: str, header: str, spec: str = ".3f") -> Column:
    """A column of numbers that are measured on ImageNet alone."""
    return Column(name, header, spec, IMAGENET)


def setting_note(cfg: Cfg) -> str:
    """One sentence on our net."""
    net, size, groups = first_net(cfg), cfg["pixels"], cfg["attention"]["sge"]["groups"]
    return f"Ours: {net} on images of {size} x {size} pixels; SGE has {groups} groups unless it says otherwise."


def cost_cells(row: dict[str, Any], costs: dict[str, Any], file: str, part: str = "") -> dict[str, Cell]:
    """Parameters in millions and operations in billions, published and counted."""
    counted = costs[f"{row['net']}/{row['arm']}"]
    return {
        "params": Cell(exact=counted[f"{part}params"] / 1e6, files=[file], published=of(row, "params")),
        "operations": Cell(exact=counted[f"{part}operations"] / 1e9, files=[file], published=of(row, "gflops")),
    }


COSTS = (Column("params", "parameters [M]", ".2f"), Column("operations", "GFLOPs", ".3f"))


def of(row: dict[str, Any], key: str) -> Published:
    """A published number of a row."""
    return Published(row[key], row["source"])


def accuracy_cells(arm: Arm | None, row: dict[str, Any]) -> dict[str, Cell]:
    """Top-1 and top-5 on ImageNet in percent, published and, where an arm was trained there, ours."""
    cells = {}
    for name, key in (("top1", "accuracy"), ("top5", "top5")):
        measured = arm is not None and arm.facts["data"] == IMAGENET.name
        ours = arm.percent(key) if measured and arm is not None else {}
        cells[name] = Cell(ours, files=arm.files if measured and arm is not None else [], published=of(row, name))
    return cells


def table_imagenet(cfg: Cfg, arms: Arms, costs: dict[str, Any], file: str, shown: Face) -> Table:
    """The paper's Table 1: cost and accuracy of all kinds of attention on ImageNet."""
    trained = shown.data == IMAGENET
    rows = []
    for row in cfg["published"]["imagenet"]:
        arm = arms.get((row["net"], row["arm"]))
        cells = cost_cells(row, costs, file) | accuracy_cells(arm, row)
        if trained and arm is not None:
            cells["best"] = Cell(arm.percent("best_accuracy_on_the_test_set"), files=arm.files)
        rows.append(Row((NETS[row["net"]], NAMES[row["arm"]]), cells))
    best = (on_imagenet("best", "top-1 of the best epoch on the test set [%]"),) if trained else ()
    return Table(
        "Attention in residual nets on ImageNet (Table 1)",
        shown if trained else untrained(shown.edition, IMAGENET),
        ("net", "attention"),
        (*COSTS, on_imagenet("top1", "top-1 [%]"), on_imagenet("top5", "top-5 [%]"), *best),
        rows,
        (COUNTER, SK, "ResNet-101 without attention counts 7.8495 GFLOPs, which is cut in print.", BEST_EPOCH),
    )


def table_attention(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """All kinds of attention in our net: accuracy, gain over the plain net, cost; the published gains of ResNet-50."""
    found = arms_of(arms, first_net(cfg))
    plain = found["plain"]
    published = {row["arm"]: row for row in cfg["published"]["imagenet"] if row["net"] == "resnet50"}
    rows = []
    for kind, row in published.items():
        gain = Published(round(row["top1"] - published["plain"]["top1"], 3), row["source"])
        cells = {"gain": Cell(exact="-" if kind == "plain" else None, published=gain)}
        if (arm := found.get(kind)) is not None:
            cells |= arm_cells(arm)
            if kind != "plain":
                difference = minus(arm.accuracy, plain.accuracy)
                cells["gain"] = Cell(difference, files=[*arm.files, *plain.files], published=gain)
        rows.append(Row((NAMES[kind],), cells))
    return Table(
        "Attention in our net, and its gain over the plain one",
        shown,
        ("attention",),
        (
            Column("accuracy", "top-1 [%]", ".2f"),
            Column("gain", "gain", "+.2f"),
            Column("params", "parameters", ",d"),
            Column("macs", "MACs", ",d"),
        ),
        rows,
        (setting_note(cfg), "Published gains: ResNet-50, best epoch of one run each."),
    )


def arm_cells(arm: Arm) -> dict[str, Cell]:
    """Accuracy and cost of an arm."""
    return {
        "accuracy": Cell(arm.accuracy, files=arm.files),
        "params": Cell(exact=arm.facts["params"], files=arm.files),
        "macs": Cell(exact=arm.facts["macs"], files=arm.files),
    }


def ablation(cfg: Cfg, title: str, keys: tuple[str, ...], rows: list[Row], shown: Face, *notes: str) -> Table:
    """A table of accuracies in which one thing was varied."""
    columns = (Column("top1", "top-1 [%]", ".2f"), on_imagenet("top5", "top-5 [%]", ".2f"))
    return Table(title, shown, keys, columns, rows, (setting_note(cfg), *notes, BEST_EPOCH))


def ablation_cells(arm: Arm | None, row: dict[str, Any] | None) -> dict[str, Cell]:
    """Ours, on whatever the edition trains on, beside the published numbers on ImageNet."""
    on_top1 = None if row is None else of(row, "top1")
    cells = {
        "top1": Cell({} if arm is None else arm.accuracy, files=[] if arm is None else arm.files, published=on_top1)
    }
    return cells | ({} if row is None else {"top5": accuracy_cells(arm, row)["top5"]})


def table_groups(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The paper's Figure 5 as a table: the number of groups. Rows of equal channels a group in the first stage."""
    ours = {cfg["first_channels"] // groups: (groups, arm) for groups, arm in group_arms(cfg, arms)}
    published = {FIRST_CHANNELS // row["groups"]: row for row in cfg["published"]["groups"]}
    rows = []
    for channels in sorted(ours.keys() | published.keys(), reverse=True):
        groups, arm = ours.get(channels, (None, None))
        row = published.get(channels)
        texts = ("-" if row is None else str(row["groups"]), "-" if groups is None else str(groups))
        rows.append(Row((str(channels), *texts), ablation_cells(arm, row)))
    return ablation(
        cfg, "The number of groups (Figure 5)", ("channels a group, first stage", "groups, published", "groups, ours"),
        rows, shown, "Published values are read off the figure, within 0.005.",
    )  # fmt: skip


def table_initialisation(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The paper's Table 2: first values of gamma and beta."""
    found = arms_of(arms, first_net(cfg))
    rows = [
        Row((str(row["gamma"]), str(row["beta"])), ablation_cells(initial_arm(found, row["gamma"], row["beta"]), row))
        for row in cfg["published"]["initialisation"]
    ]
    return ablation(cfg, "First values of gamma and beta (Table 2)", ("gamma", "beta"), rows, shown)


def table_normalisation(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The paper's Table 3: with and without normalisation."""
    found = arms_of(arms, first_net(cfg))
    rows = [
        Row((text,), ablation_cells(found.get(row["arm"]), row))
        for text, row in zip(("with", "without"), cfg["published"]["normalisation"], strict=True)
    ]
    return ablation(cfg, "Normalisation of the similarity (Table 3)", ("normalisation",), rows, shown)


def table_statistics(cfg: Cfg, statistics: Statistics, shown: Face) -> Table:
    """The paper's Figures 3 and 4 in numbers: lengths of the groups' vectors in the last block."""
    published = {row["quantity"]: row for row in cfg["published"]["statistics"]}
    quantities = {
        "activation variance": ("variance", True),
        "activation variance, its root": ("root", True),
        **{f"{share} % quantile, first group": (f"q{share}", False) for share in (10, 50, 90, 99)},
        **{f"{share} % quantile, mean over groups": (f"q{share}", True) for share in (50, 99)},
    }
    rows = []
    for quantity, (key, over_groups) in quantities.items():
        row = published.get(quantity)
        cells = {}
        for when in ("before", "after"):
            values = (statistics.of_groups if over_groups else statistics.of_first_group)(f"{key}_{when}")
            cells[when] = Cell(values, files=statistics.files, published=None if row is None else of(row, when))
        quotient = {seed: value / cells["before"].seeds[seed] for seed, value in cells["after"].seeds.items()}
        ratio = None if row is None else Published(round(row["after"] / row["before"], 3), row["source"])
        cells["quotient"] = Cell(quotient, files=statistics.files, published=ratio)
        rows.append(Row((quantity,), cells))
    share = {"after": Cell(statistics.positive, files=statistics.files), "before": Cell(exact="-")}
    rows.append(Row(("positive gammas over all blocks [%]",), share | {"quotient": Cell(exact="-")}))
    return Table(
        "Lengths of the groups' vectors in the last block, before and behind SGE (Figures 3 and 4)",
        shown,
        ("quantity",),
        tuple(
            Column(name, header, ".3f")
            for name, header in (("before", "before"), ("after", "behind"), ("quotient", "behind / before"))
        ),
        rows,
        (
            setting_note(cfg),
            "Variance over the positions of an image, mean over images and groups.",
            "Published: SGE-ResNet-50, read off figures that do not say whether the variance or its root is meant.",
        ),
    )


def detection_table(title: str, keys: tuple[str, ...], names: tuple[str, ...], rows: list[Row], shown: Face) -> Table:
    """A table of a detector's AP, which is published alone, beside the cost of backbones, which is counted."""
    ap = tuple(Column(f"ap{number}", f"{name} on COCO", ".1f") for number, name in enumerate(names))
    notes = (
        "Box AP on val2017 as published; detection is not part of Tenfold.",
        "Costs: the backbone without its last layer but with its average pooling, at 800 x 1333 pixels.",
        COUNTER,
    )
    return Table(title, untrained(shown.edition), keys, (*COSTS, *ap), rows, notes)


def ap_cells(row: dict[str, Any]) -> dict[str, Cell]:
    """Published AP, and the word for ours."""
    return {
        f"ap{i}": Cell(exact=NO_DETECTION, published=Published(ap, row["source"])) for i, ap in enumerate(row["ap"])
    }


def table_detection(cfg: Cfg, costs: dict[str, Any], file: str, shown: Face) -> Table:
    """The paper's Table 4: detectors of two stages and more."""
    rows = [
        Row(
            (row["detector"], NETS[row["net"]], NAMES[row["arm"]]),
            cost_cells(row, costs, file, "backbone_") | ap_cells(row),
        )
        for row in cfg["published"]["detection"]
    ]
    keys = ("detector", "backbone", "attention")
    title = "Detection with Faster, Mask and Cascade R-CNN (Table 4)"
    table = detection_table(title, keys, ("AP", "AP50", "AP75"), rows, shown)
    note = "Rows of SE stand in the official README only; its 168.3 GFLOPs are near those of CBAM, 168.34, not of SE."
    return Table(table.title, table.face, table.keys, table.columns, table.rows, (*table.notes, note))


def table_retinanet(cfg: Cfg, costs: dict[str, Any], file: str, shown: Face) -> Table:
    """The paper's Table 5: RetinaNet, by the size of objects."""
    rows = [
        Row((NETS[row["net"]], NAMES[row["arm"]]), cost_cells(row, costs, file, "backbone_") | ap_cells(row))
        for row in cfg["published"]["retinanet"]
    ]
    names = ("AP, small objects,", "AP, medium", "AP, large")
    return detection_table("Detection with RetinaNet (Table 5)", ("backbone", "attention"), names, rows, shown)


TABLES: Tables = {
    "table-imagenet": table_imagenet,
    "table-attention": table_attention,
    "table-groups": table_groups,
    "table-initialisation": table_initialisation,
    "table-normalisation": table_normalisation,
    "table-statistics": table_statistics,
    "table-detection": table_detection,
    "table-retinanet": table_retinanet,
}


@stage
def tables(
    cfg: Cfg, job: Job, *, arms: Inputs, statistics: Inputs, counted: Input, tables: Outputs, metrics: Output
) -> None:
    """All tables, and ``metrics.json``."""
    found = read_arms(cfg, arms)
    write_tables(TABLES, tables, cfg=cfg, arms=found, statistics=read_statistics(statistics), costs=read_json(counted),
                 file=counted.as_posix(), shown=face_of(cfg, found))  # fmt: skip
    write_metrics(metrics, {f"{net}/{name}": {"accuracy": arm.accuracy} for (net, name), arm in found.items()})
    job.say(f"{len(found)} arms")


if __name__ == "__main__":
    main(tables)
