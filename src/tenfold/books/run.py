"""Runs the jobs of a bundle side by side on a machine without Snakemake: ``python run.py --workers 16 --seconds 3000``.

`tenfold pack` puts this file beside the bundle. Copy it into an empty folder with all parts of the bundle and of its
data, and call it there as often as needed. A call takes in the archives that have come, runs what is ready in the order
of the list, and asks what still runs to stop when the time is over; the next call goes on, also on another machine, if
the last results.tar was brought along. Results are in results.tar, for `tenfold unpack`; ``--seconds 0`` only writes
them, at any moment. The jobs of a call have the GPUs for themselves; several share one.

The standard library alone, and nothing of Tenfold: this file is there before its sources are.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

JOBS, RESUMED, KNOWN = "jobs.json", "resume.json", ".known.json"
LISTING = ".sha256"
LEASED = "TENFOLD_LEASED"  # tells a job that its devices were chosen for it (tenfold.lease)
GRACE = 60.0  # seconds that jobs have to save what they are at
POLL, SHOWN_EVERY = 0.2, 2.0  # seconds
SHOWN = 16  # lines of a kind on the screen
WAITS, RUNS, FINISHED, FAILED, SKIPPED = "waiting", "running", "finished", "failed", "skipped"


class BundleError(Exception):
    """What cannot be done, in one line."""


# Archives -----------------------------------------------------------------------------------------


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size(text: str) -> int:
    """``64M`` -> bytes; K, M and G are powers of 1024."""
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    number = int(text if factor == 1 else text[:-1])
    if number <= 0:
        raise ValueError(text)
    return number * factor


def write_archive(path: Path, files: Mapping[str, Path | bytes], part_size: int) -> str:
    """Writes ``NAME.tar.000``, ... and, when all is there, ``NAME.tar.sha256``, which lists them.

    Equal files give equal bytes.

    Args:
        path: ``NAME.tar``.
        files: name in the archive -> a file, or its content.
        part_size: bytes of a part, at most.

    Returns:
        What was written, in words.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    listing, lines = path.with_name(path.name + LISTING), list[str]()
    with tempfile.TemporaryFile(dir=path.parent) as whole:
        with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, content in sorted(files.items()):
                with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
                    member = tarfile.TarInfo(name)  # of no user, at no time
                    member.size = file.seek(0, os.SEEK_END)
                    file.seek(0)
                    tar.addfile(member, file)
        whole.seek(0)
        listing.unlink(missing_ok=True)
        for old in path.parent.glob(f"{path.name}.[0-9]*"):
            old.unlink()
        while content := whole.read(part_size):
            part = path.with_name(f"{path.name}.{len(lines):03d}")
            part.write_bytes(content)
            lines.append(f"{hashlib.sha256(content).hexdigest()}  {part.name}\n")
        length = whole.tell()
    _write_whole(listing, io.BytesIO("".join(lines).encode()))
    parts = f"{path.name}.000" if len(lines) == 1 else f"{path.name}.000 to .{len(lines) - 1:03d}"
    return f"{path}: {len(files)} files, {length / 1e6:.1f} MB, in {parts} and {listing.name}"


def extract(listing: Path, folder: Path, refused: Callable[[str], str | None] = lambda _name: None) -> list[str]:
    """Joins the parts of an archive and unpacks it, after all of it was checked.

    Args:
        listing: ``NAME.tar.sha256``, beside the parts.
        folder: where to.
        refused: says of a name why it must not be unpacked; None where it may.

    Returns:
        The names of its files.

    Raises:
        BundleError: a part is missing or damaged, or the archive has what is no plain file within the folder.
    """
    with tempfile.TemporaryFile(dir=folder) as whole:
        for part in _checked_parts(listing):
            with part.open("rb") as file:
                shutil.copyfileobj(file, whole)
        whole.seek(0)
        try:
            with tarfile.open(fileobj=whole, mode="r:") as tar:
                members = tar.getmembers()
                for member in members:
                    path = PurePosixPath(member.name)
                    is_plain = member.isreg() and path.parts and not path.is_absolute() and ".." not in path.parts
                    if why := refused(member.name) if is_plain else "is no plain file within the folder":
                        raise BundleError(f"{listing}: {member.name} {why}; nothing was unpacked")
                for member in members:
                    (folder / member.name).parent.mkdir(parents=True, exist_ok=True)
                    _write_whole(folder / member.name, cast("IO[bytes]", tar.extractfile(member)))
        except (tarfile.TarError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise BundleError(f"{listing}: its parts are no archive ({error})") from None
    return [member.name for member in members]


def _checked_parts(listing: Path) -> list[Path]:
    if not listing.is_file():
        raise BundleError(f"{listing} is missing: it lists the parts of an archive with their checksums")
    parts = []
    for line in listing.read_text(encoding="utf-8").splitlines():
        checksum, _, name = line.partition("  ")
        part = listing.parent / PurePosixPath(name).name
        if not part.is_file():
            raise BundleError(f"{part} is missing: bring all parts that {listing.name} lists")
        if sha256(part) != checksum:
            raise BundleError(f"{part} is damaged: its SHA-256 is not that of {listing.name}; bring it again")
        parts.append(part)
    return parts


def _write_whole(path: Path, content: IO[bytes]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        shutil.copyfileobj(content, file)
    os.replace(partial, path)


# Jobs ---------------------------------------------------------------------------------------------


@dataclass
class Job:
    """A job of the list: the arguments of ``python -m``, what it reads and makes, and how it gets on here."""

    arguments: list[str]
    code: str
    inputs: list[str]
    outputs: list[str]
    processes: int = 1
    state: str = WAITS
    why: str = ""
    slot: int = 0
    started: float = 0.0

    @property
    def name(self) -> str:
        """Its first output."""
        return self.outputs[0]

    @property
    def resume(self) -> Path:
        """Where it keeps what it needs to go on."""
        return Path("runs", ".resume", *Path(self.name).parts[1:])

    @property
    def said(self) -> Path:
        """Where its words go."""
        return Path("logs", "run", f"{self.name}.txt")

    def has_made(self, output: str) -> bool:
        """Whether an output is here, with the record that is written last, and of these settings and this code."""
        cfg = json.loads(self.arguments[self.arguments.index("--cfg") + 1])
        try:
            record = json.loads(record_of(output).read_text(encoding="utf-8"))
            return Path(output).exists() and (record["cfg"], record["code"]) == (cfg, self.code)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def last_line(self) -> str:
        """The last line that it has said."""
        with self.said.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return last.partition("] ")[2] if last.startswith("[") else last  # without the job's name


def record_of(output: str) -> Path:
    """Where the run record of an output lies."""
    return Path(output).parent / ".run" / f"{Path(output).name}.json"


def is_weights(output: str) -> bool:
    """Whether a file holds weights or other tensors, which are brought back by choice only."""
    return output.endswith(".safetensors") or "weights" in Path(output).parts


def judge(jobs: list[Job]) -> None:
    """Finds out what is finished: weights that no job needs any more need not be here."""
    needed: set[str] = set()
    for job in reversed(jobs):
        wanted = [output for output in job.outputs if output in needed or not is_weights(output)] or job.outputs
        job.state = FINISHED if all(map(job.has_made, wanted)) else WAITS
        needed |= set(job.inputs) if job.state == WAITS else set()


def gpus() -> list[str]:
    """The GPUs that there are, as CUDA_VISIBLE_DEVICES takes them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(number) for number, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]
    return [name.strip() for name in named.split(",") if name.strip()]


class Runner:
    """Runs jobs, as many at once as there are slots, each when what it needs is there."""

    def __init__(self, jobs: list[Job], workers: int) -> None:
        self.jobs, self.free, self.gpus = jobs, list(range(workers)), gpus()
        self.makers = {output: job for job in jobs for output in job.outputs}
        self.processes: dict[subprocess.Popen[bytes], Job] = {}
        self.asked: set[subprocess.Popen[bytes]] = set()
        self.stopped_at = 0.0
        self.began = self.shown_at = time.monotonic()

    def run(self, seconds: float) -> None:
        """Runs them until all are done or the time is over."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        while True:
            self._reap()
            if time.monotonic() - self.began >= seconds:
                self.stop()
            self._start_ready()
            self._end_stopped()
            if not self.processes:
                return
            self._show()
            time.sleep(POLL)

    def of(self, *states: str) -> list[Job]:
        """The jobs in some states."""
        return [job for job in self.jobs if job.state in states]

    def stop(self) -> None:
        """Lets no more jobs start, and has those that run save and stop."""
        self.stopped_at = self.stopped_at or time.monotonic()

    def _end_stopped(self) -> None:
        for process in self.processes if self.stopped_at else ():
            if process not in self.asked:  # once: a second signal could meet a job that is cleaning up
                self.asked.add(process)
                process.terminate()
            elif time.monotonic() - self.stopped_at > GRACE:
                os.killpg(process.pid, signal.SIGKILL)

    def _start_ready(self) -> None:
        for job in self.of(WAITS):
            if not self.free or self.stopped_at:
                return
            makers = [self.makers[path] for path in job.inputs if path in self.makers]
            absent = [path for path in job.inputs if path not in self.makers and not Path(path).exists()]
            lost = [maker.name for maker in makers if maker.state in (FAILED, SKIPPED)]
            if absent or lost:
                job.state, job.why = SKIPPED, f"{absent[0]} is not here" if absent else f"needs {lost[0]}"
            elif all(maker.state == FINISHED for maker in makers):
                self._start(job, self.free.pop(0))

    def _start(self, job: Job, slot: int) -> None:
        paths = [str(Path("src").resolve()), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        env |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        several = range(slot, slot + min(job.processes, len(self.gpus)))
        chosen = ",".join(self.gpus[number % len(self.gpus)] for number in several)
        env |= {LEASED: chosen} | ({"CUDA_VISIBLE_DEVICES": chosen} if chosen else {})
        job.said.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", *job.arguments]
        with job.said.open("wb") as said:
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        self.processes[process] = job
        job.state, job.slot, job.started = RUNS, slot, time.monotonic()

    def _reap(self) -> None:
        for process in [process for process in self.processes if process.poll() is not None]:
            job, code = self.processes.pop(process), process.returncode
            self.free = sorted([*self.free, job.slot])
            if all(map(job.has_made, job.outputs)):
                job.state = FINISHED
            elif self.stopped_at and code in (-signal.SIGTERM, -signal.SIGKILL, 128 + signal.SIGTERM):
                job.state = WAITS
            else:
                job.state, job.why = FAILED, job.last_line() or f"ended with {code}"
            if not sys.stdout.isatty():
                say(f"{time.strftime('%H:%M:%S')}  {_told(job)}")

    def _show(self) -> None:
        if sys.stdout.isatty() and time.monotonic() - self.shown_at >= SHOWN_EVERY:
            self.shown_at = time.monotonic()
            say("\x1b[H\x1b[J" + "\n".join(self.screen(shutil.get_terminal_size().columns)))

    def screen(self, width: int = 200) -> list[str]:
        """How things stand: how many jobs in which state, what runs, and what has failed."""
        counts = {state: len(self.of(state)) for state in (FINISHED, RUNS, WAITS, FAILED, SKIPPED)}
        lines = [f"{time.monotonic() - self.began:.0f} s: " + ", ".join(f"{n} {state}" for state, n in counts.items())]
        for states in ((RUNS,), (FAILED, SKIPPED)):
            found = self.of(*states)
            lines += [_told(job)[:width] for job in found[:SHOWN]]
            lines += [f"and {len(found) - SHOWN} more {'/'.join(states)}"] if len(found) > SHOWN else []
        return lines


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)


def _told(job: Job) -> str:
    seconds = f" {time.monotonic() - job.started:.0f} s" if job.started else ""
    why = job.last_line() if job.state == RUNS else job.why
    return f"{job.state}{seconds}  {job.name}" + (f": {why}" if why else "")


# A call -------------------------------------------------------------------------------------------


def take_in() -> None:
    """Unpacks the archives that have come since the last call."""

    def of_another(name: str) -> str | None:
        has_bundle = any(JOBS in names for names in _known().values())
        return "is of another bundle than this folder's, use an empty one" if name == JOBS and has_bundle else None

    for listing in sorted(Path().glob(f"*.tar{LISTING}")):
        if sha256(listing) not in _known():
            names = extract(listing, Path(), of_another)
            _note_known(listing, [JOBS] if JOBS in names else [])
            say(f"{listing.name.removesuffix(LISTING)}: {len(names)} files unpacked")


def _known() -> dict[str, list[str]]:
    return json.loads(Path(KNOWN).read_text()) if Path(KNOWN).exists() else {}


def _note_known(listing: Path, names: list[str]) -> None:
    content = json.dumps(_known() | {sha256(listing): names})
    _write_whole(Path(KNOWN), io.BytesIO(content.encode()))


def read_jobs() -> list[Job]:
    """The jobs of the bundle; the data that it names are checked, where they are here."""
    if not Path(JOBS).exists():
        raise BundleError(f"no bundle is here: put all parts of NAME.tar and NAME.tar{LISTING} beside run.py")
    content = json.loads(Path(JOBS).read_text(encoding="utf-8"))
    for path, checksum in content["data"].items():
        if not Path(path).exists():
            say(f"{path} is not here; the jobs that read it are left out (SHA-256 {checksum})")
        elif checksum not in (None, sha256(Path(path))):
            raise BundleError(f"{path}: has another SHA-256 than {checksum}; bring it again")
    return [Job(**job) for job in content["jobs"]]


def collect(jobs: list[Job], path: Path, part_size: int, *, weights: bool) -> None:
    """Writes the archive of results: what is finished, with its run records, and what unfinished jobs go on from."""
    files: dict[str, Path | bytes] = {}
    resumed = {}
    for job in jobs:
        if job.state == FINISHED:
            made = [output for output in job.outputs if job.has_made(output) and (weights or not is_weights(output))]
            files |= {str(file): file for output in made for file in (Path(output), record_of(output))}
        elif job.resume.exists():
            files[str(job.resume)] = job.resume
            resumed[str(job.resume)] = job.arguments
    if files:
        files |= {RESUMED: json.dumps(resumed, sort_keys=True, indent=1).encode()}
        try:
            say(write_archive(path, files, part_size))
        except FileNotFoundError:  # a job that another call runs has just ended
            judge(jobs)
            collect(jobs, path, part_size, weights=weights)
        listing = path.with_name(path.name + LISTING)
        if listing.parent.resolve() == Path.cwd():
            _note_known(listing, [])


def main() -> int:
    """Takes in what has come, runs what there is time for, and collects what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="jobs side by side")
    parser.add_argument("--seconds", type=float, default=float("inf"),
                        help=f"after which jobs are asked to stop, which takes up to {GRACE:.0f} more")  # fmt: skip
    parser.add_argument("--weights", action="store_true", help="collect weights too")
    parser.add_argument("--out", type=Path, default=Path("results.tar"), help="the archive of results")
    parser.add_argument("--part-size", type=size, default="64M", help="of the parts of that archive, such as 64M")
    given = parser.parse_args()
    given.out = given.out.absolute()
    os.chdir(Path(__file__).resolve().parent)
    with Path(".run.lock").open("w") as lock:
        if given.seconds > 0:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BundleError("another call runs jobs here: wait for it, or collect with --seconds 0") from None
            take_in()
        jobs = read_jobs()
        judge(jobs)
        runner = Runner(jobs, given.workers)
        if given.seconds > 0:
            runner.run(given.seconds)
        say("\n".join(runner.screen()))
        collect(jobs, given.out, given.part_size, weights=given.weights)
        return int(bool(runner.of(FAILED)))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BundleError, OSError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        sys.exit(2)
