"""The definitions that a stage reaches, each with a hash of itself and of all that it names (a Merkle hash).

A module is a list of definitions: functions, classes, assignments, and statements that are none of these (effects),
which run when the module is imported. A definition's hash is that of its normal form and of the hashes of what it
names, so that where a definition stands and what it is called do not count, but everything it does.

What surrounds a computation is outside: modules directly below ``tenfold/`` (the launcher, progress, files, ...),
``identity/`` and ``books/``. A definition that names something there has the bare name in its hash. Of third-party
packages it has the full name. Nothing is imported to find all this; constructs that cannot be followed by reading
are held off by a test.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tenfold.identity.canonical import is_stage, normal_form
from tenfold.identity.scopes import imported, references

PACKAGE = "tenfold"
SURROUNDING = ("identity", "books")  # packages that surround a computation, as all single modules below tenfold/ do
EFFECT = "<effect>"  # all statements of a module that define nothing
EVERYTHING = "<everything>"


@dataclass(frozen=True, order=True)
class Definition:
    """A definition of Tenfold's: its module and its name there."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Written:
    """What a definition says.

    Attributes:
        text: its normal form, with the bare or full names of what is not Tenfold's to follow.
        uses: the definitions that it names, in the order of the text.
        packages: the third-party packages that it names.
    """

    text: str
    uses: tuple[Definition, ...]
    packages: frozenset[str]


@dataclass
class _Module:
    name: str
    package: str
    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)

    def lookup(self, name: str) -> str | None:
        """What a name at the top of the module stands for."""
        return f"{self.name}.{name}" if name in self.statements else self.imports.get(name)


class Sources:
    """The sources of Tenfold below a folder, read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._hashes: dict[Definition, str] = {}
        self.module = cache(self._module)
        self.written = cache(self._written)
        self.file = cache(self._file)

    def digest(self, roots: Iterable[Definition]) -> str:
        """A hash of definitions, of all that they reach, and of the effects of the modules that these stand in."""
        roots = list(roots)
        reached = self.reach(roots)
        effects = sorted(self._hash(one) for one in reached if one.name == EFFECT)
        return _sha256(*(self._hash(root) for root in roots), *effects)

    def packages(self, roots: Iterable[Definition]) -> set[str]:
        """The third-party packages that definitions and all that they reach name."""
        return set().union(*(self.written(one).packages for one in self.reach(roots)))

    def reach(self, roots: Iterable[Definition]) -> set[Definition]:
        """Definitions and all that they name, and what these name, with the effects of their modules."""
        seen: set[Definition] = set()
        waiting = list(roots)
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += self.written(one).uses
                if EFFECT in self.module(one.module).statements:
                    waiting.append(Definition(one.module, EFFECT))
        return seen

    def resolve(self, name: str) -> tuple[Definition | None, str]:
        """What a qualified name stands for: a definition to follow (or None), and what else of it counts in a hash.

        Raises:
            KeyError: a module of Tenfold lacks the definition.
        """
        parts = name.split(".")
        if parts[0] != PACKAGE:
            return None, name
        end = next(end for end in range(len(parts), 0, -1) if self.file(".".join(parts[:end])) is not None)
        module, rest = ".".join(parts[:end]), parts[end:]
        if self.is_outside(module):
            return None, ".".join(rest or parts[-1:])
        if not rest or rest[0].startswith("__"):
            return Definition(module, EVERYTHING), ".".join(rest)
        found = self.module(module)
        if rest[0] in found.statements:
            return Definition(module, rest[0]), ".".join(rest[1:])
        if rest[0] in found.imports:
            return self.resolve(".".join([found.imports[rest[0]], *rest[1:]]))
        raise KeyError(f"{module} has no definition {rest[0]}")

    def of_family(self, family: str) -> list[Definition]:
        """What `tenfold.nets.build` takes from a family of nets, which it imports by name."""
        module = f"{PACKAGE}.nets.{family}"
        found = [self.resolve(f"{module}.{name}")[0] for name in ("NAMES", "build")] if self.file(module) else []
        return [one for one in found if one is not None]

    def stages(self, module: str) -> list[str]:
        """The stages of a module: its functions with the decorator ``stage``."""
        found = self.module(module).statements
        return [name for name, (node, *_) in found.items() if is_stage(node)]

    def units(self, one: Definition) -> Iterator[tuple[str, str]]:
        """The functions in a definition, each as ``module:name`` and a text that changes with what it does.

        Methods are units of their own. The users of a constant change with it.
        """
        module = self.module(one.module)
        for node in module.statements.get(one.name, ()):
            found = references(node, module.lookup, module.package)
            methods = node.body if isinstance(node, ast.ClassDef) else [node]
            for function in methods:
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    text, names = normal_form(function, found)
                    constants = [self._constant(name) for name in names]
                    name = one.name if function is node else f"{one.name}.{function.name}"
                    yield f"{one.module}:{name}", _sha256(text, *constants)

    def _constant(self, name: str) -> str:
        """What a name stands for, if it is no function or class."""
        used, rest = self.resolve(name)
        if used is None:
            return rest
        nodes = self.module(used.module).statements.get(used.name, ())
        is_code = any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in nodes)
        return rest if is_code else self._hash(used)

    def is_outside(self, module: str) -> bool:
        """Whether a module surrounds computations, by where it stands."""
        parts, file = module.split("."), self.file(module)
        return len(parts) > 1 and (parts[1] in SURROUNDING or (len(parts) == 2 and file is not None
                                                               and file.name != "__init__.py"))  # fmt: skip

    def _hash(self, one: Definition) -> str:
        if one not in self._hashes:
            for group in self._groups(one):
                self._hashes |= self._hash_group(group)
        return self._hashes[one]

    def _hash_group(self, group: list[Definition]) -> dict[Definition, str]:
        """The hashes of definitions that name one another; mostly it is a single one."""
        hashes = {one: _sha256(self.written(one).text) for one in group}
        for _ in range(len(group)):
            known = self._hashes | hashes
            hashes = {
                one: _sha256(self.written(one).text, *(known[used] for used in self.written(one).uses)) for one in group
            }
        return hashes

    def _groups(self, start: Definition) -> Iterator[list[Definition]]:
        """Groups of definitions that name one another, each behind all that it uses (Tarjan's algorithm)."""
        number: dict[Definition, int] = {}
        lowest: dict[Definition, int] = {}
        open_ones: list[Definition] = []
        path = [(start, iter(self.written(start).uses))]
        number[start] = lowest[start] = 0
        open_ones.append(start)
        while path:
            one, uses = path[-1]
            for used in uses:
                if used in self._hashes:
                    continue
                if used not in number:
                    number[used] = lowest[used] = len(number)
                    open_ones.append(used)
                    path.append((used, iter(self.written(used).uses)))
                    break
                if used in open_ones:
                    lowest[one] = min(lowest[one], number[used])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[one])
                if lowest[one] == number[one]:
                    at = open_ones.index(one)
                    yield open_ones[at:]
                    del open_ones[at:]

    def _written(self, one: Definition) -> Written:
        module = self.module(one.module)
        if one.name == EVERYTHING:  # a module as a value: whatever it defines may be used
            return Written("", tuple(Definition(one.module, name) for name in sorted(module.statements)), frozenset())
        if one.name not in module.statements:
            raise KeyError(f"{one.module} has no definition {one.name}")
        lines: list[str] = []
        uses: list[Definition] = []
        packages: set[str] = set()
        for node in module.statements[one.name]:
            text, names = normal_form(node, references(node, module.lookup, module.package))
            lines.append(text)
            for name in names:
                used, rest = self.resolve(name)
                lines.append(rest if used is None else f"@{rest}")
                if used is not None:
                    uses.append(used)
                elif (package := name.partition(".")[0]) not in (PACKAGE, *sys.stdlib_module_names):
                    packages.add(package)
            for family in _families(node):
                uses += self.of_family(family)
        return Written("\n".join(lines), tuple(uses), frozenset(packages))

    def _module(self, name: str) -> _Module:
        path = self.file(name)
        if path is None:
            raise KeyError(f"there is no module {name}")
        module = _Module(name, name if path.name == "__init__.py" else name.rpartition(".")[0])
        for node in ast.parse(path.read_bytes()).body:
            for defined in _defined(node):
                module.statements.setdefault(defined, []).append(node)
            module.imports |= {
                bound: stands_for
                for part in ast.walk(node) if isinstance(part, ast.Import | ast.ImportFrom)
                and (part is node or isinstance(node, ast.If | ast.Try))
                for bound, stands_for in imported(part, module.package)
            }  # fmt: skip
        return module

    def _file(self, name: str) -> Path | None:
        path = self.root.joinpath(*name.split("."))
        candidates = (path / "__init__.py", path.with_name(path.name + ".py"))
        return next((candidate for candidate in candidates if candidate.is_file()), None)


def _defined(node: ast.stmt) -> list[str]:
    """The names under which a statement at the top of a module is kept; none for what does nothing."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return []
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__")) | ast.Name(id="TYPE_CHECKING")):
            return []
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = [part for target in targets for part in ast.walk(target)]
            if not any(isinstance(part, ast.Attribute | ast.Subscript) for part in parts):
                return [part.id for part in parts if isinstance(part, ast.Name)]
    return [EFFECT]


def _families(node: ast.AST) -> Iterator[str]:
    """The families of nets that a definition names itself: ``{"family": "resnet", ...}``."""
    for part in ast.walk(node):
        if isinstance(part, ast.Dict):
            for key, value in zip(part.keys, part.values, strict=True):
                match key, value:
                    case ast.Constant(value="family"), ast.Constant(value=str(family)):
                        yield family


def _sha256(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
