"""Turns what Snakemake says about its jobs into plain lines, with an estimate of the time that is left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import fmean
from typing import TypedDict

PRIOR_SECONDS = 5.0  # of jobs that took as long as expected; one short job does not set the pace of all
OVERDUE = 0.2  # of its time: what a job that takes longer than expected is expected to need still


class Expected(TypedDict):
    """A job that is to be run.

    Attributes:
        rule: its rule.
        seconds: what it took before, if it has run before.
        after: the jobs that have to be done first.
        needs: how much of each limited resource it uses.
    """

    rule: str
    seconds: float | None
    after: list[int]
    needs: dict[str, int]


@dataclass(frozen=True)
class RunningJob:
    """A job that has started, at some second, for some reason. A target is a job that only names files."""

    rule: str
    name: str
    started: float
    is_target: bool = False
    why: str = ""


@dataclass
class Progress:
    """The state of one run of Snakemake. Each method takes one event and gives the line to show for it.

    Attributes:
        papers: what the names of their rules begin with.
        planned: how many jobs of each rule this run has.
        finished: how many jobs of each rule are done.
        sends: whether jobs are sent to a cluster; their line then waits for the cluster's number.
    """

    papers: Sequence[str] = ()
    planned: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    sends: bool = False
    _jobs: Mapping[int, Expected] = field(default_factory=dict)
    _limits: Mapping[str, int] = field(default_factory=dict)
    _done_in: dict[int, float] = field(default_factory=dict)
    _running: dict[int, RunningJob] = field(default_factory=dict)
    _failed: dict[int, str] = field(default_factory=dict)
    _stopped: set[int] = field(default_factory=set)
    _stopping: bool = False
    _first_start: float | None = None

    @property
    def failed(self) -> bool:
        """Whether a job of this run has failed."""
        return bool(self._failed)

    @property
    def is_stopped(self) -> bool:
        """Whether this run, or a job of it, was asked to stop."""
        return self._stopping or bool(self._stopped)

    def plan(self, jobs_of_rules: Mapping[str, int]) -> str:
        """Notes how many jobs there are of each rule (``total`` is Snakemake's own sum of them)."""
        self.planned = Counter({rule: count for rule, count in jobs_of_rules.items() if rule != "total"})
        return f"{counted(self.planned.total(), 'job')} to do: {', '.join(self._listed())}"

    def _listed(self) -> Iterator[str]:
        """How many jobs there are of each rule; of several papers, how many of each of them."""
        of_papers: defaultdict[str, int] = defaultdict(int)
        paper_of = {rule: next((paper for paper in self.papers if rule.startswith(f"{paper}_")), "")
                    for rule in self.planned}  # fmt: skip
        for rule, count in self.planned.items():
            of_papers[paper_of[rule]] += count
        of_papers.pop("", None)
        if len(of_papers) > 1:
            yield from (f"{count} of {paper.replace('_', '-')}" for paper, count in of_papers.items())
        for rule, count in self.planned.items():
            if len(of_papers) < 2 or not paper_of[rule]:
                yield f"{count} {rule}"

    def expect(self, jobs: Mapping[int, Expected], limits: Mapping[str, int], now: float) -> str | None:
        """Notes what each job needs, and says how long all of them take, where there is a basis for that."""
        self._jobs, self._limits = jobs, limits
        return self._estimate(now, "to go")

    def start(
        self,
        jobid: int,
        rule: str,
        wildcards: Mapping[str, str],
        now: float,
        *,
        is_target: bool = False,
        why: str = "",
    ) -> str | None:
        """Notes that a job has started, perhaps once more after a failure. A target has no line."""
        name = " ".join([rule, *(f"{wildcard}={value}" for wildcard, value in wildcards.items())])
        self._running[jobid] = job = RunningJob(rule, name, now, is_target, f": {why}" if why else "")
        self._failed.pop(jobid, None)
        self._stopped.discard(jobid)
        if self._first_start is None:
            self._first_start = now
        return None if is_target or self.sends else f"{self._done()}start  {name}{job.why}"

    def sent(self, jobid: int, number: str) -> str | None:
        """Says that a job was sent to the cluster, and by which number it is known there."""
        job = self._running.get(jobid)
        return f"{self._done()}sent   {job.name} as job {number}{job.why}" if job else None

    def finish(self, jobid: int, now: float) -> str | None:
        """Notes that a job is done; its line ends with the estimate, where there is a basis for one.

        Targets, and jobs whose start was not seen (``--quiet rules``), have no line.
        """
        job = self._running.pop(jobid, None)
        if job is None:
            return None
        self.finished[job.rule] += 1
        self._done_in[jobid] = now - job.started
        if job.is_target:
            return None
        estimate = self._estimate(now, "left")
        return f"{self._done()}done   {job.name} in {duration(now - job.started)}{f', {estimate}' if estimate else ''}"

    def fail(self, jobid: int, rule: str, why: str | None, logs: list[str], now: float) -> str:
        """Notes that a job has failed, and says why where that is known, and where its log is."""
        job = self._running.pop(jobid, RunningJob(rule, rule, now))
        self._failed[jobid] = job.name
        reason = f" ({why})" if why else ""
        log = f"; log: {', '.join(logs)}" if logs else ""
        return f"{self._done()}FAILED {job.name} after {duration(now - job.started)}{reason}{log}"

    def stop(self, *, waits: bool) -> str | None:
        """Notes that the run is asked to stop, at once or when the jobs that run are done; says so once."""
        said, self._stopping = self._stopping, True
        if said:
            return None
        if waits:
            them = "it" if len(self._running) == 1 else "them"
            return f"stopping: {counted(len(self._running), 'job')} will be done first (Ctrl-C stops {them} too)"
        return "stopping: jobs save what they have"

    def stopped(self, jobid: int, rule: str, now: float) -> str:
        """Notes that a job has stopped because it was asked to; it goes on where it stopped."""
        job = self._running.pop(jobid, RunningJob(rule, rule, now))
        self._stopped.add(jobid)
        return f"{self._done()}stopped {job.name} after {duration(now - job.started)}"

    def summary(self, now: float, command: str = "") -> str:
        """The last line of a run: what was done and what has failed, or the command that goes on after a stop."""
        total, done = self.planned.total(), self.finished.total()
        if self._failed:
            names = ", ".join(self._failed.values())
            stopped = f", {len(self._stopped)} stopped" if self._stopped else ""
            return f"{done} of {counted(total, 'job')} done, {len(self._failed)} failed{stopped}: {names}"
        if self.is_stopped and done < total:
            are = "is" if done == 1 else "are"
            return f"stopped: {done} of {counted(total, 'job')} {are} done; go on with `{command}`"
        took = duration(now - (now if self._first_start is None else self._first_start))
        return f"All done: {counted(total, 'job')} in {took}"

    def _estimate(self, now: float, word: str) -> str | None:
        """``about 5 min left``, and of how many jobs that is a guess."""
        left = self.seconds_left(now)
        if not left:
            return None
        known = self._seconds_of_rules()
        guessed = sum(job["rule"] not in known for jobid, job in self._jobs.items() if jobid not in self._done_in)
        guess = f" if {counted(guessed, 'job')} never timed {'takes' if guessed == 1 else 'take'} as long as others do"
        return f"about {duration(left)} {word}{guess if guessed else ''}"

    def seconds_left(self, now: float) -> float | None:
        """Estimates the wall time of what is left, in seconds; None while there is too little to go by.

        A job is expected to take what it took before, times the pace of the jobs that are done: their time over the
        time that they took before. One that has never run takes the mean of those of its rule, else of all. There is no
        estimate where that is all there is for more than half of the jobs. Jobs then run as Snakemake runs them: after
        those that they need, as many at once as the limits allow.
        """
        left = {jobid: job for jobid, job in self._jobs.items() if jobid not in self._done_in}
        known = self._seconds_of_rules()
        if not left or 2 * sum(job["rule"] in known for job in left.values()) < len(left):
            return None
        mean_of_all = fmean(known.values())
        pace = self._pace()
        seconds = {}
        for jobid, job in left.items():
            before = job["seconds"]
            took = known.get(job["rule"], mean_of_all) if before is None else before * pace
            spent = now - self._running[jobid].started if jobid in self._running else 0.0
            seconds[jobid] = max(took - spent, OVERDUE * took)
        ahead = [*(jobid for jobid in left if jobid in self._running), *left]
        return makespan({jobid: seconds[jobid] for jobid in ahead}, self._jobs, self._limits)

    def _pace(self) -> float:
        """The time of the jobs that are done over what was expected of them."""
        took = before = PRIOR_SECONDS
        for jobid, seconds in self._done_in.items():
            expected = self._jobs[jobid]["seconds"] if jobid in self._jobs else None
            if expected is not None:
                took, before = took + seconds, before + expected
        return took / before

    def _seconds_of_rules(self) -> dict[str, float]:
        """The mean seconds of the jobs of each rule: of those that are done, else what is expected of them."""
        done, before = defaultdict(list), defaultdict(list)
        pace = self._pace()
        for jobid, job in self._jobs.items():
            if jobid in self._done_in:
                done[job["rule"]].append(self._done_in[jobid])
            elif job["seconds"] is not None:
                before[job["rule"]].append(job["seconds"] * pace)
        return {rule: fmean(seconds) for rule, seconds in (before | done).items()}

    def _done(self) -> str:
        """``[ 3/12] ``; empty where Snakemake keeps the plan to itself (``--quiet progress``)."""
        total = str(self.planned.total())
        return f"[{self.finished.total():>{len(total)}}/{total}] " if self.planned else ""


def makespan(seconds: Mapping[int, float], jobs: Mapping[int, Expected], limits: Mapping[str, int]) -> float:
    """How long jobs take together: each starts, in the order given, as soon as what it comes after and its needs allow.

    Args:
        seconds: of each job that is left.
        jobs: what they come after and need; what is not among ``seconds`` is done.
        limits: of resources; a job that needs more than there is gets all of it.
    """
    waits_for = {jobid: {other for other in jobs[jobid]["after"] if other in seconds} for jobid in seconds}
    followers = defaultdict(list)
    for jobid, others in waits_for.items():
        for other in others:
            followers[other].append(jobid)
    needs = {
        jobid: {name: min(jobs[jobid]["needs"].get(name, 0), limit) for name, limit in limits.items()}
        for jobid in seconds
    }
    ready, free, now = [jobid for jobid in seconds if not waits_for[jobid]], dict(limits), 0.0
    ends: list[tuple[float, int]] = []
    while ready or ends:
        for jobid in list(ready):
            if all(needs[jobid][name] <= free[name] for name in free):
                ready.remove(jobid)
                heappush(ends, (now + seconds[jobid], jobid))
                free = {name: free[name] - needs[jobid][name] for name in free}
        now, ended = heappop(ends)
        free = {name: free[name] + needs[ended][name] for name in free}
        for jobid in followers[ended]:
            waits_for[jobid].discard(ended)
            if not waits_for[jobid]:
                ready.append(jobid)
    return now


def counted(count: int, noun: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """A time as a reader wants it: ``0.4 s``, ``41 s``, ``3 min``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
