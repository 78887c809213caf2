"""CONTRIBUTING.md adds a paper; followed to the letter, it does."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, Repository, lay_house

SECTION = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## Add a paper\n")[2].partition("\n## ")[0]
BLOCK = re.compile(r"^\*\*(append to )?`([^`]+)`\*\*\n\n```\w+\n(.*?)```$", flags=re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)```$", flags=re.MULTILINE | re.DOTALL)
RUN = "runs/smoke/rectifier-init"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which somebody wrote every file of the section and ran every command."""
    path = tmp_path_factory.mktemp("contributing") / "house"
    path.mkdir()
    repository = lay_house(path)
    shutil.copytree(ROOT / "scripts", path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for unwanted in ("config/papers/toy.yaml", "workflow/rules/toy.smk"):
        (path / unwanted).unlink()
    shutil.rmtree(path / "src/tenfold/papers/toy")
    (path / "config/config.yaml").write_text("edition: small\ndevice: auto\nprecision: auto\npapers:\n")
    for append, name, content in BLOCK.findall(SECTION):
        file = path / name
        assert file.exists() == bool(append), f"{name} is there, or is not, before its step"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if append else "w") as stream:
            stream.write(content)
    repository.env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for block in COMMANDS.findall(SECTION):
        for command in block.splitlines():
            repository.run(*command.split())
    return repository


def test_the_section_has_every_part_of_a_paper() -> None:
    written = [name for _, name, _ in BLOCK.findall(SECTION)]
    assert len(written) == len(set(written)) == SECTION.count("```") // 2 - len(COMMANDS.findall(SECTION))
    assert COMMANDS.findall(SECTION)


def test_the_new_paper_has_its_table_and_its_verdict(followed: Repository) -> None:
    rows = (followed.path / RUN / "tables/table-sizes.csv").read_text()
    assert "rectifier" in rows and "linear" in rows
    (claim,) = json.loads((followed.path / RUN / "claims.json").read_text())["claims"]
    assert (claim["id"], claim["pipeline_check"], claim["verdict"]) == ("C1", "by construction", None)
    assert claim["printed"]["published"] == "not recovered"
    # Ten layers of variance 1/n lose half of the power each, those of variance 2/n none.
    assert claim["readings"][0]["estimate"] == pytest.approx(1.505, abs=0.1)


def test_its_verdict_stands_on_the_scoreboard_and_nothing_is_left_to_do(followed: Repository) -> None:
    followed.snakemake("smoke/all")
    assert "rectifier-init" in (followed.path / "runs/smoke/scoreboard.md").read_text()
    assert followed.planned("smoke/all") == []


def test_a_changed_gain_reruns_its_arm_alone(followed: Repository) -> None:
    followed.edit("config/papers/rectifier-init.yaml", "linear: { gain: 1 }", "linear: { gain: 1.5 }")
    try:
        planned = followed.planned("smoke/rectifier-init")
    finally:
        followed.edit("config/papers/rectifier-init.yaml", "linear: { gain: 1.5 }", "linear: { gain: 1 }")
    assert f"{RUN}/metrics/linear/s0-2.json" in planned
    assert f"{RUN}/metrics/rectifier/s0-2.json" not in planned


def test_its_files_are_in_the_form_that_make_check_wants(followed: Repository) -> None:
    python = [name for _, name, _ in BLOCK.findall(SECTION) if name.endswith(".py")]
    followed.run("ruff", "check", "--quiet", *python)
    followed.run("ruff", "format", "--check", *python)
    followed.run("snakefmt", "--check", "workflow/rules/rectifier-init.smk")
