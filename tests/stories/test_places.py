"""The same answer wherever the project lies: an archive without git, other users' folders, moved and linked ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import ROOT as HOUSE
from .conftest import Repository

TABLE = "results/small/toy/tables/table-counts.csv"


def unpacked(repository: Repository, path: Path) -> Repository:
    """What is in git of a repository, without git, as a ZIP archive has it."""
    path.mkdir(parents=True)
    repository.run("bash", "-c", 'git archive HEAD | tar -x -C "$0"', str(path))
    return Repository(path, repository.env | {"PYTHONPATH": str(path / "src")})


@pytest.mark.parametrize("name", ["house", "Müller's Ärger & co (1) $x/ten fold"])
def test_an_unpacked_archive_restores_and_says_what_only_git_knows(
    recorded_once: Repository, tmp_path: Path, name: str
) -> None:
    archive = unpacked(recorded_once, tmp_path / name)
    assert "small/toy: restored" in archive.tenfold("restore").stdout
    assert archive.waiting() == []
    assert "0 are not what their record says" in archive.tenfold("verify").stdout
    assert "small/toy: same bytes" in archive.tenfold("compare").stdout
    assert archive.dvc("status", "--json").stdout.strip() == "{}", "DVC's own commands work too"
    explained = archive.tenfold("explain", TABLE).stdout
    assert "provenance.json; since when cannot be told: there is no git history here" in explained
    assert "not committed" not in explained
    for verb in (["record"], ["gc"], ["restore", "--rev", "HEAD"]):
        done = archive.tenfold(*verb, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("tenfold: this asks git, and here is no clone")
        assert done.stderr.count("\n") == 1


def test_an_archive_unpacked_in_another_project_does_not_ask_its_git(recorded_once: Repository, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    archive = unpacked(recorded_once, tmp_path / "house")
    assert "small/toy: restored" in archive.tenfold("restore").stdout
    assert archive.tenfold("record", check=False).stderr.startswith("tenfold: this asks git, and here is no clone")


def test_the_guards_of_the_repository_say_that_they_ask_git(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(HOUSE / "scripts" / "check_repository.py", tmp_path / "scripts")
    command = [sys.executable, "scripts/check_repository.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("tenfold: this check asks git what it tracks: not a git repository")
    assert done.stderr.count("\n") == 1


def test_a_shallow_clone_names_no_commit_as_the_records_own(recorded: Repository, tmp_path: Path) -> None:
    recorded.edit("README.md", "<!-- results:end -->", "<!-- results:end -->\nMore.")
    recorded.commit("After the record")
    path = tmp_path / "shallow"
    recorded.run("git", "clone", "-q", "--depth", "1", f"file://{recorded.path}", str(path))
    shallow = Repository(path, recorded.env | {"PYTHONPATH": str(path / "src")})
    boundary = shallow.run("git", "log", "-1", "--format=%h").stdout.strip()
    text = shallow.tenfold("explain", TABLE).stdout
    assert "since when cannot be told: this clone is shallow (git fetch --unshallow)" in text
    assert boundary not in text
    shallow.run("git", "fetch", "-q", "--unshallow")
    own = recorded.run("git", "rev-parse", "--short", "HEAD~1").stdout.strip()
    assert f"commit {own} of " in shallow.tenfold("explain", TABLE).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_git_says_why_it_does_not_work_in_another_users_folder(recorded: Repository) -> None:
    recorded.run("chown", "-R", "65534", str(recorded.path))
    explained = recorded.tenfold("explain", TABLE).stdout
    assert "since when cannot be told: git rev-parse: detected dubious ownership" in explained
    for verb in (["record"], ["restore", "--rev", "HEAD"]):
        done = recorded.tenfold(*verb, check=False)
        assert done.returncode == 2
        assert "detected dubious ownership" in done.stderr
        assert "git config --global --add safe.directory" in done.stderr
        assert done.stderr.count("\n") == 1
    assert "small/toy: restored" in recorded.tenfold("restore").stdout


def test_a_clone_with_windows_line_ends_is_as_recorded(recorded_once: Repository, tmp_path: Path) -> None:
    path = tmp_path / "crlf"
    recorded_once.run("git", "clone", "-q", "-c", "core.autocrlf=true", str(recorded_once.path), str(path))
    clone = Repository(path, recorded_once.env | {"PYTHONPATH": str(path / "src")})
    clone.tenfold("restore")
    assert "0 are not what their record says" in clone.tenfold("verify").stdout


def test_an_installed_package_without_its_clone_says_so(tmp_path: Path) -> None:
    shutil.copytree(HOUSE / "src" / "tenfold", tmp_path / "lib" / "tenfold")
    for verb in (["verify"], ["explain", "a"], ["target"]):
        done = subprocess.run(
            [sys.executable, "-m", "tenfold.cli", *verb],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "lib")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr.startswith(f"tenfold: tenfold is installed in {tmp_path}/lib/tenfold without its clone")
        assert done.stderr.count("\n") == 1


def test_a_missing_object_of_the_store_is_named_with_its_mend(recorded_once: Repository, tmp_path: Path) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    lock = yaml.safe_load((clone.path / "results/small/toy/dvc.lock").read_text())
    (stage,) = lock["stages"].values()
    listing = clone.path / "store/files/md5" / stage["outs"][0]["md5"][:2] / stage["outs"][0]["md5"][2:]
    entries = yaml.safe_load(listing.read_text())
    gone = entries[0]["md5"]
    for md5, removed in ((gone, f"{gone[:2]}/{gone[2:]}"), ("", "/".join(listing.parts[-2:]))):
        (clone.path / "store/files/md5" / removed).unlink()
        done = clone.tenfold("restore", check=False)
        assert done.returncode == 2
        assert f"store/files/md5/{removed}: is missing" in done.stderr, md5
        assert "git checkout -- store" in done.stderr
        clone.run("git", "checkout", "-q", "--", "store")
    assert "small/toy: restored" in clone.tenfold("restore").stdout


def test_links_to_other_disks_are_not_for_git(recorded_once: Repository, tmp_path: Path) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    for name in ("runs", "data", "logs", ".venv", "build"):
        (clone.path / name).symlink_to(tmp_path)
    (clone.path / "dvc_plots").mkdir()
    (clone.path / "dvc_plots" / "index.html").write_text("plots")
    assert clone.run("git", "status", "--porcelain").stdout == ""


# The environment --------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with what sets .venv up, and a .venv that looks as `python -m venv` leaves it, but installs nothing."""
    folder = tmp_path / "house"
    (folder / "scripts").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "scripts/set_up.sh", "scripts/check_python.py"):
        shutil.copy(HOUSE / name, folder / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$@" >>installed\n[ "$8" != -r ] || cat "$9" >.venv/packages\n')
    python.chmod(0o755)
    (folder / ".venv" / "pyvenv.cfg").write_text(f"home = /usr\ncommand = /usr/bin/python3 -m venv {folder}/.venv\n")
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Sets the environment up, as every target of make does first."""
    command = ["make", *arguments, ".venv/.ready"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_packages_are_installed_when_the_lock_has_changed_whatever_the_times_say(bare: Path) -> None:
    assert make(bare).stderr == "tenfold: bringing .venv up to requirements.lock ...\n"
    installed = (bare / "installed").read_text()
    assert "--require-hashes" in installed
    os.utime(bare / "requirements.lock")
    assert make(bare).stderr == "", "a touched lock is the same lock"
    assert (bare / "installed").read_text() == installed
    with (bare / "requirements.lock").open("a") as lock:
        lock.write("# another\n")
    os.utime(bare / "requirements.lock", (1, 1))
    assert "bringing .venv up" in make(bare).stderr


def test_an_environment_that_was_moved_is_refused_with_its_mend(bare: Path, tmp_path: Path) -> None:
    make(bare)
    moved = bare.rename(tmp_path / "moved")
    done = make(moved)
    assert done.returncode == 2
    said = f"tenfold: .venv was made as {bare}/.venv and does not work in {moved}: rm -rf .venv, then make"
    assert said in done.stderr
    link = tmp_path / "house"
    link.symlink_to(moved)
    assert make(link).returncode == 0, "a link to the folder at its old place is the old place"


def test_a_linked_environment_is_left_alone_and_its_owner_named(bare: Path, tmp_path: Path) -> None:
    make(bare)
    before = (bare / "installed").read_text()
    worktree = tmp_path / "worktree"
    shutil.copytree(bare, worktree, ignore=shutil.ignore_patterns(".venv"))
    (worktree / ".venv").symlink_to(bare / ".venv")
    done = make(worktree)
    assert done.returncode == 0
    assert done.stderr == f"tenfold: .venv is that of {bare}; it is left as it is\n"
    with (worktree / "requirements.lock").open("a") as lock:
        lock.write("# another\n")
    assert "which is not of this requirements.lock" in make(worktree).stderr
    assert (bare / "installed").read_text() == before
    (worktree / ".venv").unlink()
    (worktree / ".venv").symlink_to(tmp_path / "gone")
    assert make(worktree).returncode == 2


def test_cuda_0_keeps_to_what_it_was_and_leaves_out_what_torch_can_do_without(bare: Path) -> None:
    assert make(bare, "CUDA=0").returncode == 0
    assert (bare / ".venv" / ".ready").read_text().endswith(" CUDA=0\n")
    assert make(bare).stderr == "", "later commands need not repeat it"
    names = {line.partition("==")[0] for line in (bare / ".venv" / "packages").read_text().splitlines() if "==" in line}
    assert {"torch", "nvidia-cublas", "snakemake"} <= names
    assert not {"triton", "nvidia-cusolver", "cuda-toolkit"} & names
    left = [line for line in (bare / ".venv" / "packages").read_text().splitlines() if line.startswith("    --hash")]
    whole = [line for line in (bare / "requirements.lock").read_text().splitlines() if line.startswith("    --hash")]
    assert 0 < len(left) < len(whole), "hashes go with their package"
    assert make(bare, "CUDA=1").stderr == "tenfold: bringing .venv up to requirements.lock ...\n"
