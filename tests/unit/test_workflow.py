"""What jobs depend on: reports on the part of the configuration that they show, and on no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tenfold.workflow import House, Paper, showing

HOUSE = House({})
REPORTS = {(slug, name): report for slug in HOUSE.slugs for name, report in HOUSE.paper(slug).reports.items()}
TABLES = [key for key, report in REPORTS.items() if "tables" in report.signature.outputs]
FIGURES = [key for key, report in REPORTS.items() if "figures" in report.signature.outputs]


def corrected(value: Any) -> Any:
    """Published numbers, each a little larger; what an entry is of stays as it is, and so do the nets to count."""
    match value:
        case dict():
            return {key: item if key in ("net", "width", "pixels") else corrected(item) for key, item in value.items()}
        case list():
            return [corrected(item) for item in value]
        case float() | int() if not isinstance(value, bool):
            return value + 1
    return value


def cfg_of(slug: str, rule: str, change: Callable[[Any], Any]) -> str:
    """The cfg of a report at small, with other published numbers and claims."""
    paper = Paper(slug, HOUSE)
    paper.config = replace(paper.config, published=change(paper.config.published), claims=change(paper.config.claims))
    return paper.params(REPORTS[slug, rule].stage)["cfg"](SimpleNamespace(edition="small"))


@pytest.mark.parametrize(("slug", "rule"), FIGURES, ids=lambda key: key)
def test_a_corrected_published_number_redraws_no_figure(slug: str, rule: str) -> None:
    as_it_is = cfg_of(slug, rule, lambda published: published)
    assert cfg_of(slug, rule, corrected) == as_it_is
    assert "claims" not in json.loads(as_it_is)


@pytest.mark.parametrize(("slug", "rule"), TABLES, ids=lambda key: key)
def test_it_makes_the_tables_anew(slug: str, rule: str) -> None:
    as_it_is = cfg_of(slug, rule, lambda published: published)
    assert cfg_of(slug, rule, corrected) != as_it_is
    assert "claims" not in json.loads(as_it_is)


def test_what_is_published_of_another_net_than_those_shown_concerns_no_table() -> None:
    def of_sknet26(published: Any) -> Any:
        return published | {"sknet26": "other"} if isinstance(published, dict) else published

    assert cfg_of("sknet", "sknet_tables", of_sknet26) == cfg_of("sknet", "sknet_tables", lambda published: published)
    claims = [cfg_of("sknet", "sknet_claims", change) for change in (of_sknet26, lambda published: published)]
    assert claims[0] != claims[1]


def test_parts_are_chosen_by_name() -> None:
    cfg = {"data": 1, "published": {"a": 1, "b": 2}}
    assert showing(cfg, "b") == {"data": 1, "published": {"b": 2}}
    assert showing(cfg) == {"data": 1, "published": {}}
    with pytest.raises(KeyError):
        showing(cfg, "c")
