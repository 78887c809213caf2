"""A page and a forest plot for each primary claim of a paper: what a reviewer asks of it, on one screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from tenfold.files import read_json, write_text
from tenfold.launcher import Cfg, Input, Job, Outputs, main, stage
from tenfold.report.face import Data, Face
from tenfold.report.figures import PALETTE, add_note, draw_published, new_figure, save_figure
from tenfold.report.named import bearing
from tenfold.report.tables import markdown_grid

Claim = Mapping[str, Any]
DOTS, BAR, LEFT_OUT = PALETTE[4], PALETTE[0], PALETTE[7]


@stage
def claim_pages(cfg: Cfg, job: Job, *, claims: Input, pages: Outputs) -> None:
    """Of each primary claim its page (Markdown), and its forest plot with the numbers behind it."""
    document = read_json(claims)
    face = Face(**document["face"] | {"data": Data(**document["face"]["data"])})
    for claim in document["claims"]:
        if claim["role"] == "primary":
            of_claim = bearing(claim["id"], pages)
            text = page(document["paper"], claim, face, cfg["scale"])
            for path in of_claim:
                if path.suffix == ".md":
                    write_text(path, text)
            draw(claim, face, [path for path in of_claim if path.suffix != ".md"])


def page(slug: str, claim: Claim, face: Face, scale: Sequence[Sequence[str]]) -> str:
    """The page of a claim."""
    printed = claim["printed"]
    facts = [("paper", f"{printed['published']} ({_source(claim)}){_in_words(claim)}")]
    for read in claim["readings"]:
        facts += _of_reading(read, f"ours, {read['reading']}" if read["reading"] else "ours")
    facts += [("a plus means", claim["plus"]), ("data", str(face.data)), ("gate", _gate(claim))]
    facts += [("fair?", _fairness(claim)), ("why this margin", claim["reason"])]
    facts += [(title, claim[key]) for title, key in (("caveat", "caveat"), ("next run", "next")) if claim[key]]
    lines = [
        f"# {claim['id']}: {claim['claim']}",
        "",
        f"**{_kind(claim)}: {printed['word']}**",
        "",
        f"_{face.line()}_",
        "",
    ]
    lines += [*markdown_grid(("", ""), facts, left=2, aligned=False), ""]
    if scale:
        lines += [*markdown_grid(("scale", "here", "the paper"), scale, left=3), ""]
    if checks := claim["gate"]["checks"]:
        rows = [(one["check"], one["what"], _number(one["measured"]), one["bound"], _passed(one), one["source"])
                for one in checks]  # fmt: skip
        lines += [*markdown_grid(("gate", "what", "measured", "passes at", "passes", "source"), rows, left=6), ""]
    lines += [
        *_cells(claim),
        "",
        f"![cells, seeds and the published effect]({claim['id']}.png)",
        "",
        claim["sentence"],
        "",
    ]
    traced, made = f"results/{face.edition}/{slug}/claims.json:{claim['id']}", f"EDITION={face.edition} PAPER={slug}"
    lines.append(f"Trace a number: `tenfold explain {traced}`; compute it again: `make reproduce {made}`.")
    return "\n".join(lines) + "\n"


def _source(claim: Claim) -> str:
    return {"paper": "read in the paper", "repo": "read in the official code"}.get(claim["source"], "in no source")


def _in_words(claim: Claim) -> str:
    said = claim["published"]
    return f": {said}" if isinstance(said, str) and said != claim["printed"]["published"] else ""


def _of_reading(read: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    printed = read["printed"]
    if read["estimate"] is None:
        return [(name, f"{read['word']}: {read['reason']}")]
    share = f"{100 * read['confidence']:g} % interval, n = {read['n']}"
    said = f"{printed['ours']} ({share}), claimed {printed['claimed']}; {printed['cells']} cells on the claimed side"
    seen = f"{printed['size']}; an effect of {printed['detectable']} would be found with 80 % power"
    return [(name, said), ("size", seen)]


def _gate(claim: Claim) -> str:
    if claim["gate"]["passes"] is None:
        return "none: a stand-in, or nothing trained is judged"
    return f"{'passed' if claim['gate']['passes'] else 'NOT PASSED'}: {claim['printed']['gate']}"


def _fairness(claim: Claim) -> str:
    """Seeds, order and epochs are the same of all arms; what they cost is counted."""
    costs = [cell.get("costs", {}) for read in claim["readings"] for cell in read["cells"]]
    ratios = {name: [of[name] for of in costs if name in of] for name in dict.fromkeys(n for of in costs for n in of)}
    told = []
    for name, values in ratios.items():
        ends = [f"{value:.2f}" for value in (min(values), max(values))]
        told.append(f"{name} equal" if set(ends) == {"1.00"} else f"{name} x {' to '.join(dict.fromkeys(ends))}")
    return "equal seeds, order of data and last epoch; ours over the other: " + (", ".join(told) or "not counted")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _passed(check: Mapping[str, Any]) -> str:
    if check["passes"]:
        return "yes"
    return "no" if check["lacking"] is None else f"no, by {check['lacking']:g}"


def _cells(claim: Claim) -> list[str]:
    header = ("cell", "effect", "interval", "n", "parameters, ours over the other", "")
    rows = [
        (_label(read, cell), f"{cell['estimate']:+.2f}", _ends(cell), str(cell["n"]), _params(cell), cell["left_out"])
        for read in claim["readings"]
        for cell in read["cells"]
        if "estimate" in cell
    ]
    return markdown_grid(header, rows, left=6) if rows else []


def _label(read: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    return f"{read['reading']}: {cell['label']}" if read["reading"] else str(cell["label"])


def _ends(cell: Mapping[str, Any]) -> str:
    return "-" if cell["low"] is None else f"[{cell['low']:+.2f}, {cell['high']:+.2f}]"


def _params(cell: Mapping[str, Any]) -> str:
    return f"{cell['costs']['params']:.2f}" if "params" in cell.get("costs", {}) else "-"


# The forest plot


def draw(claim: Claim, face: Face, paths: Sequence[Path]) -> None:
    """Cells and readings from above to below, a dot a seed, the interval as a bar, the published effect a diamond."""
    rows = [(_label(read, cell), cell, cell["left_out"]) for read in claim["readings"]
            for cell in read["cells"] if "estimate" in cell]  # fmt: skip
    means = [(f"{read['reading'] or 'mean of the cells'}{': mean' if read['reading'] else ''}", read, "")
             for read in claim["readings"] if read["estimate"] is not None]  # fmt: skip
    rows += means if len(rows) > 1 else []
    size = (7.2, 1.9 + 0.3 * (len(rows) + 1))
    figure, (axes,) = new_figure(f"{claim['id']}: {claim['short']}", face, size=size)
    for height, (_, cell, left_out) in enumerate(rows):
        _bar(axes, height, cell, "seeds" not in cell, bool(left_out))
    ends = claim["effect"] if isinstance(claim["effect"], list) else [claim["effect"]] * (claim["effect"] is not None)
    labels = [label + (f" ({left_out})" if left_out else "") for label, _, left_out in rows]
    if ends:
        draw_published(axes, ends, [len(rows)] * len(ends), joined=True)
        labels.append("published")
    add_note(figure, f"{_kind(claim)}: {claim['printed']['word']}")
    if any(cell["low"] is not None for _, cell, _ in rows):
        add_note(figure, f"Bars: {_shares(claim)} Student-t interval over seeds; dots: seeds; ticks: means")
    side = _axis(axes, claim)
    axes.set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.5, -0.5), xlabel=side)
    axes.tick_params(labelsize=8)
    if not labels:
        axes.text(0.5, 0.5, claim["printed"]["word"], ha="center", transform=axes.transAxes)
    save_figure(figure, _numbers(rows, ends), paths)


def _kind(claim: Claim) -> str:
    return "pipeline check" if claim["pipeline_check"] else "verdict"


def _shares(claim: Claim) -> str:
    shares = dict.fromkeys(f"{100 * read['confidence']:g} %" for read in claim["readings"] if read["confidence"])
    return " and ".join(shares)


def _bar(axes: Axes, height: int, cell: Mapping[str, Any], of_all: bool, left_out: bool) -> None:
    color = LEFT_OUT if left_out else BAR
    seeds = list(cell.get("seeds", {}).values())
    axes.plot(seeds, [height] * len(seeds), "o", color=DOTS, markersize=4, alpha=0.9, zorder=2)
    if cell["low"] is not None:
        axes.plot([cell["low"], cell["high"]], [height] * 2, "-", color=color, linewidth=3 if of_all else 1.4, zorder=3)
    axes.plot(cell["estimate"], height, "|", color=color, markersize=11, markeredgewidth=2, zorder=4)


def _axis(axes: Axes, claim: Claim) -> str:
    """Draws the boundary, and says which side of it is the claimed one."""
    read = claim["readings"][0]
    none = 1.0 if claim["kind"] == "ratio" else 0.0
    axes.axvline(none, color="0.2", linewidth=1)
    for boundary in {read["boundary"], -read["boundary"] if claim["kind"] == "within" else read["boundary"]} - {none}:
        axes.axvline(boundary, color="0.2", linewidth=1, linestyle=(0, (4, 2)))
    side = "between the lines" if claim["kind"] == "within" else {"higher": "right", "lower": "left"}[read["better"]]
    unit = f" [{read['unit']}]" if read["unit"] else ""
    return f"effect{unit}, {side} is the claimed side"


def _numbers(rows: Sequence[tuple[str, Mapping[str, Any], str]], published: Sequence[float]) -> pd.DataFrame:
    told = [
        {"row": label, "seed": seed, "effect": value, "low": None, "high": None}
        for label, cell, _ in rows for seed, value in cell.get("seeds", {}).items()
    ]  # fmt: skip
    told += [{"row": label, "seed": None, "effect": cell["estimate"], "low": cell["low"], "high": cell["high"]}
             for label, cell, _ in rows]  # fmt: skip
    told += [{"row": "published", "seed": None, "effect": end, "low": None, "high": None} for end in published]
    return pd.DataFrame(told, columns=["row", "seed", "effect", "low", "high"])


if __name__ == "__main__":
    main(claim_pages)
