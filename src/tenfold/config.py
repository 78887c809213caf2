"""Configuration: YAML checked against a JSON Schema, with errors that name the file, the key and the mend."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tenfold.errors import UserError

if TYPE_CHECKING:  # else in functions: what computes needs no schema
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
SCHEMAS = ROOT / "workflow" / "schemas"
PARTS = "parts.schema.yaml"
PAPERS = Path(__file__).resolve().parent / "papers"

EDITIONS = ("smoke", "small", "real", "lab", "full")


def package_of(slug: str) -> str:
    """The Python name of a paper: ``pruning-from-scratch`` -> ``pruning_from_scratch``."""
    return slug.replace("-", "_")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses a key that is given twice, where YAML silently takes the last, and one that is not text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            problem = None
            if not isinstance(key, str):
                problem = f"key {key!r} is not text to YAML; put it in quotes"
            elif key in seen:
                problem = f"key '{key}' is given twice"
            if problem:
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _keys(validator: Any, keys: dict[str, Any], instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """Our keyword ``keys: {a: ..., b?: ...}``: these keys and no others; those with ``?`` may be missing."""
    closed = {
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in keys if not key.endswith("?")],
        "properties": {key.removesuffix("?"): schema for key, schema in keys.items()},
    }
    yield from validator.descend(instance, closed)


@cache
def _schema(path: Path) -> Validator:
    """A schema that may refer to the parts, and to nothing else outside of itself: no network."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    validator: Any = extend(Draft202012Validator, {"keys": _keys})
    parts = DRAFT202012.create_resource(read_yaml(SCHEMAS / PARTS))
    schema: Validator = validator(read_yaml(path), registry=Registry().with_resource(PARTS, parts))
    return schema


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; a syntax error, a stray byte or a key given twice is one clear line."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{_shown(path)} is missing") from None
    return parse_yaml(content, str(_shown(path)))


def parse_yaml(content: bytes, where: str) -> Any:
    """The value of YAML text; ``where`` names its origin in the error."""
    try:
        return yaml.load(content, Loader=_Loader)  # noqa: S506
    except yaml.reader.ReaderError as error:
        row = content[: error.position].count(b"\n") + 1
        mend = "remove what is no text there, or save the file as UTF-8"
        raise UserError(f"{where}, line {row}: {error.reason}; {mend}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise UserError(f"{where}, line {line}: {error.problem}") from None


def load_yaml(path: Path, schema: Path) -> Any:
    """The content of a YAML file that fits its schema.

    Raises:
        UserError: one line that names the file, the key, what is wrong and what is allowed.
    """
    value = read_yaml(path)
    check(value, schema, str(_shown(path)))
    return value


def check(value: Any, schema: Path, where: str) -> None:
    """Checks a value against a schema file; ``where`` names the value's origin in the error."""
    from jsonschema.exceptions import best_match

    error = best_match(_schema(schema).iter_errors(value), key=_depth)
    if error is not None:
        raise UserError(f"{where}: {explain(error)}")


def _depth(error: ValidationError) -> tuple[int, bool]:
    return -len(error.absolute_path), error.validator in ("anyOf", "oneOf")


def explain(error: ValidationError) -> str:
    """One line for a schema violation: the key, what is wrong, what is allowed."""
    key = ".".join(str(part) for part in error.absolute_path)
    prefix = f"{key}: " if key else ""
    value: Any = error.instance
    wanted: Any = error.validator_value
    schema: Any = error.schema
    match error.validator:
        case "additionalProperties":
            allowed = sorted(schema.get("properties", {}))
            unknown = sorted(set(value) - set(allowed))
            return f"{prefix}unknown key {_quoted(unknown)}; allowed: {', '.join(allowed)}"
        case "required":
            missing = sorted(set(wanted) - set(value))
            return f"{prefix}key {_quoted(missing)} is missing"
        case "enum":
            return f"{prefix}'{value}' is not allowed; allowed: {', '.join(map(str, wanted))}"
        case "const":
            return f"{prefix}'{value}' is not allowed; allowed: {wanted}"
        case "contains" if "const" in wanted:
            return f"{prefix}'{wanted['const']}' is missing"
        case "pattern" | "oneOf" if "description" in schema:
            return f"{prefix}'{value}' is not allowed; allowed: {schema['description']}"
        case "maxLength":
            return f"{prefix}'{value[:20]}...' is too long; allowed: {wanted} characters"
        case "type" if isinstance(value, str) and _looks_like_number(value):
            return f"{prefix}'{value}' is text to YAML, a {wanted} is needed; write {_with_point(value)}"
        case "type":
            return f"{prefix}{value!r} is not of type {wanted}"
        case _:
            return f"{prefix}{error.message}"


def _looks_like_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", text) is not None


def _with_point(text: str) -> str:
    mantissa, _, exponent = text.lower().partition("e")
    sign = "" if exponent.startswith(("+", "-")) else "+"
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{sign}{exponent}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _shown(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def papers() -> list[str]:
    """The slugs of all papers that the project has, by their configuration files."""
    return sorted(path.stem for path in (CONFIG / "papers").glob("*.yaml"))


@dataclass(frozen=True)
class PaperConfig:
    """One paper's configuration.

    Attributes:
        slug: the paper's name everywhere.
        about: title, authors, arXiv number, venue.
        claims: the paper's claims with kinds, margins, reasons and evidence, whose measures stand there in full.
        published: the paper's published numbers, with the source of each.
        editions: for each edition its settings (defaults and the edition's own, merged).
    """

    slug: str
    about: dict[str, Any]
    claims: list[dict[str, Any]]
    published: dict[str, Any]
    editions: dict[str, dict[str, Any]]


@cache
def paper(slug: str) -> PaperConfig:
    """Loads and checks ``config/papers/<slug>.yaml``.

    Raises:
        UserError: no such paper, or a value that the schemas do not allow.
    """
    if slug not in papers():
        raise UserError(f"'{slug}' is not a paper; allowed: {', '.join(papers())}")
    path = CONFIG / "papers" / f"{slug}.yaml"
    content = load_yaml(path, SCHEMAS / "paper.schema.yaml")
    editions = {}
    for name in EDITIONS:
        editions[name] = merged(content["defaults"], content[name])
        _check_settings(slug, editions[name], f"{_shown(path)}: {name} (with defaults)")
    claims = [_in_full(claim, content, path) for claim in content["claims"]]
    return PaperConfig(slug, content["paper"], claims, content["published"], editions)


def _check_settings(slug: str, settings: dict[str, Any], where: str) -> None:
    check(settings, PAPERS / package_of(slug) / "settings.schema.yaml", where)
    _check_seeds(settings, where)


def laid_over(slug: str, edition: str, own: dict[str, Any], where: str) -> dict[str, Any]:
    """The settings of an edition of a paper with others laid over them, checked; ``where`` names the others' origin.

    Raises:
        UserError: one line that names the key, what is wrong and what is allowed.
    """
    settings: dict[str, Any] = merged(paper(slug).editions[edition], own)
    _check_settings(slug, settings, f"{where}: {slug} at {edition}")
    return settings


def _in_full(claim: dict[str, Any], content: dict[str, Any], path: Path) -> dict[str, Any]:
    """A claim with its gate, its measures and the paper's data in full, where it names them."""
    named, gates = content.get("measures", {}), content.get("gates", {})

    def measure(name: Any) -> Any:
        if isinstance(name, list):
            return [measure(each) for each in name]
        if isinstance(name, dict):
            return {side: measure(each) for side, each in name.items()}
        _one_of(name, named, "measure", claim, path)
        return {"name": name, **named[name]}

    def measured(part: dict[str, Any]) -> dict[str, Any]:
        return part | ({"measure": measure(part["measure"])} if "measure" in part else {})

    full = {"data": content["paper"]["data"], **claim}
    for evidence in evidence_of(claim):
        if len(evidence.get("cells", evidence["of"])) != len(evidence["of"]):
            where = f"{_shown(path)}: claims: {claim['id']}: evidence"
            raise UserError(f"{where}: cells: one label for each of 'of' is needed")
    if "evidence" in claim:
        full["evidence"] = measured(claim["evidence"])
    if "readings" in claim:
        full["readings"] = {name: measured(one) for name, one in claim["readings"].items()}
    if full.pop("gate", "none") != "none":
        _one_of(claim["gate"], [*gates, "none"], "gate", claim, path)
        parts = gates[claim["gate"]].items()
        full["gate"] = {
            name: [measured(one) for one in part] if isinstance(part, list) else measured(part) for name, part in parts
        }
    return full


def evidence_of(claim: dict[str, Any]) -> list[dict[str, Any]]:
    """What a claim declares to decide it, in each of its readings."""
    return [claim["evidence"]] if "evidence" in claim else list(claim.get("readings", {}).values())


def check_evidence(slug: str, trained: Iterable[tuple[str, str]]) -> None:
    """Checks that the claims of a paper, and their gates, name arms and nets that there are.

    Args:
        slug: the paper.
        trained: all nets and arms of all editions, as evidence calls them.

    Raises:
        UserError: one line that names the claim, what is wrong and what is allowed.
    """
    known = list(trained)
    nets, arms = dict.fromkeys(net for net, _ in known), dict.fromkeys(arm for _, arm in known)
    path = CONFIG / "papers" / f"{slug}.yaml"
    for claim in paper(slug).claims:
        gate = claim.get("gate", {})
        baseline = gate.get("baseline", {"of": [], "public": {}})
        bounded = [one for one in (gate.get("converged", {}), *gate.get("acted", [])) if "of" in one]
        named: list[Any] = [*baseline["of"], *(one["of"] for one in bounded)]
        where = list(baseline["public"])
        for evidence in evidence_of(claim):
            named += evidence["of"]
            where += evidence["nets"] if isinstance(evidence.get("nets"), list) else []
        for pair in named:
            for arm in [pair] if isinstance(pair, str) else pair:
                _one_of(arm, arms, "arm", claim, path)
        for net in where:
            _one_of(net, nets, "net", claim, path)


def _one_of(name: str, allowed: Iterable[str], kind: str, claim: dict[str, Any], path: Path) -> None:
    if name not in allowed:
        known = ", ".join(allowed) or "none is configured"
        key = "gate" if kind == "gate" else "evidence"
        raise UserError(f"{_shown(path)}: claims: {claim['id']}: {key}: '{name}' is no {kind}; allowed: {known}")


def _check_seeds(settings: dict[str, Any], where: str) -> None:
    """Refuses seeds of one job that do not follow one another: its files say them as ``s0-2``."""
    size = settings["seeds_per_job"]
    for key, seeds in _found("seeds", settings):
        for group in (seeds[start : start + size] for start in range(0, len(seeds), size)):
            if group != list(range(group[0], group[0] + len(group))):
                needed = "so they must follow one another, such as [0, 1, 2]"
                raise UserError(f"{where}: {key}: {group} are for one job, {needed}; or set seeds_per_job to 1")


def _found(name: str, settings: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a name wherever it stands in the settings, each with its dotted key."""
    for key, value in settings.items():
        if key == name:
            yield above + key, value
        elif isinstance(value, dict):
            yield from _found(name, value, f"{above}{key}.")


def merged(base: Any, over: Any) -> Any:
    """``over`` laid on ``base``: mappings key by key, everything else replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: merged(base.get(key), value) for key, value in over.items()}
    return over


def house(overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """``config/config.yaml``, with what was given on the command line laid over it, checked.

    Raises:
        UserError: an unknown key, edition, paper, device or precision.
    """
    path = CONFIG / "config.yaml"
    content = read_yaml(path)
    _check_house(content, str(_shown(path)))
    if overrides:
        content = content | overrides
        _check_house(content, "--config")
    return dict(content)


def _check_house(content: Any, where: str) -> None:
    base = content
    if isinstance(content, dict) and isinstance(content.get("edition"), str):
        base = content | {"edition": content["edition"].partition("+")[0]}  # of a variant such as small+hot
    check(base, SCHEMAS / "config.schema.yaml", where)
    for slug in content["papers"]:
        if slug not in papers():
            raise UserError(f"{where}: papers: '{slug}' is not a paper; allowed: {', '.join(papers())}")
