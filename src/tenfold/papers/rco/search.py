"""Chooses anchors greedily while the student is trained on them, once for each relaxation factor."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from tenfold.data.splits import read_splits
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.rco.greedy import greedy_route
from tenfold.papers.rco.students import Lab, Stage, courses, measure, new_student, report, train_stage
from tenfold.progress import Progress
from tenfold.training.compute import start
from tenfold.training.seeds import write_course
from tenfold.weights import by_seed, save_weights, under


@stage
def search(
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
    """For each seed and each relaxation factor one student; hardness is that of held-out training images."""
    compute = start(cfg["compute"], job)
    lab = Lab.open(cfg, compute, Progress(job), read_splits(cfg["images"], data), outputs, route)
    for seed in lab.progress.remaining(cfg["seeds"]):
        walk = Walk(lab, seed)
        rows: list[dict[str, Any]] = []
        kept: dict[str, Tensor] = {}
        for delta in cfg["deltas"]:
            anchors = greedy_route(cfg["candidates"], delta, walk.hardness_after)
            rows.append({"delta": delta, **walk.measured(anchors)})
            kept |= under(f"gs-{delta:g}", walk.student_after(anchors).state_dict())
        lab.progress.finish(seed, {"rows": rows, **walk.course}, kept)

    results = [lab.progress.results[seed] for seed in cfg["seeds"]]
    save_weights(weights, by_seed(lab.progress.weights))
    rows = [row for result in results for row in result["rows"]]
    write_json(metrics, {**report(lab, candidates=cfg["candidates"]), "rows": rows})
    write_course(results, history, times)


class Walk:
    """The students of one seed, by the anchors that they have followed.

    Searches that begin with the same anchors share the student that followed them: with equal seeds it would come
    out the same, bit for bit, if it were trained anew.
    """

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.seed = lab, seed
        self.course: dict[str, list[dict[str, Any]]] = {"history": [], "times": []}
        self._students: dict[tuple[int, ...], nn.Module] = {}
        self._rows: dict[tuple[int, ...], dict[str, Any]] = {}

    def student_after(self, anchors: Sequence[int]) -> nn.Module:
        """The student that followed these anchors."""
        path = tuple(anchors)
        if not path:
            return new_student(self.lab, self.seed)
        if path not in self._students:
            before = self.student_after(path[:-1])
            model = copy.deepcopy(before)
            trained = train_stage(self.lab, model, "kd", self._stages(path)[-1], len(path) - 1, self.seed)
            named = "-".join(map(str, path))
            for name, rows in courses(trained, seed=self.seed, stage=len(path), anchors=named).items():
                self.course[name] += rows
            self._students[path] = model
        return self._students[path]

    def measured(self, anchors: Sequence[int]) -> dict[str, Any]:
        """What is reported of that student."""
        path = tuple(anchors)
        if path not in self._rows:
            self._rows[path] = measure(self.lab, self.seed, self.student_after(path), self._stages(path))
        return self._rows[path]

    def hardness_after(self, anchors: Sequence[int]) -> list[float]:
        """How hard each candidate is for that student."""
        hardness = self.measured(anchors)["hardness"]
        return [hardness[epoch] for epoch in self.lab.cfg["candidates"]]

    def _stages(self, path: Sequence[int]) -> list[Stage]:
        return [Stage((anchor,), self.lab.cfg["recipe"]["epochs"]) for anchor in path]


if __name__ == "__main__":
    main(search)
