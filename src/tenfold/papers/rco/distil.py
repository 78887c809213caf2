"""Trains the students of one arm along the anchors that the arm names, and measures them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn

from tenfold.data.splits import read_splits
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.rco.method import follow_route
from tenfold.papers.rco.route import Route, Stage, Target, plan, read_routes
from tenfold.papers.rco.students import Lab, hinted, measure, train_stage
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import start
from tenfold.weights import under


@stage
def distil(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    outputs: Input,
    route: Inputs,
    weights: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """One student for each seed, from the teacher of that seed; the last epoch of the last stage is reported.

    Weights are written as ``seed0/last/...``, and for arms whose way is drawn as ``seed0/1/...`` after each epoch.
    """
    compute = start(cfg["compute"], job)
    lab = Lab(cfg, compute, Progress(job), read_splits(cfg["images"], data))
    routes = read_routes(cfg, lab.images.classes, compute, outputs, route)
    kind, stages = plan(cfg["arm"], cfg["value"], cfg["teacher_epochs"], cfg["recipe"]["epochs"])
    outcome = per_seed(lab.progress, cfg["seeds"], lambda seed: train_student(lab, routes[seed], kind, stages, seed))
    facts = {"arm": cfg["arm"], "value": cfg["value"], **lab.facts()}
    Files(weights, metrics, history, times).write(outcome, facts)


def train_student(lab: Lab, route: Route, kind: str, stages: Sequence[Stage], seed: int) -> Outcome:
    """Takes a fresh student along its teacher's route, stage after stage."""
    net = lab.new_student(seed)
    outcome, numbers, epochs_before = Outcome(), itertools.count(), 0

    def train(student: nn.Module, target: Target) -> None:
        nonlocal epochs_before
        number, epochs = next(numbers), target.stage.epochs
        keep_after = range(1, epochs + 1) if lab.cfg["keep_way"] else ()
        trained = train_stage(lab, student, kind, target, number, seed, keep_after)
        outcome.add_course(trained, stage=number + 1)
        for epoch, weights in trained.kept.items():
            outcome.weights |= under(str(epochs_before + epoch), weights)
        epochs_before += epochs

    follow_route(hinted(lab, net) if kind == "hint" else net, map(route.target, stages), train)
    outcome.rows.append(measure(lab, route, net, stages))
    outcome.weights |= under("last", net.state_dict())
    return outcome


if __name__ == "__main__":
    main(distil)
