"""Prepared real datasets go to a remote of their own and come back, and nothing of them enters git or the store."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tenfold.books.data_remote import Remote

from .conftest import Repository

CONTENT = b"pixels of somebody else"
ENTRY = f"""
tiny:
  title: Tiny
  homepage: https://example.org/tiny
  licence: research only
  citation: "Nobody, 2026."
  redistribute: false
  archives:
    - file: tiny.tar
      md5: "{"0" * 32}"
  prepare: {{ kind: cifar, train: [a], test: [b], names: c, classes: {{ labels: l, names: n }} }}
  sha256: "{hashlib.sha256(CONTENT).hexdigest()}"
  md5: "{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()}"
"""
PREPARED = "data/prepared/tiny.safetensors"


@pytest.fixture
def with_data(repository: Repository, tmp_path: Path) -> Repository:
    """A repository with a prepared dataset under closed terms, and a remote for it."""
    registry = repository.path / "config/datasets.yaml"
    registry.write_text(registry.read_text() + ENTRY)
    (repository.path / PREPARED).parent.mkdir(parents=True)
    (repository.path / PREPARED).write_bytes(CONTENT)
    repository.commit("A dataset")
    repository.dvc("remote", "add", "--local", "lab", str(tmp_path / "lab"))
    return repository


def test_data_go_to_their_own_remote_and_come_back(with_data: Repository) -> None:
    said = with_data.tenfold("record", "--data", "--remote", "lab").stdout
    assert said == "tiny: sending 0 MB ...\ntiny: is in the remote lab\n"
    assert with_data.run("git", "status", "--porcelain").stdout == ""
    (with_data.path / PREPARED).unlink()
    assert "tiny: restored from the remote lab" in with_data.tenfold("restore", "--data", "--remote", "lab").stdout
    assert (with_data.path / PREPARED).read_bytes() == CONTENT


def test_a_remote_may_be_a_folder_beside_this_one(with_data: Repository, tmp_path: Path) -> None:
    with_data.dvc("remote", "add", "--local", "near", "../near")
    with_data.tenfold("record", "--data", "--remote", "near", cwd="config")
    assert list((tmp_path / "near").rglob("*")), "not where it would be if data/ were the folder that names it"
    assert with_data.run("git", "status", "--porcelain").stdout == ""


def test_half_a_file_in_a_remote_is_noticed_and_replaced(with_data: Repository, tmp_path: Path) -> None:
    with_data.tenfold("record", "--data", "--remote", "lab")
    (there,) = (path for path in (tmp_path / "lab").rglob("*") if path.is_file())
    there.chmod(0o644)
    there.write_bytes(CONTENT[:5])
    (with_data.path / PREPARED).rename(tmp_path / "kept")
    shutil.rmtree(with_data.path / "data/.dvc/cache")
    done = with_data.tenfold("restore", "--data", "--remote", "lab", check=False)
    assert done.returncode == 2
    assert "tiny" in done.stderr and done.stderr.count("\n") == 1
    assert not (with_data.path / PREPARED).exists()
    there.write_bytes(CONTENT[:5])
    (tmp_path / "kept").rename(with_data.path / PREPARED)
    with_data.tenfold("record", "--data", "--remote", "lab")
    assert there.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["labb", "store"])
def test_only_a_remote_of_ones_own_takes_the_data_of_others(with_data: Repository, name: str) -> None:
    done = with_data.tenfold("record", "--data", "--remote", name, check=False)
    assert done.returncode == 2
    assert done.stderr == (f"tenfold: '{name}' is no remote of your own; allowed: lab; "
                           "dvc remote add --local NAME URL\n")  # fmt: skip


def test_an_empty_remote_has_none_and_one_that_is_not_there_is_said_to_be_missing(
    with_data: Repository, tmp_path: Path
) -> None:
    (with_data.path / PREPARED).unlink()
    done = with_data.tenfold("restore", "--data", "--remote", "lab", check=False)
    assert done.returncode == 2
    assert f"tenfold: remote lab ({tmp_path / 'lab'}): there is no such folder" in done.stderr
    (tmp_path / "lab").mkdir()
    done = with_data.tenfold("restore", "--data", "--remote", "lab", check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "has none of " in done.stderr and "tiny; tenfold record --data --remote lab puts there" in done.stderr


def test_a_remote_of_a_kind_that_is_not_installed(with_data: Repository) -> None:
    with_data.dvc("remote", "add", "--local", "cloud", "gs://bucket/store")  # dvc-gs is nobody's here
    done = with_data.tenfold("record", "--data", "--remote", "cloud", check=False)
    assert done.returncode == 2
    assert done.stderr == ("tenfold: remote cloud (gs://bucket/store): what DVC needs for it is not installed; "
                           "for ssh, S3 and WebDAV: make remotes\n")  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("unexpected error - Permission denied for user a on host b: Permission denied for user a on host b",
         "the server refuses the key: dvc remote modify --local lab keyfile VALUE"),
        ("[Errno 13] Permission denied: '/srv/store'", "no permission to write there"),
        ("Connection lost", "the connection broke; nothing is lost, the same command goes on"),
        ("unexpected error - {'a': 1} is new to us", "unexpected error - {'a': 1} is new to us"),
    ],
)  # fmt: skip
def test_what_dvc_says_of_a_remote_is_said_in_plain_words(reason: str, said: str) -> None:
    fault = Remote("lab", "ssh://me:secret@host/store").fault(reason)
    assert str(fault) == f"remote lab (ssh://me:...@host/store): {said}"


def test_other_bytes_than_registered_are_refused(with_data: Repository) -> None:
    (with_data.path / PREPARED).write_bytes(CONTENT + b"!")
    done = with_data.tenfold("record", "--data", "--remote", "lab", check=False)
    assert done.returncode == 2
    assert "config/datasets.yaml says" in done.stderr
    assert done.stderr.count("\n") == 1
    missing = with_data.tenfold("record", "--data", check=False)
    assert "--data needs --remote NAME" in missing.stderr
