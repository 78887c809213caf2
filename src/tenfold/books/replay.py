"""``tenfold replay``: shows that rewritten code does what the recorded code did, by running both on the same probe.

For each recorded job whose code is not today's, the record's commit and today's sources are laid out side by side, in
folders of their own; the same small plan is run in both, and every output has to be the same, byte for byte. The plan
is that of the recorded edition with the paper's ``probe`` laid over it (a stand-in, a few images and epochs), so all
arms and all else are as recorded. Old and new run on this machine, so any machine will do.

A replay says "the same code in effect", never "the same numbers": what only the full scale reaches was not seen. So
every definition that differs must have been entered, or the replay is refused.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tenfold import config
from tenfold.books import probe_runner
from tenfold.books.git import git
from tenfold.books.plan import PlannedJob, planned
from tenfold.books.record import refuse_uncommitted
from tenfold.books.recorded import Ledger, every_book, is_of_times
from tenfold.errors import UserError
from tenfold.files import copy_whole, read_json
from tenfold.identity import equivalences, records
from tenfold.identity.digest import Code
from tenfold.identity.equivalences import representative

PARTS = ("src", "requirements.lock", "Snakefile", "config", "workflow", "profiles", "pyproject.toml")
MORE = re.compile("/metrics/.*probe-")  # nets that only a probe has, to enter what the recorded arms do not
PLAN, ENTERED, LOG = "probe.json", "entered.txt", "probe.log"


@dataclass(frozen=True)
class Recorded:
    """A job on record: the stage that made some outputs, its configuration and the digest of its code."""

    module: str
    stage: str
    cfg: dict[str, Any]
    code: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Stale:
    """A job on record, and the one of today's plan that makes the same files by other code."""

    then: Recorded
    now: PlannedJob


@dataclass(frozen=True)
class Shown:
    """What a probe has shown of one job.

    Attributes:
        why: the reason why nothing was shown; else empty.
        cannot_run: whether neither code can run the job on the probe's few data.
        outputs: how many of its outputs are the same, byte for byte.
        changed: the functions that only one of the two codes has: a hash of what each does -> ``module:name``. Each has
            to be entered by this job or by another one of the same replay, which has the same outputs in both codes.
        entered: the hashes of the functions that were entered.
    """

    why: str = ""
    cannot_run: bool = False
    outputs: int = 0
    changed: dict[str, str] = field(default_factory=dict)
    entered: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Tree:
    """Sources laid out in a folder, with what was run in them.

    Attributes:
        root: the folder.
        plan: output -> the job of the probe that makes it.
    """

    root: Path
    plan: dict[str, PlannedJob]

    @property
    def entered(self) -> set[str]:
        """The functions that its jobs entered, as ``module:name``."""
        return set((self.root / ENTERED).read_text(encoding="utf-8").split())

    @property
    def complaint(self) -> str:
        """The first error in what its jobs printed."""
        lines = (self.root / LOG).read_text(encoding="utf-8").splitlines()
        said = [line for line in lines if line.startswith("tenfold: ") or "Error" in line]
        return (said or lines or ["nothing was printed"])[0].removeprefix("tenfold: ")


def replay(asked: Iterable[Ledger]) -> tuple[list[str], list[str]]:
    """Replays what is stale in some ledgers, and adds what was shown to be equal to ``results/equivalences.json``.

    Two digests count as equal only where that was shown of every job on record that has the first one and can run on
    the probe's few data; the entry names those that cannot.

    Returns:
        A line for each pair of digests that is equal, and one for each pair of which that was not shown.

    Raises:
        UserError: sources are not committed, or a probe cannot be planned.
    """
    refuse_uncommitted()
    head = git("rev-parse", "--short=9", "HEAD").strip()
    books = list(asked)
    results: list[tuple[Stale, Shown]] = []
    for ledger in books:
        stale = list(stale_jobs(ledger))
        if stale:
            print(f"{ledger.name}: {len(stale)} jobs, old code beside new ...", file=sys.stderr, flush=True)
            results += replayed(ledger, stale, head)
    entered = {unit for _, shown in results for unit in shown.entered}
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    refused: dict[tuple[str, str], str] = {}
    not_run: dict[tuple[str, str], list[str]] = {}
    for job, shown in results:
        pair = (job.then.code, job.now.code)
        unseen = sorted({name for unit, name in shown.changed.items() if unit not in entered})
        why = shown.why or (f"the replay never ran {', '.join(unseen)}; run it in full" if unseen else "")
        if shown.cannot_run:
            not_run.setdefault(pair, []).append(f"{job.now.outputs[0]}: {why}")
        elif why:
            refused.setdefault(pair, f"{job.now.outputs[0]}: {why}")
        elif shown.outputs:
            entry = entries.setdefault(pair, {"recorded": pair[0], "today": pair[1], "commit": head, "jobs": [],
                                              "outputs": 0, "platform": records.fingerprint()})  # fmt: skip
            entry["jobs"].append(job.now.outputs[0])
            entry["outputs"] += shown.outputs
    for pair, jobs in not_run.items():
        if pair in entries:
            entries[pair]["not_run"] = jobs  # other jobs of the same code have entered all that differs
        else:
            refused.setdefault(pair, jobs[0])
    others = [ledger for ledger in every_book() if ledger not in books]
    elsewhere = {job.code: ledger.name for ledger in others for job in recorded_jobs(ledger)}
    for pair in entries:
        if pair[0] in elsewhere:
            refused.setdefault(pair, f"{pair[0]}: is on record in {elsewhere[pair[0]]} too; replay that with it")
    equal = [entry for pair, entry in entries.items() if pair not in refused]
    if equal:
        equivalences.add(equal)
    said = [f"{entry['recorded']} (today {entry['today']}): {entry['outputs']} outputs of {len(entry['jobs'])} jobs, "
            f"replayed equal at {head}" for entry in equal]  # fmt: skip
    return said, list(refused.values())


def stale_jobs(ledger: Ledger) -> Iterator[Stale]:
    """The recorded jobs of a ledger that today's plan has with equal settings, but with other code."""
    plan = {output: job for job in planned(ledger.name, edition=ledger.edition) for output in job.outputs}
    for job in recorded_jobs(ledger):
        now = next((plan[output] for output in job.outputs if output in plan), None)
        if now is not None and now.cfg == job.cfg and now.code != representative(job.code):
            yield Stale(job, now)


def recorded_jobs(ledger: Ledger) -> Iterator[Recorded]:
    """Everything that a ledger has on record, single rows included."""
    provenance = ledger.provenance()
    for job in provenance.jobs if provenance else ():
        yield Recorded(job.module, job.stage, job.cfg, job.code, tuple(job.outputs))
    rows = ledger.folder / "rows"
    for path in sorted(path for path in rows.rglob("*.run.json") if "made" not in path.relative_to(rows).parts):
        run = read_json(path)
        yield Recorded(run["module"], run["stage"], run["cfg"], run["code"], (run["output"],))


def replayed(ledger: Ledger, jobs: list[Stale], today: str) -> Iterator[tuple[Stale, Shown]]:
    """Runs the recorded code and that of the commit ``today`` on a ledger's probe; what was shown of each job."""
    with tempfile.TemporaryDirectory() as folder:
        for root, of_commit in _laid_by_commit(ledger, jobs, Path(folder)):
            if root is None:
                why = "no commit of its record has the sources that made it; run it in full"
                yield from ((job, Shown(why)) for job in of_commit)
                continue
            then, now = _probed(ledger, root), _probed(ledger, lay(today, Path(folder, f"now-{root.name}")))
            both = then.plan.keys() & now.plan.keys()
            outputs = [job.now.outputs[0] for job in of_commit if job.now.outputs[0] in both]
            extra = [job for job in now.plan.values() if any(map(MORE.search, job.outputs))]
            more = [job.outputs[0] for job in extra if job.outputs[0] in both]
            _bring_data([then, now], [*outputs, *more])
            _run_side_by_side([then, now], [*outputs, *more])
            yield from ((job, _shown(then, now, job.now.outputs[0])) for job in of_commit)
            for output in dict.fromkeys(more):
                shown = _shown(then, now, output)
                if shown.why:
                    raise UserError(f"{output}: {shown.why}")
                yield of_commit[0], replace(shown, outputs=0, changed={})


def _shown(then: Tree, now: Tree, output: str) -> Shown:
    """Whether the outputs of a job are the same in both trees, and what of its code has to be entered."""
    if output not in now.plan or output not in then.plan:
        return Shown("the probe does not have it; run it in full")
    files = [path for path in now.plan[output].outputs if not is_of_times(path)]
    made = [tree for tree in (then, now) if all((tree.root / path).exists() for path in files)]
    if len(made) < 2:
        failed = now if now not in made else then
        return Shown(f"the probe failed: {failed.complaint}", cannot_run=not made)
    if differing := [path for path in files if (then.root / path).read_bytes() != (now.root / path).read_bytes()]:
        return Shown(f"{differing[0]} differs on the probe, so the code is not the same in effect; run it in full")
    old, new = (units_of(tree, output) for tree in (then, now))
    return Shown(
        outputs=len(files),
        changed={unit: name for unit, name in (old | new).items() if (unit in old) != (unit in new)},
        entered={unit for tree, own in ((then, old), (now, new)) for unit, name in own.items() if name in tree.entered},
    )


def _laid_by_commit(ledger: Ledger, jobs: list[Stale], folder: Path) -> Iterator[tuple[Path | None, list[Stale]]]:
    """The newest commits of a record whose sources have the recorded digests, laid out, each with its jobs."""
    left = list(jobs)
    for commit in git("log", "--format=%H", "--", str(ledger.folder)).split() if jobs else ():
        tree = lay(commit, folder / commit[:9])
        code = Code(tree)
        found = [job for job in left if _has(code, job.then)]
        left = [job for job in left if job not in found]
        if found:
            yield tree, found
        if not left:
            return
    if left:
        yield None, left


def _has(code: Code, job: Recorded) -> bool:
    try:
        return code.of_job(job.module, job.stage, job.cfg) == job.code
    except KeyError:  # these sources lack the stage
        return False


def lay(commit: str, root: Path) -> Path:
    """The sources and the configuration of a commit, in a folder."""
    root.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", commit, *PARTS], capture_output=True, check=True)
    subprocess.run(["tar", "x", "-C", str(root)], input=archive.stdout, check=True)
    return root


def _probed(ledger: Ledger, root: Path) -> Tree:
    """A tree whose edition is the ledger's with today's probe of the paper laid over it, on small stand-ins."""
    path = root / "config" / "papers" / f"{ledger.slug}.yaml"
    content = config.read_yaml(path)
    content.pop("probe", None)
    content[ledger.edition] = config.merged(content[ledger.edition], probe_of(ledger))
    _write_yaml(path, content)
    datasets = root / "config" / "datasets.yaml"
    _write_yaml(datasets, drawn_small(config.read_yaml(datasets)))
    plan = planned(ledger.name, root=root, edition=ledger.edition)
    return Tree(root, {output: job for job in plan for output in job.outputs})


def probe_of(ledger: Ledger) -> dict[str, Any]:
    """What a probe of an edition changes: what the paper's ``probe`` says of all of them, and of this one."""
    probe = dict(config.read_yaml(config.CONFIG / "papers" / f"{ledger.slug}.yaml").get("probe", {}))
    of_edition = {edition: probe.pop(edition, {}) for edition in config.EDITIONS}[ledger.edition]
    found: dict[str, Any] = config.merged(probe, of_edition)
    if not found:
        raise UserError(f"config/papers/{ledger.slug}.yaml: probe is missing; it says what a replay runs")
    return found


def small_form(name: str, entry: dict[str, Any]) -> str:
    """The name of the few images or pieces that a probe has in the place of a dataset."""
    return f"{entry.get('stand_in', name)}-smoke"


def drawn_small(datasets: dict[str, Any]) -> dict[str, Any]:
    """The registry of data with every dataset drawn as the small form of its stand-in, under its own name."""
    small = {}
    for name, entry in datasets.items():
        drawn = datasets.get(small_form(name, entry))
        kept = {key: value for key, value in entry.items() if key not in ("archives", "md5")}
        small[name] = entry if drawn is None else kept | {key: drawn[key] for key in ("prepare", "sha256")}
    return small


def _bring_data(trees: list[Tree], outputs: list[str]) -> None:
    """Draws what the jobs read, once, and puts it into all trees under the names by which they ask for it."""
    now = trees[-1]
    entries = config.read_yaml(config.CONFIG / "datasets.yaml")
    for job in leading_to(outputs, now.plan):
        name = Path(job.outputs[0]).stem
        small = small_form(name, entries.get(name, {}))
        if job.outputs[0].startswith("data/") and small in entries:
            (drawn,) = planned(f"data/prepared/{small}.safetensors", root=now.root)
            _run_side_by_side([replace(now, plan=dict.fromkeys(drawn.outputs, drawn))], list(drawn.outputs))
            for path in drawn.outputs:
                for tree in trees:
                    copy_whole(now.root / path, tree.root / path.replace(small, name))


def _write_yaml(path: Path, content: Any) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _run_side_by_side(trees: list[Tree], outputs: list[str]) -> None:
    """Runs what leads to some outputs in all trees at once."""
    running = []
    for tree in trees:
        plan = [
            {"inputs": job.inputs, "outputs": job.outputs, "arguments": job.arguments}
            for job in leading_to(outputs, tree.plan)
            if not all((tree.root / path).exists() for path in job.outputs)
        ]
        (tree.root / PLAN).write_text(json.dumps(plan), encoding="utf-8")
        (tree.root / ENTERED).touch()
        env = os.environ | {"PYTHONPATH": str(tree.root / "src"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, probe_runner.__file__, PLAN, ENTERED]
        with (tree.root / LOG).open("w", encoding="utf-8") as log:
            running.append(subprocess.Popen(command, cwd=tree.root, env=env, stdout=log, stderr=log))
    for process in running:
        process.wait()


def leading_to(outputs: Iterable[str], plan: dict[str, PlannedJob]) -> list[PlannedJob]:
    """The jobs that some outputs need, each once."""
    found: dict[tuple[str, ...], PlannedJob] = {}
    waiting = list(outputs)
    while waiting:
        job = plan.get(waiting.pop())
        if job is not None and job.outputs not in found:
            found[job.outputs] = job
            waiting += job.inputs
    return list(found.values())


def units_of(tree: Tree, output: str) -> dict[str, str]:
    """The functions and methods that a job reaches: a hash of what each does -> ``module:name``."""
    job, code = tree.plan[output], Code(tree.root)
    reached = code.sources.reach(code.roots(job.module, job.stage(code.sources), job.cfg))
    return {unit: name for one in reached for name, unit in code.sources.units(one)}
