"""The progress lines and the estimate of the time that is left, on runs with known times."""

from __future__ import annotations

import csv
import random
from collections import Counter
from pathlib import Path

import pytest

from snakemake_logger_plugin_tenfold.progress import Expected, Progress, duration, makespan


def run_of(*, before: dict[str, float] | None = None, cores: int = 1, **jobs_of_rules: int) -> Progress:
    """A run of jobs that wait for none, numbered from 1 in the order of their rules."""
    progress = Progress()
    progress.plan({**jobs_of_rules, "total": sum(jobs_of_rules.values())})
    rules = [rule for rule, count in jobs_of_rules.items() for _ in range(count)]
    progress.expect(
        {number: expected(rule, (before or {}).get(rule)) for number, rule in enumerate(rules, 1)},
        {"_cores": cores}, now=0.0,
    )  # fmt: skip
    return progress


def expected(rule: str, seconds: float | None, after: tuple[int, ...] = (), **needs: int) -> Expected:
    return {"rule": rule, "seconds": seconds, "after": list(after), "needs": {"_cores": 1, **needs}}


def test_no_estimate_before_a_job_is_done_where_nothing_has_run_before() -> None:
    progress = run_of(train=4)
    progress.start(1, "train", {}, now=0.0)
    assert progress.seconds_left(now=50.0) is None


def test_one_job_at_a_time_takes_the_mean_of_its_rule_for_each_job_left() -> None:
    progress = run_of(train=4)
    for jobid, (begin, end) in enumerate([(0.0, 10.0), (10.0, 30.0)], 1):
        progress.start(jobid, "train", {}, begin)
        progress.finish(jobid, end)
    assert progress.seconds_left(now=30.0) == pytest.approx(2 * 15.0)


def test_two_jobs_at_once_halve_the_time_and_the_time_already_spent_is_taken_off() -> None:
    progress = run_of(train=5, cores=2)
    progress.start(1, "train", {}, 0.0)
    progress.start(2, "train", {}, 4.0)
    progress.finish(1, 10.0)
    # The second needs 4 s more and the others 10 s each: 4 + 10 on one core, 10 + 10 on the other.
    assert progress.seconds_left(now=10.0) == pytest.approx(20.0)


def test_the_last_job_is_not_shared_among_two_cores() -> None:
    progress = run_of(train=3, cores=2)
    progress.start(1, "train", {}, 0.0)
    progress.start(2, "train", {}, 0.0)
    progress.finish(1, 10.0)
    progress.finish(2, 10.0)
    progress.start(3, "train", {}, 10.0)
    assert progress.seconds_left(now=10.0) == pytest.approx(10.0)


def test_short_jobs_say_nothing_about_long_ones() -> None:
    progress = run_of(prepare=1, train=3)
    progress.start(1, "prepare", {}, 0.0)
    progress.finish(1, 1.0)
    assert progress.seconds_left(now=1.0) is None
    progress.start(2, "train", {}, 1.0)
    progress.finish(2, 41.0)
    assert progress.seconds_left(now=41.0) == pytest.approx(80.0)


def test_a_rule_without_a_finished_job_is_expected_to_take_the_mean_of_all_rules() -> None:
    progress = run_of(train=2, table=1)
    progress.start(1, "train", {}, 0.0)
    progress.finish(1, 30.0)
    assert progress.seconds_left(now=30.0) == pytest.approx(30.0 + 30.0)


def test_an_estimate_says_of_how_many_jobs_it_knows_nothing() -> None:
    progress = run_of(train=2, table=1, report=1)
    progress.start(1, "train", {}, 0.0)
    progress.finish(1, 30.0)
    progress.start(2, "train", {}, 30.0)
    line = progress.finish(2, 60.0)
    assert line is not None
    assert "left" not in line, "no more than a guess"
    progress = run_of(train=3, table=1)
    progress.start(1, "train", {}, 0.0)
    assert progress.finish(1, 30.0) == (
        "[1/4] done   train in 30 s, about 2 min left if 1 job never timed takes as long as others do"
    )


def test_a_job_over_its_expected_time_is_not_expected_to_end_at_once() -> None:
    progress = run_of(train=2)
    progress.start(1, "train", {}, 0.0)
    progress.finish(1, 10.0)
    progress.start(2, "train", {}, 10.0)
    assert progress.seconds_left(now=500.0) == pytest.approx(2.0)


def test_times_of_before_give_an_estimate_from_the_start() -> None:
    progress = Progress()
    progress.plan({"train": 1, "table": 1, "all": 1})
    jobs = {1: expected("train", 60.0), 2: expected("table", 30.0, (1,)), 3: expected("all", 0.0, (2,))}
    assert progress.expect(jobs, {"_cores": 8}, now=0.0) == "about 2 min to go"
    assert progress.seconds_left(now=0.0) == 90.0, "a table waits for what it shows, whatever cores there are"


def test_times_of_before_are_taken_at_the_pace_of_today() -> None:
    progress = run_of(before={"prepare": 95.0, "train": 100.0}, prepare=1, train=4, cores=2)
    progress.start(1, "prepare", {}, 0.0)
    progress.finish(1, 195.0)
    # (195 + 5) / (95 + 5) = 2: four jobs of 200 s, two at a time.
    assert progress.seconds_left(now=195.0) == pytest.approx(400.0)


def test_jobs_wait_for_a_gpu_though_there_are_cores() -> None:
    jobs = {number: expected("train", 10.0, gpu=2) for number in range(3)} | {3: expected("table", 25.0, gpu=0)}
    assert makespan(dict.fromkeys(range(3), 10.0) | {3: 25.0}, jobs, {"_cores": 8, "gpu": 1}) == 30.0


def test_lines_name_rule_wildcards_and_count() -> None:
    progress = run_of(train=11)
    assert progress.start(7, "train", {"arm": "ce", "seeds": "s0-2"}, 0.0) == "[ 0/11] start  train arm=ce seeds=s0-2"
    assert progress.finish(7, 60.0) == "[ 1/11] done   train arm=ce seeds=s0-2 in 60 s, about 10 min left"


def test_a_failure_names_its_log_and_the_summary_counts_it() -> None:
    progress = run_of(train=2)
    progress.start(1, "train", {"arm": "ce"}, 0.0)
    line = progress.fail(1, "train", "exit status 2", ["logs/ce.log"], 3.0)
    assert line == "[0/2] FAILED train arm=ce after 3.0 s (exit status 2); log: logs/ce.log"
    assert progress.summary(3.0) == "0 of 2 jobs done, 1 failed: train arm=ce"


def test_a_stop_is_said_once_and_is_no_failure() -> None:
    progress = run_of(train=3)
    progress.start(1, "train", {"arm": "ce"}, 0.0)
    progress.start(2, "train", {"arm": "kd"}, 0.0)
    progress.finish(2, 1.0)
    assert progress.stop(waits=False) == "stopping: jobs save what they have"
    assert progress.stop(waits=False) is None
    assert progress.stopped(1, "train", 3.0) == "[1/3] stopped train arm=ce after 3.0 s"
    assert progress.summary(3.0, "snakemake x") == "stopped: 1 of 3 jobs is done; go on with `snakemake x`"


def test_a_failure_before_a_stop_is_not_hidden_by_it() -> None:
    progress = run_of(train=2)
    progress.start(1, "train", {"arm": "ce"}, 0.0)
    progress.start(2, "train", {"arm": "kd"}, 0.0)
    progress.fail(1, "train", "exit status 2", [], 3.0)
    progress.stopped(2, "train", 4.0)
    assert progress.summary(4.0, "snakemake x") == "0 of 2 jobs done, 1 failed, 1 stopped: train arm=ce"


def test_a_run_that_was_done_when_asked_to_stop_is_done() -> None:
    progress = run_of(train=1)
    progress.start(1, "train", {}, 0.0)
    assert progress.stop(waits=True) == "stopping: 1 job will be done first (Ctrl-C stops it too)"
    progress.finish(1, 3.0)
    assert progress.summary(3.0, "snakemake x") == "All done: 1 job in 3.0 s"


def test_a_job_that_succeeds_when_tried_again_has_not_failed() -> None:
    progress = run_of(train=1)
    progress.start(1, "train", {}, 0.0)
    progress.fail(1, "train", None, [], 1.0)
    progress.start(1, "train", {}, 2.0)
    progress.finish(1, 3.0)
    assert progress.summary(3.0) == "All done: 1 job in 3.0 s"


def test_without_a_plan_lines_carry_no_count() -> None:
    assert Progress().start(1, "train", {}, 0.0) == "start  train"
    assert Progress().finish(1, 2.0) is None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (3599, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_rounded_as_a_reader_wants_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


REAL = Path(__file__).with_name("jobs_of_smoke.csv")  # all papers at smoke, on two busy cores


def replayed(before: dict[int, float | None], pace: float = 1.0) -> list[tuple[int, float, float | None]]:
    """Jobs done, seconds that were left, and seconds that were said to be left, whenever a job of the real run ends."""
    with REAL.open(newline="") as file:
        rows = {int(row["job"]): row for row in csv.DictReader(file)}
    progress = Progress()
    progress.plan(Counter(row["rule"] for row in rows.values()))
    jobs = {job: expected(row["rule"], before[job], tuple(map(int, row["after"].split()))) for job, row in rows.items()}
    progress.expect(jobs, {"_cores": 2}, now=0.0)
    moments = [(pace * float(row[when]), when, job) for job, row in rows.items() for when in ("end", "start")]
    end, said = max(moments)[0], []
    for now, when, job in sorted(moments):
        if when == "start":
            progress.start(job, rows[job]["rule"], {}, now)
        else:
            progress.finish(job, now)
            said.append((len(said) + 1, end - now, progress.seconds_left(now)))
    return said


def took() -> dict[int, float]:
    with REAL.open(newline="") as file:
        return {int(row["job"]): float(row["end"]) - float(row["start"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize("pace", [1.0, 0.25, 4.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_from_the_tenth_job_on_the_estimate_is_right_within_a_factor_of_two(pace: float, seed: int) -> None:
    """Whatever machine the times are from: each of them was up to 1.5 times longer or shorter there, at random."""
    draw = random.Random(seed)
    before = {job: seconds * 1.5 ** draw.uniform(-1, 1) for job, seconds in took().items()}
    for done, left, estimate in replayed(before, pace):
        if done >= 10 and left > 15.0 * pace:
            assert estimate is not None
            assert 0.5 < estimate / left < 2.0, (done, left, estimate)
