"""What DVC remembers and Snakemake trusts: clones, pulls, edits after a restore, other commits."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tenfold.books.recorded import parse_provenance

from .conftest import Repository
from .test_change_tracking import END, FANCY, PLAIN, ROOT, TABLE

DATA = "data/prepared/shapes-10-smoke.safetensors"


def test_a_clone_has_nothing_to_do_after_dvc_pull(recorded_once: Repository, tmp_path: Path) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    clone.dvc("pull")
    assert json.loads(clone.dvc("status", "--json").stdout) == {}
    assert "snakemake" not in clone.dvc("repro", "--dry").stdout.replace("didn't change", "")
    clone.shuffle_times(seed=1)
    assert clone.waiting() == []
    clone.shuffle_times(seed=2)  # again, now that Snakemake has notes
    assert clone.waiting() == []
    recorded = {path: sha for path, sha in recorded_once.checksums("runs").items() if "/weights/" not in path}
    assert clone.checksums("runs") == recorded
    assert "0 are not what their record says" in clone.tenfold("verify").stdout
    assert "small/toy: same bytes" in clone.tenfold("compare", "--strict").stdout


def test_a_parameter_changed_before_the_pull_is_still_found(recorded_once: Repository, tmp_path: Path) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    clone.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    clone.dvc("pull")
    clone.shuffle_times(seed=3)
    done = clone.snakemake()  # nobody has made the dataset yet, and only one arm reads it
    assert f"making {DATA} first, so that only what depends on a change runs" in done.stderr
    assert "1 toy_count, 1 toy_tables" in done.stderr
    assert "arm=plain" not in done.stderr
    assert clone.waiting() == []


def test_a_restored_clone_has_nothing_to_do_and_all_is_as_recorded(restored: Repository) -> None:
    assert restored.waiting() == []
    restored.edit("src/tenfold/papers/toy/method.py", '"""One step:', '"""A single step:')
    restored.edit("src/tenfold/papers/toy/count.py", "    start = {", "    # where it begins\n    start = {")
    assert restored.waiting() == []
    assert (restored.path / ROOT / "weights/fancy/s0-2.json").exists(), "the headline checkpoint is back in its place"
    assert not (restored.path / ROOT / "weights/plain/s0-2.json").exists()


def test_one_value_of_one_arm_reruns_that_arm_and_what_follows(restored: Repository) -> None:
    restored.edit("config/papers/toy.yaml", "rate: 5", "rate: 500")
    assert restored.waiting() == ["scoreboard", "toy_count", "toy_tables"]
    assert set(restored.planned()) == FANCY | TABLE | END
    plain = (restored.path / ROOT / "metrics/plain/s0-2.json").stat()
    restored.snakemake()
    assert (restored.path / ROOT / "metrics/plain/s0-2.json").stat() == plain
    assert restored.waiting() == []
    done = restored.tenfold("compare", "--strict", check=False)
    assert done.returncode == 1
    assert "small/toy: differs" in done.stdout
    assert "settings or code are not the recorded ones" in done.stdout
    assert "fancy, count" in done.stdout
    assert "plain" not in done.stdout


def test_the_method_reruns_all_that_uses_it(restored: Repository) -> None:
    restored.edit("src/tenfold/papers/toy/method.py", "+ rate + noise", "+ rate - noise")
    assert set(restored.planned()) == PLAIN | FANCY | TABLE | END


def test_other_bytes_in_a_dataset_are_noticed_whatever_their_time(restored: Repository) -> None:
    data = restored.path / DATA
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    restored.run("touch", "-d", "2001-01-01", DATA)
    done = restored.snakemake("--dry-run")
    assert f"will be made again if needed: {DATA}" in done.stderr
    assert restored.waiting() == ["data_prepare", "scoreboard", "toy_count", "toy_count", "toy_tables"]


def test_a_job_refuses_a_dataset_that_is_not_the_configured_one(restored: Repository) -> None:
    data = restored.path / DATA
    data.write_bytes(data.read_bytes() + b"more")
    command = (restored.path / "results/small/toy/provenance.json").read_text()
    job = next(job for job in json.loads(command)["jobs"] if job["rule"] == "toy_count")
    files = ["--data", DATA, "--weights", "w.json", "--metrics", "m.json", "--times", "t.times.csv"]
    done = restored.run(sys.executable, "-m", job["module"], "--cfg", json.dumps(job["cfg"]), *files, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{DATA}: has SHA-256" in done.stderr
    assert "config/datasets.yaml says" in done.stderr
    assert not (restored.path / "w.json").exists()


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_weight_file_with_another_byte_is_set_aside_or_named(recorded: Repository, keep_time: bool) -> None:
    weights = recorded.path / ROOT / "weights/fancy/s0-2.json"
    whole, times = weights.read_bytes(), weights.stat()
    weights.write_bytes(whole.replace(b"counts", b"Counts"))
    if keep_time:  # Snakemake cannot see it, and nothing is read at every start; verify reads everything
        recorded.run("touch", "-d", f"@{times.st_mtime_ns / 1e9:.9f}", str(weights))
    done = recorded.tenfold("verify", check=False)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:-1]] == [f"{ROOT}/weights/fancy/s0-2.json"]
    if not keep_time:
        assert "not the recorded bytes; set aside as runs/.aside/" in recorded.snakemake("--dry-run").stderr
        assert not weights.exists()
        assert recorded.waiting() == [], "the metrics are the recorded ones, and nothing needs the weights"
        recorded.snakemake("--quiet", "all", "--", f"{ROOT}/weights/fancy/s0-2.json")
        assert weights.read_bytes() == whole
        assert recorded.tenfold("verify").returncode == 0


def test_records_of_another_commit_are_not_believed(restored_once: Repository, tmp_path: Path) -> None:
    clone = restored_once.clone(tmp_path / "clone")  # no notes of Snakemake's yet
    shutil.copytree(restored_once.path / "runs", clone.path / "runs")
    shutil.copytree(restored_once.path / "data", clone.path / "data")
    provenance = clone.path / "results/small/toy/provenance.json"
    text = provenance.read_text()
    metrics = json.loads(text)["jobs"]
    fancy = next(job for job in metrics if job["rule"] == "toy_count" and job["cfg"]["arm"] == "fancy")
    for checksum in fancy["outputs"].values():
        if checksum:
            text = text.replace(checksum, "0" * 64)
    there = parse_provenance(json.dumps(json.loads(text) | {"format": 2}), "another commit's")
    there.write(provenance)
    done = clone.snakemake("--dry-run")
    assert f"{ROOT}/metrics/fancy/s0-2.json" in done.stderr
    assert "plain" not in done.stderr
    assert clone.waiting() == ["scoreboard", "toy_count", "toy_tables"]


@pytest.mark.parametrize(("content", "says"), [('{"format": 99}', "has format 99"), ("{", "is damaged")])
def test_a_record_that_cannot_be_read_is_one_line(restored: Repository, content: str, says: str) -> None:
    (restored.path / "results/small/toy/provenance.json").write_text(content)
    done = restored.snakemake("--dry-run", check=False)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("tenfold: ")]
    assert len(lines) == 1
    assert says in lines[0]
    assert "Traceback" not in done.stderr


def test_another_way_to_keep_notes_is_said_and_left_alone(restored: Repository) -> None:
    shutil.rmtree(restored.path / ".snakemake")
    done = restored.snakemake("--dry-run", "--persistence-backend", "db")
    assert "restored files are not recognised" in done.stderr
    assert not (restored.path / ".snakemake/tenfold/restored").exists()


def test_to_an_older_commit_and_back_without_computing(recorded: Repository) -> None:
    old = recorded.checksums("runs")
    recorded.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    recorded.commit("Another rate")
    recorded.snakemake("--quiet", "all")
    recorded.tenfold("record")
    recorded.commit("Record another rate")
    new = recorded.checksums("runs")
    assert old != new
    for rev, expected in (("main~2", old), ("main", new)):
        recorded.run("git", "checkout", "-q", rev)
        recorded.dvc("checkout")
        assert recorded.waiting() == []
        found = recorded.checksums("runs")
        assert {path: found.get(path, sha) for path, sha in expected.items()} == expected
        assert set(expected) - set(found) <= {f"{ROOT}/weights/fancy/s0-2.json"}
    assert found == new, "the weights that were set aside are back"


def test_a_clone_whose_git_would_change_line_ends(recorded_once: Repository, tmp_path: Path) -> None:
    recorded_once.run(
        "git", "clone", "-q", "-c", "core.autocrlf=true", str(recorded_once.path), str(tmp_path / "clone")
    )
    clone = Repository(tmp_path / "clone", recorded_once.env | {"PYTHONPATH": str(tmp_path / "clone" / "src")})
    clone.tenfold("restore")
    assert "0 are not what their record says" in clone.tenfold("verify").stdout
    assert clone.waiting() == []


def test_a_refusal_of_gits_is_said_as_it_is(recorded_once: Repository, tmp_path: Path) -> None:
    clone = recorded_once.clone(tmp_path / "clone")
    clone.env["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"
    done = clone.tenfold("restore", "--rev", "main", check=False)
    assert done.returncode == 2
    assert "dubious ownership" in done.stderr
    assert "is not a commit" not in done.stderr
