"""Rewritten code: shown to be the same in effect beside the recorded code, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Repository

METHOD = "src/tenfold/papers/toy/method.py"
STEP = "    velocity = (momentum * velocity + rate + noise) % 2**32\n    return (value + velocity) % 2**32, velocity\n"
REWRITTEN = (
    "    velocity = wrapped(momentum * velocity + rate + noise)\n    return wrapped(value + velocity), velocity\n"
)
WRAPPED = "\n\ndef wrapped(number: int) -> int:\n    return number % 2**32\n"
RARELY = (
    "\n\ndef wrapped(number: int) -> int:\n    return number if number < 2**32 else rest(number)\n"
    "\n\ndef rest(number: int) -> int:\n    return number % 2**32\n"
)


def rewrite(repository: Repository, more: str, step: str = REWRITTEN) -> None:
    repository.edit(METHOD, STEP, step + more)
    repository.commit("Rewrite the step")


@pytest.fixture(scope="module")
def replayed(recorded_once: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose method was rewritten, and replayed."""
    repository = recorded_once.copy(tmp_path_factory.mktemp("replayed") / "house")
    rewrite(repository, WRAPPED)
    assert "toy_count" in repository.waiting()
    said = repository.tenfold("replay", "toy").stdout
    assert "4 outputs of 2 jobs, replayed equal at" in said
    return repository


def test_a_rewrite_that_was_replayed_plans_nothing(replayed: Repository, tmp_path: Path) -> None:
    assert replayed.waiting() == []
    replayed.commit("Say that it was replayed")
    clone = replayed.clone(tmp_path / "clone")
    clone.tenfold("restore")
    assert clone.waiting() == []
    assert "nothing to replay" in clone.tenfold("replay", "toy").stdout


def test_a_replay_is_told_in_words_of_its_own(replayed: Repository) -> None:
    commit = replayed.run("git", "log", "-1", "--format=%h", "--abbrev=9", "--", METHOD).stdout.strip()
    text = replayed.tenfold("explain", "--full", "runs/small/toy/metrics/fancy/s0-2.json").stdout
    assert f"replayed equal at {commit}" in text
    assert "(today's)" not in text.partition("\n  runs/")[2].partition("from ")[0]
    (entry,) = json.loads((replayed.path / "results/equivalences.json").read_text())["replayed"]
    assert entry["outputs"] == 4
    assert sorted(entry["jobs"]) == [f"runs/small/toy/weights/{arm}/s0-2.json" for arm in ("fancy", "plain")]
    assert {"cpu", "python"} <= set(entry["platform"])


def test_what_was_replayed_can_be_recorded_and_run_again(replayed: Repository, tmp_path: Path) -> None:
    repository = replayed.copy(tmp_path / "house")
    repository.commit("Say that it was replayed")
    assert "are on record" in repository.tenfold("record").stdout
    job = "runs/small/toy/metrics/plain/s0-2.json"
    before = repository.checksums("runs")
    repository.snakemake("--force", job)
    assert repository.checksums("runs") == before
    assert repository.waiting() == []


def test_a_later_edit_is_stale_again(replayed: Repository, tmp_path: Path) -> None:
    repository = replayed.copy(tmp_path / "house")
    repository.edit(METHOD, "return number % 2**32", "return number % 2**31")
    assert "toy_count" in repository.waiting()


@pytest.mark.parametrize(
    ("more", "step", "says"),
    [
        (WRAPPED.replace("2**32", "7"), REWRITTEN, "differs on the probe"),
        (RARELY, REWRITTEN, "the replay never ran tenfold.papers.toy.method:rest; run it in full"),
    ],
)
def test_a_replay_that_shows_nothing_is_refused(recorded: Repository, more: str, step: str, says: str) -> None:
    rewrite(recorded, more, step)
    done = recorded.tenfold("replay", "toy", check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert sum(line.startswith("tenfold: ") for line in done.stderr.splitlines()) == 1
    assert not (recorded.path / "results/equivalences.json").exists()
    assert "toy_count" in recorded.waiting()


def test_a_probe_may_have_arms_of_its_own_to_enter_what_recorded_ones_do_not(recorded: Repository) -> None:
    probe = "probe:\n  steps: 3\n  arms: { probe-large: { rate: 9000000000, momentum: 2 } }\n"
    recorded.edit("config/papers/toy.yaml", "probe:\n  steps: 3\n", probe)
    rewrite(recorded, RARELY)
    assert "4 outputs of 2 jobs, replayed equal at" in recorded.tenfold("replay", "toy").stdout
    assert recorded.waiting() == []


def test_sources_that_are_not_committed_are_not_replayed(recorded: Repository) -> None:
    recorded.edit(METHOD, STEP, REWRITTEN + WRAPPED)
    done = recorded.tenfold("replay", "toy", check=False)
    assert done.returncode == 2
    assert "not committed" in done.stderr
