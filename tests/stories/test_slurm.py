"""A real Slurm: jobs ask for what they need, are cancelled, killed and requeued, and make the bytes of a local run."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ..servers.processes import wait_until
from ..servers.slurm import Slurm
from .conftest import ROOT, Repository, lay_house

pytestmark = pytest.mark.slurm

COUNTING = "tenfold.papers.toy.count"
# After each look at a job that is not done, the executor waits ten seconds longer: few jobs of the toy take eight.
AT_ONCE = ["--slurm-init-seconds-before-status-checks", "8", "--seconds-between-status-checks", "1"]
SLOW = {"TOY_SECONDS_PER_STEP": "0.3"}
TYPED = re.compile(r"^    (snakemake .*--workflow-profile.*?)(?: +#.*)?$", re.MULTILINE)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("Snakemake's executor for Slurm is not here: make slurm")
    running = Slurm()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The house with the toy paper, and its data."""
    path = tmp_path_factory.mktemp("laid") / "house"
    path.mkdir()
    laid = lay_house(path)
    laid.snakemake("data/prepared/shapes-10-smoke.safetensors", "--quiet")
    return laid


@pytest.fixture
def house(laid: Repository, tmp_path: Path) -> Repository:
    return laid.copy(tmp_path / "house")


@pytest.fixture(scope="module")
def local(laid: Repository, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The checksums of what a local run makes."""
    house = laid.copy(tmp_path_factory.mktemp("local") / "house")
    house.snakemake("small/toy", "--quiet")
    return made_in(house)


def made_in(house: Repository) -> dict[str, str]:
    return house.checksums(*(f"runs/small/toy/{name}" for name in ("weights", "metrics", "tables")))


def typed(house: Repository, slurm: Slurm, line: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Types a line into a shell in the house."""
    path = f"{Path(sys.executable).parent}:{slurm.env['PATH']}"
    return house.run("bash", "-c", " ".join([line, *more]), env=slurm.env | {"PATH": path})


def started(house: Repository, slurm: Slurm, *more: str) -> subprocess.Popen[str]:
    """Snakemake, sending slow jobs to Slurm."""
    command = [sys.executable, "-m", "snakemake", "small/toy", "--workflow-profile", "profiles/slurm", *AT_ONCE, *more]
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


def test_the_lines_of_the_documentation(house: Repository, slurm: Slurm, local: dict[str, str]) -> None:
    lines = TYPED.findall((ROOT / "docs/machines.md").read_text())
    look, send, share = (re.sub(r"(full|lab)/sge", "small/toy", line) for line in lines)
    assert "gpu=1" in typed(house, slurm, look, "--config", "device=auto").stdout
    before = len(slurm.submitted)
    done = typed(house, slurm, send, *AT_ONCE, "--config", "device=cpu")
    assert "All done: 4 jobs" in done.stderr
    assert made_in(house) == local
    asked = slurm.submitted[before:]
    assert len(asked) == 3
    for words in asked:
        assert "--mem 8000 --nodes=1 --ntasks=1 --cpus-per-task=1 " in words
        assert " -t 720 " in words and "gpu" not in words and "gres" not in words
    assert "gres=shard:1" in typed(house, slurm, share, "--forceall", "--dry-run").stdout
    assert "Nothing to be done" in typed(house, slurm, send, "--config", "device=cpu").stderr


def test_a_job_that_is_cancelled_killed_or_requeued_goes_on_to_the_same_bytes(
    house: Repository, slurm: Slurm, local: dict[str, str]
) -> None:
    run = started(house, slurm)
    try:
        wait_for_a_step(house, "plain")
        wait_for_a_step(house, "fancy")
        (cancelled, killed) = (job_of(slurm, house, arm) for arm in ("plain", "fancy"))
        slurm.asked("scancel", cancelled)
        counting("fancy")[0].kill()
        wait_until(lambda: not {cancelled, killed} & set(slurm.jobs()), lambda: "the jobs do not end")
        kept = json.loads((house.path / "runs/.resume/small/toy/weights/fancy/s0-2.json").read_text())
        assert [row["seed"] for row in kept["done"]] == [0]
        wait_until(lambda: job_of(slurm, house, "fancy") != killed, lambda: "it is not sent again", 120)
        wait_for_a_step(house, "fancy")
        requeued = job_of(slurm, house, "fancy")
        slurm.asked("scontrol", "requeue", requeued)
        said, _ = run.communicate(timeout=400)
    finally:
        run.kill()
    assert run.returncode == 0, said
    assert made_in(house) == local
    assert f"Slurm job {cancelled}: CANCELLED" in said
    assert f"Slurm job {killed}: FAILED" in said
    assert said.count("FAILED toy_count") == 2, "a requeued job has not failed"
    assert "Restarts=1" in slurm.asked("scontrol", "show", "job", requeued)


def test_jobs_have_the_gpus_and_shards_that_they_ask_for_and_stop_at_ctrl_c(house: Repository, slurm: Slurm) -> None:
    house.edit("src/tenfold/papers/toy/grid.py", '"arm": wildcards.arm,',
                    '"arm": wildcards.arm, "processes": 1 + (wildcards.arm == "fancy"),')  # fmt: skip
    before = len(slurm.submitted)
    run = started(house, slurm, "--config", "gpu_slots=4", "device=cuda")
    try:
        for arm, asks, cores in (("plain", "--gres=shard:1", 1), ("fancy", "--gpus=2", 2)):
            wait_for_a_step(house, arm)
            job = slurm.asked("scontrol", "show", "job", job_of(slurm, house, arm))
            (words,) = (line for line in slurm.submitted[before:] if f"_{arm}_" in line)
            assert f" {asks} " in words and f"--cpus-per-task={cores} " in words
            assert len(counting(arm)[0].environ()["CUDA_VISIBLE_DEVICES"].split(",")) == cores, job
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=120)
    finally:
        run.kill()
    assert "stopping: jobs save what they have" in said
    assert "go on with `snakemake small/toy --workflow-profile profiles/slurm" in said
    wait_until(lambda: not slurm.jobs("all active"), lambda: slurm.asked("squeue"))


def test_what_slurm_refuses_is_one_line(house: Repository, slurm: Slurm) -> None:
    send = "snakemake small/toy --workflow-profile profiles/slurm --retries 0"
    done = typed(house, slurm, f"{send} --default-resources slurm_partition=gone; test $? = 1")
    refused = [line for line in done.stderr.splitlines() if "FAILED toy_count" in line]
    assert len(refused) == 2
    for line in refused:
        assert "(sbatch: invalid partition specified: gone; sbatch: Batch job submission failed: " in line
    assert "--wrap" not in done.stderr
