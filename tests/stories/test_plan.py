"""What a target costs is said before anything runs, and rows are packed in the order of a file."""

from __future__ import annotations

import json
import tarfile

from .conftest import Repository

PLAIN, FANCY = (f"runs/full/toy/metrics/{arm}/s0-2.json" for arm in ("plain", "fancy"))


def test_a_plan_says_what_there_is_what_is_left_and_runs_nothing(recorded: Repository) -> None:
    before = recorded.checksums("runs", "data")
    said = recorded.tenfold("plan", "small/toy", "--device", "cpu")
    head, toy, *_ = (line.split() for line in said.stdout.splitlines())
    assert head[:4] == ["jobs", "left", "MACs", "images"]
    assert toy[:3] == ["toy", str(len(recorded.waiting("--forceall", targets=("small/toy",))) - 1), "0"]
    assert "\ncpu: " in said.stdout and " measured, others estimated; two processor cores" in said.stdout
    assert "\ndata: shapes-10-smoke, prepared here" in said.stdout
    recorded.edit("config/papers/toy.yaml", "rate: 5", "rate: 6")
    left = recorded.tenfold("plan", "--device", "cpu").stdout.splitlines()[1].split()[2]
    assert int(left) == len(recorded.waiting(targets=("small/toy",))) > 0
    assert recorded.checksums("runs", "data") == before


def test_rows_come_in_the_order_of_a_file(repository: Repository) -> None:
    order = repository.path / "config" / "order.txt"
    order.write_text(f"# the fancy one first\n{FANCY}\nruns/full/toy/metrics/{{plain,fancy}}/s0-2.json # then both\n")
    said = repository.tenfold("plan", "@order.txt", cwd="config").stdout.splitlines()
    rows = [line.split() for line in said if line.startswith((" 1 ", "1 ", "2 "))]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("1", "2", FANCY),  # with its data
        ("2", "1", "runs/full/toy/metrics/{plain,fancy}/s0-2.json"),
    ]
    assert "only the start of these is counted" in "\n".join(said)
    repository.tenfold("pack", "@order.txt", cwd="config")
    with tarfile.open(repository.path / "build/pack/order.tar.000") as bundle:
        listed = json.loads(bundle.extractfile("jobs.json").read())  # type: ignore[union-attr]
    assert [FANCY in job["outputs"] for job in listed["jobs"]] == [True, False]
    assert PLAIN in listed["jobs"][1]["outputs"]


def test_a_mistake_is_one_line(repository: Repository) -> None:
    for arguments, line in (
        (["small/none"], "'none' is not a paper; allowed: all, toy"),
        (["tiny/toy"], "'tiny' is not an edition; allowed: smoke, small, real, lab, full"),
        (["@rows.txt"], "rows.txt: No such file or directory; a file of targets is needed, one in a line"),
        (["small/toy", "--device", "abacus"], "'abacus' is no device; allowed: cpu, h100, h100-shared, h100-graph"),
    ):
        said = repository.tenfold("plan", *arguments, check=False)
        assert said.returncode == 2 and said.stdout == ""
        assert len(said.stderr.splitlines()) == 1 and line in said.stderr
