"""Leases: no two processes hold one device at a time, and a killed one holds none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold import lease

HOLD = """
import os, sys, time
from pathlib import Path
from tenfold.lease import lease_devices
folder = Path(sys.argv[1])
say = lambda line: print(line, file=sys.stderr, flush=True)
held = lease_devices(int(sys.argv[4]), sys.argv[2].split(","), say, folder)
assert os.environ["CUDA_VISIBLE_DEVICES"] == held.device
marks = [folder / f"{device}.busy" for device in held.device.split(",") if sys.argv[3] != "unmarked"]
for mark in marks:
    mark.touch(exist_ok=False)  # fails if another process is between these lines with the same device
print(held.device, flush=True)
time.sleep(0.05) if sys.argv[3] == "briefly" else sys.stdin.readline()
for mark in marks:
    mark.unlink()
"""
SHARED: dict[str, str] = {}  # of the environment of the processes


def hold(folder: Path, devices: str, how: str, count: int = 1) -> subprocess.Popen[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "TENFOLD"))} | SHARED
    return subprocess.Popen([sys.executable, "-c", HOLD, str(folder), devices, how, str(count)], env=env, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def line_of(process: subprocess.Popen[str], stream: str = "stdout") -> str:
    line: str = getattr(process, stream).readline()
    return line.strip()


@pytest.fixture(autouse=True)
def no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_held", None)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv(lease.LEASED, raising=False)


def test_six_processes_share_two_devices(tmp_path: Path) -> None:
    processes = [hold(tmp_path, "0,1", "briefly") for _ in range(6)]
    ends = [(process.communicate(timeout=60), process.returncode) for process in processes]
    assert [code for _, code in ends] == [0] * 6, ends
    assert {out.strip() for (out, _), _ in ends} <= {"0", "1"}


def test_waits_says_who_holds_and_gets_the_device_of_a_killed_process(tmp_path: Path) -> None:
    first = hold(tmp_path, "0,1", "until-told")
    assert line_of(first) == "0"
    second = hold(tmp_path, "0,1", "until-told")
    assert line_of(second) == "1"
    third = hold(tmp_path, "0,1", "until-told")
    assert line_of(third, "stderr") == (
        f"waiting for a GPU: all are taken (0 by process {first.pid}, 1 by process {second.pid})"
    )
    (tmp_path / "0.busy").unlink()
    first.send_signal(signal.SIGKILL)
    assert line_of(third) == "0"
    for process in (first, second, third):
        process.communicate("\n", timeout=60)
    assert [first.returncode, second.returncode, third.returncode] == [-signal.SIGKILL, 0, 0]


def test_two_jobs_of_two_devices_do_not_wait_for_each_other(tmp_path: Path) -> None:
    processes = [hold(tmp_path, devices, "briefly", 2) for _ in range(2) for devices in ("0,1", "1,0")]
    ends = [(process.communicate(timeout=60), process.returncode) for process in processes]
    assert [code for _, code in ends] == [0] * 4, ends
    assert {out.strip() for (out, _), _ in ends} == {"0,1", "1,0"}


def test_a_job_that_waits_for_two_devices_holds_none(tmp_path: Path) -> None:
    first = hold(tmp_path, "0,1", "until-told")
    assert line_of(first) == "0"
    both = hold(tmp_path, "0,1", "until-told", 2)
    assert line_of(both, "stderr") == f"waiting for 2 GPUs: 1 of 2 are free now (0 by process {first.pid})"
    other = hold(tmp_path, "0,1", "until-told")
    assert line_of(other) == "1"
    for process in (first, other):
        process.communicate("\n", timeout=60)
    assert line_of(both) == "0,1"
    both.communicate("\n", timeout=60)
    assert [first.returncode, other.returncode, both.returncode] == [0, 0, 0]


def test_the_processes_of_a_job_have_its_devices(tmp_path: Path) -> None:
    held = lease.lease_devices(2, ["0", "1"], print, tmp_path)
    assert held is not None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    helper = "import tenfold.lease as lease; assert lease.lease_device(['1'], print) is None"
    subprocess.run([sys.executable, "-c", helper], check=True, timeout=60)
    held.release()
    assert lease.LEASED not in os.environ


def test_a_process_keeps_its_one_lease(tmp_path: Path) -> None:
    first = lease.lease_device(["0"], print, tmp_path)
    assert first is not None
    assert lease.lease_device(["0"], print, tmp_path) is first
    first.release()
    again = lease.lease_device(["0"], print, tmp_path)
    assert again is not None
    assert again is not first
    again.release()


def test_slurm_chooses_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert lease.lease_device(["0"], print, tmp_path / "none") is None
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("named", "count", "expected"),
    [(None, 3, ["0", "1", "2"]), ("2, 3", 2, ["2", "3"]), ("", 0, []), ("-1", 0, []), ("GPU-a/b", 1, ["GPU-a/b"])],
)
def test_visible_devices(monkeypatch: pytest.MonkeyPatch, named: str | None, count: int, expected: list[str]) -> None:
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert lease.visible_devices(count) == expected


# Slots ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets how many jobs may share a device, for this process; `hold` passes it on."""
    return lambda number: monkeypatch.setitem(SHARED, lease.SLOTS, number)


def test_jobs_share_devices_evenly_up_to_their_slots(tmp_path: Path, slots: Callable[[str], None]) -> None:
    slots("2")
    held = [hold(tmp_path, "0,1", "unmarked") for _ in range(4)]
    assert sorted(line_of(process) for process in held) == ["0", "0", "1", "1"]
    fifth = hold(tmp_path, "0,1", "unmarked")
    said = line_of(fifth, "stderr")
    assert said.startswith("waiting for a GPU: all are taken (0 by process ")
    assert all(str(process.pid) in said for process in held)
    held[1].send_signal(signal.SIGKILL)
    assert line_of(fifth) in ("0", "1")
    for process in (*held, fifth):
        process.communicate("\n", timeout=60)
    assert [process.returncode for process in (*held, fifth)] == [0, -signal.SIGKILL, 0, 0, 0]


def test_a_job_of_several_devices_takes_all_their_slots(tmp_path: Path, slots: Callable[[str], None]) -> None:
    slots("3")
    one = hold(tmp_path, "0,1", "unmarked")
    assert line_of(one) == "0"
    both = hold(tmp_path, "0,1", "unmarked", 2)
    assert "1 of 2 are free now" in line_of(both, "stderr")
    one.communicate("\n", timeout=60)
    assert line_of(both) == "0,1"
    other = hold(tmp_path, "0,1", "unmarked")
    assert "all are taken" in line_of(other, "stderr")
    both.communicate("\n", timeout=60)
    assert line_of(other) == "0"
    other.communicate("\n", timeout=60)


def test_the_service_that_shares_a_card_begins_with_the_first_job_and_ends_with_the_last(
    tmp_path: Path, slots: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, folder = tmp_path / "bin", tmp_path / "locks"
    programs.mkdir()
    service = programs / lease.MPS
    service.write_text(f"""#!/bin/sh
if [ "$1" = -d ]; then
  [ -e "$CUDA_MPS_PIPE_DIRECTORY/control" ] && exit 1
  touch "$CUDA_MPS_PIPE_DIRECTORY/control"; said=begun
else read said; rm "$CUDA_MPS_PIPE_DIRECTORY/control"; fi
echo $said >> {tmp_path}/said
""")
    service.chmod(0o755)
    monkeypatch.setitem(SHARED, "PATH", f"{programs}:{os.environ['PATH']}")
    folder.mkdir()
    slots("2")
    first, second = hold(folder, "0", "unmarked"), hold(folder, "0", "unmarked")
    assert line_of(first) == line_of(second) == "0"
    assert (tmp_path / "said").read_text() == "begun\n"
    first.communicate("\n", timeout=60)
    assert (tmp_path / "said").read_text() == "begun\n"
    second.communicate("\n", timeout=60)
    for _ in range(100):
        if (tmp_path / "said").read_text() == "begun\nquit\n":
            break
        time.sleep(0.1)
    assert (tmp_path / "said").read_text() == "begun\nquit\n"
    slots("1")
    alone = hold(folder, "0", "unmarked")
    line_of(alone)
    alone.communicate("\n", timeout=60)
    assert (tmp_path / "said").read_text() == "begun\nquit\n", "one job a card needs none"


@pytest.mark.parametrize(
    ("memory", "cores", "expected"), [("81559\n81559\n", 16, 16), ("81559\n16000", 16, 3), ("", 8, 1)]
)
def test_auto_is_what_memory_and_cores_carry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str, cores: int, expected: int
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '{memory}'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setenv(lease.SLOTS, "auto")
    assert lease.slots_of_a_gpu() == expected
