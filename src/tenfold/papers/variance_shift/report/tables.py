"""The tables of Variance Shift, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.variance_shift.report.results import (
    Arm,
    Arms,
    Place,
    Weights,
    all_arms,
    as_one,
    beside,
    papers_data,
    papers_net,
    published,
    rate_of,
    read_arms,
    read_weights,
    title_of,
)
from tenfold.report.arms import BySeed, face_of, minus
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

KEYS = ("the paper's data", "the paper's net", "ours")
OTHER_NET = (
    "Ours stands beside the paper's net of its family; below full it is another net, smaller and trained for less."
)
MEASURED = "Published ratios were measured in the drawing of the paper's Figure 4; each is of one run."
HALVES = ("a-0.5", "b-0.5")


def setting_notes(cfg: Cfg) -> tuple[str, str]:
    """What is to be known of all nets of ours before they are compared with the paper's."""
    return OTHER_NET, f"Images of ours: {cfg['pixels']} x {cfg['pixels']} pixels."


def given(entry: dict[str, Any] | None, *keys: str) -> Published | None:
    """A number of a published entry, where there are both."""
    value: Any = entry
    for key in keys:
        value = None if value is None else value.get(key)
    return None if entry is None or value is None else Published(value, entry["source"])


def of_place(arms: Arms, place: Place | None, name: str) -> Arm | None:
    """One arm of ours; None where there is none."""
    return None if place is None else arms.get(place, {}).get(name)


def table_weights(cfg: Cfg, trained: Arms, weights: dict[Place, Weights], shown: Face) -> Table:
    """The paper's Table 1: weights of nets without dropout."""
    rows = []
    for row in beside(cfg, list(trained)):
        entry, ours = published(cfg, "weights", row), None if row.place is None else weights.get(row.place)
        cells = {name: Cell(published=given(entry, name)) for name in ("cos2", "d_cos2")}
        if ours is not None:
            cells = {
                "cos2": Cell(ours.cos2, files=ours.files, published=given(entry, "cos2")),
                "d_cos2": Cell(ours.d_cos2, files=ours.files, published=given(entry, "d_cos2")),
                "power": Cell(ours.power, files=ours.files),
            }
        rows.append(Row(row.keys, cells))
    return Table(
        "Weights of convolutions: cos^2 of their angle to the all-ones vector (Table 1)",
        shown,
        KEYS,
        (
            Column("cos2", "mean cos^2", ".4f"),
            Column("d_cos2", "mean d cos^2", ".2f"),
            Column("power", "power of d in d cos^2", "+.2f", interval=True),
        ),
        rows,
        (
            *setting_notes(cfg),
            "Nets without dropout, means over all convolutions; d: inputs of a filter, those of its group alone.",
            "Both means depend on the widths of a net; only nets of equal widths can be compared.",
        ),
    )


def table_adjust(cfg: Cfg, trained: Arms, probed: Arms, settled: Arms, shown: Face) -> Table:
    """The paper's Table 3: how test error at drop ratio 0.5 changes when BatchNorm's moments are measured again."""
    rows = []
    for row in beside(cfg, list(trained)):
        for name in HALVES:
            entry, arm = published(cfg, "adjust", row, arm=name), of_place(probed, row.place, name)
            cells = {"error": Cell(published=given(entry, "error")), "change": published_change(entry)}
            if arm is not None:
                cells |= {
                    "error": Cell(arm.error, files=arm.files, published=given(entry, "error")),
                    "at_once": change(arm, arm, "accuracy_adjusted"),
                    "by_layer": change(arm, arm, "accuracy_readjusted"),
                    "in_use": change(arm, of_place(settled, row.place, name), "accuracy_settled"),
                }
            rows.append(Row((*row.keys, title_of(name)), cells))
    return Table(
        "Test error with BatchNorm's moments measured again in test mode (Table 3)",
        shown,
        (*KEYS, "dropout"),
        (
            Column("error", "error [%]", ".2f"),
            Column("at_once", "all at once [points]", "+.2f", interval=True),
            Column("by_layer", "layer after layer [points]", "+.2f", interval=True),
            Column("in_use", "averages in use [points]", "+.2f", interval=True),
            Column("change", "change [points]", "+.2f"),
        ),
        rows,
        (
            *setting_notes(cfg),
            "Changes are adjusted less unadjusted error; ours by three readings of what the paper says of adjusting.",
            "All at once: all layers are measured with the old moments in place, then replaced.",
            "Layer after layer: each layer is measured behind layers that normalise by the moments of the batch.",
            "Averages in use: the net in test mode normalises by moving averages, which each batch updates.",
        ),
    )


def published_change(entry: dict[str, Any] | None) -> Cell:
    """What adjusting changed in the paper, in points: arithmetic with two published numbers."""
    change = None if entry is None else Published(round(entry["adjusted"] - entry["error"], 2), entry["source"])
    return Cell(exact="-", published=change)


def change(arm: Arm, adjusted: Arm | None, key: str) -> Cell:
    """Test error of adjusted nets less that of the same nets unadjusted, paired by seed."""
    if adjusted is None:
        return Cell()
    files = dict.fromkeys([*arm.files, *adjusted.files])
    return Cell(minus(adjusted.error_of(key), arm.error), files=list(files))


def errors_by_rate(
    cfg: Cfg, trained: Arms, shown: Face, case: str, header: str
) -> tuple[tuple[Column, ...], list[Row]]:
    """Columns and rows of test errors without and with noise of rising strength, published and ours."""
    rows = []
    for row in beside(cfg, list(trained)):
        entry = published(cfg, case, row)
        names = list(entry["error"]) if entry else ["none"]
        if row.place is not None:
            names += [name for name in trained[row.place] if name.startswith(f"{case}-") and name not in names]
        without = of_place(trained, row.place, "none")
        for name in sorted(names, key=rate_of):
            arm, cells = of_place(trained, row.place, name), {}
            of_paper = given(entry, "error", name)
            cells["error"] = Cell(published=of_paper)
            if arm is not None:
                cells["error"] = Cell(arm.error, files=arm.files, published=of_paper)
            if name == "none":
                cells["change"] = Cell(exact="-")
            elif arm is not None and without is not None:
                files = [*without.files, *arm.files]
                cells["change"] = Cell(minus(arm.error, without.error), files=files)
            rows.append(Row((*row.keys, f"{rate_of(name):.1f}"), cells))
    columns = (
        Column("error", "test error [%]", ".2f"),
        Column("change", f"less that of {header} 0", "+.2f", interval=True),
    )
    return columns, rows


def table_last(cfg: Cfg, trained: Arms, shown: Face) -> Table:
    """The paper's Table 4: one dropout before the softmax, after all BatchNorm."""
    columns, rows = errors_by_rate(cfg, trained, shown, "last", "drop")
    title = "Test error with one dropout before the softmax, after all BatchNorm (Table 4)"
    return Table(title, shown, (*KEYS, "drop ratio"), columns, rows, setting_notes(cfg))


def table_uout(cfg: Cfg, trained: Arms, shown: Face) -> Table:
    """The paper's Table 6: Uout in the places of case (b)."""
    columns, rows = errors_by_rate(cfg, trained, shown, "uout", "beta")
    title = "Test error with Uout right before the last convolution of each block (Table 6)"
    return Table(title, shown, (*KEYS, "beta"), columns, rows, setting_notes(cfg))


def table_imagenet(cfg: Cfg) -> Table:
    """The paper's Table 5, of which nothing is run."""
    rows = [
        Row((entry["net"], entry["drop"]),
            {name: Cell(exact="not run: ImageNet", published=given(entry, name)) for name in ("top1", "top5")})
        for entry in cfg["published"]["imagenet"]
    ]  # fmt: skip
    return Table(
        "ImageNet: one dropout before the softmax (Table 5)",
        untrained(cfg["edition"], Data("ImageNet ILSVRC-2012, not run")),
        ("the paper's net", "drop ratio"),
        (Column("top1", "top-1 error [%]", ".2f"), Column("top5", "top-5 error [%]", ".2f")),
        rows,
        (
            "ImageNet is not trained on at any edition.",
            "The paper does not state how these nets were trained, nor whether those of drop ratio 0 were.",
        ),
    )


def table_ratios(cfg: Cfg, trained: Arms, probed: Arms, shown: Face) -> Table:
    """Means of the curves of the paper's Figure 4: the variance that BatchNorm stored against what it meets."""
    rows = []
    for row in beside(cfg, list(trained)):
        entry = published(cfg, "ratios", row)
        here = {} if row.place is None else probed.get(row.place, {})
        for name in dict.fromkeys(["none", *HALVES, *here]):
            of_paper = given(entry, "mean", name)
            cells = {"mean": Cell(published=of_paper)}
            if (arm := here.get(name)) is not None:
                cells["mean"] = Cell(arm.of("mean_ratio"), files=arm.files, published=of_paper)
                cells["largest"] = Cell(arm.of("max_ratio"), files=arm.files)
            cells |= {
                "over_none": ratio_difference(here, name, "none"),
                "over_b": ratio_difference(here, name, name.replace("a-", "b-")),
            }
            rows.append(Row((*row.keys, title_of(name)), cells))
    return Table(
        "Ratio of the variances that BatchNorm stored and meets in test mode, mean over its layers (Figure 4)",
        shown,
        (*KEYS, "dropout"),
        (
            Column("mean", "mean ratio", ".3f"),
            Column("largest", "largest ratio of a layer", ".3f"),
            Column("over_none", "mean less that without dropout", "+.3f", interval=True),
            Column("over_b", "mean less that of (b), equal drop", "+.3f", interval=True),
        ),
        rows,
        (
            *setting_notes(cfg),
            "Ratio: the larger variance over the smaller, each the mean over the channels of a layer; 1 is no shift.",
            MEASURED,
        ),
    )


def ratio_difference(arms: dict[str, Arm], name: str, other: str) -> Cell:
    """Mean ratio of an arm less that of another, paired by seed; a dash for an arm less itself."""
    if name == other:
        return Cell(exact="-")
    if name not in arms or other not in arms:
        return Cell()
    files = [*arms[name].files, *arms[other].files]
    return Cell(minus(arms[name].of("mean_ratio"), arms[other].of("mean_ratio")), files=files)


def table_nets(cfg: Cfg, costs: dict[str, Any]) -> Table:
    """The paper's Table 2: parameters and BatchNorm layers of its nets, and of the edition's."""
    rows = []
    for entry in cfg["published"]["nets"]:
        for data in ("CIFAR-10", "CIFAR-100"):
            of_paper = {"params": given(entry, "params", data), "bn_layers": given(entry, "bn_layers")}
            rows.append(Row((entry["title"], "-", data), count_cells(costs["paper"][entry["title"]][data], of_paper)))
    for net in cfg["nets"]:
        rows += [
            Row((papers_net(cfg, net) or "-", net, data), count_cells(costs["ours"][net][data], {}))
            for data in dict.fromkeys(papers_data(cfg, of["name"]) for of in cfg["data"])
        ]
    return Table(
        "Parameters and BatchNorm layers of the paper's nets and of this edition's (Table 2)",
        untrained(cfg["edition"]),
        ("the paper's net", "this edition's", "classes of"),
        (Column("params", "parameters", ",d"), Column("bn_layers", "BatchNorm layers", ",d")),
        rows,
        (
            "A dash under this edition's: the paper's own net. Its BatchNorm layers are the points of Figure 4.",
            "PreResNet-110 has 164 layers, 18 bottlenecks in each stage: Figure 4 has the 163 points of that net.",
            "The code base that the paper follows built its net of depth 110 so until January 2018.",
            "The published 1.77 M of PreResNet-110 on CIFAR-100 fits no reading of that net; likely a misprint.",
        ),
    )


def count_cells(counts: Mapping[str, int], of_paper: Mapping[str, Published | None]) -> dict[str, Cell]:
    """What was counted of a net, beside what the paper says."""
    return {name: Cell(exact=count, published=of_paper.get(name)) for name, count in counts.items()}


def metrics_of(trained: Arms, probed: Arms, settled: Arms) -> dict[str, dict[str, BySeed]]:
    """Dataset, net and arm -> metric -> seed -> value."""
    values = {"/".join(key): {"error": arm.error} for key, arm in all_arms(trained).items()}
    for key, arm in all_arms(probed).items():
        values.setdefault("/".join(key), {}).update(
            mean_ratio=arm.of("mean_ratio"),
            max_ratio=arm.of("max_ratio"),
            error_adjusted=arm.error_of("accuracy_adjusted"),
            error_readjusted=arm.error_of("accuracy_readjusted"),
            train_mode_accuracy=arm.percent("train_mode_accuracy"),
            test_mode_accuracy=arm.percent("test_mode_accuracy"),
        )
    for key, arm in all_arms(settled).items():
        values.setdefault("/".join(key), {}).update(
            error_settled=arm.error_of("accuracy_settled"), mean_ratio_settled=arm.of("mean_ratio_settled")
        )
    return values


TABLES: Tables = {
    "table-weights": table_weights,
    "table-nets": table_nets,
    "table-adjust": table_adjust,
    "table-last": table_last,
    "table-imagenet": table_imagenet,
    "table-uout": table_uout,
    "table-ratios": table_ratios,
}


@stage
def tables(
    cfg: Cfg,
    job: Job,
    *,
    arms: Inputs,
    probes: Inputs,
    settled: Inputs,
    weight_stats: Inputs,
    counted: Input,
    tables: Outputs,
    metrics: Output,
) -> None:
    """All tables, and ``metrics.json``."""
    trained, probed = read_arms(cfg, arms, "metrics"), read_arms(cfg, probes, "probes")
    in_use = read_arms(cfg, settled, "settled")
    write_tables(TABLES, tables, cfg=cfg, trained=trained, probed=probed, settled=in_use,
                 weights=read_weights(cfg, weight_stats), costs=read_json(counted),
                 shown=face_of(as_one(cfg), all_arms(trained)))  # fmt: skip
    write_metrics(metrics, metrics_of(trained, probed, in_use))
    job.say(f"{len(all_arms(trained))} arms")


if __name__ == "__main__":
    main(tables)
