"""Trains the nets of one arm, one for each seed, on images in memory."""

from __future__ import annotations

from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.sknet.nets import build_net
from tenfold.stages.classifiers import train_classifiers
from tenfold.stages.seeds import Files


@stage
def train(cfg: Cfg, job: Job, *, data: Input, weights: Output, metrics: Output, history: Output, times: Output) -> None:
    """An arm as `train_classifiers` trains it; the last epoch is what is reported."""
    train_classifiers(cfg, job, data, Files(weights, metrics, history, times), build_net=build_net)


if __name__ == "__main__":
    main(train)
