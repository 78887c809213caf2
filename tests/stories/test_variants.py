"""A user tries other settings: nothing tracked changes, nothing computed is overwritten, shared jobs are taken over."""

from __future__ import annotations

import re

from .conftest import Repository

HOT = "runs/small+hot/toy"


def test_a_variant_beside_its_edition(recorded: Repository) -> None:
    before = recorded.checksums("runs/small", "results")
    asked = ("try", "toy", "--set", "arm_recipes.fancy.steps=7", "--name", "hot")
    listed = recorded.tenfold(*asked, "-n")
    assert listed.stdout.startswith("variants/hot.yaml: snakemake small+hot/toy --dry-run\n")
    done = recorded.tenfold(*asked)
    assert re.findall(r"^\[(.*)\] the same job has run", done.stderr, flags=re.M) == [
        "small+hot/toy weights/plain/s0-2"
    ]
    assert "[small+hot/toy weights/fancy/s0-2] seed 2: " in done.stderr
    assert recorded.checksums("runs/small", "results") == before
    assert recorded.run("git", "status", "--porcelain").stdout == ""
    assert (recorded.path / HOT / "metrics/plain/s0-2.json").read_bytes() == (
        recorded.path / "runs/small/toy/metrics/plain/s0-2.json"
    ).read_bytes()
    assert "Edition small+hot" in (recorded.path / HOT / "tables/table-counts.md").read_text()
    claim = "The fancy arm counts higher than the plain one. (arm_recipes.fancy.steps=7)"
    assert claim in (recorded.path / HOT / "claims.json").read_text()
    assert recorded.planned("small+hot/toy") == recorded.planned("small/toy") == []


def test_an_edited_variant_reruns_what_depends_on_it_and_another_stands_beside_it(recorded: Repository) -> None:
    (recorded.path / "variants").mkdir()
    (recorded.path / "variants/hot.yaml").write_text("toy: { arm_recipes: { fancy: { steps: 7 } } }\n")
    (recorded.path / "variants/cold.yaml").write_text("toy: { seeds: [5] }\n")
    recorded.snakemake("small+hot/all", "small+cold/toy")
    assert (recorded.path / "runs/small+hot/scoreboard.md").exists()
    assert (recorded.path / "runs/small+cold/toy/metrics/plain/s5.json").exists()
    recorded.edit("variants/hot.yaml", "steps: 7", "steps: 8")
    assert recorded.planned("small+cold/toy") == recorded.planned("small/toy") == []
    rules = ["toy_count", "toy_tables"]
    assert recorded.waiting(targets=("small+hot/toy",)) == rules
    recorded.edit("variants/hot.yaml", "{ steps: 8 }", "{ stepps: 8 }")
    assert recorded.planned("small/toy") == [], "a mistake in a variant stops nothing else"
    for command in (["small+hot/toy"], [f"{HOT}/claims.json"]):
        failed = recorded.snakemake("-n", *command, check=False)
        assert failed.returncode == 2
        (line,) = [line for line in failed.stderr.splitlines() if line.startswith("tenfold: ")]
        wrong = "arm_recipes.fancy: unknown key 'stepps'; allowed: steps"
        assert line == f"tenfold: variants/hot.yaml: toy at small: {wrong}"


def test_the_other_verbs_know_a_variant(recorded: Repository) -> None:
    recorded.tenfold("try", "toy", "--set", "steps=7", "--name", "hot")
    refused = recorded.tenfold("record", "toy", "--edition", "small+hot", check=False)
    assert refused.returncode == 2
    assert refused.stderr == (
        "tenfold: small+hot is a variant of small: only editions as config/papers/ has them are on record\n"
    )
    said = recorded.tenfold("compare", "toy", "--edition", "small+hot").stdout
    assert "    steps: 7, in small 20\n" in said
    assert "    table-counts: fancy, steps: 7, on record 20: differs\n" in said
    assert "variants, as in small+hot: hot\n" in recorded.tenfold("list").stdout
    assert f"{HOT}/claims.json  (here)" in recorded.tenfold("list", "toy", "--edition", "small+hot").stdout
    assert '"steps":7' in recorded.tenfold("explain", "--full", f"{HOT}/tables/table-counts.csv:2:count").stdout
    assert "0 are not what their record says" in recorded.tenfold("verify").stdout
    files = recorded.checksums("runs/small+hot")
    recorded.tenfold("gc")
    recorded.tenfold("restore")
    recorded.tenfold("record")
    assert recorded.checksums("runs/small+hot") == files
