"""The tables of SKNet, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tenfold.launcher import Cfg, Input, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.sknet.report.results import (
    MINI,
    Arm,
    Arms,
    Attention,
    Counts,
    main_net,
    read_arms,
    read_attention,
    read_counts,
)
from tenfold.report.arms import face_of, files_of, minus
from tenfold.report.face import COUNTED, Data, Face
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

PARAMS = Column("params", "parameters [M]", ".3f", COUNTED)
GFLOPS = Column("gflops", "multiply-adds [G]", ".3f", COUNTED)
ERROR = Column("imagenet_error", "top-1 error [%]", ".2f", IMAGENET)

OF_COUNTS = (
    "Counted: BatchNorm's scale and shift are parameters; multiply-adds of convolutions and linear layers alone. The "
    "paper's multiply-adds also hold BatchNorm, ReLU and pooling, so they are up to 0.03 G larger; its parameters are "
    "up to 0.25 M larger than those of the nets that it describes, and why it does not say."
)


# Cells ------------------------------------------------------------------------------------------------------------


def error_cell(arms: Arms, net: str, arm: str, published: Published | None = None) -> Cell:
    """The test error of an arm, if it was trained."""
    found = arms.get((net, arm))
    return Cell(published=published) if found is None else Cell(found.error, files=found.files, published=published)


def cost_cells(counts: Counts, name: str | None, row: Mapping[str, Any], source: str) -> dict[str, Cell]:
    """Parameters and multiply-adds of a net of the paper, in millions and in thousand millions."""
    known = counts.get(name or "")
    found = {"params": None, "gflops": None} if known is None else {
        "params": known["params"] / 1e6, "gflops": known["macs"] / 1e9
    }  # fmt: skip
    return {
        key: Cell(exact="not counted" if value is None else value, published=Published(row[key], source))
        for key, value in found.items()
        if key in row
    }


def small_columns(cfg: Cfg) -> tuple[Column, ...]:
    """What tables of ImageNet nets say of the small net with the same branches; nothing at full, which has none."""
    if main_net(cfg) != MINI:
        return ()
    return (
        Column("error", "small net: top-1 error [%]", ".2f"),
        Column("against_k3", "its difference to K3", "+.2f"),
        Column("small_params", "its parameters", ",d", COUNTED),
        Column("small_macs", "its multiply-adds", ",d", COUNTED),
    )


def small_cells(cfg: Cfg, arms: Arms, counts: Counts, arm: str) -> dict[str, Cell]:
    """The cells of ``small_columns``."""
    if main_net(cfg) != MINI:
        return {}
    found, base = arms.get((MINI, arm)), arms[MINI, "k3"]
    if found is None:
        return {}
    against = Cell(exact="-") if found is base else Cell(minus(found.error, base.error), files=files_of([found, base]))
    return {
        "error": Cell(found.error, files=found.files),
        "against_k3": against,
        "small_params": Cell(exact=counts[found.title]["params"]),
        "small_macs": Cell(exact=counts[found.title]["macs"]),
    }


def beside_imagenet(
    cfg: Cfg, arms: Arms, counts: Counts, shown: Face, part: str, title: str, key: str, notes: Iterable[str] = ()
) -> Table:
    """A table of ImageNet nets, each row with the small net that has the same branches.

    Args:
        cfg: the job's configuration.
        arms: what was trained.
        counts: parameters and multiply-adds.
        shown: the table's face.
        part: which of the published tables.
        title: its title.
        key: header of the rows.
        notes: sentences below it.
    """
    published = cfg["published"][part]
    rows = []
    for row in published["rows"]:
        net, arm = row["net"].split("/")
        cells = cost_cells(counts, row["net"], row, published["source"])
        cells["imagenet_error"] = error_cell(arms, net, arm, Published(row["error"], published["source"]))
        rows.append(Row((row["title"],), cells | small_cells(cfg, arms, counts, arm)))
    return Table(
        title, shown, (key,), (PARAMS, GFLOPS, ERROR, *small_columns(cfg)), rows, (*notes, *small_note(cfg), OF_COUNTS)
    )


def small_note(cfg: Cfg) -> tuple[str, ...]:
    """What the small net is, and that it is no rival of the paper's numbers."""
    if main_net(cfg) != MINI:
        return ()
    return (
        "The small net has the same branches in a few narrow units, on images of 32 x 32 pixels.",
        f"Its errors are of {cfg['data']['name']}, the published ones of ImageNet: only their order can be compared.",
    )


# Tables -----------------------------------------------------------------------------------------------------------


def table_arms(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """Every arm: errors, cross-entropy, cost, epochs."""
    rows = []
    for arm in arms.values():
        cells = {
            "error": Cell(arm.error, files=arm.files),
            "cross_entropy": Cell(arm.of("cross_entropy"), files=arm.files),
            "train_error": Cell(train_error(arm), files=arm.files),
            "params": Cell(exact=arm.facts["params"], files=arm.files),
            "macs": Cell(exact=arm.facts["macs"], files=arm.files),
            "epochs": Cell(exact=next(iter(arm.rows.values()))["epochs"], files=arm.files),
        }
        rows.append(Row((arm.net, arm.name), {key: cell for key, cell in cells.items() if cell.was_run}))
    return Table(
        "Every arm that was trained",
        shown,
        ("net", "arm"),
        (
            Column("error", "top-1 error [%]", ".2f"),
            Column("cross_entropy", "cross-entropy [nats]", ".4f"),
            Column("train_error", "training images: top-1 error [%]", ".2f"),
            Column("params", "parameters", ",d"),
            Column("macs", "multiply-adds", ",d"),
            Column("epochs", "epochs", "d"),
        ),
        rows,
        (
            "K3, K5, K7: 3x3 kernels of dilation 1, 2, 3; sum: branches are added; sk: selected by attention.",
            "wider, deeper, cardinality: K3 alone, in a net that is widened, deepened, or has more groups.",
            "Equal seeds, images, order and epochs for all arms; last epoch; images that are not augmented.",
        ),
    )


def train_error(arm: Arm) -> dict[int, float]:
    """Error on training images in percent, by seed; empty where it was not measured."""
    return {seed: 100 * (1 - row["train_accuracy"]) for seed, row in arm.rows.items() if "train_accuracy" in row}


def table_kernels(cfg: Cfg, arms: Arms, counts: Counts, shown: Face) -> Table:
    """The paper's Table 7."""
    notes = ("K3, K5, K7: 3x3 kernels of dilation 1, 2, 3; all branches have the same number of groups.",)
    title = "Combinations of kernels, summed or selected (Table 7)"
    return beside_imagenet(cfg, arms, counts, shown, "kernels", title, "kernels", notes)


def table_equal_cost(cfg: Cfg, arms: Arms, counts: Counts, shown: Face) -> Table:
    """The paper's Table 3."""
    notes = (
        "The width of the paper's wider net is unknown; 32 groups allow 128 (25.03 M) or 160 (30.51 M) at first.",
        "The deeper net has 3, 4, 8 and 3 units.",
    )
    title = "Selective kernels against nets of no lower cost (Table 3)"
    return beside_imagenet(cfg, arms, counts, shown, "equal_cost", title, "net", notes)


def table_second_branch(cfg: Cfg, arms: Arms, counts: Counts, shown: Face) -> Table:
    """The paper's Table 6."""
    notes = ("The first branch is a 3x3 kernel of dilation 1 and 32 groups.",)
    title = "The second branch under attention (Table 6)"
    return beside_imagenet(cfg, arms, counts, shown, "second_branch", title, "second branch", notes)


def table_imagenet(cfg: Cfg, arms: Arms, counts: Counts, of_paper: Face) -> Table:
    """The paper's Table 2."""
    published = cfg["published"]["imagenet"]
    rows = []
    for row in published["rows"]:
        net, arm = (row["net"] or "/").split("/")
        cells = cost_cells(counts, row["net"], row, published["source"])
        cells["imagenet_error"] = error_cell(arms, net, arm, Published(row["error"], published["source"]))
        cells["error320"] = Cell(published=Published(row["error320"], published["source"]))
        if (found := arms.get((net, arm))) is not None:
            larger = {seed: 100 - value for seed, value in found.percent("accuracy_320").items()}
            cells["error320"] = Cell(larger, None, found.files, cells["error320"].published)
        rows.append(Row((row["title"],), cells))
    return Table(
        "ImageNet (Table 2)",
        of_paper,
        ("net",),
        (
            PARAMS,
            GFLOPS,
            Column("imagenet_error", "top-1 error at 224 [%]", ".2f", IMAGENET),
            Column("error320", "top-1 error at 320 [%]", ".2f", IMAGENET),
        ),
        rows,
        (
            OF_COUNTS,
            "Not counted: nets that the paper quotes from others and that are not built here.",
            "At 320 pixels: cropped from a shorter side of 352 [choice]; the paper does not print its own.",
        ),
    )


def table_light(cfg: Cfg, arms: Arms, counts: Counts, of_paper: Face) -> Table:
    """The paper's Table 4."""
    published = cfg["published"]["light"]
    rows = []
    for row in published["rows"]:
        net, arm = row["net"].split("/")
        known = counts[row["net"]]
        cells = {
            "params": Cell(exact=known["params"] / 1e6, published=Published(row["params"], published["source"])),
            "mflops": Cell(exact=known["macs"] / 1e6, published=Published(row["mflops"], published["source"])),
            "imagenet_error": error_cell(arms, net, arm, Published(row["error"], published["source"])),
        }
        rows.append(Row((row["title"],), cells))
    return Table(
        "Light nets on ImageNet (Table 4)",
        of_paper,
        ("net",),
        (PARAMS, Column("mflops", "multiply-adds [M]", ".2f", COUNTED), ERROR),
        rows,
        (
            "Counted: torchvision's ShuffleNetV2. SE: at each unit's output, reduction 16.",
            "SK: depthwise branches of dilation 1 and 2 for each 3x3 one. r and L are not printed; [choice] 16 and 32.",
            "The paper's nets are not the public ones: its plain ones have the size of the public ones with SE.",
        ),
    )


def table_cifar(cfg: Cfg, arms: Arms, counts: Counts, of_paper: Face) -> Table:
    """The paper's Table 5."""
    published, names = cfg["published"]["cifar"], ("cifar-10", "cifar-100")
    rows = []
    for row in published["rows"]:
        known = counts[f"cifar-10/{row['net']}"]
        cells = {
            "params": Cell(exact=known["params"] / 1e6, published=Published(row["params"], published["source"])),
            "gflops": Cell(exact=known["macs"] / 1e9),
        }
        for name in names:
            cells[name] = error_cell(arms, name, row["net"], Published(row[name], published["source"]))
        rows.append(Row((row["title"],), cells))
    return Table(
        "CIFAR (Table 5)",
        of_paper,
        ("net",),
        (PARAMS, GFLOPS, *(Column(name, f"{name.upper()}: top-1 error [%]", ".2f", Data(name)) for name in names)),
        rows,
        (
            "Counted for 10 classes.",
            "SENet-29 has the size of 8x64d with SE; with the 16x32d that the text names it would have 25.66 M.",
            "SKNet-29 is described in a supplement that was not available.",
            "By its size it has a 1x1 and a 3x3 kernel of 16 groups each, and d = C / 32 without a floor.",
        ),
    )


def table_attention(cfg: Cfg, read: Attention, shown: Face) -> Table:
    """D of every SK unit at each scale, and how it rises with the scale (Figure 3, right)."""
    published = cfg["published"]["attention"]
    scales = cfg["attention"]["scales"]
    rows = []
    for unit in read.units:
        cells = {f"at_{scale:g}": Cell(read.difference(unit, scale), files=read.files) for scale in scales}
        if main_net(cfg) != MINI and unit in published["units"]:
            for scale, value in zip(published["scales"], published["units"][unit], strict=True):
                name = f"at_{scale:g}"
                cells[name] = Cell(cells[name].seeds, None, read.files, Published(value, published["source"]))
        cells["slope"] = Cell(read.slope(unit), files=read.files)
        cells["spread"] = Cell(read.spread(unit, scales[0]), files=read.files)
        cells["classes"] = Cell(read.rising_classes(unit), files=read.files)
        rows.append(Row((unit,), cells))
    quoted = "; ".join(
        f"{unit} {', '.join(f'{v:+.3f}' for v in values)}" for unit, values in published["units"].items()
    )
    return Table(
        f"Attention against the scale of objects, {cfg['attention']['arm']} (Figures 3 and 4)",
        shown,
        ("SK unit",),
        (
            *(Column(f"at_{scale:g}", f"D at {scale:g}x", "+.4f") for scale in scales),
            Column("slope", "slope of D over the scale", "+.4f", interval=True),
            Column("spread", f"sd of D over images at {scales[0]:g}x", ".4f"),
            Column("classes", f"classes that rise to {scales[1]:g}x [%]", ".1f"),
        ),
        rows,
        (
            "D: attention for the larger kernel minus that for the smaller, mean over channels and test images.",
            "SK_3_2 is the second unit of conv3_x.",
            f"Read off the paper's Figure 3 (SKNet-50, ImageNet) at 1.0x, 1.5x, 2.0x: {quoted}.",
        ),
    )


def table_cost(counts: Counts, shown: Face) -> Table:
    """Parameters and multiply-adds of every net, to the digit."""
    rows = [
        Row(tuple(name.split("/")), {"params": Cell(exact=c["params"]), "macs": Cell(exact=c["macs"])})
        for name, c in counts.items()
    ]
    return Table(
        "Parameters and multiply-adds of every net",
        untrained(shown.edition),
        ("net", "arm"),
        (Column("params", "parameters", ",d"), Column("macs", "multiply-adds", ",d")),
        rows,
        (
            "For one image of 224 x 224 (ImageNet, ShuffleNetV2) or 32 x 32 pixels.",
            "imagenet-50/k3-k5-sk is SKNet-50, as large as the released one.",
            "The released SKNet-101 has 49,280 parameters less: d is 16, not 32, in the four units of its conv3_x.",
        ),
    )


TABLES: Tables = {
    "table-arms": table_arms,
    "table-kernels": table_kernels,
    "table-equal-cost": table_equal_cost,
    "table-second-branch": table_second_branch,
    "table-imagenet": table_imagenet,
    "table-light": table_light,
    "table-cifar": table_cifar,
    "table-attention": table_attention,
    "table-cost": table_cost,
}


@stage
def tables(
    cfg: Cfg, job: Job, *, arms: Inputs, attention: Inputs, counts: Input, tables: Outputs, metrics: Output
) -> None:
    """All tables, and ``metrics.json``."""
    found = read_arms(cfg, arms)
    shown = face_of(cfg, found)
    of_paper = untrained(shown.edition) if main_net(cfg) == MINI else shown
    write_tables(TABLES, tables, cfg=cfg, arms=found, read=read_attention(attention), counts=read_counts(counts),
                 shown=shown, of_paper=of_paper)  # fmt: skip
    write_metrics(metrics, {
        arm.title: {"error": arm.error, "cross_entropy": arm.of("cross_entropy")} for arm in found.values()
    })  # fmt: skip
    job.say(f"{len(found)} arms")


if __name__ == "__main__":
    main(tables)
