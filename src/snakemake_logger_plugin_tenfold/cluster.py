"""What the executor for Slurm says of jobs, in few words."""

from __future__ import annotations

import re
from collections.abc import Iterable

SENT = re.compile(r"Job (\d+) has been submitted with SLURM jobid (\S+) ")
RUN = re.compile(r"SLURM run ID: (\S+)")
ENDED = re.compile(r"SLURM-job '(\S+)' failed, SLURM status is: '(\w+)'")
REFUSED = re.compile(r"SLURM sbatch failed\. The error message was '(.*?)'\.\s+sbatch call:", re.DOTALL)
MEND = {
    "TIMEOUT": "; for more time raise runtime (minutes) in the profile",
    "OUT_OF_MEMORY": "; for more memory: --set-resources RULE:mem_mb=MEGABYTES",
}

# A job has a Snakemake of its own there, whose frame tells nothing of it. Its progress lines are in the stage's log.
SIGNAL = re.compile(r"^Command .* died with <Signals\.(\w+)")
FRAME = (
    *(
        "SNAKEMAKE",
        "====",
        "Building DAG",
        "Using shell",
        "Provided ",
        "Rules claiming more",
        "Select jobs",
        "Execute 1",
    ),
    *("Error in rule", "Shutting down", "Exiting because", "Will exit after", "Storing output", "Elapsed time"),
    *(
        "RuleException:",
        "WorkflowError:",
        "At least one job",
        "CalledProcessError in",
        "Command 'set -euo",
        "Traceback",
    ),
    *("Trying to restart", "srun: cluster configuration lacks"),
)
ENTRY = re.compile(
    r"\s|$|(local)?rule \w+:$|\[\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\]$|\[[^]]*/[^]]*\]|.*: Exited with exit code"
)


def end(message: str) -> str | None:
    """How a job ended that ran there, and what may be done; None where the message is of something else."""
    found = ENDED.search(message)
    return found and f"Slurm job {found[1]}: {found[2]}{MEND.get(found[2], '')}"


def refusal(message: str) -> str | None:
    """Why a job was not taken, on one line; None where the message is of something else."""
    found = REFUSED.search(message)
    lines = found[1].splitlines() if found else []
    return "; ".join(line.replace("sbatch: error:", "sbatch:", 1) for line in lines) or None


def without_frame(lines: Iterable[str]) -> list[str]:
    """Of a job's log there, what neither its Snakemake nor the log of its stage says, and the signal that ended it."""
    lines = (f"ended by {found[1]}" if (found := SIGNAL.search(line)) else line for line in lines)
    return [line for line in lines if not (line.startswith(FRAME) or ENTRY.match(line))]
