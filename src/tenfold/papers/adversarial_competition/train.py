"""Trains the nets of the arena, one for each seed: plain ones, and ones that see adversarial examples."""

from __future__ import annotations

from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.stages.classifiers import train_classifiers
from tenfold.stages.seeds import Files


@stage
def train(cfg: Cfg, job: Job, *, data: Input, weights: Output, metrics: Output, history: Output, times: Output) -> None:
    """See `tenfold.stages.classifiers.train_classifiers`."""
    train_classifiers(cfg, job, data, Files(weights, metrics, history, times), facts={"arm": cfg["arm"]})


if __name__ == "__main__":
    main(train)
