"""The whole DAG of all papers, with torch, at the edition `smoke`: it runs from nothing, and then has nothing to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tenfold import config, workflow
from tenfold.identity import digest
from tenfold.identity.definitions import Definition
from tenfold.identity.records import read_run_record

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "config", "profiles", "workflow", "src", "requirements.lock")
NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


def snakemake(folder: Path, *arguments: str) -> str:
    """Runs Snakemake in a folder, without a network, and gives its output; jobs note the functions that they enter."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("TENFOLD")}
    env |= NO_NETWORK | {"PYTHONPATH": str(folder / "src"), "TENFOLD_ENTERED": str(folder / "entered")}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in which `snakemake smoke/all` has run."""
    folder = tmp_path_factory.mktemp("smoke") / "tenfold"
    folder.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    snakemake(folder, "smoke/all")
    return folder


def test_everything_that_smoke_ends_in_is_there_with_its_run_record(finished: Path) -> None:
    targets = workflow.House({}).targets("smoke")
    assert len(targets) > len(config.papers())
    for target in targets:
        assert (finished / target).stat().st_size > 0
        record = read_run_record(finished / target)
        assert record is not None
        assert record["cfg"]["edition"] == "smoke"


def test_stages_enter_only_what_their_digest_covers(finished: Path) -> None:
    """A call that reading does not find would hide a change from the digest."""
    code = digest.Code(finished)
    records = [json.loads(path.read_text()) for path in finished.rglob(".run/*.json")]
    stages: dict[tuple[str, str], set[Definition]] = {}  # with all that their jobs begin with
    for run in records:
        stage = (run["module"], run["stage"])
        stages.setdefault(stage, set()).update(code.roots(*stage, run["cfg"]))
    reached = {stage: code.sources.reach(roots) for stage, roots in stages.items()}
    left_out: dict[str, list[str]] = {}
    for notes in finished.glob("entered.*"):
        names = notes.read_text().split()
        (stage,) = {tuple(name.split(":")) for name in names if tuple(name.split(":")) in stages} or {None}
        assert stage is not None, names
        covered = {f"{one.module}:{one.name}" for one in reached[stage]}
        covered |= {f"{one.module}:<lambda>" for one in reached[stage]}  # of an assignment; its name is not told
        for name in names:
            module, function = name.split(":")
            if not code.sources.is_outside(module) and f"{module}:{function.partition('.')[0]}" not in covered:
                left_out.setdefault(":".join(stage), []).append(name)
    assert left_out == {}
    assert len(stages) > 35


@pytest.mark.parametrize("slug", config.house()["papers"])
def test_every_claim_has_its_verdict_and_its_line_on_the_scoreboard(finished: Path, slug: str) -> None:
    content = json.loads((finished / f"runs/smoke/{slug}/claims.json").read_text())
    config.check(content, config.SCHEMAS / "claims.schema.yaml", slug)
    assert [claim["id"] for claim in content["claims"]] == [claim["id"] for claim in config.paper(slug).claims]
    scoreboard = (finished / "runs/smoke/scoreboard.csv").read_text()
    assert sum(line.startswith(f"{slug},") for line in scoreboard.splitlines()) == sum(
        len(claim["readings"]) for claim in content["claims"]
    )
    # One seed of a stand-in decides nothing that is trained.
    words = {claim["verdict"] for claim in content["claims"]} | {claim["pipeline_check"] for claim in content["claims"]}
    assert words.isdisjoint({"supported", "contradicted", "effect visible", "reversed"})


def test_a_second_run_has_nothing_to_do(finished: Path) -> None:
    assert "Nothing to be done" in snakemake(finished, "smoke/all", "--dry-run")


def test_another_greedy_search_reruns_the_greedy_arms_and_no_others(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "edited"
    shutil.copytree(finished, folder, copy_function=shutil.copy2)
    greedy = folder / "src/tenfold/papers/rco/greedy.py"
    edited = greedy.read_text().replace("relative[j] > delta", "relative[j] >= delta")
    assert edited != greedy.read_text()
    greedy.write_text(edited)
    planned = snakemake(folder, "smoke/all", "--dry-run")
    rules = set(re.findall(r"^(?:local)?rule (\S+):$", planned, flags=re.MULTILINE))
    assert rules == {
        "rco_search",
        "rco_tables",
        "rco_figures",
        "rco_claims",
        "rco_claim_pages",
        "scoreboard",
        "smoke/all",
    }


ARENA, TARGET = "adversarial_competition", "smoke/adversarial-competition"
SHOWN = [*(f"{ARENA}_{name}" for name in ("tables", "figures", "claims", "claim_pages")), TARGET]


@pytest.mark.parametrize(
    ("old", "new", "jobs"),
    [
        ("defences: [hgd] }", "defences: [hgd, random-resize] }", {"defend": 1, "through": 1}),
        ("[no-op, tsail-target]", "[no-op, tsail-target, noise]", {"craft": 1, "defend": 1}),
    ],
)
def test_another_defence_is_one_more_column_and_another_attack_one_more_row(
    finished: Path, tmp_path: Path, old: str, new: str, jobs: dict[str, int]
) -> None:
    """What is crafted is crafted once; a defence labels all attacks of its track in one job, so those run again."""
    folder = tmp_path / "edited"
    shutil.copytree(finished, folder, copy_function=shutil.copy2)
    settings = folder / "config/papers/adversarial-competition.yaml"
    assert settings.read_text().count(old) == 1
    settings.write_text(settings.read_text().replace(old, new))
    planned = snakemake(folder, TARGET, "--dry-run")
    rules = Counter(re.findall(r"^(?:local)?rule (\S+):$", planned, flags=re.MULTILINE))
    assert rules == Counter(SHOWN) + Counter({f"{ARENA}_{name}": count for name, count in jobs.items()})


def test_no_job_of_any_edition_has_an_ambiguous_or_unmet_input(finished: Path) -> None:
    planned = snakemake(finished, "--dry-run", *(f"{edition}/all" for edition in config.EDITIONS))
    assert "Exception" not in planned
    assert "rule data_prepare:" in planned


def test_recorded_results_come_back_in_a_clone_and_are_drawn_again_without_training(
    finished: Path, tmp_path: Path
) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    shutil.copytree(finished, origin, copy_function=shutil.copy2)
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore", "README.md", "pyproject.toml"):
        (origin / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, origin / name)

    def run(folder: Path, *command: str) -> str:
        author = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        env = os.environ | NO_NETWORK | author | {"PYTHONPATH": str(folder / "src"), "HOME": str(tmp_path)}
        env |= {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
        done = subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    tenfold = (sys.executable, "-m", "tenfold.cli")
    for command in (("git", "init", "-q"), ("git", "add", "-A"), ("git", "commit", "-qm", "Sources")):
        run(origin, *command)
    run(origin, *tenfold, "record", "--edition", "smoke")
    run(origin, "git", "add", "-A")
    run(origin, "git", "commit", "-qm", "Record smoke")
    run(tmp_path, "git", "clone", "-q", str(origin), str(clone))
    run(clone, *tenfold, "restore")
    assert "Nothing to be done" in snakemake(clone, "smoke/all", "--dry-run")
    for drawn in (*clone.glob("runs/smoke/*/tables"), *clone.glob("runs/smoke/*/figures")):
        shutil.rmtree(drawn)
    said = snakemake(clone, "smoke/all")
    started = {line.split("] start ")[1].split()[0] for line in said.splitlines() if "] start " in line}
    assert started
    drawing = ("table", "figure", "draw", "claims", "score")
    assert not [rule for rule in started if not any(word in rule for word in drawing)]
    assert not (clone / "data").exists()
    compared = run(clone, *tenfold, "compare", "--edition", "smoke", "--strict").splitlines()
    heads = [line.split(";")[0] for line in compared if line.startswith("smoke/")]
    assert heads == [f"smoke/{slug}: same bytes" for slug in config.house()["papers"]]
