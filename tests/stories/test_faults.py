"""Faults: nothing is lost, one clear line is said, the exit code is not zero, and the next run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import Repository
from .test_change_tracking import ROOT

SLOW = {"TOY_SECONDS_PER_STEP": "0.02"}


def lines_of_tenfold(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("tenfold: ")]


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[None]:
    """Mounts a file system of a given size on a folder, with what the folder held."""
    aside = Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mount.returncode != 0:
        pytest.skip(f"this machine cannot mount a small file system: {mount.stderr.strip()}")
    try:
        yield
    finally:
        shutil.copytree(folder, aside, dirs_exist_ok=True)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        shutil.rmtree(aside)


def enlarge(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)


def half_files(repository: Repository) -> list[str]:
    """Files that are not what they are called: partial ones, and objects of DVC with another MD5 than their name."""
    found = [str(path) for folder in ("runs", "results", "store") for path in (repository.path / folder).rglob(".*")
             if ".partial" in path.name or path.suffix == ".tmp"]  # fmt: skip
    for store in ("store", ".dvc/cache"):
        for path in (repository.path / store / "files/md5").rglob("*"):
            name = path.parent.name + path.name.removesuffix(".dir")
            if path.is_file() and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != name:
                found.append(str(path))
    for path in (repository.path / "results").rglob("*.json"):
        try:
            json.loads(path.read_text())
        except ValueError:
            found.append(str(path))
    return found


# Killed -------------------------------------------------------------------------------------------


def kill_snakemake(repository: Repository, seconds: float, *, jobs_too: bool) -> None:
    """Kills Snakemake after so many seconds of running; with its jobs, as a power cut would, or without."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    process = subprocess.Popen(
        command,
        cwd=repository.path,
        env=repository.env | SLOW,
        start_new_session=True,
        text=True,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "jobs to do" in line:
            break
    time.sleep(seconds)
    if jobs_too:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    process.stderr.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_at_ten_seeded_moments(recorded_once: Repository, tmp_path: Path, seed: int) -> None:
    """Twenty moments in two chains: 6 inside training, 4 inside writes, 10 of Snakemake itself."""
    undisturbed = recorded_once.checksums("runs", "results")
    repository = recorded_once.clone(tmp_path / "clone")
    for folder in ("results", "store", "dvc.yaml"):
        repository.run("git", "rm", "-rq", folder)
    repository.commit("Nothing is on record")
    draw = random.Random(seed)
    moments: list[tuple[str, str | float]] = [
        *(("job", f"step:{draw.randint(2, 25)}") for _ in range(3)),
        *(("job", point) for point in draw.sample(["output:1", "output:2", "output:3", "rename:1", "rename:2"], 2)),
        *(("snakemake", round(draw.uniform(0.1, 1.5), 2)) for _ in range(3)),
        *(("all", round(draw.uniform(0.1, 1.5), 2)) for _ in range(2)),
    ]
    draw.shuffle(moments)
    print(f"seed {seed}: {moments}")
    for what, moment in moments:
        if what == "job":
            done = repository.snakemake("--quiet", "all", env=SLOW | {"TENFOLD_FAULT": str(moment)}, check=False)
            assert done.returncode != 0 or moment != "step:2", "the fault has hit"
            assert "Traceback" not in done.stderr
        else:
            kill_snakemake(repository, float(moment), jobs_too=what == "all")
    done = repository.snakemake()
    assert "Traceback" not in done.stderr
    repository.tenfold("record")
    found = repository.checksums("runs", "results")
    same = {path: checksum for path, checksum in undisturbed.items() if not path.endswith("dvc.lock")}
    assert {path: found.get(path) for path in same} == same
    assert half_files(repository) == []
    assert [path for path in (repository.path / "runs").rglob("*") if ".resume" in path.parts and path.is_file()] == []


# Full ---------------------------------------------------------------------------------------------


def test_disk_full_while_writing_weights(repository: Repository, tmp_path: Path) -> None:
    repository.edit("config/papers/toy.yaml", "padding: 0", "padding: 300000")
    whole = repository.copy(tmp_path / "undisturbed")
    weights = repository.path / ROOT / "weights"
    with tmpfs(weights, "200k"):
        done = repository.snakemake(check=False)
        assert done.returncode != 0
        said = lines_of_tenfold(done.stderr)
        assert said
        assert all("the disk is full; make room and start again" in line for line in said)
        assert half_files(repository) == []
        assert not list(weights.rglob("*.json"))
        enlarge(weights)
        again = repository.snakemake()
        assert "2 toy_count" in again.stderr
    whole.snakemake("--quiet", "all")
    assert repository.checksums("runs") == whole.checksums("runs")


@pytest.mark.parametrize("folder", ["store", "results", ".dvc"])
def test_disk_full_while_recording(recorded_once: Repository, tmp_path: Path, folder: str) -> None:
    repository = recorded_once.copy(tmp_path / "house")
    shutil.rmtree(repository.path / folder / "files" if folder == "store" else repository.path / folder / "cache", True)
    if folder == "results":
        shutil.rmtree(repository.path / "results")
    config = (repository.path / ".dvc/config").read_text()
    with tmpfs(repository.path / folder, "16k"):
        if folder == ".dvc":
            (repository.path / ".dvc/config").write_text(config)
        done = repository.tenfold("record", check=False)
        assert done.returncode == 2
        assert len(lines_of_tenfold(done.stderr)) == 1
        assert "Traceback" not in done.stderr
        assert re.search(r"disk is full|No space left", done.stderr)
        assert half_files(repository) == []
        enlarge(repository.path / folder)
        repository.tenfold("record")
        assert half_files(repository) == []
        assert repository.tenfold("verify").returncode == 0
        assert json.loads(repository.dvc("status", "--cloud", "--json").stdout) == {}


# Damaged, missing, out of reach -------------------------------------------------------------------


def metrics_object(repository: Repository, store: str) -> Path:
    """The object of DVC that holds the metrics of one arm."""
    content = (repository.path / ROOT / "metrics/fancy/s0-2.json").read_bytes()
    name = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return repository.path / store / "files/md5" / name[:2] / name[2:]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_damaged_cache_entry_is_fetched_again(recorded: Repository) -> None:
    damage(metrics_object(recorded, ".dvc/cache"))
    whole = recorded.checksums("runs")
    shutil.rmtree(recorded.path / ROOT / "metrics")
    recorded.tenfold("restore")
    found = recorded.checksums("runs")
    assert found == whole
    assert half_files(recorded) == []


@pytest.mark.parametrize("fault", ["damaged", "missing", "unreachable"])
def test_a_store_with_a_fault_is_one_line(recorded_once: Repository, tmp_path: Path, fault: str) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    entry = clone.path / metrics_object(recorded_once, "store").relative_to(recorded_once.path)
    kept = entry.read_bytes()
    if fault == "damaged":
        damage(entry)
    elif fault == "missing":
        entry.unlink()
    else:
        (clone.path / "store").rename(clone.path / "elsewhere")
    done = clone.tenfold("restore", check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("tenfold: ")
    print(done.stderr)
    if fault == "unreachable":
        (clone.path / "elsewhere").rename(clone.path / "store")
    entry.unlink(missing_ok=True)
    entry.write_bytes(kept)
    clone.tenfold("restore")
    assert clone.waiting() == []


def test_permission_denied_is_one_line(recorded_once: Repository, tmp_path: Path) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    subprocess.run(["chmod", "-R", "a+rX", str(tmp_path)], check=True)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    probe = subprocess.run([*user, "touch", str(clone.path / "probe")], capture_output=True)
    python = subprocess.run([*user, sys.executable, "-c", ""], capture_output=True)
    if probe.returncode == 0 or python.returncode != 0 or os.geteuid() != 0:
        pytest.skip("this machine cannot run the tests' Python as an unprivileged user")
    home = tmp_path / "nobody"
    home.mkdir()
    home.chmod(0o777)
    env = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "DVC_SITE_CACHE_DIR": str(home)}
    for command in (["-m", "tenfold.cli", "restore"], ["-m", "snakemake", "--cores", "1"]):
        done = clone.run(*user, sys.executable, *command, check=False, env=env)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert len(lines_of_tenfold(done.stderr)) == 1, done.stderr


def test_a_read_only_results_directory_is_one_line(recorded: Repository) -> None:
    results = recorded.path / "results"
    shutil.rmtree(results / "small/toy")
    before = recorded.checksums("results")
    bind = subprocess.run(["mount", "--bind", str(results), str(results)], capture_output=True)
    if bind.returncode != 0:
        pytest.skip("this machine cannot mount a folder read-only")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(results)], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (results / "probe").write_text("")
        done = recorded.tenfold("record", check=False)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "the file system is read-only" in done.stderr
        assert recorded.checksums("results") == before
        assert recorded.waiting() == [], "Snakemake does not need to write there"
    finally:
        subprocess.run(["umount", "--lazy", str(results)], check=True)
    recorded.tenfold("record")


# Two at once, odd clocks, plain file systems ------------------------------------------------------


def test_of_two_runs_the_second_names_the_first_and_ends(repository: Repository) -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1"],
        cwd=repository.path,
        env=repository.env | {"TOY_SECONDS_PER_STEP": "0.05"},
        text=True,
        stderr=subprocess.PIPE,
    )
    assert first.stderr is not None
    for line in first.stderr:
        if "start  toy_count" in line:
            break
    second = repository.snakemake(check=False)
    dry = repository.snakemake("--dry-run")
    first.stderr.read()
    first.stderr.close()
    assert first.wait() == 0
    assert second.returncode != 0
    shown = [line for line in second.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    host = os.uname().nodename
    assert shown == [f"tenfold: process {first.pid} on {host} is running the workflow here: wait until it has ended"]
    assert f"process {first.pid} " in dry.stderr
    assert repository.waiting() == []


def test_a_job_waits_for_one_that_a_killed_run_has_left(repository: Repository) -> None:
    cfg = {"seeds": [0], "steps": 20, "rate": 1, "momentum": 2, "arm": "a", "padding": 0}
    files = ["--data", "data.bin", "--weights", "w.json", "--metrics", "m.json", "--times", "t.times.csv"]
    job = [sys.executable, "-m", "tenfold.papers.toy.count", "--cfg", json.dumps(cfg), *files]
    (repository.path / "data.bin").write_bytes(b"data")
    first = subprocess.Popen(
        job,
        cwd=repository.path,
        env=repository.env | {"TOY_SECONDS_PER_STEP": "0.1"},
        text=True,
        stderr=subprocess.PIPE,
    )
    time.sleep(0.7)
    second = repository.run(*job)
    assert first.wait() == 0
    assert first.stderr is not None
    first.stderr.close()
    assert f"process {first.pid} still makes w.json" in second.stderr
    assert json.loads((repository.path / "m.json").read_text())["rows"][0]["seed"] == 0


def test_a_clock_that_was_set_back_an_hour(recorded: Repository) -> None:
    for path in (recorded.path / "runs").rglob("*"):
        if path.is_file():
            times = path.stat()
            os.utime(path, (times.st_atime, times.st_mtime + 3600))
    done = recorded.snakemake()
    assert "files are from the future, was the clock set back?" in done.stderr
    assert "Nothing to be done" in done.stderr
    recorded.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    done = recorded.snakemake()
    assert "1 toy_count" in done.stderr
    assert recorded.waiting() == []


def test_a_file_system_without_reflinks(recorded_once: Repository, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    clone_file = subprocess.run(["cp", "--reflink=always", tmp_path / "a", tmp_path / "b"], capture_output=True)
    if clone_file.returncode == 0:
        pytest.skip("the file system of the tests has reflinks")
    clone = recorded_once.clone(tmp_path / "clone")
    clone.dvc("pull")
    metrics = clone.path / ROOT / "metrics/fancy/s0-2.json"
    assert metrics.stat().st_nlink == 1
    metrics.write_text("{}")
    assert half_files(clone) == [], "the cache has a copy of its own"
