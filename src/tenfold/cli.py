"""Tenfold's own verbs: what neither Snakemake nor DVC does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tenfold import config, workflow
from tenfold.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; a user's mistake is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="tenfold", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)

    target = verbs.add_parser("target", help="the Snakemake target of an edition of one paper, or of all")
    target.add_argument("--edition", default="", help="smoke, small, real or full; config.yaml's if not given")
    target.add_argument("--paper", default="all")
    target.set_defaults(run=lambda given: print(workflow.check_target(_edition(given.edition), given.paper)))

    record = verbs.add_parser("record", help="keep what was computed: tables, figures and verdicts, under results/")
    record.add_argument("papers", nargs="*", help="slugs; all configured papers if none is given")
    record.add_argument("--edition", default="")
    record.add_argument(
        "--index", action="store_true", help="only rebuild what is derived: scoreboard and README block"
    )
    record.set_defaults(run=_record)

    summary = verbs.add_parser("summary", help="the scoreboard of an edition, and where to look")
    summary.add_argument("--edition", default="")
    summary.set_defaults(run=_summary)

    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except UserError as error:
        print(f"tenfold: {error}", file=sys.stderr)
        return 2
    return 0


def _edition(name: str) -> str:
    return name or str(config.house()["edition"])


def _record(given: argparse.Namespace) -> None:
    from tenfold.provenance import record

    edition = _edition(given.edition)
    if not given.index:
        record.record(edition, given.papers or config.house()["papers"])
    record.rebuild_index()


def _summary(given: argparse.Namespace) -> None:
    from tenfold.report import scoreboard

    scoreboard.show(_edition(given.edition))


if __name__ == "__main__":
    sys.exit(main())
