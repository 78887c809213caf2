"""Programs that serve a test on this machine: on loopback, on ports of their own, stopped by their process ids."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

MARK = "TENFOLD_TEST_SERVERS"  # in the environment of whatever a test's servers start, jobs included
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def program(name: str, package: str) -> str:
    """The path of a program; the test is skipped, saying what to install, where it is absent."""
    path = shutil.which(name, path=SBIN)
    if path is None:
        pytest.skip(f"{name} is not here: apt-get install {package}")
    return path


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Servers:
    """The processes of one test's servers, each with its output in a log; the folder has all of their files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, MARK: str(folder), "PATH": SBIN}
        self._started: list[psutil.Popen] = []

    def start(self, *command: str, env: Mapping[str, str] | None = None) -> None:
        """Starts a program that stays in the foreground."""
        log = self.folder / f"{len(self._started)}-{Path(command[0]).name}.log"
        with log.open("wb") as output:
            self._started.append(
                psutil.Popen(command, env={**self.env, **(env or {})}, cwd=self.folder, stdin=subprocess.DEVNULL,
                             stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
            )  # fmt: skip

    def wait(self, ready: Callable[[], bool]) -> None:
        """Waits until what was started is ready."""

        def logs() -> str:
            return "".join(f"{path.name}:\n{path.read_text(errors='replace')[-1000:]}\n"
                           for path in sorted(self.folder.glob("*.log")))  # fmt: skip

        wait_until(ready, lambda: f"the servers are not ready:\n{logs()}")

    def run(self, *command: str) -> None:
        """Runs a program that prepares something, to its end."""
        done = subprocess.run(command, env=self.env, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"

    def stop(self) -> None:
        """Ends all of them, the last started first, and whatever they have left running."""
        left = self._ours() + [child for one in self._started for child in _children(one)]
        for process in reversed(self._started):
            process.terminate()
            try:
                process.wait(10)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait()
        left += self._ours()
        for process in left:
            if process.is_running():
                process.kill()
        psutil.wait_procs(left, timeout=10)
        assert not self._ours()

    def _ours(self) -> list[psutil.Process]:
        """What carries the mark, or has overwritten its environment but still stands in the folder."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(MARK) == str(self.folder) or process.cwd() == str(self.folder)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


def _children(process: psutil.Popen) -> list[psutil.Process]:
    try:
        children: list[psutil.Process] = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return children


def wait_until(condition: Callable[[], bool], otherwise: Callable[[], str], seconds: float = 240.0) -> None:
    """Waits for something to become true; fails with what ``otherwise`` says when it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.1)
