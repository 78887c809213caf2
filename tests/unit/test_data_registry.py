"""The data registry: what it holds, what it refuses, what it gives to jobs."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tenfold import registry
from tenfold.config import load_yaml
from tenfold.errors import UserError
from tenfold.files import canonical_json

ENTRIES: dict[str, Any] = yaml.safe_load(registry.DATASETS.read_text(encoding="utf-8"))


def test_what_may_go_to_a_remote_can_come_back() -> None:
    entries = [registry.dataset(name) for name in ENTRIES]
    assert [entry.name for entry in entries if entry.is_foreign and entry.sha256 and not entry.md5] == []


def test_foreign_data_is_never_given_away_and_is_cited():
    for name in ENTRIES:
        entry = registry.dataset(name)
        if entry.archives:
            assert not entry.redistribute
            assert entry.licence
            assert entry.citation
            assert entry.stand_in is not None
            assert registry.dataset(entry.stand_in).prepare["kind"] in ("shapes", "objects")
        elif entry.is_foreign and entry.prepare:  # brought by hand
            assert not entry.redistribute
            assert entry.licence
            assert entry.citation
            stand_in = entry.stand_in  # annotations alone have none
            kinds = ("aaba", "faces", "moving_shapes", "objects", "scenes")
            assert stand_in is None or registry.dataset(stand_in).prepare["kind"] in kinds
        elif entry.prepare:
            assert entry.redistribute
        else:  # prepared by the paper that needs it, and kept private there
            assert not entry.redistribute
            assert entry.access
            assert entry.citation


def test_cfg_holds_every_checksum_and_nothing_that_cannot_change_the_file():
    text = canonical_json(registry.cfg_of("cifar-100"))
    for checksum in ("16019d7e3df5f24257cddd939b257f8d", "f0ef6b0ae62326f3e7ffdfab6717acfc", "7973b15100ade9c7d40"):
        assert checksum in text
    assert registry.dataset("cifar-100").sha256 in text
    assert "https://" not in text
    assert "licence" not in text


def test_an_unknown_dataset_is_told_the_known_ones():
    with pytest.raises(UserError, match="'cifar-11' is not a dataset.*cifar-10, cifar-100, imagenet, .*shapes-10"):
        registry.dataset("cifar-11")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["cifar-10", "licenze"], "x", "unknown key 'licenze'"),
        (["cifar-10", "prepare", "kind"], "mnist", "'mnist' is not allowed; allowed: cifar, shapes, .*, faces, celeb"),
        (["cifar-10", "prepare", "classez"], {}, "unknown key 'classez'"),
        (["cifar-10", "archives", 0, "md5"], "123", "md5"),
        (["cifar-10", "archives", 0, "urls"], ["ftp://x"], "urls"),
        (["shapes-10", "prepare", "contrast"], [1, 2, 3], "contrast"),
        (["shapes-10", "prepare", "turn"], 7, "turn"),
        (["shapes-10", "prepare", "radius"], "3e1", "write 3.0e"),
        (["cifar-10", "sha256"], None, "sha256"),
    ],
)
def test_a_mistake_is_named(path: list[Any], value: Any, said: str, tmp_path: Path):
    entries = copy.deepcopy(ENTRIES)
    place = entries
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    file = tmp_path / "datasets.yaml"
    file.write_text(yaml.safe_dump(entries), encoding="utf-8")
    with pytest.raises(UserError, match=said) as raised:
        load_yaml(file, registry.SCHEMA)
    assert "\n" not in str(raised.value)


def test_importing_the_registry_imports_nothing_heavy():
    script = (
        "import sys, tenfold.registry as r; r.cfg_of('cifar-10');"
        "print({'torch', 'numpy', 'pandas', 'requests'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
