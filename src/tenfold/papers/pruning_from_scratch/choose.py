"""Chooses one of the random-init structures by its accuracy on validation images, never on the test set."""

from __future__ import annotations

import torch

from tenfold.data.images import load
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.nets.build import build
from tenfold.papers.pruning_from_scratch.common import batches, evaluation, fit_and_validation, write_course
from tenfold.papers.pruning_from_scratch.train import rows_by_seed
from tenfold.progress import Progress
from tenfold.training.compute import start
from tenfold.training.loop import fit
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe

SEED = 1000  # of weights and data order, the same for all candidates and of no arm


@stage
def choose(
    cfg: Cfg, job: Job, *, data: Input, candidates: Inputs, structures: Output, history: Output, times: Output
) -> None:
    """Trains each candidate once, without the validation images; the best one on these becomes all seeds' structure."""
    compute = start(cfg["compute"], job)
    images = load(data)
    fitting, validation = fit_and_validation(images.train, cfg["validation"])
    recipe = Recipe.from_cfg(cfg["recipe"])
    rows = {seed: row for path in candidates for seed, row in rows_by_seed(path, cfg["ratio"]).items()}

    progress = Progress(job)
    for candidate in progress.remaining(sorted(rows)):
        torch.manual_seed(SEED)
        net = {**cfg["net"], "classes": len(images.classes), "widths": rows[candidate]["widths"]}
        trained = fit(
            compute.place(build(net)),
            batches(cfg, fitting, recipe.batch_size, SEED, compute.device),
            classification(recipe.label_smoothing),
            recipe,
            compute,
            progress,
            title=f"structure of seed {candidate}",
        )
        result = evaluation(cfg, validation, compute, trained.model)
        row = {"seed": candidate, "validation_accuracy": result.accuracy}
        progress.finish(candidate, {"row": row, "history": trained.history, "times": trained.times})

    results = [progress.results[candidate] for candidate in sorted(rows)]
    best = max(results, key=lambda result: result["row"]["validation_accuracy"])["row"]["seed"]
    job.say(f"the structure of seed {best} is chosen")
    write_json(
        structures,
        {
            "origin": "chosen",
            "chosen": best,
            "validation": [result["row"] for result in results],
            "rows": [{**rows[best], "seed": seed} for seed in cfg["seeds"]],
        },
    )
    write_course(results, history, times)


if __name__ == "__main__":
    main(choose)
