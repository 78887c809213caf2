"""The data registry: what ``config/datasets.yaml`` says of each dataset. Light: it is read while rules are parsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tenfold.config import CONFIG, SCHEMAS, load_yaml
from tenfold.errors import UserError

DATASETS = CONFIG / "datasets.yaml"
SCHEMA = SCHEMAS / "datasets.schema.yaml"


@dataclass(frozen=True)
class Archive:
    """A file that a dataset is fetched from.

    Attributes:
        file: its name, at the publisher and in a mirror.
        md5: the publisher's checksum.
        bytes: its length, where known.
        urls: where it can be downloaded, the publisher's own first; none if it has to be brought by hand.
        folder: the folder that it unpacks to; None if it is used as it is.
        members: the files in that folder, with the publisher's checksums (md5).
    """

    file: str
    md5: str
    bytes: int | None = None
    urls: list[str] = field(default_factory=list)
    folder: str | None = None
    members: dict[str, str] = field(default_factory=dict)

    @property
    def checksums(self) -> dict[str, str]:
        """The md5 of each file that is read in the end."""
        return self.members or {self.file: self.md5}


@dataclass(frozen=True)
class Dataset:
    """A dataset: its terms, its files, and how the one prepared file is made of them.

    Attributes:
        name: its name everywhere.
        title: what tables and figures call it.
        licence: licence and terms, in words.
        redistribute: whether anything that shows or contains it may be given away.
        archives: what it is fetched from; none for a generated one.
        prepare: ``kind`` and that kind's parameters; empty where there is no preparation.
        sha256: of the prepared file; None where nothing is prepared, or nobody knows it yet.
        md5: of the prepared file too, by which DVC knows it.
        access: what is needed to get it, where that is more than a download.
        stand_in: the generated dataset that takes its place in small editions.
        stands_in_for: the real dataset that a generated one takes the place of.
        homepage: the publisher's page.
        citation: what to cite.
    """

    name: str
    title: str
    licence: str
    redistribute: bool
    archives: list[Archive] = field(default_factory=list)
    prepare: dict[str, Any] = field(default_factory=dict)
    sha256: str | None = None
    md5: str | None = None
    access: str | None = None
    stand_in: str | None = None
    stands_in_for: str | None = None
    homepage: str | None = None
    citation: str | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether it was made by others: it is fetched, or brought by hand, where a stand-in is drawn."""
        return bool(self.archives) or self.access is not None


def dataset(name: str) -> Dataset:
    """What the registry says of a dataset.

    Raises:
        UserError: no dataset has this name, or the registry has a mistake.
    """
    known = _datasets()
    if name not in known:
        raise UserError(f"'{name}' is not a dataset of {DATASETS.name}; allowed: {', '.join(known)}")
    return known[name]


def names() -> list[str]:
    """The names of all datasets, in the registry's order."""
    return list(_datasets())


def cfg_of(name: str) -> dict[str, Any]:
    """Everything that can change a dataset's prepared file: how it is made, of which bytes, and its checksum.

    Raises:
        UserError: no dataset has this name, or the registry has a mistake.
    """
    entry = dataset(name)
    files = {file: md5 for archive in entry.archives for file, md5 in archive.checksums.items()}
    return {"name": name, "prepare": entry.prepare, "files": files, "sha256": entry.sha256}


@cache
def _datasets() -> dict[str, Dataset]:
    entries = load_yaml(DATASETS, SCHEMA)
    known = {}
    for name, entry in entries.items():
        archives = [Archive(**archive) for archive in entry.pop("archives", [])]
        known[name] = Dataset(name=name, archives=archives, **entry)
    for entry in known.values():
        if entry.stand_in is not None and entry.stand_in not in known:
            raise UserError(f"config/{DATASETS.name}: {entry.name}.stand_in: '{entry.stand_in}' is not a dataset")
    return known
