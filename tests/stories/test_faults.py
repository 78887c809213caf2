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
from contextlib import contextmanager, suppress
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


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can reach (pytest's own can be entered by its user only)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_permission_denied_is_one_line(recorded_once: Repository, public_folder: Path) -> None:
    clone = recorded_once.clone(public_folder / "clone")
    home = public_folder / "nobody"
    home.mkdir()
    home.chmod(0o777)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    probe = subprocess.run([*user, "touch", str(clone.path / "probe")], capture_output=True)
    python = subprocess.run([*user, sys.executable, "-c", ""], capture_output=True)
    if probe.returncode == 0 or python.returncode != 0 or os.geteuid() != 0:
        pytest.skip("this machine cannot run the tests' Python as an unprivileged user")
    # Git trusts the folders of one user only; the environment says that this one is fine.
    env = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "DVC_SITE_CACHE_DIR": str(home / "site"),
           "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}  # fmt: skip
    for command in (["-m", "tenfold.cli", "restore"], ["-m", "snakemake", "--cores", "1"]):
        done = clone.run(*user, sys.executable, *command, check=False, env=env)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        said = lines_of_tenfold(done.stderr)
        assert len(said) == 1, done.stderr
        assert re.search("[Pp]ermission", said[0])


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


@contextmanager
def running(repository: Repository, *targets: str, seconds_per_step: float = 0.3) -> Iterator[subprocess.Popen[str]]:
    """A run of Snakemake whose first long job has started; it is killed at the end where it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", *targets],
        cwd=repository.path,
        env=repository.env | {"TOY_SECONDS_PER_STEP": str(seconds_per_step)},
        text=True,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "start  toy_count" in line:
            break
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if not line.startswith("Using workflow specific profile")]


OTHER = "data/prepared/shapes-100-smoke.safetensors"  # nothing of the toy's needs it


def test_one_process_computes_in_a_folder_and_others_may_look(recorded: Repository) -> None:
    recorded.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    recorded.commit()
    with running(recorded, "small/toy", seconds_per_step=5.0) as first:
        who = f"process {first.pid} on {os.uname().nodename} is running the workflow here"
        refused = (
            f"tenfold: {who}: wait until it has ended, or stop it (Ctrl-C, or kill); what is half done goes on later"
        )
        for command in (["small/toy"], ["--force", OTHER]):
            second = recorded.snakemake(*command, check=False)
            assert (second.returncode, said(second)) == (2, [refused])
        assert not (recorded.path / OTHER).exists()
        restore = recorded.tenfold("restore", check=False)
        assert (restore.returncode, restore.stderr) == (2, refused + "\n")
        for command in (["--dry-run", OTHER], ["--summary", "smoke/toy"], ["smoke/toy", "--dag"]):
            look = recorded.snakemake(*command)
            assert f"tenfold: {who}: what is said is how things stand at this moment" in said(look)
        recorded.tenfold("list")
        recorded.tenfold("explain", "results/small/toy/claims.json")
        recorded.tenfold("verify")
        waiting = recorded.tenfold("record", check=False)
        assert waiting.returncode == 2
        assert "not up to date" in waiting.stderr
        assert first.poll() is None, "it was running all the time"


def test_a_killed_run_holds_nothing_whoever_has_its_process_id_now(recorded: Repository) -> None:
    with running(recorded, "--forceall", "small/toy") as first:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    noted = recorded.path / ".snakemake/tenfold/run.json"
    assert json.loads(noted.read_text())["pid"] == first.pid
    noted.write_text(json.dumps({"pid": os.getpid(), "host": os.uname().nodename}))
    done = recorded.snakemake()
    assert said(done)[0] == "tenfold: an earlier run was killed: its lock is removed, and jobs go on where they can"
    assert recorded.waiting() == []


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGTERM to all"])
def test_a_stopped_run_says_how_to_go_on_and_loses_nothing(recorded_once: Repository, tmp_path: Path, how: str) -> None:
    undisturbed = recorded_once.checksums("runs")
    repository = recorded_once.clone(tmp_path / "house")
    shutil.rmtree(repository.path / "results")
    with running(repository, "small/toy") as process:
        time.sleep(1.5)
        if how == "SIGTERM":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGINT if how == "Ctrl-C" else signal.SIGTERM)
        assert process.stderr is not None
        shown = process.stderr.read()
        assert process.wait(timeout=60) == 1
    done = 2 if how == "SIGTERM" else 1  # Snakemake waits for the job that runs; the data are made before it
    verb = "are" if done == 2 else "is"
    assert shown.splitlines()[-1] == (
        f"stopped: {done} of 5 jobs {verb} done; go on with `snakemake --cores 1 small/toy`"
    )
    assert (" stopped toy_count " in shown) == (how != "SIGTERM")
    for word in ("FAILED", "failed", "Error", "Traceback"):
        assert word not in shown
    resumed = (repository.path / "runs/.resume").exists() and any((repository.path / "runs/.resume").rglob("*.json"))
    assert resumed == (how != "SIGTERM")
    repository.snakemake()
    found = repository.checksums("runs")
    assert found == {path: checksum for path, checksum in undisturbed.items() if path in found}
    assert set(undisturbed) - set(found) == {"runs/small/toy/headline/fancy/s0-2.json"}, "which only a record makes"


def test_two_that_look_do_not_refuse_each_other(repository: Repository) -> None:
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet"]
    both = [subprocess.Popen(command, cwd=repository.path, env=repository.env) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]


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
