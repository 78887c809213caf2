"""Builds a net from its configuration: ``{"family": "vgg", "name": "vgg16", "width": 10, "classes": 10}``.

A family is a module of this package with ``NAMES`` and ``build(name, **options)``. It is imported by name when it is
asked for, so a stage depends on the families that its configuration names and on no other.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

import tenfold.nets
from tenfold.errors import UserError

NO_FAMILIES = ("build", "layers", "stages")


def families() -> list[str]:
    """The names of all families."""
    modules = (module.name for module in pkgutil.iter_modules(tenfold.nets.__path__))
    return sorted(name for name in modules if name not in NO_FAMILIES)


def build(net: Mapping[str, Any]) -> nn.Module:
    """A freshly initialised net (drawn from torch's default generator).

    Args:
        net: ``family``, ``name`` and options of the family's ``build`` (such as ``width``, ``widths``, ``classes``).

    Raises:
        UserError: unknown family, name or option; the message lists what is allowed.
    """
    options = dict(net)
    family = _known("family", options.pop("family", None), families())
    module = importlib.import_module(f"tenfold.nets.{family}")
    name = _known(f"name of the family {family}", options.pop("name", None), module.NAMES)
    allowed = list(inspect.signature(module.build).parameters)[1:]
    for option in options:
        _known(f"option of {name}", option, allowed)
    built: nn.Module = module.build(name, **options)
    return built


def _known(what: str, given: Any, allowed: Iterable[str]) -> str:
    if given not in allowed:
        raise UserError(f"net: {given!r} is no {what}; allowed: {', '.join(allowed)}")
    return str(given)
