"""Git, run as a command."""

from __future__ import annotations

import subprocess

from tenfold.errors import UserError


def git(*arguments: str, otherwise: str = "") -> str:
    """What a command of git prints.

    Args:
        arguments: of the command.
        otherwise: the error where it fails; git's own words by default.

    Raises:
        UserError: the command fails.
    """
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(otherwise or f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
