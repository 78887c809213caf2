"""The code digest: blind to what cannot change a result, equal on every supported Python."""

from __future__ import annotations

import ast
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.provenance import digest

FIXTURE = Path(__file__).parent / "digest_fixture" / "example.py"
GOLDEN = "9e97a0cbc0fb606a02ec5735f2ca87791af214beef0fa9aab7ab98bb86daae5d"


def canonical_digest(source: str) -> str:
    return hashlib.sha256(digest.canonical(ast.parse(source)).encode()).hexdigest()


def test_a_fixture_has_its_golden_digest() -> None:
    assert canonical_digest(FIXTURE.read_text()) == GOLDEN


def which_python(version: str) -> str | None:
    """An interpreter of this version on PATH or among pyenv's."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    return str(pyenv[0]) if pyenv else shutil.which(f"python{version}")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_digest_is_equal_on_every_python(version: str) -> None:
    python = which_python(version)
    script = (
        f"import sys; sys.path.insert(0, {str(digest.SOURCES)!r}); import ast, hashlib, pathlib\n"
        "from tenfold.provenance import digest\n"
        f"tree = ast.parse(pathlib.Path({str(FIXTURE)!r}).read_text())\n"
        "print(hashlib.sha256(digest.canonical(tree).encode()).hexdigest())"
    )
    done = python and subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    if not done or done.returncode != 0:
        pytest.skip(f"no working python{version} here")
    assert done.stdout.strip() == GOLDEN


def test_comments_docstrings_and_layout_do_not_count() -> None:
    source = FIXTURE.read_text()
    changed = "# a comment\n" + source.replace('"""An example', '"""Another text, an example').replace(
        "\n\n\n", "\n\n\n\n"
    )
    assert changed != source
    assert canonical_digest(changed) == canonical_digest(source)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x * 2", "x * 3"),
        ("def double", "def twice"),
        ("import math", "import cmath"),
        ("{x:>4}", "{x:>5}"),
        ("x: int", "x: float"),
    ],
)
def test_code_counts(old: str, new: str) -> None:
    source = FIXTURE.read_text()
    assert old in source
    assert canonical_digest(source.replace(old, new)) != canonical_digest(source)


def test_a_string_that_is_no_docstring_counts() -> None:
    assert canonical_digest("x = 1\n'note'") != canonical_digest("x = 1")


def test_the_closure_follows_imports_and_leaves_plumbing_out(tmp_path: Path) -> None:
    script = f"""
import sys; sys.path.insert(0, {str(digest.SOURCES)!r})
from pathlib import Path
from tenfold.provenance import digest
digest.SOURCES = Path({str(tmp_path)!r})
print(digest.closure("tenfold.papers.a.stage"), digest._parsed("tenfold.papers.a.stage").packages)
"""
    package = tmp_path / "tenfold" / "papers" / "a"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").write_text("")
    (package / "stage.py").write_text(
        "import os\nfrom tenfold import launcher\nfrom . import method\n"
        "def f():\n    from tenfold.papers.a.late import x\n    import numpy.linalg\n"
    )
    for name in ("method", "late", "unused"):
        (package / f"{name}.py").write_text("")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = ["tenfold", "tenfold.papers", "tenfold.papers.a"]
    modules += [f"tenfold.papers.a.{name}" for name in ("late", "method", "stage")]
    assert done.stdout.strip() == f"{modules} ['numpy']"


def test_pins_come_from_the_lock() -> None:
    assert digest.pin("numpy") == "numpy==2.4.6"
    assert digest.pin("yaml").startswith("pyyaml==")


def test_every_package_that_the_project_imports_is_pinned() -> None:
    sources = sorted((digest.SOURCES / "tenfold").rglob("*.py"))
    names = [
        ".".join(path.relative_to(digest.SOURCES).with_suffix("").parts).removesuffix(".__init__") for path in sources
    ]
    packages = {package for name in names for package in digest._parsed(name).packages}
    assert [package for package in packages if digest.pin(package).endswith("unpinned")] == []


def test_a_family_named_in_the_cfg_is_part_of_the_digest() -> None:
    plain = digest.of_job("tenfold.provenance.records", {})
    with_net = digest.of_job("tenfold.provenance.records", {"nets": [{"net": {"family": "vgg"}}]})
    assert plain != with_net
