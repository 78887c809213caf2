"""Trains the nets of one arm: one place and rate of dropout, in one net, on one dataset."""

from __future__ import annotations

from functools import partial

from torch import nn

from tenfold.data.splits import Splits
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.measure.accuracy import in_eval_mode
from tenfold.measure.predictions import accuracy
from tenfold.papers.variance_shift.common import logits_of_views, noisy
from tenfold.stages.classifiers import train_classifiers
from tenfold.stages.seeds import Files
from tenfold.training.compute import Compute
from tenfold.training.loop import Evaluate


@stage
def train(cfg: Cfg, job: Job, *, data: Input, weights: Output, metrics: Output, history: Output, times: Output) -> None:
    """One net for each seed.

    Args:
        cfg: what `train_classifiers` wants, ``placement`` and ``rate`` of the noise, the ``arm``'s name, and how many
            training images are ``followed`` in test mode after each epoch (0: none, null: all).
        job: what surrounds the run.
        data: the prepared dataset.
        weights: ``seed0/<weight>``.
        metrics: a row for each seed.
        history: a row for each seed and epoch. ``accuracy`` is that of the epoch's batches, in train mode, as the
            weights change; ``eval_accuracy`` that on training images in test mode after the epoch.
        times: seconds and rates.
    """
    train_classifiers(
        cfg,
        job,
        data,
        Files(weights, metrics, history, times),
        facts={"arm": cfg["arm"]},
        observer=partial(in_test_mode, cfg) if cfg["followed"] != 0 else None,
        build_net=partial(noisy, cfg),
    )


def in_test_mode(cfg: Cfg, images: Splits, compute: Compute) -> Evaluate:
    """Measures accuracy in test mode on the first training images, augmented as in training (Fig. 5)."""
    seen = images.fit[: cfg["followed"]]

    def evaluate(model: nn.Module) -> dict[str, float]:
        with in_eval_mode(model):
            said = logits_of_views(model, cfg, seen, cfg["recipe"]["batch_size"], 0, compute)
        return {"eval_accuracy": accuracy(*said)}

    return evaluate


if __name__ == "__main__":
    main(train)
