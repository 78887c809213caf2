"""Mistakes of users: each gets one line that names the place, what is wrong and what is allowed, and exit code 2."""

from __future__ import annotations

import pytest

from .conftest import Repository

PAPER, HOUSE, DATA = "config/papers/toy.yaml", "config/config.yaml", "config/datasets.yaml"
DETAIL = "turn: 15\n    contrast: [100, 160]\n    detail: "
WHOLE = "edition: small\ndevice: auto\nprecision: auto\npapers: [toy]\n"
Mistake = tuple[str, str, str, list[str]]

IN_FILES: dict[str, Mistake] = {
    "unknown paper": (HOUSE, "[toy]", "[toy, gone]", ["'gone' is not a paper", "allowed: toy"]),
    "unknown edition": (HOUSE, "small", "tiny", ["edition", "'tiny' is not allowed", "smoke, small, real, lab, full"]),
    "unknown device": (HOUSE, "device: auto", "device: tpu", ["device", "'tpu' is not allowed", "auto, cpu, cuda"]),
    "unknown precision": (HOUSE, "precision: auto", "precision: fp8", ["precision", "'fp8' is not allowed", "bf16"]),
    "unknown key of the house": (HOUSE, "edition:", "editon:", ["'editon'", "allowed: "]),
    "nothing in it": (HOUSE, WHOLE, "", ["None is not of type object"]),
    "a list": (HOUSE, WHOLE, "- a\n", ["not of type object"]),
    "a tab": (HOUSE, "device: auto", "\tdevice: auto", ["line 2"]),
    "a control character": (HOUSE, "device: auto", "device: \x07auto", ["line 2", "control characters", "remove"]),
    "unknown setting": (PAPER, "rate: 5", "rat: 5", ["arms.fancy", "'rat'", "momentum, rate"]),
    "a number that YAML reads as text": (PAPER, "rate: 5", "rate: 5e0", ["arms.fancy.rate", "write 5.0e+0"]),
    "a number in quotes": (PAPER, "steps: 20", 'steps: "20"', ["steps", "'20' is not of type integer"]),
    "a number below its least": (PAPER, "steps: 20", "steps: -1", ["steps", "-1"]),
    "a missing setting": (PAPER, "{ rate: 5, momentum: 2 }", "{ rate: 5 }", ["arms.fancy", "'momentum' is missing"]),
    "a key twice": (PAPER, "  padding: 0", "  padding: 0\n  padding: 1", ["line", "'padding' is given twice"]),
    "a bracket left open": (PAPER, "seeds: [0, 1, 2]", "seeds: [0, 1, 2", ["line"]),
    "seeds with a gap": (PAPER, "seeds: [0, 1, 2]", "seeds: [0, 1, 5]", ["seeds", "must follow one another"]),
    "no seeds": (PAPER, "seeds: [0, 1, 2]", "seeds: []", ["seeds"]),
    "no seeds in a job": (PAPER, "seeds_per_job: 3", "seeds_per_job: 0", ["seeds_per_job"]),
    "a name that no wildcard matches": (PAPER, "fancy: {", "fancy_net: {", ["arms", "'fancy_net'"]),
    "a name too long for a folder": (PAPER, "fancy: {", f"{'f' * 300}: {{", ["arms", "fff...' is too long", "60"]),
    "a name that is a path": (PAPER, "fancy: {", "a/b: {", ["arms", "'a/b'"]),
    "a name that is a number": (PAPER, "fancy: {", "5: {", ["line", "key 5 is not text", "in quotes"]),
    "unknown data": (PAPER, "data: shapes-10-smoke", "data: shapes-11", ["'shapes-11' is not a dataset", "allowed: "]),
    "unknown kind of claim": (PAPER, "kind: direction", "kind: hope", ["claims", "kind", "'hope'"]),
    "unknown edition of a claim": (PAPER, "editions: [smoke, small]", "editions: [tiny]", ["claims", "'tiny'"]),
    "unknown part of a paper": (PAPER, "published: {}", "printed: {}", ["'printed'", "allowed: "]),
    "a value of another type": (DATA, DETAIL + "[0, 0]", DETAIL + '[0, "0"]', ["shapes-10", "prepare", "'0'"]),
    "a checksum that is none": (DATA, 'sha256: "1d2437', 'sha256: "1D2437', ["shapes-10-smoke.sha256"]),
    "unknown stand-in": (DATA, "stand_in: shapes-10\n", "stand_in: shap\n", ["stand_in", "'shap' is not a dataset"]),
}  # fmt: skip

ON_THE_COMMAND_LINE: dict[str, tuple[list[str], list[str]]] = {
    "unknown edition": (
        ["edition=tiny"],
        ["--config: edition", "'tiny' is not allowed", "smoke, small, real, lab, full"],
    ),
    "no slots": (["gpu_slots=0"], ["--config: gpu_slots", "'0' is not allowed", "from 1 on, or auto"]),
    "unknown device": (["device=tpu"], ["--config: device", "'tpu' is not allowed", "auto, cpu, cuda"]),
    "unknown key": (["editon=small"], ["--config", "'editon'", "allowed: "]),
    "unknown paper": (["papers=[gone]"], ["--config: papers", "'gone' is not a paper", "allowed: toy"]),
}


def refusal(repository: Repository, *arguments: str) -> str:
    """The one line of a refused plan."""
    done = repository.snakemake("-n", *arguments, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("tenfold: ")]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    return lines[0]


@pytest.mark.parametrize("mistake", IN_FILES)
def test_a_mistake_in_a_file(repository: Repository, mistake: str) -> None:
    file, old, new, parts = IN_FILES[mistake]
    repository.edit(file, old, new)
    line = refusal(repository)
    for part in [file, *parts]:
        assert part in line


@pytest.mark.parametrize("mistake", ON_THE_COMMAND_LINE)
def test_a_mistake_on_the_command_line(recorded_once: Repository, mistake: str) -> None:
    overrides, parts = ON_THE_COMMAND_LINE[mistake]
    line = refusal(recorded_once, "--config", *overrides)
    for part in parts:
        assert part in line


def test_a_target_that_there_is_not(recorded_once: Repository) -> None:
    done = recorded_once.snakemake("-n", "small/gone", check=False)
    assert done.returncode != 0
    assert "tenfold: no rule makes small/gone; tenfold list says what can be asked for" in done.stderr + done.stdout
    assert "Exception" not in done.stderr + done.stdout
