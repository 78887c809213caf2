"""The files that describe the environment agree: project, lock, conda, hooks, citation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
PYTHONS = ["3.11", "3.12", "3.13"]


def locked() -> list[tuple[Requirement, list[str]]]:
    """The lock's requirements, each with its hashes."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    split = [line.split("--hash=") for line in lines]
    return [(Requirement(name.strip()), [value.strip() for value in hashes]) for name, *hashes in split]


LOCK = locked()


def locked_versions(name: str, python: str) -> set[str]:
    """The versions of a package that the lock gives on Linux with some Python."""
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    return {
        specifier.version
        for requirement, _ in LOCK
        if canonicalize_name(requirement.name) == canonicalize_name(name)
        and (requirement.marker is None or requirement.marker.evaluate(environment))
        for specifier in requirement.specifier
    }


def test_every_package_of_the_lock_is_pinned_and_hashed() -> None:
    assert len(LOCK) > 100
    for requirement, hashes in LOCK:
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_the_lock_has_one_version_of_what_the_project_wants(wanted: Requirement, python: str) -> None:
    versions = locked_versions(wanted.name, python)
    assert len(versions) == 1
    assert wanted.specifier.contains(versions.pop())


def test_the_python_versions_are_equal_everywhere() -> None:
    wanted = SpecifierSet(PROJECT["requires-python"])
    assert [minor for minor in range(30) if wanted.contains(f"3.{minor}")] == [11, 12, 13]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (python,) = [entry for entry in conda if str(entry).startswith("python ")]
    assert SpecifierSet(python.removeprefix("python ")) == wanted
    header = (ROOT / "requirements.lock").read_text().split("\n", 2)[1]
    assert "--universal --python-version 3.11 " in header
    assert PROJECT["requires-python"] in (ROOT / "scripts" / "check_python.py").read_text()


def test_conda_installs_the_lock_and_nothing_else_through_pip() -> None:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    assert pip == ["-r requirements.lock"]


def test_hooks_run_the_versions_of_the_lock() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    pinned = {
        Path(entry["repo"]).name.removesuffix("-pre-commit"): entry["rev"].removeprefix("v")
        for entry in repositories
        if entry["repo"] != "local"
    }
    assert pinned.keys() == {"ruff", "codespell", "snakefmt"}
    for name, version in pinned.items():
        assert locked_versions(name, "3.11") == {version}


def test_the_citation_is_that_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= citation.keys()
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert f"## [{PROJECT['version']}] - {citation['date-released']}" in (ROOT / "CHANGELOG.md").read_text()


def test_a_checkout_can_be_installed_and_says_its_version(tmp_path: Path) -> None:
    """Without its clone, which it works on, it says so in one line."""
    sources = tmp_path / "checkout"
    shutil.copytree(ROOT / "src", sources / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(tmp_path / "at"), str(sources)], check=True)
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "at")}

    def tenfold(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, tmp_path / "at/bin/tenfold", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, text=True, capture_output=True, check=False)

    assert tenfold("--version").stdout == f"tenfold {PROJECT['version']}\n"
    alone = tenfold("list")
    assert (alone.returncode, alone.stdout, alone.stderr.count("\n")) == (2, "", 1)
    assert "without its clone" in alone.stderr
