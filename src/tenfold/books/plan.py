"""The jobs that Snakemake would run for a target, as their own commands: to be run elsewhere, without Snakemake."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.errors import UserError
from tenfold.identity.definitions import Sources


@dataclass(frozen=True)
class PlannedJob:
    """One job of a plan.

    Attributes:
        rule: the Snakemake rule.
        inputs: paths, as the rule names them.
        outputs: paths.
        arguments: of ``python -m``: the stage's module, where that has several the stage, and its options.
        log: paths.
    """

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arguments: tuple[str, ...]
    log: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The stage's module."""
        return self.arguments[0]

    @property
    def cfg(self) -> dict[str, Any]:
        """The configuration that the stage gets."""
        cfg: dict[str, Any] = json.loads(self._option("--cfg"))
        return cfg

    @property
    def code(self) -> str:
        """The identity of its code."""
        return self._option("--code")

    def stage(self, sources: Sources) -> str:
        """The stage's function."""
        named = self.arguments[1]
        return sources.stages(self.module)[0] if named.startswith("--") else named.replace("-", "_")

    def _option(self, name: str) -> str:
        return self.arguments[self.arguments.index(name) + 1]


def planned(*targets: str, root: Path = Path(), edition: str = "", everything: bool = True) -> list[PlannedJob]:
    """The jobs that lead to some targets.

    Args:
        targets: as on Snakemake's command line.
        root: a checkout.
        edition: the edition for `config/config.yaml`, where another than the configured one is meant.
        everything: all of them, whatever was run already; else those that Snakemake would run.

    Raises:
        UserError: Snakemake's own words, where it cannot plan.
    """
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--cores", "1", *targets]
    command += ["--forceall"] if everything else []
    command += ["--config", f"edition={edition}"] if edition else []
    env = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE")}
    env["PYTHONPATH"] = str(root.resolve() / "src")
    done = subprocess.run(
        command, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise UserError(f"snakemake --dry-run {' '.join(targets)}: {' '.join(said[-3:])}")
    return [job for block in re.split(r"\n(?=\[\w{3} \w{3} +\d)", done.stdout) if (job := _job(block)) is not None]


def _job(block: str) -> PlannedJob | None:
    rule = re.search(r"^(?:local)?rule (\S+):", block, flags=re.MULTILINE)
    command = re.search(r"^Shell command: python -m (.*)$", block, flags=re.MULTILINE)
    if rule is None or command is None:
        return None
    inputs, outputs, log = (_files(key, block) for key in ("input", "output", "log"))
    return PlannedJob(rule[1], inputs, outputs, tuple(shlex.split(command[1])), log)


def _files(key: str, block: str) -> tuple[str, ...]:
    found = re.search(rf"^    {key}: (.*)$", block, flags=re.MULTILINE)
    return tuple(found[1].split(", ")) if found else ()
