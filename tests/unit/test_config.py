"""Configuration mistakes: one line that names the file, the key and what is allowed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenfold import config, variants, workflow
from tenfold.errors import UserError


def _forget() -> None:
    config.paper.cache_clear()
    variants.settings_of.cache_clear()


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], None]]:
    """Makes a paper's configuration a copy in which one passage is replaced."""
    copy = tmp_path / "config"
    shutil.copytree(config.CONFIG, copy)
    monkeypatch.setattr(config, "CONFIG", copy)
    _forget()

    def edit(slug: str, old: str, new: str) -> None:
        path = copy / "papers" / f"{slug}.yaml"
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    yield edit
    _forget()


SCHEMA = """
type: object
additionalProperties: false
required: [lr]
properties:
  lr: { type: number }
  mode: { enum: [a, b] }
  deep: { type: object, additionalProperties: false, properties: { n: { type: integer } } }
"""


def message(tmp_path: Path, text: str | bytes) -> str:
    (tmp_path / "x.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    with pytest.raises(UserError) as caught:
        config.load_yaml(tmp_path / "x.yaml", tmp_path / "schema.yaml")
    shown = str(caught.value)
    assert "\n" not in shown
    assert "x.yaml" in shown
    return shown


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("lr: 1e-3", ["lr", "'1e-3' is text to YAML", "write 1.0e-3"]),
        ("lr: 2E5", ["write 2.0e+5"]),
        ("mode: a", ["'lr' is missing"]),
        ("lr: 1\nmode: c", ["mode", "'c' is not allowed", "a, b"]),
        ("lr: 1\ntypo: 2", ["'typo'", "allowed: deep, lr, mode"]),
        ("lr: 1\ndeep: {m: 1}", ["deep", "'m'", "allowed: n"]),
        ("lr: 1\ndeep: {n: 1.5}", ["deep.n", "1.5 is not of type integer"]),
        ("lr: 1\nlr: 2", ["line 2", "'lr' is given twice"]),
        ("lr: [1", ["line"]),
        ("# ä\nlr: 1\nmode: \x07a", ["line 3", "control characters are not allowed", "remove"]),
        ("lr: 1\n# ä\n".encode("latin-1"), ["line 2", "save the file as UTF-8"]),
        ("lr: 1\n5: 2", ["line 2", "key 5 is not text", "in quotes"]),
        ("lr: 1\nno: 2", ["line 2", "key False is not text", "in quotes"]),
        ("lr: 1\n[1, 2]: 2", ["line 2", "key [1, 2] is not text"]),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path: Path, text: str | bytes, parts: list[str]) -> None:
    shown = message(tmp_path, text)
    for part in parts:
        assert part in shown


def test_merging_replaces_single_values_and_whole_lists() -> None:
    base = {"a": {"x": 1, "y": 2}, "b": [1, 2], "c": 3}
    assert config.merged(base, {"a": {"y": 5}, "b": [9]}) == {"a": {"x": 1, "y": 5}, "b": [9], "c": 3}
    assert base["a"] == {"x": 1, "y": 2}


def test_unknown_names_list_what_is_allowed() -> None:
    with pytest.raises(UserError, match="'nope' is not a paper; allowed: .*pruning-from-scratch"):
        config.paper("nope")
    with pytest.raises(UserError, match="edition: 'huge' is not allowed; allowed: smoke, small, real, lab, full"):
        config.house({"edition": "huge"})
    with pytest.raises(UserError, match="'huge' is not an edition; allowed: smoke, small, real, lab, full"):
        workflow.check_target("huge", "all")
    with pytest.raises(UserError, match="'nope' is not a paper; allowed: all, "):
        workflow.check_target("small", "nope")


@pytest.mark.parametrize("slug", config.papers())
def test_every_paper_fits_its_schemas_at_every_edition(slug: str) -> None:
    assert set(config.paper(slug).editions) == set(config.EDITIONS)


@pytest.mark.parametrize(("seeds", "wildcard"), [([0, 1, 2], "s0-2"), ([4], "s4"), ([3, 4], "s3-4")])
def test_seeds_and_their_wildcard(seeds: list[int], wildcard: str) -> None:
    assert workflow.seeds_wildcard(seeds) == wildcard
    assert workflow.seeds_of(wildcard) == seeds


def test_seeds_of_one_job_follow_one_another() -> None:
    with pytest.raises(UserError, match="must follow one another"):
        workflow.seeds_wildcard([0, 2])


SEEDS = "small (with defaults): {}: {} are for one job, so they must follow one another, such as [0, 1, 2]; or set"


SEEDS_OF_SMALL = "  seeds: [0, 1, 2, 3, 4]\n  recipe: { lr: 0.1, epochs: 16 }"  # in config/papers/sge.yaml


@pytest.mark.parametrize(
    ("slug", "old", "new", "key", "group"),
    [
        ("sge", SEEDS_OF_SMALL, "  seeds: [0, 1, 3]", "seeds", "[0, 1, 3]"),
        ("sge", SEEDS_OF_SMALL, "  seeds: [2, 1, 0]", "seeds", "[2, 1, 0]"),
        (
            "sknet",
            "k3-k5-sk: {} }\n\nreal:",
            "k3-k5-sk: {} }\n      settings: { seeds: [0, 1, 2, 3, 4, 6, 8] }\n\nreal:",
            "nets.mini.settings.seeds",
            "[6, 8]",
        ),
    ],
)
def test_seeds_that_a_job_cannot_be_named_for_are_refused_where_they_are_written(
    edited: Callable[[str, str, str], None], slug: str, old: str, new: str, key: str, group: str
) -> None:
    edited(slug, old, new)
    with pytest.raises(UserError) as caught:
        config.paper(slug)
    assert str(caught.value).endswith(f"{slug}.yaml: {SEEDS.format(key, group)} seeds_per_job to 1")


def test_seeds_of_different_jobs_may_lie_apart(edited: Callable[[str, str, str], None]) -> None:
    edited("sge", SEEDS_OF_SMALL, "  seeds: [0, 1, 7, 8]\n  seeds_per_job: 2")
    assert workflow.House({}).paper("sge").edition("small").seed_groups == ["s0-1", "s7-8"]
