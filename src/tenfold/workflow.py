"""What the rules of the workflow are made with: wildcards, configuration of jobs, code digests, targets.

Imported while Snakemake parses the rules, so it stays light: no torch, no pandas.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from tenfold import config, lease, registry, variants
from tenfold.errors import UserError
from tenfold.files import canonical_json
from tenfold.identity import signatures
from tenfold.identity.digest import of_job
from tenfold.identity.equivalences import representative

TABLE_FORMS = ("csv", "md", "tex", "cells.json")
FIGURE_FORMS = ("png", "pdf", "csv")
PAGE_FORMS = ("md", "png", "pdf", "csv")
FORMS = {"tables": TABLE_FORMS, "figures": FIGURE_FORMS}
SHOWN = {"tables": ".csv", "figures": ".png"}  # what Snakemake's report shows
# Outputs of the stages whose rules are the same for all papers.
REPORTED = {"costs", "counts", "tables", "figures", "claims"}

# What a training process needs, as a cluster is asked for it.
DECODERS = 8  # threads that decode photographs
MEGABYTES = 8000
SHARD = "shard:1"

Wildcards = Any
Cfg = dict[str, Any]


@dataclass(frozen=True)
class Edition:
    """One paper at one edition, as a job's configuration is made from it.

    Attributes:
        name: smoke, small, real, lab or full; of a variant, with its name, such as small+hot.
        slug: the paper.
        settings: the edition's settings from the paper's configuration, a variant's laid over them.
        compute: the device and the precision that are asked for.
        claims: the paper's claims.
        published: the paper's published numbers.
        own: what a variant has in place of the edition's settings.
        overlap: test over training examples, where seeds are random splits of the same data; 0 where they are not.
    """

    name: str
    slug: str
    settings: dict[str, Any]
    compute: dict[str, str]
    claims: list[dict[str, Any]]
    published: dict[str, Any]
    own: dict[str, Any] = field(default_factory=dict)
    overlap: float = 0.0

    @property
    def label(self) -> str:
        """What reports call it: its name, with what sets it or single arms apart from what the edition trains alike."""
        special = ("arm_recipes",) if "arm_recipes" in self.settings else ()
        told = variants.told(self.own | {key: self.settings[key] for key in special})
        return f"{self.name} ({told})" if told else self.name

    def recipe_of(self, arm: str, recipe: Cfg) -> Cfg:
        """The recipe of all, with what ``arm_recipes`` has for one arm in its place."""
        return {**recipe, **self.settings.get("arm_recipes", {}).get(arm, {})}

    @property
    def judged(self) -> Cfg:
        """The claims, and what their intervals depend on, as part of the cfg of the job that decides them."""
        return {"claims": self.claims, "overlap": self.overlap}

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
        """What tables and figures say of the data: its name, what it stands in for, the paper's where it is another."""
        entry, of_paper = registry.dataset(self.settings["data"]), config.paper(self.slug).about["data"]
        other = {entry.name, (entry.stands_in_for or entry.name).lower()}.isdisjoint(of_paper)
        paper = {"paper": " and ".join(of_paper)} if other else {}
        return {"name": entry.name, "stands_in_for": entry.stands_in_for, **paper}

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


@contextmanager
def _one_line(where: str = "") -> Iterator[None]:
    """Ends Snakemake with code 2, after one line, where its user made a mistake; ``where`` is said first, once."""
    try:
        yield
    except UserError as error:
        said = str(error)
        print(f"tenfold: {said if said.startswith(where) else f'{where}: {said}'}", file=sys.stderr)
        sys.exit(2)


class House:
    """The configured project, as the Snakefile sees it.

    Args:
        overrides: what the command line says instead of ``config/config.yaml``.
        elsewhere: whether jobs run on other machines than this one.
    """

    def __init__(self, overrides: dict[str, Any], *, elsewhere: bool = False) -> None:
        self.config = config.house(overrides)
        self.elsewhere = elsewhere
        self.edition: str = self.config["edition"]
        self.slugs: list[str] = self.config["papers"]

    @property
    def compute(self) -> dict[str, str]:
        """The device and the precision that are asked for."""
        return {"device": self.config["device"], "precision": self.config["precision"]}

    @property
    def gpu(self) -> int:
        """How many GPUs a computing process asks Snakemake for: none where it will run on the CPU.

        With ``device: auto`` the GPUs of this machine decide; jobs that run elsewhere, as on a cluster, ask for one,
        whatever the machine has from which they are sent.
        """
        present = self.elsewhere or any(Path("/dev").glob("nvidia[0-9]*"))
        return int(self.config["device"] == "cuda" or (self.config["device"] == "auto" and present))

    @property
    def shares_gpus(self) -> bool:
        """Whether jobs that run elsewhere ask for a share of a GPU, as ``gpu_slots`` says; the cluster counts them."""
        return self.elsewhere and bool(self.gpu) and self.config.get("gpu_slots", 1) != 1

    def paper(self, slug: str) -> Paper:
        """One of the project's papers."""
        return Paper(slug, self)

    @property
    def editions(self) -> list[str]:
        """The editions, and their variants."""
        return [*config.EDITIONS, *(f"{edition}+{name}" for name in variants.names() for edition in config.EDITIONS)]

    def concerned(self, edition: str) -> list[str]:
        """The configured papers; at a variant, those that it has settings of."""
        _, name = variants.split(edition)
        return [slug for slug in self.slugs if slug in variants.overlay(name)] if name else self.slugs

    def targets(self, edition: str) -> list[str]:
        """Everything that an edition of all configured papers ends in."""
        with _one_line():
            slugs = self.concerned(edition)
        files = [target for slug in slugs for target in self.paper(slug).targets(edition)]
        return [*files, f"runs/{edition}/scoreboard.md"]

    def goal(self, edition: str, slug: str = "") -> Callable[[Wildcards], list[str]]:
        """The same, or of one paper, found when asked for: the settings of a variant need not fit every edition."""
        targets = self.paper(slug).targets if slug else self.targets
        return lambda _wildcards: targets(edition)

    @cached_property
    def reports(self) -> dict[str, Report]:
        """What all papers report, by the names of the rules, such as ``sge_tables``."""
        return {rule: report for slug in self.slugs for rule, report in self.paper(slug).reports.items()}

    def claims(self, wildcards: Wildcards) -> list[str]:
        """The verdicts of all configured papers at an edition."""
        return [f"runs/{wildcards.edition}/{slug}/claims.json" for slug in self.concerned(wildcards.edition)]

    def dataset(self, wildcards: Wildcards) -> Cfg:
        """What the job that prepares a dataset depends on."""
        return {"dataset": registry.cfg_of(wildcards.dataset)}

    def scoreboard(self, wildcards: Wildcards) -> Cfg:
        """What the job that gathers the verdicts of an edition depends on."""
        return {"edition": wildcards.edition, "papers": self.concerned(wildcards.edition)}

    def title(self, wildcards: Wildcards) -> str:
        """What Snakemake's report puts an edition of a paper under."""
        return f"{self.paper(wildcards.paper).config.about['title']}, {wildcards.edition}"

    def verdicts(self, wildcards: Wildcards) -> str:
        """The verdicts of one paper."""
        return f"runs/{wildcards.edition}/{wildcards.paper}/claims.json"

    def printed(self, wildcards: Wildcards) -> list[str]:
        """The tables of one paper as Markdown."""
        targets = self.paper(wildcards.paper).targets(wildcards.edition)
        return [path for path in targets if "/tables/" in path and path.endswith(".md")]

    def page(self, wildcards: Wildcards) -> Cfg:
        """What the page of one paper depends on, beside its files."""
        return {"edition": wildcards.edition, "title": self.paper(wildcards.paper).config.about["title"]}

    def run(self, stage: str) -> str:
        """The command line of a stage: each of the files that it takes and makes is the rule's of the same name.

        Args:
            stage: a module below ``tenfold``, or a module and one of its stages, with dots.
        """
        with _one_line():
            return signatures.read(f"tenfold.{stage}").command

    def params(self, stage: str, cfg: Callable[[Wildcards], Cfg]) -> dict[str, Callable[[Wildcards], str]]:
        """The params of a rule: all in the configuration that can change a result, and the digest of the stage's code.

        Args:
            stage: as `run` takes it.
            cfg: gives the configuration of a job.
        """
        with _one_line():
            of = signatures.read(f"tenfold.{stage}")
        return {
            "cfg": lambda wildcards: canonical_json(cfg(wildcards)),
            "code": lambda wildcards: code_of(of.module, of.function, cfg(wildcards)),
        }


class Paper:
    """One paper, as its rules file sees it: functions of wildcards for inputs and params."""

    def __init__(self, slug: str, house: House) -> None:
        self.slug = slug
        self.name = config.package_of(slug)
        self.package = f"tenfold.papers.{self.name}"
        self.house = house
        self.config = config.paper(slug)
        self.origin = f"config/papers/{slug}.yaml"

    @property
    def grid(self) -> ModuleType:
        """The paper's grid module: what runs at each edition, and the cfg of each job."""
        return importlib.import_module(f"{self.package}.grid")

    def edition(self, name: str) -> Edition:
        """The paper at one edition, or at a variant of one.

        Raises:
            SystemExit: with code 2, after one line, where there is no such variant, or its settings have a mistake.
        """
        with _one_line():
            settings, own = variants.settings_of(name, self.slug), variants.own_settings(name, self.slug)
            paper = self.config
            splits = paper.about.get("splits", {}).get(variants.split(name)[0])
            overlap = splits["test"] / splits["train"] if splits else 0.0
            edition = Edition(
                name, self.slug, settings, self.house.compute, paper.claims, paper.published, own, overlap
            )
            variant = variants.split(name)[1]
            _check_names(self.grid, edition, f"variants/{variant}.yaml" if variant else self.origin)
        return replace(edition, claims=[_as_decided(claim, edition) for claim in paper.claims])

    def targets(self, edition: str) -> list[str]:
        """Everything that an edition of the paper ends in: tables, figures, verdicts, and what the grid adds."""
        made = [path for report in self.reports.values() for paths in report.made.values() for path in paths]
        made += self.pages
        more = getattr(self.grid, "targets", no_more)(self.edition(edition))
        return [*(path.format(edition=edition) for path in made), *more]

    def data(self, wildcards: Wildcards) -> str:
        """The prepared dataset of an edition."""
        return prepared(self.edition(wildcards.edition).settings["data"])

    def files(self, name: str) -> Callable[[Wildcards], list[str]]:
        """An input function: the files that the grid's function of this name lists."""
        function = getattr(self.grid, name)

        @_one_line(self.origin)
        def files(wildcards: Wildcards) -> list[str]:
            listed: list[str] = function(self.edition(wildcards.edition), wildcards)
            return listed

        return files

    def course(self, path: str, first: str = "metrics") -> dict[str, str]:
        """What a training leaves beside its weights: its metrics (or what they are called), history and times."""
        stem = f"runs/{{edition}}/{self.slug}/{path}"
        return {first: f"{stem}.json", "history": f"{stem}.csv", "times": f"{stem}.times.csv"}

    def run(self, stage: str) -> str:
        """The command line of one of the paper's stages: ``module``, or ``module.function``."""
        return self.house.run(f"papers.{self.name}.{stage}")

    def params(self, stage: str) -> dict[str, Callable[[Wildcards], str]]:
        """The params of a rule; ``cfg`` is from the grid's function that has the name of the stage."""
        return self.house.params(f"papers.{self.name}.{stage}", self._cfg(stage))

    def threads(self, stage: str) -> Callable[[Wildcards], int]:
        """How many processor cores a job needs: one, or those that decode photographs, for each of its processes."""
        cfg = self._cfg(stage)
        return lambda wildcards: _processes(cfg(wildcards)) * (DECODERS if "photos" in cfg(wildcards) else 1)

    def resources(self, stage: str) -> dict[str, Callable[[Wildcards], int | str]]:
        """What a job needs beside cores: a GPU, where it computes on one, and memory for each of its processes.

        Where the GPUs of a cluster are shared, a job of one process asks for a shard instead (Slurm's ``--gres``).
        """
        cfg, shares = self._cfg(stage), self.house.shares_gpus

        def shard(wildcards: Wildcards) -> str:
            return SHARD if _processes(cfg(wildcards)) == 1 else ""

        def gpus(wildcards: Wildcards) -> int:
            return 0 if shares and shard(wildcards) else _gpu_slots(_processes(cfg(wildcards))) * self.house.gpu

        return {
            "gpu": gpus,
            "mem_mb": lambda wildcards: _processes(cfg(wildcards)) * MEGABYTES,
            **({"gres": shard} if shares else {}),
        }

    def _cfg(self, stage: str) -> Callable[[Wildcards], Cfg]:
        function = getattr(self.grid, stage.rpartition(".")[2])

        @_one_line(self.origin)
        def cfg(wildcards: Wildcards) -> Cfg:
            edition = self.edition(wildcards.edition)
            found: Cfg = function(edition, wildcards)
            if "claims" in found:
                return {"edition": edition.name, **found}
            # What computes is the same job at an edition and at its variants, where their settings for it are.
            reports = stage.startswith("report.")
            return {"edition": edition.label if reports else variants.split(edition.name)[0], **found}

        return cfg

    @property
    def reports(self) -> dict[str, Report]:
        """What the paper reports, by the names of the rules."""
        return {
            f"{self.name}_{name}": Report(self, f"{module.removeprefix(self.package + '.')}.{name}")
            for module in signatures.modules(self.package)
            for name, stage in signatures.stages(module).items()
            if REPORTED.intersection(stage.outputs)
        }

    @property
    def pages(self) -> list[str]:
        """The output paths of the primary claims' pages and forest plots."""
        primary = [claim["id"] for claim in self.config.claims if claim["role"] == "primary"]
        return [f"runs/{{edition}}/{self.slug}/claims/{name}.{form}" for name in primary for form in PAGE_FORMS]

    def scale(self, wildcards: Wildcards) -> Cfg:
        """What the job that writes those pages depends on: our scale beside the paper's, mostly that of full."""
        here, full = (self.edition(name).settings for name in (wildcards.edition, "full"))
        rows = []
        for word, place in self.config.about.get("scale", {}).items():
            if isinstance(place, dict):
                rows.append([word, _shown_at(here, place["here"]), place["paper"]])
            else:
                rows.append([word, _shown_at(here, place), _shown_at(full, place)])
        return {"edition": wildcards.edition, "scale": rows}

    def figure(self, name: str) -> list[str]:
        """The output paths of a figure that has a rule of its own; the PNG goes into Snakemake's report."""
        return [self.captioned("figures", path) for path in self.paths("figures", [name])]

    def paths(self, kind: str, names: Iterable[str]) -> list[str]:
        """The output paths of ``tables`` or ``figures``, in all their forms."""
        return [f"runs/{{edition}}/{self.slug}/{kind}/{name}.{form}" for name in names for form in FORMS[kind]]

    def captioned(self, kind: str, path: str) -> str:
        """An output path, with a caption where Snakemake's report shows such a file."""
        if Path(path).suffix != SHOWN.get(kind):
            return path
        from snakemake.io import report  # stages import this module too, and need no Snakemake

        one = kind.removesuffix("s")
        captioned: str = report(
            path,
            caption=f"../report/{one}.rst",
            category=f"{self.config.about['title']}, {{edition}}",
            subcategory=kind.capitalize(),
            labels={one: Path(path).stem.removeprefix(f"{one}-").replace("-", " ")},
        )
        return captioned


@dataclass(frozen=True)
class Report:
    """A stage that has the same rule in every paper: it counts, or it makes tables, figures or verdicts.

    Attributes:
        paper: whose it is.
        stage: its module below the paper's package, and its name.
    """

    paper: Paper
    stage: str

    @property
    def signature(self) -> signatures.Signature:
        """What the stage takes and makes."""
        return signatures.read(f"{self.paper.package}.{self.stage}")

    @property
    def inputs(self) -> dict[str, str | Callable[[Wildcards], list[str]]]:
        """The files that the grid's ``RESULTS`` has under the names of the stage's inputs."""
        found = {name: self.paper.grid.RESULTS[name] for name in self.signature.inputs}
        return {name: self._path(file) if isinstance(file, str) else self.paper.files(file.__name__)
                for name, file in found.items()}  # fmt: skip

    @property
    def made(self) -> dict[str, list[str]]:
        """The files behind the stage's outputs: ``tables`` and ``figures`` are all that its module lists."""
        of, named = self.signature, getattr(self.paper.grid, "OUTPUTS", {})
        return {
            name: self.paper.paths(name, signatures.keys(of.module, name.upper()))
            if name in FORMS
            else [self._path(named.get(name, f"{name}.json"))]
            for name in of.outputs
        }

    @property
    def outputs(self) -> dict[str, list[str]]:
        """The same, with captions: tables (as CSV) and figures (as PNG) go into Snakemake's report."""
        return {name: [self.paper.captioned(name, path) for path in paths] for name, paths in self.made.items()}

    @property
    def params(self) -> dict[str, Callable[[Wildcards], str]]:
        """The params of the rule."""
        return self.paper.params(self.stage)

    @property
    def log(self) -> str:
        """Where the stage's progress lines go."""
        return f"logs/{{edition}}/{self.paper.slug}/{self.signature.function}.log"

    @property
    def command(self) -> str:
        """The command line."""
        return self.signature.command

    def _path(self, file: str) -> str:
        return f"runs/{{edition}}/{self.paper.slug}/{file}"


def check_settings(edition: str, slug: str, own: dict[str, Any], where: str) -> None:
    """Checks settings that are to be laid over an edition of a paper; ``where`` names their origin in the error.

    Raises:
        UserError: one line that names the key, what is wrong and what is allowed.
    """
    settings = config.laid_over(slug, edition, own, where)
    paper = House({}).paper(slug)
    _check_names(paper.grid, replace(paper.edition(edition), settings=settings), where)


def _check_names(grid: ModuleType, edition: Edition, where: str) -> None:
    """Refuses a dataset that there is not, and a recipe of an arm that is not trained, which would change nothing."""
    try:
        registry.dataset(edition.settings["data"])
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    named = edition.settings.get("arm_recipes", {})
    known = dict.fromkeys(of["arm"] for of, _ in grid.trained(edition)) if named else {}
    for arm in named:
        if arm not in known:
            wrong = f"arm_recipes: '{arm}' is no arm that is trained there with a recipe of its own"
            raise UserError(f"{edition.slug} at {edition.name}: {wrong}; allowed: {', '.join(known)}")


def _as_decided(claim: Cfg, edition: Edition) -> Cfg:
    """A claim as it is decided at an edition: at a variant of one that tests it too; it says what is set apart."""
    base, name = variants.split(edition.name)
    tested = [edition.name] if name and base in claim["editions"] else []
    apart = edition.label.removeprefix(edition.name)
    return {**claim, "editions": claim["editions"] + tested, "claim": claim["claim"] + apart}


def _shown_at(settings: Cfg, place: str) -> str:
    """A setting as a page prints it: the names of several, ``all`` where none limits it."""
    value: Any = settings
    for key in place.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return "all"
    return ", ".join(map(str, value)) if isinstance(value, dict | list) else str(value)


def beside(paths: Iterable[str], suffix: str = ".csv") -> list[str]:
    """What a training leaves beside its metrics, such as its history."""
    return [str(Path(path).with_suffix(suffix)) for path in paths]


def no_more(_edition: Edition) -> list[str]:
    """The targets of a grid that names none of its own."""
    return []


def showing(cfg: Cfg, *published: str) -> Cfg:
    """A report's cfg with no published numbers but those of the named parts, so that others can be corrected freely."""
    return {**cfg, "published": {part: cfg["published"][part] for part in published}}


def check_files(rules: Iterable[Any]) -> None:
    """Holds that rules name the files that their stages take and make, and no others; at the end of the Snakefile.

    Raises:
        SystemExit: with code 2, after one line, when a rule lacks a file, or has one that its stage does not know.
    """
    for rule in rules:
        wanted = re.findall(r"\{((?:input|output)\.\w+)\}", rule.shellcmd or "")
        named = [f"{role}.{name}" for role in ("input", "output") for name, _ in getattr(rule, role).items()]
        unknown, missing = sorted(set(named) - set(wanted)), sorted(set(wanted) - set(named))
        if rule.shellcmd and (unknown or missing):
            wrong = [f"lacks {', '.join(missing)}"] if missing else []
            wrong += [f"names {', '.join(unknown)}"] if unknown else []
            where = f"{rule.snakefile}:{rule.lineno}"
            with _one_line():
                raise UserError(f"{where}: rule {rule.name} {' and '.join(wrong)}, unlike the signature of its stage")


def _processes(cfg: Cfg) -> int:
    return int(cfg.get("processes", 1))


def _gpu_slots(processes: int) -> int:
    """How many slots of GPUs a job takes: one, or all of each of its GPUs where it has several."""
    return processes if processes == 1 else processes * lease.slots_of_a_gpu()


def runs_elsewhere(workflow: Any) -> bool:
    """Whether jobs are sent to other machines, or this Snakemake runs one that was sent there.

    One that sends jobs counts them, not cores; a dry run has one core in any case.
    """
    settings = workflow.resource_settings
    return workflow.remote_exec or (settings.nodes is not None and settings.cores in (None, 1))


WILDCARDS = {
    "edition": rf"({'|'.join(config.EDITIONS)})(\+{variants.NAME})?",
    "seeds": r"s\d+(-\d+)?",
    "arm": r"[a-z0-9.]+(-[a-z0-9.]+)*",
    "dataset": r"[a-z0-9]+(-[a-z0-9]+)*",
}


def check_target(edition: str, slug: str) -> str:
    """The named target of an edition of one paper, or of all papers.

    Raises:
        UserError: an unknown edition or paper.
    """
    base, name = variants.split(edition)
    if base not in config.EDITIONS:
        raise UserError(f"'{base}' is not an edition; allowed: {', '.join(config.EDITIONS)}")
    if slug not in ("all", *config.papers()):
        raise UserError(f"'{slug}' is not a paper; allowed: all, {', '.join(config.papers())}")
    if name and slug == "all":
        variants.overlay(name)
    elif name:
        variants.settings_of(edition, slug)
    return f"{edition}/{slug}"


def pages(edition: str, slugs: Iterable[str]) -> list[str]:
    """The pages of papers for Snakemake's report.

    Raises:
        UserError: a paper has no verdicts here.
    """
    missing = [slug for slug in slugs if not Path("runs", edition, slug, "claims.json").exists()]
    if missing:
        raise UserError(
            f"{edition}: nothing is here of {', '.join(missing)}: make reproduce EDITION={edition} computes it, "
            "make restore brings what is on record"
        )
    return [f"build/{edition}/{slug}.html" for slug in slugs]


def set_environment(sources: str) -> None:
    """Makes jobs run with this interpreter and these sources, wherever Snakemake was started."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["PYTHONPATH"] = sources


def configured(overrides: dict[str, Any], *, elsewhere: bool = False) -> House:
    """The project with its configuration checked; for the Snakefile, where a mistake must be one line.

    Raises:
        SystemExit: with code 2, after one line, when the configuration has a mistake.
    """
    with _one_line():
        house = House(overrides, elsewhere=elsewhere)
        os.environ[lease.SLOTS] = "1" if elsewhere else str(house.config.get("gpu_slots", 1))
        registry.names()
        for slug in house.slugs:
            house.paper(slug)
    return house
