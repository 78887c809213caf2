"""The scoreboard: every claim of every paper at one edition, with its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.errors import UserError
from tenfold.files import read_json, write_text
from tenfold.launcher import Cfg, Inputs, Job, Outputs, main, stage
from tenfold.report.face import Data, Face
from tenfold.report.tables import Value, markdown_grid, write_csv
from tenfold.report.verdict import COMPARED, TESTED
from tenfold.report.words import FORMAT

Claims = Mapping[str, Any]  # the content of one paper's claims.json

NUMBERS = ("estimate", "low", "high", "unit", "n", "p", "p_holm", "verdict", "uncorrected", "pipeline_check")
CSV_HEADER = (
    "paper", "id", "claim", "kind", "published", "source", *NUMBERS,
    "outcome", "edition", "data", "device", "precision",
)  # fmt: skip
PRINTED_HEADER = (
    "paper", "claim", "what is claimed", "kind", "published", "ours", "95 % interval", "n",
    "verdict (Holm)", "uncorrected", "pipeline check",
)  # fmt: skip

LEGEND = """\
Verdicts are said of real data (n >= 5 seeds) and of counts and arithmetic on any data. They are corrected for the
number of tested claims of the paper (Holm); the uncorrected word stands beside. On stand-in data a tested claim has a
pipeline check only (n >= 3, uncorrected): "shows" says that the pipeline can show the effect, nothing of the paper's
data. "Not resolved" and "does not show" are not successes. A dash under "published": the paper gives no number;
"not recovered": no source gave it.
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
    papers = [read_json(path) for path in paths]
    for path, paper in zip(paths, papers, strict=True):
        if not isinstance(paper, dict) or paper.get("format") != FORMAT or "claims" not in paper:
            raise UserError(f"{path} is not a claims.json of format {FORMAT}: make it again with snakemake")
    return sorted(papers, key=lambda paper: (paper["paper"], paper["face"]["edition"]))


def scoreboard_rows(papers: Sequence[Claims]) -> list[list[Value]]:
    """The scoreboard's rows in full precision, as ``CSV_HEADER`` names them."""
    rows: list[list[Value]] = []
    for paper in papers:
        face = _face(paper)
        for claim in paper["claims"]:
            published = claim["printed"]["published"] if claim["published"] is None else claim["published"]
            named = [claim["id"], claim["claim"], claim["kind"], published, claim["source"]]
            facts = [claim["sentence"], face.edition, str(face.data), face.device, face.precision]
            rows.append([paper["paper"], *named, *(claim[name] for name in NUMBERS), *facts])
    return rows


def scoreboard_markdown(papers: Sequence[Claims]) -> str:
    """The scoreboard as printed: a line on what each paper's words rest on, the claims, the legend."""
    editions = " and ".join(dict.fromkeys(paper["face"]["edition"] for paper in papers)) or "no edition"
    lines = [f"# Scoreboard: {editions}", ""]
    lines += [f"- {paper['paper']}: {_face(paper).line()}" for paper in papers]
    rows = [_printed(paper["paper"], claim) for paper in papers for claim in paper["claims"]]
    lines += ["", *markdown_grid(PRINTED_HEADER, rows, left=len(PRINTED_HEADER)), ""]
    return "\n".join(lines) + "\n" + LEGEND


def readme_block(papers: Sequence[Claims]) -> str:
    """README's "results at a glance": a line per paper and edition, with how many claims got which word."""
    header = ("paper", "edition", "data", "n", "counts and arithmetic", "verdicts (Holm)", "pipeline checks")
    rows = []
    for paper in papers:
        face = _face(paper)
        compared = [claim["verdict"] for claim in paper["claims"] if claim["kind"] in COMPARED]
        tested = [claim["verdict"] for claim in paper["claims"] if claim["kind"] in TESTED]
        checks = [claim["pipeline_check"] for claim in paper["claims"]]
        counts = (_counted(compared), _counted(tested), _counted(checks))
        rows.append((paper["paper"], face.edition, str(face.data), str(face.n), *counts))
    return "\n".join(markdown_grid(header, rows, left=len(header))) + "\n"


def glance(papers: Sequence[Claims]) -> list[str]:
    """The scoreboard for the terminal: one line a claim, in fixed columns."""
    rows = [("paper", "claim", "verdict (Holm)", "ours", "95 % interval", "n")]
    for paper in papers:
        for claim in paper["claims"]:
            check = claim["pipeline_check"]
            word = claim["verdict"] if check is None else f"pipeline check: {check}"
            n = "-" if claim["n"] is None else str(claim["n"])
            rows.append((paper["paper"], claim["id"], word, claim["printed"]["ours"], claim["printed"]["interval"], n))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _counted(words: Sequence[str | None]) -> str:
    """How often each word was said: ``2 supported, 1 not resolved``."""
    spoken = Counter("off" if word.startswith("off by") else word for word in words if word is not None)
    return ", ".join(f"{count} {word}" for word, count in spoken.items()) or "-"


def _printed(slug: str, claim: Mapping[str, Any]) -> list[str]:
    printed = claim["printed"]
    n = "-" if claim["n"] is None else str(claim["n"])
    uncorrected = None if claim["p"] is None else claim["uncorrected"]
    words = [word or "-" for word in (claim["verdict"], uncorrected, claim["pipeline_check"])]
    what = [slug, claim["id"], claim["claim"], claim["kind"]]
    return [*what, printed["published"], printed["ours"], printed["interval"], n, *words]


def _face(paper: Claims) -> Face:
    return Face(**paper["face"] | {"data": Data(**paper["face"]["data"])})


if __name__ == "__main__":
    main(scoreboard)
