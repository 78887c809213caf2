"""The code digest of a job: changes when the definitions that its stage reaches change, and not otherwise.

It covers the stage's function and all that this names (`tenfold.identity.definitions`), the families of nets and the
functions that the cfg names, and the pinned versions of the third-party packages that these definitions use.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tenfold.files import read_json, sha256, write_json
from tenfold.identity.definitions import PACKAGE, Definition, Sources

ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / ".snakemake" / "tenfold" / "digests.json"

# Import names that differ from the name of the package that brings them.
DISTRIBUTIONS = {"yaml": "pyyaml", "PIL": "pillow", "mpl_toolkits": "matplotlib", "markdown_it": "markdown-it-py"}


BUILD = Definition(f"{PACKAGE}.nets.build", "build")  # imports a family of nets by name
CALLED = Definition(f"{PACKAGE}.stages.called", "called")  # imports a function by name


class Code:
    """The sources of a checkout and the versions that its lock file pins."""

    def __init__(self, root: Path) -> None:
        self.sources = Sources(root / "src")
        self._lock = root / "requirements.lock"
        self.of_roots = cache(self._of_roots)
        self._pins = cache(self._read_pins)

    def of_job(self, module: str, stage: str, cfg: dict[str, Any]) -> str:
        """The digest of a job: 16 hexadecimal digits."""
        return self.of_roots(self.roots(module, stage, cfg))

    def roots(self, module: str, stage: str, cfg: dict[str, Any]) -> tuple[Definition, ...]:
        """Where a job's code begins: its stage, and what its cfg names, if it imports by name.

        The stage does not show it: ``family`` keys anywhere in the cfg name modules below ``tenfold.nets``, and
        ``call`` keys name functions.
        """
        roots = [Definition(module, stage)]
        if CALLED in self.sources.reach(roots):
            roots += [Definition(*name.rpartition(".")[::2]) for name in sorted(set(_values_of("call", cfg)))]
        if BUILD in self.sources.reach(roots):
            families = sorted(set(_values_of("family", cfg)))
            roots += [one for family in families for one in self.sources.of_family(family)]
        return tuple(roots)

    def _of_roots(self, of: tuple[Definition, ...]) -> str:
        packages = sorted(self.pin(package) for package in self.sources.packages(of))
        return hashlib.sha256("\n".join([self.sources.digest(of), *packages]).encode()).hexdigest()[:16]

    def pin(self, package: str) -> str:
        """A package with the version that the lock file gives it, such as ``numpy==2.4.6``."""
        name = DISTRIBUTIONS.get(package, package).lower().replace("_", "-")
        return f"{name}=={self._pins().get(name, 'unpinned')}"

    def _read_pins(self) -> dict[str, str]:
        text = self._lock.read_text(encoding="utf-8")
        pins: dict[str, list[str]] = {}
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, flags=re.MULTILINE):
            pins.setdefault(name.lower().replace("_", "-"), []).append(version)
        return {name: " or ".join(versions) for name, versions in pins.items()}


@cache
def today() -> Code:
    """The code of this checkout."""
    return Code(ROOT)


def of_job(module: str, stage: str, cfg: dict[str, Any]) -> str:
    """The digest of a job by the code of this checkout.

    Reading the definitions takes a second, which each plan and each job would spend anew; so digests are kept in a
    file, under the checksum of all sources.
    """
    named = " ".join(sorted({*_values_of("family", cfg), *_values_of("call", cfg)}))
    return _kept(f"{module}:{stage} {named}", lambda: today().of_job(module, stage, cfg))


def _kept(key: str, compute: Callable[[], str]) -> str:
    kept = _read_kept()
    if key not in kept:
        kept[key] = compute()
        with contextlib.suppress(OSError):  # a checkout that cannot be written to computes each time
            write_json(KEPT, {"sources": _sources_checksum(), "digests": kept})
    return kept[key]


@cache
def _read_kept() -> dict[str, str]:
    try:
        content = read_json(KEPT)
        return dict(content["digests"]) if content["sources"] == _sources_checksum() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@cache
def _sources_checksum() -> str:
    """The SHA-256 of all sources and of the lock file."""
    content = hashlib.sha256((ROOT / "requirements.lock").read_bytes())
    for path in sorted((ROOT / "src").rglob("*.py")):
        content.update(f"{path.relative_to(ROOT)} {sha256(path)}\n".encode())
    return content.hexdigest()


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
