"""The guards of the repository find what they are for, and this repository passes them; make says what it does."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tenfold import cli

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    """One of the scripts as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


check_repository = script("check_repository")
lint_workflow = script("lint_workflow")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small repository with one whole paper, which passes all guards."""
    for name, content in {
        "README.md": "Clone it to /home/<user>/tenfold, or see https://example.org/work/x and src/work/x.\n",
        "config/config.yaml": "papers: [rco-x]\n",
        "config/datasets.yaml": "digits:\n  files:\n    - {name: digits.bin, sha256: " + sha256(b"digits") + "}\n",
        "config/papers/rco-x.yaml": "{}\n",
        "workflow/rules/data.smk": "",
        "workflow/rules/rco-x.smk": "",
        "src/tenfold/data/images.py": "",
        "src/tenfold/papers/rco_x/method.py": "",
        "tests/exact/test_rco_x.py": "",
        "results/small/rco-x/figure.png": "\0",
        "tests/toy/config/papers/toy.yaml": "{}\n",
        "tests/toy/src/tenfold/papers/toy/count.py": "",
        "src/tenfold/papers/__init__.py": "",
    }.items():
        write(tmp_path / name, content)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def complaints(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    subprocess.run(["git", "add", "--all", "--force"], cwd=root, check=True)
    code = check_repository.main(root)
    lines = capsys.readouterr().err.splitlines()
    assert code == (1 if lines else 0)
    return lines


def test_this_repository_passes_its_guards() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone: there are no tracked files to guard")
    assert [line for guard in check_repository.GUARDS for line in guard(check_repository.Repository(ROOT))] == []


def test_a_repository_without_faults_passes(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaints(repository, capsys) == []


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("notes.txt", "x" * (1024**2 + 1), "has 1.0 MiB, allowed is 1 MiB"),
        ("notes.md", "see\n" + "/ho" + "me/ada/tenfold\n", ":2: names a path of one machine, /ho" + "me/ada/tenfold"),
        ("a.yaml", "path: '/op" + "t/data'", ":1: names a path of one machine"),
        ("requirements.txt", "--extra" + "-index-url x", "names a package index"),
        ("pip.conf", "https://pypi.ex" + "ample.org/root/simple/", "names a package index"),
        ("a.py", "<" * 7 + " HEAD\n", ":1: has a merge marker"),
        ("data/prepared/x.bin", "x", "lies in a folder that is not for git"),
        ("results/small/rco-x/private/scores.csv", "x", "lies in a folder that is not for git"),
        ("docs/batch.pkl", "x", "is a file of data or weights"),
        ("tests/face.jpg", "x", "is a picture outside results/ and docs/"),
        ("docs/innocent.txt", "digits", "is a file of a dataset in config/datasets.yaml"),
    ],
)
def test_each_guard_names_the_file_and_what_is_wrong(
    repository: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, complaint: str
) -> None:
    write(repository / name, content)
    (line,) = complaints(repository, capsys)
    assert line.startswith(f"{name}:")
    assert complaint in line


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("workflow/rules/rco-x.smk", "workflow/rules/rco-x.smk: is missing, the paper rco-x needs it"),
        ("src/tenfold/papers/rco_x/method.py", "src/tenfold/papers/rco_x/method.py: is missing"),
        ("tests/exact/test_rco_x.py", "tests/exact/test_rco_x.py: is missing"),
        ("config/papers/rco-x.yaml", "config/papers/rco-x.yaml: is missing"),
    ],
)
def test_a_paper_needs_all_its_parts(
    repository: Path, capsys: pytest.CaptureFixture[str], missing: str, complaint: str
) -> None:
    (repository / missing).unlink()
    assert complaints(repository, capsys)[0].startswith(complaint)


def test_a_paper_that_is_not_listed_is_found(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(repository / "config/config.yaml", "papers: []\n")
    (line,) = complaints(repository, capsys)
    assert line == "config/config.yaml: does not list rco-x among its papers; add it"


def test_the_store_may_hold_large_files(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(repository / "store/files/md5/ab/cdef", "x" * (2 * 1024**2))
    assert complaints(repository, capsys) == []


def test_lint_findings_are_kept_but_for_the_environment() -> None:
    report = (
        "Lints for rule train (line 3, Snakefile):\n"
        "    * Specify a conda environment or container for each rule.:\n      This way, ...\n"
        "    * No log directive defined:\n      Without a log directive, ...\n\n"
        "Lints for snakefile Snakefile:\n    * Tab usage in line 4.:\n      Both ...\n"
    )
    assert lint_workflow.findings(report) == [
        "rule train (line 3, Snakefile): No log directive defined; see `snakemake --lint`",
        "snakefile Snakefile: Tab usage in line 4; see `snakemake --lint`",
    ]


@pytest.mark.parametrize(("log", "code"), [("", 1), ("    log: 'train.log'\n", 0)])
def test_lint_fails_on_a_rule_without_a_log(tmp_path: Path, log: str, code: int) -> None:
    write(tmp_path / "Snakefile", f"rule train:\n    output: 'w'\n{log}    shell: 'touch {{output}}'\n")
    command = [sys.executable, str(ROOT / "scripts" / "lint_workflow.py")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == code
    assert run.stderr.count("No log directive defined") == code


def test_lint_shows_why_the_rules_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path / "Snakefile", "raise ValueError('broken rules')\n")
    command = [sys.executable, str(ROOT / "scripts" / "lint_workflow.py")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "broken rules" in run.stderr


def test_make_lists_its_targets_in_a_folder_with_a_space(tmp_path: Path) -> None:
    folder = tmp_path / "ten fold"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    listed = subprocess.run(["make"], cwd=folder, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^make (\S+) ", listed, flags=re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony is not None
    assert targets == set(phony[1].split()) - {"always"}
    assert {"reproduce", "test", "check"} <= targets


@pytest.mark.parametrize(
    ("arguments", "asked", "target"),
    [
        ([], [], "small/all"),
        (["EDITION=real"], ["--edition", "real"], "real/all"),
        (["PAPER=pruning-from-scratch"], ["pruning-from-scratch"], "small/pruning-from-scratch"),
    ],
)
def test_make_reproduce_runs_a_target_whose_names_were_checked(
    arguments: list[str], asked: list[str], target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["make", "--dry-run", "--assume-old=.venv/.ready", "reproduce", *arguments]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    first, run, compare = planned.split(" && ")
    assert first.removeprefix("target=$(").removesuffix(")").split() == [".venv/bin/tenfold", "target", *asked]
    assert run == ".venv/bin/snakemake $target"
    assert compare.split() == [".venv/bin/tenfold", "compare", *asked]
    assert cli.main(["target", *asked]) == 0
    assert capsys.readouterr().out == f"{target}\n"


def test_an_unknown_paper_stops_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["target", "nope"]) == 2
    assert capsys.readouterr().err.startswith("tenfold: 'nope' is not a paper; allowed: all, ")


def test_a_python_that_is_too_old_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    check_python = script("check_python")
    assert check_python.problem() == ""
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert check_python.problem().startswith(f"Python 3.10 at {sys.executable} is outside >=3.11,<3.14: ")
    assert "\n" not in check_python.problem()


def test_a_python_without_venv_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert "has no venv module: apt install python3-venv" in script("check_python").problem()


def test_continuous_integration_runs_the_checks_and_then_the_tests() -> None:
    ci = ROOT / ".ci" / "run"
    assert ci.stat().st_mode & 0o111
    assert ci.read_text().splitlines()[-2:] == ["make check", "make test"]
    subprocess.run(["bash", "-n", str(ci)], check=True)


@pytest.mark.parametrize("name", ["default", "slurm"])
def test_profiles_show_progress_and_compare_large_files_by_checksum(name: str) -> None:
    profile = yaml.safe_load((ROOT / "profiles" / name / "profile.yaml").read_text())
    assert profile["logger"] == ["tenfold"]
    assert profile["rerun-incomplete"] is True
    assert profile["max-checksum-file-size"] == "2GB"


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda page: page.name)
def test_links_to_files_of_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
