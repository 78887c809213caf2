"""The tables of SGE, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.sge.grid import first_net, kind_and_net
from tenfold.papers.sge.report.results import (
    DETECTORS,
    NAMES,
    NETS,
    Statistics,
    arms_of,
    face_of_detectors,
    group_arms,
    initial_arm,
    read_arms,
    read_detectors,
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

IMAGENET, COCO = Data("imagenet"), Data("coco-2017")
APS = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "AP, small", "ap_medium": "AP, medium",
       "ap_large": "AP, large"}  # fmt: skip
GAINS = {"gain": "ap", "gain_small": "ap_small"}
NO_ATTENTION = {name: Cell(exact="-") for name in (*GAINS, "before", "behind")}  # gains nothing, and has no gates
FIRST_CHANNELS = 256  # of the first stage's blocks in the paper's nets
BEST_EPOCH = (
    "Published accuracies are of the best epoch on the validation set, of one run each; ours are of the last epoch."
)
COUNTER = (
    "Operations as the official counter counts: multiply-adds and biases of convolutions and linear layers, elements "
    "of ReLU and pooling, twice those of BatchNorm."
)
BY_SIZE = (
    "Box AP as COCO has it; small objects are below 32 x 32 pixels of the published picture, large ones above 96 x 96. "
    "Of it a pixel of ours stands for five or more."
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


def detection_table(
    title: str, keys: tuple[str, ...], names: dict[str, str], rows: list[Row], seen: Face, *notes: str
) -> Table:
    """A table of detectors' AP on COCO beside the cost of their backbones, which is counted."""
    trained = seen.data == COCO
    notes = (
        "Box AP on val2017; ours is trained at full alone.",
        "Costs: the backbone without its last layer but with its average pooling, at 800 x 1333 pixels.",
        COUNTER,
        *notes,
    )
    columns = (*COSTS, *(Column(name, header, ".1f", COCO) for name, header in names.items()))
    return Table(title, seen if trained else untrained(seen.edition, COCO), keys, columns, rows, notes)


def ap_cells(detectors: Arms, detector: str, row: dict[str, Any], names: Iterable[str]) -> dict[str, Cell]:
    """AP on COCO, published and, where a detector was trained there, ours."""
    arm = detectors.get((f"{detector}-{row['net']}", row["arm"]))
    if arm is not None and arm.facts["data"] != COCO.name:
        arm = None
    return {
        name: Cell({} if arm is None else arm.percent(name), files=[] if arm is None else arm.files,
                   published=Published(ap, row["source"]))
        for name, ap in zip(names, row["ap"], strict=True)
    }  # fmt: skip


def table_detection(cfg: Cfg, costs: dict[str, Any], file: str, detectors: Arms, seen: Face) -> Table:
    """The paper's Table 4: detectors of two stages and more."""
    kinds = {title: kind for kind, title in DETECTORS.items()}
    names = {"ap": "AP", "ap50": "AP50", "ap75": "AP75"}
    rows = [
        Row(
            (row["detector"], NETS[row["net"]], NAMES[row["arm"]]),
            cost_cells(row, costs, file, "backbone_") | ap_cells(detectors, kinds[row["detector"]], row, names),
        )
        for row in cfg["published"]["detection"]
    ]
    return detection_table(
        "Detection with Faster, Mask and Cascade R-CNN (Table 4)", ("detector", "backbone", "attention"), names, rows,
        seen,
        "Rows of SE stand in the official README only; its 168.3 GFLOPs are near those of CBAM, 168.34, not of SE.",
    )  # fmt: skip


def table_retinanet(cfg: Cfg, costs: dict[str, Any], file: str, detectors: Arms, seen: Face) -> Table:
    """The paper's Table 5: RetinaNet, by the size of objects."""
    names = {"ap_small": "AP, small objects", "ap_medium": "AP, medium", "ap_large": "AP, large"}
    rows = [
        Row(
            (NETS[row["net"]], NAMES[row["arm"]]),
            cost_cells(row, costs, file, "backbone_") | ap_cells(detectors, "retinanet", row, names),
        )
        for row in cfg["published"]["retinanet"]
    ]
    title = "Detection with RetinaNet (Table 5)"
    return detection_table(title, ("backbone", "attention"), names, rows, seen)


def table_detectors(cfg: Cfg, detectors: Arms, seen: Face) -> Table:
    """Our detectors: AP, that by the size of objects, and what SGE gains; the published gains of ResNet-50."""
    rows = []
    for (net, name), arm in detectors.items():
        kind, backbone = kind_and_net(net)
        cells = {**NO_ATTENTION, **{key: Cell(arm.percent(key), files=arm.files) for key in APS}}
        cells["params"] = Cell(exact=arm.facts["params"], files=arm.files)
        if (plain := detectors.get((net, "plain"))) is not None and name != "plain":
            for gain, key in GAINS.items():
                cells[gain] = Cell(minus(arm.percent(key), plain.percent(key)), files=[*arm.files, *plain.files],
                                   published=published_gain(cfg, kind, name, key))  # fmt: skip
        of = {seed: row["lit"] for seed, row in arm.rows.items() if "lit" in row}
        if of:
            for when in ("before", "behind"):
                cells[when] = Cell({seed: lit[when] for seed, lit in of.items()}, files=arm.files)
        rows.append(Row((DETECTORS[kind], backbone, NAMES[name]), cells))
    return Table(
        "Our detectors, and what they gain over those without attention",
        seen,
        ("detector", "backbone", "attention"),
        (
            *(Column(name, header, ".2f") for name, header in APS.items()),
            Column("gain", "gain of AP", "+.2f"),
            Column("gain_small", "gain, small objects", "+.2f"),
            Column("before", "lengths on objects over beside, before SGE", ".3f"),
            Column("behind", "behind SGE", ".3f"),
            Column("params", "parameters", ",d"),
        ),
        rows,
        (
            BY_SIZE,
            "Published gains: ResNet-50 on COCO, one run each. Lengths: of the groups' vectors, mean over groups.",
        ),
    )


def published_gain(cfg: Cfg, kind: str, arm: str, key: str) -> Published | None:
    """What the paper's detector of a kind gains on ResNet-50, where the paper has that number."""
    by_size = kind == "retinanet"
    published = {
        row["arm"]: row
        for row in cfg["published"]["retinanet" if by_size else "detection"]
        if row["net"] == "resnet50" and row.get("detector", DETECTORS[kind]) == DETECTORS[kind]
    }
    if arm not in published or key != ("ap_small" if by_size else "ap"):
        return None
    return Published(round(published[arm]["ap"][0] - published["plain"]["ap"][0], 1), published[arm]["source"])


TABLES: Tables = {
    "table-imagenet": table_imagenet,
    "table-attention": table_attention,
    "table-groups": table_groups,
    "table-initialisation": table_initialisation,
    "table-normalisation": table_normalisation,
    "table-statistics": table_statistics,
    "table-detection": table_detection,
    "table-retinanet": table_retinanet,
    "table-detectors": table_detectors,
}


@stage
def tables(
    cfg: Cfg,
    job: Job,
    *,
    arms: Inputs,
    detectors: Inputs,
    statistics: Inputs,
    counted: Input,
    tables: Outputs,
    metrics: Output,
) -> None:
    """All tables, and ``metrics.json``."""
    found, detected = read_arms(cfg, arms), read_detectors(cfg, detectors)
    write_tables(TABLES, tables, cfg=cfg, arms=found, detectors=detected, statistics=read_statistics(statistics),
                 costs=read_json(counted), file=counted.as_posix(), shown=face_of(cfg, found),
                 seen=face_of_detectors(cfg, detected))  # fmt: skip
    write_metrics(
        metrics,
        {f"{net}/{name}": {"accuracy": arm.accuracy} for (net, name), arm in found.items()}
        | {f"{net}/{name}": {key: arm.of(key) for key in APS} for (net, name), arm in detected.items()},
    )
    job.say(f"{len(found)} arms, {len(detected)} of detectors")


if __name__ == "__main__":
    main(tables)
