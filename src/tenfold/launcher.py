"""Gives every stage of every paper the same start and the same end.

A stage is a typed function: its keyword arguments annotated ``Input``, ``Inputs``, ``Output`` or
``Outputs`` are files, ``cfg`` is the part of the configuration that can change its result, and
``job`` is what surrounds it (progress, resume file, requests to stop). The same function is a command::

    @stage
    def train(cfg: Cfg, job: Job, *, data: Input, weights: Output) -> None: ...

    if __name__ == "__main__":
        main(train)

The command checks that the sources are those of the plan, writes the outputs whole or not at all,
and leaves a run record for each of them.
"""

from __future__ import annotations

import argparse
import fcntl
import inspect
import json
import os
import signal
import sys
import time
import traceback
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Annotated, Any, NoReturn

from tenfold.errors import UserError, limit_of_machine
from tenfold.faults import fault
from tenfold.files import canonical_json, commit_file, partial_path, partials
from tenfold.identity import digest, records
from tenfold.identity.entered import noting
from tenfold.identity.equivalences import representative

Cfg = dict[str, Any]
Input = Annotated[Path, "input"]
Inputs = Annotated[list[Path], "input"]
Output = Annotated[Path, "output"]
Outputs = Annotated[list[Path], "output"]

Stage = Callable[..., None]

SOURCES = Path(__file__).resolve().parents[1]
STOPPED = 143  # the exit code of a process that ended on SIGTERM, as shells report it


class Stopped(SystemExit):
    """Ends a job that was asked to stop and has saved what it needs to go on."""

    def __init__(self) -> None:
        super().__init__(STOPPED)


@dataclass
class Job:
    """What surrounds one run of a stage.

    Attributes:
        resume: where the stage may keep what it needs to go on after a stop; not an output.
        identity: what a resume file must agree with (cfg and code).
        log: a file that gets every progress line too.
    """

    resume: Path
    identity: dict[str, str] = field(default_factory=dict)
    log: Path | None = None
    name: str = ""
    compute: dict[str, Any] = field(default_factory=dict)
    stop_requested: bool = False
    _steps_protected: bool = False

    def say(self, line: str) -> None:
        """Shows one line of progress, and keeps it in the log."""
        print(f"[{self.name}] {line}" if self.name else line, file=sys.stderr, flush=True)
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def report_compute(self, **facts: Any) -> None:
        """Notes facts on the machine that only the stage knows (device, precision) for the run record."""
        self.compute.update(facts)

    def stop_between_steps(self) -> bool:
        """Whether to save and stop now. From its first call on, SIGTERM waits for the next call."""
        self._steps_protected = True
        return self.stop_requested

    def on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        """Notes that a stop is asked for; ends the job at once where no step is being taken."""
        self.stop_requested = True
        if not self._steps_protected:
            raise Stopped


def stage(function: Stage) -> Stage:
    """Marks a function as a stage and checks its signature when it is defined."""
    parameters = list(inspect.signature(function).parameters)
    if parameters[:2] != ["cfg", "job"]:
        raise TypeError(f"stage {function.__name__}: the first two parameters must be cfg and job")
    return function


def main(*stages: Stage, argv: list[str] | None = None) -> NoReturn:
    """Runs one of a module's stages as a command; exit code 2 and one line for a user's mistake."""
    try:
        try:
            _run(_parse(stages, argv))
        except OSError as error:
            raise limit_of_machine(error) from error
    except UserError as error:
        print(f"tenfold: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


@dataclass
class _Call:
    """A parsed command: the stage, its cfg and its files."""

    stage: Stage
    cfg: Cfg
    code: str | None
    log: Path | None
    files: dict[str, Path | list[Path]]
    roles: dict[str, str]

    def paths(self, role: str) -> list[Path]:
        """All files of a role (``input`` or ``output``), in the order of the signature."""
        found: list[Path] = []
        for name, value in self.files.items():
            if self.roles[name] == role:
                found += value if isinstance(value, list) else [value]
        return found

    @property
    def module(self) -> str:
        """The stage's module by its importable name, also when it runs as ``__main__``."""
        spec = sys.modules["__main__"].__spec__
        return spec.name if self.stage.__module__ == "__main__" and spec else self.stage.__module__


def file_roles(function: Stage) -> dict[str, tuple[str, bool]]:
    """For each file parameter of a stage: its role and whether it takes several files."""
    hints = typing.get_type_hints(function, include_extras=True)
    return {
        name: (hint.__metadata__[0], typing.get_origin(hint.__origin__) is list)
        for name, hint in hints.items()
        if typing.get_origin(hint) is Annotated and hint.__metadata__[0] in ("input", "output")
    }


def _parse(stages: Iterable[Stage], argv: list[str] | None) -> _Call:
    by_name = {function.__name__.replace("_", "-"): function for function in stages}
    parser = argparse.ArgumentParser(description=sys.modules[next(iter(by_name.values())).__module__].__doc__)
    if len(by_name) == 1:
        ((name, function),) = by_name.items()
        parser.set_defaults(stage=name)
        _add_arguments(parser, function)
    else:
        commands = parser.add_subparsers(dest="stage", required=True)
        for name, function in by_name.items():
            _add_arguments(commands.add_parser(name, description=function.__doc__), function)
    given = vars(parser.parse_args(argv))
    function = by_name[given["stage"]]
    roles = {name: role for name, (role, _) in file_roles(function).items()}
    try:
        cfg = json.loads(given["cfg"])
    except json.JSONDecodeError as error:
        raise UserError(f"--cfg is not JSON: {error}") from None
    return _Call(function, cfg, given["code"], given["log"], {name: given[name] for name in roles}, roles)


def _add_arguments(parser: argparse.ArgumentParser, function: Stage) -> None:
    parser.add_argument("--cfg", required=True, help="the stage's configuration, as JSON")
    parser.add_argument("--code", help="digest of the sources that the plan was made with")
    parser.add_argument("--log", type=Path, help="a file that gets the progress lines too")
    for name, (role, several) in file_roles(function).items():
        option = "--" + name.replace("_", "-")
        if several:
            parser.add_argument(option, nargs="*", type=Path, default=[], metavar="FILE", help=role)
        else:
            parser.add_argument(option, type=Path, required=True, metavar="FILE", help=role)


def _run(call: _Call) -> None:
    code = digest.of_job(call.module, call.stage.__name__, call.cfg)
    if call.code is not None and call.code != representative(code):
        raise UserError(
            f"the sources of {call.module} have changed since the plan was made "
            f"(digest {call.code} then, {representative(code)} now): start again"
        )
    outputs = call.paths("output")
    if call.log is not None:
        call.log.parent.mkdir(parents=True, exist_ok=True)
        call.log.write_text("")
    job = Job(
        resume=resume_path(outputs[0]),
        identity={"cfg": canonical_json(call.cfg), "code": representative(code)},
        log=call.log,
        name=_job_name(outputs[0]),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, job.on_signal)
    alone = _wait_to_be_alone(outputs[0], job)
    for path in call.paths("input"):
        if not path.exists():
            raise UserError(f"{path} is missing: ask Snakemake for it, for example `snakemake {path}`")
    inputs = records.checksums(call.paths("input"))
    records.refuse_other_data(call.cfg, inputs)
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in (*partials(path), *partials(records.record_path(path))):
            left.unlink()
    if records.taken_over(outputs, call.cfg, code, inputs):
        job.say("the same job has run for the edition itself: its files are copied")
        return
    arguments = {name: _partial(value) if call.roles[name] == "output" else value for name, value in call.files.items()}
    started = time.monotonic()
    try:
        with _errors_in_log(call.log), _entered_noted():
            call.stage(call.cfg, job, **arguments)
        for path in outputs:
            fault("output")
            commit_file(partial_path(path), path)
    finally:
        for path in outputs:
            partial_path(path).unlink(missing_ok=True)
    record = records.run_record(module=call.module, stage=call.stage.__name__, cfg=call.cfg, code=code,
                                inputs=inputs, compute=job.compute)  # fmt: skip
    for path in outputs:
        records.write_run_record(path, record)
    job.resume.unlink(missing_ok=True)
    alone.close()
    job.say(f"done in {time.monotonic() - started:.1f} s")


@contextmanager
def _errors_in_log(log: Path | None) -> Iterator[None]:
    """Puts what ends a stage into its log too, where Snakemake's users look for it."""
    try:
        yield
    except Exception as error:
        if log is not None:
            text = f"{error}\n" if isinstance(error, UserError) else traceback.format_exc()
            with log.open("a", encoding="utf-8") as file:
                file.write(text)
        raise


def _entered_noted() -> AbstractContextManager[None]:
    """Notes the functions that a stage enters in the file of TENFOLD_ENTERED, for tests of what it reaches."""
    file = os.environ.get("TENFOLD_ENTERED")
    return noting(SOURCES, Path(f"{file}.{os.getpid()}")) if file else nullcontext()


def _wait_to_be_alone(output: Path, job: Job) -> IO[str]:
    """Waits while another process makes the same output, as a job does whose Snakemake was killed.

    Returns:
        The open lock file; the lock ends with it, or with the process.
    """
    path = records.record_path(output).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        job.say(f"process {file.read().strip()} still makes {output}, it was left by a run that was killed: waiting")
        fcntl.flock(file, fcntl.LOCK_EX)
    file.truncate(0)
    print(os.getpid(), file=file, flush=True)
    return file


def _partial(value: Path | list[Path]) -> Path | list[Path]:
    return [partial_path(path) for path in value] if isinstance(value, list) else partial_path(value)


def resume_path(output: Path) -> Path:
    """Where a job keeps its resume file: ``runs/.resume/...`` for ``runs/...``, else beside the output."""
    if output.parts[:1] == ("runs",):
        return Path("runs", ".resume", *output.parts[1:])
    return output.parent / ".resume" / output.name


def _job_name(output: Path) -> str:
    """What a progress line calls the job: edition and paper, and the end of the path of its first output."""
    folders = 3 if output.parts[0] == "runs" and len(output.parts) > 3 else 0  # runs, the edition, the paper
    end = Path(*output.parts[folders:][-3:]).with_suffix("").as_posix()
    return f"{'/'.join(output.parts[1:folders])} {end}".lstrip()
