"""Trains an arm from scratch: fresh weights, nothing inherited but the widths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tenfold.data.images import load
from tenfold.files import read_json, write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.nets.build import build
from tenfold.papers.pruning_from_scratch.common import accuracy_on, batches, by_seed, evaluation, net_cost, write_course
from tenfold.papers.pruning_from_scratch.method import scratch_b_epochs
from tenfold.progress import Progress
from tenfold.training.compute import start
from tenfold.training.loop import fit
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe
from tenfold.weights import save_weights


@stage
def train(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    structure: Inputs,
    weights: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """One net for each seed, with that seed's widths; the last epoch is what is reported."""
    compute = start(cfg["compute"], job)
    images = load(data)
    structures = rows_by_seed(structure[0], cfg["ratio"]) if structure else {}
    recipe = Recipe.from_cfg(cfg["recipe"])
    if cfg["arm"] == "scratch-b":
        recipe = replace(recipe, epochs=scratch_b_epochs(cfg["ratio"], recipe.epochs))

    progress = Progress(job)
    for seed in progress.remaining(cfg["seeds"]):
        net = {**cfg["net"], "classes": len(images.classes)}
        if structures:
            net["widths"] = structures[seed]["widths"]
        torch.manual_seed(seed)
        model = compute.place(build(net))
        trained = fit(
            model,
            batches(cfg, images.train, recipe.batch_size, seed, compute.device),
            classification(recipe.label_smoothing),
            recipe,
            compute,
            progress,
            evaluate=accuracy_on(cfg, images.test, compute, "test_accuracy"),
            title=f"seed {seed}",
        )
        final = evaluation(cfg, images.test, compute, trained.model)
        cost = net_cost(net)
        row = {
            "seed": seed,
            "accuracy": final.accuracy,
            "correct": final.correct,
            "cross_entropy": final.cross_entropy,
            "macs": cost.macs,
            "params": cost.params,
            "epochs": recipe.epochs,
            "images": recipe.epochs * len(images.train),
        }
        result = {"row": row, "history": trained.history, "times": trained.times}
        progress.finish(seed, result, trained.model.state_dict())

    results = [progress.results[seed] for seed in cfg["seeds"]]
    save_weights(weights, by_seed(progress.weights))
    write_json(
        metrics,
        {
            "arm": cfg["arm"],
            "ratio": cfg["ratio"],
            "data": images.name,
            "device": compute.device.type,
            "precision": compute.precision,
            "test_images": len(images.test),
            "standard_macs": net_cost(cfg["standard"]).macs,
            "rows": [result["row"] for result in results],
        },
    )
    write_course(results, history, times)


def rows_by_seed(structure: Path, ratio: float) -> dict[int, dict[str, Any]]:
    """The structure of each seed at one ratio, from a file that ``prune`` wrote."""
    return {row["seed"]: row for row in read_json(structure)["rows"] if row["ratio"] == ratio}


if __name__ == "__main__":
    main(train)
