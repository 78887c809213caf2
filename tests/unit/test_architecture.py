"""The house: who imports whom, what stays light, how rules are written, and that each paper has all its parts."""

from __future__ import annotations

import ast
import builtins
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tenfold import config
from tenfold.report.face import NOT_RECOVERED, RECOVERED, published_text

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "tenfold"
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
SLUGS: list[str] = config.house()["papers"]

# What each part of the package may import of the others; below the parts lies what all may use.
SHARED = {
    "capture",
    "config",
    "errors",
    "faults",
    "fetch",
    "files",
    "launcher",
    "lease",
    "progress",
    "registry",
    "variants",
    "weights",
    "workflow",
}
ALLOWED = {
    "identity": {"identity"},
    "books": {"books", "identity", "report", "measure", "training", "nets"},
    "site": {"site", "books", "report"},
    "data": {"data"},
    "attention": {"attention"},
    "nets": {"nets", "attention"},
    "training": {"training", "data"},
    "measure": {"measure", "training", "data", "nets", "attention"},
    "report": {"report", "measure"},
    "stages": {"stages", "measure", "training", "nets", "attention", "data"},
    "papers": {"papers", "stages", "report", "measure", "training", "nets", "attention", "data"},
}
HEAVY = ("torch", "torchvision", "pandas", "matplotlib", "seaborn", "scipy", "numpy")
MARGINS = {"not-worse", "ratio", "value"}  # kinds that say nothing without a number


def modules() -> list[str]:
    """All modules of Tenfold, by name."""
    files = (path.relative_to(SOURCES.parent).with_suffix("") for path in SOURCES.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in files)


def imported(module: str) -> set[str]:
    """The modules of Tenfold that one names in its imports, at its top or inside functions."""
    file = SOURCES.parent.joinpath(*module.split("."))
    tree = ast.parse((file / "__init__.py" if file.is_dir() else file.with_suffix(".py")).read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("tenfold.")}


def part(module: str) -> str:
    """The part of the package that a module belongs to."""
    return module.split(".")[1] if "." in module else ""


def against_the_arrows(module: str, names: set[str]) -> list[str]:
    """Imports that point the wrong way: up to a part that may not be used, or across to another paper."""
    own = part(module)
    wrong = []
    for name in names:
        other = part(name)
        if own in ALLOWED and other not in ALLOWED[own] | SHARED:
            wrong.append(name)
        if own == other == "papers" and module.split(".")[2:3] != name.split(".")[2:3]:
            wrong.append(name)
        if own in SHARED and other == "papers":
            wrong.append(name)
    return sorted(wrong)


@pytest.mark.parametrize("module", modules())
def test_imports_point_one_way(module: str) -> None:
    assert against_the_arrows(module, imported(module)) == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("tenfold.nets.vgg", "tenfold.papers.rco.method"),
        ("tenfold.training.loop", "tenfold.papers.rco.method"),
        ("tenfold.nets.vgg", "tenfold.training.loop"),
        ("tenfold.attention.squeeze_excitation", "tenfold.nets.vgg"),
        ("tenfold.data.images", "tenfold.report.tables"),
        ("tenfold.measure.cost", "tenfold.report.tables"),
        ("tenfold.papers.rco.train", "tenfold.papers.sge.method"),
        ("tenfold.workflow", "tenfold.papers.rco.grid"),
    ],
)
def test_a_wrong_arrow_is_found(module: str, name: str) -> None:
    assert against_the_arrows(module, {name}) == [name]


def test_every_part_has_its_arrows() -> None:
    parts = {part(module) for module in modules()} - {""}
    assert parts == set(ALLOWED) | SHARED | {"cli"}


# What a paper computes may not depend on how it is shown: a reworded table would train nets anew.
def shows(module: str) -> bool:
    """Whether a module is about what readers see: in report/, or in a paper's own."""
    return part(module) == "report" or module.split(".")[3:4] == ["report"]


def shown(module: str, names: set[str]) -> list[str]:
    """What of a module's imports is about what readers see, where the module itself computes."""
    if shows(module):
        return []
    return sorted(name for name in names if shows(name) or shows(name.rpartition(".")[0]))


@pytest.mark.parametrize("module", [module for module in modules() if module.startswith("tenfold.papers.")])
def test_what_computes_does_not_import_what_shows(module: str) -> None:
    assert shown(module, imported(module)) == []


def test_a_computing_module_that_shows_is_found() -> None:
    measure = "tenfold.papers.melody.measure"
    for name in ("tenfold.report.face.Face", "tenfold.papers.melody.report.results.Measured"):
        assert shown(measure, {name}) == [name]
        assert shown("tenfold.papers.melody.report.tables", {name}) == []
    assert shown(measure, {"tenfold.papers.melody.conditions.FREE"}) == []


def test_packages_are_empty() -> None:
    assert [path for path in SOURCES.rglob("__init__.py") if path.read_bytes()] == []


def loaded_by(code: str) -> set[str]:
    """The top-level packages in memory after a piece of Python in a process of its own."""
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_parsing_the_rules_imports_nothing_heavy() -> None:
    snakefile = (ROOT / "Snakefile").read_text()
    lines = re.findall(r"^(?:from tenfold\S* import .*|import tenfold\S*.*)$", snakefile, flags=re.MULTILINE)
    assert len(lines) >= 2
    grids = [f"import tenfold.papers.{config.package_of(slug)}.grid" for slug in SLUGS]
    assert loaded_by("\n".join([*lines, *grids, "import tenfold.launcher"])).isdisjoint(HEAVY)


def test_a_heavy_import_would_be_seen() -> None:
    assert "numpy" in loaded_by("import tenfold.data.prepare")


# Rules ------------------------------------------------------------------------------------------------------------


def test_the_snakefile_is_a_table_of_contents() -> None:
    lines = (ROOT / "Snakefile").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 60
    assert forbidden("\n".join(lines)) == []


def forbidden(rules: str) -> list[str]:
    """What has no place in a file of rules."""
    return re.findall(r"^\s*(?:run|script|notebook|wrapper|checkpoint|def)\b.*|\blambda\b|\bdirectory\(", rules, re.M)


def rules_of(text: str) -> list[str]:
    """The rules of a file, also those in loops."""
    return re.split(r"^(?:    )*rule\b.*:$", text, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_only_say_what_goes_in_and_out(path: Path) -> None:
    assert forbidden(path.read_text()) == []
    for rule in rules_of(path.read_text()):
        assert misshapen(rule) == [], rule


def misshapen(rule: str) -> list[str]:
    """What a rule lacks: its stage's outputs, params, log and command, with the same stage in params and command.

    In a loop the command is found by ``rule``: Snakemake reads it again in the job, when the loop has moved on.
    """
    lacks = [
        name for name in ("output", "params", "log", "shell") if not re.search(rf"^ +{name}:$", rule, re.MULTILINE)
    ]
    params = re.findall(r"^ +params:\n +(.*)\n(?= +\w+:)", rule, re.MULTILINE)
    shell = re.findall(r"^ +shell:\n +(.*)$", rule, re.MULTILINE)
    form = re.fullmatch(r"\*\*(\w+)\.params(?:\((\"[\w.]+\"|stage)(?:, (?:house|paper)\.\w+)?\))?,", "".join(params))
    if form is None:
        return [*lacks, "params"]
    by_name = (f"{form[1]}.run({form[2]})", "house.reports[rule].command")
    in_loop = form[2] == "stage" and re.fullmatch(rf"{form[1]}\.run\([A-Z_]+\[rule\]\[0\]\)", "".join(shell))
    return lacks if in_loop or (form[2] != "stage" and "".join(shell) in by_name) else [*lacks, "shell"]


RULE = """
    input:
        data=toy.data,
    output:
        made="made",
    params:
        **toy.params("count"),
    log:
        "logs/count.log",
    shell:
        toy.run("count")
"""


def test_rules_of_the_right_form_pass() -> None:
    assert misshapen(RULE) == []
    assert misshapen(RULE.replace('"count"),', "stage),").replace('toy.run("count")', "toy.run(COUNTS[rule][0])")) == []


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("    log:\n", "    gone:\n", ["log"]),
        ('**toy.params("count")', 'cfg=toy.cfg("count")', ["params"]),
        ('**toy.params("count"),', '**toy.params("count"),\n        more=1,', ["params"]),
        ('toy.run("count")', 'toy.run("table")', ["shell"]),
        ('toy.run("count")', '"python -m tenfold.papers.toy.count"', ["shell"]),
        ('toy.run("count")', "toy.run(stage)", ["shell"]),
    ],
)
def test_a_misshapen_rule_is_found(old: str, new: str, wrong: list[str]) -> None:
    assert misshapen(RULE.replace(old, new)) == wrong


def test_a_name_that_a_loop_leaves_behind_is_found_in_a_command() -> None:
    looped = RULE.replace('"count"),', "stage),").replace('toy.run("count")', "toy.run(stage)")
    assert misshapen(looped) == ["shell"]


@pytest.mark.parametrize(
    "line", ["    run:", "    script:", "        data=lambda w: w.net,", "def helper():", "checkpoint pick:"]
)
def test_a_rule_that_computes_is_found(line: str) -> None:
    assert len(forbidden(f"rule x:\n{line}\n")) == 1


# Papers -----------------------------------------------------------------------------------------------------------


def alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that can import nothing but the standard library and torch."""

    def only_torch(name: str, *args: Any) -> Any:
        if name.partition(".")[0] not in {"torch", *sys.stdlib_module_names}:
            raise ImportError(f"{name} is neither torch nor of the standard library")
        return __import__(name, *args)

    spec = spec_from_file_location("method_alone", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": only_torch}
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("slug", SLUGS)
def test_a_papers_method_needs_torch_alone(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = alone(SOURCES / "papers" / config.package_of(slug) / "method.py", monkeypatch)
    assert [name for name, found in vars(method).items() if getattr(found, "__module__", "") == method.__name__]


@pytest.mark.parametrize("line", ["from tenfold.errors import UserError", "import numpy", "def f(): import scipy\nf()"])
def test_a_method_that_needs_more_is_found(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "method.py").write_text(line)
    with pytest.raises(ImportError, match="is neither torch"):
        alone(tmp_path / "method.py", monkeypatch)


def test_every_paper_is_listed() -> None:
    assert sorted(SLUGS) == config.papers()


@pytest.mark.parametrize("slug", SLUGS)
def test_a_paper_has_all_its_parts(slug: str) -> None:
    package = config.package_of(slug)
    for name in ("__init__.py", "method.py", "grid.py", "settings.schema.yaml"):
        assert (SOURCES / "papers" / package / name).is_file()
    assert ROOT / "workflow" / "rules" / f"{slug}.smk" in RULES
    assert any(path.stem.startswith(f"test_{package}") for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("slug", SLUGS)
def test_every_claim_has_a_kind_a_reason_and_where_it_needs_one_a_margin(slug: str) -> None:
    paper = config.paper(slug)
    assert paper.claims
    assert len({claim["id"] for claim in paper.claims}) == len(paper.claims)
    for claim in paper.claims:
        assert claim["reason"].strip()
        assert claim["editions"] or re.search("cannot be reproduced|not testable here", claim["reason"])
        assert ("margin" in claim) or claim["kind"] not in MARGINS, claim["id"]


def unread(value: Any, source: str | None = None) -> Iterator[Any]:
    """The published numbers whose entry says that nobody read them in the paper or its code."""
    match value:
        case dict():
            source = value.get("source", source)
            for key, item in value.items():
                if key not in ("source", "ratio"):
                    yield from unread(item, source)
        case list():
            for item in value:
                yield from unread(item, source)
        case float() | int() if source is not None and source not in RECOVERED:
            yield value


@pytest.mark.parametrize("slug", SLUGS)
def test_a_number_that_nobody_read_is_not_written_down(slug: str) -> None:
    paper = config.paper(slug)
    assert list(unread(paper.published)) == []
    assert [claim["id"] for claim in paper.claims if claim["source"] not in RECOVERED and claim["published"]] == []


def test_a_number_from_memory_would_be_found_and_is_never_shown() -> None:
    assert list(unread({"accuracy": [{"ratio": 50, "pruned": 93.6, "source": "memory"}]})) == [93.6]
    assert list(unread({"accuracy": [{"ratio": 50, "pruned": 93.6, "source": "repo"}]})) == []
    assert published_text(93.6, "memory", ".1f") == published_text(93.6, "unknown", ".1f") == NOT_RECOVERED
