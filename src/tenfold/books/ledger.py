"""DVC's part: what a ledger says, what is kept in ``store/``, what is brought back. DVC is run as a command."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tenfold.books.git import is_clone
from tenfold.books.recorded import Ledger, ledgers
from tenfold.errors import UserError
from tenfold.files import read_json, write_text

TOP, STORE = Path("dvc.yaml"), Path("store")
MEGABYTE = 1000**2
# Bytes that DVC keeps of a paper.
CAPS = {"smoke": 2 * MEGABYTE, "small": 3 * MEGABYTE, "real": 3.5 * MEGABYTE, "lab": MEGABYTE, "full": MEGABYTE}


def dvc(*arguments: str, folder: Path | None = None) -> str:
    """Runs DVC, in another folder if one is named, and gives what it printed.

    Raises:
        UserError: one line with DVC's own reason.
    """
    if not is_clone():
        _work_without_git()
    within = [] if folder is None else ["--cd", str(folder)]
    command = [sys.executable, "-m", "dvc", *within, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _clean_up()
        raise UserError(f"dvc {arguments[0]}: {reason(done.stderr) or reason(done.stdout)}")
    return done.stdout


def _work_without_git() -> None:
    """Has DVC work where a ZIP archive was unpacked, in this folder's own configuration, so also for its users."""
    file = Path(".dvc", "config.local")
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if "no_scm" not in before:
        write_text(file, f"{before}[core]\n    no_scm = true\n")


def _clean_up() -> None:
    """Removes what DVC leaves behind where a disk was full: half objects, and a list of locks that it cannot read."""
    for folder in (STORE, Path(".dvc", "cache")):
        for half in (folder / "files" / "md5").glob("??/.*.tmp"):
            half.unlink(missing_ok=True)
    locks = Path(".dvc", "tmp", "rwlock")
    if locks.exists() and locks.stat().st_size == 0:
        locks.unlink()


def reason(output: str) -> str:
    """DVC's errors on one line."""
    lines = [line.strip() for line in output.splitlines()]
    first = next((index for index, line in enumerate(lines) if line.startswith("ERROR:")), 0)
    words = " ".join(line.removeprefix("ERROR: ") for line in lines[first:] if line)
    return words.partition(" Having any troubles?")[0]


def write_ledger(ledger: Ledger, target: Path = Path()) -> None:
    """Writes ``dvc.yaml`` of a ledger: one stage, whose command Snakemake answers with "nothing to be done".

    Args:
        ledger: what is on record.
        target: the folder that stands for the project's root.
    """
    stage: dict[str, Any] = {"cmd": f"snakemake {ledger.name}", "wdir": "../" * depth(ledger)}
    stage["params"] = [{f"config/papers/{ledger.slug}.yaml": ["defaults", ledger.edition]}]
    stage["outs"] = [{out.as_posix(): {"persist": True}} for out in ledger.outs]
    header = "# Written by `tenfold record`. Snakemake makes these files, DVC keeps them.\n"
    write_text(target / ledger.dvc_file, header + _yaml({"stages": {ledger.name.replace("/", "-"): stage}}))


def depth(ledger: Ledger) -> int:
    """How many folders deep a ledger lies."""
    return len(ledger.folder.parts)


def commit(ledger: Ledger) -> None:
    """Takes the ledger's files into DVC's cache and notes them in ``dvc.lock``, which is whole or as it was."""
    lock = ledger.dvc_file.with_suffix(".lock")
    before = lock.read_text(encoding="utf-8") if lock.exists() else None
    try:
        dvc("commit", "--force", str(ledger.dvc_file))
    except BaseException:
        if before is None:
            lock.unlink(missing_ok=True)
        else:
            write_text(lock, before)
        raise


def push(recorded: Iterable[Ledger]) -> None:
    """Puts the ledgers' files into the default remote."""
    dvc("push", *(str(ledger.dvc_file) for ledger in recorded))


def write_top(target: Path = Path()) -> None:
    """Writes the top-level ``dvc.yaml`` in a folder: metrics, plots, params and artifacts of all that is on record."""
    metrics, plots, params, artifacts = [], [], [], {}
    for ledger in ledgers():
        if (ledger.folder / "metrics.json").exists():
            metrics.append((ledger.folder / "metrics.json").as_posix())
        plots += sorted(path.as_posix() for path in (ledger.folder / "figures").glob("*.png"))
        params.append(f"config/papers/{ledger.slug}.yaml")
        if ledger.kept_headline is not None:
            artifacts[f"{ledger.slug}-{ledger.edition}"] = {"path": ledger.kept_headline.as_posix(), "type": "model"}
    content = {"metrics": metrics, "plots": plots, "params": list(dict.fromkeys(params)), "artifacts": artifacts}
    header = "# Written by `tenfold record --index`. The ledgers of what DVC keeps lie in results/<edition>/<paper>/.\n"
    write_text(target / TOP, header + _yaml({name: listed for name, listed in content.items() if listed}))


def is_intact(entry: Path) -> bool:
    """Whether a file of DVC's cache (``.../ab/cdef...``) has the MD5 that its name says."""
    with entry.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return found == entry.parent.name + entry.name.removesuffix(".dir")


def missing_objects(ledger: Ledger) -> Iterator[Path]:
    """What a ledger needs and neither ``store/`` nor DVC's own cache has."""
    stages = yaml.safe_load(ledger.dvc_file.with_suffix(".lock").read_text(encoding="utf-8"))["stages"].values()
    kept = [STORE / "files" / "md5", cache() / "files" / "md5"]

    def found(md5: str) -> Path | None:
        return next((path for folder in kept if (path := folder / md5[:2] / md5[2:]).exists()), None)

    for md5 in (out["md5"] for stage in stages for out in stage["outs"]):
        listed = found(md5)
        inside = [entry["md5"] for entry in read_json(listed)] if listed and md5.endswith(".dir") else []
        yield from (kept[0] / one[:2] / one[2:] for one in (md5, *inside) if found(one) is None)


def cache() -> Path:
    """The folder of DVC's cache."""
    return Path(dvc("cache", "dir").strip())


def _yaml(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
