"""``tenfold export --crate``: a validator accepts the crate, which holds every job and every file of the record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import rocrate
import yaml
from rdflib.plugins.shared.jsonld.context import Context
from rocrate_validator import models, services

from tenfold import cli
from tenfold.books.crate import export
from tenfold.books.recorded import Ledger, ledgers
from tenfold.errors import UserError
from tenfold.files import sha256

RECORDED = Ledger("small", "sge")
OF_THE_NETWORK = ["ro-crate-1.1_3.1", "ro-crate-1.1_3.2"]  # whether the address of the context answers

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:rocrate_validator", "ignore::DeprecationWarning:rdflib"
)


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crate of a recorded paper."""
    folder = tmp_path_factory.mktemp("crates") / "sge"
    export(RECORDED, folder)
    return folder


@pytest.fixture
def entities(crate: Path) -> dict[str, dict[str, Any]]:
    """The crate's entities by their names."""
    return {entity["@id"]: entity for entity in json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]}


@pytest.fixture
def _contexts_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The crate's context from the package, whose version 1.3 differs from 1.1 in the addresses of two terms."""
    context = json.loads((Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_text())
    for term in ("ComputationalWorkflow", "FormalParameter"):
        context["@context"][term] = f"https://bioschemas.org/{term}"
    fetch = Context._fetch_context
    monkeypatch.setattr(
        Context, "_fetch_context",
        lambda self, source, *rest: context if "/ro/crate/" in source else fetch(self, source, *rest),
    )  # fmt: skip


def issues(folder: Path, profile: str) -> set[str]:
    """What of a profile's requirements a crate does not meet."""
    settings = services.ValidationSettings(
        rocrate_uri=str(folder), profile_identifier=profile, requirement_severity=models.Severity.REQUIRED,
        skip_availability_check=True, skip_checks=OF_THE_NETWORK,
    )  # fmt: skip
    return {f"{issue.check.identifier}: {issue.message}" for issue in services.validate(settings).get_issues()}


@pytest.mark.usefixtures("_contexts_at_hand")
@pytest.mark.parametrize("profile", ["workflow-run-crate", "provenance-run-crate"])
def test_a_validator_accepts_it_and_refuses_a_run_of_nothing(crate: Path, profile: str, tmp_path: Path) -> None:
    assert issues(crate, profile) == set()
    broken = shutil.copytree(crate, tmp_path / "broken")
    content = json.loads((broken / "ro-crate-metadata.json").read_text())
    (run,) = (entity for entity in content["@graph"] if entity["@id"] == "#run")
    del run["instrument"]
    (broken / "ro-crate-metadata.json").write_text(json.dumps(content))
    assert issues(broken, profile) != set()


def test_every_recorded_file_is_in_it_with_its_checksum(crate: Path, entities: dict[str, dict[str, Any]]) -> None:
    recorded = [path for path in RECORDED.folder.rglob("*") if path.is_file() and not path.name.startswith("dvc.")]
    assert len(recorded) > 10
    for path in recorded:
        assert entities[path.as_posix()]["sha256"] == sha256(path) == sha256(crate / path)


def test_every_job_is_an_action_with_what_it_read_and_made(entities: dict[str, dict[str, Any]]) -> None:
    provenance = RECORDED.provenance()
    assert provenance is not None
    actions = [one for one in entities.values() if one["@type"] == "CreateAction" and one["@id"] != "#run"]
    assert len(actions) == len(provenance.jobs)
    for action, job in zip(actions, provenance.jobs, strict=True):
        made = [entities[one["@id"]] for one in action["result"]]
        assert [one.get("sha256") for one in made] == list(job.outputs.values())
        read = [entities[one["@id"]] for one in action["object"]]
        assert [one["sha256"] for one in read if "value" not in one] == list(job.inputs.values())
        (settings,) = (json.loads(one["value"]) for one in read if "value" in one)
        assert settings == {"cfg": job.cfg, "seeds": job.seeds}
        assert entities[action["instrument"]["@id"]]["softwareVersion"] == job.code


def test_two_exports_are_equal_and_the_second_is_not_written_over_the_first(crate: Path, tmp_path: Path) -> None:
    export(RECORDED, tmp_path / "again")
    first, second = ({path.relative_to(folder): sha256(path) for path in folder.rglob("*") if path.is_file()}
                     for folder in (crate, tmp_path / "again"))  # fmt: skip
    assert first == second
    with pytest.raises(UserError, match="is there already"):
        export(RECORDED, tmp_path / "again")


def test_citation_and_deposit_say_what_the_crate_says(crate: Path, entities: dict[str, dict[str, Any]]) -> None:
    cited = yaml.safe_load((crate / "CITATION.cff").read_text())
    deposited = json.loads((crate / ".zenodo.json").read_text())
    root = entities["./"]
    assert cited["title"] == deposited["title"] == root["name"]
    assert cited["version"] == deposited["version"] == root["version"]
    assert cited["license"] == "Apache-2.0"
    assert root["license"]["@id"].endswith(cited["license"])
    assert deposited["license"] == "apache-2.0"
    assert deposited["related_identifiers"][0]["identifier"] == "arXiv:1905.09646"
    assert cited["references"][0]["url"] == root["about"]["@id"]


def test_each_record_can_be_exported(tmp_path: Path) -> None:
    for book in ledgers():
        export(book, tmp_path / book.name)


def test_what_is_not_on_record_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "--crate", "sge", "--edition", "smoke", "--out", str(tmp_path / "crate")]) == 2
    assert capsys.readouterr().err == "tenfold: smoke/sge: is not on record; tenfold list says what is\n"
    assert not (tmp_path / "crate").exists()
