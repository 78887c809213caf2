"""``tenfold export --crate``: a paper's record as a Workflow Run RO-Crate, with its citation and a deposit's metadata.

The crate follows the profile Provenance Run Crate 0.5 (https://w3id.org/ro/wfrun/provenance/0.5): the workflow with a
step for each of its rules, an action for the whole run, and one for each recorded job. What a job read or made and the
crate does not hold, such as datasets and weights, is named with its checksum.
"""

from __future__ import annotations

import hashlib
import mimetypes
import shutil
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from rocrate.model import ContextEntity, Entity
from rocrate.rocrate import ROCrate

from tenfold import config
from tenfold.books import history
from tenfold.books.recorded import Job, Ledger, Provenance
from tenfold.errors import UserError
from tenfold.files import canonical_json, partial_path, sha256, write_json, write_text

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
WORKFLOW = Path("Snakefile")
KINDS_OF_WORKFLOW = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
FORMATS = {".md": "text/markdown", ".csv": "text/csv", ".yaml": "application/yaml", ".smk": "text/x-python"}
LICENCE = "https://spdx.org/licenses/Apache-2.0"


def export(book: Ledger, folder: Path) -> list[str]:
    """Writes the crate of a recorded edition of a paper, whole or not at all.

    Args:
        book: what is on record.
        folder: the crate's folder, which must not be there yet.

    Returns:
        One line on what was written.

    Raises:
        UserError: the edition is not on record, or there is something in the folder's place.
    """
    provenance = book.provenance()
    if provenance is None:
        raise UserError(f"{book.name}: is not on record; tenfold list says what is")
    if folder.exists():
        raise UserError(f"{folder}: is there already; remove it, or give another --out")
    crate = Crate(book, provenance)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(folder)
    try:
        crate.crate.write(partial)
        write_text(partial / "CITATION.cff", yaml.safe_dump(citation(crate), sort_keys=False, allow_unicode=True))
        write_json(partial / ".zenodo.json", deposit(crate))
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    files = sum(path.is_file() for path in folder.rglob("*"))
    return [f"{folder}: {files} files, an RO-Crate of {book.name} with CITATION.cff and .zenodo.json"]


class Crate:
    """The entities of a crate: of a record's files, of the workflow, and of what was run."""

    def __init__(self, book: Ledger, provenance: Provenance) -> None:
        self.jobs, self.book, self.about = provenance.jobs, book, config.paper(book.slug).about
        self.crate = ROCrate(version="1.1")
        self.crate.metadata.extra_terms.update(TERMS)
        self.root = self.crate.root_dataset
        self.software = yaml.safe_load(Path("CITATION.cff").read_text(encoding="utf-8"))
        self.files: dict[str, Entity] = {}
        self.describe()
        facts = {"name": "README", "encodingFormat": "text/markdown", "about": self.root}
        self.crate.add_file(StringIO(self.readme()), "README.md", properties=facts)
        self.add_record()
        self.add_run(self.add_workflow())

    def named(self, uri: str, kind: str, name: str, /, **properties: Any) -> Entity:
        """An entity that is described and not a file of the crate."""
        described = {"@type": kind, "name": name, **properties}
        return self.crate.add(ContextEntity(self.crate, uri, properties=described))

    def describe(self) -> None:
        """What the crate is, who made it, when, under which terms, and which paper it is about."""
        paper = self.about
        recorded = history.last_commits([self.book.provenance_file]).get(self.book.provenance_file.as_posix())
        self.author = self.named("#authors", "Organization", self.software["authors"][0]["name"])
        self.paper = self.named(
            f"https://arxiv.org/abs/{paper['arxiv']}", "ScholarlyArticle", paper["title"],
            author=paper["authors"], datePublished=str(paper["year"]), identifier=f"arXiv:{paper['arxiv']}",
        )  # fmt: skip
        self.crate.name = f"{paper['title']}: reproduced by Tenfold, edition {self.book.edition}"
        self.crate.description = (
            f"Tables, figures, verdicts on claims and provenance of edition {self.book.edition} of the reproduction of "
            f"{paper['title']} ({paper['authors']}, {paper['year']})"
        )
        self.crate.datePublished = recorded.day if recorded else str(self.software["date-released"])
        self.crate.license = self.named(LICENCE, "CreativeWork", "Apache License 2.0", url=LICENCE)
        self.crate.keywords = self.software["keywords"]
        self.root["author"], self.root["about"], self.root["version"] = (
            self.author,
            self.paper,
            self.software["version"],
        )
        self.root["publisher"] = self.author
        self.root["conformsTo"] = [self.named(uri, "CreativeWork", name, version=uri.rpartition("/")[2])
                                   for uri, name in PROFILES.items()]  # fmt: skip

    def readme(self) -> str:
        """What a person finds in the crate."""
        folder = self.book.folder.as_posix()
        return (
            f"# {self.crate.name}\n\n{self.crate.description}.\n\n"
            f"- `{folder}/claims.json`: what the paper claims, what was measured, and the word on each\n"
            f"- `{folder}/tables`, `{folder}/figures`, `{folder}/claims`: for people\n"
            f"- `{folder}/provenance.json`: every job with its settings, seeds, code and checksums\n"
            f"- `ro-crate-metadata.json`: the same as linked data\n\n"
            f"In a clone of Tenfold {self.software['version']}: `snakemake {self.book.name}` computes it again.\n"
        )

    def add_record(self) -> None:
        """The files that are on record; those of runs/ are known by the names that their jobs gave them."""
        for path in sorted(self.book.folder.rglob("*")):
            if path.is_file() and not path.name.startswith("dvc."):
                self.files[Path("runs", *path.parts[1:]).as_posix()] = self.add(path)

    def add_workflow(self) -> Entity:
        """The workflow with its rules, its settings and the versions of its packages."""
        self.engine = self.named("#snakemake", "SoftwareApplication", "Snakemake", url="https://snakemake.github.io",
                                 softwareVersion=version("snakemake"))  # fmt: skip
        workflow = self.crate.add_workflow(
            WORKFLOW, str(WORKFLOW), main=True, lang="snakemake",
            properties={"@type": KINDS_OF_WORKFLOW, "name": "Tenfold", "version": self.software["version"],
                        "license": self.crate.license, "encodingFormat": "text/x-python"},
        )  # fmt: skip
        parts = [*sorted(Path("workflow").rglob("*.smk")), Path("config", "config.yaml"), Path("requirements.lock")]
        for path in parts:
            self.add(path)
        self.settings = self.add(Path("config", "papers", f"{self.book.slug}.yaml"))
        return workflow

    def add(self, path: Path) -> Entity:
        """A file of this checkout, at the same place in the crate."""
        kind = FORMATS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
        facts = {"name": path.name, "sha256": sha256(path), "encodingFormat": kind}
        return self.crate.add_file(path, path.as_posix(), properties=facts)

    def add_run(self, workflow: Entity) -> None:
        """The run as a whole, and each of its jobs as a step of the workflow."""
        made = {output for job in self.jobs for output in job.outputs}
        read = sorted({source for job in self.jobs for source in job.inputs} - made)
        run = self.crate.add_action(
            workflow, "#run", object=[self.settings, *(self.file(path, None) for path in read)],
            result=[self.files[path] for path in sorted(made) if path in self.files],
            properties={"name": f"snakemake {self.book.name}", "agent": self.author,
                        "description": "all jobs that led to the recorded files"},
        )  # fmt: skip
        tools = {(job.rule, job.code): self.tool(job) for job in self.jobs}
        rules = list(dict.fromkeys(job.rule for job in self.jobs))
        steps = {}
        for rule in rules:
            of_rule = [tool for (name, _), tool in tools.items() if name == rule]
            steps[rule] = self.named(f"#step/{rule}", "HowToStep", rule, workExample=of_rule)
        workflow["step"], workflow["hasPart"] = list(steps.values()), list(tools.values())
        actions, controls = [run], []
        for number, job in enumerate(self.jobs):
            action = self.crate.add_action(
                tools[job.rule, job.code], f"#job/{number}",
                object=[self.file(*one) for one in job.inputs.items()] + self.parameters(job),
                result=[self.file(*one) for one in job.outputs.items()],
                properties={"name": next(iter(job.outputs)), "description": f"rule {job.rule} on {job.platform}",
                            "agent": self.author},
            )  # fmt: skip
            actions.append(action)
            controls.append(self.named(f"#control/{number}", "ControlAction", f"{job.rule} {number}",
                                       instrument=steps[job.rule], object=action))  # fmt: skip
        self.named("#organize", "OrganizeAction", "Snakemake ran the jobs", instrument=self.engine, object=controls,
                   result=run, agent=self.author)  # fmt: skip
        self.root["mentions"] = actions

    def tool(self, job: Job) -> Entity:
        """The stage that a job ran, by the digest of its code."""
        return self.named(f"#{job.module}.{job.stage}/{job.code}", "SoftwareApplication", f"{job.module}.{job.stage}",
                          softwareVersion=job.code)  # fmt: skip

    def parameters(self, job: Job) -> list[Entity]:
        """The settings and seeds of a job, each once in the crate."""
        text = canonical_json({"cfg": job.cfg, "seeds": job.seeds})
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        return [self.named(f"#settings/{name}", "PropertyValue", "settings and seeds", value=text)]

    def file(self, path: str, checksum: str | None) -> Entity:
        """A file of the crate, or the name and checksum of one that stays outside."""
        if path not in self.files:
            facts = {"sha256": checksum} if checksum else {}
            self.files[path] = self.named(f"#{path}", "CreativeWork", path, **facts)
        return self.files[path]


def citation(crate: Crate) -> dict[str, Any]:
    """What ``CITATION.cff`` says of a crate (Citation File Format 1.2.0), with the paper as its reference."""
    paper = crate.paper
    return {
        "cff-version": "1.2.0",
        "message": "If you use these results, please cite them, and the paper that they are about.",
        "type": "dataset",
        "title": crate.crate.name,
        "abstract": crate.crate.description,
        "authors": [{"name": crate.author["name"]}],
        "version": crate.root["version"],
        "license": LICENCE.rpartition("/")[2],
        "keywords": crate.crate.keywords,
        "references": [{
            "type": "article", "title": paper["name"], "year": int(paper["datePublished"]), "url": paper.id,
            "authors": [{"name": name.strip()} for name in paper["author"].split(",")],
        }],
    }  # fmt: skip


def deposit(crate: Crate) -> dict[str, Any]:
    """The metadata of a deposit of a crate, as Zenodo reads them from ``.zenodo.json``."""
    return {
        "upload_type": "dataset",
        "title": crate.crate.name,
        "description": crate.crate.description,
        "creators": [{"name": crate.author["name"]}],
        "version": crate.root["version"],
        "license": LICENCE.rpartition("/")[2].lower(),
        "keywords": crate.crate.keywords,
        "related_identifiers": [{"identifier": crate.paper["identifier"], "relation": "references", "scheme": "arxiv"}],
    }
