"""The progress lines and the estimate of the time that is left, on runs with known times."""

from __future__ import annotations

import pytest

from snakemake_logger_plugin_tenfold.progress import Progress, duration


def run_of(**jobs_of_rules: int) -> Progress:
    progress = Progress()
    progress.plan({**jobs_of_rules, "total": sum(jobs_of_rules.values())})
    return progress


def test_no_estimate_before_a_job_is_done() -> None:
    progress = run_of(train=4)
    progress.start(1, "train", {}, now=0.0)
    assert progress.seconds_left(now=50.0) is None


def test_one_job_at_a_time_takes_the_mean_of_its_rule_for_each_job_left() -> None:
    progress = run_of(train=4)
    for jobid, (begin, end) in enumerate([(0.0, 10.0), (10.0, 30.0)]):
        progress.start(jobid, "train", {}, begin)
        progress.finish(jobid, end)
    assert progress.seconds_left(now=30.0) == pytest.approx(2 * 15.0)


def test_two_jobs_at_once_halve_the_time_and_the_time_already_spent_is_taken_off() -> None:
    progress = run_of(train=6)
    progress.start(1, "train", {}, 0.0)
    progress.start(2, "train", {}, 0.0)
    progress.finish(1, 10.0)
    # Five jobs of 10 s are left, of which one has spent its 10 s: 40 s of work, two at a time.
    assert progress.seconds_left(now=10.0) == pytest.approx(20.0)


def test_the_last_job_is_not_shared_among_two_cores() -> None:
    progress = run_of(train=3)
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


def test_a_rule_without_a_finished_job_is_expected_to_take_the_mean_of_all() -> None:
    progress = run_of(train=2, table=1)
    progress.start(1, "train", {}, 0.0)
    progress.finish(1, 30.0)
    assert progress.seconds_left(now=30.0) == pytest.approx(30.0 + 30.0)


def test_a_job_over_its_expected_time_does_not_make_the_estimate_negative() -> None:
    progress = run_of(train=2)
    progress.start(1, "train", {}, 0.0)
    progress.finish(1, 10.0)
    progress.start(2, "train", {}, 10.0)
    assert progress.seconds_left(now=500.0) == pytest.approx(0.0)


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
