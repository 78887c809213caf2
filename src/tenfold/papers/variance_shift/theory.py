"""Draws samples with dropout or Uout in front of a linear unit, and compares their variances with the formulas."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.files import write_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.papers.variance_shift.method import (
    Uout,
    cos2,
    shift_before_bn,
    shift_before_conv,
    shift_of_uout,
)


@stage
def simulate(cfg: Cfg, job: Job, *, theory: Output) -> None:
    """A row for each case and its parameters: Var_test / Var_train by formula, as drawn, and the relative error.

    Args:
        cfg: ``samples``, ``seed``, and what is varied: ``retain``, ``mean``, ``correlation``, ``inputs``, ``beta``.
            Inputs have variance 1.
        job: what surrounds the run.
        theory: the rows.
    """
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(cfg["seed"])
    torch.manual_seed(cfg["seed"])  # dropout and Uout draw from the default generator
    rows = [*case_a(cfg, generator), *case_b(cfg, generator), *uout(cfg, generator)]
    write_json(theory, {"samples": cfg["samples"], "rows": rows})
    worst = max(row["relative_error"] for row in rows)
    job.say(f"{len(rows)} cases, relative error at most {worst:.2%}")


def case_a(cfg: Cfg, generator: torch.Generator) -> list[dict[str, Any]]:
    """Dropout right before BatchNorm (eq. 8)."""
    rows = []
    for mean in cfg["mean"]:
        x = correlated(cfg["samples"], 1, mean, 0.0, generator)
        for retain in cfg["retain"]:
            formula = shift_before_bn(retain, mean, 1.0)
            measured = shift(F.dropout(x, 1 - retain), x)
            rows.append(row("a", formula, measured, retain=retain, mean=mean))
    return rows


def case_b(cfg: Cfg, generator: torch.Generator) -> list[dict[str, Any]]:
    """Dropout before a linear unit before BatchNorm (eq. 14)."""
    rows = []
    for mean in cfg["mean"]:
        for correlation in cfg["correlation"]:
            for d in cfg["inputs"]:
                x = correlated(cfg["samples"], d, mean, correlation, generator)
                weights = torch.rand(d, generator=generator) - 0.25  # neither along the vector of ones nor across it
                squared = float(cos2(weights[None]))
                for retain in cfg["retain"]:
                    formula = shift_before_conv(retain, mean, 1.0, correlation, d * squared)
                    measured = shift(F.dropout(x, 1 - retain) @ weights, x @ weights)
                    given = {"retain": retain, "mean": mean, "correlation": correlation, "d": d, "cos2": squared}
                    rows.append(row("b", formula, measured, **given))
    return rows


def uout(cfg: Cfg, generator: torch.Generator) -> list[dict[str, Any]]:
    """Uout right before BatchNorm (eq. 15), for means other than 0, too."""
    rows = []
    for mean in cfg["mean"]:
        x = correlated(cfg["samples"], 1, mean, 0.0, generator)
        rows += [
            row("uout", shift_of_uout(beta, mean), shift(Uout(beta)(x), x), beta=beta, mean=mean)
            for beta in cfg["beta"]
        ]
    return rows


def correlated(n: int, d: int, mean: float, correlation: float, generator: torch.Generator) -> Tensor:
    """Gaussian samples (n, d) of variance 1 with one mean, each two columns equally correlated."""
    common, own = torch.randn(n, 1, generator=generator), torch.randn(n, d, generator=generator)
    return mean + math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own


def shift(train: Tensor, test: Tensor) -> float:
    """Var_test / Var_train of samples."""
    return float(test.double().var() / train.double().var())


def row(case: str, formula: float, measured: float, **given: float) -> dict[str, Any]:
    """One case of the comparison."""
    error = abs(measured - formula) / formula
    return {"case": case, **given, "formula": formula, "measured": measured, "relative_error": error}


if __name__ == "__main__":
    main(simulate)
