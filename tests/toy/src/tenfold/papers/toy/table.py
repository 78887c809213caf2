"""The toy's table and verdicts."""

from __future__ import annotations

from statistics import mean

from tenfold.files import read_json, write_json, write_text
from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage


@stage
def table(cfg: Cfg, job: Job, *, metrics: Inputs, table: Output, claims: Output) -> None:
    """One line an arm: the mean count."""
    counts: dict[str, list[int]] = {}
    for path in metrics:
        content = read_json(path)
        counts.setdefault(content["arm"], []).extend(row["count"] for row in content["rows"])
    write_text(table, "arm,count\n" + "".join(f"{arm},{mean(counts[arm])!r}\n" for arm in cfg["arms"]))
    write_json(claims, {"means": {arm: mean(values) for arm, values in counts.items()}})


if __name__ == "__main__":
    main(table)
