"""What a user sees while Snakemake runs with the project's own profile: progress, failures, reasons."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Repository

ROOT = Path(__file__).parents[2]

SNAKEFILE = """
import json
rule all:
    input:
        expand("out/{arm}.txt", arm=["kd", "rco"]),
        "out/table.md",

rule train:
    output:
        "out/{arm}.txt",
    params:
        cfg=json.dumps(config.get("cfg", {})),
    log:
        "logs/{arm}.log",
    shell:
        "echo {params.cfg:q} > {output} && echo epoch 1 > {log}"

rule table:
    input:
        "out/kd.txt",
    output:
        "out/table.md",
    log:
        "logs/table.log",
    shell:
        "cp {input} {output} && touch {log}"

rule broken:
    input:
        "out/kd.txt",
    output:
        "out/broken.txt",
    log:
        "logs/broken.log",
    shell:
        "seq 1 40 > {log}; echo 'tenfold: no such dataset' >> {log}; exit 2"

rule forgetful:
    output:
        "out/forgotten.txt",
    shell:
        "true"
"""


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """A folder, its name with a space in it, with a small workflow and the project's default profile."""
    folder = tmp_path / "a workflow"
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    (folder / "Snakefile").write_text(SNAKEFILE)
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--latency-wait", "0", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if not line.startswith("Using workflow specific profile")]


def test_a_run_counts_its_jobs_and_says_what_it_does(workflow: Path) -> None:
    run = snakemake(workflow, "--cores", "1")
    assert run.returncode == 0
    shown = lines(run.stderr)
    assert shown[0].startswith("4 jobs to do: 2 train, 1 ")
    assert "[0/4] start  train arm=" in shown[1]
    assert sum(" start " in line for line in shown) == 3
    done = [line for line in shown if " done  " in line]
    assert [line[:5] for line in done] == ["[1/4]", "[2/4]", "[3/4]"]
    assert re.fullmatch(r"All done: 4 jobs in \d\.\d s", shown[-1])
    assert len(shown) == 8


def test_nothing_to_be_done_is_said_in_one_line(workflow: Path) -> None:
    snakemake(workflow)
    run = snakemake(workflow)
    assert lines(run.stderr) == ["Nothing to be done (all requested files are present and up to date)."]
    assert run.stdout == ""


def test_a_dry_run_lists_each_job_with_its_reason(workflow: Path) -> None:
    snakemake(workflow)
    plan = snakemake(workflow, "-n", "--config", 'cfg={"lr": 0.05}').stdout
    reasons = re.findall(r"^rule (\w+):$.*?^    reason: (.+?)$", plan, flags=re.MULTILINE | re.DOTALL)
    assert sorted(rule for rule, _ in reasons) == ["all", "table", "train", "train"]
    assert {reason for rule, reason in reasons if rule == "train"} == {"Settings changed: lr absent -> 0.05"}
    assert snakemake(workflow, "-n", "out/forgotten.txt").stdout.count("reason: Missing output files") == 1


def test_a_failure_is_one_line_with_the_end_of_its_log(workflow: Path) -> None:
    run = snakemake(workflow, "out/broken.txt")
    assert run.returncode == 1
    shown = lines(run.stderr)
    failed = next(index for index, line in enumerate(shown) if "FAILED" in line)
    assert re.fullmatch(r"\[1/2\] FAILED broken after \d\.\d s \(exit status 2\); log: logs/broken\.log", shown[failed])
    assert shown[failed + 1 : -1] == [f"    {number}" for number in range(30, 41)] + ["    tenfold: no such dataset"]
    assert shown[-1] == "1 of 2 jobs done, 1 failed: broken"
    for noise in ("Traceback", "CalledProcessError", "WorkflowError", "RuleException"):
        assert noise not in run.stderr


def test_other_jobs_go_on_after_a_failure_when_asked_to(workflow: Path) -> None:
    run = snakemake(workflow, "--keep-going", "out/broken.txt", "out/rco.txt")
    assert run.returncode == 1
    assert lines(run.stderr)[-1] == "2 of 3 jobs done, 1 failed: broken"


def test_an_output_that_was_not_written_is_named(workflow: Path) -> None:
    run = snakemake(workflow, "out/forgotten.txt")
    assert run.returncode == 1
    assert "MissingOutputException in rule forgetful" in run.stderr
    assert "out/forgotten.txt (missing locally" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_mistake_in_the_configuration_is_one_line(workflow: Path) -> None:
    snakefile = workflow / "Snakefile"
    raising = "from tenfold.errors import UserError\nraise UserError('edition huge is unknown: smoke, small')\n"
    snakefile.write_text(raising + SNAKEFILE)
    run = snakemake(workflow)
    assert run.returncode == 1
    assert lines(run.stderr) == ["tenfold: edition huge is unknown: smoke, small"]


def test_an_unknown_target_is_named(workflow: Path) -> None:
    run = snakemake(workflow, "small/nosuch")
    assert run.returncode == 1
    assert "tenfold: no rule makes small/nosuch; tenfold list says what can be asked for" in run.stderr


def test_quiet_keeps_its_meaning(workflow: Path) -> None:
    assert lines(snakemake(workflow, "--quiet", "all").stderr) == []
    assert not any("start" in line for line in lines(snakemake(workflow, "--forceall", "--quiet", "rules").stderr))


def test_utilities_print_what_they_always_do(workflow: Path) -> None:
    lint = snakemake(workflow, "--lint")
    assert lint.returncode == 1
    assert "No log directive defined" in lint.stderr
    dag = snakemake(workflow, "--dag")
    assert dag.stdout.startswith("digraph snakemake_dag {")
    snakemake(workflow)
    report = snakemake(workflow, "--report", "report.html")
    assert report.returncode == 0, report.stderr
    assert "<html" in (workflow / "report.html").read_text()


def test_a_reader_that_leaves_early_causes_no_noise(workflow: Path) -> None:
    command = f"'{sys.executable}' -m snakemake -n | true; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], cwd=workflow, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0
    assert lines(run.stderr) == []


def test_a_dry_run_names_the_settings_that_changed_and_lists_no_targets(workflow: Path) -> None:
    snakemake(workflow, "--config", 'cfg={"lr": 0.1, "seeds": 3}')
    changed = ["--config", 'cfg={"lr": 0.05, "seeds": 3}']
    plan = snakemake(workflow, "-n", *changed).stdout
    assert plan.count("    reason: Settings changed: lr 0.1 -> 0.05\n") == 2
    assert "rule all:\n    input: 3 files\n" in plan
    run = snakemake(workflow, "--cores", "1", *changed)
    assert " start  train arm=kd: Settings changed: lr 0.1 -> 0.05\n" in run.stderr


def test_a_clone_knows_from_the_record_how_long_its_first_run_takes(recorded_once: Repository, tmp_path: Path) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    kept = clone.path / "results/small/toy/jobs.times.csv"
    with kept.open(newline="") as file:
        took = {row["output"]: float(row["seconds"]) for row in csv.DictReader(file)}
    assert len(took) == 4
    assert all(0 < seconds < 600 for seconds in took.values())
    assert clone.tenfold("verify").stdout.count("\n") == 1, "times are beside the record, and no part of it"
    kept.write_text(re.sub(r"^(runs/.*),.*$", r"\1,1000.0", kept.read_text(), flags=re.MULTILINE))
    run = clone.snakemake("--forceall", "small/toy")
    # Two arms beside each other, then the tables, at the pace at which this machine has just made the data.
    to_go = re.search(r"^about (\d+) min to go$", run.stderr, flags=re.MULTILINE)
    assert to_go is not None, run.stderr
    assert 2000 / 60 / 4 < int(to_go[1]) < 2000 / 60 * 4
