"""Trains the expanded net as classic pipelines do before they prune, and keeps its weights along the way."""

from __future__ import annotations

import torch

from tenfold.data.images import load
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.nets.build import build
from tenfold.papers.pruning_from_scratch.common import (
    accuracy_on,
    batches,
    by_seed,
    fit_and_validation,
    net_cost,
    write_course,
)
from tenfold.progress import Progress
from tenfold.training.compute import start
from tenfold.training.loop import fit
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe
from tenfold.weights import save_weights


@stage
def pretrain(
    cfg: Cfg, job: Job, *, data: Input, weights: Output, summary: Output, history: Output, times: Output
) -> None:
    """One pre-training for each seed, from the same random weights that gates are learned on without it.

    It sees the images that gates are learned on, so that the validation images stay unseen by every structure.
    """
    compute = start(cfg["compute"], job)
    images = load(data)
    fitting, validation = fit_and_validation(images.train, cfg["validation"])
    net = {**cfg["net"], "classes": len(images.classes)}
    recipe = Recipe.from_cfg(cfg["recipe"])
    macs = net_cost(net).macs

    progress = Progress(job)
    for seed in progress.remaining(cfg["seeds"]):
        torch.manual_seed(seed)
        model = compute.place(build(net))
        trained = fit(
            model,
            batches(cfg, fitting, recipe.batch_size, seed, compute.device),
            classification(recipe.label_smoothing),
            recipe,
            compute,
            progress,
            evaluate=accuracy_on(cfg, validation, compute, "validation_accuracy"),
            keep_after=cfg["checkpoints"],
            title=f"pre-training of seed {seed}",
        )
        row = {
            "seed": seed,
            "validation_accuracy": trained.history[-1]["validation_accuracy"],
            "steps": trained.history[-1]["step"],
            "images": recipe.epochs * len(fitting),
            "macs_per_image": macs,
        }
        kept = {f"pretrained-e{epoch}/{name}": t for epoch, state in trained.kept.items() for name, t in state.items()}
        progress.finish(seed, {"row": row, "history": trained.history, "times": trained.times}, kept)

    results = [progress.results[seed] for seed in cfg["seeds"]]
    save_weights(weights, by_seed(progress.weights))
    write_json(summary, {"rows": [result["row"] for result in results]})
    write_course(results, history, times)


if __name__ == "__main__":
    main(pretrain)
