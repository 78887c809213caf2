"""Variants: settings laid over those of an edition, to try something without touching what is tracked or computed.

A variant ``hot`` is the file ``variants/hot.yaml``, which git ignores: for each paper that it concerns, settings as
``config/papers/<slug>.yaml`` has them. ``small+hot`` is the edition ``small`` under it, with folders of its own.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tenfold import config
from tenfold.errors import UserError
from tenfold.files import canonical_json, write_text

FOLDER = Path("variants")
NAME = r"[a-z0-9]+([.-][a-z0-9]+)*"
LONGEST = 60  # characters of a name that is made from settings
_POINT = re.compile(r"(?<!\d)\.|\.(?!\d)")  # between keys; the one in pruned-p0.5 is between digits

Settings = dict[str, Any]


def split(edition: str) -> tuple[str, str]:
    """``small+hot`` -> ``("small", "hot")``, ``small`` -> ``("small", "")``."""
    base, _, name = edition.partition("+")
    return base, name


def names() -> list[str]:
    """The variants that there are.

    Raises:
        UserError: a file has a name that cannot be a folder's and a target's.
    """
    found = sorted(path.stem for path in (config.ROOT / FOLDER).glob("*.yaml"))
    for name in found:
        _check_name(name)
    return found


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME, name):
        allowed = "small letters and digits, in words joined by single hyphens or points, such as lr-0.1"
        raise UserError(f"{_file(name)}: '{name}' cannot name a variant; allowed: {allowed}")


def _file(name: str) -> Path:
    return FOLDER / f"{name}.yaml"


@cache
def overlay(name: str) -> dict[str, Settings]:
    """The settings of a variant by paper.

    Raises:
        UserError: there is no such variant, or its file is not one of settings by paper.
    """
    if name not in names():
        known = ", ".join(names()) or "none is there"
        raise UserError(f"{_file(name)} is missing: there is no variant '{name}'; variants: {known}")
    content = config.read_yaml(config.ROOT / _file(name))
    if not isinstance(content, dict) or not all(isinstance(settings, dict) for settings in content.values()):
        raise UserError(f"{_file(name)}: settings by paper are wanted, such as 'sge: {{ recipe: {{ epochs: 2 }} }}'")
    for slug in content:
        if slug not in config.papers():
            raise UserError(f"{_file(name)}: '{slug}' is not a paper; allowed: {', '.join(config.papers())}")
    return content


def own_settings(edition: str, slug: str) -> Settings:
    """What a variant lays over an edition of a paper; nothing for the edition itself.

    Raises:
        UserError: there is no such variant, or it does not concern the paper.
    """
    _, name = split(edition)
    if not name:
        return {}
    by_paper = overlay(name)
    if slug not in by_paper:
        raise UserError(f"{_file(name)}: has no settings of {slug}; it has some of: {', '.join(by_paper) or '-'}")
    return by_paper[slug]


@cache
def settings_of(edition: str, slug: str) -> Settings:
    """All settings of a paper at an edition, or at a variant of one.

    Raises:
        UserError: as `own_settings`, or a setting is none that the paper's schema allows.
    """
    base, name = split(edition)
    own = own_settings(edition, slug)
    return config.laid_over(slug, base, own, str(_file(name))) if name else config.paper(slug).editions[base]


def told(settings: Settings) -> str:
    """Settings on one line: ``recipe.lr=0.1, seeds=[0,1]``."""
    return ", ".join(f"{key}={value if isinstance(value, str) else canonical_json(value)}"
                     for key, value in flat(settings).items())  # fmt: skip


def flat(settings: Settings, above: str = "") -> dict[str, Any]:
    """Settings by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) and value else {above + key: value}
    return found


def parsed(assignments: list[str]) -> Settings:
    """``["recipe.lr=0.1"]`` -> ``{"recipe": {"lr": 0.1}}``; values are YAML, as in the configuration.

    Raises:
        UserError: one is not KEY=VALUE, or its value is not YAML.
    """
    settings: Settings = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not key or not equals:
            raise UserError(f"--set {assignment}: KEY=VALUE is wanted, such as recipe.lr=0.1")
        value = config.parse_yaml(text.encode(), f"--set {assignment}")
        for part in reversed(_POINT.split(key)):
            value = {part: value}
        settings = config.merged(settings, value)
    return settings


def write(slug: str, own: Settings, name: str = "") -> str:
    """Writes the file of a variant of one paper, and gives its name: one made from the settings, if not given.

    Raises:
        UserError: the name cannot be one, or a variant of this name has other settings.
    """
    name = name or "-".join(re.findall(r"[a-z0-9]+(?:\.[a-z0-9]+)*", told(own).lower()))
    if len(name) > LONGEST:
        raise UserError(f"--set: {told(own)} is too long for the name of a folder; give one with --name")
    _check_name(name)
    if name in names():
        if overlay(name) != {slug: own}:
            raise UserError(f"{_file(name)}: has other settings already; give another --name, or edit the file")
    else:
        write_text(config.ROOT / _file(name), yaml.safe_dump({slug: own}, sort_keys=False, allow_unicode=True))
    return name
