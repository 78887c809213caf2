"""Runs the jobs of a probe one after the other, each in a fork of this process, and notes the functions they enter.

Usage: python probe_runner.py PLAN ENTERED, in a checkout whose src/ is on PYTHONPATH. PLAN is a list of jobs with
inputs, outputs and the arguments of ``python -m``. A fork spares each job the seconds that importing torch takes.

It imports nothing of Tenfold itself: the sources that it runs may be of any commit.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

NOTING = runpy.run_path(str(Path(__file__).resolve().parents[1] / "identity" / "entered.py"))["noting"]


def run_all(plan: list[dict[str, Any]], entered: Path) -> int:
    """Runs each job as soon as its inputs are there; the number of jobs that failed or could not run."""
    waiting, failed = list(plan), 0
    while waiting:
        ready = next((job for job in waiting if all(map(os.path.exists, job["inputs"]))), None)
        if ready is None:
            for job in waiting:
                print(f"{job['outputs'][0]}: an input is missing", file=sys.stderr)
            return failed + len(waiting)
        waiting.remove(ready)
        print(f"{len(plan) - len(waiting)}/{len(plan)} {ready['outputs'][0]}", flush=True)
        failed += run(ready, entered) != 0
    return failed


def run(job: dict[str, Any], entered: Path) -> int:
    """Runs one job in a child; its exit code."""
    child = os.fork()
    if child == 0:
        os._exit(_in_child(job["arguments"], entered))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _in_child(arguments: list[str], entered: Path) -> int:
    sys.argv = arguments
    status = 1
    try:
        with NOTING(Path("src"), entered):
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0
    except BaseException:  # a fork has to end here, whatever happens
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    import torch  # noqa: F401  # so that every fork has it

    sys.exit(min(run_all(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])), 100))
