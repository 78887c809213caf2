"""Where and how a job computes: device, precision, and arithmetic that gives the same bits each time."""

from __future__ import annotations

import os
import platform
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from tenfold.errors import UserError
from tenfold.launcher import Job
from tenfold.lease import lease_device, visible_devices

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16")

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True)
class Compute:
    """A resolved device and precision ("fp32" or "bf16"), and whether steps on a GPU are captured and replayed."""

    device: torch.device
    precision: str
    captures: bool = True

    def autocast(self) -> AbstractContextManager[Any]:
        """The context for forward passes: bf16 autocast, or nothing in fp32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def wait(self) -> None:
        """Waits until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def place(self, model: Net) -> Net:
        """Moves a net to the device, its convolution kernels in channels_last order."""
        return model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def start(settings: dict[str, Any], job: Job) -> Compute:
    """Prepares this process for training; call it once, before anything touches a GPU.

    One thread, deterministic algorithms, no TF32, and a GPU of its own if it uses one. What device and precision
    resolved to goes into the job's run record and into the identity of its resume file.

    Args:
        settings: ``device`` (auto, cpu or cuda) and ``precision`` (auto, fp32 or bf16), "auto" where left out.
        job: the running job.

    Raises:
        UserError: a setting is unknown, or this machine does not have what it asks for.
    """
    device = _one_of(DEVICES, "device", settings)
    precision = _one_of(PRECISIONS, "precision", settings)
    compute = _resolve(device, precision, job)
    _deterministic()
    facts = {"device": compute.device.type, "precision": compute.precision}
    job.identity.update(facts)
    if compute.device.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(), "driver": _driver()}
    job.report_compute(**facts)
    return compute


def _one_of(allowed: tuple[str, ...], key: str, settings: dict[str, Any]) -> str:
    value = settings.get(key, "auto")
    if value not in allowed:
        raise UserError(f"{key}: {value!r} is not one of {', '.join(allowed)} (config/config.yaml)")
    return str(value)


def _resolve(device: str, precision: str, job: Job) -> Compute:
    if device == "auto":
        device = "cuda" if torch.cuda.device_count() else "cpu"
    if device == "cuda":
        _take_gpu(job)
    has_bf16 = bf16_in_hardware(device)
    if precision == "bf16" and not has_bf16:
        where = "this GPU" if device == "cuda" else "this processor"
        raise UserError(f"precision: {where} has no bf16 arithmetic; set it to fp32 or auto (config/config.yaml)")
    if precision == "auto":
        precision = "bf16" if has_bf16 else "fp32"
    return Compute(torch.device(device), precision)


def _take_gpu(job: Job) -> None:
    """Leases a GPU. torch counts devices through NVML, so CUDA starts only after the choice is made."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when CUDA starts
    devices = visible_devices(torch.cuda.device_count())
    if devices:
        lease_device(devices, job.say)
    if not devices or not torch.cuda.is_available():
        raise UserError("device: cuda is asked for, but torch finds no GPU here; set device to cpu or auto "
                        "(config/config.yaml)")  # fmt: skip


def bf16_in_hardware(device: str) -> bool:
    """Whether "cpu" or "cuda" multiplies bf16 numbers itself instead of emulating it."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _deterministic() -> None:
    """Equal input, equal bits, for a fixed build of torch and a fixed kind of processor."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    # Filling new memory takes 7 % of a small net's step, and nothing reads memory that it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def _driver() -> str:
    """The version of the NVIDIA kernel driver, or "unknown" where the system does not tell."""
    path = Path("/proc/driver/nvidia/version")
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", path.read_text()) if path.exists() else None
    return found[0] if found else "unknown"
