"""How long jobs are expected to take: by what was measured here, else by what is on record, at this machine's pace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.books import metadata, times
from tenfold.books.recorded import Ledger

RUNS = "runs/small/toy/"


def noted(output: str, seconds: float) -> None:
    facts = metadata.note(rule="train", job="x", params=[], log=[], inputs=[], checksums={})
    metadata.write(output, facts | {"starttime": 1000.0, "endtime": 1000.0 + seconds})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/small/toy").mkdir(parents=True)


def test_what_ran_here_counts_before_what_is_on_record_and_sets_the_pace_of_the_rest() -> None:
    recorded = {f"{RUNS}{name}.json": seconds for name, seconds in zip("abcd", (10.0, 20.0, 30.0, 40.0), strict=True)}
    rows = [f"{output},{seconds}\n" for output, seconds in recorded.items()]
    Path("results/small/toy", times.NAME).write_text("".join(["output,seconds\n", *rows]))
    assert times.expected() == recorded
    for name, seconds in (("a", 30.0), ("b", 40.0), ("c", 75.0), ("e", 5.0)):
        noted(f"{RUNS}{name}.json", seconds)
    # 145 s instead of the 60 s on record: the job that did not run here, (145 + 5) / (60 + 5) times as long.
    assert times.expected() == {
        f"{RUNS}a.json": 30.0,
        f"{RUNS}b.json": 40.0,
        f"{RUNS}c.json": 75.0,
        f"{RUNS}d.json": pytest.approx(40.0 * 150 / 65),
        f"{RUNS}e.json": 5.0,
    }


def test_restored_files_say_nothing_and_leave_what_was_on_record() -> None:
    book = Ledger("small", "toy")
    noted(f"{RUNS}a.json", 12.34)
    noted(f"{RUNS}b.json", 20.0)
    times.record(book, [[f"{RUNS}b.json"], [f"{RUNS}a.json"]])
    file = Path("results/small/toy/jobs.times.csv")
    assert file.read_text() == f"output,seconds\n{RUNS}a.json,12.3\n{RUNS}b.json,20.0\n"
    noted(f"{RUNS}a.json", 0.0)
    noted(f"{RUNS}b.json", 25.0)
    times.record(book, [[f"{RUNS}a.json"], [f"{RUNS}b.json"], [f"{RUNS}never-ran.json"]])
    assert file.read_text() == f"output,seconds\n{RUNS}a.json,12.3\n{RUNS}b.json,25.0\n"


def test_a_resumed_job_took_what_its_steps_took_in_all_parts() -> None:
    steps = Path(f"{RUNS}a.times.csv")
    steps.parent.mkdir(parents=True)
    steps.write_text("seed,epoch,seconds\n0,1,70.5\n0,2,80.0\n")
    noted(f"{RUNS}a.json", 12.0)
    jobs = [[f"{RUNS}a.json", str(steps)]]
    times.record(Ledger("small", "toy"), jobs)
    file = Path("results/small/toy/jobs.times.csv")
    assert file.read_text() == f"output,seconds\n{RUNS}a.json,150.5\n"
    noted(f"{RUNS}a.json", 160.0)
    times.record(Ledger("small", "toy"), jobs)
    assert file.read_text() == f"output,seconds\n{RUNS}a.json,160.0\n", "all of it, with what is beside its steps"


def test_nothing_known_nothing_written() -> None:
    times.record(Ledger("small", "toy"), [[f"{RUNS}a.json"]])
    assert not Path("results/small/toy/jobs.times.csv").exists()
    assert times.expected() == {}


def test_a_training_that_ran_elsewhere_has_the_time_of_its_steps(folder: Path) -> None:
    account = Path(f"{RUNS}c.times.csv")
    account.parent.mkdir(parents=True, exist_ok=True)
    account.write_text("seed,epoch,seconds,examples_per_second\n0,1,2.5,9\n0,2,3.25,9\n1,,,\n")
    assert times.seconds_of_steps([f"{RUNS}c.json", str(account), f"{RUNS}gone.times.csv"]) == 5.75
    book = Ledger("small", "toy")
    times.record(book, [[f"{RUNS}c.json", str(account)]])
    assert (book.folder / times.NAME).read_text() == f"output,seconds\n{RUNS}c.json,5.8\n"
