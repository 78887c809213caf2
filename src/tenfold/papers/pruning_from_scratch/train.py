"""Trains an arm from scratch: fresh weights, nothing inherited but the widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.nets.build import build
from tenfold.papers.pruning_from_scratch.common import Pictures, in_memory
from tenfold.papers.pruning_from_scratch.method import scratch_b_epochs
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import start
from tenfold.training.loop import Trained, fit
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe


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
    pictures = in_memory(cfg, data, start(cfg["compute"], job))
    recipe = Recipe.from_cfg(cfg["recipe"])
    if cfg["arm"] == "scratch-b":
        recipe = replace(recipe, epochs=scratch_b_epochs(cfg["ratio"], recipe.epochs))
    outcome = train_arm(cfg, job, pictures, recipe, structure)
    Files(weights, metrics, history, times).write(outcome, facts_of(cfg, pictures))


def train_arm(
    cfg: Cfg, job: Job, pictures: Pictures, recipe: Recipe, structure: Sequence[Path], *, best: bool = False
) -> Outcome:
    """Trains and tests the nets of all seeds.

    Args:
        cfg: ``seeds``, ``net``, ``ratio``.
        job: what surrounds the run.
        pictures: what nets are trained and tested on.
        recipe: with the epochs of the arm.
        structure: the file with each seed's widths; none for a net that is not pruned.
        best: whether to report the best epoch on the test set beside the last one.
    """
    structures = rows_by_seed(structure[0], cfg["ratio"]) if structure else {}
    progress = Progress(job)

    def one_seed(seed: int) -> Outcome:
        net = pictures.net(cfg["net"])
        if structures:
            net["widths"] = structures[seed]["widths"]
        trained = train_net(net, seed, pictures, recipe, progress, title=f"seed {seed}", measure="test_accuracy")
        final, cost = pictures.judged.evaluate(trained.model), pictures.cost(net)
        row = {
            "accuracy": final.accuracy,
            "correct": final.correct,
            "cross_entropy": final.cross_entropy,
            "macs": cost.macs,
            "params": cost.params,
            "epochs": recipe.epochs,
            "images": recipe.epochs * len(pictures.seen),
        }
        if best:
            row["best_accuracy_on_the_test_set"] = max(line.get("test_accuracy", 0.0) for line in trained.history)
        return Outcome([row], trained.model.state_dict()).add_course(trained)

    return per_seed(progress, cfg["seeds"], one_seed)


def train_net(
    net: Cfg,
    seed: int,
    pictures: Pictures,
    recipe: Recipe,
    progress: Progress,
    *,
    title: str,
    measure: str | None = None,
    keep_after: Sequence[int] = (),
) -> Trained:
    """Trains one fresh classifier.

    Args:
        net: with its classes and widths.
        seed: of order and augmentation of the images.
        pictures: what it is trained on, and measured on after the recipe's evaluated epochs.
        recipe: hyper-parameters.
        progress: the job's.
        title: begins the lines of progress.
        measure: what the accuracy on the judged images is called in the history; by default it is not measured.
        keep_after: epochs (from 1) after which to keep a copy of the weights.
    """
    return fit(
        pictures.compute.place(build(net)),
        pictures.seen.batches(recipe.batch_size, seed),
        classification(recipe.label_smoothing),
        recipe,
        pictures.compute,
        progress,
        evaluate=pictures.accuracy(measure) if measure else None,
        keep_after=keep_after,
        title=title,
    )


def facts_of(cfg: Cfg, pictures: Pictures) -> dict[str, Any]:
    """What the metrics say of an arm beside its rows."""
    return {
        "arm": cfg["arm"],
        "ratio": cfg["ratio"],
        "data": pictures.name,
        "device": pictures.compute.device.type,
        "precision": pictures.compute.precision,
        "test_images": len(pictures.judged),
        "standard_macs": pictures.cost(cfg["standard"]).macs,
    }


def rows_by_seed(structure: Path, ratio: float) -> dict[int, dict[str, Any]]:
    """The structure of each seed at one ratio, from a file that ``prune`` wrote."""
    return {row["seed"]: row for row in read_json(structure)["rows"] if row["ratio"] == ratio}


if __name__ == "__main__":
    main(train)
