"""What a user of DVC expects: metrics, plots, params, artifacts, and files of any version, from wherever."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Repository
from .test_change_tracking import ROOT

HEADLINE = f"{ROOT}/headline/fancy/s0-2.json"
FIRST, SECOND = "toy-small@v1.0.0", "toy-small@v2.0.0"
COLOURS = {"white": "ones((4, 4, 3))", "black": "zeros((4, 4, 3))"}
FIGURE = "results/small/toy/figures/figure.png"


@pytest.fixture(scope="module")
def versions(recorded_once: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone in which two versions are on record, each with an annotated tag; nothing of them is in runs/."""
    made = recorded_once.copy(tmp_path_factory.mktemp("versions") / "made")
    made.run("git", "tag", "-a", FIRST, "-m", "The first")
    made.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    made.commit("Another rate")
    made.snakemake("--quiet", "all")
    made.tenfold("record")
    made.commit("Record another rate")
    made.run("git", "tag", "-a", SECOND, "-m", "The second")
    return made.clone(tmp_path_factory.mktemp("versions") / "a klon with ünïcode")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def recorded_checksum(repository: Repository, rev: str, path: str) -> str:
    """What the record of a version says of a file."""
    text = repository.run("git", "show", f"{rev}:results/small/toy/provenance.json").stdout
    outputs: dict[str, str] = {}
    for job in json.loads(text)["jobs"]:
        outputs |= job["outputs"]
    return outputs[path.replace("headline", "weights")]


def test_metrics(versions: Repository) -> None:
    shown = json.loads(versions.dvc("metrics", "show", "--json").stdout)
    content = shown[""]["data"]["results/small/toy/metrics.json"]["data"]
    assert content == json.loads((versions.path / "results/small/toy/metrics.json").read_text())
    diff = json.loads(versions.dvc("metrics", "diff", "--json", FIRST).stdout)
    changed = diff["results/small/toy/metrics.json"]
    assert list(changed) == ["fancy.count.mean"]
    assert changed["fancy.count.mean"]["new"] == content["fancy"]["count"]["mean"]


def test_params(versions: Repository) -> None:
    diff = json.loads(versions.dvc("params", "diff", "--json", FIRST).stdout)
    assert diff == {"config/papers/toy.yaml": {"defaults.arms.fancy.rate": {"old": 5, "new": 6, "diff": 1}}}


def test_nothing_is_stale_and_nothing_starts(versions: Repository) -> None:
    assert versions.dvc("pull").returncode == 0
    assert json.loads(versions.dvc("status", "--json").stdout) == {}
    dry = versions.dvc("repro", "--dry").stdout
    assert "Running stage" not in dry
    assert "didn't change, skipping" in dry


def test_a_file_of_a_version_from_here_and_from_elsewhere(versions: Repository, tmp_path: Path) -> None:
    versions.dvc("get", ".", HEADLINE, "--rev", FIRST, "--out", "here.json")
    assert sha256(versions.path / "here.json") == recorded_checksum(versions, FIRST, HEADLINE)
    elsewhere = Repository(tmp_path, versions.env)
    elsewhere.dvc("get", str(versions.path), HEADLINE, "--rev", FIRST, "--out", "path.json")
    url = f"file://{versions.path}"
    store = f"url={versions.path / 'store'}"
    elsewhere.dvc(
        "get", url, HEADLINE, "--rev", SECOND, "--remote", "store", "--remote-config", store, "--out", "url.json"
    )
    assert sha256(tmp_path / "path.json") == recorded_checksum(versions, FIRST, HEADLINE)
    assert sha256(tmp_path / "url.json") == recorded_checksum(versions, SECOND, HEADLINE)
    assert sha256(tmp_path / "path.json") != sha256(tmp_path / "url.json")


def test_an_artifact_by_its_tag(versions: Repository) -> None:
    versions.dvc("artifacts", "get", ".", "toy-small", "--rev", "v1.0.0", "--out", "first.json")
    versions.dvc("artifacts", "get", ".", "toy-small", "--out", "latest.json")
    assert sha256(versions.path / "first.json") == recorded_checksum(versions, FIRST, HEADLINE)
    assert sha256(versions.path / "latest.json") == recorded_checksum(versions, SECOND, HEADLINE)


def test_plots(versions: Repository, tmp_path: Path) -> None:
    clone = versions.clone(tmp_path / "clone")
    picture = clone.path / FIGURE
    picture.parent.mkdir()
    for colour in COLOURS:
        draw = f"import numpy; from matplotlib.image import imsave; imsave({str(picture)!r}, numpy.{COLOURS[colour]})"
        subprocess.run([sys.executable, "-c", draw], check=True)
        clone.tenfold("record", "--index")
        clone.commit(f"A {colour} figure")
    page = Path(clone.dvc("plots", "show", "--out", "shown").stdout.strip().removeprefix("file://"))
    assert "figure.png" in page.read_text()
    clone.dvc("plots", "diff", "HEAD~1", "HEAD", "--out", "compared")
    pictures = sorted((clone.path / "compared/static").iterdir())
    assert len(pictures) == 2
    assert sha256(pictures[0]) != sha256(pictures[1])


def test_restore_of_another_version(versions: Repository, tmp_path: Path) -> None:
    clone = versions.clone(tmp_path / "clone")
    clone.tenfold("restore", "--rev", FIRST)
    assert sha256(clone.path / ROOT / "metrics/fancy/s0-2.json") == recorded_checksum(
        versions, FIRST, f"{ROOT}/metrics/fancy/s0-2.json"
    )
    # The sources are today's: Snakemake knows by which settings the files were made, and what differs.
    assert clone.waiting() == ["scoreboard", "toy_count", "toy_tables"]
    clone.tenfold("restore")
    assert clone.waiting() == []
    (clone.path / ROOT / "metrics.json").write_text("{}")
    done = clone.tenfold("restore", "--rev", FIRST, check=False)
    assert done.returncode == 2
    assert "is on record nowhere and would be overwritten" in done.stderr
    assert (clone.path / ROOT / "metrics.json").read_text() == "{}"


def test_gc_drops_what_neither_the_commit_nor_a_tag_refers_to(versions: Repository, tmp_path: Path) -> None:
    clone = versions.clone(tmp_path / "clone")
    before = clone.checksums("store")
    assert "store: 0 of" in clone.tenfold("gc").stdout
    assert clone.checksums("store") == before
    clone.run("git", "tag", "-d", FIRST)
    assert "objects" in (said := clone.tenfold("gc", "--dry-run").stdout)
    assert "would be dropped" in said
    assert clone.checksums("store") == before
    clone.tenfold("gc", cwd="results/small")
    after = clone.checksums("store")
    assert set(after) < set(before)
    assert all(before[path] == checksum for path, checksum in after.items())
    assert clone.dvc("pull").returncode == 0


def test_gc_leaves_a_cache_alone_that_others_may_use(versions: Repository, tmp_path: Path) -> None:
    clone = versions.clone(tmp_path / "clone")
    other = tmp_path / "shared" / "files" / "md5" / "ab" / "cdef"
    other.parent.mkdir(parents=True)
    other.write_text("another project's")
    clone.dvc("cache", "dir", "--local", str(tmp_path / "shared"))
    assert f"{tmp_path / 'shared'}: is outside .dvc/, others may use it" in clone.tenfold("gc").stdout
    assert other.read_text() == "another project's"


def test_gc_that_cannot_know_what_is_needed_drops_nothing(versions: Repository, tmp_path: Path) -> None:
    clone = versions.clone(tmp_path / "clone")
    for listing in (clone.path / "store").rglob("*.dir"):
        listing.unlink()
    before = clone.checksums("store")
    done = clone.tenfold("gc", check=False)
    assert done.returncode == 2
    assert "is missing, it lists what is needed; git checkout -- store" in done.stderr
    assert clone.checksums("store") == before


def test_a_worktree_and_another_umask(recorded_once: Repository, tmp_path: Path) -> None:
    made = recorded_once.copy(tmp_path / "house")
    tree = tmp_path / "work tree"
    made.run("git", "worktree", "add", "-q", "--detach", str(tree))
    other = Repository(tree, made.env | {"PYTHONPATH": str(tree / "src")})
    other.run("bash", "-c", f"umask 077 && {sys.executable} -m tenfold.cli restore")
    assert other.waiting() == []
    other.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    other.run("bash", "-c", f"umask 077 && {sys.executable} -m snakemake --cores 2 --quiet all")
    assert other.waiting() == []
    assert made.waiting() == []
