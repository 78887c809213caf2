"""The tables of Pruning from Scratch, ours beside the published numbers (which were not recovered)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.pruning_from_scratch.grid import RANDOM_INIT
from tenfold.papers.pruning_from_scratch.report.results import (
    Arm,
    Arms,
    Search,
    Structures,
    correlations,
    read_arms,
    read_searches,
    read_structures,
)
from tenfold.report.arms import face_of
from tenfold.report.face import Face
from tenfold.report.tables import (
    Cell,
    Column,
    Published,
    Row,
    Table,
    Tables,
    Value,
    untrained,
    write_csv,
    write_metrics,
    write_tables,
)

STRUCTURE = {
    "full": "standard widths",
    "pruned": "gates on random weights (the paper's)",
    "pretrained": "gates on pre-trained weights",
    "uniform": "uniform",
    "random": "random",
    "scratch-b": "gates on random weights, Scratch-B",
    "chosen": "best of the random-init structures (validation)",
}


def percent(ratio: float | None) -> str:
    """A ratio as the tables print it: ``50 %``; a dash for the full net."""
    return "-" if ratio is None else f"{100 * ratio:g} %"


def table_accuracy(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """Arm by arm: accuracy, cost, and how much was saved against what was asked for."""
    rows = []
    for net, settings in cfg["nets"].items():
        for name in settings["arms"]:
            arm = arms[net, name]
            cells = {
                "accuracy": Cell(arm.accuracy, files=arm.files, published=published(cfg, settings["name"], arm)),
                "saved": Cell(arm.saved, files=arm.files),
                "macs": Cell({seed: row["macs"] for seed, row in arm.rows.items()}, files=arm.files),
                "params": Cell({seed: row["params"] for seed, row in arm.rows.items()}, files=arm.files),
                "epochs": Cell(exact=next(iter(arm.rows.values()))["epochs"], files=arm.files),
            }
            rows.append(Row((net, STRUCTURE[arm.kind], percent(arm.ratio)), cells))
    return Table(
        "Test accuracy after training from scratch, at equal MACs",
        shown,
        ("net", "structure", "to save"),
        (
            Column("accuracy", "accuracy [%]", ".2f"),
            Column("saved", "saved MACs [%]", ".2f"),
            Column("macs", "MACs", ",.0f"),
            Column("params", "parameters", ",.0f"),
            Column("epochs", "epochs", "d"),
        ),
        rows,
        (
            "Accuracy of the last epoch. MACs are saved against the net of standard width.",
            "The paper's own numbers are of nets of standard width, trained for 160 epochs on the whole of CIFAR-10."
            if cfg["edition"] != "full"
            else "Schedule of the official code.",
        ),
    )


def published(cfg: Cfg, net: str, arm: Arm) -> Published | None:
    """The published number that an arm stands beside, if the paper's table has such a row."""
    if arm.kind != "pruned":
        return None
    rows = [row for row in cfg["published"]["accuracy"] if row["net"] == net and row["method"] == "Ours"]
    return Published(rows[0]["pruned"], rows[0]["source"]) if rows else None


def table_comparison(cfg: Cfg, arms: Arms, shown: Face) -> Table:
    """The paper's layout: ratio, full net, pruned net, difference; first its own rows, then ours."""
    rows = []
    for row in cfg["published"]["accuracy"]:
        cells = {name: Cell(published=Published(row[name], row["source"])) for name in ("full", "pruned", "difference")}
        rows.append(Row((row["net"], row["method"], f"{row['ratio']} %"), cells))
    for (net, _), arm in arms.items():
        if arm.ratio is None or (net, "full") not in arms:
            continue
        full = arms[net, "full"]
        files = [*full.files, *arm.files]
        difference = {seed: value - full.accuracy[seed] for seed, value in arm.accuracy.items()}
        cells = {
            "full": Cell(full.accuracy, files=full.files),
            "pruned": Cell(arm.accuracy, files=arm.files),
            "difference": Cell(difference, files=files),
        }
        rows.append(Row((net, STRUCTURE[arm.kind], percent(arm.ratio)), cells))
    return Table(
        "Full and pruned nets, in the layout of the paper's CIFAR-10 table",
        shown,
        ("net", "method", "ratio"),
        (
            Column("full", "full [%]", ".2f"),
            Column("pruned", "pruned [%]", ".2f"),
            Column("difference", "difference", "+.2f"),
        ),
        rows,
        ("Ratio: share of MACs saved. Differences are paired by seed.",),
    )


def table_budget(cfg: Cfg, structures: Structures, shown: Face) -> Table:
    """How near the bisection comes to each budget, beside the nearest that any threshold reaches."""
    rows = []
    for (net, name), by_ratio in structures.rows.items():
        files = structures.files[net, name]
        for ratio, by_seed in sorted(by_ratio.items()):
            off = {seed: abs(row["achieved"] - ratio) / ratio for seed, row in by_seed.items()}
            # A uniform or random structure is the nearest of its kind already.
            reachable = {seed: row.get("nearest_achieved", row["achieved"]) for seed, row in by_seed.items()}
            nearest = {seed: abs(achieved - ratio) / ratio for seed, achieved in reachable.items()}
            cells = {
                "deviation": Cell(off, files=files),
                "nearest": Cell(nearest, files=files),
                "met": Cell({seed: 100.0 * (value <= cfg["tolerance"]) for seed, value in off.items()}, files=files),
                "steps": Cell({seed: row["steps"] for seed, row in by_seed.items()}, files=files),
                "floored": Cell({seed: row["floored"] for seed, row in by_seed.items()}, files=files),
            }
            rows.append(Row((net, name, f"{ratio:g}"), cells))
    return Table(
        "Deviation from the MAC budget, |achieved - p| / p",
        shown,
        ("net", "origin", "p"),
        (
            Column("deviation", "found", ".5f"),
            Column("nearest", "nearest reachable", ".5f"),
            Column("met", f"within {cfg['tolerance']:g} [% of seeds]", ".0f"),
            Column("steps", "structures counted", ".1f"),
            Column("floored", "layers kept at one channel", ".1f"),
        ),
        rows,
        (
            "Found: after at most 10 bisection steps. Uniform and random structures are the nearest of their kind.",
            "A search that ends outside the tolerance is at most one step of its last bisection width away from the",
            "nearest reachable one: a thousandth of all channels, rounded up.",
        ),
    )


def table_correlation(cfg: Cfg, structures: Structures, shown: Face) -> Table:
    """How alike structures are, within and across their origins."""
    rows = []
    for net in cfg["nets"]:
        origins = [RANDOM_INIT, *structures.checkpoints(net)]
        files = [file for name in origins for file in structures.files[net, name]]
        for ratio in cfg["budgets"]:
            for group, values in correlations(structures, net, ratio).items():
                several = group != "one pre-training" or len(origins) > 2
                nothing = {"correlation": Cell(exact="undefined", files=files)} if several else {}
                cells = {"correlation": Cell(dict(enumerate(values)), files=files)} if values else nothing
                rows.append(Row((net, f"{ratio:g}", group), cells))
    return Table(
        "Pearson correlation of channel counts between pruned structures",
        shown,
        ("net", "p", "between"),
        (Column("correlation", "correlation", ".3f"),),
        rows,
        (
            "n counts independent parts: disjoint pairs of random inits, or pre-trainings (means over checkpoints).",
            "Undefined: all layers are equally wide.",
            "Channel counts follow the widths of the expanded net, which all structures share.",
        ),
    )


def table_search_cost(searches: dict[tuple[str, str], Search], shown: Face) -> Table:
    """What each way to a structure costs, in steps, images and MACs; seconds stand in the file of times."""
    rows = []
    for (net, name), search in searches.items():
        cells = {
            column: Cell({seed: row[column] for seed, row in search.rows.items()}, files=search.files)
            for column in ("steps", "images", "macs_per_image")
        }
        cells["work"] = Cell(search.work(), files=search.files)
        rows.append(Row((net, "pre-training" if name == "pretrain" else f"gates on {name}"), cells))
    return Table(
        "Cost of finding a structure",
        shown,
        ("net", "what is trained"),
        (
            Column("steps", "steps", ",.0f"),
            Column("images", "images", ",.0f"),
            Column("macs_per_image", "MACs per image", ",.0f"),
            Column("work", "images x MACs", ".3e"),
        ),
        rows,
        ("MACs of one forward pass. Structures from pre-trained weights cost the pre-training and the gates.",),
    )


def write_times(path: Path, courses: list[Path]) -> None:
    """Seconds and rates of every search, as measured on the machine that ran it."""
    rows: list[list[Value]] = []
    for course in courses:
        seconds = sum(float(line.split(",")[2]) for line in course.read_text().splitlines()[1:])
        rows.append([course.as_posix(), round(seconds, 3)])
    write_csv(path, ("search", "seconds"), rows)


def table_cost(cfg: Cfg, costs: list[dict[str, Any]]) -> Table:
    """Parameters, MACs and gates of the nets that the paper prunes."""
    return Table(
        "Parameters, MACs and gates",
        untrained(cfg["edition"]),
        ("net", "width"),
        (Column("params", "parameters", ",d"), Column("macs", "MACs", ",d"), Column("gates", "gates", ",d")),
        [
            Row((row["title"], row["width"]), {name: Cell(exact=row[name]) for name in ("params", "macs", "gates")})
            for row in costs
        ],
        (
            "Counted as the official code does: a multiply-add once, of convolutions and linear layers;",
            "and the input elements of average-pool modules.",
        ),
    )


TABLES: Tables = {
    "table-accuracy": table_accuracy,
    "table-comparison": table_comparison,
    "table-budget": table_budget,
    "table-correlation": table_correlation,
    "table-search-cost": table_search_cost,
    "table-cost": table_cost,
}


@stage
def tables(
    cfg: Cfg,
    job: Job,
    *,
    arms: Inputs,
    structures: Inputs,
    searches: Inputs,
    search_times: Inputs,
    counted: Input,
    tables: Outputs,
    times: Output,
    metrics: Output,
) -> None:
    """All tables, and ``metrics.json``."""
    found = read_arms(cfg, arms)
    write_tables(TABLES, tables, cfg=cfg, arms=found, structures=read_structures(cfg, structures),
                 searches=read_searches(cfg, searches), costs=read_json(counted),
                 shown=face_of(cfg, found))  # fmt: skip
    write_times(times, search_times)
    write_metrics(metrics, {
        f"{net}/{name}": {"accuracy": arm.accuracy, "saved": arm.saved} for (net, name), arm in found.items()
    })  # fmt: skip
    job.say(f"{len(found)} arms")


if __name__ == "__main__":
    main(tables)
