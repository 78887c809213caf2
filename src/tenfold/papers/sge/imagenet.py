"""Trains a ResNet with one kind of attention on ImageNet, for each seed."""

from __future__ import annotations

from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.sge.nets import build
from tenfold.stages.imagenet import train_imagenet
from tenfold.stages.seeds import Files


@stage
def train(cfg: Cfg, job: Job, *, data: Input, weights: Output, metrics: Output, history: Output, times: Output) -> None:
    """See `tenfold.stages.imagenet.train_imagenet`; ``cfg["net"]`` has the arm's ``attention``."""
    files = Files(weights, metrics, history, times)
    train_imagenet(cfg, job, data, files, facts={"arm": cfg["arm"]}, build_net=build)


if __name__ == "__main__":
    main(train)
