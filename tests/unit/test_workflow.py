"""What jobs depend on: reports on the part of the configuration that they show, and on no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tenfold.report.face import Data
from tenfold.workflow import House, Paper, runs_elsewhere, showing

HOUSE = House({})
REPORTS = {(slug, name): report for slug in HOUSE.slugs for name, report in HOUSE.paper(slug).reports.items()}
TABLES = [key for key, report in REPORTS.items() if "tables" in report.signature.outputs]
DRAWN = {"rco": ["methods"], "sge": ["imagenet", "groups", "statistics"], "sknet": ["attention"],
         "variance-shift": ["nets", "ratios"],
         "adversarial-competition": ["gains", "ranked", "transfer", "ensembles", "iterations",
                                     "median_by_eps"]}  # what figures show of what was published  # fmt: skip
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
def test_a_corrected_published_number_redraws_the_figures_that_show_it_alone(slug: str, rule: str) -> None:
    def others(published: Any) -> Any:
        if not isinstance(published, dict):
            return corrected(published)
        return {part: numbers if part in drawn else corrected(numbers) for part, numbers in published.items()}

    drawn = DRAWN.get(slug, ())
    as_it_is = cfg_of(slug, rule, lambda published: published)
    assert cfg_of(slug, rule, others) == as_it_is
    assert (cfg_of(slug, rule, corrected) != as_it_is) == bool(drawn)
    assert "claims" not in json.loads(as_it_is)


@pytest.mark.parametrize(
    ("slug", "edition", "shown"),
    [
        ("sge", "real", "cifar-10 (other real data, paper: imagenet)"),
        ("sge", "small", "shapes-10-clutter (stand-in for CIFAR-10, paper: imagenet)"),
        ("sge", "full", "imagenet"),
        ("sknet", "real", "cifar-10 (other real data, paper: imagenet)"),
        ("melody", "real", "openewld (other real data, paper: wikifonia)"),
        ("pruning-from-scratch", "real", "cifar-10"),
        ("rco", "small", "shapes-100 (stand-in for CIFAR-100)"),
    ],
)
def test_data_are_the_papers_others_or_a_standin(slug: str, edition: str, shown: str) -> None:
    assert str(Data(**HOUSE.paper(slug).edition(edition).data_shown)) == shown


@pytest.mark.parametrize(("slug", "rule"), TABLES, ids=lambda key: key)
def test_it_makes_the_tables_anew(slug: str, rule: str) -> None:
    as_it_is = cfg_of(slug, rule, lambda published: published)
    assert (cfg_of(slug, rule, corrected) != as_it_is) == bool(HOUSE.paper(slug).config.published)
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


FULL = SimpleNamespace(edition="full", net="resnet50", arm="sge", seeds="s0")
SMALL = SimpleNamespace(edition="small", net="resnet8-c16", arm="sge", seeds="s0-4")


@pytest.mark.parametrize(
    ("slug", "stage", "wildcards", "threads", "gpus", "megabytes"),
    [
        ("sge", "imagenet.train", FULL, 64, 8, 64000),
        ("sge", "examine", FULL, 8, 1, 8000),
        ("sge", "train", SMALL, 1, 1, 8000),
        ("sknet", "imagenet.train_photos", SimpleNamespace(edition="full", net="imagenet-50", arm="k3", seeds="s0"),
         64, 8, 64000),
    ],
)  # fmt: skip
def test_a_job_that_is_sent_elsewhere_asks_for_what_its_processes_need(
    slug: str, stage: str, wildcards: SimpleNamespace, threads: int, gpus: int, megabytes: int
) -> None:
    paper = House({}, elsewhere=True).paper(slug)
    needs = {name: of(wildcards) for name, of in paper.resources(stage).items()}
    assert (paper.threads(stage)(wildcards), needs) == (threads, {"gpu": gpus, "mem_mb": megabytes})


@pytest.mark.parametrize("slots", [4, "auto"])
def test_jobs_that_share_the_gpus_of_a_cluster_ask_for_shards(slots: int | str) -> None:
    def needs(wildcards: SimpleNamespace, stage: str, **overrides: Any) -> tuple[Any, Any]:
        resources = House({"gpu_slots": slots} | overrides, elsewhere=True).paper("sge").resources(stage)
        return resources["gpu"](wildcards), resources.get("gres", lambda _: None)(wildcards)

    assert needs(SMALL, "train") == (0, "shard:1")
    assert needs(FULL, "imagenet.train") == (8, "")
    assert needs(SMALL, "train", device="cpu") == (0, None)
    assert needs(SMALL, "train", gpu_slots=1) == (1, None)
    here = House({"gpu_slots": slots, "device": "cuda"}).paper("sge").resources("train")
    assert "gres" not in here and here["gpu"](SMALL) == 1


def test_a_job_on_the_processor_asks_for_no_gpu_wherever_it_runs() -> None:
    paper = House({"device": "cpu"}, elsewhere=True).paper("sge")
    assert paper.resources("imagenet.train")["gpu"](FULL) == 0
    assert House({"device": "cuda"}).gpu == 1


@pytest.mark.parametrize(
    ("cores", "nodes", "sent", "elsewhere"),
    [
        pytest.param(None, 100, False, True, id="profiles/slurm"),
        pytest.param(1, 100, False, True, id="profiles/slurm -n"),
        pytest.param(2, 1, True, True, id="a job of profiles/slurm"),
        pytest.param(8, None, False, False, id="profiles/default"),
        pytest.param(8, 4, False, False, id="profiles/default -j 4"),
        pytest.param(1, None, False, False, id="-n"),
    ],
)
def test_where_jobs_run_follows_from_what_is_counted(
    cores: int | None, nodes: int | None, sent: bool, elsewhere: bool
) -> None:
    settings = SimpleNamespace(cores=cores, nodes=nodes)
    assert runs_elsewhere(SimpleNamespace(resource_settings=settings, remote_exec=sent)) is elsewhere
