"""Turns gates into channel counts at each MAC budget, and draws the structures that these are compared with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.pruning_from_scratch.common import gates_of, net_cost
from tenfold.papers.pruning_from_scratch.method import (
    Macs,
    Structure,
    nearest_reachable,
    random_widths,
    threshold_search,
    uniform_widths,
    zero_gates_kept,
)
from tenfold.weights import load_weights


@stage
def prune(cfg: Cfg, job: Job, *, gates: Input, structures: Output) -> None:
    """Bisects the threshold for each seed and ratio; beside it the nearest budget that any threshold reaches."""
    sizes, macs, standard = _search_space(cfg)
    learned, tolerance = load_weights(gates), cfg["search"]["tolerance"]
    rows = []
    for seed in cfg["seeds"]:
        values = learned[f"seed{seed}/gates"]
        for ratio in cfg["ratios"]:
            found = threshold_search(values, sizes, macs, standard, ratio, tolerance, cfg["search"]["steps"])
            nearest = nearest_reachable(values, sizes, macs, standard, ratio, tolerance)
            beside = {"nearest_achieved": nearest.achieved, "zero_gates_kept": zero_gates_kept(values, found.keep)}
            rows.append(_row(seed, ratio, found, job) | beside)
    write_json(structures, {"origin": cfg["source"], "standard_macs": standard, "rows": rows})


@stage
def baseline(cfg: Cfg, job: Job, *, structures: Output) -> None:
    """Uniform widths, or a random structure drawn anew for each seed, at the same budgets."""
    sizes, macs, standard = _search_space(cfg)
    rows = []
    for seed in cfg["seeds"]:
        for ratio in cfg["ratios"]:
            if cfg["kind"] == "uniform":
                found = uniform_widths(sizes, macs, standard, ratio)
            else:
                found = random_widths(sizes, macs, standard, ratio, torch.Generator().manual_seed(seed))
            rows.append(_row(seed, ratio, found, job))
    write_json(structures, {"origin": cfg["kind"], "standard_macs": standard, "rows": rows})


def _search_space(cfg: Cfg) -> tuple[list[int], Macs, int]:
    """Channels of the expanded net's layers, its MACs as a function of widths, and the standard net's MACs.

    They are counted for an image of ``size``, where that is not CIFAR's.
    """
    pixels = cfg.get("size", 32)

    def macs(widths: list[int]) -> int:
        return net_cost({**cfg["net"], "widths": widths}, pixels).macs

    return gates_of(cfg["net"]), macs, net_cost(cfg["standard"], pixels).macs


def _row(seed: int, ratio: float, structure: Structure, job: Job) -> dict[str, Any]:
    job.say(
        f"seed {seed}: saves {structure.achieved:.4f} of the MACs (asked for {ratio}) with widths {structure.widths}"
    )
    return {"seed": seed, "ratio": ratio, **asdict(structure)}


if __name__ == "__main__":
    main(prune, baseline)
