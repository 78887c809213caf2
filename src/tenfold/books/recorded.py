"""What is on record: for each edition of a paper its ``provenance.json``, one entry a job, without times."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tenfold import config
from tenfold.errors import UserError
from tenfold.files import canonical_json, write_json

FORMAT = 3  # 1 had commands, 2 no checksum; both can still be read
RESULTS = Path("results")
SCOREBOARD = ("scoreboard.csv", "scoreboard.md")
NOT_KEPT = ("weights", "private")  # folders below runs/<edition>/<slug>/ that .dvcignore names


@dataclass(frozen=True)
class Job:
    """One job: what it made, of what, by which code, on which machine.

    Attributes:
        rule: the Snakemake rule.
        module: the stage's module.
        stage: the stage's function.
        cfg: its configuration.
        code: digest of its code.
        seeds: the seeds that it ran.
        inputs: path -> SHA-256 of each input; None for a file of measured times.
        outputs: path -> SHA-256 of each output; None for a file of measured times.
        log: its log files.
        platform: which of the recorded platforms it ran on.
    """

    rule: str
    module: str
    stage: str
    cfg: dict[str, Any]
    code: str
    seeds: list[int]
    inputs: dict[str, str | None]
    outputs: dict[str, str | None]
    log: list[str]
    platform: str


@dataclass(frozen=True)
class Provenance:
    """The content of one ``provenance.json``.

    Attributes:
        jobs: all jobs that led to the recorded files, sorted by their first outputs.
        platforms: name -> what of the machine and the environment can change a result.
    """

    jobs: list[Job]
    platforms: dict[str, dict[str, Any]]

    @cached_property
    def job_of(self) -> dict[str, Job]:
        """Output path -> the job that made it."""
        return {output: job for job in self.jobs for output in job.outputs}

    def write(self, path: Path) -> None:
        """Writes the record, byte for byte the same for the same content, and checks it against its schema."""
        jobs = [asdict(job) for job in sorted(self.jobs, key=lambda job: sorted(job.outputs))]
        body = {"jobs": jobs, "platforms": self.platforms}
        content = {"format": FORMAT, "sha256": _checksum(body), **body}
        config.check(content, config.SCHEMAS / "provenance.schema.yaml", path.as_posix())
        write_json(path, content)


def read_provenance(path: Path) -> Provenance:
    """Reads a record.

    Raises:
        UserError: it is damaged, or of a format that this version does not know.
    """
    return parse_provenance(path.read_text(encoding="utf-8"), path.as_posix())


def parse_provenance(text: str, where: str) -> Provenance:
    """The record in a text that was read somewhere.

    Raises:
        UserError: as for ``read_provenance``.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UserError(f"{where}: is damaged ({error}): take it from git again, or record anew") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found not in (1, 2, FORMAT):
        raise UserError(f"{where}: has format {found}, this version of Tenfold reads formats 1 to {FORMAT}")
    if found == FORMAT:
        config.check(content, config.SCHEMAS / "provenance.schema.yaml", where)
        if content["sha256"] != _checksum({"jobs": content["jobs"], "platforms": content["platforms"]}):
            raise UserError(f"{where}: was changed after it was recorded: take it from git again, or record anew")
    jobs = [Job(**{key: value for key, value in job.items() if key != "command"}) for job in content["jobs"]]
    return Provenance(jobs, content["platforms"])


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


@dataclass(frozen=True)
class Ledger:
    """Where one edition of one paper is on record."""

    edition: str
    slug: str

    @property
    def name(self) -> str:
        """The Snakemake target: ``small/sge``."""
        return f"{self.edition}/{self.slug}"

    @property
    def folder(self) -> Path:
        """What is in git of it."""
        return RESULTS / self.edition / self.slug

    @property
    def runs(self) -> Path:
        """Where its files lie when they are computed or restored."""
        return Path("runs", self.edition, self.slug)

    @property
    def outs(self) -> list[Path]:
        """What DVC keeps of it."""
        return [self.runs]

    @property
    def provenance_file(self) -> Path:
        """Its ``provenance.json``."""
        return self.folder / "provenance.json"

    @property
    def dvc_file(self) -> Path:
        """Its ``dvc.yaml``; ``dvc.lock`` lies beside it."""
        return self.folder / "dvc.yaml"

    @property
    def headline(self) -> Path | None:
        """The checkpoint that is recorded, where it was made (below ``weights/``, which DVC leaves out)."""
        path = config.paper(self.slug).about.get("headline", {}).get(self.edition)
        return self.runs / path if path else None

    @property
    def kept_headline(self) -> Path | None:
        """The copy of the headline checkpoint that DVC keeps."""
        source = self.headline
        return self.runs / "headline" / source.relative_to(self.runs / "weights") if source else None

    def provenance(self) -> Provenance | None:
        """Its record, or None if it is not recorded."""
        return read_provenance(self.provenance_file) if self.provenance_file.exists() else None


def ledgers() -> Iterator[Ledger]:
    """Everything that is on record."""
    for edition in config.EDITIONS:
        for path in sorted((RESULTS / edition).glob("*/provenance.json")):
            yield Ledger(edition, path.parent.name)


def books_of(editions: Iterable[str], slugs: Iterable[str]) -> list[Ledger]:
    """What is on record of some papers, whole editions and single rows."""
    found = [Ledger(edition, slug) for edition in editions for slug in slugs]
    return [book for book in found if book.provenance_file.exists() or (book.folder / "rows").exists()]


def every_book() -> list[Ledger]:
    """Everything that is on record, single rows included."""
    return books_of(config.EDITIONS, config.papers())


def stays_here(path: str) -> bool:
    """Whether DVC leaves a file out: weights, which are made again when something needs them, and private files."""
    return not set(Path(path).parts).isdisjoint(NOT_KEPT)


def is_of_times(path: str) -> bool:
    """Whether a file holds measured times, which differ from run to run and are never compared."""
    return path.endswith(".times.csv")


def platform_name(facts: dict[str, Any]) -> str:
    """A short name for a platform, equal for equal facts."""
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:8]
