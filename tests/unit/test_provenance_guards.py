"""The guards of what is on record: no picture of closed data, no store above its cap."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tenfold.books.ledger import CAPS

from .test_repository import check_repository

REGISTRY = "open: { redistribute: true }\nclosed: { redistribute: false }\n"


def lines(root: Path, source: str, output: str, size: int = 10) -> list[str]:
    folder = root / "results/real/sge"
    folder.mkdir(parents=True)
    (root / "config").mkdir()
    (root / "config/datasets.yaml").write_text(REGISTRY)
    (folder / "provenance.json").write_text(
        json.dumps({"jobs": [{"outputs": {output: None}, "inputs": {source: None}}]})
    )
    (folder / "dvc.lock").write_text(f"stages: {{real-sge: {{outs: [{{path: runs, size: {size}}}]}}}}\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    repository = check_repository.Repository(root)
    return [*check_repository.recorded_pictures(repository), *check_repository.kept_sizes(repository)]


@pytest.mark.parametrize(
    ("source", "output", "stopped"),
    [
        ("data/prepared/closed.safetensors", "runs/real/sge/figures/f.png", True),
        ("data/prepared/closed.safetensors", "runs/real/sge/figures/f.PDF", True),
        ("runs/real/sge/private/crops.safetensors", "runs/real/sge/figures/f.svg", True),
        ("data/raw/closed/image.bin", "runs/real/sge/figures/f.png", True),
        ("data/prepared/closed.safetensors", "runs/real/sge/private/f.png", False),
        ("data/prepared/closed.safetensors", "runs/real/sge/metrics/a.json", False),
        ("data/prepared/open.safetensors", "runs/real/sge/figures/f.png", False),
        ("runs/real/sge/metrics/a.json", "runs/real/sge/figures/f.png", False),
    ],
)
def test_a_recorded_picture_of_closed_data_is_named(tmp_path: Path, source: str, output: str, stopped: bool) -> None:
    found = lines(tmp_path, source, output)
    assert [output in line and source in line for line in found] == ([True] if stopped else [])


@pytest.mark.parametrize(("size", "stopped"), [(CAPS["real"], False), (CAPS["real"] + 1, True)])
def test_a_store_above_its_cap_is_named(tmp_path: Path, size: float, stopped: bool) -> None:
    found = lines(tmp_path, "a", "b", int(size))
    assert [line.startswith("results/real/sge/dvc.lock: keeps 3.50 MB") for line in found] == (
        [True] if stopped else []
    )
