"""How each file was made, from what, down to the data: as records in git, or the run records beside files, say it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tenfold.books import history
from tenfold.books.recorded import RESULTS, Ledger, Provenance, ledgers
from tenfold.files import canonical_json, read_json, sha256
from tenfold.identity import digest
from tenfold.identity.equivalences import replayed_at, representative
from tenfold.identity.records import read_run_record


@dataclass(frozen=True)
class Origin:
    """How a file was made, and who says so: a record in git, or the run record beside the file.

    Attributes:
        book: the record that it is on; None where it was made here and is not on record.
        source: the same in words.
    """

    book: Ledger | None
    source: str
    rule: str
    module: str
    stage: str
    cfg: dict[str, Any]
    code: str
    seeds: list[int]
    inputs: dict[str, str | None]
    checksum: str | None
    platform: dict[str, Any]

    @property
    def kept_in(self) -> Path | None:
        """The file in git that has its checksum: a record, or the run record that is kept with a single row."""
        if self.book is not None:
            return self.book.provenance_file
        return Path(self.source) if self.source.startswith(f"{RESULTS}/") else None

    @property
    def code_today(self) -> str:
        """How the code that made the file stands to today's."""
        try:
            today = digest.of_job(self.module, self.stage, self.cfg)
        except KeyError:
            return f"today there is no stage {self.module}.{self.stage}"
        if today == self.code:
            return "today's"
        if representative(today) == representative(self.code):
            return f"today's is {today}, replayed equal at {replayed_at(self.code, today)}"
        return f"today's is {today}"

    def facts(self, name: str) -> dict[str, Any]:
        """All that is known of the file, for a machine."""
        return {
            "sha256": self.checksum, "rule": self.rule, "stage": f"{self.module}.{self.stage}", "cfg": self.cfg,
            "seeds": self.seeds, "code": self.code, "code_today": self.code_today, "record": self.source,
            "platform": self.platform, "command": f"snakemake --force {name}", "inputs": self.inputs,
        }  # fmt: skip


@dataclass(frozen=True)
class Records:
    """All that is on record, read once.

    Attributes:
        here: whether what lies in runs/ is asked about, which may be other files than those on record.
    """

    here: bool = True

    @cached_property
    def provenances(self) -> list[tuple[Ledger, Provenance]]:
        """The records."""
        return [(book, found) for book in ledgers() if (found := book.provenance()) is not None]

    @cached_property
    def commits(self) -> dict[str, history.Commit]:
        """The last commit of each record."""
        return history.last_commits([book.provenance_file for book, _ in self.provenances])

    @cached_property
    def _since(self) -> dict[tuple[frozenset[str], frozenset[Path]], dict[str, history.Commit]]:
        return {}

    def since(self, checksums: Collection[str], files: Collection[Path]) -> dict[str, history.Commit]:
        """``history.on_record_since``, which takes a while, asked once for the same: cells of a row share files."""
        asked = (frozenset(checksums), frozenset(files))
        if asked not in self._since:
            self._since[asked] = history.on_record_since(asked[0], sorted(asked[1]))
        return self._since[asked]

    def checksums(self, path: Path) -> set[str]:
        """What is on record of a file's bytes."""
        name = path.as_posix()
        found = {provenance.job_of[name].outputs[name] for _, provenance in self.provenances
                 if name in provenance.job_of}  # fmt: skip
        return {checksum for checksum in found if checksum is not None}

    def origin(self, path: Path) -> Origin | None:
        """What is recorded of a file; what its run record says, if the bytes are other ones."""
        name = path.as_posix()
        found = sha256(path) if self.here and path.is_file() else None
        for book, provenance in self.provenances:
            job = provenance.job_of.get(name)
            if job is not None and (found is None or job.outputs[name] in (None, found)):
                return Origin(
                    book, self._source(book), job.rule, job.module, job.stage, job.cfg, job.code, job.seeds,
                    job.inputs, job.outputs[name], provenance.platforms[job.platform],
                )  # fmt: skip
        run, source = read_run_record(path), "made here, not on record"
        if run is None and (kept := kept_row(path)).exists():
            run, source = read_json(kept), f"{kept}"
        if run is None or (found is not None and run["sha256"] != found):
            return None
        return Origin(None, source, run["stage"], run["module"], run["stage"], run["cfg"], run["code"], run["seeds"],
                      run["inputs"], run["sha256"], run["platform"])  # fmt: skip

    def _source(self, book: Ledger) -> str:
        file = book.provenance_file.as_posix()
        if file in self.commits:
            return str(self.commits[file])
        return file if history.why_unknown() else "not committed yet"

    def all_behind(self, paths: Iterable[Path]) -> dict[str, Origin | None]:
        """The origins of files and of all that they were made from."""
        found: dict[str, Origin | None] = {}
        waiting = list(paths)
        while waiting:
            path = waiting.pop(0)
            if path.as_posix() not in found:
                origin = found[path.as_posix()] = self.origin(path)
                waiting += map(Path, sorted(origin.inputs)) if origin else []
        return found

    def lines(self, path: Path, indent: str, seen: set[str], *, deep: bool = True) -> Iterator[str]:
        """The whole lineage of a file, indented by its depth; a file that was said already is named only."""
        origin, name = self.origin(path), path.as_posix()
        if name in seen:
            yield f"{indent}{name} (as above)"
            return
        seen.add(name)
        if origin is None:
            yield f"{indent}{name}: nothing is known of how it was made"
            return
        facts = {
            "sha256": origin.checksum or "measured times have none",
            "rule": f"{origin.rule} ({origin.module})",
            "cfg": canonical_json(origin.cfg),
            "seeds": " ".join(map(str, origin.seeds)),
            "code": f"{origin.code} ({origin.code_today})",
            "record": origin.source,
            "platform": canonical_json(origin.platform),
            "command": f"snakemake --force {name}",
        }
        yield f"{indent}{name}"
        yield from (f"{indent}  {fact:9} {text}" for fact, text in facts.items() if text)
        for source, checksum in sorted(origin.inputs.items()):
            yield f"{indent}  from      {source} {checksum or ''}".rstrip()
        if deep:
            for source in sorted(origin.inputs):
                yield from self.lines(Path(source), indent + "  ", seen)


def made_path(path: Path) -> Path:
    """Where a recorded file lies when it is made: results/small/sge/... -> runs/small/sge/...; a headline, too."""
    for book in ledgers():
        if book.headline is not None and path in (book.kept_headline, book.runs / "headline"):
            return book.headline
    return Path("runs", *path.parts[1:]) if path.parts[:1] == (RESULTS.name,) else path


def kept_row(path: Path) -> Path:
    """The run record that is kept with a row of an edition that was made elsewhere."""
    if len(path.parts) < 5 or path.parts[3] not in ("metrics", "rows"):
        return Path("no row")
    return RESULTS.joinpath(*path.parts[1:3], "rows", *path.parts[4:]).with_suffix(".run.json")
