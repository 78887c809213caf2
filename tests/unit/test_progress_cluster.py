"""What a user reads of jobs on a cluster: where they were sent, how they ended, and what their logs add."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_tenfold import cluster
from snakemake_logger_plugin_tenfold.handler import LogHandler
from snakemake_logger_plugin_tenfold.progress import Progress

ENDED = (
    "SLURM-job '7' failed, SLURM status is: '{}'. Detailed failure reason unavailable (status command is not 'sacct')."
    "For further error details see the cluster/cloud log and the log files of the involved rule(s)."
)
REFUSED = """SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: gone
sbatch: error: Batch job submission failed: Invalid partition name specified'.
    sbatch call:
        sbatch --parsable --wrap="python -m snakemake"

For further error details see the cluster/cloud log and the log files of the involved rule(s)."""
LOG = """srun: cluster configuration lacks support for cpu binding

SNAKEMAKE
=========
  Date: 2026-11-27 07:08:37
  Host: node1

Building DAG of jobs...
Using shell: /usr/bin/bash
Provided cores: 2
Rules claiming more threads will be scaled down.
Provided remote nodes: 1
Select jobs to execute...
Execute 1 jobs...

[Fri Nov 27 07:08:37 2026]
rule train:
    output: runs/small/toy/weights/fancy/s0-2.json
    jobid: 0
srun: error: Unable to create step for job 7: Memory required by task is not available
[small/toy fancy/s0-2] seed 0: 4165777
Traceback (most recent call last):
  File "train.py", line 1, in <module>
ModuleNotFoundError: No module named 'torch'
RuleException:
CalledProcessError in file "toy.smk", line 21:
Command 'set -euo pipefail;  python -m train' returned non-zero exit status 1.
Command 'set -euo pipefail;  python -m train' died with <Signals.SIGKILL: 9>.
[Fri Nov  6 07:08:38 2026]
Error in rule train:
    jobid: 0
        (command exited with non-zero exit code)
Shutting down, this might take some time.
Exiting because a job execution failed. Look above for error messages
Storing output in storage.
Elapsed time: 0:00:00.317795
WorkflowError:
At least one job did not complete successfully.
srun: error: node1: task 0: Exited with exit code 1
"""


@pytest.fixture
def handler() -> LogHandler:
    """The handler of a run with one job on its way."""
    made = LogHandler.__new__(LogHandler)
    logging.Handler.__init__(made)
    made.plain, made.progress, made.failed_commands = True, Progress(), {}
    made.common_settings = SimpleNamespace(dryrun=False)
    made.progress.plan({"train": 1, "total": 1})
    return made


def said(handler: LogHandler, message: str = "", **event: Any) -> str | None:
    return handler.lines(logging.makeLogRecord({"msg": message, "created": 9.0, **event}))


def test_a_job_is_announced_when_the_cluster_has_given_it_a_number(handler: LogHandler) -> None:
    assert said(handler, "SLURM run ID: 5571ab7f") == "jobs are sent to Slurm: squeue --name 5571ab7f"
    started = {"jobid": 3, "rule_name": "train", "wildcards": {"arm": "kd"}, "now": 0.0}
    assert handler.progress.start(*started.values(), why="recipe.lr 0.1 -> 0.05") is None
    line = said(handler, "Job 3 has been submitted with SLURM jobid 12 (log: /logs/12.log).")
    assert line == "[0/1] sent   train arm=kd as job 12: recipe.lr 0.1 -> 0.05"
    assert said(handler, "No SLURM account given, trying to guess.") is None
    assert said(handler, "\nUnable to guess SLURM account. Trying to proceed without.") is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("CANCELLED", "Slurm job 7: CANCELLED"),
        ("TIMEOUT", "Slurm job 7: TIMEOUT; for more time raise runtime (minutes) in the profile"),
        ("OUT_OF_MEMORY", "Slurm job 7: OUT_OF_MEMORY; for more memory: --set-resources RULE:mem_mb=MEGABYTES"),
    ],
)
def test_the_end_of_a_job_is_said_in_few_words(status: str, words: str) -> None:
    assert cluster.end(ENDED.format(status)) == words
    assert cluster.refusal(ENDED.format(status)) is None


def test_a_job_that_is_not_taken_has_one_line_and_no_log_of_an_earlier_one(handler: LogHandler, tmp_path: Path) -> None:
    old = tmp_path / "train.log"
    old.write_text("a fault of last week\n")
    handler.progress.start(3, "train", {"arm": "kd"}, 0.0)
    event = {"event": LogEvent.JOB_ERROR, "jobid": 3, "rule_name": "train", "shellcmd": "x", "log": [str(old)]}
    assert said(handler, rule_msg=REFUSED, **event) == (
        "[0/1] FAILED train arm=kd after 9.0 s (sbatch: invalid partition specified: gone; "
        "sbatch: Batch job submission failed: Invalid partition name specified)"
    )


def test_of_a_log_there_what_the_job_and_slurm_say_is_left() -> None:
    assert cluster.without_frame(LOG.splitlines()) == [
        "srun: error: Unable to create step for job 7: Memory required by task is not available",
        "ModuleNotFoundError: No module named 'torch'",
        "ended by SIGKILL",
    ]
