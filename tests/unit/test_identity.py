"""Identity by definition: blind to what cannot change a result, awake to everything else, equal on every Python."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tenfold.identity import digest
from tenfold.identity.canonical import normal_form
from tenfold.identity.definitions import Definition, Sources
from tenfold.identity.scopes import references

SRC = digest.ROOT / "src"
FIXTURE = Path(__file__).parent / "identity_fixture" / "example.py"
GOLDEN = "76f3c703b566b048223e0e94a4a9da2c1b47f5c87dad52b0cf527e916ece2f23"


def in_normal_form(source: str) -> str:
    """The normal forms of a module's statements, in one hash; names of the module stand for themselves."""
    forms = [normal_form(node, references(node, lambda name: None, "")) for node in ast.parse(source).body]
    return hashlib.sha256(repr(forms).encode()).hexdigest()


def test_a_fixture_has_its_golden_normal_form() -> None:
    assert in_normal_form(FIXTURE.read_text()) == GOLDEN


def which_python(version: str) -> str | None:
    """An interpreter of this version on PATH or among pyenv's."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    return str(pyenv[0]) if pyenv else shutil.which(f"python{version}")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_all_stages_have_equal_digests_on_every_python(version: str) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(SRC)!r}); from tenfold.identity import digest\n"
        f"print([digest.of_job(module, stage, {{'net': {{'family': 'vgg'}}}}) for module, stage in {stages()!r}])"
    )
    python = which_python(version)
    done = python and subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    if not done or ("Traceback" in done.stderr and "ast.py" not in done.stderr and done.returncode != 0):
        pytest.skip(f"no working python{version} here")
    assert done.returncode == 0, done.stderr
    here = [digest.of_job(module, stage, {"net": {"family": "vgg"}}) for module, stage in stages()]
    assert done.stdout.strip() == str(here)


def stages() -> list[tuple[str, str]]:
    """All stages of Tenfold: module and function."""
    found = []
    for path in sorted((SRC / "tenfold").rglob("*.py")):
        module = ".".join(path.relative_to(SRC).with_suffix("").parts)
        names = re.findall(r"^@stage\ndef (\w+)\(", path.read_text(), flags=re.MULTILINE)
        found += [(module, name) for name in names]
    return found


def test_there_are_stages() -> None:
    assert len(stages()) > 50


# A made-up project ------------------------------------------------------------------------------------------------

PROJECT = {
    "tenfold/__init__.py": "",
    "tenfold/errors.py": "class UserError(Exception):\n    pass\n",
    "tenfold/launcher.py": "def stage(f):\n    return f\n",
    "tenfold/data/__init__.py": "",
    "tenfold/data/scale.py": "import numpy as np\nFACTOR = 2\ndef scaled(x):\n    return np.asarray(x) * FACTOR\n",
    "tenfold/papers/__init__.py": "",
    "tenfold/papers/a/__init__.py": "",
    "tenfold/papers/a/method.py": (
        "from tenfold.errors import UserError\n"
        "def even(n):\n    return n == 0 or odd(n - 1)\n"
        "def odd(n):\n    return n != 0 and even(n - 1)\n"
        "class Net:\n"
        "    width: int = 3\n"
        "    label: str\n"
        "    def forward(self, x):\n        return label(x) * self.width\n"
        "def label(x):\n    if x < 0:\n        raise UserError(f'{x} is below 0')\n    return x\n"
        "def unused():\n    return 1\n"
    ),
    "tenfold/papers/a/train.py": (
        "from pathlib import Path\n"
        "from tenfold.launcher import stage\n"
        "from tenfold.data import scale\n"
        "from tenfold.papers.a.method import Net, even\n"
        "@stage\n"
        "def train(cfg, job, *, data: Path):\n"
        "    '''Trains.'''\n"
        "    job.say('begins')\n"
        "    scaled = scale.scaled(cfg['x'])\n"
        "    assert even(4), 'odd'\n"
        "    return Net().forward(scaled)\n"
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The made-up project on disk."""
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


TRAIN = Definition("tenfold.papers.a.train", "train")
METHOD, STAGE = "tenfold/papers/a/method.py", "tenfold/papers/a/train.py"


def digest_of(root: Path, *, at: Definition = TRAIN) -> str:
    return Sources(root).digest([at])


def edit(root: Path, file: str, *changes: tuple[str, str]) -> None:
    text = (root / file).read_text()
    for old, new in changes:
        assert old in text, f"{old!r} is not in {file}"
        text = text.replace(old, new)
    (root / file).write_text(text)


def test_a_stage_reaches_what_it_names_and_nothing_else(project: Path) -> None:
    reached = {str(one) for one in Sources(project).reach([TRAIN])}
    method = {f"tenfold.papers.a.method.{name}" for name in ("even", "odd", "Net", "label")}
    assert reached == method | {str(TRAIN), "tenfold.data.scale.scaled", "tenfold.data.scale.FACTOR"}
    assert Sources(project).packages([TRAIN]) == {"numpy"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (STAGE, "'''Trains.'''", "'''Trains a net.'''  # a comment"),
        (STAGE, "job.say('begins')", "job.say(f'begins with {cfg}')"),
        (STAGE, "even(4), 'odd'", "even(4), 'this is odd'"),
        (STAGE, "from tenfold.data import scale\n", "import tenfold.data.scale as scale\n"),
        (METHOD, "is below 0", "is negative: give a number of 0 or more"),
        (METHOD, "def even(n):", "def even(n: int) -> bool:"),
        (METHOD, "def unused():\n    return 1", "def unused():\n    return 2\n\ndef added():\n    return 3"),
        (METHOD, "    label: str\n", "    label: bytes\n"),
        ("tenfold/launcher.py", "return f", "f.marked = True\n    return f"),
        ("tenfold/data/scale.py", "import numpy as np", "import numpy as np  # arrays\n\n"),
    ],
)
def test_what_cannot_change_a_result_does_not_count(project: Path, file: str, old: str, new: str) -> None:
    before = digest_of(project)
    edit(project, file, (old, new))
    assert digest_of(project) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (STAGE, "cfg['x']", "cfg['y']"),
        (STAGE, "data: Path", "data: list[Path]"),  # what is a file, and how many
        (STAGE, "scale.scaled(", "scale.np.asarray("),
        (METHOD, "n == 0 or", "n == 1 or"),
        (METHOD, "return n != 0", "return n == 0"),  # reached only through a circle
        (METHOD, "width: int = 3", "width: int = 4"),
        (METHOD, "    width: int = 3\n    label: str\n", "    label: str\n    width: int = 3\n"),
        (METHOD, "raise UserError(", "raise ValueError("),
        (METHOD, "x < 0", "x <= 0"),
        ("tenfold/data/scale.py", "FACTOR = 2", "FACTOR = 3"),
        ("tenfold/data/scale.py", "FACTOR = 2", "FACTOR = 2\nprint('loaded')"),  # an effect of importing it
    ],
)
def test_what_can_change_a_result_counts(project: Path, file: str, old: str, new: str) -> None:
    before = digest_of(project)
    edit(project, file, (old, new))
    assert digest_of(project) != before


def test_definitions_may_move_and_be_renamed(project: Path) -> None:
    before = digest_of(project)
    (project / "tenfold/papers/a/parity.py").write_text(
        "def is_even(n):\n    return n == 0 or is_odd(n - 1)\ndef is_odd(n):\n    return n != 0 and is_even(n - 1)\n"
    )
    edit(project, METHOD, ("def even(n):\n    return n == 0 or odd(n - 1)\n", ""),
         ("def odd(n):\n    return n != 0 and even(n - 1)\n", ""))  # fmt: skip
    edit(project, STAGE, ("import Net, even", "import Net\nfrom tenfold.papers.a.parity import is_even"),
         ("even(4)", "is_even(4)"))  # fmt: skip
    assert digest_of(project) == before


def test_a_module_may_be_renamed_and_a_name_handed_on(project: Path) -> None:
    before = digest_of(project)
    (project / METHOD).rename(project / "tenfold/papers/a/idea.py")
    (project / METHOD).write_text("from tenfold.papers.a.idea import Net, even\n")
    assert digest_of(project) == before


def test_a_family_of_nets_that_code_names_is_reached(project: Path) -> None:
    (project / "tenfold/nets").mkdir()
    (project / "tenfold/nets/vgg.py").write_text("NAMES = ('vgg16',)\ndef build(name):\n    return name\n")
    edit(project, STAGE, ("even(4)", "even({'family': 'vgg', 'name': 'vgg16'})"))
    before = digest_of(project)
    edit(project, "tenfold/nets/vgg.py", ("return name", "return name * 2"))
    assert digest_of(project) != before


def test_names_that_meet_by_chance_are_told_apart(project: Path) -> None:
    # `Net.label` and the local `scaled` are not the functions of these names, wherever those stand.
    before = digest_of(project)
    (project / "tenfold/papers/a/text.py").write_text(
        "def label(x):\n    if x < 0:\n        raise ValueError\n    return x\n"
    )
    edit(project, METHOD, ("from tenfold.errors import UserError", "from tenfold.papers.a.text import label"),
         ("def label(x):\n    if x < 0:\n        raise UserError(f'{x} is below 0')\n    return x\n", ""))  # fmt: skip
    edit(project, "tenfold/papers/a/text.py", ("raise ValueError", "raise UserError('no')"),
         ("def label", "from tenfold.errors import UserError\ndef label"))  # fmt: skip
    assert digest_of(project) == before


@pytest.mark.parametrize(
    ("body", "free"),
    [
        ("def f(x):\n    return x + y", ["y"]),
        ("def f(x=y):\n    y = 1\n    return y", ["y"]),
        ("def f():\n    return [y for y in z if y]", ["z"]),
        ("def f():\n    y = [y for y in y]", []),
        ("def f():\n    return [(z := y) for y in ()], z", []),
        ("def f():\n    global y\n    y = 1", ["y"]),
        ("def f():\n    def y():\n        return z\n    return y", ["z"]),
        ("class A:\n    y = 1\n    def f(self):\n        return y", ["y"]),
        ("class A:\n    y = z\n    z = y", []),
        ("def f():\n    try:\n        pass\n    except z as y:\n        return y", ["z"]),
        ("def f(a):\n    match a:\n        case {'k': y, **z}:\n            return y, z", []),
        ("f = lambda y: y + z", ["z"]),
        ("def f():\n    from m import y\n    return y", ["m.y"]),
        ("def f():\n    with z as y:\n        return y.z", ["z"]),
        ("def f(y):\n    y.z = z", ["z"]),
    ],
)
def test_scopes_are_pythons(body: str, free: list[str]) -> None:
    (node,) = ast.parse(body).body
    known = {"y": "y", "z": "z"}
    assert sorted(set(references(node, known.get, "m").values())) == free


def test_two_definitions_that_trade_their_names_are_noticed(project: Path) -> None:
    before = digest_of(project)
    edit(project, METHOD, ("n == 0 or odd", "n == 0 or even"))
    assert digest_of(project) != before


# This project -----------------------------------------------------------------------------------------------------


def test_pins_come_from_the_lock() -> None:
    assert digest.today().pin("numpy") == "numpy==2.4.6"
    assert digest.today().pin("yaml").startswith("pyyaml==")


def test_every_package_that_a_stage_uses_is_pinned() -> None:
    code = digest.today()
    packages = {package for module, stage in stages() for package in code.sources.packages([Definition(module, stage)])}
    assert {"torch", "pandas", "matplotlib"} <= packages
    assert [package for package in packages if code.pin(package).endswith("unpinned")] == []


def test_a_family_named_in_the_cfg_is_part_of_the_digest() -> None:
    cfg = {"nets": [{"net": {"family": "vgg"}}]}
    training, showing = ("tenfold.papers.sge.train", "train"), ("tenfold.report.scoreboard", "scoreboard")
    assert digest.of_job(*training, {}) != digest.of_job(*training, cfg)
    assert digest.of_job(*showing, {}) == digest.of_job(*showing, cfg), "it builds no nets"


def test_a_function_that_the_cfg_names_is_part_of_the_job_and_no_other_of_its_kind() -> None:
    paper = "tenfold.papers.adversarial_competition"
    code, cfg = digest.today(), {"attack": {"call": f"{paper}.attacks.smoothed.smoothed"}}
    reached = code.sources.reach(code.roots(f"{paper}.craft", "craft", cfg))
    assert {Definition(f"{paper}.attacks.smoothed", "smoothed"), Definition(f"{paper}.method", "clip")} <= reached
    assert Definition(f"{paper}.attacks.ensembles", "fat_fingers") not in reached
    assert not any(one.module.startswith(f"{paper}.defences") for one in reached), "who attacks depends on no defence"
    training = ("tenfold.papers.sge.train", "train")
    assert digest.of_job(*training, cfg) == digest.of_job(*training, {}), "it calls nothing by name"


def test_kept_digests_are_those_of_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    job = ("tenfold.report.scoreboard", "scoreboard")
    right = digest.today().of_job(*job, {})
    monkeypatch.setattr(digest, "KEPT", tmp_path / "digests.json")
    for content, expected in (
        (None, right),
        ({"sources": "0" * 64, "digests": {f"{job[0]}:{job[1]} ": "of other sources"}}, right),
        ({"sources": digest._sources_checksum(), "digests": {f"{job[0]}:{job[1]} ": "kept"}}, "kept"),
        ("half a fi", right),
    ):
        if content is not None:
            digest.KEPT.write_text(content if isinstance(content, str) else json.dumps(content))
        digest._read_kept.cache_clear()
        assert digest.of_job(*job, {}) == expected
    digest._read_kept.cache_clear()


UNREADABLE = {"globals", "vars", "exec", "eval", "__import__", "import_module"}
# Families of nets, and functions that a cfg names: they are roots of the digest.
READ_ALL_THE_SAME = {
    "data/moving_shapes.py": ["vars"],  # of a dataclass, whose fields stand there
    "nets/build.py": ["import_module"],
    "stages/called.py": ["import_module"],
}


def unreadable(text: str) -> list[str]:
    """Constructs that cannot be followed by reading."""
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Attribute(attr="import_module" as name) if name in UNREADABLE:
                found.append(name)
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                found.append("*")
            case ast.FunctionDef(name="__getattr__") | ast.Attribute(value=ast.Name(id="sys"), attr="modules"):
                found.append(ast.unparse(node).splitlines()[0])
    return found


def test_whatever_computes_can_be_followed_by_reading() -> None:
    sources = digest.today().sources
    found = {}
    for path in sorted((SRC / "tenfold").rglob("*.py")):
        name = path.relative_to(SRC / "tenfold").as_posix()
        module = ".".join(["tenfold", *Path(name).with_suffix("").parts]).removesuffix(".__init__")
        if not sources.is_outside(module) and (lines := unreadable(path.read_text())):
            found[name] = lines
    assert found == READ_ALL_THE_SAME


@pytest.mark.parametrize(
    "line",
    [
        "globals()['f']()",
        "exec('f()')",
        "from tenfold.nets import *",
        "def __getattr__(name):\n    return 1",
        "vars(net)",
        "importlib.import_module('x')",
        "sys.modules['x'].f()",
    ],
)
def test_what_cannot_be_followed_is_found(line: str) -> None:
    assert unreadable(line)
