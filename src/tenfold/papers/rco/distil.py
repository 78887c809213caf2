"""Trains the students of one arm along the anchors that the arm names, and measures them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tenfold.data.splits import read_splits
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.rco.students import (
    HintedStudent,
    Lab,
    Stage,
    channels_of,
    courses,
    measure,
    new_student,
    plan,
    report,
    train_stage,
)
from tenfold.progress import Progress
from tenfold.training.compute import start
from tenfold.training.seeds import write_course
from tenfold.weights import by_seed, save_weights, under


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
    lab = Lab.open(cfg, compute, Progress(job), read_splits(cfg["images"], data), outputs, route)
    loss, steps = plan(cfg["arm"], cfg["value"], cfg["teacher_epochs"], cfg["recipe"]["epochs"])
    for seed in lab.progress.remaining(cfg["seeds"]):
        result, kept = train_student(lab, loss, steps, seed)
        lab.progress.finish(seed, result, kept)

    results = [lab.progress.results[seed] for seed in cfg["seeds"]]
    save_weights(weights, by_seed(lab.progress.weights))
    rows = [result["row"] for result in results]
    write_json(metrics, {**report(lab, arm=cfg["arm"], value=cfg["value"]), "rows": rows})
    write_course(results, history, times)


def train_student(lab: Lab, loss: str, steps: list[Stage], seed: int) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """Stage after stage, always with the weights of the stage before."""
    net = new_student(lab, seed)
    model: nn.Module = net
    if loss == "hint":
        model = lab.compute.place(HintedStudent(net, lab.cfg["hint_layer"], channels_of(lab)))
    result: dict[str, Any] = {"history": [], "times": []}
    kept: dict[str, Tensor] = {}
    epochs_before = 0
    for number, step in enumerate(steps):
        keep_after = range(1, step.epochs + 1) if lab.cfg["keep_way"] else ()
        trained = train_stage(lab, model, loss, step, number, seed, keep_after)
        for name, rows in courses(trained, seed=seed, stage=number + 1).items():
            result[name] += rows
        for epoch, weights in trained.kept.items():
            kept |= under(str(epochs_before + epoch), weights)
        epochs_before += step.epochs
    result["row"] = measure(lab, seed, net, steps)
    return result, kept | under("last", net.state_dict())


if __name__ == "__main__":
    main(distil)
