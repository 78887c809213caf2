"""The start of Snakemake in this folder: one run at a time, and trust in restored files that are the recorded ones."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from filelock import FileLock, Timeout

from tenfold.books import metadata
from tenfold.books.data_first import is_nested, make_missing_data
from tenfold.books.recorded import RESULTS, SCOREBOARD, Job, Ledger, Provenance, ledgers, stays_here
from tenfold.errors import UserError, limit_of_machine
from tenfold.files import copy_whole, read_json, sha256, write_json
from tenfold.identity.equivalences import EQUIVALENCES, representative
from tenfold.identity.records import made_here
from tenfold.workflow import House

OWN = metadata.FOLDER / "tenfold"
RUN, START, RESTORED = OWN / "run.lock", OWN / "start.lock", OWN / "restored"
ASIDE = Path("runs", ".aside")
SHOWN = 3  # files that are named one by one
PATIENCE = 0.5  # seconds; whoever asks whether a lock is held has it for an instant
# Snakemake's options, beside those of a dry run, with which it computes nothing and changes nothing that was computed.
LOOKING = {
    "--summary", "-S", "--detailed-summary", "-D", "--dag", "--rulegraph", "--filegraph", "--d3dag", "--lint",
    "--report", "--list", "--list-rules", "-l", "--list-target-rules", "--lt", "--list-input-changes", "--li",
    "--list-params-changes", "--lp", "--list-code-changes", "--lc", "--list-untracked", "--lu", "--print-compilation",
}  # fmt: skip

_run: FileLock | None = None


def begin(backend: str, house: House, *, dry_run: bool) -> None:
    """Takes the folder for this run and restores Snakemake's notes from the records; says what a user should know.

    One process computes in a folder; a second one is refused at once. Whoever only looks is never refused and does not
    wait for a run: beside one it leaves everything as it is. The locks are the system's, so that they end with their
    process, however that ends.

    Args:
        backend: how Snakemake keeps its notes (``--persistence-backend``).
        house: the configured project.
        dry_run: whether Snakemake only says what it would do.

    Raises:
        SystemExit: with code 2, after one line, when another process computes here, when a record is damaged, or when
            the folder cannot be written to.
    """
    if is_nested():
        return
    try:
        looks = dry_run or bool(LOOKING.intersection(argument.partition("=")[0] for argument in sys.argv[1:]))
        if not looks:
            take_run()
        preparing = _wait_to_prepare(looks)
        if preparing is not None:
            with preparing:
                _prepare(backend, house)
    except OSError as error:
        _say(str(limit_of_machine(error)))
        sys.exit(2)
    except UserError as error:
        _say(str(error))
        sys.exit(2)


def take_run() -> None:
    """Makes this process the one that changes what lies in this folder, until it ends.

    Raises:
        UserError: another process is that one.
    """
    global _run
    _run = _run or _take(RUN)
    if _run is None:
        raise UserError(f"{_holder(RUN)} is running the workflow here: wait until it has ended, or stop it "
                        "(Ctrl-C, or kill); what is half done goes on later")  # fmt: skip


def _prepare(backend: str, house: House) -> None:
    if metadata.remove_locks():
        _say("an earlier run was killed: its lock is removed, and jobs go on where they can")
    _forget_the_future()
    _restore_all(backend, house)


def _wait_to_prepare(looks: bool) -> FileLock | None:
    """The lock of those that prepare: that takes seconds. None for one that only looks, beside a run."""
    said = False
    while not (looks and _is_held(RUN)):
        if (lock := _take(START)) is not None:
            return lock
        if not said:
            _say(f"{_holder(START)} is starting the workflow here: waiting for it")
            said = True
    _say(f"{_holder(RUN)} is running the workflow here: what is said is how things stand at this moment")
    return None


def _take(path: Path) -> FileLock | None:
    """A lock of this folder, with a note of this process as its holder; None where another process has it."""
    OWN.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        return None
    write_json(path.with_suffix(".json"), {"pid": os.getpid(), "host": socket.gethostname()})
    return lock


def _is_held(path: Path) -> bool:
    OWN.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def _holder(path: Path) -> str:
    """Who holds a lock, in words; the note is only for these, the lock alone decides."""
    try:
        found = read_json(path.with_suffix(".json"))
    except (FileNotFoundError, ValueError):
        return "another process"
    return f"process {found['pid']} on {found['host']}"


def _forget_the_future() -> None:
    """Gives files whose time lies ahead, as after a clock was set back, the time of now; Snakemake would stumble."""
    now = time.time()
    files = (path for folder in ("runs", "data") for path in Path(folder).rglob("*") if path.is_file())
    ahead = [path for path in files if path.stat().st_mtime > now + 1]
    for path in ahead:
        noted, mtime = metadata.read(path.as_posix()), path.stat().st_mtime
        os.utime(path, (now, now))
        if noted is not None and noted["endtime"] == mtime:
            metadata.write(path.as_posix(), noted | {"starttime": now, "endtime": path.stat().st_mtime})
    if ahead:
        _say(f"{len(ahead)} files are from the future, was the clock set back? From now on they count as made just now")


def _say(line: str) -> None:
    print(f"tenfold: {line}", file=sys.stderr, flush=True)


def _restore_all(backend: str, house: House) -> None:
    recorded = list(ledgers())
    if recorded and not metadata.is_known(backend):
        _say("this Snakemake keeps its notes in a form that is not known here: restored files are not recognised")
        return
    records = {ledger: provenance for ledger in recorded if (provenance := ledger.provenance()) is not None}
    foreign = [output for ledger, provenance in records.items() for output in restore(ledger, provenance)]
    if foreign:
        names = ", ".join(foreign[:SHOWN]) + (f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else "")
        _say(f"not the recorded bytes, nor those that a job here has made; will be made again if needed: {names}")
    for edition in dict.fromkeys(ledger.edition for ledger in records):
        _restore_scoreboard(edition, house)
    make_missing_data(records.values(), _say)


def _restore_scoreboard(edition: str, house: House) -> None:
    """Puts an edition's scoreboard in its place where it follows from what is on record: all verdicts are those."""
    asked = SimpleNamespace(edition=edition)
    claims = [Path(path) for path in house.claims(asked)]
    kept = [RESULTS / path.relative_to("runs") for path in claims]
    if not all(path.exists() and other.exists() and sha256(path) == sha256(other)
               for path, other in zip(claims, kept, strict=True)):  # fmt: skip
        return
    for name in SCOREBOARD:
        derived, output = RESULTS / edition / name, Path("runs", edition, name)
        if not derived.exists():
            return
        if not output.exists() or sha256(output) != sha256(derived):
            copy_whole(derived, output)
        mtime = output.stat().st_mtime
        code = house.params("report.scoreboard", house.scoreboard)["code"]
        noted = metadata.note(
            rule="scoreboard", job=f"restored {edition} scoreboard",
            params=metadata.params(house.scoreboard(asked), code(asked)),
            log=[f"logs/{edition}/scoreboard.log"], inputs=sorted(map(str, claims)),
            checksums={str(path): sha256(path) for path in claims},
        )  # fmt: skip
        metadata.write(str(output), noted | {"starttime": mtime, "endtime": mtime})


def restore(ledger: Ledger, provenance: Provenance) -> list[str]:
    """Puts recorded jobs into Snakemake's notes where all files on disk that they made are the recorded ones.

    Outputs that are not there (weights that were not pulled) are noted too: without, Snakemake would not look at the
    settings of their job. A file that is neither recorded, nor as Snakemake or its run record knows it, is marked as
    incomplete, so that it is made again. What Snakemake noted itself stays until the record changes: a setting that
    leads to the same bytes must not be reset at every start.

    Weights of other settings beside recorded metrics, as after a change of commits, are set aside in ``runs/.aside``
    under their checksum; they come back with the record that they belong to.

    Returns:
        The files that will be made again.
    """
    state = RESTORED / ledger.name.replace("/", "-")
    version = sha256(ledger.provenance_file) if ledger.provenance_file.exists() else ""
    version += sha256(EQUIVALENCES) if EQUIVALENCES.exists() else ""
    known = state.exists() and state.read_text() == version
    foreign = [path for job in provenance.jobs for path in _restore_job(job, known)]
    if not known:
        RESTORED.mkdir(parents=True, exist_ok=True)
        state.write_text(version)
    return foreign


def _restore_job(job: Job, known: bool) -> list[str]:
    for output, checksum in job.outputs.items():
        if checksum and (ASIDE / checksum).exists() and not Path(output).exists():
            move(ASIDE / checksum, Path(output))
    mtimes = {output: mtime(output) for output in job.outputs}
    notes = {output: metadata.read(output) for output in job.outputs}
    as_noted = {
        output: noted is not None and mtimes[output] in (None, noted["endtime"]) for output, noted in notes.items()
    }
    if known and all(as_noted.values()):
        return []
    present = {output: sha256(Path(output)) for output, mtime in mtimes.items() if mtime is not None}
    other = [output for output, checksum in present.items() if job.outputs[output] not in (None, checksum)]
    if other and all(map(stays_here, other)) and any(not stays_here(output) for output in present):
        for output in other:
            move(Path(output), ASIDE / present[output])
            mtimes[output] = None
            _say(f"{output}: not the recorded bytes; set aside as {ASIDE / present[output]}, made again when needed")
        other = []
    if not other:
        note(job, mtimes)
    foreign = [output for output in other if not as_noted[output] and not made_here(Path(output))]
    for output in foreign:
        metadata.mark_incomplete(output)
    return foreign


def mtime(path: str) -> float | None:
    """When a file was last changed; None where there is none."""
    try:
        return Path(path).stat().st_mtime
    except FileNotFoundError:
        return None


def move(source: Path, target: Path) -> None:
    """Moves a file to a folder that may have to be made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)


def note(job: Job, mtimes: dict[str, float | None]) -> None:
    """Notes a job's outputs as Snakemake would, had it run the job; those that are not here have None as their time."""
    checksums = {
        path: checksum or sha256(Path(path)) for path, checksum in job.inputs.items() if checksum or Path(path).exists()
    }
    noted = metadata.note(
        rule=job.rule, job=f"restored {min(job.outputs)}", params=metadata.params(job.cfg, representative(job.code)),
        log=job.log, inputs=sorted(job.inputs), checksums=checksums,
    )  # fmt: skip
    for output, mtime in mtimes.items():
        metadata.write(output, noted | {"starttime": mtime or 0.0, "endtime": mtime or 0.0})
