"""A Slurm of a test's own: munged, slurmctld and slurmd in a folder, as whoever runs the tests, without any service."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from .processes import Servers, free_port, program

PACKAGES = "slurm-wlm munge"
# The node says that it has more than this machine may have: what is tested is what jobs ask for. Accounting is off.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
KillWait=5
MinJobAge=300
ReturnToService=2
GresTypes=gpu,shard
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 Gres=gpu:3,shard:12 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
# Three GPUs that are none, of four shards each: a shard needs the device file of its GPU.
GENERIC_RESOURCES = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\nName=gpu File=/dev/full\nName=shard Count=12\n"


class Slurm:
    """A controller and one node.

    Attributes:
        env: in which Slurm's commands, and Snakemake, find it.
    """

    def __init__(self) -> None:
        munged, controller, node = (program(name, PACKAGES) for name in ("munged", "slurmctld", "slurmd"))
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.folder.chmod(0o755)  # munged wants its socket where everybody could come to it
        self._servers = Servers(self.folder)
        host = socket.gethostname().partition(".")[0]
        names = {"host": host, "user": getpass.getuser(), "folder": self.folder}
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        text = CONFIGURATION.format(controller=free_port(), node=free_port(), **names)
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(GENERIC_RESOURCES)
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        self._servers.env["SLURM_CONF"] = str(self.folder / "slurm.conf")
        self._servers.env["PATH"] = f"{self._commands()}:{self._servers.env['PATH']}"
        self.env = {name: value for name, value in self._servers.env.items() if os.environ.get(name) != value}
        try:
            self._start(munged, controller, node)
        except BaseException:
            self.stop()
            raise

    def _commands(self) -> Path:
        """A folder with a sbatch that notes its arguments, and a srun that the executor may take SLURM_CONF from."""
        folder = self.folder / "bin"
        folder.mkdir()
        note_down = f'(printf "%s " "$@"; echo) >> {self.folder}/submitted\n'
        notes = {"sbatch": note_down, "srun": ""}
        for name, note in notes.items():
            own = f'#!/bin/sh\n{note}SLURM_CONF={self.folder}/slurm.conf exec {program(name, PACKAGES)} "$@"\n'
            (folder / name).write_text(own)
            (folder / name).chmod(0o755)
        return folder

    def _start(self, munged: str, controller: str, node: str) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        files = {"key-file": key, "socket": self.folder / "munge.socket", "pid-file": self.folder / "munged.pid",
                 "log-file": self.folder / "munged.log", "seed-file": self.folder / "munged.seed"}  # fmt: skip
        options = [f"--{name}={path}" for name, path in files.items()]
        self._servers.start(munged, "--foreground", *options)
        self._servers.wait(files["socket"].exists)
        self._servers.start(controller, "-D")
        self._servers.start(node, "-D")
        self._servers.wait(lambda: "idle" in self.asked("sinfo", "--noheader"))

    def asked(self, *command: str) -> str:
        """What one of Slurm's commands prints; empty where it fails."""
        done = subprocess.run(command, env=self._servers.env, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    def jobs(self, state: str = "RUNNING") -> list[str]:
        """The ids of the jobs in a state."""
        return self.asked("squeue", "--noheader", "--format=%i", f"--states={state}").split()

    @property
    def submitted(self) -> list[str]:
        """The arguments of each sbatch so far, without the command that is to run."""
        notes = self.folder / "submitted"
        return [line.partition("--wrap")[0] for line in notes.read_text().splitlines()] if notes.exists() else []

    def stop(self) -> None:
        """Ends the daemons, and the jobs that run."""
        try:
            self._servers.stop()
        finally:
            shutil.rmtree(self.folder)
