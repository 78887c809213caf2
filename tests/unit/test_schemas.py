"""The schemas of papers' settings: what they share, what they refuse, and that parts are what the code takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing.exceptions import Unresolvable
from torch import nn

from tenfold import config
from tenfold.books.recorded import Ledger, every_book
from tenfold.books.replay import probe_of
from tenfold.errors import UserError
from tenfold.training import schedules
from tenfold.training.recipe import Recipe, build_optimiser
from tenfold.workflow import WILDCARDS

TESTS = Path(__file__).parents[1]
PARTS = config.read_yaml(config.SCHEMAS / config.PARTS)["$defs"]
SCHEMAS = {
    **{slug: config.PAPERS / config.package_of(slug) / "settings.schema.yaml" for slug in config.papers()},
    "toy": TESTS / "toy/src/tenfold/papers/toy/settings.schema.yaml",
    "my-paper": TESTS.parent / "examples/new_paper/src/tenfold/papers/my_paper/settings.schema.yaml",
}
CONTENTS = {slug: config.read_yaml(path) for slug, path in SCHEMAS.items()}

# For each part what a slip makes of its value, and what is said of it behind the key.
SLIPS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "data": (
        lambda old: "shapes_10",
        f": 'shapes_10' is not allowed; allowed: {PARTS['data']['description']}",
    ),
    "seeds": (lambda old: [0, -1], ".1: -1 is less than the minimum of 0"),
    "seeds_per_job": (lambda old: 0, ": 0 is less than the minimum of 1"),
    "processes": (lambda old: 1.5, ": 1.5 is not of type integer"),
    "name": (
        lambda old: old | {"k3_wide": next(iter(old.values()))},
        f": 'k3_wide' is not allowed; allowed: {PARTS['name']['description']}",
    ),
    "augment": (lambda old: "flip", ": 'flip' is not allowed; allowed: none, crop_flip"),
    "channels": (lambda old: [0.5, 0.5], ": [0.5, 0.5] is too short"),
    "scale": (lambda old: [0.08, 1.5], ".1: 1.5 is greater than the maximum of 1"),
    "views": (lambda old: {key: old[key] for key in ("augment", "mean")}, ": key 'std' is missing"),
    "images": (
        lambda old: old | {"pixel": 32},
        ": unknown key 'pixel'; allowed: augment, fit, held_out, labels, mean, pixels, std",
    ),
    "photos": (lambda old: old | {"test": [{"resize": 256}]}, ".test.0: key 'size' is missing"),
    "recipe": (
        lambda old: old | {"lr": "1e-3"},
        ".lr: '1e-3' is text to YAML, a number is needed; write 1.0e-3",
    ),
    "recipe_change": (lambda old: old | {"schedule": {"name": "multistep"}}, ".schedule: key 'at' is missing"),
    "arm_recipes": (lambda old: {"plain": {"lr": 0}}, ".plain.lr: 0 is less than or equal to the minimum of 0"),
}
EVERYWHERE = {"data": "data", "seeds": "seeds", "seeds_per_job": "seeds_per_job"}
PLACES: dict[str, dict[str, str]] = {
    "adversarial-competition": {
        **EVERYWHERE,
        "images": "images",
        "recipe": "recipe",
        "arm_recipes": "arm_recipes",
        "nets": "name",
        "learned/hgd-a/recipe": "recipe_change",
    },
    "icnn-face-parsing": {
        **EVERYWHERE,
        "recipe": "recipe",
        "arm_recipes": "arm_recipes",
        "net_recipes/brows": "recipe_change",
        "joint/localise": "recipe_change",
        "nets": "name",
        "nets/thin/data": "data",
    },
    "melody": {**EVERYWHERE, "variants/3L/data": "data"},
    "pruning-from-scratch": {
        **EVERYWHERE,
        "images": "views",
        "gates/recipe": "recipe",
        "train": "recipe",
        "arm_recipes": "arm_recipes",
        "nets": "name",
        "nets/imagenet-resnet50/settings/data": "data",
        "nets/imagenet-resnet50/settings/train": "recipe",
        "nets/imagenet-resnet50/settings/gates/recipe": "recipe",
        "nets/imagenet-resnet50/settings/images/mean": "channels",
        "nets/imagenet-resnet50/settings/images/std": "channels",
        "nets/imagenet-resnet50/settings/images/train/scale": "scale",
    },
    "rco": {
        **EVERYWHERE,
        "images": "images",
        "teacher/augment": "augment",
        "teacher/recipe": "recipe",
        "student_recipe": "recipe",
        "arm_recipes": "arm_recipes",
        "students": "name",
        "faces/images": "views",
        "faces/recipe": "recipe",
    },
    "sge": {
        **EVERYWHERE,
        "images": "images",
        "photos": "photos",
        "processes": "processes",
        "recipe": "recipe",
        "arm_recipes": "arm_recipes",
        "nets": "name",
        "detection/data": "data",
        "detection/mean": "channels",
        "detection/recipe": "recipe",
        "detection/detectors/retinanet-resnet50/seeds": "seeds",
        "detection/detectors/faster-resnet18-c16/recipe": "recipe_change",
    },
    "sknet": {
        **EVERYWHERE,
        "images": "images",
        "recipe": "recipe",
        "arm_recipes": "arm_recipes",
        "arms": "name",
        "nets": "name",
        "nets/imagenet-50/arms": "name",
        "nets/cifar-10/settings/data": "data",
        "nets/cifar-10/settings/seeds": "seeds",
        "nets/imagenet-50/settings/photos": "photos",
        "nets/imagenet-50/settings/processes": "processes",
        "nets/imagenet-50/settings/recipe": "recipe",
    },
    "turbo-hoi": {
        **EVERYWHERE,
        "recipe": "recipe",
        "arm_recipes": "arm_recipes",
        "nets": "name",
        "nets/photos/data": "data",
    },
    "variance-shift": {
        **EVERYWHERE,
        "datasets/0": "data",
        "images": "images",
        "recipe": "recipe",
        "arm_recipes": "arm_recipes",
        "nets": "name",
        "nets/wrn28-10/recipe": "recipe_change",
    },
    "video-captioning": {
        **EVERYWHERE,
        "vocabularies": "name",
        "tag_nets": "name",
        "tag_recipe": "recipe",
        "captioners": "name",
        "recipe": "recipe",
        "arm_recipes": "arm_recipes",
    },
}


def refused(slug: str, settings: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        config.check(settings, SCHEMAS[slug], "here")
    return str(caught.value)


def slipped(slug: str, key: str, slip: Callable[[Any], Any]) -> dict[str, Any]:
    """A paper's settings, at the last edition that has the key, with a slip in the key's value."""
    *above, last = (int(part) if part.isdigit() else part for part in key.split("/"))
    for edition in ("full", "real"):
        settings = json.loads(json.dumps(config.paper(slug).editions[edition]))  # no part twice
        place: Any = settings
        try:
            for part in above:
                place = place[part]
            place[last] = slip(place.get(last) if isinstance(place, dict) else place[last])
        except KeyError:
            continue
        return settings
    raise AssertionError(f"no edition of {slug} has {key}")


@pytest.mark.parametrize(("slug", "key", "part"), [(s, key, part) for s in PLACES for key, part in PLACES[s].items()])
def test_a_slip_in_a_part_is_one_line_in_every_paper(slug: str, key: str, part: str) -> None:
    slip, says = SLIPS[part]
    assert refused(slug, slipped(slug, key, slip)) == f"here: {key.replace('/', '.')}{says}"


@pytest.mark.parametrize("slug", config.papers())
def test_every_part_that_a_paper_refers_to_is_tried(slug: str) -> None:
    referred = set(re.findall(r"parts\.schema\.yaml#/\$defs/(\w+)", SCHEMAS[slug].read_text()))
    assert referred == set(PLACES[slug].values())


def test_what_a_paper_narrows_is_what_the_error_allows() -> None:
    sge = slipped("sge", "images/labels", lambda old: "neither")
    assert refused("sge", sge) == "here: images.labels: 'neither' is not allowed; allowed: fine"
    rco = slipped("rco", "images/held_out", lambda old: -1)
    assert refused("rco", rco) == "here: images.held_out: -1 is less than the minimum of 1"


@pytest.mark.parametrize(
    ("slug", "key", "arms", "missing"),
    [
        ("sge", "nets/resnet50/arms", [], "plain"),
        ("sge", "nets/resnet50/arms", ["sge"], "plain"),
        ("variance-shift", "nets/wrn28-10/arms", ["none"], "a-0.5"),
    ],
)
def test_an_arm_that_others_are_compared_with_is_named_where_it_is_missing(
    slug: str, key: str, arms: list[str], missing: str
) -> None:
    said = refused(slug, slipped(slug, key, lambda old: arms))
    assert said == f"here: {key.replace('/', '.')}: '{missing}' is missing"


@pytest.mark.parametrize("name", ["k3_wide", "Rectifier", "a/b", "-a", "a--b", "a-", ""])
def test_a_name_that_no_rule_matches_is_refused(name: str) -> None:
    assert re.fullmatch(WILDCARDS["arm"], name) is None
    arm = {"rate": 1, "momentum": 2}
    toy = {"data": "shapes-10", "seeds": [0], "seeds_per_job": 1, "steps": 1, "padding": 0, "arms": {name: arm}}
    assert refused("toy", toy).startswith(f"here: arms: '{name}' is not allowed; allowed: small letters, ")
    config.check(toy | {"arms": {"k3-w0.5": arm}}, SCHEMAS["toy"], "here")


def test_names_are_what_wildcards_match() -> None:
    assert PARTS["name"]["pattern"] == f"^{WILDCARDS['arm']}$"
    assert PARTS["data"]["pattern"] == f"^{WILDCARDS['dataset']}$"


def within(schema: Any) -> Iterator[dict[str, Any]]:
    """All mappings in a schema."""
    if isinstance(schema, dict):
        yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        yield from within(inner)


@pytest.mark.parametrize("slug", CONTENTS)
def test_keys_that_a_paper_chooses_are_names(slug: str) -> None:
    chosen = [schema for schema in within(CONTENTS[slug]) if isinstance(schema.get("additionalProperties"), dict)]
    assert chosen
    assert all("propertyNames" in schema for schema in chosen)


@pytest.mark.parametrize("slug", [*CONTENTS, "parts"])
def test_schemas_are_schemas_and_what_they_refer_to_exists(slug: str) -> None:
    parts = {"$defs": PARTS}
    content = parts if slug == "parts" else CONTENTS[slug]
    Draft202012Validator.check_schema(content)
    for schema in within(content):
        for inner in schema.get("keys", {}).values():
            Draft202012Validator.check_schema(inner)
        if "$ref" not in schema:
            continue
        file, _, pointer = schema["$ref"].partition("#/")
        found: Any = {"": content, config.PARTS: parts}[file]
        for part in pointer.split("/"):
            found = found[part]


def test_a_schema_is_never_looked_for_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text("keys: { a: { $ref: https://example.org/schema.json } }")
    with pytest.raises(Unresolvable):
        config.check({"a": 1}, tmp_path / "schema.yaml", "here")


def test_keys_are_all_that_there_may_be(tmp_path: Path) -> None:
    schema = tmp_path / "schema.yaml"
    schema.write_text("keys: { a: { type: integer }, b?: { type: integer } }")
    config.check({"a": 1}, schema, "here")
    config.check({"a": 1, "b": 2}, schema, "here")
    for value, says in (
        ({"b": 2}, "key 'a' is missing"),
        ({"a": 1, "c": 3}, "unknown key 'c'; allowed: a, b"),
        ({"a": 1, "b": "x"}, "b: 'x' is not of type integer"),
        ([], "[] is not of type object"),
    ):
        with pytest.raises(UserError, match=f"^here: {re.escape(says)}$"):
            config.check(value, schema, "here")


# What the code takes ------------------------------------------------------------------------------

OF_NO_PAPER = {"ema"}  # attributes of recipes that no paper here has
TYPES = {"int": "integer", "float": "number", "float | None": "number", "bool": "boolean"}


def test_a_recipe_in_a_configuration_is_the_recipe_that_is_trained_by() -> None:
    keys = {key.removesuffix("?"): schema for key, schema in PARTS["recipe_change"]["keys"].items()}
    attributes = {field.name: field for field in fields(Recipe)}
    assert set(keys) == set(attributes) - OF_NO_PAPER
    assert set(PARTS["recipe"]["required"]) >= {"epochs", "batch_size", "lr"}
    for name, schema in keys.items():
        if "type" in schema:
            assert schema["type"] == TYPES[str(attributes[name].type)], name
    for optimiser in keys["optimiser"]["enum"]:
        for decay_on in keys["decay_on"]["enum"]:
            build_optimiser(Recipe(1, 1, 0.1, optimiser=optimiser, decay_on=decay_on), nn.Linear(1, 1))
    assert tuple(PARTS["schedule"]["keys"]["name"]["enum"]) == schedules.NAMES


@pytest.mark.parametrize("name", schedules.NAMES)
def test_a_schedule_with_every_key_of_the_schema_and_one_with_none_can_be_followed(name: str) -> None:
    least = {"name": name, **({"at": [0.5]} if name == "multistep" else {})}
    most = {"name": name, "at": [0.5], "gamma": 0.1, "per": "step", "warmup_epochs": 1, "warmup_start": 0.1}
    assert set(most) == {key.removesuffix("?") for key in PARTS["schedule"]["keys"]}
    assert schedules.factor(least, 0, 1, 4) == 1.0
    assert schedules.factor(most, 0, 1, 4) == pytest.approx(0.1)


@pytest.mark.parametrize("book", every_book(), ids=lambda book: book.name)
def test_the_probe_of_what_is_on_record_is_a_configuration(book: Ledger) -> None:
    content = config.read_yaml(config.CONFIG / "papers" / f"{book.slug}.yaml")
    settings = config.merged(config.merged(content["defaults"], content[book.edition]), probe_of(book))
    config.check(settings, config.PAPERS / config.package_of(book.slug) / "settings.schema.yaml", book.name)
