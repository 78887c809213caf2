"""Two hundred random edits: after each, what depends on it is planned or refused, and nobody says that all is well.

The truth is computed another way: a fresh clone of the edited commit runs everything and records it.
"""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import Repository

EDITS, OFTEN = 200, 4
PAPER, RUNS, RESULTS = "config/papers/toy.yaml", "runs/small/toy", "results/small/toy"
NAMES = ["k3_wide", "Plain", "a/b", "ä", "a b", "fancy-2", "x" * 300, "..", "", "plain\n", "0", "-a"]
Edit = Callable[[Repository, random.Random], str]


# Edits --------------------------------------------------------------------------------------------


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all single values of nested lists and mappings."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [leaf for key, value in inner for leaf in leaves(value, (*path, key))] or [path]


def other(value: Any, draw: random.Random) -> Any:
    """Another value of the same type, or of none."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return draw.choice([value + 1, value * 2 + 1, -1, 0.5, str(value), 10**30])
    return draw.choice([value + "x", value[:-1], value[::-1], "", 3])


def alter(node: Any, draw: random.Random) -> str:
    """Changes, drops or doubles one value of nested lists and mappings, in place."""
    *inner, last = draw.choice([leaf for leaf in leaves(node) if leaf])
    for key in inner:
        node = node[key]
    where, how = ".".join(map(str, [*inner, last])), draw.random()
    if how < 0.7 or isinstance(node, list):
        node[last] = other(node[last], draw)
        return f"{where} = {str(node[last])[:40]!r}"
    value = node.pop(last)
    if how < 0.85:
        return f"{where} dropped"
    name = draw.choice(NAMES)
    node[name] = value
    return f"{where} renamed to {name[:20]!r}"


def edit_yaml(file: str) -> Edit:
    def edit(repository: Repository, draw: random.Random) -> str:
        path = repository.path / file
        tree = yaml.safe_load(path.read_text())
        if file.endswith("datasets.yaml"):
            tree = {name: tree[name] for name in sorted(tree)}
        told = alter(tree["shapes-10-smoke"] if file.endswith("datasets.yaml") else tree, draw)
        path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
        return f"{file}: {told}"

    return edit


def rename_arm(repository: Repository, draw: random.Random) -> str:
    path = repository.path / PAPER
    tree = yaml.safe_load(path.read_text())
    name = draw.choice(NAMES)
    tree["defaults"]["arms"][name] = tree["defaults"]["arms"].pop("fancy") | {"rate": draw.randint(1, 9)}
    path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    return f"arm fancy renamed to {name[:20]!r}"


def edit_code(repository: Repository, draw: random.Random) -> str:
    """Changes one number, operator or text of the paper, or of what it computes and shows with."""
    files = [*(repository.path / "src/tenfold/papers/toy").rglob("*.py")] * 4 + [
        repository.path / f"src/tenfold/{name}.py"
        for name in ("report/tables", "report/verdict", "report/evidence", "measure/statistics", "data/shapes")
    ]
    path = draw.choice([file for file in sorted(files) if file.stat().st_size])
    text = path.read_text()
    tree = ast.parse(text)
    numbers = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and not isinstance(n.value, str | bool | bytes)]
    numbers = [n for n in numbers if isinstance(n.value, int | float)]
    operators = [n for n in ast.walk(tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Add | ast.Sub)]
    if not numbers and not operators:
        return edit_code(repository, draw)
    node = draw.choice([*numbers, *operators])
    if isinstance(node, ast.Constant):
        node.value = float(str(node.value)) + 1 if isinstance(node.value, float) else int(str(node.value)) + 1
    elif isinstance(node, ast.BinOp):
        node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
    path.write_text(ast.unparse(tree) + "\n")
    return f"{path.name}: line {node.lineno}"


def edit_words(repository: Repository, draw: random.Random) -> str:
    """A comment, as an editor would leave it: this one changes no result."""
    path = draw.choice(sorted((repository.path / "src/tenfold").rglob("*.py")))
    path.write_text(path.read_text() + "\n# A remark.\n")
    return f"{path.name}: a comment"


def edit_rule(repository: Repository, draw: random.Random) -> str:
    path = repository.path / draw.choice(["workflow/rules/toy.smk", "workflow/rules/report.smk"])
    lines = path.read_text().splitlines()
    number = draw.randrange(len(lines))
    told = f"{path.name}: line {number + 1} dropped: {lines.pop(number).strip()[:60]}"
    path.write_text("\n".join(lines) + "\n")
    return told


def edit_pin(repository: Repository, draw: random.Random) -> str:
    path = repository.path / "requirements.lock"
    name = draw.choice(["numpy", "pandas", "scipy", "pyyaml"])
    path.write_text(re.sub(rf"^{name}==\S+", f"{name}==0.0.{draw.randrange(9)}", path.read_text(), flags=re.MULTILINE))
    return f"pin of {name}"


def files_below(repository: Repository, *folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((repository.path / folder).rglob("*")) if path.is_file()]


def damage(*folders: str) -> Edit:
    """Flips a byte, cuts, deletes, exchanges or adds a file; with its old time of modification or a new one."""

    def edit(repository: Repository, draw: random.Random) -> str:
        files = [
            path for path in files_below(repository, *folders) if not path.match("*.times.*") and path.suffix != ".lock"
        ]
        path = draw.choice(files)
        told = path.relative_to(repository.path).as_posix()
        was, how = path.stat(), draw.choice(["flip", "cut", "delete", "exchange", "add"])
        content = bytearray(path.read_bytes())
        if how == "flip" and content:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(7)
            path.write_bytes(content)
        elif how == "cut":
            path.write_bytes(content[: len(content) // 2])
        elif how == "exchange":
            path.write_bytes(draw.choice(files).read_bytes())
        elif how == "add":
            path.with_name("added-" + path.name).write_bytes(content)
        else:
            path.unlink()
        if path.exists() and draw.random() < 0.5:
            os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        return f"{how} {told}"

    return edit


def edit_json(pattern: str) -> Edit:
    """Changes one value of a record."""

    def edit(repository: Repository, draw: random.Random) -> str:
        paths = sorted(path for path in repository.path.glob(pattern) if path.is_file())
        path = draw.choice(paths or [repository.path / RESULTS / "provenance.json"])  # restored files have none
        tree = json.loads(path.read_text())
        told = alter(tree, draw)
        path.write_text(json.dumps(tree, indent=1, sort_keys=True) + "\n")
        return f"{path.relative_to(repository.path)}: {told}"

    return edit


def lose_notes(repository: Repository, draw: random.Random) -> str:
    """Snakemake's notes, or ours beside the results, are gone."""
    folder = repository.path / draw.choice([".snakemake", ".snakemake/metadata", f"{RUNS}/.run", f"{RUNS}/tables/.run"])
    shutil.rmtree(folder)
    return f"without {folder.name}"


def edit_times(repository: Repository, draw: random.Random) -> str:
    for path in files_below(repository, "runs", "data"):
        when = draw.uniform(1e9, 1.7e9)
        os.utime(path, (when, when))
    return "times of modification shuffled"


KINDS: list[Edit] = [
    edit_yaml(PAPER), edit_yaml(PAPER), edit_yaml("config/config.yaml"), edit_yaml("config/datasets.yaml"), rename_arm,
    edit_code, edit_code, edit_words, edit_rule, edit_pin,
    damage("runs"), damage("runs"), damage("results"), damage("results"), damage("store", "data"),
    edit_json(f"{RUNS}/**/.run/*.json"), edit_json(f"{RESULTS}/provenance.json"),
    edit_json(f"{RUNS}/**/metrics/**/s*.json"), edit_json(f"{RESULTS}/*.json"), lose_notes, edit_times,
]  # fmt: skip


# What is true -------------------------------------------------------------------------------------


def committed(repository: Repository) -> dict[str, str]:
    return repository.checksums("results")


def truth(repository: Repository, path: Path) -> tuple[dict[str, str], dict[str, str]] | None:
    """What a fresh clone computes and records: checksums of runs/ and results/; None where it cannot."""
    clone = repository.clone(path)
    shutil.rmtree(clone.path / "results")
    clone.commit("Nothing is on record")
    if clone.snakemake("small/toy", "--config", "edition=small", check=False).returncode != 0:
        return None
    if clone.tenfold("record", "toy", "--edition", "small", check=False).returncode != 0:
        return None
    return clone.checksums(RUNS), clone.checksums(RESULTS)


def one_line(said: str) -> bool:
    """Whether a refusal is for the eye: no traceback."""
    return "Traceback" not in said and "Exception in" not in said


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < OFTEN else pytest.mark.slow) for seed in range(EDITS)]
)
def test_nothing_old_passes_as_new(recorded: Repository, restored_once: Repository, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    repository = recorded if draw.random() < 0.5 else restored_once.copy(tmp_path / "restored")
    before = committed(repository)
    sound = repository.checksums(RUNS)
    told = KINDS[seed % len(KINDS)](repository, draw)
    repository.commit(told or "An edit")
    print(f"seed {seed}: {told}")
    damaged = committed(repository) != before

    dry = repository.snakemake("--dry-run", "small/toy", "--config", "edition=small", check=False)
    assert one_line(dry.stderr + dry.stdout), dry.stderr + dry.stdout
    nothing_planned = dry.returncode == 0 and "Nothing to be done" in dry.stdout + dry.stderr
    verified = repository.tenfold("verify", check=False)
    assert one_line(verified.stderr), verified.stderr
    here = repository.checksums(RUNS)
    accepted = repository.tenfold("record", "toy", "--edition", "small", check=False)
    assert one_line(accepted.stderr), accepted.stderr
    assert accepted.returncode in (0, 2), accepted.stderr

    if damaged or here != {path: checksum for path, checksum in sound.items() if path in here}:
        assert verified.returncode != 0, f"{told}: verify says {verified.stdout}"
    if accepted.returncode == 0 or nothing_planned:
        true = truth(repository, tmp_path / "truth")
        assert true is not None, f"{told}: a fresh clone cannot compute this, yet all is said to be well"
        runs, results = true
        if accepted.returncode == 0:
            found = repository.checksums(RESULTS)
            differing = [path for path in results if found.get(path) != results[path] and not path.endswith("dvc.lock")]
            assert differing == [], f"{told}: recorded what is not true"
        else:
            as_computed = all(here.get(path) in (None, checksum) for path, checksum in runs.items())
            assert as_computed or verified.returncode != 0, f"{told}: nothing is planned, and nothing said"
