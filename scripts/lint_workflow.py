"""Runs `snakemake --lint` and fails on any finding but one that is not meant for this project.

Snakemake wants a conda environment or a container for each rule. Here all rules share one environment, which
requirements.lock pins by hash; naming a container that nobody built would silence the linter and say less.
"""

from __future__ import annotations

import re
import subprocess
import sys

NOT_MEANT_FOR_US = "Specify a conda environment or container for each rule."


def findings(report: str) -> list[str]:
    """One line for each finding of a report: where, and what."""
    found, where = [], ""
    for line in report.splitlines():
        if header := re.fullmatch(r"Lints for (.+):", line):
            where = header[1]
        elif (finding := re.fullmatch(r" {4}\* (.+):", line)) and finding[1] != NOT_MEANT_FOR_US:
            found.append(f"{where}: {finding[1].rstrip('.')}; see `snakemake --lint`")
    return found


def main() -> int:
    """Prints what is to be mended and gives the exit code."""
    command = [sys.executable, "-m", "snakemake", "--lint"]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode == 0:
        return 0
    if "Lints for " not in run.stdout:  # it could not read the rules at all
        print(run.stdout, file=sys.stderr)
        return run.returncode
    found = findings(run.stdout)
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
