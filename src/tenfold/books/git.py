"""Git, run as a command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tenfold.errors import UserError


def git(*arguments: str, otherwise: str = "") -> str:
    """What a command of git prints.

    Args:
        arguments: of the command.
        otherwise: the error where it fails; git's own words by default.

    Raises:
        UserError: the command fails, or the working directory is no clone (but may lie in one of another project).
    """
    if not is_clone():
        raise UserError(
            "this asks git, and here is no clone (an unpacked archive?): git clone the repository, or git init"
        )
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed here, and this asks it") from None
    if done.returncode != 0:
        raise UserError(otherwise or f"git {arguments[0]}: {reason(done.stderr)}")
    return done.stdout


def reason(refusal: str) -> str:
    """Git's words on one line."""
    return " ".join(refusal.removeprefix("fatal: ").split())


def is_clone() -> bool:
    """Whether git holds the working directory, as it does not where a ZIP archive was unpacked."""
    return Path(".git").exists()
