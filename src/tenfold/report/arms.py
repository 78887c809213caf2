"""Reads what training stages wrote, as arms: the metrics of all seeds under one name. Light: no torch."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.launcher import Cfg
from tenfold.report.face import Data, Face

BySeed = dict[int, float]


@dataclass
class Arm:
    """One arm of one net: its metrics of all seeds.

    Attributes:
        net: the net's name in the configuration.
        name: the arm.
        rows: seed -> metrics.
        files: where they were read.
        facts: what else the files say, such as device and precision.
        histories: seed -> what was noted of its training, one row an epoch; empty where no history was read.
    """

    net: str
    name: str
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    histories: dict[int, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def in_head(self) -> dict[str, Any]:
        """What the head of a metrics file says of the arm, where it says it."""
        return {"arm": self.name}

    @property
    def accuracy(self) -> BySeed:
        """Test accuracy in percent, by seed."""
        return self.percent("accuracy")

    def percent(self, key: str) -> BySeed:
        """A share as percent, by seed."""
        return {seed: 100 * value for seed, value in self.of(key).items()}

    def of(self, key: str) -> BySeed:
        """A number of each seed's row."""
        return {seed: float(row[key]) for seed, row in self.rows.items()}


Arms = dict[tuple[str, str], Arm]
Of = Mapping[str, str]  # what a file is of: net, arm, data
OneArm = TypeVar("OneArm", bound=Arm)


class HasRows(Protocol):
    """Whatever was measured seed by seed."""

    @property
    def rows(self) -> Mapping[int, Mapping[str, Any]]:
        """Seed -> what was measured."""


def each_of(paths: Sequence[Path], of: Sequence[Of]) -> list[tuple[Path, Of]]:
    """Files, each with what it is of, as the grid lists both; without those that were not made, as some rows of `full`.

    Raises:
        UserError: there are not as many files as the configuration says.
    """
    if len(paths) != len(of):
        raise UserError(f"{len(paths)} files were given, but the configuration says of {len(of)} what they are of")
    return [(path, names) for path, names in zip(paths, of, strict=True) if path.exists()]


def read_each(paths: Sequence[Path], of: Sequence[Of]) -> Iterator[tuple[Path, Of, Any]]:
    """JSON files, each with what it is of and its content.

    Raises:
        UserError: as for `each_of`, or the file's head says that it is of something else.
    """
    for path, names in each_of(paths, of):
        content = read_json(path)
        check_head(path, content, names)
        yield path, names, content


def check_head(path: Path, content: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuses a file whose head names another net, arm or dataset; files that do not say are taken as they are."""
    for key, value in wanted.items():
        if content.get(key, value) != value:
            raise UserError(f"{path}: its {key} is {content[key]!r}, but {value!r} was asked for")


def read_arms(paths: Sequence[Path], of: Sequence[Of], kind: type[OneArm]) -> dict[tuple[str, str], OneArm]:
    """Metrics files as arms, by net and arm, in the order of the files.

    Args:
        paths: the files.
        of: the ``net`` and the ``arm`` of each, and its ``data``.
        kind: `Arm`, or a paper's own kind of arm.
    """
    arms: dict[tuple[str, str], OneArm] = {}
    for path, names in each_of(paths, of):
        content, key = read_json(path), (names["net"], names["arm"])
        arm = arms.setdefault(key, kind(*key))
        check_head(path, content, {**names, **arm.in_head})
        add_rows(arm, content["rows"], path, content)
    return arms


def add_histories(
    arms: Mapping[Any, Arm], paths: Sequence[Path], of: Sequence[Of], by: Sequence[str] = ("net", "arm")
) -> None:
    """Adds to arms how their training went.

    Args:
        arms: by what ``by`` says of a file.
        paths: the histories (CSV).
        of: what each is of.
        by: the keys of that which an arm is found by.
    """
    for path, names in each_of(paths, of):
        if (arm := arms.get(tuple(names[key] for key in by))) is None:
            continue
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                arm.histories.setdefault(int(row["seed"]), []).append(row)


def add_rows(arm: Arm, rows: Iterable[dict[str, Any]], path: Path, content: Mapping[str, Any]) -> None:
    """Adds rows of a metrics file to an arm."""
    arm.rows |= {row["seed"]: row for row in rows}
    arm.facts = {key: value for key, value in content.items() if key != "rows"}
    if path.as_posix() not in arm.files:
        arm.files.append(path.as_posix())


def minus(first: Mapping[int, float], second: Mapping[int, float]) -> BySeed:
    """Differences, paired by seed."""
    return {seed: value - second[seed] for seed, value in first.items()}


def joined(arms: Mapping[Any, OneArm], others: Mapping[Any, HasRows], name: str) -> dict[Any, OneArm]:
    """Arms with what else was measured of them: in each seed's row, under a name of its own."""
    return {
        key: replace(arm, rows={
            seed: row | ({name: others[key].rows[seed]} if key in others and seed in others[key].rows else {})
            for seed, row in arm.rows.items()
        })
        for key, arm in arms.items()
    }  # fmt: skip


def face_of(cfg: Cfg, arms: Mapping[Any, Arm]) -> Face:
    """What every table and figure made of these arms says of itself."""
    facts = [arm.facts for arm in arms.values()]
    told = ({fact[key] for fact in facts if key in fact} for key in ("device", "precision"))
    device, precision = (" and ".join(sorted(values)) or "none" for values in told)
    n = len({seed for arm in arms.values() for seed in arm.rows})
    return Face(cfg["edition"], data_of(cfg), n, device, precision)


def data_of(cfg: Cfg) -> Data:
    """The dataset: the paper's, other real data, or a stand-in."""
    return Data(**cfg["data"])


def files_of(arms: Iterable[Arm]) -> list[str]:
    """The files of several arms."""
    return [file for arm in arms for file in arm.files]
