"""Turns what Snakemake says about its jobs into plain lines, with an estimate of the time that is left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean


@dataclass(frozen=True)
class RunningJob:
    """A job that has started, at some second. A target is a job that only names files."""

    rule: str
    name: str
    started: float
    is_target: bool = False


@dataclass
class Progress:
    """The state of one run of Snakemake. Each method takes one event and gives the line to show for it.

    Attributes:
        papers: what the names of their rules begin with.
        planned: how many jobs of each rule this run has.
        finished: how many jobs of each rule are done.
    """

    papers: Sequence[str] = ()
    planned: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    _running: dict[int, RunningJob] = field(default_factory=dict)
    _seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _failed: dict[int, str] = field(default_factory=dict)
    _first_start: float | None = None

    @property
    def failed(self) -> bool:
        """Whether a job of this run has failed."""
        return bool(self._failed)

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
        self._running[jobid] = RunningJob(rule, name, now, is_target)
        self._failed.pop(jobid, None)
        if self._first_start is None:
            self._first_start = now
        return None if is_target else f"{self._done()}start  {name}{f': {why}' if why else ''}"

    def finish(self, jobid: int, now: float) -> str | None:
        """Notes that a job is done; its line ends with the estimate, where there is a basis for one.

        Targets, and jobs whose start was not seen (``--quiet rules``), have no line.
        """
        job = self._running.pop(jobid, None)
        if job is None:
            return None
        self.finished[job.rule] += 1
        if job.is_target:
            return None
        self._seconds[job.rule].append(now - job.started)
        left = self.seconds_left(now)
        estimate = "" if left is None else f", about {duration(left)} left"
        return f"{self._done()}done   {job.name} in {duration(now - job.started)}{estimate}"

    def fail(self, jobid: int, rule: str, why: str | None, logs: list[str], now: float) -> str:
        """Notes that a job has failed, and says why where that is known, and where its log is."""
        job = self._running.pop(jobid, RunningJob(rule, rule, now))
        self._failed[jobid] = job.name
        reason = f" ({why})" if why else ""
        log = f"; log: {', '.join(logs)}" if logs else ""
        return f"{self._done()}FAILED {job.name} after {duration(now - job.started)}{reason}{log}"

    def summary(self, now: float) -> str:
        """The last line of a run: what was done and what has failed."""
        total = self.planned.total()
        if self._failed:
            names = ", ".join(self._failed.values())
            return f"{self.finished.total()} of {counted(total, 'job')} done, {len(self._failed)} failed: {names}"
        took = duration(now - (now if self._first_start is None else self._first_start))
        return f"All done: {counted(total, 'job')} in {took}"

    def seconds_left(self, now: float) -> float | None:
        """Estimates the wall time of what is left, in seconds; None while there is too little to go by.

        A job is expected to take the mean of the finished jobs of its rule, or of all finished jobs while its rule
        has none. There is no estimate before half of the jobs that are left are of rules with a finished job: short
        jobs come first (preparing data), and say nothing about the long ones. As many jobs are expected to run at
        the same time as have so far on average.
        """
        left = self.planned - self.finished
        known = sum(count for rule, count in left.items() if rule in self._seconds)
        if not left or self._first_start is None or 2 * known < left.total():
            return None
        mean_of_all = fmean(seconds for of_rule in self._seconds.values() for seconds in of_rule)
        mean = {rule: fmean(self._seconds[rule]) if rule in self._seconds else mean_of_all for rule in left}
        running = self._running.values()
        work_left = sum(mean[rule] * count for rule, count in left.items())
        work_left -= sum(min(now - job.started, mean[job.rule]) for job in running)
        work_done = sum(map(sum, self._seconds.values())) + sum(now - job.started for job in running)
        jobs_at_once = max(1.0, work_done / max(now - self._first_start, 1e-9))
        return work_left / min(jobs_at_once, left.total())

    def _done(self) -> str:
        """``[ 3/12] ``; empty where Snakemake keeps the plan to itself (``--quiet progress``)."""
        total = str(self.planned.total())
        return f"[{self.finished.total():>{len(total)}}/{total}] " if self.planned else ""


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
