"""``tenfold record --rehash COMMIT``: moves records from digests of modules to digests of definitions. No job runs.

For each record, the sources of the commit say by their own scheme whether they are those that made it. Then the digest
of the same sources by today's scheme takes the place of the old one, if it is also the digest of today's sources: so
a record claims what it claimed before. All other bytes of results/ stay as they are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenfold.books.recorded import RESULTS, Ledger, Provenance, ledgers
from tenfold.errors import UserError
from tenfold.files import canonical_json, read_json, write_json
from tenfold.identity.definitions import Definition, Sources
from tenfold.identity.digest import Code, of_job

# What stood among computations when records were made, and surrounds them now; and the names that it has now.
MOVED_MODULES = ("tenfold.provenance", "tenfold.training.checkpoint", "tenfold.data.registry", "tenfold.data.fetch")
MOVED_NAMES = {
    "tenfold.training.loop._Reporter": "Reporter",
    "tenfold.training.seeds.under": "under",
    "tenfold.training.seeds.below": "below",
    "tenfold.training.seeds.by_seed": "by_seed",
}

OWN_DIGESTS = (
    "import json, sys\nfrom tenfold.provenance import digest\n"
    "print(json.dumps([digest.of_job(module, cfg) for module, cfg in json.load(sys.stdin)]))"
)


class _SourcesBefore(Sources):
    """Sources from before the border between computations and what surrounds them was drawn."""

    def resolve(self, name: str) -> tuple[Definition | None, str]:
        found, rest = super().resolve(name)
        if found is None:
            return found, rest
        moved = MOVED_NAMES.get(f"{found.module}.{found.name}")
        if moved is not None:
            return None, ".".join([moved, *([rest] if rest else [])])
        if any(found.module == module or found.module.startswith(f"{module}.") for module in MOVED_MODULES):
            return None, ".".join([found.name, *([rest] if rest else [])])
        return found, rest


def rehash(commit: str) -> list[str]:
    """Rewrites the digests of all records.

    Raises:
        UserError: no such commit, a record was not made by its sources, or those are not today's in effect.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit, "src", "requirements.lock"], capture_output=True, check=False
        )
        if archive.returncode != 0:
            raise UserError(f"{commit}: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)
        then = Code(Path(folder))
        then.sources = _SourcesBefore(Path(folder, "src"))
        books = [(book, provenance) for book in ledgers() if (provenance := book.provenance()) is not None]
        jobs = [(job.module, job.stage, job.cfg, job.code) for _, provenance in books for job in provenance.jobs]
        rows = {path: read_json(path) for path in sorted(RESULTS.glob("*/*/rows/**/*.run.json"))}
        jobs += [(row["module"], row["stage"], row["cfg"], row["code"]) for row in rows.values()]
        new = dict(_digests(Path(folder), then, jobs))
    for book, provenance in books:
        _rewrite(book, provenance, new)
    for path, row in rows.items():
        write_json(path, row | {"code": new[_key(row["module"], row["stage"], row["cfg"])]})
    return [f"{len(jobs)} jobs of {len(books)} records and {len(rows)} rows have digests of definitions now"]


def _digests(folder: Path, then: Code, jobs: list[tuple[str, str, Any, str]]) -> Iterator[tuple[str, str]]:
    asked = json.dumps([(module, cfg) for module, _, cfg, _ in jobs])
    done = subprocess.run([sys.executable, "-c", OWN_DIGESTS], input=asked, env={"PYTHONPATH": str(folder / "src")},
                          capture_output=True, text=True, check=True)  # fmt: skip
    for (module, stage, cfg, recorded), own in zip(jobs, json.loads(done.stdout), strict=True):
        if own != recorded:
            raise UserError(f"{module}: a record has digest {recorded}, the commit's sources have {own}")
        before = then.of_job(module, stage, cfg)
        if before != of_job(module, stage, cfg):
            raise UserError(f"{module}: the commit's sources are not today's; check out a commit where they are")
        yield _key(module, stage, cfg), before


def _key(module: str, stage: str, cfg: Any) -> str:
    return f"{module}:{stage} {canonical_json(cfg)}"


def _rewrite(book: Ledger, provenance: Provenance, new: dict[str, str]) -> None:
    jobs = [replace(job, code=new[_key(job.module, job.stage, job.cfg)]) for job in provenance.jobs]
    Provenance(jobs, provenance.platforms).write(book.provenance_file)
