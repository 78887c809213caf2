"""What an edit of shared code makes of the jobs on record: nothing, where no number can change."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tenfold.books.plan import planned
from tenfold.identity.digest import ROOT, Code

Edit = Callable[[Path], None]


@cache
def recorded() -> list[tuple[str, str, str, dict[str, Any]]]:
    """All jobs on record: rule, module, stage and configuration."""
    found = []
    for path in sorted((ROOT / "results").glob("*/*/provenance.json")):
        for job in json.loads(path.read_text())["jobs"]:
            found.append((job["rule"], job["module"], job["stage"], job["cfg"]))
    return found


def digests(root: Path) -> list[str]:
    code = Code(root)
    return [code.of_job(module, stage, cfg) for _, module, stage, cfg in recorded()]


@pytest.fixture(scope="module")
def before() -> list[str]:
    """The digests of all recorded jobs."""
    assert len(recorded()) > 300
    return digests(ROOT)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    return tmp_path


def stale(copy: Path, before: list[str]) -> set[str]:
    """The rules whose jobs have another digest in the copy."""
    pairs = zip(recorded(), before, digests(copy), strict=True)
    return {rule for (rule, *_), old, new in pairs if old != new}


def replaced(file: str, old: str, new: str) -> Edit:
    """An edit of one file."""

    def edit(root: Path) -> None:
        path = root / "src/tenfold" / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new))

    return edit


def renamed(name: str, other: str) -> Edit:
    """A definition with another name, everywhere."""

    def edit(root: Path) -> None:
        changed = 0
        for path in (root / "src").rglob("*.py"):
            text = path.read_text()
            path.write_text(re.sub(rf"\b{name}\b", other, text))
            changed += path.read_text() != text
        assert changed

    return edit


def moved(file: str, name: str, target: str) -> Edit:
    """A class or function moved to a file of its own, from which its old place imports it."""

    def edit(root: Path) -> None:
        path = root / "src/tenfold" / file
        text = path.read_text()
        found = re.search(rf"^(?:@.*\n)*(?:class|def) {name}\b.*?(?=^\S|\Z)", text, flags=re.MULTILINE | re.DOTALL)
        while found and text[found.end() :].startswith(")"):  # a signature over several lines
            rest = re.search(r"(?=^[^\s)])|\Z", text[found.end() :], flags=re.MULTILINE)
            assert rest is not None
            found = re.compile(re.escape(text[found.start() : found.end() + rest.end()])).search(text)
        assert found, f"{name} is not in {file}"
        head = text[: re.search(r"^(?=class |def |[A-Z_]+\b.* = |@)", text, flags=re.MULTILINE).start()]  # type: ignore[union-attr]
        own = ".".join(["tenfold", *Path(file).with_suffix("").parts])
        others = re.findall(r"^(?:class |def )?([A-Za-z_]\w*)\b(?=[(:]| = )", text, flags=re.MULTILINE)
        names = ", ".join(sorted({other for other in others if re.search(rf"\b{other}\b", found[0])} - {name}))
        back = f"from {own} import {names}\n" if names else ""
        (root / "src/tenfold" / target).write_text(head + back + found[0])
        module = ".".join(["tenfold", *Path(target).with_suffix("").parts])
        path.write_text(text[: found.start()] + f"from {module} import {name}\n" + text[found.end() :])

    return edit


def appended(file: str, text: str) -> Edit:
    """More at the end of a file."""

    def edit(root: Path) -> None:
        path = root / "src/tenfold" / file
        path.write_text(path.read_text() + text)

    return edit


HARMLESS: dict[str, Edit] = {
    "reword an error of a recipe": replaced("training/recipe.py", "is not one of sgd, adam", "is neither sgd nor adam"),
    "reword an error of batches": replaced("training/batches.py", 'raise UserError(f"', 'raise UserError(f"sorry: '),
    "move a net to a file of its own": moved("nets/resnet.py", "build", "nets/moved.py"),
    "rename a verdict": renamed("Verdict", "Decision"),
    "rename the function that trains": renamed("train_classifiers", "train_all"),
    "rename the function that decides": renamed("decide_all", "decide_each"),
    "add a function to a report": appended("report/arms.py", "\n\ndef added(n: int) -> int:\n    return n\n"),
    "add a function to the statistics": appended(
        "measure/statistics.py", "\n\ndef added(n: int) -> int:\n    return n\n"
    ),
    "another line of progress": replaced("progress.py", " examples/s", " examples a second"),
    "checkpoints every minute": replaced("progress.py", "CHECKPOINT_SECONDS = 30.0", "CHECKPOINT_SECONDS = 60.0"),
    "another file name of a resume file": replaced("launcher.py", '".resume"', '".going-on"'),
    "a lease that waits longer": replaced("lease.py", "import", "import errno as _\nimport"),
    "a docstring and a comment": replaced("training/loop.py", '"""Trains a net', '"""# A comment, and trains a net'),
    "an annotation": replaced("training/losses.py", "-> Tensor:", "-> Any:"),
    "move the layers of nets": moved("nets/layers.py", "init_linears", "nets/initialisation.py"),
}


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS)
def test_a_refactoring_makes_no_recorded_job_stale(copy: Path, before: list[str], edit: Edit) -> None:
    edit(copy)
    assert stale(copy, before) == set()


TRAINED = {
    "icnn_face_parsing_joint", "icnn_face_parsing_train", "melody_train", "pruning_from_scratch_train", "rco_distil",
    "rco_search", "rco_teacher", "sge_train", "sknet_train", "turbo_hoi_train", "variance_shift_train",
}  # fmt: skip
CLASSIFIERS = {"sge_train", "sknet_train", "variance_shift_train"}


def test_another_initialisation_concerns_the_nets_that_have_it(copy: Path, before: list[str]) -> None:
    replaced("nets/layers.py", 'mode="fan_out"', 'mode="fan_in"')(copy)
    found = stale(copy, before)
    assert {"sge_train", "rco_distil", "pruning_from_scratch_train"} <= found
    assert not {rule for rule in found if rule.startswith(("melody_", "data_"))}
    assert not {rule for rule in found if rule.endswith(("_claims", "_figures"))}


def test_another_order_of_the_data_concerns_everything_that_trains(copy: Path, before: list[str]) -> None:
    replaced("training/batches.py", "torch.randperm(self.n, generator=self._generator)", "torch.arange(self.n)")(copy)
    found = stale(copy, before)
    assert found >= TRAINED
    assert not {rule for rule in found if rule.endswith(("_claims", "_figures", "_tables")) or rule.startswith("data_")}


def test_another_loss_concerns_the_classifiers(copy: Path, before: list[str]) -> None:
    replaced("training/losses.py", "F.cross_entropy(", "2 * F.cross_entropy(")(copy)
    found = stale(copy, before)
    assert found >= CLASSIFIERS
    assert "melody_train" not in found
    assert not {rule for rule in found if rule.endswith(("_claims", "_figures", "_tables")) or rule.startswith("data_")}


def test_a_reworded_face_concerns_what_shows_it_and_nothing_that_computes(copy: Path, before: list[str]) -> None:
    replaced("report/face.py", "n = ", "seeds: ")(copy)
    found = stale(copy, before)
    assert {"sge_tables", "melody_tables"} <= found
    computing = ("train", "measure", "generate", "cluster", "distil", "teacher", "examine", "probe", "prune", "attend")
    assert not {rule for rule in found if rule.endswith(computing)}


@pytest.mark.parametrize(
    ("old", "new", "concerned"),
    [
        ("lr: 0.05", "lr: 0.06", {"sge_train"}),
        ("published: +1.20 points", "published: +1.30 points", {"sge_claims"}),
    ],
)
def test_a_changed_setting_changes_the_configuration_of_what_depends_on_it(
    tmp_path: Path, old: str, new: str, concerned: set[str]
) -> None:
    for name in ("Snakefile", "config", "profiles", "workflow", "src", "requirements.lock"):
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    plan = {job.outputs: job for job in planned("real/sge", root=tmp_path)}
    path = tmp_path / "config/papers/sge.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    edited = planned("real/sge", root=tmp_path)
    assert {job.outputs for job in edited} == set(plan)
    changed = [job for job in edited if job.cfg != plan[job.outputs].cfg]
    assert {job.rule for job in changed} == concerned
    assert len(changed) == sum(job.rule in concerned for job in edited), "all of them"
    assert all(job.code == plan[job.outputs].code for job in edited)
