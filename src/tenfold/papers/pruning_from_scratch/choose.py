"""Chooses one of the random-init structures by its accuracy on validation images, never on the test set."""

from __future__ import annotations

import torch

from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.pruning_from_scratch.common import in_memory
from tenfold.papers.pruning_from_scratch.train import rows_by_seed, train_net
from tenfold.progress import Progress
from tenfold.stages.seeds import Outcome, per_seed, write_course
from tenfold.training.compute import start
from tenfold.training.recipe import Recipe

SEED = 1000  # of weights and data order, the same for all candidates and of no arm


@stage
def choose(
    cfg: Cfg, job: Job, *, data: Input, candidates: Inputs, structures: Output, history: Output, times: Output
) -> None:
    """Trains each candidate once, without the validation images; the best one on these becomes all seeds' structure."""
    pictures = in_memory(cfg, data, start(cfg["compute"], job), cfg["validation"])
    recipe = Recipe.from_cfg(cfg["recipe"])
    rows = {seed: row for path in candidates for seed, row in rows_by_seed(path, cfg["ratio"]).items()}
    progress = Progress(job)

    def one_candidate(candidate: int) -> Outcome:
        torch.manual_seed(SEED)
        net = pictures.net(cfg["net"]) | {"widths": rows[candidate]["widths"]}
        trained = train_net(net, SEED, pictures, recipe, progress, title=f"structure of seed {candidate}")
        return Outcome([pictures.accuracy("validation_accuracy")(trained.model)]).add_course(trained)

    outcome = per_seed(progress, sorted(rows), one_candidate)
    best = max(outcome.rows, key=lambda row: row["validation_accuracy"])["seed"]
    job.say(f"the structure of seed {best} is chosen")
    write_json(
        structures,
        {
            "origin": "chosen",
            "chosen": best,
            "validation": outcome.rows,
            "rows": [{**rows[best], "seed": seed} for seed in cfg["seeds"]],
        },
    )
    write_course(outcome, history, times)


if __name__ == "__main__":
    main(choose)
