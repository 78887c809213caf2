"""The normal form of a definition: its syntax tree as text, equal where it does the same to the same things.

Left out are positions, comments, docstrings, annotations (but for a stage's, which say what is a file, and
``ClassVar`` and ``InitVar``, which a dataclass looks at), the texts of errors, assertions and progress lines, and the
definition's own name. What it names in other places stands in it as ``@``, so that moving or renaming that changes
nothing here. The text is the same on every supported Python.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

PROGRESS = "say"  # a statement that calls a method of this name shows a line of progress, and does nothing else
LOOKED_AT = {"ClassVar", "InitVar"}


def normal_form(node: ast.AST, references: Mapping[ast.AST, str]) -> tuple[str, list[str]]:
    """A definition in normal form.

    Args:
        node: a statement at the top of a module.
        references: what its names stand for (`tenfold.identity.scopes.references`).

    Returns:
        The text, and what each ``@`` in it stands for.
    """
    writer = _Writer(references, own=_own_name(node))
    return writer.write(node), writer.names


def _own_name(node: ast.AST) -> ast.AST | str | None:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name
        case ast.Assign(targets=[ast.Name() as target]) | ast.AnnAssign(target=ast.Name() as target):
            return target
    return None


class _Writer:
    def __init__(self, references: Mapping[ast.AST, str], own: ast.AST | str | None) -> None:
        self.names: list[str] = []
        self._references, self._own, self._depth = references, own, 0

    def write(self, node: ast.AST) -> str:
        if node is self._own or isinstance(node, ast.Import | ast.ImportFrom) or _shows_progress(node):
            return ""
        if node in self._references:
            self.names.append(self._references[node])
            return "@"
        if isinstance(node, ast.Raise):
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            return f"Raise({self.write(raised) if raised else ''})"
        self._depth += 1
        fields = [f"{name}={text}" for name, value in ast.iter_fields(node) if (text := self._field(node, name, value))]
        self._depth -= 1
        return f"{type(node).__name__}({','.join(fields)})"

    def _field(self, node: ast.AST, name: str, value: object) -> str:
        if name in _WITHOUT_EFFECT.get(type(node), ()) or (name == "name" and self._depth == 1 and value is self._own):
            return ""
        if name == "annotation" and isinstance(node, ast.AnnAssign) and not _is_looked_at(node.annotation):
            return ""
        if name == "args" and is_stage(node):
            return self._signature(node) + self._value(value)
        if isinstance(value, list):
            if name == "body":
                value = _without_docstring(value)
            if isinstance(node, ast.JoinedStr):  # Python 3.12 puts an empty text behind a nested format
                value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
            texts = [text for text in map(self._value, value) if text]
            return "[" + ",".join(texts) + "]" if texts else ""
        return "" if value is None else self._value(value)

    def _value(self, value: object) -> str:
        return self.write(value) if isinstance(value, ast.AST) else repr(value)

    def _signature(self, node: ast.AST) -> str:
        """The annotations of a stage, by which its files are found."""
        assert isinstance(node, ast.FunctionDef)
        written = [self.write(argument.annotation) for argument in node.args.kwonlyargs if argument.annotation]
        return "(" + ",".join(written) + ")"


_WITHOUT_EFFECT: dict[type[ast.AST], tuple[str, ...]] = {
    ast.FunctionDef: ("returns", "type_comment", "type_params"),
    ast.AsyncFunctionDef: ("returns", "type_comment", "type_params"),
    ast.arg: ("annotation", "type_comment"),
    ast.Assert: ("msg",),
    ast.Assign: ("type_comment",),
    ast.Constant: ("kind",),
}


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body


def _shows_progress(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))):
            return name == PROGRESS
    return False


def _is_looked_at(annotation: ast.expr) -> bool:
    names = {part.id if isinstance(part, ast.Name) else part.attr
             for part in ast.walk(annotation) if isinstance(part, ast.Name | ast.Attribute)}  # fmt: skip
    return not LOOKED_AT.isdisjoint(names)


def is_stage(node: ast.AST) -> bool:
    """Whether a definition is a stage."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(isinstance(decorator, ast.Name) and decorator.id == "stage" for decorator in decorators)
