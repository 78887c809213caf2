"""``compare``, ``verify`` and ``explain``: checkable answers on the toy paper."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import statistics
from pathlib import Path

import pytest

from .conftest import Repository
from .test_change_tracking import ROOT

TABLE = f"{ROOT}/tables/table-counts"


def on_another_machine(repository: Repository) -> None:
    """Changes what the run records say of the processor."""
    for path in (repository.path / "runs").rglob(".run/*.json"):
        record = json.loads(path.read_text())
        record["platform"]["cpu"] = {"vendor": "another"}
        path.write_text(json.dumps(record))


def test_explain_a_cell_down_to_the_data(recorded_once: Repository) -> None:
    text = recorded_once.tenfold("explain", "--full", f"{TABLE}.csv:fancy:count").stdout
    assert text == recorded_once.tenfold("explain", "--full", f"{TABLE}.csv:2:count").stdout
    metrics = json.loads((recorded_once.path / ROOT / "metrics/fancy/s0-2.json").read_text())
    counts = "  ".join(f"{row['seed']}: {row['count']:.6g}" for row in metrics["rows"])
    assert f"  seeds      {counts}\n" in text
    assert "  of         edition small, shapes-10-smoke (stand-in for CIFAR-10)\n" in text
    provenance = json.loads((recorded_once.path / "results/small/toy/provenance.json").read_text())
    job = next(job for job in provenance["jobs"] if job["rule"] == "toy_count" and job["cfg"]["arm"] == "fancy")
    commit = recorded_once.run("git", "rev-parse", "--short", "HEAD").stdout.strip()
    for part in (
        "rule      toy_count (tenfold.papers.toy.count)",
        f"code      {job['code']} (today's)",
        *(f"from      {path} {checksum}" for path, checksum in job["inputs"].items()),
        f"record    commit {commit} of ",
        '"rate":5',
        "rule      data_prepare (tenfold.data.prepare)",
        '"machine":',
        "rule      toy_tables",
    ):
        assert part in text
    assert "plain/s0-2.json\n    sha256" not in text, "the other arm is not behind this cell"


@pytest.mark.parametrize(
    ("column", "meaning"),
    [
        ("arm", "a label of the row"),
        ("count", "the mean over seeds"),
        ("count.sd", "the standard deviation over seeds of count"),
        ("count.n", "the number of seeds of count"),
        ("count.published", "the published number of count"),
        ("count.source", "where the published number was read of count"),
        ("steps", "a count, or arithmetic"),
        ("precision", "said of the whole row"),
    ],
)
def test_explain_says_what_each_column_is(recorded_once: Repository, column: str, meaning: str) -> None:
    with (recorded_once.path / f"{TABLE}.csv").open() as file:
        value = list(csv.DictReader(file))[1][column] or "-"
    lines = recorded_once.tenfold("explain", f"{TABLE}.csv:fancy:{column}").stdout.splitlines()
    assert lines[0] == f"{TABLE}.csv, {column} of fancy: {value} ({meaning})"
    assert len(lines) <= 11


def test_explain_a_cell_says_mean_spread_jobs_and_since_when(recorded: Repository) -> None:
    head = recorded.run("git", "log", "-1", "--format=commit %h of %cs").stdout.strip()
    recorded.commit("Nothing that concerns the record")
    values = [
        row["count"] for row in json.loads((recorded.path / ROOT / "metrics/fancy/s0-2.json").read_text())["rows"]
    ]
    text = recorded.tenfold("explain", f"{TABLE}.csv:fancy:count.sd").stdout
    spread = f"{statistics.stdev(values):.3g}"
    assert f"  value      {statistics.fmean(values):.6g} (mean; sd {spread}, n 3)\n" in text
    assert "  made by    toy_count arm fancy, seeds 0 1 2\n" in text
    assert f"  record     {head}; these bytes since {head}\n" in text


def test_explain_for_a_machine_has_the_whole_lineage(recorded_once: Repository) -> None:
    said = recorded_once.tenfold("explain", "--json", f"{TABLE}.csv:fancy:count").stdout
    content = json.loads(said)
    assert said == json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1) + "\n"
    metrics = f"{ROOT}/metrics/fancy/s0-2.json"
    assert content["files"] == [metrics, f"{TABLE}.csv"]
    assert content["cell"]["seeds"] == [0, 1, 2]
    assert content["lineage"][metrics]["cfg"]["rate"] == 5
    assert "data/prepared/shapes-10-smoke.safetensors" in content["lineage"]


def test_explain_a_claim_and_whether_it_was_fixed_before_its_runs(recorded: Repository, tmp_path: Path) -> None:
    fixed = recorded.run("git", "log", "--format=commit %h of %cs", "--reverse").stdout.splitlines()[0]
    asked = ["toy:T1", "small/toy:T1", f"{ROOT}/claims.json:T1"]
    first, *others = [recorded.tenfold("explain", name).stdout for name in asked]
    assert others == [first, first]
    assert recorded.tenfold("explain", "toy:T1", cwd="results/small").stdout == first
    assert first in recorded.tenfold("explain", "results/small/scoreboard.csv:toy / T1:estimate").stdout
    assert first.startswith("toy, claim T1 at small: The fancy arm counts higher than the plain one.\n")
    assert (
        f"  claim      its entry in config/papers/toy.yaml stands since {fixed}, before its runs went on record"
        in first
    )
    shallow = tmp_path / "shallow"
    recorded.run("git", "clone", "-q", "--depth", "1", f"file://{recorded.path}", str(shallow))
    clone = Repository(shallow, recorded.env | {"PYTHONPATH": str(shallow / "src")})
    said = clone.tenfold("explain", "toy:T1").stdout
    assert "  record     results/small/toy/provenance.json; since when cannot be told: this clone is shallow" in said
    assert "whether it was fixed before its runs cannot be told: this clone is shallow" in said
    recorded.edit("config/papers/toy.yaml", "reason: a toy", "reason: another")
    assert "is not committed as it stands" in recorded.tenfold("explain", "toy:T1").stdout
    recorded.commit("Change a claim after its runs")
    changed = recorded.run("git", "log", "-1", "--format=commit %h of %cs").stdout.strip()
    assert f"stands since {changed}, AFTER runs of it went on record" in recorded.tenfold("explain", "toy:T1").stdout
    (recorded.path / ".git").rename(tmp_path / "git")
    assert "cannot be told: there is no git history here" in recorded.tenfold("explain", "toy:T1").stdout


def test_explain_asks_git_a_few_times_however_many_files_there_are(recorded: Repository, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f'#!/bin/sh\necho "$1" >> {calls}\nexec {shutil.which("git")} "$@"\n')
    git.chmod(0o755)
    recorded.tenfold("explain", "--full", f"{TABLE}.csv", env={"PATH": f"{git.parent}:{os.environ['PATH']}"})
    assert calls.read_text().split().count("log") == 2
    assert len(calls.read_text().split()) <= 4


def test_the_command_that_explain_prints_makes_the_file_again(recorded: Repository) -> None:
    text = recorded.tenfold("explain", "--full", f"{ROOT}/weights/plain/s0-2.json").stdout
    command = next(line for line in text.splitlines() if line.strip().startswith("command  ")).split(maxsplit=1)[1]
    weights = recorded.path / ROOT / "weights/plain/s0-2.json"
    before = weights.read_bytes()
    weights.unlink()
    recorded.run("bash", "-c", command.replace("snakemake", f"{recorded.python} -m snakemake --cores 1"))
    assert weights.read_bytes() == before


def test_explain_what_was_made_here_after_a_change(recorded: Repository) -> None:
    recorded.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    recorded.snakemake("--quiet", "all")
    text = recorded.tenfold("explain", "--full", f"{ROOT}/metrics/fancy/s0-2.json").stdout
    assert '"rate":6' in text
    assert "record    made here, not on record" in text
    recorded.edit("src/tenfold/papers/toy/method.py", "+ rate + noise", "+ rate - noise")
    text = recorded.tenfold("explain", f"{ROOT}/metrics/plain/s0-2.json").stdout
    assert "(today's is " in text
    verified = recorded.tenfold("verify").stdout
    assert f"{ROOT}/metrics/fancy/s0-2.json: made anew here, with other bytes than on record" in verified
    assert "0 are not what their record says" in verified


@pytest.mark.parametrize(
    ("rate", "elsewhere", "outcome", "code"),
    [
        ("5", False, "same bytes", 0),
        ("6", True, "same within seed spread", 0),
        ("900", True, "differs", 1),
    ],
)
def test_compare(recorded: Repository, rate: str, elsewhere: bool, outcome: str, code: int) -> None:
    recorded.edit("config/papers/toy.yaml", "rate: 5", f"rate: {rate}")
    recorded.snakemake("--quiet", "all")
    if elsewhere:
        on_another_machine(recorded)
    done = recorded.tenfold("compare", "--strict", check=False)
    assert f"\nsmall/toy: {outcome}; claims: 1 pipeline check" in done.stdout
    assert done.returncode == code
    assert recorded.tenfold("compare").returncode == 0
    assert ("fancy, count" in done.stdout) == (outcome == "differs")


def as_if_made(path: Path) -> None:
    """Lets the run record say that a job has left a file as it is now."""
    note = path.parent / ".run" / f"{path.name}.json"
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    note.write_text(json.dumps(json.loads(note.read_text()) | {"sha256": checksum}))


def test_other_bytes_by_the_same_work_on_the_same_machine_differ(recorded: Repository) -> None:
    table = recorded.path / f"{TABLE}.csv"
    table.write_text(table.read_text().replace("fancy", "Fancy"))
    as_if_made(table)
    done = recorded.tenfold("compare", "--strict", check=False)
    assert done.returncode == 1
    assert f"{TABLE}.csv: differs, on an equal platform with equal settings and code" in done.stdout


def test_a_count_that_differs_is_a_difference_everywhere(recorded: Repository) -> None:
    on_another_machine(recorded)
    cells = recorded.path / f"{TABLE}.cells.json"
    cells.write_text(cells.read_text().replace('"exact": 20', '"exact": 21'))
    as_if_made(cells)
    done = recorded.tenfold("compare", "--strict", check=False)
    assert done.returncode == 1
    assert "table-counts: plain, steps: 21, on record 20: differs" in done.stdout


def test_nothing_computed_and_nothing_recorded(recorded_once: Repository, repository: Repository) -> None:
    assert "small/toy: not on record\n" in repository.tenfold("compare").stdout
    repository.run("cp", "-r", str(recorded_once.path / "results"), "results")
    assert "small/toy: on record, not computed here\n" in repository.tenfold("compare").stdout


def test_verbs_mean_the_same_from_every_folder_of_the_project(recorded: Repository, tmp_path: Path) -> None:
    asked = f"{ROOT}/metrics/fancy/s0-2.json"
    at_root = recorded.tenfold("explain", asked).stdout
    assert recorded.tenfold("explain", "s0-2.json", cwd=f"{ROOT}/metrics/fancy").stdout == at_root
    assert recorded.tenfold("explain", str(recorded.path / asked), cwd="results").stdout == at_root
    link = tmp_path / "link"
    link.symlink_to(recorded.path)
    assert recorded.tenfold("explain", str(link / asked), cwd=link).stdout == at_root
    for verb in ("verify", "compare", "target"):
        assert recorded.tenfold(verb, cwd="results/small").stdout == recorded.tenfold(verb).stdout
    recorded.tenfold("record", "--index", cwd="results")
    assert recorded.run("git", "status", "--porcelain").stdout == ""


def test_a_verb_of_another_clone_is_refused(recorded: Repository, tmp_path: Path) -> None:
    other = recorded.clone(tmp_path / "other")
    for verb in ("verify", "compare", "record", "restore", "gc"):
        done = recorded.tenfold(verb, cwd=other.path, check=False)
        assert done.returncode == 2
        assert done.stderr == (
            f"tenfold: this command is of {recorded.path}, and {other.path} is not in it: "
            f"use {other.path}/.venv/bin/tenfold (make there sets it up)\n"
        )


def test_a_reader_that_has_enough_is_no_fault(recorded: Repository) -> None:
    explain = f"{recorded.python} -m tenfold.cli explain {ROOT}/tables/table-counts.csv"
    done = recorded.run("bash", "-c", f"set -o pipefail; {explain} | head -1")
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("results/small/scoreboard.md", "T1", "T2", "does not follow from what is on record"),
        ("README.md", "| paper ", "| papier ", "does not follow from what is on record"),
        ("dvc.yaml", "metrics:", "metric:", "does not follow from what is on record"),
        ("results/small/toy/dvc.yaml", "persist: true", "persist: false", "does not follow from what is on record"),
        ("results/small/toy/dvc.yaml", "", None, "does not follow from what is on record"),
        ("results/small/toy/dvc.lock", "", None, "is missing; git checkout"),
        ("results/small/toy/claims.json", "T1", "T2", "on record is"),
        ("results/small/toy/metrics.json", "fancy", None, "is missing; git checkout"),
        ("results/small/toy/tables/table-counts.csv", "fancy", "Fancy", "on record is"),
        (f"{ROOT}/metrics/fancy/s0-2.json", "fancy", "Fancy", "on record is"),
    ],
)
def test_verify_names_whatever_is_not_as_recorded(
    recorded: Repository, file: str, old: str, new: str | None, says: str
) -> None:
    assert "0 are not what their record says" in recorded.tenfold("verify").stdout
    if new is None:
        (recorded.path / file).unlink()
    else:
        recorded.edit(file, old, new)
    done = recorded.tenfold("verify", check=False)
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if line.startswith(f"{file}: ")]
    assert len(lines) == 1
    assert says in lines[0]


def test_verify_names_a_file_of_no_record_and_counts_each_file_once(recorded: Repository) -> None:
    before = recorded.tenfold("verify").stdout.splitlines()[-1]
    files = {path for folder in ("runs/small/toy", "results/small/toy", "data") for path in recorded.checksums(folder)}
    known = {path for path in files if not path.endswith((".lock", ".yaml", "provenance.json"))}
    assert before.startswith(f"{len(known)} files checked")
    (recorded.path / "results/small/toy/tables/more.csv").write_text("a")
    done = recorded.tenfold("verify", check=False)
    assert "results/small/toy/tables/more.csv: is on no record" in done.stdout


@pytest.mark.parametrize("suffix", ["csv", "cells.json"])
def test_explain_says_first_that_a_file_is_not_as_recorded(recorded: Repository, suffix: str) -> None:
    table = f"results/small/toy/tables/table-counts.{suffix}"
    recorded.edit(table, "fancy", "fency")
    first = recorded.tenfold("explain", table).stdout.splitlines()[0]
    assert first.startswith(f"{table}: IS NOT AS RECORDED")
    here = f"{ROOT}/metrics/fancy/s0-2.json"
    recorded.edit(here, "fancy", "fency")
    done = recorded.tenfold("explain", here, check=False)
    assert done.returncode == 2
    assert f"{here}: IS NOT AS RECORDED" in done.stderr


def test_explain_knows_the_headline(recorded: Repository) -> None:
    text = recorded.tenfold("explain", "runs/small/toy/headline/fancy/s0-2.json").stdout
    assert "made by    toy_count arm fancy, seeds 0 1 2" in text
    assert recorded.tenfold("explain", "toy-small").stdout == text
    assert "made by    toy_count" in recorded.tenfold("explain", "runs/small/toy/headline").stdout


def test_compare_claims_nothing_of_a_file_that_no_job_made(recorded: Repository) -> None:
    recorded.edit(f"{ROOT}/tables/table-counts.csv", "fancy", "fency")
    done = recorded.tenfold("compare", "--strict", check=False)
    assert done.returncode == 1
    assert "table-counts.csv: is neither as recorded nor as a job here left it; snakemake -f" in done.stdout
    assert "equal platform" not in done.stdout


def test_compare_of_nothing_fails_where_it_is_strict(recorded_once: Repository, tmp_path: Path) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    done = clone.tenfold("compare", "--strict", check=False)
    assert done.returncode == 1
    assert "nothing was compared: make reproduce" in done.stdout


def test_list_says_what_can_be_asked_for_and_what_is_on_record(recorded: Repository) -> None:
    said = recorded.tenfold("list").stdout
    assert "toy  A paper without torch; on record: small\n" in said
    assert f"{ROOT}/tables/table-counts.csv  (on record, here)" in recorded.tenfold("list", "toy").stdout
    assert "(not computed)" in recorded.tenfold("list", "toy", "--edition", "smoke").stdout
    assert "'gone' is not a paper" in recorded.tenfold("list", "gone", check=False).stderr


def test_one_paper_of_one_edition_is_restored_alone(recorded_once: Repository, tmp_path: Path) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    done = clone.tenfold("restore", "toy", "--edition", "smoke", check=False)
    assert done.returncode == 2
    assert "nothing of that is on record; on record: small/toy" in done.stderr
    assert "small/toy: restored" in clone.tenfold("restore", "toy").stdout
    assert clone.waiting() == []
