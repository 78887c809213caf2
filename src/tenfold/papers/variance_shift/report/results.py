"""Reads what the stages wrote, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from statistics import linear_regression, mean
from typing import Any

from tenfold.launcher import Cfg
from tenfold.report.arms import Arm as AnyArm
from tenfold.report.arms import BySeed, each_of, read_each
from tenfold.report.arms import read_arms as read_metrics
from tenfold.report.face import Data

TITLES = {"a": "(a)", "b": "(b)", "last": "last", "uout": "Uout"}


@dataclass
class Arm(AnyArm):
    """One arm of one net on one dataset: what was measured of it, by seed."""

    @property
    def error(self) -> BySeed:
        """Test error in percent, as trained."""
        return self.error_of("accuracy")

    def error_of(self, key: str) -> BySeed:
        """100 less an accuracy in percent."""
        return {seed: 100 - value for seed, value in self.percent(key).items()}

    @property
    def by_layer(self) -> list[tuple[int, int, float]]:
        """Seed, number of the BatchNorm layer from 1 at the input, and the layer's ratio."""
        return [
            (seed, layer, ratio) for seed, row in self.rows.items() for layer, ratio in enumerate(row["ratio"], start=1)
        ]


Place = tuple[str, str]  # dataset and net
Arms = dict[Place, dict[str, Arm]]


def read_arms(cfg: Cfg, paths: Sequence[Path], name: str) -> Arms:
    """Metrics, probes or settled nets by dataset and net, then by arm, in the order of the files.

    Args:
        cfg: what the files are of.
        paths: the files.
        name: which of the configuration's lists they are, ``metrics``, ``probes`` or ``settled``.
    """
    found: Arms = {}
    listed = each_of(paths, cfg["files"][name])
    for data in dict.fromkeys(of["data"] for _, of in listed):
        of_data = [(path, of) for path, of in listed if of["data"] == data]
        arms = read_metrics([path for path, _ in of_data], [of for _, of in of_data], Arm)
        for (net, arm), read in arms.items():
            found.setdefault((data, net), {})[arm] = read
    return found


def all_arms(arms: Arms) -> dict[tuple[str, str, str], Arm]:
    """All arms, by dataset, net and name."""
    return {(*place, name): arm for place, of_place in arms.items() for name, arm in of_place.items()}


def rate_of(name: str) -> float:
    """The number of an arm: its drop ratio, or beta for Uout; 0 without noise."""
    return 0.0 if name == "none" else float(name.rpartition("-")[2])


def title_of(name: str) -> str:
    """``a-0.5`` -> ``(a) 0.5``."""
    case, _, rate = name.partition("-")
    return f"{TITLES[case]} {rate}" if rate else name


def rates_of(arms: Mapping[str, Arm], case: str) -> list[Arm]:
    """The net without dropout and the arms of one case, by rising drop ratio."""
    found = [arm for name, arm in arms.items() if name == "none" or name.startswith(f"{case}-")]
    return sorted(found, key=lambda arm: rate_of(arm.name))


# Weights ----------------------------------------------------------------------------------------------------------


@dataclass
class Weights:
    """The convolutions of nets without dropout: their inputs ``d`` and cos^2 of the angle to the all-ones vector."""

    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    @property
    def cos2(self) -> BySeed:
        """Mean over the convolutions."""
        return {seed: mean(layer["cos2"] for layer in layers) for seed, layers in self.rows.items()}

    @property
    def d_cos2(self) -> BySeed:
        """Mean over the convolutions of d cos^2."""
        return {seed: mean(layer["d"] * layer["cos2"] for layer in layers) for seed, layers in self.rows.items()}

    def by_d(self, seed: int) -> dict[int, float]:
        """The mean d cos^2 of the convolutions of equal d, by d."""
        layers = self.rows[seed]
        return {
            d: mean(d * layer["cos2"] for layer in layers if layer["d"] == d)
            for d in sorted({layer["d"] for layer in layers})
        }

    @property
    def power(self) -> BySeed:
        """The power of d with which d cos^2 grows: slope of a line through the logarithms of ``by_d``."""
        found = {}
        for seed in self.rows:
            points = self.by_d(seed)
            found[seed] = linear_regression(list(map(log, points)), list(map(log, points.values()))).slope
        return found


def read_weights(cfg: Cfg, paths: Sequence[Path]) -> dict[Place, Weights]:
    """The weights of the nets without dropout, by dataset and net."""
    found: dict[Place, Weights] = {}
    for path, of, content in read_each(paths, cfg["files"]["weight_stats"]):
        weights = found.setdefault((of["data"], of["net"]), Weights())
        weights.rows |= {row["seed"]: row["layers"] for row in content["rows"]}
        weights.files.append(path.as_posix())
    return found


# What stands for what -----------------------------------------------------------------------------------------------


def as_one(cfg: Cfg) -> Cfg:
    """The configuration with its datasets as one, for what is made of all of them."""
    stand_ins = [data["stands_in_for"] for data in cfg["data"] if data["stands_in_for"]]
    names = " and ".join(data["name"] for data in cfg["data"])
    return cfg | {"data": {"name": names, "stands_in_for": " and ".join(stand_ins) or None}}


def data_of(cfg: Cfg, name: str) -> Data:
    """One of the datasets by name."""
    return next(Data(**data) for data in cfg["data"] if data["name"] == name)


def papers_data(cfg: Cfg, name: str) -> str:
    """The paper's dataset that one of ours is or stands in for: ``CIFAR-10`` or ``CIFAR-100``."""
    return data_of(cfg, name).stands_in_for or name.upper()


def papers_net(cfg: Cfg, net: str) -> str | None:
    """The paper's net of the family that one of ours is of; None where the paper has none."""
    families = {entry["net"]["family"]: str(entry["title"]) for entry in cfg["published"]["nets"]}
    return families.get(cfg["nets"][net]["family"])


@dataclass(frozen=True)
class Beside:
    """A net of the paper on a dataset of the paper, and ours of its family, if there is one, or ours alone."""

    data: str
    net: str | None
    place: Place | None

    @property
    def keys(self) -> tuple[str, str, str]:
        """What tables say of it: the paper's dataset, the paper's net, ours."""
        ours = "-" if self.place is None else f"{self.place[1]} on {self.place[0]}"
        return self.data, self.net or "-", ours


def beside(cfg: Cfg, places: Sequence[Place]) -> list[Beside]:
    """All that was published and all that was run, side by side: by dataset, then by net."""
    ours = [Beside(papers_data(cfg, place[0]), papers_net(cfg, place[1]), place) for place in places]
    found = []
    for data in ("CIFAR-10", "CIFAR-100"):
        for net in [*(entry["title"] for entry in cfg["published"]["nets"]), None]:
            same = [row for row in ours if (row.data, row.net) == (data, net)]
            found += same or ([Beside(data, net, None)] if net else [])
    return found


def published(cfg: Cfg, table: str, row: Beside, **more: str) -> dict[str, Any] | None:
    """The entry of a published table about a net on a dataset, further told apart by ``more``."""
    wanted = {"data": row.data, "net": row.net} | more
    return next((entry for entry in cfg["published"][table] if wanted.items() <= entry.items()), None)
