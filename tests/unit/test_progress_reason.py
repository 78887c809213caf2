"""Why a job runs, in few words, from reasons as Snakemake 9.27 words them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snakemake_logger_plugin_tenfold.progress import Progress
from snakemake_logger_plugin_tenfold.reason import changes, in_short, says_change
from tenfold.books.metadata import params
from tenfold.launcher import _job_name

CFG = {"arm": "sge", "recipe": {"lr": 0.1, "epochs": 4, "note": "a; b"}, "seeds": [0, 1, 2], "claims": [{"margin": 1}]}


def of_params(old: list[str], new: list[str]) -> str:
    """Snakemake's reason for jobs whose params changed (``snakemake.persistence.ParamsChange``)."""
    shown = [
        ",".join(sorted(set(one) - set(other))) or "<nothing exclusive>" for one, other in ((old, new), (new, old))
    ]
    return (
        "Params have changed since last execution: Union of exclusive params before and now across all output: "
        f"before: {shown[0]} now: {shown[1]} "
    )


def other(**recipe: Any) -> dict[str, Any]:
    return CFG | {"recipe": CFG["recipe"] | recipe}  # type: ignore[operator]


@pytest.mark.parametrize(
    ("cfg", "code", "said"),
    [
        (other(lr=0.05), "c0", "Settings changed: recipe.lr 0.1 -> 0.05"),
        (CFG, "c1", "Code of the stage changed"),
        (other(lr=0.05), "c1", "Settings changed: recipe.lr 0.1 -> 0.05; Code of the stage changed"),
        (other(note="it's; so: x"), "c0", "Settings changed: recipe.note a; b -> it's; so: x"),
        (CFG | {"ema": 0.9}, "c0", "Settings changed: ema absent -> 0.9"),
        (CFG | {"seeds": [0]}, "c0", "Settings changed: seeds [0, 1, 2] -> [0]"),
        (CFG | {"claims": [{"margin": 2}]}, "c0", "Settings changed: claims.0.margin 1 -> 2"),
    ],
)
def test_changed_params_are_named_with_both_values(cfg: dict[str, Any], code: str, said: str) -> None:
    reason = of_params(params(CFG, "c0"), params(cfg, code))
    assert says_change(reason)
    assert in_short(reason) == said
    assert in_short(f"Missing output files: a, b; {reason}") == f"Missing output files: a, b; {said}"


def test_of_many_changes_three_are_named() -> None:
    cfg = CFG | dict.fromkeys("abcdefg", 0)
    assert in_short(of_params(params(CFG, "c"), params(cfg, "c"))) == (
        "Settings changed: a absent -> 0, b absent -> 0, c absent -> 0 and 4 more"
    )


def test_params_that_are_not_settings_still_give_a_reason() -> None:
    assert in_short(of_params(["one, two"], ["{broken'"])) == "Settings changed"


def test_equal_settings_have_no_changes_and_long_values_are_cut() -> None:
    assert list(changes(CFG, CFG)) == []
    (line,) = changes({"text": "x" * 100}, {"text": "y"})
    assert line == f"text {'x' * 37}... -> y"


def test_files_are_named_up_to_three() -> None:
    assert in_short("Input files updated by another job: a, b, c, d, e") == (
        "Input files updated by another job: a, b, c and 2 more"
    )
    reason = "Set of input files has changed since last execution"
    assert says_change(reason)
    assert in_short(reason, ["a", "b"], ["b", "c"]) == "Other input files than before: + c, - a"
    assert in_short(reason) == reason
    assert not says_change("Missing output files: a")


def test_a_plan_of_several_papers_counts_the_jobs_of_each() -> None:
    rules = {"sge_train": 10, "sge_tables": 1, "rco_distil": 4, "data_prepare": 2, "small/all": 1, "total": 18}
    assert Progress(papers=["sge", "rco"]).plan(rules) == (
        "18 jobs to do: 11 of sge, 4 of rco, 2 data_prepare, 1 small/all"
    )
    alone = {"sge_train": 10, "data_prepare": 2, "total": 12}
    assert Progress(papers=["sge", "rco"]).plan(alone) == "12 jobs to do: 10 sge_train, 2 data_prepare"


def test_a_started_job_says_what_changed() -> None:
    progress = Progress()
    progress.plan({"train": 1})
    assert progress.start(1, "train", {"arm": "a"}, 0.0, why="lr 1 -> 2") == "[0/1] start  train arm=a: lr 1 -> 2"


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("runs/small/sge/metrics/resnet8-c16/gc/s0-2.json", "small/sge resnet8-c16/gc/s0-2"),
        ("runs/real/rco/costs.json", "real/rco costs"),
        ("runs/small/scoreboard.csv", "runs/small/scoreboard"),
        ("data/prepared/shapes-10.safetensors", "data/prepared/shapes-10"),
        ("a.json", "a"),
    ],
)
def test_a_job_line_names_edition_and_paper(output: str, name: str) -> None:
    assert _job_name(Path(output)) == name
