"""Guards what git tracks: sizes, paths of machines, data of third parties, merges, and the parts of each paper.

Each guard gives one line for each thing to mend: the file, what is wrong, how to mend it.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from tenfold.books.ledger import CAPS

LARGEST = 1024**2  # bytes, outside store/

# Made by Snakemake, fetched, or not ours to pass on: never in git.
NEVER_TRACKED = ("data", "logs", "runs", ".snakemake", "build")
PICTURES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
SHOWING = PICTURES | {".pdf", ".svg"}
PICTURES_BELONG = ("results", "docs", "store")
DATA_FILES = {
    *(".7z", ".avi", ".bz2", ".ckpt", ".gz", ".h5", ".hdf5", ".mat", ".mid", ".midi", ".mp4", ".npy", ".npz", ".onnx"),
    *(".parquet", ".pickle", ".pkl", ".pt", ".pth", ".rar", ".safetensors", ".tar", ".tgz", ".wav", ".xz", ".zip"),
}

# An absolute path below somebody's home or a machine's own folders. Examples write /path/to or <user> instead.
MACHINE_PATH = re.compile(r"(?<![\w.~:/<>{}$-])/(?:(?:home|Users)/\w|(?:root|work|opt|mnt)/\w)[\w./-]*")
PACKAGE_INDEX = re.compile(r"(?<!\w)--(?:extra-)?index-url\b|https?://(?!pypi\.org/)[^\s/]+(?:/[^\s/]+)*/simple\b")
MERGE_MARKER = re.compile(r"^(?:<{7}|>{7}|\|{7}) ", flags=re.MULTILINE)


@dataclass(frozen=True)
class Repository:
    """The files that git tracks below a root."""

    root: Path

    @property
    def refusal(self) -> str:
        """Why git cannot say what it tracks: no clone, or another user's; empty where it can."""
        command = ["git", "rev-parse", "--git-dir"]
        done = subprocess.run(command, cwd=self.root, check=False, capture_output=True, text=True)
        return " ".join(done.stderr.removeprefix("fatal: ").split())

    @cached_property
    def files(self) -> list[PurePosixPath]:
        """The tracked files that are there, relative to the root."""
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=self.root, check=True, capture_output=True).stdout
        paths = (PurePosixPath(name) for name in listed.decode().split("\0") if name)
        return [path for path in paths if (self.root / path).is_file()]

    @cached_property
    def texts(self) -> dict[PurePosixPath, str]:
        """The content of the tracked text files outside store/ (a file with a zero byte is none)."""
        contents = {path: (self.root / path).read_bytes() for path in self.files if path.parts[0] != "store"}
        return {path: data.decode(errors="replace") for path, data in contents.items() if b"\0" not in data}

    @cached_property
    def names(self) -> set[str]:
        """The tracked files as strings."""
        return {str(path) for path in self.files}

    def names_in(self, *folder: str) -> set[str]:
        """The names of the files and folders in a tracked folder, without suffix."""
        inside = (path for path in self.files if path.parts[: len(folder)] == folder and path.stem != "__init__")
        return {PurePosixPath(path.parts[len(folder)]).stem for path in inside}

    def yaml(self, name: str) -> Any:
        """The content of a YAML file; None where it is not there."""
        path = self.root / name
        return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def large_files(repository: Repository) -> Iterator[str]:
    """Files that make every clone heavier."""
    for path in repository.files:
        size = (repository.root / path).stat().st_size
        if size > LARGEST and path.parts[0] != "store":
            yield f"{path}: has {size / 1024**2:.1f} MiB, allowed is 1 MiB; keep it in DVC (tenfold record) or make it"


def matches(repository: Repository, pattern: re.Pattern[str], wrong: str) -> Iterator[str]:
    """Lines of tracked texts in which a pattern occurs."""
    for path, text in repository.texts.items():
        for found in pattern.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{path}:{line}: {wrong.format(found[0].strip())}"


def machine_paths(repository: Repository) -> Iterator[str]:
    """Paths that exist on one machine only."""
    return matches(repository, MACHINE_PATH, "names a path of one machine, {}; write it relative to the repository")


def package_indexes(repository: Repository) -> Iterator[str]:
    """Places to install from that others may not reach, or should not trust."""
    return matches(repository, PACKAGE_INDEX, "names a package index, {}; leave that to the user's pip settings")


def merge_markers(repository: Repository) -> Iterator[str]:
    """What a merge has left behind."""
    return matches(repository, MERGE_MARKER, "has a merge marker, {}; resolve the conflict")


def untracked_folders(repository: Repository) -> Iterator[str]:
    """Files in folders that are made on each machine, or are private."""
    for path in repository.files:
        if path.parts[0] in NEVER_TRACKED or "private" in path.parts[:-1]:
            yield f"{path}: lies in a folder that is not for git; git rm --cached {path}"


def foreign_formats(repository: Repository) -> Iterator[str]:
    """Files in formats in which data and weights come, where none of ours are."""
    for path in repository.files:
        suffix, folder = path.suffix.lower(), path.parts[0]
        if suffix in PICTURES and folder not in PICTURES_BELONG:
            yield f"{path}: is a picture outside results/ and docs/; only recorded figures of our own belong in git"
        if suffix in DATA_FILES and folder != "store":
            yield f"{path}: is a file of data or weights; fetch or make it, and keep what is ours in store/ through DVC"


def registered_checksums(entry: Any) -> set[str]:
    """All SHA-256 and MD5 checksums in a part of the data registry."""
    if isinstance(entry, dict):
        own = {str(entry[kind]).lower() for kind in ("sha256", "md5") if kind in entry}
        return own.union(*map(registered_checksums, entry.values()))
    if isinstance(entry, list):
        return set().union(*map(registered_checksums, entry))
    return set()


def registered_data(repository: Repository) -> Iterator[str]:
    """Copies of the datasets' files, under whatever name."""
    registered = registered_checksums(repository.yaml("config/datasets.yaml"))
    for path in repository.files:
        content = (repository.root / path).read_bytes()
        own = {hashlib.sha256(content).hexdigest(), hashlib.md5(content, usedforsecurity=False).hexdigest()}
        if own & registered:
            yield f"{path}: is a file of a dataset in config/datasets.yaml; git rm --cached {path}"


def recorded_pictures(repository: Repository) -> Iterator[str]:
    """Recorded pictures whose job read private files, or a dataset that must not be passed on."""
    registry = repository.yaml("config/datasets.yaml") or {}
    closed = {
        f"data/prepared/{name}.safetensors" for name, entry in registry.items() if not entry.get("redistribute", False)
    }
    for path in repository.files:
        if path.parts[0] != "results" or path.name != "provenance.json":
            continue
        for job in json.loads(repository.texts[path])["jobs"]:
            shown = [
                output
                for output in job["outputs"]
                if PurePosixPath(output).suffix.lower() in SHOWING and "private" not in PurePosixPath(output).parts
            ]
            for source in job["inputs"] if shown else ():
                if source in closed or source.startswith("data/raw/") or "private" in PurePosixPath(source).parts:
                    yield f"{path}: {shown[0]} is drawn from {source}, which is not to be passed on; record without it"


def kept_sizes(repository: Repository) -> Iterator[str]:
    """Ledgers that keep more in store/ than a paper may."""
    for path in repository.files:
        if path.parts[0] != "results" or path.name != "dvc.lock":
            continue
        stages = repository.yaml(str(path))["stages"].values()
        size = sum(out["size"] for stage in stages for out in stage["outs"])
        if size > CAPS[path.parts[1]]:
            yield f"{path}: keeps {size / 1e6:.2f} MB in store/, allowed are {CAPS[path.parts[1]] / 1e6:g}; keep less"


def papers(repository: Repository) -> Iterator[str]:
    """Papers that lack a part, and parts without a paper."""
    configured = repository.names_in("config", "papers")
    with_rules = repository.names_in("workflow", "rules")
    packages = repository.names_in("src", "tenfold", "papers")
    listed = set((repository.yaml("config/config.yaml") or {}).get("papers", []))
    for slug in sorted(configured | listed):
        package = slug.replace("-", "_")
        for part in (
            f"config/papers/{slug}.yaml",
            f"workflow/rules/{slug}.smk",
            f"src/tenfold/papers/{package}/method.py",
        ):
            if part not in repository.names:
                yield f"{part}: is missing, the paper {slug} needs it; write it and git add it"
        if not any(name.startswith("tests/") and f"test_{package}" in name for name in repository.names):
            yield f"tests/exact/test_{package}.py: is missing, as is any other test_{package}*.py; write one"
        if slug not in listed:
            yield f"config/config.yaml: does not list {slug} among its papers; add it"
    for package in sorted(packages - {slug.replace("-", "_") for slug in configured}):
        yield f"src/tenfold/papers/{package}: has no config/papers/{package.replace('_', '-')}.yaml; write it"
    for slug in sorted(with_rules - configured - {"data", "report", "provenance"}):
        yield f"workflow/rules/{slug}.smk: has no config/papers/{slug}.yaml; write it"


GUARDS = (
    large_files,
    machine_paths,
    package_indexes,
    merge_markers,
    untracked_folders,
    foreign_formats,
    registered_data,
    recorded_pictures,
    kept_sizes,
    papers,
)


def main(root: Path) -> int:
    """Prints what is to be mended and gives the exit code."""
    repository = Repository(root)
    if refusal := repository.refusal:
        print(f"tenfold: this check asks git what it tracks: {refusal}", file=sys.stderr)
        return 2
    found = [line for guard in GUARDS for line in guard(repository)]
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[1]))
