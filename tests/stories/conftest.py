"""A temporary repository with the real house and the torch-free toy paper in it, as a user would clone it."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "tests" / "toy"
HOUSE = [
    "Snakefile",
    ".gitattributes",
    ".gitignore",
    "pyproject.toml",
    "requirements.lock",
    "config/config.yaml",
    "config/datasets.yaml",
    "config/devices.yaml",
    "profiles",
    "workflow/schemas",
    "workflow/rules/data.smk",
    "workflow/rules/report.smk",
    "workflow/report",
    ".dvcignore",
    ".dvc/config",
    ".dvc/.gitignore",
]


@dataclass
class Repository:
    """A story's repository: edit files, run Snakemake and the verbs, see what would run."""

    path: Path
    env: dict[str, str]
    python: str = sys.executable

    def run(
        self, *command: str, env: dict[str, str] | None = None, check: bool = True, cwd: str | Path = "."
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the repository, or in a folder of it, and gives its output as text."""
        done = subprocess.run(
            command,
            cwd=self.path / cwd,
            env=self.env | (env or {}),
            text=True,
            capture_output=True,
            timeout=600,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        return done

    def snakemake(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs Snakemake on two cores."""
        return self.run(sys.executable, "-m", "snakemake", "--cores", "2", *arguments, **options)  # type: ignore[arg-type]

    def tenfold(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs one of Tenfold's verbs."""
        return self.run(sys.executable, "-m", "tenfold.cli", *arguments, **options)  # type: ignore[arg-type]

    def planned(self, *targets: str) -> list[str]:
        """The jobs that Snakemake would run, as the outputs' paths, sorted."""
        summary = self.run(sys.executable, "-m", "snakemake", "--summary", *targets).stdout.splitlines()
        rows = [line.split("\t") for line in summary if "\t" in line]
        plan, name = rows[0].index("plan"), rows[0].index("output_file")
        return sorted(row[name] for row in rows[1:] if row[plan] != "no update")

    def dvc(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs DVC."""
        return self.run(sys.executable, "-m", "dvc", *arguments, **options)  # type: ignore[arg-type]

    def waiting(self, *arguments: str, targets: tuple[str, ...] = ()) -> list[str]:
        """The rules of the jobs that Snakemake would run, sorted, targets left out."""
        done = self.snakemake("--dry-run", *arguments, *targets)
        rules = re.findall(r"^(?:local)?rule (\S+):$", done.stdout, flags=re.MULTILINE)
        return sorted(rule for rule in rules if rule not in ("all", *targets))

    def checksums(self, *folders: str) -> dict[str, str]:
        """SHA-256 of every visible file below the folders, measured times left out."""
        return {
            path.relative_to(self.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in folders
            for path in sorted((self.path / folder).rglob("*"))
            if path.is_file() and "/." not in path.relative_to(self.path).as_posix() and ".times." not in path.name
        }

    def shuffle_times(self, seed: int) -> None:
        """Gives every file of runs/ and data/ a random time of modification."""
        draw = random.Random(seed)
        for folder in ("runs", "data"):
            for path in sorted((self.path / folder).rglob("*")):
                if path.is_file():
                    os.utime(path, (1.7e9, draw.uniform(1e9, 1.7e9)))

    def clone(self, path: Path) -> Repository:
        """A fresh clone, without anything that git does not hold."""
        self.run("git", "clone", "-q", str(self.path), str(path))
        return Repository(path, self.env | {"PYTHONPATH": str(path / "src")})

    def copy(self, path: Path) -> Repository:
        """A copy of the whole folder with all times, as it stands."""
        shutil.copytree(self.path, path, copy_function=shutil.copy2)
        return Repository(path, self.env | {"PYTHONPATH": str(path / "src")})

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces a text that must be there."""
        text = (self.path / file).read_text()
        assert old in text, f"{old!r} is not in {file}"
        (self.path / file).write_text(text.replace(old, new))

    def commit(self, message: str = "A change") -> None:
        """Commits everything."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", message)


def lay_house(path: Path) -> Repository:
    """Copies the house without its papers to a folder, puts the toy paper in and makes it a git repository."""
    for name in HOUSE:
        source, target = ROOT / name, path / name
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    no_papers = shutil.ignore_patterns(
        "__pycache__", *(p.name for p in (ROOT / "src/tenfold/papers").iterdir() if p.is_dir())
    )
    shutil.copytree(ROOT / "src", path / "src", ignore=no_papers)
    shutil.copytree(TOY, path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (path / "config/config.yaml").write_text("edition: small\ndevice: auto\nprecision: auto\npapers: [toy]\n")
    (path / "README.md").write_text("<!-- results:begin -->\n<!-- results:end -->\n")
    home = path.parent / "home"
    home.mkdir(exist_ok=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("TENFOLD", "GIT_", "TOY"))}
    env |= {"PYTHONPATH": str(path / "src"), "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"),
            "DVC_SITE_CACHE_DIR": str(home / "site"),
            "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org"}  # fmt: skip
    repository = Repository(path, env)
    repository.run("git", "init", "-q", "-b", "main")
    repository.commit("The house with a toy paper")
    return repository


@pytest.fixture(scope="session")
def recorded_once(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which everything has run and is on record, for copies and clones."""
    path = tmp_path_factory.mktemp("recorded") / "house"
    path.mkdir()
    repository = lay_house(path)
    repository.snakemake()
    repository.tenfold("record")
    repository.commit("Record the toy")
    return repository


@pytest.fixture
def recorded(recorded_once: Repository, tmp_path: Path) -> Repository:
    """A copy of the recorded repository, its runs/ and .snakemake/ included."""
    return recorded_once.copy(tmp_path / "house")


@pytest.fixture(scope="session")
def restored_once(recorded_once: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A fresh clone of the recorded repository, with everything restored and all times shuffled."""
    repository = recorded_once.clone(tmp_path_factory.mktemp("restored") / "house")
    repository.tenfold("restore")
    repository.snakemake("data/prepared/shapes-10-smoke.safetensors")
    repository.shuffle_times(seed=7)
    return repository


@pytest.fixture
def restored(restored_once: Repository, tmp_path: Path) -> Repository:
    """A copy of the restored clone."""
    return restored_once.copy(tmp_path / "clone")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A fresh repository with the toy paper, nothing run yet."""
    path = tmp_path / "house"
    path.mkdir()
    return lay_house(path)
