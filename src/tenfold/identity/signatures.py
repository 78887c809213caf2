"""The signature of a stage, read from its source: the files that it takes and makes, and the command that it is.

A rule gets its command line from here while the rules are parsed, when nothing that computes may be imported.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tenfold.errors import UserError
from tenfold.identity.canonical import is_stage

SOURCES = Path(__file__).resolve().parents[2]
INPUTS, OUTPUTS = ("Input", "Inputs"), ("Output", "Outputs")  # annotations of `tenfold.launcher`


@dataclass(frozen=True)
class Signature:
    """A stage by what its definition says.

    Attributes:
        module: where it is defined.
        function: its name.
        inputs: the names of the files that it takes.
        outputs: the names of the files that it makes.
        alone: whether it is the only stage of its module, which then has no subcommands.
    """

    module: str
    function: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    alone: bool

    @property
    def command(self) -> str:
        """The command line, with a rule's files, params and log as Snakemake fills them in."""
        words = ["python", "-m", self.module, *([] if self.alone else [option(self.function)])]
        words += ["--cfg {params.cfg:q} --code {params.code} --log {log}"]
        words += [f"--{option(name)} {{input.{name}}}" for name in self.inputs]
        words += [f"--{option(name)} {{output.{name}}}" for name in self.outputs]
        return " ".join(words)


def option(name: str) -> str:
    """A Python name as the command line spells it: ``held_out`` -> ``held-out``."""
    return name.replace("_", "-")


def read(stage: str) -> Signature:
    """The signature of a stage.

    Args:
        stage: a module with a stage of its own name (``tenfold.papers.sge.train``), or a module and one of its stages
            (``tenfold.papers.sge.examine.maps``).

    Raises:
        UserError: there is no such stage.
    """
    module, function = (stage, stage.rpartition(".")[2]) if _file(stage).is_file() else stage.rpartition(".")[::2]
    found = stages(module) if _file(module).is_file() else {}
    if function not in found:
        raise UserError(f"{stage} is no stage; {module} has {', '.join(found) or 'none'}")
    return found[function]


@cache
def stages(module: str) -> dict[str, Signature]:
    """The stages of a module by name."""
    found = [node for node in _body(module) if isinstance(node, ast.FunctionDef) and is_stage(node)]
    return {
        node.name: Signature(module, node.name, _names(node, INPUTS), _names(node, OUTPUTS), len(found) == 1)
        for node in found
    }


def keys(module: str, name: str) -> list[str]:
    """The keys of a dictionary that a module writes down under a name, such as ``TABLES``; none where there is none."""
    for node in _body(module):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=found)], value=ast.Dict(keys=written))
                | ast.AnnAssign(target=ast.Name(id=found), value=ast.Dict(keys=written))
            ) if found == name:
                return [str(ast.literal_eval(key)) for key in written if key is not None]
    return []


def modules(package: str) -> list[str]:
    """The modules of a package and of the packages in it, by name."""
    folder = SOURCES.joinpath(*package.split("."))
    files = sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py")
    return [".".join(path.relative_to(SOURCES).with_suffix("").parts) for path in files]


def _file(module: str) -> Path:
    return SOURCES.joinpath(*module.split(".")).with_suffix(".py")


@cache
def _body(module: str) -> list[ast.stmt]:
    return ast.parse(_file(module).read_text(encoding="utf-8")).body


def _names(node: ast.FunctionDef, kinds: tuple[str, ...]) -> tuple[str, ...]:
    parameters = [*node.args.args, *node.args.kwonlyargs]
    return tuple(
        parameter.arg
        for parameter in parameters
        if isinstance(parameter.annotation, ast.Name) and parameter.annotation.id in kinds
    )
