"""``tenfold record``: puts what was computed on record, in ``results/`` (git) and in DVC's store."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tenfold import registry, workflow
from tenfold.books import index, ledger, metadata
from tenfold.books.recorded import Job, Ledger, Provenance, is_of_times, platform_name, stays_here
from tenfold.errors import UserError
from tenfold.faults import fault
from tenfold.files import copy_whole, sha256
from tenfold.identity.equivalences import representative
from tenfold.identity.records import read_run_record

SOURCES = ("Snakefile", "config", "profiles", "pyproject.toml", "requirements.lock", "src", "workflow")
RECORDED_FOLDERS = ("tables", "figures")
RECORDED_FILES = ("claims.json", "metrics.json")
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".svg", ".tif", ".tiff", ".webp")


def record(edition: str, slugs: list[str]) -> list[str]:
    """Puts an edition of papers on record, or says in one line why it cannot.

    Refused when the sources are not committed, when Snakemake would run a job, when a file is not the one that its
    run record describes, or when a picture could show data that must not be passed on.

    Returns:
        One line for each paper.

    Raises:
        UserError: the reason of a refusal.
    """
    house = workflow.House({"edition": edition})
    targets = [workflow.check_target(edition, slug) for slug in slugs]
    refuse_uncommitted()
    refuse_stale(targets)
    notes = metadata.read_all()
    lines = []
    for slug in slugs:
        book = Ledger(edition, slug)
        provenance = collect(book, house.paper(slug).targets(edition), notes)
        refuse_pictures_of_data(provenance)
        refuse_leftovers(book, provenance)
        refuse_above_cap(book, keep_headline(book, provenance))
        write(book, provenance)
        lines.append(f"{book.name}: {len(provenance.job_of)} files of {len(provenance.jobs)} jobs are on record")
    index.rebuild()
    return lines


# Refusals -----------------------------------------------------------------------------------------


def refuse_uncommitted() -> None:
    """The sources have to be committed, so that the commit says by what the results were made."""
    command = ["git", "status", "--porcelain", "--untracked-files=all", "--", *SOURCES]
    status = subprocess.run(command, capture_output=True, text=True, check=False)
    if status.returncode != 0:
        raise UserError(f"git status: {status.stderr.strip()}")
    changed = [line[3:] for line in status.stdout.splitlines()]
    if changed:
        raise UserError(f"{_listed(changed)}: not committed; commit the sources, then record what they made")


def refuse_stale(targets: list[str]) -> None:
    """Snakemake has to have nothing left to do."""
    waiting = waiting_jobs(targets)
    if waiting:
        raise UserError(
            f"not up to date, {len(waiting)} jobs are waiting ({', '.join(dict.fromkeys(waiting))}): "
            f"snakemake {' '.join(targets)}"
        )


def waiting_jobs(targets: list[str]) -> list[str]:
    """The rules of the jobs that Snakemake would run for the targets (which are rules without jobs)."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", *targets]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise UserError(f"snakemake --dry-run failed: {' '.join(said[-3:])}")
    rules = re.findall(r"^(?:local)?rule (\S+):$", done.stdout + done.stderr, flags=re.MULTILINE)
    return [rule for rule in rules if rule not in targets]


def refuse_pictures_of_data(provenance: Provenance) -> None:
    """A picture is recorded only if its job read no private file and no dataset that must not be passed on."""
    for job in provenance.jobs:
        shown = [path for path in job.outputs if _is_recorded(path) and path.endswith(PICTURES)]
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


def _is_recorded(path: str) -> bool:
    """Whether a file of runs/ is copied to results/."""
    below = Path(path).parts[3:]
    return (len(below) > 1 and below[0] in RECORDED_FOLDERS) or below in {(name,) for name in RECORDED_FILES}


def collect(book: Ledger, targets: list[str], notes: dict[str, metadata.Note]) -> Provenance:
    """The record of everything that led to the targets, from Snakemake's notes and the run records.

    Raises:
        UserError: a file has no record, or is not the one that its record describes.
    """
    before = book.provenance()
    by_command: dict[str, list[str]] = {}
    for output, note in notes.items():
        by_command.setdefault(note["shellcmd"], []).append(output)
    jobs: dict[str, Job] = {}
    platforms: dict[str, dict[str, Any]] = {}
    waiting, seen = list(targets), set()
    while waiting:
        output = waiting.pop()
        noted = notes.get(output)
        if noted is None:
            raise UserError(f"{output}: Snakemake has no note on how it was made; make it again: snakemake -f {output}")
        if noted["shellcmd"] in seen:
            continue
        seen.add(noted["shellcmd"])
        job, platform = _job(noted, sorted(by_command[noted["shellcmd"]]), before)
        jobs[noted["shellcmd"]], platforms[job.platform] = job, platform
        waiting += job.inputs
    return Provenance(list(jobs.values()), platforms)


def _job(noted: metadata.Note, outputs: list[str], before: Provenance | None) -> tuple[Job, dict[str, Any]]:
    """One job of the record, and the platform that it ran on."""
    facts = {output: _facts(output, noted, before) for output in outputs}
    first = facts[outputs[0]]
    inputs = {path: _input_checksum(path, noted, first["inputs"]) for path in noted["input"]}
    job = Job(
        rule=noted["rule"], module=first["module"], stage=first["stage"], cfg=first["cfg"], code=first["code"],
        seeds=first["seeds"], inputs=inputs, log=noted["log"], platform=platform_name(first["platform"]),
        outputs={output: None if is_of_times(output) else fact["sha256"] for output, fact in facts.items()},
    )  # fmt: skip
    return job, first["platform"]


def _facts(output: str, noted: metadata.Note, before: Provenance | None) -> dict[str, Any]:
    """What is known of how an output was made: its run record, or, if it was restored, what was recorded before."""
    path = Path(output)
    checksum = sha256(path) if path.exists() else None
    run = read_run_record(path)
    fits = run is not None and metadata.params(run["cfg"], representative(run["code"])) == noted["params"]
    if run is not None and fits and checksum in (None, run["sha256"]):
        return run
    job = before.job_of.get(output) if before is not None else None
    if before is not None and job is not None and metadata.params(job.cfg, representative(job.code)) == noted["params"]:
        recorded = job.outputs[output]
        if checksum is None or recorded in (None, checksum):
            return asdict(job) | {"platform": before.platforms[job.platform], "sha256": recorded}
    if run is None:
        raise UserError(f"{output}: its run record is missing; make it again: snakemake -f {output}")
    raise UserError(f"{output}: was changed after rule {noted['rule']} made it; make it again: snakemake -f {output}")


def _input_checksum(path: str, noted: metadata.Note, read: dict[str, str | None]) -> str | None:
    """The checksum of an input when it was read."""
    if is_of_times(path):
        return None
    if path in read:
        return read[path]
    if path in noted["input_checksums"]:
        return str(noted["input_checksums"][path]).removeprefix("sha256:")
    raise UserError(f"{path}: rule {noted['rule']} reads it without handing it to its stage; hand it over")


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
    wanted = [path for path in map(Path, provenance.job_of) if path.is_file() and _is_recorded(path.as_posix())]
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
