"""Lends each process a GPU of its own: one file lock per device, in a folder of this machine.

A lock dies with its process, however that ends, so nothing has to be cleaned up after a crash.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Lease:
    """A device that no other process of this user gets while this one holds it."""

    device: str
    lock: FileLock

    def release(self) -> None:
        """Gives the device back before the process ends."""
        global _held
        self.lock.release()
        if _held is self:
            _held = None


_held: Lease | None = None


def lease_folder() -> Path:
    """The node-local folder of this user's locks."""
    return Path(tempfile.gettempdir()) / f"tenfold-gpus-{os.getuid()}"


def visible_devices(count: int) -> list[str]:
    """The devices that this process may choose from: those of CUDA_VISIBLE_DEVICES, else all ``count``."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(index) for index in range(count)]
    return [name.strip() for name in named.split(",") if name.strip()][:count]


def lease_device(devices: Sequence[str], say: Callable[[str], None], folder: Path | None = None) -> Lease | None:
    """Waits for one of ``devices``, holds it until the process ends, and sets CUDA_VISIBLE_DEVICES to it.

    Args:
        devices: names as CUDA_VISIBLE_DEVICES takes them; at least one.
        say: gets a line with the holders' process ids whenever all devices are taken by other holders than before.
        folder: where the locks lie.

    Returns:
        The lease, the same one however often a process asks; None under Slurm, which chooses the device itself.
    """
    global _held
    if "SLURM_JOB_ID" in os.environ:
        return None
    if _held is None:
        _held = _wait(devices, say, folder or lease_folder())
        os.environ["CUDA_VISIBLE_DEVICES"] = _held.device
    return _held


def _wait(devices: Sequence[str], say: Callable[[str], None], folder: Path) -> Lease:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = ""
    while True:
        for device in devices:
            lock = FileLock(folder / f"{_file_name(device)}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            _holder_file(folder, device).write_text(str(os.getpid()))
            return Lease(device, lock)
        holders = ", ".join(f"{device} by process {_holder(folder, device)}" for device in devices)
        if holders != said:
            say(f"waiting for a GPU: all are taken ({holders})")
            said = holders
        time.sleep(_POLL_SECONDS)


def _holder_file(folder: Path, device: str) -> Path:
    return folder / f"{_file_name(device)}.pid"


def _holder(folder: Path, device: str) -> str:
    try:
        return _holder_file(folder, device).read_text() or "unknown"
    except FileNotFoundError:
        return "unknown"


def _file_name(device: str) -> str:
    return device.replace("/", "_")  # names of MIG slices contain slashes
