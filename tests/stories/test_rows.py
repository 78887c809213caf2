"""Rows made elsewhere, one by one: recorded from their run records, all other cells say that they were not run."""

from __future__ import annotations

import csv
import shutil

from .conftest import Repository

METRICS = "runs/full/toy/metrics/plain/s0-2.json"


def test_a_row_made_elsewhere_goes_on_record_alone(repository: Repository) -> None:
    repository.snakemake(METRICS)
    shutil.rmtree(repository.path / ".snakemake")
    done = repository.tenfold("record", "--rows", "--edition", "full")
    assert done.stdout == "full/toy: 1 of 2 rows are on record, the others say that they were not run\n"
    folder = repository.path / "results/full/toy/rows"
    with (folder / "table-rows.csv").open() as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    assert float(rows["plain"]["count"]) > 0
    assert rows["plain"]["count.n"] == "3"
    assert rows["fancy"]["count"] == "not run at full"
    assert "not run at full" in (folder / "table-rows.md").read_text()
    assert (folder / "plain/s0-2.json").read_bytes() == (repository.path / METRICS).read_bytes()


def test_rows_of_other_code_or_without_record_are_refused(repository: Repository) -> None:
    repository.snakemake(METRICS)
    repository.edit("src/tenfold/papers/toy/method.py", "+ rate + noise", "+ rate - noise")
    repository.commit("Another method")
    other_code = repository.tenfold("record", "--rows", "--edition", "full", check=False)
    assert other_code.returncode == 2
    assert "made by other code than today's" in other_code.stderr
    repository.edit("src/tenfold/papers/toy/method.py", "+ rate - noise", "+ rate + noise")
    repository.commit("And back")
    (repository.path / METRICS).write_text('{"arm": "plain", "rows": [{"seed": 0, "count": 1}]}')
    tampered = repository.tenfold("record", "--rows", "--edition", "full", check=False)
    assert "is not the file that its run record describes" in tampered.stderr
    (repository.path / METRICS).unlink()
    nothing = repository.tenfold("record", "--rows", "--edition", "full", check=False)
    assert nothing.returncode == 2
    assert nothing.stderr.count("\n") == 1
    assert not (repository.path / "results/full").exists()
