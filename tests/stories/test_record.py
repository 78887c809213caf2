"""``tenfold record``: what goes on record, byte for byte the same when done again, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from .conftest import Repository
from .test_change_tracking import ROOT

FIGURE = '''
"""Draws an example."""

from __future__ import annotations

from tenfold.launcher import Cfg, Input, Job, Output, main, stage


@stage
def example(cfg: Cfg, job: Job, *, data: Input, picture: Output) -> None:
    """A piece of the data, as if it were a picture."""
    picture.write_bytes(data.read_bytes()[-3072:])


if __name__ == "__main__":
    main(example)
'''
FIGURE_RULE = """

rule toy_example:
    input:
        data=toy.data,
    output:
        picture="runs/{edition}/toy/FOLDER/example.png",
    params:
        **toy.params("example"),
    log:
        "logs/{edition}/toy/example.log",
    shell:
        toy.run("example")
"""


def refused(repository: Repository, *arguments: str) -> str:
    """The one line with which a verb refuses."""
    before = repository.run("git", "status", "--porcelain", "--", "results", "store", "dvc.yaml", "README.md").stdout
    done = repository.tenfold(*arguments, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    after = repository.run("git", "status", "--porcelain", "--", "results", "store", "dvc.yaml", "README.md").stdout
    assert after == before, "a refusal writes nothing"
    return done.stderr


def test_what_is_on_record(recorded: Repository) -> None:
    results = recorded.path / "results/small"
    names = sorted(path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file())
    tables = [f"toy/tables/table-counts.{form}" for form in ("cells.json", "csv", "md", "tex")]
    derived = ["scoreboard.csv", "scoreboard.md"]
    own = ["claims.json", "dvc.lock", "dvc.yaml", "jobs.times.csv", "metrics.json", "provenance.json"]
    assert names == sorted([*derived, *(f"toy/{name}" for name in own), *tables])
    provenance = json.loads((results / "toy/provenance.json").read_text())
    recorded_files = {path for job in provenance["jobs"] for path in job["outputs"]}
    assert recorded_files == {
        path.relative_to(recorded.path).as_posix()
        for folder in ("runs/small/toy", "data/prepared")
        for path in (recorded.path / folder).rglob("*")
        if path.is_file() and not {".run", ".resume", "headline"} & set(path.parts)
    }
    counting = next(job for job in provenance["jobs"] if job["rule"] == "toy_count" and job["cfg"]["arm"] == "fancy")
    assert counting["seeds"] == [0, 1, 2]
    assert counting["cfg"]["rate"] == 5
    assert len(counting["code"]) == 16
    platform = provenance["platforms"][counting["platform"]]
    assert {"cpu", "machine", "numpy", "python", "system"} <= set(platform)
    assert "time" not in json.dumps(sorted(counting))
    stage = yaml.safe_load((results / "toy/dvc.yaml").read_text())["stages"]["small-toy"]
    assert stage == {
        "cmd": "snakemake small/toy",
        "wdir": "../../../",
        "params": [{"config/papers/toy.yaml": ["defaults", "small"]}],
        "outs": [{"runs/small/toy": {"persist": True}}],
    }
    assert "| paper | primary claim |" in (recorded.path / "README.md").read_text()
    assert "T1" in (results / "scoreboard.md").read_text()
    assert recorded.run("git", "status", "--porcelain").stdout == ""


def test_the_same_work_gives_the_same_record(recorded: Repository) -> None:
    recorded.snakemake("--forceall", "--quiet", "all")
    recorded.tenfold("record")
    changed = recorded.run("git", "status", "--porcelain", "--untracked-files=no").stdout.splitlines()
    # Measured times are new, and with them the folder's checksum in the ledger. All else is the same to the byte.
    assert {line[3:] for line in changed} <= {"results/small/toy/dvc.lock", "results/small/toy/jobs.times.csv"}


def test_recording_what_was_restored_changes_nothing(restored: Repository) -> None:
    restored.tenfold("record")
    assert restored.run("git", "status", "--porcelain").stdout == ""


def test_a_changed_arm_is_recorded_beside_restored_ones(restored: Repository) -> None:
    restored.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    assert "config/papers/toy.yaml: not committed" in refused(restored, "record")
    restored.commit("Another rate")
    assert "not up to date, 2 jobs are waiting (toy_count, toy_tables): snakemake small/toy" in refused(
        restored, "record"
    )
    restored.snakemake("--quiet", "all")
    restored.tenfold("record")
    provenance = json.loads((restored.path / "results/small/toy/provenance.json").read_text())
    rates = {job["cfg"]["arm"]: job["cfg"]["rate"] for job in provenance["jobs"] if job["rule"] == "toy_count"}
    assert rates == {"plain": 1, "fancy": 6}
    plain = f"{ROOT}/weights/plain/s0-2.json"
    assert not (restored.path / plain).exists()
    assert any(plain in job["outputs"] for job in provenance["jobs"]), "weights that were not pulled stay on record"


def test_stale_results_are_refused(recorded: Repository) -> None:
    recorded.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    recorded.commit("Another rate")
    said = refused(recorded, "record")
    assert "not up to date, 2 jobs are waiting (toy_count, toy_tables): snakemake small/toy" in said


def test_untracked_sources_are_refused(recorded: Repository) -> None:
    (recorded.path / "src/tenfold/papers/toy/new.py").write_text("")
    assert "src/tenfold/papers/toy/new.py: not committed" in refused(recorded, "record")


def test_a_missing_run_record_is_refused(repository: Repository) -> None:
    repository.snakemake("--quiet", "all")
    (repository.path / ROOT / "tables/.run/table-counts.csv.json").unlink()
    assert f"{ROOT}/tables/table-counts.csv: its run record is missing" in refused(repository, "record")


def test_a_file_that_was_changed_by_hand_is_refused(recorded: Repository) -> None:
    table = recorded.path / ROOT / "tables/table-counts.csv"
    table.write_text(table.read_text().replace("fancy", "Fancy"))
    assert "table-counts.csv: was changed after rule toy_tables made it" in refused(recorded, "record")


def test_the_users_snakemake_settings_do_not_let_old_results_pass(recorded: Repository, tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text("rerun-triggers: [mtime]\n")
    recorded.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    recorded.commit("Another rate")
    recorded.env["SNAKEMAKE_PROFILE"] = str(profile)
    assert "2 jobs are waiting (toy_count, toy_tables)" in refused(recorded, "record")


def test_results_of_inputs_that_were_made_anew_are_refused(recorded: Repository) -> None:
    metrics = recorded.path / ROOT / "metrics/fancy/s0-2.json"
    recorded.edit(f"{ROOT}/metrics/fancy/s0-2.json", '"count": ', '"count": 1')
    note = metrics.parent / ".run" / f"{metrics.name}.json"
    run = json.loads(note.read_text())
    note.write_text(json.dumps(run | {"sha256": hashlib.sha256(metrics.read_bytes()).hexdigest()}))
    assert "1 jobs are waiting (toy_tables)" in refused(recorded, "record")


def test_leftovers_of_other_settings_are_refused(recorded: Repository) -> None:
    (recorded.path / ROOT / "metrics/old").mkdir()
    (recorded.path / ROOT / "metrics/old/s0.json").write_text("{}")
    assert "metrics/old/s0.json: no job of small/toy makes this any more; delete it" in refused(recorded, "record")


def test_what_is_kept_is_capped(repository: Repository) -> None:
    repository.edit("config/papers/toy.yaml", "padding: 0", "padding: 3100000")
    repository.commit("Large weights")
    repository.snakemake("--quiet", "all")
    said = refused(repository, "record")
    assert "small/toy: 3.11 MB to keep, allowed are 3 MB" in said
    assert "headline/fancy/s0-2.json" in said


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["record", "gone"], "'gone' is not a paper; allowed: all, toy"),
        (["compare", "--edition", "tiny"], "'tiny' is not an edition; allowed: smoke, small, real, lab, full"),
        (["explain", "results/nothing.csv"], "there is no such file"),
        (["explain", "README.md"], "no job is known that made it"),
        (["explain", "results"], "is a folder"),
        (
            ["explain", f"{ROOT}/tables/table-counts.csv:nobody:count"],
            "has no row 'nobody'; allowed: 1 to 2, or plain, fancy",
        ),
        (
            ["explain", f"{ROOT}/tables/table-counts.csv:1:nothing"],
            "has no column 'nothing'; allowed: arm, count, count.sd",
        ),
        (["explain", f"{ROOT}/tables/table-counts.csv:1"], "lacks a column: ROW:COLUMN, with a column of arm, count"),
        (["explain", "toy:T9"], "small/toy: has no claim 'T9'; allowed: T1"),
        (["explain", "full/toy:T1"], "full/toy: has no verdicts here; on record: small/toy"),
        (["explain", "results/small/scoreboard.csv:toy / T9:p"], "has no row 'toy / T9'; allowed: 1 to 1, or toy / T1"),
        (["restore", "--rev", "nowhere"], "nowhere: is not a commit"),
    ],
)
def test_a_mistake_is_one_line_with_what_is_allowed(recorded_once: Repository, args: list[str], says: str) -> None:
    assert says in refused(recorded_once, *args)


@pytest.mark.parametrize(("redistribute", "folder"), [(False, "figures"), (True, "figures"), (False, "private")])
def test_a_picture_of_closed_data_does_not_get_on_record(recorded: Repository, redistribute: bool, folder: str) -> None:
    registry = yaml.safe_load((recorded.path / "config/datasets.yaml").read_text())
    registry["shapes-10-smoke"]["redistribute"] = redistribute
    (recorded.path / "config/datasets.yaml").write_text(yaml.safe_dump(registry, sort_keys=False))
    (recorded.path / "src/tenfold/papers/toy/example.py").write_text(FIGURE.lstrip())
    with (recorded.path / "workflow/rules/toy.smk").open("a") as rules:
        rules.write(FIGURE_RULE.replace("FOLDER", folder))
    grid = recorded.path / "src/tenfold/papers/toy/grid.py"
    example = f'''

        def targets(edition: Edition) -> list[str]:
            """The picture."""
            return [f"{{edition.runs}}/{folder}/example.png"]


        def example(edition: Edition, wildcards: Wildcards) -> Cfg:
            """What the picture depends on."""
            return {{"data": edition.data}}
        '''
    grid.write_text(grid.read_text() + textwrap.dedent(example))
    recorded.commit("Show an example")
    recorded.snakemake("--quiet", "all")
    if not redistribute and folder == "figures":
        said = refused(recorded, "record")
        assert (
            f"{ROOT}/figures/example.png: its rule toy_example reads data/prepared/shapes-10-smoke.safetensors" in said
        )
        assert "must not be passed on" in said
        return
    recorded.tenfold("record")
    recorded.commit("Record the example")
    tracked = recorded.run("git", "ls-files").stdout
    assert ("example.png" in tracked) == (folder == "figures")
    if folder == "private":  # neither in git nor in the store
        secret = (recorded.path / ROOT / "private/example.png").read_bytes()
        store = [path for path in (recorded.path / "store").rglob("*") if path.is_file()]
        assert store
        assert all(path.read_bytes() != secret for path in store)


def test_two_papers_recorded_on_two_branches_merge(repository: Repository, tmp_path: Path) -> None:
    add_second_paper(repository)
    repository.snakemake("--quiet", "all")
    for slug in ("toy", "toy-two"):
        repository.run("git", "checkout", "-q", "-b", slug, "main")
        repository.tenfold("record", slug)
        repository.commit(f"Record {slug}")
    repository.run("git", "checkout", "-q", "toy")
    merge = repository.run("git", "merge", "-q", "-m", "Merge", "toy-two", check=False)
    unmerged = set(repository.run("git", "diff", "--name-only", "--diff-filter=U").stdout.split())
    derived = {"README.md", "dvc.yaml", "results/small/scoreboard.csv", "results/small/scoreboard.md"}
    assert merge.returncode == (1 if unmerged else 0)
    assert unmerged <= derived, "recorded files merge without conflict"
    repository.tenfold("record", "--index")
    repository.commit("Merge")
    board = (repository.path / "results/small/scoreboard.csv").read_text()
    assert [line.split(",")[0] for line in board.splitlines()] == ["paper", "toy", "toy-two"]
    assert "<<<<<<<" not in (repository.path / "README.md").read_text()
    clone = repository.clone(tmp_path / "clone")
    clone.dvc("pull", "results/small/toy/dvc.yaml")
    assert clone.waiting("small/toy", targets=("small/toy",)) == []
    others = clone.waiting("small/all", targets=("small/all",))
    assert others == ["scoreboard", "toy_two_count", "toy_two_count", "toy_two_tables"]
    clone.dvc("pull")
    assert json.loads(clone.dvc("status", "--json").stdout) == {}
    assert clone.waiting("small/toy", "small/toy-two", targets=("small/toy", "small/toy-two")) == []


def add_second_paper(repository: Repository) -> None:
    """Puts a second paper beside the toy, under the name toy-two."""
    parts = {
        "config/papers/toy.yaml": "config/papers/toy-two.yaml",
        "workflow/rules/toy.smk": "workflow/rules/toy-two.smk",
        "src/tenfold/papers/toy": "src/tenfold/papers/toy_two",
    }
    for source, target in parts.items():
        repository.run("cp", "-r", source, target)
    files = [
        parts["workflow/rules/toy.smk"],
        *(f"{parts['src/tenfold/papers/toy']}/{name}.py" for name in ("count", "report/tables")),
    ]
    for file in files:
        text = (repository.path / file).read_text()
        text = text.replace("tenfold.papers.toy", "tenfold.papers.toy_two").replace("rule toy_", "rule toy_two_")
        text = re.sub(
            r"\btoy(?= = |\.(?:data|params|run)\b)", "toy_two", text.replace('paper("toy")', 'paper("toy-two")')
        )
        text = text.replace("{edition}/toy/", "{edition}/toy-two/").replace('paper="toy"', 'paper="toy-two"')
        (repository.path / file).write_text(text)
    repository.edit("config/config.yaml", "[toy]", "[toy, toy-two]")
    repository.commit("A second paper")
