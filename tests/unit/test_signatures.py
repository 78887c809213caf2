"""Stages as rules see them, read without importing: names of files, command lines, names of tables and figures."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tenfold.errors import UserError
from tenfold.identity import signatures
from tenfold.launcher import _parse, file_roles
from tenfold.workflow import House, check_files

MODULES = [module for module in signatures.modules("tenfold") if signatures.stages(module)]


@pytest.mark.parametrize("module", MODULES)
def test_what_is_read_of_a_stage_is_what_its_command_takes(module: str) -> None:
    found, imported = signatures.stages(module), importlib.import_module(module)
    (called,) = re.findall(r"^    main\((.*)\)$", Path(str(imported.__file__)).read_text(), flags=re.MULTILINE)
    assert called.split(", ") == list(found), "the module's command has all of its stages"
    functions = [getattr(imported, name) for name in found]
    for name, stage in found.items():
        roles = file_roles(getattr(imported, name))
        assert stage.inputs == tuple(file for file, (role, _) in roles.items() if role == "input")
        assert stage.outputs == tuple(file for file, (role, _) in roles.items() if role == "output")
        command = stage.command.replace("{params.cfg:q}", "{}").replace("{params.code}", "0").split()
        assert command[:3] == ["python", "-m", module]
        call = _parse(functions, command[3:])
        assert call.stage is getattr(imported, name)
        given = {file: value if isinstance(value, Path) else value[0] for file, value in call.files.items()}
        assert {file: str(path) for file, path in given.items()} == {
            file: f"{{{role}.{file}}}" for file, (role, _) in roles.items()
        }


def test_the_house_has_stages_of_all_kinds() -> None:
    assert len(MODULES) > 40
    assert not signatures.read("tenfold.papers.sge.examine.maps").alone
    assert "examine.maps" not in signatures.read("tenfold.papers.sge.train").command


@pytest.mark.parametrize(
    "stage", ["tenfold.papers.sge.training", "tenfold.papers.sge.method", "tenfold.papers.gone.train"]
)
def test_a_stage_that_there_is_not_is_an_error_that_says_so(stage: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(stage)} is no stage; "):
        signatures.read(stage)


def test_the_stages_that_there_are_are_named() -> None:
    with pytest.raises(UserError, match="tenfold.papers.sge.examine has examine, maps"):
        signatures.read("tenfold.papers.sge.examine.lengths")


@pytest.mark.parametrize("slug", House({}).slugs)
def test_all_that_a_module_lists_is_a_target(slug: str) -> None:
    paper = House({}).paper(slug)
    for kind, form in (("tables", "csv"), ("figures", "png")):
        listed = [
            name
            for report in paper.reports.values()
            for name in getattr(importlib.import_module(report.signature.module), kind.upper(), {})
            if kind in report.signature.outputs
        ]
        assert listed
        assert {f"runs/small/{slug}/{kind}/{name}.{form}" for name in listed} <= set(paper.targets("small"))
    assert f"runs/small/{slug}/claims.json" in paper.targets("small")
    assert len(set(paper.targets("small"))) == len(paper.targets("small"))


def test_keys_are_read_of_plain_and_of_typed_dictionaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "listed.py").write_text('TABLES: T = {"a": f, "b": g}\nFIGURES = {"c": f}\nOTHER = dict(d=f)\n')
    monkeypatch.setattr(signatures, "SOURCES", tmp_path)
    found = {name: signatures.keys("listed", name) for name in ("TABLES", "FIGURES", "OTHER", "NONE")}
    assert found == {"TABLES": ["a", "b"], "FIGURES": ["c"], "OTHER": [], "NONE": []}


# Rules ------------------------------------------------------------------------------------------------------------


def rule(inputs: list[str], outputs: list[str], command: str) -> SimpleNamespace:
    """A rule with these names, as Snakemake has it."""
    named = {"input": dict.fromkeys(inputs), "output": dict.fromkeys(outputs)}
    return SimpleNamespace(name="r", snakefile="rules/r.smk", lineno=3, shellcmd=command, **named)


COMMAND = signatures.read("tenfold.papers.sge.examine.examine").command


def test_a_rule_that_names_its_stages_files_is_let_through() -> None:
    check_files([rule(["data", "weights"], ["statistics"], COMMAND), rule([], [], "")])


@pytest.mark.parametrize(
    ("inputs", "outputs", "says"),
    [
        (["data"], ["statistics"], "lacks input.weights, unlike"),
        (["data", "weights", "route"], ["statistics"], "names input.route, unlike"),
        (["data", "weight"], ["statistics"], "lacks input.weights and names input.weight, unlike"),
        (["data", "weights"], ["stats"], "lacks output.statistics and names output.stats, unlike"),
        (["data", "weights", "statistics"], [], "lacks output.statistics and names input.statistics, unlike"),
    ],
)
def test_a_rule_with_other_files_than_its_stage_is_an_error(
    inputs: list[str], outputs: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        check_files([rule(inputs, outputs, COMMAND)])
    said = capsys.readouterr().err
    assert said.startswith("tenfold: rules/r.smk:3: rule r ") and said.count("\n") == 1
    assert says in said


def test_no_stage_is_read_by_importing_it() -> None:
    tree = ast.parse(Path(signatures.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"ast"}
