"""Lends each job GPUs of its own: one file lock per device, in a folder of this machine.

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


LEASED = "TENFOLD_LEASED"  # set for the processes that are helped to devices by the one that leased them


@dataclass(frozen=True)
class Lease:
    """Devices that no other process of this user gets while this one holds them, as CUDA_VISIBLE_DEVICES takes them."""

    device: str
    locks: tuple[FileLock, ...]

    def release(self) -> None:
        """Gives the devices back before the process ends."""
        global _held
        for lock in self.locks:
            lock.release()
        if _held is self:
            _held = None
            os.environ.pop(LEASED, None)


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
        say: gets a line with the holders' process ids whenever too few devices are free, by other holders than before.
        folder: where the locks lie.

    Returns:
        The lease, the same one however often a process asks; None under Slurm, which chooses the device itself, and
        where the process that started this one has leased its device.
    """
    return lease_devices(1, devices, say, folder)


def lease_devices(
    count: int, devices: Sequence[str], say: Callable[[str], None], folder: Path | None = None
) -> Lease | None:
    """As `lease_device`, for the processes of one job: waits until ``count`` devices are free, and takes them at once.

    A job that waits holds none, so that two jobs of several devices never wait for each other.
    """
    global _held
    if "SLURM_JOB_ID" in os.environ or (_held is None and LEASED in os.environ):
        return None
    if _held is None:
        _held = _wait(count, devices, say, folder or lease_folder())
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ[LEASED] = _held.device
    return _held


def _wait(count: int, devices: Sequence[str], say: Callable[[str], None], folder: Path) -> Lease:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = ""
    while True:
        with FileLock(folder / "choice.lock"):  # one process chooses at a time: no two hold a part each
            free = {device: lock for device in devices if (lock := _lock(folder, device)) is not None}
            taken = dict(list(free.items())[: count if len(free) >= count else 0])
            for device in free.keys() - taken.keys():
                free[device].release()
            for device in taken:
                _holder_file(folder, device).write_text(str(os.getpid()))
        if taken:
            return Lease(",".join(taken), tuple(taken.values()))
        holders = ", ".join(
            f"{device} by process {_holder(folder, device)}" for device in devices if device not in free
        )
        if holders != said:
            say(f"waiting for {count} GPUs: {len(free)} of {len(devices)} are free now ({holders})" if count > 1
                else f"waiting for a GPU: all are taken ({holders})")  # fmt: skip
            said = holders
        time.sleep(_POLL_SECONDS)


def _lock(folder: Path, device: str) -> FileLock | None:
    lock = FileLock(folder / f"{_file_name(device)}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _holder_file(folder: Path, device: str) -> Path:
    return folder / f"{_file_name(device)}.pid"


def _holder(folder: Path, device: str) -> str:
    try:
        return _holder_file(folder, device).read_text() or "unknown"
    except FileNotFoundError:
        return "unknown"


def _file_name(device: str) -> str:
    return device.replace("/", "_")  # names of MIG slices contain slashes
