"""Trains students in stages that they share: routes found by greedy search, and distillation with as many restarts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import nn

from tenfold.data.splits import read_splits
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.rco.greedy import greedy_route
from tenfold.papers.rco.route import Route, Stage, read_routes
from tenfold.papers.rco.students import Lab, measure, train_stage
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import start
from tenfold.weights import under


@stage
def search(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    candidates: Input,
    route: Inputs,
    weights: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """For each seed one student for each relaxation factor (``deltas``) and each number of restarts (``restarts``).

    Hardness is that of held-out training images. Distillation with restarts has the last candidate as the anchor of
    each stage, and differs from a route in that alone. A greedy search has it beside it as its ``control``, with as
    many stages as it took itself, which is known only when it ends.
    """
    compute = start(cfg["compute"], job)
    lab = Lab(cfg, compute, Progress(job), read_splits(cfg["images"], data))
    routes = read_routes(cfg, lab.images.classes, compute, candidates, route)

    final = cfg["candidates"][-1]

    def one_seed(seed: int) -> Outcome:
        walk = Walk(lab, routes[seed], seed)
        for delta in cfg["deltas"]:
            anchors = greedy_route(cfg["candidates"], delta, walk.hardness_after)
            control = walk.measured([final] * len(anchors))
            walk.outcome.rows.append({"delta": delta, **walk.measured(anchors), "control": control})
            walk.outcome.weights |= under(f"gs-{delta:g}", walk.student_after(anchors).state_dict())
        for stages in cfg["restarts"]:
            anchors = [final] * stages
            walk.outcome.rows.append({"restarts": stages, **walk.measured(anchors)})
            walk.outcome.weights |= under(f"kd-restarts-{stages}", walk.student_after(anchors).state_dict())
        return walk.outcome

    outcome = per_seed(lab.progress, cfg["seeds"], one_seed)
    Files(weights, metrics, history, times).write(outcome, {"candidates": cfg["candidates"], **lab.facts()})


class Walk:
    """The students of one seed, by the anchors that they have followed.

    Those that begin with the same anchors share the student that followed them: with equal seeds it would come out the
    same, bit for bit, if it were trained anew.
    """

    def __init__(self, lab: Lab, route: Route, seed: int) -> None:
        self.lab, self.route, self.seed = lab, route, seed
        self.outcome = Outcome()
        self._students: dict[tuple[int, ...], nn.Module] = {}
        self._rows: dict[tuple[int, ...], dict[str, Any]] = {}

    def student_after(self, anchors: Sequence[int]) -> nn.Module:
        """The student that followed these anchors."""
        path = tuple(anchors)
        if not path:
            return self.lab.new_student(self.seed)
        if path not in self._students:
            before = self.student_after(path[:-1])
            model = copy.deepcopy(before)
            target = self.route.target(self._stages(path)[-1])
            trained = train_stage(self.lab, model, "kd", target, len(path) - 1, self.seed)
            self.outcome.add_course(trained, stage=len(path), anchors="-".join(map(str, path)))
            self._students[path] = model
        return self._students[path]

    def measured(self, anchors: Sequence[int]) -> dict[str, Any]:
        """What is reported of that student."""
        path = tuple(anchors)
        if path not in self._rows:
            self._rows[path] = measure(self.lab, self.route, self.student_after(path), self._stages(path))
        return self._rows[path]

    def hardness_after(self, anchors: Sequence[int]) -> list[float]:
        """How hard each candidate is for that student."""
        hardness = self.measured(anchors)["hardness"]
        return [hardness[epoch] for epoch in self.lab.cfg["candidates"]]

    def _stages(self, path: Sequence[int]) -> list[Stage]:
        return [Stage((anchor,), self.lab.cfg["recipe"]["epochs"]) for anchor in path]


if __name__ == "__main__":
    main(search)
