"""``tenfold record``: puts what was computed on record, in ``results/`` (git) and in DVC's store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tenfold import registry, workflow
from tenfold.books import index, ledger, times
from tenfold.books.git import git
from tenfold.books.plan import PlannedJob, planned
from tenfold.books.recorded import Job, Ledger, Provenance, is_of_times, platform_name, stays_here
from tenfold.errors import UserError
from tenfold.faults import fault
from tenfold.files import copy_whole, sha256
from tenfold.identity.equivalences import representative
from tenfold.identity.records import read_run_record

SOURCES = ("Snakefile", "config", "profiles", "pyproject.toml", "requirements.lock", "src", "workflow")
RECORDED_FOLDERS = ("tables", "figures", "claims")
RECORDED_FILES = ("claims.json", "metrics.json")
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".svg", ".tif", ".tiff", ".webp")


def record(edition: str, slugs: list[str]) -> list[str]:
    """Puts an edition of papers on record, or says in one line why it cannot.

    Refused when the sources are not committed, when a job of today's plan has not been run, when a file is not the one
    that its run record describes, or when a picture could show data that must not be passed on.

    Returns:
        One line for each paper.

    Raises:
        UserError: the reason of a refusal.
    """
    for slug in slugs:
        workflow.check_target(edition, slug)
    refuse_uncommitted()
    lines = []
    for slug in slugs:
        book = Ledger(edition, slug)
        plan = planned(book.name, edition=edition)
        provenance = collect(book, plan)
        refuse_pictures_of_data(provenance)
        refuse_leftovers(book, provenance)
        refuse_above_cap(book, keep_headline(book, provenance))
        write(book, provenance)
        times.record(book, [job.outputs for job in plan])
        lines.append(f"{book.name}: {len(provenance.job_of)} files of {len(provenance.jobs)} jobs are on record")
    index.rebuild()
    return lines


# Refusals -----------------------------------------------------------------------------------------


def refuse_uncommitted() -> None:
    """The sources have to be committed, so that the commit says by what the results were made."""
    status = git("status", "--porcelain", "--untracked-files=all", "--", *SOURCES)
    changed = [line[3:] for line in status.splitlines()]
    if changed:
        raise UserError(f"{_listed(changed)}: not committed; commit the sources, then record what they made")


def refuse_pictures_of_data(provenance: Provenance) -> None:
    """A picture is recorded only if its job read no private file and no dataset that must not be passed on."""
    for job in provenance.jobs:
        shown = [path for path in job.outputs if is_recorded(path) and path.endswith(PICTURES)]
        for source in job.inputs if shown else ():
            if not may_be_shown(source):
                raise UserError(
                    f"{shown[0]}: its rule {job.rule} reads {source}, which must not be passed on; "
                    f"draw it from a stand-in, or write it below private/"
                )


def may_be_shown(path: str) -> bool:
    """Whether what is made from a file may show it: not from private files, nor from data under closed terms."""
    parts = Path(path).parts
    if parts[:1] != ("data",):
        return "private" not in parts
    name = Path(path).stem if parts[1] == "prepared" else parts[2]
    return registry.dataset(name).redistribute


def refuse_leftovers(book: Ledger, provenance: Provenance) -> None:
    """Whatever DVC would keep has to come from a job of this edition."""
    left = [path for path in kept_files(book) if path not in provenance.job_of]
    if left:
        raise UserError(f"{_listed(left)}: no job of {book.name} makes this any more; delete it, then record")


def refuse_above_cap(book: Ledger, headline: Path | None) -> None:
    """What DVC keeps lies in this repository, so it has to be small."""
    kept = [*kept_files(book), *([headline.as_posix()] if headline else [])]
    size = sum(Path(path).stat().st_size for path in kept)
    if size > ledger.CAPS[book.edition]:
        largest = max(kept, key=lambda path: Path(path).stat().st_size)
        raise UserError(
            f"{book.name}: {size / ledger.MEGABYTE:.2f} MB to keep, allowed are "
            f"{ledger.CAPS[book.edition] / ledger.MEGABYTE:g} MB; the largest file is {largest}"
        )


def _listed(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


# What is on record --------------------------------------------------------------------------------


def kept_files(book: Ledger) -> list[str]:
    """The files that DVC keeps, without the headline checkpoint."""
    files = (path for path in sorted(book.runs.rglob("*")) if path.is_file())
    return [path.as_posix() for path in files if _is_kept(path.relative_to(book.runs))]


def _is_kept(path: Path) -> bool:
    return (
        not stays_here(str(path))
        and path.parts[0] != "headline"
        and not any(part.startswith(".") for part in path.parts)
    )


def is_recorded(path: str) -> bool:
    """Whether a file of runs/ is copied to results/."""
    below = Path(path).parts[3:]
    return (len(below) > 1 and below[0] in RECORDED_FOLDERS) or below in {(name,) for name in RECORDED_FILES}


def collect(book: Ledger, plan: list[PlannedJob]) -> Provenance:
    """The record of every job of today's plan, from the run records beside its outputs or from the record before.

    Nothing of what Snakemake noted or prints is trusted: settings, code and the checksums of inputs are compared here.

    Raises:
        UserError: a job is waiting, for it was never run, or with other settings, by other code or on other inputs; or
            a file is not the one that its record describes.
    """
    before = book.provenance()
    found = {output: facts for job in plan if (facts := _facts(job, before)) for output in job.outputs}
    if waiting := _waiting(plan, found):
        rules = ", ".join(dict.fromkeys(waiting))
        raise UserError(f"not up to date, {len(waiting)} jobs are waiting ({rules}): snakemake {book.name}")
    jobs, platforms = [], {}
    for job in plan:
        facts = found[job.outputs[0]]
        platforms[platform_name(facts.platform)] = facts.platform
        jobs.append(Job(
            rule=job.rule, module=facts.module, stage=facts.stage, cfg=job.cfg, code=facts.code, seeds=facts.seeds,
            inputs={path: facts.inputs[path] for path in job.inputs}, outputs=facts.outputs, log=list(job.log),
            platform=platform_name(facts.platform),
        ))  # fmt: skip
    return Provenance(jobs, platforms)


def _waiting(plan: list[PlannedJob], found: dict[str, _Facts]) -> list[str]:
    """The rules of the jobs that have to run: those of which nothing is known, and those that follow from such."""
    producer = {output: job for job in plan for output in job.outputs}

    @cache
    def waits(job: PlannedJob) -> bool:
        facts = found.get(job.outputs[0])
        return facts is None or any(waits(producer[path]) or is_other(facts, path) for path in job.inputs)

    def is_other(facts: _Facts, path: str) -> bool:
        made = found[producer[path].outputs[0]].outputs[path]
        return not is_of_times(path) and facts.inputs.get(path) != made

    for job in plan:
        if unknown := [path for path in job.inputs if path not in producer]:
            raise UserError(
                f"{unknown[0]}: rule {job.rule} reads it, and no rule makes it; correct the name or the rule"
            )
    return [job.rule for job in plan if waits(job)]


_TOLD = ("module", "stage", "code", "seeds", "inputs", "platform")


@dataclass(frozen=True)
class _Facts:
    """What is known of a job that was run: by which stage and code, on what, where, and what it made."""

    module: str
    stage: str
    code: str
    seeds: list[int]
    inputs: dict[str, str | None]
    outputs: dict[str, str | None]
    platform: dict[str, Any]


def _facts(job: PlannedJob, before: Provenance | None) -> _Facts | None:
    """How a job's outputs were made, by their run records or by the record before; None where it has to run.

    Raises:
        UserError: an output was changed by hand, or has no run record.
    """
    outputs: dict[str, str | None] = {}
    facts: dict[str, Any] = {}
    for output in job.outputs:
        path = Path(output)
        checksum = sha256(path) if path.exists() else None
        if checksum is None and not (stays_here(output) or path.is_relative_to("data")):
            return None
        told = list(_told(output, before))
        fitting = [one for one in told if job.cfg == one["cfg"] and job.code == representative(one["code"])]
        if told and not fitting:
            return None
        right = next((one for one in fitting if checksum is None or one["sha256"] in (None, checksum)), None)
        if right is None:
            why = f"was changed after rule {job.rule} made it" if told else "its run record is missing"
            raise UserError(f"{output}: {why}; make it again: snakemake -f {output}")
        outputs[output] = None if is_of_times(output) else right["sha256"]
        facts = facts or right
    return _Facts(**{name: facts[name] for name in _TOLD}, outputs=outputs)


def _told(output: str, before: Provenance | None) -> Iterator[dict[str, Any]]:
    """What is told of an output: by the run record beside it, and by the record before."""
    run = read_run_record(Path(output))
    if run is not None:
        yield run
    job = before.job_of.get(output) if before is not None else None
    if before is not None and job is not None:
        yield vars(job) | {"platform": before.platforms[job.platform], "sha256": job.outputs[output]}


# Writing ------------------------------------------------------------------------------------------


def keep_headline(book: Ledger, provenance: Provenance) -> Path | None:
    """Copies the headline checkpoint to where DVC keeps it, and gives the copy's path; None if the paper names none."""
    source, kept = book.headline, book.kept_headline
    if source is None or kept is None:
        return None
    wanted = (
        provenance.job_of[source.as_posix()].outputs[source.as_posix()]
        if source.as_posix() in provenance.job_of
        else None
    )
    if wanted is None:
        raise UserError(f"config/papers/{book.slug}.yaml: paper.headline.{book.edition}: no job makes {source}")
    if source.exists() and not (kept.exists() and sha256(kept) == wanted):
        copy_whole(source, kept)
    if not kept.exists() or sha256(kept) != wanted:
        raise UserError(f"{kept}: is not the checkpoint of the record, and {source} is not here: snakemake -f {source}")
    for path in (book.runs / "headline").rglob("*"):
        if path.is_file() and path != kept:
            path.unlink()
    return kept


def write(book: Ledger, provenance: Provenance) -> None:
    """Writes results/, the record and the ledger, and has DVC keep the files. Each file is whole or as it was."""
    wanted = [path for path in map(Path, provenance.job_of) if path.is_file() and is_recorded(path.as_posix())]
    for path in sorted(wanted):
        fault("record-copy")
        copy_whole(path, book.folder / path.relative_to(book.runs))
    for path in _outdated(book, {book.folder / path.relative_to(book.runs) for path in wanted}):
        path.unlink()
    fault("record-provenance")
    provenance.write(book.provenance_file)
    ledger.write_ledger(book)
    fault("record-commit")
    ledger.commit(book)
    fault("record-push")
    ledger.push([book])


def _outdated(book: Ledger, wanted: set[Path]) -> Iterator[Path]:
    for folder in RECORDED_FOLDERS:
        yield from (path for path in sorted((book.folder / folder).rglob("*")) if path.is_file() and path not in wanted)
