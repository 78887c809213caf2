"""Rows that are computed by a bundle on a machine with torch, numpy, safetensors and PyYAML only, and brought back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tenfold.books import run

from .conftest import ROOT, Repository, lay_house

ALL_THERE = ("torch", "numpy", "safetensors", "PyYAML")
ABSENT = ("snakemake", "dvc", "jsonschema", "requests", "pandas", "scipy", "matplotlib", "torchvision")
PLAIN = "runs/full/toy/metrics/plain/s0-2.json"
PAPER = "pruning-from-scratch"
ROW = f"runs/smoke/{PAPER}/metrics/resnet20-c8/full/s0.json"
SLOW = {"TOY_SECONDS_PER_STEP": "0.05"}  # three seconds a job


def needed_by(*names: str) -> set[str]:
    """Some packages, and those that they require on this machine."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            required = map(Requirement, metadata.requires(name) or [])
            waiting += [one.name for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter for which nothing is installed but links to four packages and to what they require."""
    folder, site = tmp_path_factory.mktemp("bare"), Path(sysconfig.get_path("purelib"))
    packages = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    files = (file for name in needed_by(*ALL_THERE) for file in metadata.files(name) or [])
    for entry in {file.parts[0] for file in files} - {"..", "__pycache__"}:
        (packages / entry).symlink_to(site / entry)
    (folder / "bin").mkdir()
    base = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    (folder / "bin" / "python").symlink_to(base)
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with the toy paper and a real one, and the dataset of both at their smallest."""
    path = tmp_path_factory.mktemp("packed") / "house"
    path.mkdir()
    repository = lay_house(path)
    package = f"src/tenfold/papers/{PAPER.replace('-', '_')}"
    shutil.copytree(ROOT / package, path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (f"config/papers/{PAPER}.yaml", f"workflow/rules/{PAPER}.smk"):
        shutil.copy(ROOT / name, path / name)
    repository.edit("config/config.yaml", "[toy]", f"[toy, {PAPER}]")
    repository.commit("A real paper too")
    repository.snakemake("data/prepared/shapes-10-smoke.safetensors")
    return repository


def elsewhere(python: Path, folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Calls run.py in a folder, with nothing of this environment that could help it."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "TMPDIR", "LANG")}
    return subprocess.run(
        [python, "run.py", *arguments], cwd=folder, env=kept | env, text=True, capture_output=True, timeout=300,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def there(house: Repository, bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder elsewhere in which both rows of the toy were computed: cut once in the middle, then to the end."""
    folder = tmp_path_factory.mktemp("there")
    house.tenfold("pack", "full/toy", "--data", "--out", str(folder / "toy.tar"), "--part-size", "300K")
    assert {path.name for path in folder.glob("toy.tar.*")} > {"toy.tar.001", "toy.tar.sha256"}
    cut = elsewhere(bare, folder, "--workers", "2", "--seconds", "2", **SLOW)
    assert cut.returncode == 0 and "0 finished, 0 running, 2 waiting, 0 failed, 0 skipped" in cut.stdout, cut
    shutil.copytree(folder, folder.parent / "cut", dirs_exist_ok=True)
    done = elsewhere(bare, folder, "--workers", "2", "--weights", "--part-size", "3K")
    assert "2 finished, 0 running, 0 waiting, 0 failed, 0 skipped" in done.stdout, done
    assert (folder / "results.tar.003").exists()
    return folder


def record_of(output: str) -> str:
    return run.record_of(output).as_posix()


def archive(path: Path, files: dict[str, bytes]) -> Path:
    run.write_archive(path, dict(files), 1 << 20)
    return path


def contents(listing: Path, folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in run.extract(listing, folder)}


@pytest.fixture
def results(there: Path, tmp_path: Path) -> dict[str, bytes]:
    """What is in results.tar."""
    (tmp_path / "results").mkdir()
    return contents(there / "results.tar.sha256", tmp_path / "results")


@pytest.fixture
def clone(house: Repository, tmp_path: Path) -> Repository:
    """A fresh clone, in which nothing was computed."""
    return house.clone(tmp_path / "clone")


def test_the_interpreter_elsewhere_is_bare(bare: Path) -> None:
    code = "import importlib.util as u, sys; print(*[name for name in sys.argv[1:] if u.find_spec(name)])"
    found = subprocess.run([bare, "-c", code, *ABSENT, "torch", "yaml"], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["torch", "yaml"]


def test_rows_computed_elsewhere_go_on_record(there: Path, clone: Repository) -> None:
    said = clone.tenfold("unpack", "results.tar", cwd=clone.path, check=False)
    assert said.returncode == 2 and "results.tar.sha256 is missing" in said.stderr
    said = clone.tenfold("unpack", str(there / "results.tar.sha256"))
    assert said.stdout == "results.tar.sha256: 2 rows and 0 resume files are in place below runs/\n"
    done = clone.tenfold("record", "--rows", "--edition", "full", "toy")
    assert done.stdout == "full/toy: 2 of 2 rows are on record, the others say that they were not run\n"
    assert clone.waiting(targets=("full/toy",)) == ["toy_tables"]
    assert clone.tenfold("unpack", str(there / "results.tar.000")).returncode == 0, "the same again is no harm"
    clone.edit("config/papers/toy.yaml", "steps: 20", "steps: 21")
    assert clone.waiting(targets=("full/toy",)) == ["data_prepare", "toy_count", "toy_count", "toy_tables"]


def test_a_job_that_was_cut_elsewhere_goes_on_here(there: Path, house: Repository, tmp_path: Path) -> None:
    clone = house.clone(tmp_path / "clone")
    said = clone.tenfold("unpack", str(there.parent / "cut" / "results.tar"))
    assert said.stdout == "results.tar: 0 rows and 2 resume files are in place below runs/\n"
    (resume, _) = sorted((clone.path / "runs/.resume/full/toy").rglob("*.json"))
    state = json.loads(resume.read_text())
    assert state["seed"] or state["step"], "it had begun"
    clone.snakemake(PLAIN)
    assert (clone.path / PLAIN).read_bytes() == (there / PLAIN).read_bytes()
    assert not (clone.path / "runs/.resume/full/toy/weights/plain/s0-2.json").exists()


def test_equal_sources_make_equal_bundles(house: Repository, there: Path, tmp_path: Path) -> None:
    for path in (house.path / "config").rglob("*.yaml"):
        path.touch()
    house.tenfold("pack", "full/toy", "--out", str(tmp_path / "toy.tar"))
    before = b"".join(part.read_bytes() for part in sorted(there.glob("toy.tar.[0-9]*")))
    assert before == (tmp_path / "toy.tar.000").read_bytes()
    files = contents(tmp_path / "toy.tar.sha256", tmp_path)
    assert not any(name.startswith(("data/", "runs/")) for name in files), "neither data nor what was computed"
    prepared = "data/prepared/shapes-10-smoke.safetensors"
    checksum = hashlib.sha256((house.path / prepared).read_bytes()).hexdigest()
    assert json.loads(files["jobs.json"])["data"] == {prepared: checksum}


def test_data_that_are_not_here_are_listed_or_asked_for(clone: Repository) -> None:
    said = clone.tenfold("pack", "full/toy").stdout
    assert "bring data/prepared/shapes-10-smoke.safetensors (SHA-256 1d2437f8" in said
    refused = clone.tenfold("pack", "full/toy", "--data", check=False)
    assert refused.returncode == 2 and "make it first (snakemake data/prepared/shapes-10-smoke" in refused.stderr
    unknown = clone.tenfold("pack", "full/nopaper", check=False)
    assert unknown.returncode == 2 and unknown.stderr.startswith("tenfold: 'nopaper' is not a paper")


def test_rows_of_other_settings_or_other_code_are_refused(there: Path, clone: Repository) -> None:
    clone.edit("config/papers/toy.yaml", "plain: { rate: 1", "plain: { rate: 7")
    one = clone.tenfold("unpack", str(there / "results.tar"), check=False)
    assert (one.returncode, one.stdout[:19]) == (2, "results.tar: 1 rows")
    assert one.stderr.count("\n") == 1 and "with other settings than today's: rate 1 -> 7" in one.stderr
    assert not (clone.path / PLAIN).exists() and (clone.path / PLAIN.replace("plain", "fancy")).exists()
    clone.edit("src/tenfold/papers/toy/method.py", "+ rate + noise", "+ rate - noise")
    both = clone.tenfold("unpack", str(there / "results.tar"), check=False)
    assert both.stderr.count("by other code than today's") == 1 and both.stderr.count("\n") == 2


def test_what_is_not_as_its_record_says_is_refused(
    clone: Repository, tmp_path: Path, results: dict[str, bytes]
) -> None:
    other = json.dumps({"arm": "plain", "rows": [{"seed": 0, "count": 1}]}).encode()
    records = {name: content for name, content in results.items() if "/.run/" in name}
    fancy, unknown = PLAIN.replace("plain", "fancy"), PLAIN.replace("plain", "odd")
    moved = {**json.loads(records[record_of(PLAIN)]), "output": unknown, "sha256": hashlib.sha256(other).hexdigest()}
    wrong = results | {
        PLAIN: other,
        record_of(fancy): b"{}",
        unknown: other,
        record_of(unknown): json.dumps(moved).encode(),
        "runs/.resume/full/toy/weights/plain/s0-2.json": b"{}",
    }
    said = clone.tenfold("unpack", str(archive(tmp_path / "made.tar", wrong)), check=False)
    assert (said.returncode, said.stdout) == (2, "made.tar: 0 rows and 0 resume files are in place below runs/\n")
    assert sorted(line.removeprefix("tenfold: made.tar: ") for line in said.stderr.splitlines()) == [
        "runs/.resume/full/toy/weights/plain/s0-2.json was left by a job of other settings or other code than today's",
        f"{fancy} has no run record, or a damaged one",
        f"{unknown} is made by no job of today's plan",
        f"{PLAIN} is not the file that its run record describes",
    ]
    (clone.path / PLAIN).parent.mkdir(parents=True)
    (clone.path / PLAIN).write_bytes(other)
    said = clone.tenfold("unpack", str(archive(tmp_path / "made.tar", results)), check=False)
    assert f"{PLAIN} is here already, with other bytes" in said.stderr and said.stderr.count("\n") == 1
    assert (clone.path / PLAIN).read_bytes() == other


def test_an_archive_writes_nothing_but_rows(clone: Repository, tmp_path: Path, results: dict[str, bytes]) -> None:
    for name in ("runs/../src/tenfold/files.py", ".git/hooks/x"):
        made = archive(tmp_path / "made.tar", results | {name: b"1 / 0"})
        said = clone.tenfold("unpack", str(made), check=False)
        assert said.returncode == 2 and said.stderr.count("\n") == 1 and name in said.stderr
    assert clone.run("git", "status", "--porcelain").stdout == "" and not list((clone.path / "runs").iterdir())


def test_a_row_of_a_real_paper_is_computed_on_the_bare_machine(house: Repository, bare: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    said = house.tenfold("pack", ROW, "--data", "--out", str(there / "row.tar")).stdout
    assert said.startswith("jobs: 1; "), said
    elsewhere(bare, there, "--workers", "1", "--seconds", "5")
    done = elsewhere(bare, there, "--workers", "1")
    assert done.returncode == 0 and "0 waiting, 0 failed, 0 skipped" in done.stdout, done
    clone = house.clone(tmp_path / "clone")
    assert "rows and 0 resume files" in clone.tenfold("unpack", str(there / "results.tar")).stdout
    kept = clone.tenfold("record", "--rows", "--edition", "smoke", PAPER).stdout
    assert kept.startswith(f"smoke/{PAPER}: 1 of ")
    assert not list(clone.path.glob("runs/**/*.safetensors")), "weights come by choice only"
