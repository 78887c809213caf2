"""What is on record of every paper, decided again: the recorded metrics give the recorded words.

Byte for byte, but for the last digits of numbers: LAPACK's least squares (slopes) differ there from one kind of
processor to another.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tenfold import config
from tenfold.launcher import Job
from tenfold.workflow import House

ROOT = Path(__file__).parents[2]
RECORDED = sorted(path.parent.relative_to(ROOT / "results") for path in ROOT.glob("results/*/*/claims.json"))


def object_of(md5: str) -> Path:
    """Where DVC's remote in the repository has the bytes of this checksum."""
    return ROOT / "store" / "files" / "md5" / md5[:2] / md5[2:]


def kept(edition: str, slug: str) -> dict[str, Path]:
    """Where the bytes of every recorded file of a paper lie in ``store/``, by the file's path."""
    lock = config.read_yaml(ROOT / "results" / edition / slug / "dvc.lock")
    (stage,) = lock["stages"].values()
    found = {}
    for out in stage["outs"]:
        inside = json.loads(object_of(out["md5"]).read_text()) if out["md5"].endswith(".dir") else [out]
        for entry in inside:
            found["/".join([out["path"], *entry.get("relpath", "").split()])] = object_of(entry["md5"])
    return found


def decided_again(edition: str, slug: str, folder: Path) -> bytes:
    """``claims.json`` as today's code writes it of the recorded files, which lie under names that say nothing."""
    paper, stored, named = House({}).paper(slug), kept(edition, slug), 0
    at = SimpleNamespace(edition=edition)
    inputs: dict[str, Any] = {}
    report = paper.reports[f"{paper.name}_claims"]
    for parameter, files in report.inputs.items():
        one = isinstance(files, str)
        recorded = [files.format(edition=edition)] if isinstance(files, str) else files(at)
        inputs[parameter] = []
        for path in recorded:
            named += 1
            inputs[parameter].append(folder / f"{named}.json")
            inputs[parameter][-1].symlink_to(stored[path])
        if one:
            (inputs[parameter],) = inputs[parameter]
    verdicts = importlib.import_module(f"tenfold.papers.{config.package_of(slug)}.report.verdicts")
    cfg = json.loads(report.params["cfg"](at))
    verdicts.claims(cfg, Job(resume=folder / "resume"), **inputs, claims=folder / "claims.json")
    return (folder / "claims.json").read_bytes()


def to_twelve_digits(content: bytes) -> str:
    """A JSON file as text again, its numbers to twelve significant digits, keys in the order of the file."""
    return json.dumps(json.loads(content, parse_float=lambda text: f"{float(text):.12g}"), indent=1)


def test_every_paper_on_record_is_decided_again() -> None:
    ledgers = {path.parent.name for path in ROOT.glob("results/*/*/dvc.yaml")}
    assert {slug for _, slug in (path.parts for path in RECORDED)} == ledgers & set(config.papers())


@pytest.mark.parametrize("recorded", RECORDED, ids=str)
def test_recorded_metrics_give_the_recorded_words(recorded: Path, tmp_path: Path) -> None:
    edition, slug = recorded.parts
    wanted = (ROOT / "results" / recorded / "claims.json").read_bytes()
    assert to_twelve_digits(decided_again(edition, slug, tmp_path)) == to_twelve_digits(wanted)
