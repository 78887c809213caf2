"""Makes missing datasets before Snakemake plans, so that only what depends on a change runs.

A clone has recorded results but not the datasets that they were made of, and needs none as long as nothing runs. When
one job has to run, its dataset is made again; Snakemake would then run all jobs that read it, though its bytes are the
same. With the dataset in place before the plan is made, Snakemake compares checksums and runs the one job.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tenfold import registry
from tenfold.books.recorded import Provenance

NESTED = "TENFOLD_NESTED"  # set for the Snakemakes that are started here
DRY_RUN = {"-n", "--dry-run", "--dryrun"}


def is_nested() -> bool:
    """Whether this Snakemake was started to look or to make data for another one, which holds the lock."""
    return NESTED in os.environ


def make_missing_data(recorded: Iterable[Provenance], say: Callable[[str], None]) -> None:
    """Makes those recorded datasets that are not here and that the command of this process needs.

    A dry run draws stand-ins too, without which its list would be too long, but fetches nothing.
    """
    outputs = {output for provenance in recorded for output in provenance.job_of if output.startswith("data/prepared/")}
    absent = {output for output in outputs if not Path(output).exists()}
    if not absent or Path(sys.argv[0]).name not in ("snakemake", "__main__.py"):
        return
    planned = _snakemake(*sys.argv[1:], "--dry-run").stdout
    needed = sorted(outputs_of(planned).intersection(absent))
    dry = bool(DRY_RUN & set(sys.argv))
    if dry:
        for path in [path for path in needed if registry.dataset(Path(path).stem).is_foreign]:
            say(f"{path} is not here: this list has all jobs that read it; a run fetches it first, and then runs fewer")
            needed.remove(path)
    if needed:
        also = " (this dry run too, or its list would be too long)" if dry else ""
        say(f"making {' '.join(needed)} first{also}, so that only what depends on a change runs")
        _snakemake(*needed)  # should it fail, this run comes to the same job, and says why


def outputs_of(plan: str) -> set[str]:
    """The files that the jobs of a dry run's list make."""
    listed = re.findall(r"^ +output: (.+)$", plan, flags=re.MULTILINE)
    return {path for outputs in listed for path in outputs.split(", ")}


def _snakemake(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(
        command, env=os.environ | {NESTED: "1"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
