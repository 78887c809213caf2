"""The start of Snakemake in this folder: one run at a time, and trust in restored files that are the recorded ones."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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
LOCK, HOLDER, RESTORED = OWN / "lock", OWN / "holder.json", OWN / "restored"
ASIDE = Path("runs", ".aside")
SHOWN = 3  # files that are named one by one

_lock: FileLock | None = None


def begin(backend: str, house: House) -> None:
    """Takes the folder's lock and restores Snakemake's notes from the records; says what a user should know.

    Where another process runs the workflow here, it says so and does nothing: Snakemake's own lock then refuses
    a second run, and lets a dry run pass.

    Args:
        backend: how Snakemake keeps its notes (``--persistence-backend``).
        house: the configured project.

    Raises:
        SystemExit: with code 2, after one line, when a record is damaged or the folder cannot be written to.
    """
    if is_nested():
        return
    try:
        if _take_lock():
            if metadata.remove_locks():
                _say("an earlier run was killed: its lock is removed, and jobs go on where they can")
            _forget_the_future()
            _restore_all(backend, house)
    except OSError as error:
        _say(str(limit_of_machine(error)))
        sys.exit(2)
    except UserError as error:
        _say(str(error))
        sys.exit(2)


def running() -> None:
    """Notes that this process does not only look, but runs jobs."""
    write_json(HOLDER, _myself(running=True))


def holder() -> dict[str, Any] | None:
    """The process that runs jobs in this folder, if there is one."""
    try:
        found: dict[str, Any] = read_json(HOLDER)
    except (FileNotFoundError, ValueError):
        return None
    here = found["host"] == socket.gethostname()
    return found if found["running"] and (not here or _is_alive(found["pid"])) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


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


def _take_lock() -> bool:
    """Waits for processes that only look (they take a second or two), but not for one that runs jobs."""
    global _lock
    OWN.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCK)
    while True:
        try:
            lock.acquire(timeout=0.2)
        except Timeout:
            if (other := holder()) is not None:
                _say(f"process {other['pid']} on {other['host']} is running the workflow here: wait until it has ended")
                return False
        else:
            _lock = lock
            write_json(HOLDER, _myself(running=False))
            return True


def _myself(*, running: bool) -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "running": running}


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
    mtimes = {output: _mtime(output) for output in job.outputs}
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
        _note(job, mtimes)
    foreign = [output for output in other if not as_noted[output] and not made_here(Path(output))]
    for output in foreign:
        metadata.mark_incomplete(output)
    return foreign


def _mtime(path: str) -> float | None:
    try:
        return Path(path).stat().st_mtime
    except FileNotFoundError:
        return None


def move(source: Path, target: Path) -> None:
    """Moves a file to a folder that may have to be made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)


def _note(job: Job, mtimes: dict[str, float | None]) -> None:
    checksums = {
        path: checksum or sha256(Path(path)) for path, checksum in job.inputs.items() if checksum or Path(path).exists()
    }
    noted = metadata.note(
        rule=job.rule, job=f"restored {min(job.outputs)}", params=metadata.params(job.cfg, representative(job.code)),
        log=job.log, inputs=sorted(job.inputs), checksums=checksums,
    )  # fmt: skip
    for output, mtime in mtimes.items():
        metadata.write(output, noted | {"starttime": mtime or 0.0, "endtime": mtime or 0.0})
