"""Trains what an attack or a defence learns before it meets others, for each seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from tenfold.data.splits import read_splits
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.adversarial_competition.contest import load_nets
from tenfold.papers.adversarial_competition.harden import default_generator, pixel_batches
from tenfold.progress import Progress
from tenfold.stages.called import called
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe


@stage
def learn(
    cfg: Cfg, job: Job, *, data: Input, sources: Inputs, weights: Output, metrics: Output, history: Output,
    times: Output,
) -> None:  # fmt: skip
    """Trains on the training images, attacked as the learner says; no test image is seen.

    Args:
        cfg: ``images``, ``seeds``, ``recipe``, ``nets`` (see `load_nets`), and ``learned``: the function to ``call``
            (see `tenfold.papers.adversarial_competition.learning`) and its settings.
        job: what surrounds the run.
        data: the prepared dataset.
        sources: the weights of the nets.
        weights: ``seed0/<weight>``.
        metrics: for each seed the last epoch's loss.
        history: a row for each seed and epoch.
        times: seconds and rates.
    """
    compute = replace(start(cfg["compute"], job), captures=False)  # what attacks a batch is drawn for each step
    images, learned = read_splits(cfg["images"], data), cfg["learned"]
    recipe, progress, chance = Recipe.from_cfg(cfg["recipe"]), Progress(job), default_generator(compute.device)

    def one_seed(seed: int) -> Outcome:
        nets = load_nets(cfg, sources, seed, images.classes, compute)
        learning = called(learned["call"])(nets, **learned["settings"])

        def loss(model: nn.Module, batch: Any) -> Tensor:
            found: Tensor = learning.loss(model, *batch, chance)
            return found

        batches = pixel_batches(cfg, images, recipe.batch_size, seed, compute)
        model = compute.place(learning.model)
        trained = fit(model, batches, loss, recipe, compute, progress, title=f"seed {seed}")
        row = {"loss": trained.history[-1]["loss"], "epochs": recipe.epochs}
        return Outcome([row], trained.model.state_dict()).add_course(trained)

    outcome = per_seed(progress, cfg["seeds"], one_seed)
    facts = {"data": images.name, "device": compute.device.type, "precision": compute.precision}
    Files(weights, metrics, history, times).write(outcome, facts)


if __name__ == "__main__":
    main(learn)
