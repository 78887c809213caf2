"""What the names in a definition stand for, by Python's rules of scope: a local name is no reference."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Bound = dict[str, str | None]  # name -> the qualified name that it imports; None for a variable
Lookup = Callable[[str], str | None]  # what a name of the module stands for; None for a builtin


def references(node: ast.AST, lookup: Lookup, package: str) -> dict[ast.AST, str]:
    """Those names, and chains of attributes of names, that stand for something outside a definition.

    Args:
        node: a statement at the top of a module.
        lookup: what the module's own names and imports stand for.
        package: of the module, for relative imports within functions.

    Returns:
        Node -> the qualified name that it stands for.
    """
    resolver = _Resolver(lookup, package)
    resolver.visit(node)
    return resolver.found


def imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """The names that an import binds, each with the qualified name that it stands for."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{origin(node, package)}.{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            yield alias.name.partition(".")[0], alias.name.partition(".")[0]


def origin(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of the module that names are imported from."""
    parts = package.split(".")
    parent = parts[: len(parts) - node.level + 1] if node.level else []
    return ".".join([*parent, *([node.module] if node.module else [])])


class _Resolver(ast.NodeVisitor):
    """Walks a definition with the scopes around each node, innermost last."""

    def __init__(self, lookup: Lookup, package: str) -> None:
        self.found: dict[ast.AST, str] = {}
        self._lookup, self._package = lookup, package
        self._scopes: list[tuple[Bound, bool]] = []  # and whether it is a class's, which its methods do not see

    def visit(self, node: ast.AST) -> None:
        """Visits a node of any kind."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                self._visit_function(node)
            case ast.ClassDef():
                self._visit_class(node)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._visit_comprehension(node)
            case ast.Name() | ast.Attribute():
                self._visit_name(node)
            case _:
                self.generic_visit(node)

    def _within(self, bound: Bound, nodes: list[ast.AST], *, of_class: bool = False) -> None:
        around = self._scopes
        self._scopes = [*(around if of_class else [scope for scope in around if not scope[1]]), (bound, of_class)]
        for node in nodes:
            self.visit(node)
        self._scopes = around

    def _visit_function(self, node: Function) -> None:
        arguments, body = node.args, node.body if isinstance(node.body, list) else [node.body]
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        around = [*arguments.defaults, *arguments.kw_defaults, *getattr(node, "decorator_list", [])]
        around += [argument.annotation for argument in every if argument]
        for child in around:
            if child is not None:
                self.visit(child)
        bound: Bound = {argument.arg: None for argument in every if argument}
        self._within(bound | dict(_bound_in(body, self._package)), list(body))

    def _visit_class(self, node: ast.ClassDef) -> None:
        for child in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(child)
        self._within(dict(_bound_in(node.body, self._package)), list(node.body), of_class=True)

    def _visit_comprehension(self, node: Comprehension) -> None:
        self.visit(node.generators[0].iter)
        bound = dict(_bound_in([generator.target for generator in node.generators], self._package))
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        inner: list[ast.AST] = [*results, *(generator.target for generator in node.generators)]
        inner += [condition for generator in node.generators for condition in generator.ifs]
        self._within(bound, inner + [generator.iter for generator in node.generators[1:]])

    def _visit_name(self, node: ast.Name | ast.Attribute) -> None:
        chain: list[str] = []
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            chain.insert(0, root.attr)
            root = root.value
        if isinstance(root, ast.Name):
            self._resolve(node, root, chain)
        else:
            self.visit(root)

    def _resolve(self, node: ast.AST, root: ast.Name, chain: list[str]) -> None:
        around = [bound for bound, _ in reversed(self._scopes) if root.id in bound]
        name = around[0][root.id] if around else self._lookup(root.id)
        if name is not None:
            self.found[node] = ".".join([name, *chain])


def _bound_in(nodes: list[ast.stmt] | list[ast.expr], package: str) -> Iterator[tuple[str, str | None]]:
    """The names that a body binds in its own scope."""
    waiting: list[ast.AST] = list(nodes)
    elsewhere: set[str] = set()
    found: list[tuple[str, str | None]] = []
    while waiting:
        node = waiting.pop(0)
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.append((name, None))
                continue
            case ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():  # binds only by :=
                found += [(part.target.id, None) for part in ast.walk(node) if isinstance(part, ast.NamedExpr)]
                continue
            case ast.Import() | ast.ImportFrom():
                found += imported(node, package)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                elsewhere.update(names)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.append((name, None))
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.append((name, None))
            case ast.MatchMapping(rest=str(name)):
                found.append((name, None))
        waiting += ast.iter_child_nodes(node)
    yield from ((name, target) for name, target in found if name not in elsewhere)
