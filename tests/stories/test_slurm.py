"""A real Slurm: jobs ask for what they need, are cancelled, killed and requeued, and end in the bytes of a local run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ..servers.processes import wait_until
from ..servers.slurm import Slurm
from .conftest import ROOT, Repository

pytestmark = pytest.mark.slurm

COUNTING = "tenfold.papers.toy.count"
# After each look at a job that is not done, the executor waits ten seconds longer: few jobs of the toy take eight.
AT_ONCE = ["--slurm-init-seconds-before-status-checks", "8", "--seconds-between-status-checks", "1"]
SLOW = {"TOY_SECONDS_PER_STEP": "0.3"}
TYPED = re.findall(r"^    (snakemake .*--workflow-profile.*?)(?: +#.*)?$", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("Snakemake's executor for Slurm is not here: make slurm")
    running = Slurm()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def local(recorded_once: Repository) -> dict[str, str]:
    """The checksums of what a local run makes."""
    return made_in(recorded_once)


def made_in(house: Repository) -> dict[str, str]:
    return house.checksums("data", *(f"runs/small/toy/{name}" for name in ("weights", "metrics", "tables")))


def typed(house: Repository, slurm: Slurm, line: str, *more: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Types a line into a shell in the house."""
    path = f"{Path(sys.executable).parent}:{slurm.env['PATH']}"
    return house.run("bash", "-c", " ".join([line, *more]), env=slurm.env | {"PATH": path}, **options)  # type: ignore[arg-type]


def started(house: Repository, slurm: Slurm, target: str) -> subprocess.Popen[str]:
    """Snakemake, sending slow jobs to Slurm."""
    command = [sys.executable, "-m", "snakemake", target, "--workflow-profile", "profiles/slurm", *AT_ONCE]
    return subprocess.Popen(command, cwd=house.path, env=house.env | slurm.env | SLOW, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip


def counting(arm: str) -> list[psutil.Process]:
    """The processes that count an arm."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words[1:3] == ["-m", COUNTING] and any(f"/{arm}/" in word for word in words):
            found.append(process)
    return found


def wait_for_a_step(house: Repository, arm: str, seeds: int = 1) -> None:
    """Waits until an arm is counted, and some of its seeds are done."""
    log = house.path / f"logs/small/toy/count/{arm}/s0-2.log"
    wait_until(lambda: bool(counting(arm)) and log.exists() and log.read_text().count("seed") >= seeds,
               lambda: f"{arm} is not counted")  # fmt: skip


def job_of(slurm: Slurm, house: Repository, arm: str) -> str:
    """Slurm's id of the job that counts an arm."""
    logs = house.path / f".snakemake/slurm_logs/rule_toy_count/small_{arm}_s0-2"
    return max(logs.glob("*.log"), key=lambda path: int(path.stem)).stem


def test_the_lines_of_the_readme(repository: Repository, slurm: Slurm, local: dict[str, str]) -> None:
    assert len(TYPED) == 3
    look, send, share = (re.sub(r"(full|lab)/sge", "small/toy", line) for line in TYPED)
    assert "gpu=1" in typed(repository, slurm, look, "--config", "device=auto").stdout
    before = len(slurm.submitted)
    done = typed(repository, slurm, send, *AT_ONCE, "--config", "device=cpu")
    assert "All done: 5 jobs" in done.stderr
    assert made_in(repository) == local
    asked = slurm.submitted[before:]
    assert len(asked) == 4
    for words in asked:
        assert "--mem 8000 --nodes=1 --ntasks=1 --cpus-per-task=1 " in words
        assert " -t 720 " in words and "gpu" not in words and "gres" not in words
    assert "gres=shard:1" in typed(repository, slurm, share, "--forceall", "--dry-run").stdout
    assert "Nothing to be done" in typed(repository, slurm, send, "--config", "device=cpu").stderr
