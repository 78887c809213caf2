"""Trains a detector on COCO, on one GPU or several, from a classifier of ImageNet; run on made-up archives alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.data.coco_archives import load
from tenfold.errors import UserError
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.sge.detect import detection_loss, gates_of, picture_batches, precision_of
from tenfold.papers.sge.detectors import build_detector
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.distributed import Team, together
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe
from tenfold.weights import below, load_weights


@stage
def detect(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    classifier: Input,
    weights: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """As `tenfold.papers.sge.detect.detect`, by several processes that share each batch; groups are not looked at.

    Args:
        cfg: also ``processes``, and ``sizes``: of a picture's shorter side, and of its longer one at most.
        job: what surrounds the run.
        data: the index of COCO.
        classifier: weights of ``seed0/`` and so on, for the net of each seed to begin with.
        weights: of the detectors.
        metrics: see there.
        history: see there.
        times: see there.

    Raises:
        UserError: the processes do not share a batch evenly.
    """
    batch_size, processes = Recipe.from_cfg(cfg["recipe"]).batch_size, cfg["processes"]
    if batch_size % processes:
        raise UserError(f"processes: {processes} do not share a batch of {batch_size} evenly")
    outcome, facts = together(processes, cfg["compute"], train_share, job, cfg, data, classifier)
    Files(weights, metrics, history, times).write(outcome, {**facts, "processes": processes})


def train_share(team: Team, job: Job, cfg: Cfg, data: Path, classifier: Path) -> tuple[Outcome, dict[str, Any]]:
    """What each process does: it trains on its share of every batch. The first one alone tests.

    Returns:
        The outcome of all seeds, and what the metrics say of the run.
    """
    compute = team.start(cfg["compute"], job)
    pictures, recipe = load(data), Recipe.from_cfg(cfg["recipe"])
    classes, (shorter, longer) = len(pictures.classes), cfg["sizes"]
    views = {"image_mean": cfg["mean"], "image_std": cfg["std"], "min_size": shorter, "max_size": longer}
    begun = load_weights(classifier)
    late = max(1, round(0.9 * recipe.epochs))
    progress = team.progress(job)
    params = 0

    def one_seed(seed: int) -> Outcome:
        nonlocal params
        model = compute.place(build_detector(cfg, classes, views, below(f"seed{seed}", begun)))
        params = sum(parameter.numel() for parameter in model.parameters())
        trained = fit(
            team.wrap(model),
            picture_batches(pictures.train, recipe.batch_size, seed, compute.device, drop_last=True,
                            share=(team.number, team.size)),
            detection_loss,
            recipe,
            compute,
            progress,
            keep_after=[late],
            title=f"seed {seed}",
        )  # fmt: skip
        if team.number:
            return Outcome([{}])
        last = {name: value.clone() for name, value in model.state_dict().items()}
        model.load_state_dict({name.removeprefix("module."): value for name, value in trained.kept[late].items()})
        before = precision_of(model, pictures.test, classes, compute)["ap"]
        model.load_state_dict(last)
        row = precision_of(model, pictures.test, classes, compute)
        row |= {"moved": abs(row["ap"] - before), "epochs": recipe.epochs, **gates_of(model)}
        return Outcome([row], last).add_course(trained)

    outcome = per_seed(progress, cfg["seeds"], one_seed)
    return outcome, {
        "net": cfg["name"],
        "arm": cfg["arm"],
        "data": pictures.name,
        "device": compute.device.type,
        "precision": compute.precision,
        "params": params,
        "fit_images": len(pictures.train),
        "test_images": len(pictures.test),
    }


if __name__ == "__main__":
    main(detect)
