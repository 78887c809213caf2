"""What reruns when: the jobs that an edit concerns, and no others."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from .conftest import Repository, lay_house

ROOT = "runs/small/toy"
SUFFIXES = ("json", "times.csv")
PLAIN = {f"{ROOT}/weights/plain/s0-2.json", *(f"{ROOT}/metrics/plain/s0-2.{suffix}" for suffix in SUFFIXES)}
FANCY = {f"{ROOT}/weights/fancy/s0-2.json", *(f"{ROOT}/metrics/fancy/s0-2.{suffix}" for suffix in SUFFIXES)}
COUNTS = PLAIN | FANCY
FORMS = ("csv", "md", "tex", "cells.json")
TABLE = {*(f"{ROOT}/tables/table-counts.{form}" for form in FORMS), f"{ROOT}/metrics.json", f"{ROOT}/claims.json"}
END = {"runs/small/scoreboard.csv", "runs/small/scoreboard.md"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which everything has run."""
    path = tmp_path_factory.mktemp("finished") / "house"
    path.mkdir()
    repository = lay_house(path)
    repository.snakemake()
    assert repository.planned() == []
    return repository


@pytest.fixture
def done(finished: Repository, tmp_path: Path) -> Repository:
    """A copy of the finished repository, with all times kept."""
    path = tmp_path / "house"
    shutil.copytree(finished.path, path, copy_function=shutil.copy2)
    return Repository(path, finished.env | {"PYTHONPATH": str(path / "src")})


def test_nothing_reruns_for_what_cannot_change_a_result(done: Repository) -> None:
    done.edit("src/tenfold/papers/toy/method.py", '"""One step:', '"""A single step:')
    done.edit("src/tenfold/papers/toy/count.py", "    start = {", "    # where it begins\n    start = {")
    done.edit(
        "config/papers/toy.yaml", "plain: { rate: 1, momentum: 2 }", "plain: { momentum: 2, rate: 1 } # reordered"
    )
    done.edit("src/tenfold/launcher.py", "done in", "took")
    (done.path / "README.md").write_text("Another text\n")
    assert done.planned() == []


def test_a_tidied_rule_reruns_nothing(done: Repository) -> None:
    rules = "workflow/rules/toy.smk"
    done.edit(rules, "# Count, instead of training.", "# 1. Count.")
    done.edit(rules, '    log:\n        "logs/{edition}/toy/count/{arm}/{seeds}.log",\n', "")
    done.edit(
        rules, "    params:", '    log:\n        "logs/{edition}/toy/{arm}/{seeds}.log",\n    threads: 1\n    params:'
    )
    text = (done.path / rules).read_text()
    (done.path / rules).write_text(text.replace('toy.run("count")', 'toy.run("count") + " # as before"'))
    assert done.planned() == []


def test_a_rule_that_is_wired_to_a_wrong_file_fails(done: Repository) -> None:
    done.edit("src/tenfold/papers/toy/grid.py", "/metrics/{arm}/{seeds}.json", "/weights/{arm}/{seeds}.json")
    assert set(done.planned()) == TABLE | END
    failed = done.snakemake(check=False)
    assert failed.returncode != 0
    assert "KeyError: 'arm'" in failed.stderr


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("data=toy.data", "date=toy.data", "lacks input.data and names input.date"),
        ("        times=", "        seconds=", "lacks output.times and names output.seconds"),
        ("    input:\n        data=toy.data,\n", "", "lacks input.data"),
        ("data=toy.data,", "data=toy.data,\n        more=toy.data,", "names input.more"),
    ],
)
def test_a_rule_that_names_other_files_than_its_stage_fails_when_it_is_read(
    repository: Repository, old: str, new: str, wrong: str
) -> None:
    repository.edit("workflow/rules/toy.smk", old, new)
    done = repository.snakemake("-n", check=False)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("tenfold: ")]
    assert line.endswith(f"workflow/rules/toy.smk:6: rule toy_count {wrong}, unlike the signature of its stage")


def test_a_stage_that_there_is_not_fails_when_it_is_read(repository: Repository) -> None:
    repository.edit("workflow/rules/toy.smk", 'toy.run("count")', 'toy.run("cuont")')
    done = repository.snakemake("-n", check=False)
    assert done.returncode == 2
    assert "tenfold: tenfold.papers.toy.cuont is no stage; tenfold.papers.toy has none\n" in done.stderr


def test_the_method_reruns_the_jobs_that_use_it_and_what_follows(done: Repository) -> None:
    done.edit("src/tenfold/papers/toy/method.py", "+ rate + noise", "+ rate - noise")
    assert set(done.planned()) == COUNTS | TABLE | END


def test_the_table_reruns_alone(done: Repository) -> None:
    done.edit("src/tenfold/papers/toy/report/tables.py", "Counts of the toy", "Counts of a toy")
    assert set(done.planned()) == TABLE | END


def test_one_value_of_one_arm_reruns_that_arm_and_what_follows(done: Repository) -> None:
    done.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    assert set(done.planned()) == FANCY | TABLE | END


def test_swapped_values_are_noticed(done: Repository) -> None:
    done.edit("config/papers/toy.yaml", "plain: { rate: 1, momentum: 2 }", "plain: { rate: 2, momentum: 1 }")
    assert set(done.planned()) == PLAIN | TABLE | END


def test_a_changed_pin_reruns_what_imports_that_package(done: Repository) -> None:
    done.edit("requirements.lock", "numpy==2.4.6", "numpy==2.4.7")
    assert TABLE | END <= set(done.planned())
    done.edit("requirements.lock", "numpy==2.4.7", "numpy==2.4.6")
    assert done.planned() == []
    done.edit("requirements.lock", "torchvision==0.26.0", "torchvision==0.27.0")
    assert done.planned() == []


def test_sources_edited_after_the_plan_stop_the_job_in_one_line(repository: Repository) -> None:
    job = [
        sys.executable, "-m", "tenfold.papers.toy.report.tables", "--cfg", "{}", "--code", "0000000000000000",
        "--tables", "table-counts.csv", "--metrics", "m.json", "--claims", "c.json",
    ]  # fmt: skip
    done = repository.run(*job, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "the sources of tenfold.papers.toy.report.tables have changed since the plan was made" in done.stderr
