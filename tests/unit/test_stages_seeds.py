"""What stages that train have in common: which seeds are trained, in which order they are written, and where."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from tenfold.files import read_json
from tenfold.launcher import Job
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed

trained: list[int] = []


@pytest.fixture(autouse=True)
def nothing_trained() -> None:
    trained.clear()


def one_seed(seed: int) -> Outcome:
    """Two fits, and a weight that is drawn from torch's default generator."""
    trained.append(seed)
    outcome = Outcome([{"accuracy": seed / 10}], {"w": torch.rand(3)})
    for stage in (1, 2):
        fit = SimpleNamespace(history=[{"epoch": 1, "loss": seed}], times=[{"epoch": 1, "seconds": 0.5}])
        outcome.add_course(fit, stage=stage)
    return outcome


def test_all_seeds_come_out_as_one_in_their_order(tmp_path: Path) -> None:
    outcome = per_seed(Progress(Job(resume=tmp_path / "r")), [3, 1], one_seed)
    assert trained == [3, 1]
    assert outcome.rows == [{"seed": 3, "accuracy": 0.3}, {"seed": 1, "accuracy": 0.1}]
    assert [list(row.items()) for row in outcome.history] == [
        [("seed", seed), ("stage", stage), ("epoch", 1), ("loss", seed)] for seed in (3, 1) for stage in (1, 2)
    ]
    assert list(outcome.weights) == ["seed3/w", "seed1/w"]


def test_each_seed_begins_torchs_default_generator(tmp_path: Path) -> None:
    outcome = per_seed(Progress(Job(resume=tmp_path / "r")), [0, 7], one_seed)
    for seed in (7, 0):
        assert torch.equal(
            outcome.weights[f"seed{seed}/w"], torch.rand(3, generator=torch.Generator().manual_seed(seed))
        )


def test_a_job_that_was_stopped_trains_what_is_left_and_writes_the_same(tmp_path: Path) -> None:
    written = []
    for name in ("whole", "stopped"):
        folder = tmp_path / name
        job = Job(resume=folder / "resume")
        if name == "stopped":

            def stopping(seed: int) -> Outcome:
                if seed == 2:
                    raise KeyboardInterrupt
                return one_seed(seed)

            with pytest.raises(KeyboardInterrupt):
                per_seed(Progress(job), [0, 1, 2], stopping)
            trained.clear()
        files = Files(*(folder / part for part in ("w.safetensors", "m.json", "h.csv", "t.csv")))
        files.write(per_seed(Progress(job), [0, 1, 2], one_seed), {"arm": "x"})
        written.append([path.read_bytes() for path in (files.weights, files.metrics, files.history, files.times)])
    assert trained == [2]
    assert written[0] == written[1]


def test_files_have_the_facts_the_rows_and_the_columns(tmp_path: Path) -> None:
    files = Files(*(tmp_path / part for part in ("w.safetensors", "m.json", "h.csv", "t.csv")))
    files.write(per_seed(Progress(Job(resume=tmp_path / "r")), [0], one_seed), {"arm": "x"})
    assert read_json(files.metrics) == {"arm": "x", "rows": [{"seed": 0, "accuracy": 0.0}]}
    assert set(load_file(files.weights)) == {"seed0/w"}
    assert files.history.read_text().splitlines() == ["seed,stage,epoch,loss", "0,1,1,0", "0,2,1,0"]
    assert files.times.read_text().splitlines()[0] == "seed,stage,epoch,seconds"
