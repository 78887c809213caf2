"""``tenfold gc``: drops from store/ and DVC's cache what no commit that has a name refers to.

DVC's own ``gc`` (3.67) reads a tag's ledgers as if the repository's root were the root of the file system, so it takes
what a tag needs for unused where the remote lies in the repository; and it empties a cache that other projects share.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from tenfold.books.git import git
from tenfold.books.ledger import MEGABYTE, STORE, cache
from tenfold.books.recorded import RESULTS
from tenfold.errors import UserError

OBJECTS = Path("files", "md5")
ASIDE = Path("runs", ".aside")


def gc(*, dry_run: bool = False) -> list[str]:
    """Drops objects that neither the working tree, a branch, nor a tag refers to, and what was set aside in runs/.

    Args:
        dry_run: only say what would be dropped.

    Returns:
        A line for each place.

    Raises:
        UserError: the list of a recorded folder's files is not here, so nobody can say what is needed.
    """
    needed = {md5 for text in _locks() for md5 in _named(text)}
    own_cache = cache().resolve()
    places = [STORE, *([own_cache] if own_cache.is_relative_to(Path(".dvc").resolve()) else [])]
    lines = [_drop(place, needed, dry_run) for place in places]
    if own_cache not in places:
        lines.append(f"{own_cache}: is outside .dvc/, others may use it: left as it is")
    aside = sorted(path for path in ASIDE.glob("*") if path.is_file())
    if aside and not dry_run:
        shutil.rmtree(ASIDE)
    return [*lines, *([_said(ASIDE, aside, len(aside), dry_run)] if aside else [])]


def _locks() -> Iterator[str]:
    """The texts of all ledgers' locks: of the working tree, and of everything that has a name."""
    yield from (path.read_text(encoding="utf-8") for path in RESULTS.rglob("dvc.lock"))
    named = git("for-each-ref", "--format=%(objectname)", "refs/heads", "refs/tags", "refs/remotes").split()
    for commit in dict.fromkeys(["HEAD", *named]):
        for path in git("ls-tree", "-r", "--name-only", commit, "--", str(RESULTS)).splitlines():
            if path.endswith("dvc.lock"):
                yield git("show", f"{commit}:{path}")


def _named(lock: str) -> Iterator[str]:
    """The MD5 of everything that a lock refers to, folders' lists and the files in them included."""
    for stage in (yaml.safe_load(lock) or {}).get("stages", {}).values():
        for out in stage.get("outs", []):
            yield out["md5"]
            if out["md5"].endswith(".dir"):
                yield from (entry["md5"] for entry in json.loads(_object(out["md5"])))


def _object(md5: str) -> str:
    for place in (STORE, cache()):
        path = place / OBJECTS / md5[:2] / md5[2:]
        if path.exists():
            return path.read_text(encoding="utf-8")
    raise UserError(
        f"{STORE / OBJECTS / md5[:2] / md5[2:]}: is missing, it lists what is needed; git checkout -- store"
    )


def _drop(place: Path, needed: set[str], dry_run: bool) -> str:
    objects = sorted(path for path in (place / OBJECTS).glob("??/*") if path.is_file())
    unneeded = [path for path in objects if path.parent.name + path.name not in needed]
    line = _said(place, unneeded, len(objects), dry_run)
    for path in () if dry_run else unneeded:
        path.unlink()
    return line


def _said(place: Path, unneeded: list[Path], of: int, dry_run: bool) -> str:
    size = sum(path.stat().st_size for path in unneeded) / MEGABYTE
    verb = "would be" if dry_run else "were"
    return f"{place}: {len(unneeded)} of {of} objects ({size:.1f} MB) {verb} dropped"
