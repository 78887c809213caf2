"""The logger that Snakemake loads: plain lines while jobs run, Snakemake's own words for everything else."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections import deque
from logging import LogRecord, makeLogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_tenfold import cluster
from snakemake_logger_plugin_tenfold.progress import Progress, counted
from snakemake_logger_plugin_tenfold.reason import in_short, says_change
from tenfold import config
from tenfold.books import metadata

LAST_LINES = 12  # of a failed job's log

# What Snakemake says at every start and end, of which a reader learns nothing. Other messages are shown as they are.
SMALL_TALK = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Using shell:",
    "Select jobs to execute",
    "Shutting down, this might take some time",
    "Exiting because a job execution failed",
    "Complete log(s):",
    "Elapsed time:",
    "Trying to restart job",
    # of the executor for Slurm
    "No SLURM account given",
    "No account was given",
    "Unable to guess SLURM account",
    "Cleaning up SLURM log files",
)
COMMAND_FAILED = re.compile(r"exit status \d+|(?<=Signals\.)SIG[A-Z]+")
STOPPED = {"exit status 143", "exit status 130", "SIGTERM", "SIGINT"}  # how a command ends that was asked to stop
INTERRUPTED = "Terminating processes on user request"  # Ctrl-C
TERMINATED = "Will exit after finishing currently running jobs"  # SIGTERM: no new jobs
NO_RULE = re.compile(r"MissingRuleException:\s+No rule to produce (\S+)")
RUN_FAILED = "At least one job did not complete successfully"


class LogHandler(LogHandlerBase):
    """Shows a run's progress on the stream that Snakemake itself would use.

    A dry run and ``--verbose`` keep Snakemake's own display, less the banner and the list of all that a target names;
    the reason of a job says which settings changed.
    """

    def __post_init__(self) -> None:
        """Chooses the stream and the display."""
        settings = self.common_settings
        self.stream = sys.stdout if settings.stdout else sys.stderr
        self.plain = not (settings.dryrun or settings.verbose or settings.debug_dag)
        self.progress = Progress(papers=[config.package_of(slug) for slug in config.papers()])
        self.failed_commands: dict[str, str] = {}  # Snakemake's words on a command -> its exit status

    writes_to_stream = True
    writes_to_file = False
    has_filter = False  # Snakemake's filter: --quiet and --printshellcmds keep their meaning
    has_formatter = False  # Snakemake's formatter, for what is not put into plain lines here
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        """Writes the lines for one of Snakemake's messages, or nothing."""
        try:
            text = self.lines(record) if self.plain else self.own_words(record)
            if text:
                self.stream.write(text + "\n")
                self.stream.flush()
        except BrokenPipeError:  # the reader has left, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
        except Exception:
            self.handleError(record)

    def own_words(self, record: LogRecord) -> str | None:
        """A message as Snakemake words it, or None for its banner and for messages without text."""
        if getattr(record, "event", None) == LogEvent.WORKFLOW_STARTED:
            return None
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            record = makeLogRecord(record.__dict__ | shortened(record.__dict__))
        text = self.format(record)
        if missing := NO_RULE.search(text):
            return f"tenfold: no rule makes {missing[1]}; tenfold list says what can be asked for"
        return None if text == "None" else text

    def lines(self, record: LogRecord) -> str | None:
        """A message in plain lines, or None where there is nothing to say."""
        says, now = record.__dict__, record.created
        if "expected_jobs" in says:  # said by this project's Snakefile when the jobs start
            return self.progress.expect(says["expected_jobs"], says["limits"], now)
        match says.get("event"):
            case LogEvent.RUN_INFO:
                return self.progress.plan(says["stats"])
            case LogEvent.JOB_INFO:
                return self.progress.start(
                    says["jobid"], says["rule_name"], says["wildcards"], now,
                    is_target=not says["output"],
                    why=shortened(says)["reason"] if says_change(str(says["reason"])) else "",
                )  # fmt: skip
            case LogEvent.JOB_FINISHED:
                return self.progress.finish(says["job_id"], now)
            case LogEvent.JOB_ERROR:
                return self.failure(record)
            case LogEvent.ERROR:
                return self.error(record)
            case LogEvent.PROGRESS:
                return self.progress.summary(now) if says["done"] == says["total"] else None
            case LogEvent.JOB_STARTED | LogEvent.RESOURCES_INFO:
                return None
            case _:
                text = self.own_words(record)
                if text is not None and text.startswith((INTERRUPTED, TERMINATED)):
                    return self.progress.stop(waits=text.startswith(TERMINATED))
                if text is not None and (found := cluster.RUN.match(text)):
                    self.progress.sends = True
                    return f"jobs are sent to Slurm: squeue --name {found[1]}"
                if text is not None and (found := cluster.SENT.match(text)):
                    return self.progress.sent(int(found[1]), found[2])
                return None if text is None or text.strip().startswith(SMALL_TALK) else text

    def failure(self, record: LogRecord) -> str:
        """A failed job in one line, then the last lines of its log; of one that was asked to stop the line alone."""
        says = record.__dict__
        status = next(
            (status for words, status in self.failed_commands.items() if str(says["shellcmd"]) in words), None
        )
        if status in STOPPED:
            return self.progress.stopped(says["jobid"], says["rule_name"], record.created)
        message, logs = says["rule_msg"] or "", [os.path.relpath(path) for path in says["log"]]
        refused = cluster.refusal(message)
        if refused is not None:
            logs = []  # they are of earlier jobs
        why = refused or cluster.end(message) or message or status
        line = self.progress.fail(says["jobid"], says["rule_name"], why, logs, record.created)
        return "\n".join([line, *(f"    {last}" for path in logs for last in last_lines(Path(path)))])

    def error(self, record: LogRecord) -> str | None:
        """An error of the whole run; what a failed job's own line says is not said twice."""
        words, exception = self.format(record), record.__dict__["exception"]
        if RUN_FAILED in words and (self.progress.failed or self.progress.is_stopped):
            return self.progress.summary(record.created, shlex.join(["snakemake", *sys.argv[1:]]))
        if exception == "RuleException" and (found := COMMAND_FAILED.search(words)):
            self.failed_commands[words] = found[0]
            return None
        if exception == "UserError":  # a mistake in the configuration, found while the rules were read
            return f"tenfold: {words.splitlines()[1]}"
        return self.own_words(record)


def shortened(says: dict[str, Any]) -> dict[str, Any]:
    """Of what Snakemake says of a job: the reason in few words, and how many files a target names."""
    inputs, outputs = list(says["input"]), list(says["output"])
    noted = metadata.read(outputs[0]) if outputs else None
    reason = in_short(str(says["reason"]), noted["input"] if noted else [], inputs)
    return {"reason": reason} if outputs else {"reason": reason, "input": [counted(len(inputs), "file")]}


def last_lines(log: Path) -> list[str]:
    """The last lines of a log; none where it was not written."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            lines = (line.rstrip() for line in file)
            return list(deque(cluster.without_frame(lines) if "slurm_logs" in log.parts else lines, LAST_LINES))
    except FileNotFoundError:
        return []
