"""Several processes of one machine that train one net together, each with its own device and share of every batch.

Every process runs the same code from the same seeds; `torch.nn.parallel.DistributedDataParallel` averages gradients.
The process that Snakemake started is number 0: it alone reports, saves and writes.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from tenfold.errors import UserError
from tenfold.launcher import Job
from tenfold.lease import lease_devices, visible_devices
from tenfold.progress import FitState, Progress
from tenfold.training.compute import Compute, start

Result = TypeVar("Result")


@dataclass(frozen=True)
class Team:
    """One process among those that train together.

    Attributes:
        number: of this process, from 0.
        size: how many there are.
        rendezvous: the file by which they find each other.
    """

    number: int = 0
    size: int = 1
    rendezvous: str = ""

    def start(self, settings: dict[str, Any], job: Job) -> Compute:
        """As `tenfold.training.compute.start`, in each process with a GPU of its own, if on GPUs; then they join."""
        if self.size > 1 and (devices := _gpus(settings)):
            os.environ["CUDA_VISIBLE_DEVICES"] = devices[self.number]
        compute = start(settings, job)
        if self.size > 1:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
            distributed.init_process_group(
                "nccl" if compute.device.type == "cuda" else "gloo",
                init_method=f"file://{self.rendezvous}",
                rank=self.number,
                world_size=self.size,
            )
            return replace(compute, captures=False)
        return compute

    def progress(self, job: Job) -> Progress:
        """The job's progress; all processes read its resume file, number 0 writes it."""
        return Progress(job) if self.number == 0 else _Reading(job)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The net with gradients that are averaged over all processes; the net itself where there is but one."""
        return DistributedDataParallel(model) if self.size > 1 else model

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, in each of them."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def share_buffers(self, model: nn.Module) -> None:
        """Gives all processes the running statistics of number 0, as they are when the net is saved."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)


class _Reading(Progress):
    """Progress that follows the resume file of process 0 and writes none."""

    def _write(self, state: FitState | None) -> None:
        pass


class _Silent(Job):
    """The job of a process that does not speak."""

    def say(self, line: str) -> None:
        """Says nothing: process 0 speaks for all."""


def together(size: int, settings: dict[str, Any], work: Callable[..., Result], job: Job, *args: Any) -> Result:
    """Runs ``work(team, job, *args)`` in ``size`` processes, of which this is one; gives this one's result.

    Args:
        size: how many processes.
        settings: as `Team.start` takes them.
        work: a function of a module; it begins with `Team.start`.
        job: the running job; the other processes get one that is silent and reads the same resume file.
        args: what else it takes, of kinds that can be sent to another process.

    Raises:
        UserError: there are fewer GPUs than processes.
    """
    if size == 1:
        return work(Team(), job, *args)
    if (devices := _gpus(settings)) or settings.get("device") == "cuda":
        if len(devices) < size:
            raise UserError(f"processes: {size} are asked for, but torch finds {len(devices)} GPUs here; "
                            "set processes to a divisor of batch_size that there are GPUs for")  # fmt: skip
        lease_devices(size, devices, job.say)
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = str(Path(folder) / "rendezvous")
        context = multiprocessing.get_context("spawn")
        facts = {"resume": job.resume, "identity": dict(job.identity)}
        others = [
            context.Process(target=_help, args=(Team(number, size, rendezvous), facts, work, args), daemon=True)
            for number in range(1, size)
        ]
        for process in others:
            process.start()
        try:
            return work(Team(0, size, rendezvous), job, *args)
        finally:
            for process in others:
                process.kill()
                process.join()
            if distributed.is_initialized():
                distributed.destroy_process_group()


def _gpus(settings: dict[str, Any]) -> list[str]:
    """The GPUs that processes may choose from; none where they compute on the processor."""
    return [] if settings.get("device", "auto") == "cpu" else visible_devices(torch.cuda.device_count())


def _help(team: Team, facts: Mapping[str, Any], work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """What the other processes run, until process 0 ends them."""
    for number in (signal.SIGTERM, signal.SIGINT):  # process 0 saves first
        signal.signal(number, signal.SIG_IGN)
    work(team, _Silent(**facts), *args)
    signal.pause()
