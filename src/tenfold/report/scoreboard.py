"""The scoreboard: every claim of every paper at one edition, with its verdict; the primary ones first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.errors import UserError
from tenfold.files import read_json, write_text
from tenfold.launcher import Cfg, Inputs, Job, Outputs, main, stage
from tenfold.report.face import Data, Face
from tenfold.report.tables import Value, markdown_grid, write_csv
from tenfold.report.verdict import NOT_TESTABLE, ON_STANDIN, ROLES, TESTED
from tenfold.report.words import FORMAT, aligned

Claims = Mapping[str, Any]  # the content of one paper's claims.json
Row = tuple[str, Mapping[str, Any], Mapping[str, Any]]  # a paper, one of its claims, one of that claim's readings

CSV_HEADER = (
    "paper", "id", "reading", "role", "claim", "kind", "published", "source", "estimate", "low", "high", "confidence",
    "unit", "n", "margin", "ours", "claimed", "cells", "size", "detectable", "gate", "word of reading", "verdict",
    "pipeline_check", "outcome", "edition", "data", "device", "precision",
)  # fmt: skip
COLUMNS = {  # of each table; the gate of the other claims is on record in their CSV
    "primary": ("claim", "published", "ours", "gate"),
    "other": ("claim", "published", "ours", "claimed", "cells", "size"),
}
TITLES = {
    "primary": "Primary claims",
    "secondary": "Secondary claims",
    "control": "Controls of ours",
    "check": "Checks",
}

LEGEND = """\
The word follows from the interval beside it: Student's t over seeds, of the mean over the cells; 95 %, or 97.5 % each
of two primary claims of a paper. "Open" is no success. Gate: (a) the baseline beside a public value, (b) what the last
tenth of training still moves, (c) whether the method acted; where one fails, and below n = 3, nothing is said of the
paper. Size: how the interval lies to the published effect. On stand-in data a claim has a pipeline check only, which
says nothing of the paper. "Not recovered": no source gave the number.
"""


@stage
def scoreboard(cfg: Cfg, job: Job, *, claims: Inputs, scoreboard: Outputs) -> None:
    """Writes all claims of all papers as CSV (full precision) and Markdown (as printed)."""
    papers = read_claims(claims)
    for paper in papers:
        if paper["face"]["edition"] != cfg["edition"]:
            raise UserError(
                f"the claims of {paper['paper']} are of edition {paper['face']['edition']}, not {cfg['edition']}"
            )
    for path in scoreboard:
        if path.suffix == ".csv":
            write_csv(path, CSV_HEADER, scoreboard_rows(papers))
        else:
            write_text(path, scoreboard_markdown(papers))
    job.say(f"{sum(len(paper['claims']) for paper in papers)} claims of {len(papers)} papers")


def read_claims(paths: Sequence[Path]) -> list[Claims]:
    """The claims of several papers, in the order of their slugs and editions.

    Raises:
        UserError: a file is not a claims.json of the known format.
    """
    papers = []
    for path in paths:
        try:
            paper = read_json(path)
        except ValueError:
            raise UserError(f"{path} is no JSON, perhaps after a merge: git checkout -- {path}") from None
        if not isinstance(paper, dict) or paper.get("format") != FORMAT or "claims" not in paper:
            raise UserError(f"{path} is not a claims.json of format {FORMAT}: make it again with snakemake")
        papers.append(paper | {"folder": path.parent.as_posix()})
    return sorted(papers, key=lambda paper: (paper["paper"], paper["face"]["edition"]))


def scoreboard_rows(papers: Sequence[Claims]) -> list[list[Value]]:
    """The scoreboard's rows in full precision, as ``CSV_HEADER`` names them: one for each reading of each claim."""
    rows: list[list[Value]] = []
    for paper in papers:
        face = _face(paper)
        for slug, claim, read in _rows([paper]):
            printed = read["printed"]
            named = [slug, claim["id"], read["reading"], claim["role"], claim["claim"], claim["kind"]]
            numbers = [read[key] for key in ("estimate", "low", "high", "confidence", "unit", "n")]
            shown = [printed[key] for key in ("ours", "claimed", "cells", "size", "detectable")]
            words = [claim["printed"]["gate"], read["word"], claim["verdict"], claim["pipeline_check"]]
            facts = [claim["sentence"], face.edition, str(face.data), face.device, face.precision]
            published = [claim["printed"]["published"], claim["source"]]
            rows.append([*named, *published, *numbers, claim["margin"], *shown, *words, *facts])
    return rows


def scoreboard_markdown(papers: Sequence[Claims]) -> str:
    """The scoreboard as printed: the primary claims, what they rest on, and the others in tables of their own."""
    editions = " and ".join(dict.fromkeys(paper["face"]["edition"] for paper in papers)) or "no edition"
    lines = [f"# Scoreboard: {editions}", ""]
    for role in ROLES:
        rows = [row for row in _rows(papers) if row[1]["role"] == role]
        if rows:
            lines += [f"## {TITLES[role]}", "", *(_by_chance(rows) if role == "secondary" else ())]
            lines += [*_grid(rows, COLUMNS.get(role, COLUMNS["other"])), ""]
        if role == "primary":
            lines += [*(f"- {paper['paper']}: {_face(paper).line()}" for paper in papers), "", LEGEND]
    return "\n".join(lines)


def _grid(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """A table of claims; columns that no row has anything in are left out."""
    told = [_numbers(row) | _words(row) for row in rows]
    used = [name for name in (*columns, "verdict", "pipeline check") if any(row[name] != "-" for row in told)]
    return markdown_grid(used, [[row[name] for name in used] for row in told], left=len(used), aligned=False)


def _numbers(row: Row) -> dict[str, str]:
    slug, claim, read = row
    printed, several = read["printed"], len(claim["readings"]) > 1
    first = f"{slug} {claim['id']}" if read is claim["readings"][0] else f"… {claim['id']}"
    name = f"{first} {read['reading']}" if several else first
    effect = claim["printed"]["published"] if claim["effect"] is not None or claim["published"] is None else "in words"
    cells = printed["cells"] if claim["kind"] in TESTED and len(read["cells"]) > 1 else "-"
    return {"claim": name, "published": effect, "ours": printed["ours"], "claimed": printed["claimed"], "cells": cells,
            "size": printed["size"].replace("above published", "above").replace("below published", "below"),
            "gate": claim["printed"]["gate"]}  # fmt: skip


def _words(row: Row) -> dict[str, str]:
    """The word as a verdict, and as a check of the pipeline; of several readings each says its own first."""
    _, claim, read = row
    said = claim["printed"]["word"]
    if read["word"] != (claim["verdict"] or claim["pipeline_check"]):
        said = f"{read['word']}: {said}"
    return {"verdict": said if claim["verdict"] else "-", "pipeline check": said if claim["pipeline_check"] else "-"}


def _by_chance(rows: Sequence[Row]) -> Iterator[str]:
    """How many claims were tested, and how many of them would come out by chance."""
    tested = [read for _, _, read in rows if read["word"] in (*ON_STANDIN, *ON_STANDIN.values())]
    if tested:
        yield f"{len(tested)} tested at 95 % each: about {0.05 * len(tested):.1f} would come out by chance alone."
        yield ""


def decided(papers: Sequence[Claims]) -> list[tuple[Claims, Mapping[str, Any]]]:
    """Each primary claim at the largest edition that can say something of it, with that edition's claims of the paper.

    Args:
        papers: of each paper its editions, the smallest first.
    """
    best: dict[tuple[str, str], tuple[Claims, Mapping[str, Any]]] = {}
    for paper in papers:
        for claim in paper["claims"]:
            key = (paper["paper"], claim["id"])
            if claim["role"] == "primary" and (claim["verdict"] != NOT_TESTABLE or key not in best):
                best[key] = (paper, claim)
    return list(best.values())


def readme_block(papers: Sequence[Claims]) -> str:
    """README's "results at a glance": a line for each primary claim, at the largest edition that can say something."""
    header = ("paper", "primary claim", "published", "ours", "scale", "gate", "word")
    lines = []
    for paper, claim in decided(papers):
        page = Path(paper["folder"], "claims", f"{claim['id']}.md")
        name = f"[{claim['id']}]({page.as_posix()})" if page.exists() else claim["id"]
        published = _numbers((paper["paper"], claim, claim["readings"][0]))["published"]
        gate = {None: "-", True: "passed", False: "not passed"}[claim["gate"]["passes"]]
        facts = [published, in_short(claim), paper["face"]["edition"], gate, claim["printed"]["word"]]
        lines.append([paper["paper"], f"{name}: {claim['short']}", *facts])
    table = markdown_grid(header, lines, left=len(header), aligned=False)
    return "\n".join(table) + "\n"


def in_short(claim: Mapping[str, Any]) -> str:
    """What was measured of a claim: the effect with its interval; of several readings the effects alone."""
    printed = [read["printed"]["ours"] for read in claim["readings"]]
    if len(printed) == 1:
        return str(printed[0])
    unit = claim["readings"][0]["unit"]
    return f"{', '.join(text.partition(' [')[0] for text in printed)} {unit}, by reading"


def glance(papers: Sequence[Claims]) -> list[str]:
    """The scoreboard for the terminal: one line a claim (and reading), in fixed columns."""
    rows: list[Sequence[str]] = [("paper", "claim", "role", "verdict", "ours", "claimed")]
    for slug, claim, read in _rows(papers):
        words = _words((slug, claim, read))
        said = words["verdict"] if claim["verdict"] else f"pipeline check: {words['pipeline check']}"
        name = f"{claim['id']} {read['reading']}".strip()
        rows.append((slug, name, claim["role"], said, read["printed"]["ours"], read["printed"]["claimed"]))
    return aligned(rows)


def _rows(papers: Sequence[Claims]) -> Iterator[Row]:
    for paper in papers:
        for claim in paper["claims"]:
            for read in claim["readings"]:
                yield paper["paper"], claim, read


def _face(paper: Claims) -> Face:
    return Face(**paper["face"] | {"data": Data(**paper["face"]["data"])})


if __name__ == "__main__":
    main(scoreboard)
