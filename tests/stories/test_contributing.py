"""CONTRIBUTING.md adds a paper; typed in to the letter, it does."""

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
COMMANDS = re.compile(r"^```sh\n(.*?)```$", flags=re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^\| `([^`]+)` \|", flags=re.MULTILINE)
RUN = "runs/smoke/dark-knowledge"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which somebody typed in every command of the section."""
    path = tmp_path_factory.mktemp("contributing") / "house"
    path.mkdir()
    repository = lay_house(path)
    for folder in ("scripts", "examples/new_paper"):
        shutil.copytree(ROOT / folder, path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for unwanted in ("config/papers/toy.yaml", "workflow/rules/toy.smk"):
        (path / unwanted).unlink()
    shutil.rmtree(path / "src/tenfold/papers/toy")
    (path / "config/config.yaml").write_text("edition: small\ndevice: auto\nprecision: auto\npapers:\n")
    repository.env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for block in COMMANDS.findall(SECTION):
        for command in block.splitlines():
            repository.run(*command.split())
    return repository


def written(repository: Repository) -> list[Path]:
    """The files of the new paper."""
    return [path for path in repository.path.rglob("*")
            if path.is_file() and re.search("dark.knowledge", str(path.relative_to(repository.path)))
            and path.relative_to(repository.path).parts[0] in ("config", "src", "tests", "workflow")
            and "__pycache__" not in path.parts]  # fmt: skip


def test_the_paper_has_the_files_that_the_section_names_in_150_lines(followed: Repository) -> None:
    assert all((followed.path / name).exists() for name in NAMED.findall(SECTION))
    assert len(NAMED.findall(SECTION)) == 8
    lines = [line for path in written(followed) for line in path.read_text().splitlines() if line.strip()]
    assert len(lines) <= 150
    assert not [line for line in lines if re.search("my.paper", line, re.IGNORECASE)]


def test_it_has_its_table_figure_and_verdict(followed: Repository) -> None:
    rows = (followed.path / RUN / "tables/table-accuracy.csv").read_text()
    assert "plain" in rows and "standardised" in rows
    assert (followed.path / RUN / "figures/figure-accuracy.png").stat().st_size > 10_000
    (claim,) = json.loads((followed.path / RUN / "claims.json").read_text())["claims"]
    assert (claim["id"], claim["verdict"], claim["printed"]["published"]) == ("C1", None, "not recovered")
    assert claim["pipeline_check"] in ("effect visible", "not visible", "reversed")


def test_its_verdict_stands_on_the_scoreboard_and_nothing_is_left_to_do(followed: Repository) -> None:
    followed.snakemake("smoke/all")
    assert "dark-knowledge" in (followed.path / "runs/smoke/scoreboard.md").read_text()
    assert followed.planned("smoke/all") == []


def test_a_changed_arm_reruns_alone(followed: Repository) -> None:
    file, before = "config/papers/dark-knowledge.yaml", "plain: { standardise: false }"
    followed.edit(file, before, "plain: { standardise: true }")
    try:
        planned = followed.planned("smoke/dark-knowledge")
    finally:
        followed.edit(file, "plain: { standardise: true }", before)
    assert f"{RUN}/metrics/plain/s0-2.json" in planned
    assert f"{RUN}/metrics/standardised/s0-2.json" not in planned


def test_its_files_are_in_the_form_that_make_check_wants(followed: Repository) -> None:
    python = [str(path) for path in written(followed) if path.suffix == ".py"]
    followed.run("ruff", "check", "--quiet", *python)
    followed.run("ruff", "format", "--check", *python)
    followed.run("snakefmt", "--check", "workflow/rules/dark-knowledge.smk")


@pytest.mark.parametrize(
    ("slug", "reason"),
    [
        ("dark-knowledge", "is there already; choose another name"),
        ("Dark", "cannot name a paper"),
        ("class", "cannot name a paper"),
        ("../up", "cannot name a paper"),
        ("a" * 29, "cannot name a paper"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_one_line(followed: Repository, slug: str, reason: str) -> None:
    house = (followed.path / "config/config.yaml").read_text()
    done = followed.run("tenfold", "new-paper", slug, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr and done.stderr.count("\n") == 1
    assert (followed.path / "config/config.yaml").read_text() == house
