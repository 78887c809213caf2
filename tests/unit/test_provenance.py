"""Records, Snakemake's notes, and the comparison of cells, without Snakemake or DVC."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tenfold.books import metadata, start
from tenfold.books.compare import DIFFERS, NOT_JUDGED, SAME, WITHIN, compare_cells
from tenfold.books.recorded import Job, Ledger, Provenance, read_provenance
from tenfold.errors import UserError, limit_of_machine
from tenfold.files import partials, sha256
from tenfold.identity import records

OUTPUT = "runs/small/toy/metrics/a.json"
PLATFORM = {"python": "3.11", "system": "Linux", "machine": "x86_64", "cpu": {}}


def job(**changes: Any) -> Job:
    fields: dict[str, Any] = {
        "rule": "toy_count", "module": "tenfold.papers.toy.count", "stage": "count", "cfg": {"rate": 1, "who": "it's"},
        "code": "0123456789abcdef", "seeds": [0], "inputs": {}, "outputs": {OUTPUT: None}, "log": [],
        "platform": "p",
    }  # fmt: skip
    return Job(**fields | changes)


def written(folder: Path, *jobs: Job) -> tuple[Ledger, Provenance]:
    """A record in a folder that is the working directory."""
    ledger = Ledger("small", "toy")
    provenance = Provenance(list(jobs), {"p": PLATFORM})
    (folder / ledger.folder).mkdir(parents=True, exist_ok=True)
    provenance.write(ledger.provenance_file)
    return ledger, provenance


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / OUTPUT
    path.parent.mkdir(parents=True)
    path.write_text("content")
    return tmp_path


def test_a_record_comes_back_as_it_was_written(folder: Path) -> None:
    ledger, provenance = written(folder, job())
    assert read_provenance(ledger.provenance_file) == provenance
    before = ledger.provenance_file.read_bytes()
    read_provenance(ledger.provenance_file).write(ledger.provenance_file)
    assert ledger.provenance_file.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"code": "today"}, "16 hexadecimal digits"),
        ({"outputs": {}}, "jobs.0.outputs"),
        ({"outputs": {"/absolute": None}}, "does not match"),
        ({"outputs": {OUTPUT: "1234"}}, "does not match"),
        ({"module": "os"}, "does not match"),
    ],
)
def test_a_record_that_does_not_fit_its_schema_is_not_written(folder: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        written(folder, job(**changes))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=400))
def test_every_output_has_a_note_of_its_own_that_is_found_again(name: str) -> None:
    path = metadata._file("metadata", name)
    folder = metadata.FOLDER / "metadata"
    parts = path.relative_to(folder).parts
    assert all(len(part.encode()) <= 255 for part in parts)
    import base64

    assert base64.urlsafe_b64decode("".join(part.removeprefix("@") for part in parts)).decode() == name


def test_the_names_of_notes_are_snakemakes_own(folder: Path) -> None:
    from snakemake.persistence.file import FilePersistence

    persistence = FilePersistence(path=folder / ".snakemake")
    for name in (OUTPUT, "runs/" + "long/" * 60 + "ü.json"):
        expected = Path(persistence._record_path(str(folder / ".snakemake/metadata"), name))
        assert (folder / metadata._file("metadata", name)) == expected
        metadata.write(name, {"record_format_version": metadata.FORMAT, "rule": name})
        assert metadata.read_all()[name]["rule"] == name


def test_only_recorded_bytes_get_their_note_back(folder: Path) -> None:
    checksum = sha256(folder / OUTPUT)
    ledger, provenance = written(folder, job(outputs={OUTPUT: checksum}))
    assert start.restore(ledger, provenance) == []
    noted = metadata.read(OUTPUT)
    assert noted is not None
    assert noted["params"] == ["'0123456789abcdef'", repr('{"rate":1,"who":"it\'s"}')]
    (folder / OUTPUT).write_text("other content")
    assert start.restore(ledger, provenance) == [OUTPUT]
    assert (folder / metadata._file("incomplete", OUTPUT)).exists()
    (folder / OUTPUT).write_text("content")
    assert start.restore(ledger, provenance) == []
    assert not (folder / metadata._file("incomplete", OUTPUT)).exists()


def test_what_a_job_here_has_made_is_left_alone(folder: Path) -> None:
    ledger, provenance = written(folder, job(outputs={OUTPUT: "0" * 64}))
    records.write_run_record(Path(OUTPUT), a_run())
    assert start.restore(ledger, provenance) == []
    assert metadata.read(OUTPUT) is None


def a_run() -> dict[str, Any]:
    return records.run_record(module="m", stage="s", cfg={}, code="c", inputs={}, compute={})


@pytest.mark.parametrize("damage", ["{", "[]", "cut", "without sha256", "cfg = 3"])
def test_a_damaged_run_record_is_none(folder: Path, damage: str) -> None:
    records.write_run_record(Path(OUTPUT), a_run())
    path = records.record_path(Path(OUTPUT))
    whole = json.loads(path.read_text())
    assert records.read_run_record(Path(OUTPUT)) == whole
    texts = {
        "cut": path.read_text()[:99],
        "without sha256": json.dumps({key: value for key, value in whole.items() if key != "sha256"}),
        "cfg = 3": json.dumps(whole | {"cfg": 3}),
    }
    path.write_text(texts.get(damage, damage))
    assert records.read_run_record(Path(OUTPUT)) is None


def test_a_note_of_snakemakes_own_stays_until_the_record_changes(folder: Path) -> None:
    """Settings without an effect give the recorded bytes: putting the recorded note back would rerun them for ever."""
    checksum = sha256(folder / OUTPUT)
    ledger, provenance = written(folder, job(outputs={OUTPUT: checksum}))
    start.restore(ledger, provenance)
    own = metadata.read(OUTPUT)
    assert own is not None
    metadata.write(OUTPUT, own | {"params": ["own"]})
    start.restore(ledger, provenance)
    assert (metadata.read(OUTPUT) or {})["params"] == ["own"]
    ledger, provenance = written(folder, job(outputs={OUTPUT: checksum}, cfg={"rate": 2}))
    start.restore(ledger, provenance)
    assert '{"rate":2}' in (metadata.read(OUTPUT) or {})["params"][1]


def test_measured_times_are_believed_with_their_job_only(folder: Path) -> None:
    times = OUTPUT.replace(".json", ".times.csv")
    (folder / times).write_text("1 s")
    ledger, provenance = written(folder, job(outputs={OUTPUT: sha256(folder / OUTPUT), times: None}))
    start.restore(ledger, provenance)
    assert metadata.read(times) is not None
    metadata._file("metadata", times).unlink()
    metadata._file("metadata", OUTPUT).unlink()
    (folder / OUTPUT).write_text("other content")
    assert start.restore(ledger, provenance) == [OUTPUT]
    assert metadata.read(times) is None


TRAINED, COUNTED = "runs/small/toy/metrics/net.json", "runs/small/toy/costs.json"


def table(
    values: list[float], *, exact: float | str | None = None, seeds: list[int] | None = None, file: str = TRAINED
) -> dict[str, Any]:
    cell = {"row": ["arm"], "column": "accuracy", "values": values, "exact": exact, "resolution": 0.01,
            "seeds": list(range(len(values))) if seeds is None else seeds, "files": [file]}  # fmt: skip
    return {"cells": [cell]}


def outcome(recorded: dict[str, Any], here: dict[str, Any]) -> str:
    ((_, word),) = compare_cells(recorded, here, lambda file: file == TRAINED)
    return word


def test_trained_cells_are_two_samples_of_one_quantity() -> None:
    recorded = [70.0, 71.0, 72.0]
    # By hand: equal sd of 1, so the error is sqrt(2 / 3); the factor is Student's at 99.9 % (two-sided), 4 degrees.
    allowed = float(stats.t.ppf(0.9995, 4)) * math.sqrt(2 / 3)
    assert allowed == pytest.approx(8.610 * 0.8165, rel=1e-3)
    for shift, word in (
        (0.99 * allowed, WITHIN),
        (-0.99 * allowed, WITHIN),
        (1.01 * allowed, DIFFERS),
        (-1.01 * allowed, DIFFERS),
    ):
        assert outcome(table(recorded), table([value + shift for value in recorded])) == word
    assert outcome(table(recorded), table(recorded)) == SAME
    assert outcome(table([70.0]), table([90.0])) == NOT_JUDGED


def test_seeds_without_spread_are_no_measure_of_how_far_a_draw_may_lie() -> None:
    assert outcome(table([70.0, 70.0]), table([70.009, 70.009])) == WITHIN, "below the printed resolution"
    assert outcome(table([70.0, 70.0]), table([70.011, 70.011])) == NOT_JUDGED
    third, quarter = [100 / 3] * 3, [125 / 3] * 3  # the shares of few gammas, by which a good run was said to differ
    assert outcome(table(third), table(quarter)) == NOT_JUDGED
    # A spread on one side is a spread: by hand, sd 0 and 1 pool to sqrt(1 / 2), the error is sqrt(1 / 3).
    allowed = 8.610 * math.sqrt(1 / 3)
    for shift, word in ((0.99 * allowed, WITHIN), (1.01 * allowed, DIFFERS)):
        assert outcome(table([70.0] * 3), table([69.0 + shift, 70.0 + shift, 71.0 + shift])) == word


def test_counts_have_to_be_equal_and_cells_have_to_be_there() -> None:
    for file in (TRAINED, COUNTED):
        assert outcome(table([], exact=3, file=file), table([], exact=3, file=file)) == SAME
        assert outcome(table([], exact=3, file=file), table([], exact=4, file=file)) == DIFFERS
        assert outcome(table([], exact=3, file=file), table([3.0, 3.0], file=file)) == DIFFERS
    assert outcome({"cells": []}, table([1.0])) == DIFFERS
    assert outcome(table([1.0]), {"cells": []}) == DIFFERS


def test_a_word_for_what_trained_numbers_do_not_give_is_not_judged() -> None:
    undefined = table([], exact="undefined")
    assert outcome(undefined, table([0.9, 0.8, 0.7])) == NOT_JUDGED
    assert outcome(table([0.9, 0.8, 0.7]), undefined) == NOT_JUDGED
    assert outcome(table([], exact="none", file=COUNTED), table([], exact="one", file=COUNTED)) == DIFFERS


def test_arithmetic_is_the_same_but_for_rounding_whatever_its_spread_over_seeds() -> None:
    def counted(*values: float, exact: float | None = None) -> dict[str, Any]:
        return table(list(values), exact=exact, file=COUNTED)

    assert outcome(counted(1.0, 5.0, 9.0), counted(1.0, 5.0, 9.1)) == DIFFERS, "no draw, though its seeds differ"
    assert outcome(counted(1.0, 5.0, 9.0), counted(1.0, 5.0, 9.0 + 1e-12)) == WITHIN
    assert outcome(counted(1.0, 5.0), counted(1.0, 5.0, 9.0)) == DIFFERS
    assert outcome(counted(exact=2.5), counted(exact=2.5 + 1e-13)) == WITHIN
    assert outcome(counted(exact=10**12), counted(exact=10**12 + 1)) == DIFFERS, "counts are exact"


def test_the_fingerprint_knows_that_another_processor_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in records.KERNELS:
        monkeypatch.delenv(name, raising=False)
    own = records.fingerprint()
    assert "kernels" not in own
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert records.fingerprint() == own | {"kernels": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}


def test_leftovers_of_killed_writers_are_found_by_name(tmp_path: Path) -> None:
    for name in (".a.12.partial.json", ".a.b.12.partial.json", "a.json", ".a.x.partial.json", ".a.12.partial.csv"):
        (tmp_path / name).write_text("")
    assert [path.name for path in partials(tmp_path / "a.json")] == [".a.12.partial.json"]


def test_a_limit_of_the_machine_is_a_line_and_any_other_error_is_not() -> None:
    assert str(limit_of_machine(OSError(28, "No space left on device", "x"))).startswith("x: the disk is full")
    with pytest.raises(IsADirectoryError):
        limit_of_machine(IsADirectoryError(21, "Is a directory", "x"))


def test_data_other_than_the_configured_is_refused() -> None:
    path = "data/prepared/shapes.safetensors"
    cfg = {"data": {"name": "shapes", "sha256": "a" * 64}, "more": [{"name": "other", "sha256": "b" * 64}]}
    records.refuse_other_data(cfg, {path: "a" * 64})
    with pytest.raises(UserError, match="has SHA-256 c+, config/datasets.yaml says a+; make it again"):
        records.refuse_other_data(cfg, {path: "c" * 64})


def test_json_is_what_the_schema_says(folder: Path) -> None:
    ledger, _ = written(folder, job())
    assert set(json.loads(ledger.provenance_file.read_text())) == {"format", "sha256", "jobs", "platforms"}


def test_an_edited_record_is_not_taken_for_a_written_one(folder: Path) -> None:
    ledger, provenance = written(folder, job(cfg={"rate": 1}))
    assert read_provenance(ledger.provenance_file) == provenance
    text = ledger.provenance_file.read_text()
    ledger.provenance_file.write_text(text.replace('"rate": 1', '"rate": 2'))
    with pytest.raises(UserError, match=r"provenance.json: was changed after it was recorded"):
        read_provenance(ledger.provenance_file)
    content = json.loads(text)
    del content["sha256"]
    ledger.provenance_file.write_text(json.dumps(content | {"format": 2}))
    assert read_provenance(ledger.provenance_file) == provenance, "older records stay readable"
