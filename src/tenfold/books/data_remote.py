"""Prepared datasets in a DVC remote of their own, for those who may keep them: ``record --data``, ``restore --data``.

Data of third parties never enters this repository's ledgers or ``store/``. ``data/`` (not in git) is made a DVC
repository of its own, with the user's remotes; what a file must be is in ``config/datasets.yaml``, so no pointer has to
be passed on.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tenfold import registry
from tenfold.books.ledger import dvc
from tenfold.errors import UserError
from tenfold.files import sha256, write_text
from tenfold.workflow import prepared

FOLDER = Path("data")


def record_data(remote: str) -> list[str]:
    """Pushes the prepared real datasets that are here to a remote.

    Args:
        remote: one of the user's own remotes (``dvc remote add --local NAME URL``).

    Raises:
        UserError: no prepared real dataset is here, one is not what the registry says, or DVC's own reason.
    """
    here = [entry for entry in _real_datasets() if Path(prepared(entry.name)).exists()]
    if not here:
        raise UserError(
            f"no prepared real dataset is in {FOLDER}/prepared; for example: snakemake {prepared('cifar-10')}"
        )
    _make_repository()
    for entry in here:
        _check(entry)
        dvc("--cd", str(FOLDER), "add", _below(entry))
    dvc("--cd", str(FOLDER), "push", "--remote", remote, *(f"{_below(entry)}.dvc" for entry in here))
    return [f"{entry.name}: is in the remote {remote}" for entry in here]


def restore_data(remote: str) -> list[str]:
    """Brings prepared real datasets back from a remote, those that it has.

    Raises:
        UserError: the remote has none of them, or what it has is not what the registry says.
    """
    _make_repository()
    lines, reasons = [], []
    for entry in _real_datasets():
        if entry.md5 is None or Path(prepared(entry.name)).exists():
            continue
        write_text(Path(f"{prepared(entry.name)}.dvc"), _pointer(entry))
        try:
            dvc("--cd", str(FOLDER), "pull", "--remote", remote, f"{_below(entry)}.dvc")
        except UserError as error:
            Path(f"{prepared(entry.name)}.dvc").unlink()
            reasons.append(f"{entry.name}: {error}")
        else:
            _check(entry)
            lines.append(f"{entry.name}: restored from the remote {remote}")
    if not lines and reasons:
        raise UserError("; ".join(reasons))
    return lines or ["every prepared dataset is here"]


def _real_datasets() -> list[registry.Dataset]:
    return [entry for entry in map(registry.dataset, registry.names()) if entry.is_foreign and entry.sha256]


def _make_repository() -> None:
    """Makes ``data/`` a DVC repository without git, with the user's own remotes."""
    if not (FOLDER / ".dvc").exists():
        FOLDER.mkdir(exist_ok=True)
        dvc("--cd", str(FOLDER), "init", "--no-scm", "--quiet")
    if Path(".dvc", "config.local").exists():
        shutil.copy(Path(".dvc", "config.local"), FOLDER / ".dvc" / "config.local")


def _check(entry: registry.Dataset) -> None:
    path = Path(prepared(entry.name))
    if (found := sha256(path)) != entry.sha256:
        raise UserError(f"{path}: has SHA-256 {found}, config/datasets.yaml says {entry.sha256}; delete it")


def _below(entry: registry.Dataset) -> str:
    return Path(prepared(entry.name)).relative_to(FOLDER).as_posix()


def _pointer(entry: registry.Dataset) -> str:
    return f"outs:\n- md5: {entry.md5}\n  hash: md5\n  path: {Path(prepared(entry.name)).name}\n"
