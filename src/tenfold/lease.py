"""Lends each job a GPU, or a share of one: a file lock for each slot of a device, in a folder of this machine.

A lock dies with its process, however that ends, so nothing has to be cleaned up after a crash.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

_POLL_SECONDS = 0.2


SLOTS = "TENFOLD_GPU_SLOTS"  # how many jobs may share a GPU: a number, or auto
MIB_OF_A_SLOT = 4096  # of a card's memory, for one job of a net for small images
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


def slots_of_a_gpu() -> int:
    """How many jobs may share a GPU: ``gpu_slots``; for ``auto``, as many as its memory and the cores carry."""
    named = os.environ.get(SLOTS, "1")
    return int(named) if named != "auto" else max(1, min(os.cpu_count() or 1, _memory() // MIB_OF_A_SLOT))


def _memory() -> int:
    """Of the smallest GPU of this machine, in MiB; 0 where nobody tells."""
    try:
        told = subprocess.run(["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
                              capture_output=True, text=True, check=True).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return 0
    return min((int(line) for line in told.split()), default=0)


def lease_device(devices: Sequence[str], say: Callable[[str], None], folder: Path | None = None) -> Lease | None:
    """Waits for a slot of one of ``devices``, holds it until the process ends, and sets CUDA_VISIBLE_DEVICES to it.

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
    """As `lease_device`, for the processes of one job: waits until ``count`` whole devices are free, and takes them.

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
    said, slots = "", slots_of_a_gpu()
    while True:
        with FileLock(folder / "choice.lock"):  # one process chooses at a time: no two hold a part each
            free = {device: _free_slots(folder, device, slots) for device in devices}
            taken = _chosen(count, free, slots)
            for lock in {lock for locks in free.values() for lock in locks} - set(taken):
                lock.release()
            for lock in taken:
                _holder_file(lock).write_text(str(os.getpid()))
            if taken and slots > 1:
                share_through_mps(folder)
        if taken:
            return Lease(",".join(device for device in devices if set(free[device]) & set(taken)), taken)
        holders = ", ".join(
            f"{device} by process {_holders(folder, device, slots)}" for device in devices if len(free[device]) < slots
        )
        if holders != said:
            whole = sum(len(locks) == slots for locks in free.values())
            say(f"waiting for {count} GPUs: {whole} of {len(devices)} are free now ({holders})" if count > 1
                else f"waiting for a GPU: all are taken ({holders})")  # fmt: skip
            said = holders
        time.sleep(_POLL_SECONDS)


def _chosen(count: int, free: Mapping[str, Sequence[FileLock]], slots: int) -> tuple[FileLock, ...]:
    """One slot of the device with most free ones, or all slots of several devices; none where there are too few."""
    if count == 1:
        most = max(free.values(), key=len)
        return tuple(most[:1])
    whole = [locks for locks in free.values() if len(locks) == slots]
    return tuple(lock for locks in whole[:count] for lock in locks) if len(whole) >= count else ()


def _free_slots(folder: Path, device: str, slots: int) -> list[FileLock]:
    """The locks of a device's slots that nobody holds, held from now on."""
    return [lock for slot in range(slots) if (lock := _lock(folder, _slot(device, slot))) is not None]


def _slot(device: str, slot: int) -> str:
    """The name of a slot; the first one has the device's."""
    return f"{device}.{slot}" if slot else device


# MPS ------------------------------------------------------------------------------------------------------------------

MPS = "nvidia-cuda-mps-control"


def share_through_mps(folder: Path) -> None:
    """Has the kernels of several processes run at once on a card, where the machine has NVIDIA's Multi-Process Service.

    The first job starts it, the last one to end stops it; without it the processes take turns. Call it with the choice
    locked.
    """
    if shutil.which(MPS) is None or "CUDA_MPS_PIPE_DIRECTORY" in os.environ:
        return
    os.environ |= {"CUDA_MPS_PIPE_DIRECTORY": str(folder / "mps"), "CUDA_MPS_LOG_DIRECTORY": str(folder / "mps-log")}
    for name in ("mps", "mps-log"):
        (folder / name).mkdir(exist_ok=True)
    subprocess.run([MPS, "-d"], check=False, capture_output=True)  # refuses where it runs; what a crash left is no sign
    atexit.register(_stop_mps, folder)


def _stop_mps(folder: Path) -> None:
    """Ends the service, if no other job is on a card."""
    with FileLock(folder / "choice.lock"):
        if _held is not None:
            _held.release()
        slots = [_lock(folder, path.name.removesuffix(".lock")) for path in folder.glob("*.lock")
                 if path.name != "choice.lock"]  # fmt: skip
        if all(slots):  # it ends when this process has: nobody waits for it here
            control = subprocess.Popen([MPS], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
            assert control.stdin is not None
            control.stdin.write(b"quit\n")
            control.stdin.close()
        for lock in slots:
            if lock is not None:
                lock.release()


def _lock(folder: Path, device: str) -> FileLock | None:
    lock = FileLock(folder / f"{_file_name(device)}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _holder_file(lock: FileLock) -> Path:
    return Path(lock.lock_file).with_suffix(".pid")


def _holders(folder: Path, device: str, slots: int) -> str:
    """The processes that hold a device's slots, each once."""
    files = [folder / f"{_file_name(_slot(device, slot))}.pid" for slot in range(slots)]
    found = dict.fromkeys(file.read_text() for file in files if file.exists())
    return " and ".join(pid for pid in found if pid) or "unknown"


def _file_name(device: str) -> str:
    return device.replace("/", "_")  # names of MIG slices contain slashes
