"""Tables, figures and verdicts of video-captioning, on made-up metrics whose numbers are known."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from tenfold import config
from tenfold.launcher import Job
from tenfold.papers.video_captioning.report.figures import by_setting
from tenfold.papers.video_captioning.report.results import differs, read, weighted_length, with_tags
from tenfold.papers.video_captioning.report.tables import TABLES, tables
from tenfold.papers.video_captioning.report.verdicts import claims, overall_scores
from tenfold.workflow import House

PAPER = House({}).paper("video-captioning")


def scores(cider: float, length: float) -> dict[str, Any]:
    return {"bleu4": cider / 3, "cider": cider, "rouge": cider / 2, "meteor": None, "length": length, "distinct": 0.5,
            "lengths": [0] * 21, "kinds": {}}  # fmt: skip


def made_up(folder: Path, edition: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of all captioners and tag nets of an edition: the cfg of the verdicts, and the files."""
    at = SimpleNamespace(edition=edition)
    cfg = json.loads(PAPER.params("report.verdicts.claims")["cfg"](at))
    files: dict[str, list[Path]] = {"captioners": [], "tags": []}
    cider = {"full": 0.9, "forced": 0.9, "no-tags": 0.5, "mean-tags": 0.5, "static": 0.7, "dynamic": 0.6}
    length = {"beta-0": 4.6, "beta-1": 4.0}
    for kind in files:
        for of in cfg["files"][kind]:
            arm = of["arm"]
            rows = []
            for seed in cfg["seeds"]:
                jitter = Random(f"{arm} {seed}").uniform(0, 0.05)
                said = scores(cider.get(arm, 0.8) + jitter, length.get(arm, 4.2) + jitter)
                row = {"seed": seed, "greedy": said, "beam": said, "best": said, "moved": 0.01, "behind": 0.1 + jitter,
                       "positions": {"free": [1.0], "forced": [1.0]}}  # fmt: skip
                net = {"seed": seed, "map": {"120": {"all": 0.5 + jitter}}, "final": {"all": 0.5 + jitter},
                       "trivial": {"all": 0.2}, "gain": 0.3 + jitter}  # fmt: skip
                rows.append(row if kind == "captioners" else net)
            path = folder / f"{kind}-{arm}.json"
            facts = {"data": of["data"], "arm": arm, "device": "cpu", "precision": "fp32", "reference_length": 5.0,
                     "reference_lengths": [1] * 21}  # fmt: skip
            path.write_text(json.dumps({**facts, "rows": rows}))
            files[kind].append(path)
    return cfg, files


def decided(folder: Path, edition: str) -> dict[str, dict[str, Any]]:
    cfg, files = made_up(folder, edition)
    claims(cfg, Job(folder / "resume"), **files, claims=folder / "claims.json")
    found = json.loads((folder / "claims.json").read_text())["claims"]
    return {claim["id"]: claim for claim in found}


def test_shorter_captions_with_beta_contradict_the_paper_on_real_captions_and_are_a_pipeline_check_on_drawn_ones(
    tmp_path: Path,
) -> None:
    real = decided(tmp_path, "real")
    assert real["C4"]["verdict"] == "contradicted"
    assert real["C4-overlong"]["verdict"] == "contradicted"
    assert real["C4-weights"]["verdict"] == "supported"
    assert "on msvd-captions, decoder-only proxy, no video (paper: msvd)" in real["C4"]["printed"]["word"]
    small = decided(tmp_path, "small")
    assert small["C4"]["verdict"] is None
    assert small["C4"]["pipeline_check"] == "reversed"
    assert small["C1"]["pipeline_check"] == "effect visible"


def test_the_proxy_says_nothing_of_tags_and_features(tmp_path: Path) -> None:
    real = decided(tmp_path, "real")
    assert {real[name]["verdict"] for name in ("C1", "C2-tags", "C2-captions", "C5", "C6")} == {"not testable here"}
    cfg, _ = made_up(tmp_path, "real")
    assert cfg["data"]["name"] == "msvd-captions, decoder-only proxy, no video"


def test_overall_scores_are_checked_to_their_last_digit() -> None:
    published = config.paper("video-captioning").published
    cells = overall_scores(published["msvd"], published["msr_vtt"]).cells
    assert len(cells) == 12
    assert all(abs(cell.measured - cell.expected) <= cell.tolerance for cell in cells)  # type: ignore[union-attr,operator]


def test_a_figure_of_a_setting_has_the_captioners_that_differ_in_it_alone(tmp_path: Path) -> None:
    cfg, files = made_up(tmp_path, "full")
    arms = read(cfg, files["captioners"], "captioners")
    assert [name for _, name in by_setting(cfg, arms, "beta")] == ["beta-0", "beta-0.35", "full", "beta-1"]
    assert [name for _, name in by_setting(cfg, arms, "sampling")] == ["forced", "eps-0.2", "full", "eps-0.8"]


def test_references_are_weighted_by_their_length_with_its_end() -> None:
    counts = [0, 1, 0, 1]  # one word and three: lengths of 2 and 4 with their ends
    assert weighted_length(counts, 0.0) == 2.0
    assert weighted_length(counts, 1.0) == pytest.approx((1 / 2 + 3 / 4) / (1 / 2 + 1 / 4))
    assert weighted_length(counts, 2.0) == pytest.approx((1 / 4 + 3 / 16) / (1 / 4 + 1 / 16))


def test_a_captioner_knows_how_good_its_tags_are(tmp_path: Path) -> None:
    cfg, files = made_up(tmp_path, "small")
    nets = read(cfg, files["tags"], "tags")
    arms = with_tags(cfg, read(cfg, files["captioners"], "captioners"), nets)
    assert arms["no-tags"].at("tags", "gain") == nets["both"].at("gain")
    assert arms["full"].at("tags", "gain") == nets["both"].at("gain")


@pytest.mark.parametrize("edition", ["small", "real", "full"])
def test_tables_have_all_captioners_and_say_that_meteor_was_not_measured(tmp_path: Path, edition: str) -> None:
    cfg, files = made_up(tmp_path, edition)
    paths = [tmp_path / f"{name}.{form}" for name in TABLES for form in ("md", "csv", "tex", "cells.json")]
    tables(cfg, Job(tmp_path / "resume"), **files, tables=paths, metrics=tmp_path / "metrics.json")
    components = (tmp_path / "table-components.md").read_text()
    assert "teacher forcing" in components
    assert "not measured: METEOR" in components
    assert (edition == "full") == ("tags-alone" in components)
    assert (edition != "small") == ("captions |" in components and "validation and test captions" in components)
    assert "61.80" in (tmp_path / "table-main.md").read_text()
    beta = (tmp_path / "table-beta.md").read_text()
    assert beta.index("| beta-0 ") < beta.index("| full ") < beta.index("| beta-1 ")
    assert "not recovered" in beta
    for exponent, weighted in ((0, 10.0), (1, sum(n / (n + 1) for n in range(21)) / sum(1 / n for n in range(1, 22)))):
        (row,) = [line for line in beta.splitlines() if f"| beta {exponent} " in line]
        assert row.split("|")[-2].strip() == f"{weighted:.2f}"


def test_every_captioner_of_every_edition_is_told_apart_in_words() -> None:
    for edition in config.EDITIONS:
        settings = config.paper("video-captioning").editions[edition]
        cfg = json.loads(PAPER.params("report.tables.tables")["cfg"](SimpleNamespace(edition=edition)))
        said = [differs(cfg, name) for name in settings["captioners"]]
        assert len(set(said)) == len(said)
        assert not set(said) & set(settings["captioners"])
