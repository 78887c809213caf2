"""What holds for all tests: one thread, and no part of the user's environment that could change a result."""

from __future__ import annotations

import os
from pathlib import Path

# Before numpy or torch is imported, here and in the commands that tests start.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

os.environ["MPLBACKEND"] = "Agg"

# MAKE...: the tests are started by make, and start make themselves.
for variable in ("MAKEFLAGS", "MAKELEVEL", "SNAKEMAKE_PROFILE", "TENFOLD_FAULT", "CUBLAS_WORKSPACE_CONFIG"):
    os.environ.pop(variable, None)

# Commands that tests start in other folders use the sources beside these tests.
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")
