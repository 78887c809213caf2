"""The code digest: changes exactly when the code that a stage runs changes.

The digest of a stage covers its module and every module of Tenfold that it imports, as syntax trees
without docstrings and comments, and the pinned versions of the third-party packages that these import.
Nothing is imported to compute it, and it is the same on every supported Python.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "tenfold"
SOURCES = Path(__file__).resolve().parents[2]
LOCK = SOURCES.parent / "requirements.lock"

# What surrounds a stage but cannot change its numbers; not followed, not hashed.
PLUMBING = frozenset(
    {
        "tenfold.cli",
        "tenfold.config",
        "tenfold.data.fetch",  # what it brings, and what is prepared of it, is held by checksums
        "tenfold.data.registry",
        "tenfold.errors",
        "tenfold.faults",
        "tenfold.files",
        "tenfold.launcher",
        "tenfold.lease",
        "tenfold.provenance.digest",
        "tenfold.provenance.records",
        "tenfold.workflow",
    }
)

# Import names that differ from the name of the package that brings them.
DISTRIBUTIONS = {"yaml": "pyyaml", "PIL": "pillow", "mpl_toolkits": "matplotlib"}


def of_job(module: str, cfg: dict[str, Any]) -> str:
    """The digest of a job: its stage's module and the families of the nets that its cfg names.

    Nets are imported by name, which the syntax tree of the stage does not show; ``family`` keys
    anywhere in the cfg name their modules below ``tenfold.nets``.
    """
    families = sorted({f"{PACKAGE}.nets.{family}" for family in _values_of("family", cfg)})
    return of_modules(module, *families)


@cache
def of_modules(*roots: str) -> str:
    """The digest of modules and everything that they import from Tenfold: 16 hexadecimal digits."""
    modules = closure(*roots)
    packages = sorted({pin(package) for module in modules for package in _parsed(module).packages})
    lines = [f"{module} {_parsed(module).digest}" for module in modules] + packages
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def closure(*roots: str) -> list[str]:
    """The modules of Tenfold that the given ones run with, plumbing left out, sorted."""
    seen: set[str] = set()
    left = list(roots)
    while left:
        module = left.pop()
        if module not in seen and module not in PLUMBING:
            seen.add(module)
            left += _parsed(module).modules
    return sorted(seen)


def pin(package: str) -> str:
    """A package with the version that the lock file gives it, such as ``numpy==2.4.6``."""
    name = DISTRIBUTIONS.get(package, package).lower().replace("_", "-")
    return f"{name}=={_pins().get(name, 'unpinned')}"


@cache
def _pins() -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    pins: dict[str, list[str]] = {}
    for name, version in found:
        pins.setdefault(name.lower().replace("_", "-"), []).append(version)
    return {name: " or ".join(versions) for name, versions in pins.items()}


class _Module:
    """One module: the digest of its own code, the Tenfold modules and the packages it imports."""

    def __init__(self, name: str) -> None:
        path = module_file(name)
        if path is None:
            raise ModuleNotFoundError(f"no module {name} below {SOURCES}")
        tree = ast.parse(path.read_bytes())
        self.digest = hashlib.sha256(canonical(tree).encode()).hexdigest()
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imported = set(_imports(tree, package))
        self.modules = sorted({module for name in imported for module in _within(name)} - {name})
        self.packages = sorted({name.partition(".")[0] for name in imported} - {PACKAGE} - sys.stdlib_module_names)


@cache
def _parsed(name: str) -> _Module:
    return _Module(name)


def module_file(name: str) -> Path | None:
    """The source file of a module of Tenfold, or None if there is no such module."""
    path = SOURCES.joinpath(*name.split("."))
    candidates = (path / "__init__.py", path.with_name(path.name + ".py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def canonical(node: ast.AST) -> str:
    """A syntax tree as text, without positions, docstrings, empty fields and None: equal on every Python."""
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "body" and _has_docstring(node):
            value = value[1:]
        if isinstance(node, ast.JoinedStr):  # Python 3.12 puts an empty text behind a nested format
            value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
        if value is None or value == []:
            continue
        if isinstance(value, list):
            text = "[" + ",".join(canonical(item) if isinstance(item, ast.AST) else repr(item) for item in value) + "]"
        else:
            text = canonical(value) if isinstance(value, ast.AST) else repr(value)
        fields.append(f"{name}={text}")
    return f"{type(node).__name__}({','.join(fields)})"


def _has_docstring(node: ast.AST) -> bool:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return ast.get_docstring(node, clean=False) is not None


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """The absolute names of everything a module imports, at its top or inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*parent, *([node.module] if node.module else [])])
            yield origin
            if origin.partition(".")[0] == PACKAGE:
                yield from (f"{origin}.{alias.name}" for alias in node.names)


def _within(name: str) -> Iterator[str]:
    """A module of Tenfold and the packages above it; nothing for other names."""
    parts = name.split(".")
    if parts[0] == PACKAGE:
        for end in range(1, len(parts) + 1):
            module = ".".join(parts[:end])
            if module_file(module) is not None:
                yield module


def _values_of(key: str, value: Any) -> Iterator[str]:
    """All values of a key, at any depth."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key and isinstance(item, str):
                yield item
            else:
                yield from _values_of(key, item)
    elif isinstance(value, list):
        for item in value:
            yield from _values_of(key, item)
