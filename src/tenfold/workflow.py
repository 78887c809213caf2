"""What the rules of the workflow are made with: wildcards, configuration of jobs, code digests, targets.

Imported while Snakemake parses the rules, so it stays light: no torch, no pandas.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tenfold import config, registry
from tenfold.errors import UserError
from tenfold.files import canonical_json
from tenfold.identity.digest import of_job
from tenfold.identity.equivalences import representative

TABLE_FORMS = ("csv", "md", "tex", "cells.json")
FIGURE_FORMS = ("png", "pdf", "csv")

Wildcards = Any
Cfg = dict[str, Any]


@dataclass(frozen=True)
class Edition:
    """One paper at one edition, as a job's configuration is made from it.

    Attributes:
        name: smoke, small, real or full.
        slug: the paper.
        settings: the edition's settings from the paper's configuration.
        compute: the device and the precision that are asked for.
        claims: the paper's claims.
        published: the paper's published numbers.
    """

    name: str
    slug: str
    settings: dict[str, Any]
    compute: dict[str, str]
    claims: list[dict[str, Any]]
    published: dict[str, Any]

    @property
    def runs(self) -> str:
        """The folder of everything that this edition of the paper makes."""
        return f"runs/{self.name}/{self.slug}"

    @property
    def data(self) -> Cfg:
        """The edition's dataset as part of a job's cfg: its name and what fixes its bytes."""
        return registry.cfg_of(self.settings["data"])

    @property
    def data_shown(self) -> Cfg:
        """What tables and figures say of the data: the dataset's name, and what it stands in for."""
        entry = registry.dataset(self.settings["data"])
        return {"name": entry.name, "stands_in_for": entry.stands_in_for}

    @property
    def seed_groups(self) -> list[str]:
        """The seeds as wildcards, one for each job: ``s0-2`` for seeds 0, 1 and 2."""
        seeds, size = self.settings["seeds"], self.settings["seeds_per_job"]
        return [seeds_wildcard(seeds[start : start + size]) for start in range(0, len(seeds), size)]


def seeds_wildcard(seeds: list[int]) -> str:
    """``[0, 1, 2]`` -> ``s0-2``, ``[4]`` -> ``s4``.

    Raises:
        UserError: the seeds do not follow one another.
    """
    if seeds != list(range(seeds[0], seeds[0] + len(seeds))):
        raise UserError(f"seeds {seeds}: the seeds of one job must follow one another, such as [0, 1, 2]")
    return f"s{seeds[0]}" if len(seeds) == 1 else f"s{seeds[0]}-{seeds[-1]}"


def seeds_of(wildcard: str) -> list[int]:
    """``s0-2`` -> ``[0, 1, 2]``."""
    first, _, last = wildcard.removeprefix("s").partition("-")
    return list(range(int(first), int(last or first) + 1))


def prepared(name: str) -> str:
    """The path of a dataset's prepared file."""
    return f"data/prepared/{name}.safetensors"


def code_of(module: str, stage: str, cfg: Cfg) -> str:
    """The identity of a job's code: the digest of what its stage reaches, or of what a replay has shown to be equal."""
    return representative(of_job(module, stage, cfg))


class House:
    """The configured project, as the Snakefile sees it."""

    def __init__(self, overrides: dict[str, Any]) -> None:
        self.config = config.house(overrides)
        self.edition: str = self.config["edition"]
        self.slugs: list[str] = self.config["papers"]

    @property
    def compute(self) -> dict[str, str]:
        """The device and the precision that are asked for."""
        return {"device": self.config["device"], "precision": self.config["precision"]}

    @property
    def gpu(self) -> int:
        """How many GPUs a computing job asks Snakemake for: none where it will run on the CPU."""
        present = any(Path("/dev").glob("nvidia[0-9]*"))
        return int(self.config["device"] == "cuda" or (self.config["device"] == "auto" and present))

    def paper(self, slug: str) -> Paper:
        """One of the project's papers."""
        return Paper(slug, self)

    def targets(self, edition: str) -> list[str]:
        """Everything that an edition of all configured papers ends in."""
        files = [target for slug in self.slugs for target in self.paper(slug).targets(edition)]
        return [*files, f"runs/{edition}/scoreboard.md"]

    def claims(self, wildcards: Wildcards) -> list[str]:
        """The verdicts of all configured papers at an edition."""
        return [f"runs/{wildcards.edition}/{slug}/claims.json" for slug in self.slugs]

    def dataset_cfg(self, wildcards: Wildcards) -> str:
        """The cfg of the job that prepares a dataset."""
        return canonical_json({"dataset": registry.cfg_of(wildcards.dataset)})

    def dataset_code(self, wildcards: Wildcards) -> str:
        """The code digest of the job that prepares a dataset."""
        return code_of("tenfold.data.prepare", "prepare", {})

    def imagenet_code(self, wildcards: Wildcards) -> str:
        """The code digest of the job that indexes ImageNet."""
        return code_of("tenfold.data.imagenet", "index", {})

    def melodies_code(self, wildcards: Wildcards) -> str:
        """The code digest of the job that prepares a corpus of melodies."""
        return code_of("tenfold.data.prepare_melodies", "prepare", {})

    def scoreboard_cfg(self, wildcards: Wildcards) -> str:
        """The cfg of the job that gathers the verdicts of an edition."""
        return canonical_json({"edition": wildcards.edition, "papers": self.slugs})

    def scoreboard_code(self, wildcards: Wildcards) -> str:
        """The code digest of the job that gathers the verdicts."""
        return code_of("tenfold.report.scoreboard", "scoreboard", {})


class Paper:
    """One paper, as its rules file sees it: functions of wildcards for inputs and params."""

    def __init__(self, slug: str, house: House) -> None:
        self.slug = slug
        self.package = f"tenfold.papers.{config.package_of(slug)}"
        self.house = house
        self.config = config.paper(slug)

    @property
    def grid(self) -> ModuleType:
        """The paper's grid module: what runs at each edition, and the cfg of each job."""
        return importlib.import_module(f"{self.package}.grid")

    def edition(self, name: str) -> Edition:
        """The paper at one edition."""
        settings, paper = self.config.editions[name], self.config
        return Edition(name, self.slug, settings, self.house.compute, paper.claims, paper.published)

    def targets(self, edition: str) -> list[str]:
        """Everything that an edition of the paper ends in: tables, figures, verdicts."""
        files: list[str] = self.grid.targets(self.edition(edition))
        return files

    def data(self, wildcards: Wildcards) -> str:
        """The prepared dataset of an edition."""
        return prepared(self.edition(wildcards.edition).settings["data"])

    def table(self, name: str) -> list[str]:
        """The output paths of a table, in all its forms; the CSV goes into Snakemake's report."""
        return self._reported("tables", name, TABLE_FORMS, shown="csv")

    def figure(self, name: str) -> list[str]:
        """The output paths of a figure, with the data behind it; the PNG goes into Snakemake's report."""
        return self._reported("figures", name, FIGURE_FORMS, shown="png")

    def _reported(self, folder: str, name: str, forms: Iterable[str], shown: str) -> list[str]:
        from snakemake.io import report  # stages import this module too, and need no Snakemake

        kind = folder.removesuffix("s")
        paths = {form: f"runs/{{edition}}/{self.slug}/{folder}/{name}.{form}" for form in forms}
        paths[shown] = report(
            paths[shown],
            caption=f"../report/{kind}.rst",
            category=f"{self.config.about['title']}, {{edition}}",
            subcategory=folder.capitalize(),
            labels={kind: name.removeprefix(f"{kind}-").replace("-", " ")},
        )
        return list(paths.values())

    def files(self, name: str) -> Callable[[Wildcards], list[str]]:
        """An input function: the files that the grid's function of this name lists."""
        function = getattr(self.grid, name)

        def files(wildcards: Wildcards) -> list[str]:
            listed: list[str] = function(self.edition(wildcards.edition), wildcards)
            return listed

        return files

    def cfg(self, stage: str) -> Callable[[Wildcards], str]:
        """A params function: everything in the configuration that can change this job's result, as canonical JSON.

        Args:
            stage: ``module`` or ``module.function``; the grid has a function of the last name.
        """
        return lambda wildcards: canonical_json(self._cfg(stage, wildcards))

    def code(self, stage: str) -> Callable[[Wildcards], str]:
        """A params function: the digest of the code that this job runs."""
        module, function = f"{self.package}.{stage.partition('.')[0]}", stage.rpartition(".")[2]
        return lambda wildcards: code_of(module, function, self._cfg(stage, wildcards))

    def _cfg(self, stage: str, wildcards: Wildcards) -> Cfg:
        function = getattr(self.grid, stage.rpartition(".")[2])
        cfg: Cfg = function(self.edition(wildcards.edition), wildcards)
        return {"edition": wildcards.edition, **cfg}


WILDCARDS = {
    "edition": "|".join(config.EDITIONS),
    "seeds": r"s\d+(-\d+)?",
    "arm": r"[a-z0-9.]+(-[a-z0-9.]+)*",
    "dataset": r"[a-z0-9]+(-[a-z0-9]+)*",
}


def check_target(edition: str, slug: str) -> str:
    """The named target of an edition of one paper, or of all papers.

    Raises:
        UserError: an unknown edition or paper.
    """
    if edition not in config.EDITIONS:
        raise UserError(f"'{edition}' is not an edition; allowed: {', '.join(config.EDITIONS)}")
    if slug not in ("all", *config.papers()):
        raise UserError(f"'{slug}' is not a paper; allowed: all, {', '.join(config.papers())}")
    return f"{edition}/{slug}"


def set_environment(sources: str) -> None:
    """Makes jobs run with this interpreter and these sources, wherever Snakemake was started."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["PYTHONPATH"] = sources


def configured(overrides: dict[str, Any]) -> House:
    """The project with its configuration checked; for the Snakefile, where a mistake must be one line.

    Raises:
        SystemExit: with code 2, after one line, when the configuration has a mistake.
    """
    try:
        house = House(overrides)
        for slug in house.slugs:
            house.paper(slug)
    except UserError as error:
        print(f"tenfold: {error}", file=sys.stderr)
        sys.exit(2)
    return house
