"""Lets users' own attacks and defences into the arena; one that fails loses its own points, and nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.adversarial_competition.contest import Batch, Contest, projected, read_contest
from tenfold.papers.adversarial_competition.defend import by_batch, counted
from tenfold.papers.adversarial_competition.scoring import to_pixels, within_bound
from tenfold.papers.adversarial_competition.submission import WHY, run_task
from tenfold.weights import load_weights, save_weights


class SubmissionError(Exception):
    """Why a submission loses its points, on one line."""


@stage
def submitted_attack(
    cfg: Cfg, job: Job, *, data: Input, weights: Inputs, submission: Input, crafted: Output, outcome: Output
) -> None:
    """Runs a user's ``attack(nets, images, labels, eps, generator)``; labels are those that the nets predict.

    Args:
        cfg: ``images``, ``test_images``, ``batch_size``, ``eps``, ``seeds``, ``nets``, the submission's ``name``, and
            the ``seconds`` that it has for 100 images.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: of the nets that it is given.
        submission: a Python file.
        crafted: uint8 (N, 3, H, W) for each seed, ``seed0``, and ``made/seed0``: which of them it made.
        outcome: why it failed, or nothing.
    """
    contest = read_contest(cfg, data)
    images, why = {f"seed{seed}": contest.images for seed in cfg["seeds"]}, ""
    try:
        for seed in cfg["seeds"]:
            parts = answers_of(cfg, job, "attack", data, weights, submission, seed, len(contest))
            batches = list(contest.batches(cfg["eps"]))
            images[f"seed{seed}"] = torch.cat([
                within(batch, part) for batch, part in zip(batches, in_full(parts, len(batches)), strict=True)
            ])  # fmt: skip
    except SubmissionError as error:
        why = str(error)
        job.say(f"{cfg['name']} loses its points: {why}")
    made = {f"made/{name}": torch.full((len(contest),), not why) for name in images}
    save_weights(crafted, images | made)
    write_json(outcome, {"name": cfg["name"], "why": why})


@stage
def submitted_defence(
    cfg: Cfg, job: Job, *, data: Input, weights: Inputs, submission: Input, crafted: Inputs, column: Output
) -> None:
    """Runs a user's ``defend(nets, images, generator)``, which gives scores (B, K), on the images of all attacks.

    Args:
        cfg: as for `submitted_attack`, and ``attacks`` in the order of their files.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: of the nets that it is given.
        submission: a Python file.
        crafted: what attacks have made.
        column: as `tenfold.papers.adversarial_competition.defend.defend` has it, and ``why`` it failed, or nothing.
    """
    contest, why = read_contest(cfg, data), ""
    rows: list[dict[str, Any]] = [{"seed": seed, "attacks": {}} for seed in cfg["seeds"]]
    try:
        for row in rows:
            images = len(contest) * len(crafted)
            parts = answers_of(cfg, job, "defend", data, weights, submission, row["seed"], images, crafted)
            row["attacks"] = columns(cfg, contest, parts, crafted, row["seed"])
    except SubmissionError as error:
        why = str(error)
        job.say(f"{cfg['name']} loses its points: {why}")
    if why:
        nothing = by_batch([{"images": len(contest), "made": len(contest), "labelled": 0, "correct": 0, "hit": 0}])
        rows = [{"seed": seed, "attacks": dict.fromkeys(cfg["attacks"], nothing)} for seed in cfg["seeds"]]
    write_json(column, {"arm": cfg["name"], "why": why, "rows": rows})


def columns(
    cfg: Cfg, contest: Contest, parts: list[Tensor], crafted: Sequence[Path], seed: int
) -> dict[str, dict[str, list[int]]]:
    """What was counted of a submitted defence, attack by attack.

    Raises:
        SubmissionError: the scores are not such scores.
    """
    batches = list(contest.batches([0]))
    parts = in_full(parts, len(batches) * len(crafted))
    found = {}
    for place, (attack, path) in enumerate(zip(cfg["attacks"], crafted, strict=True)):
        made = load_weights(path).get(f"made/seed{seed}")
        counts = []
        for batch in batches:
            scores = parts[place * len(batches) + batch.number]
            check(scores, (len(batch.labels), contest.classes), batch.number)
            counts.append(counted(scores.argmax(1), batch, of_batch(made, contest, batch)))
        found[attack] = by_batch(counts)
    return found


def of_batch(made: Tensor | None, contest: Contest, batch: Batch) -> Tensor | None:
    """Which images of a batch an attack made; None for all."""
    return None if made is None else made.split(contest.batch_size)[batch.number]


# Answers of a process of its own ----------------------------------------------------------------------------------


def answers_of(
    cfg: Cfg, job: Job, function: str, data: Path, weights: Sequence[Path], submission: Path, seed: int, images: int,
    crafted: Sequence[Path] = (),
) -> list[Tensor]:  # fmt: skip
    """What a submission answers to each batch, up to the one that it did not answer.

    Raises:
        SubmissionError: it ended with an error, by a signal, or did not end in time.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_json(folder / "task.json", {
            "submission": str(submission), "function": function, "cfg": cfg, "data": str(data), "seed": seed,
            "weights": [str(path) for path in weights], "crafted": [str(path) for path in crafted], "folder": name,
        })  # fmt: skip
        run(folder, job, cfg["seconds"] * images / 100)
        found: list[Tensor] = []
        while (path := folder / f"{len(found)}.safetensors").exists():
            found.append(load_weights(path)["answer"])
        return found


def run(folder: Path, job: Job, seconds: float) -> None:
    """Runs the task of a folder; what the submission prints goes into the job's log.

    Raises:
        SubmissionError: see `answers_of`.
    """
    command = [sys.executable, "-m", run_task.__module__, str(folder / "task.json")]
    with job.log.open("a") if job.log else Path(os.devnull).open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise SubmissionError(f"it ran for longer than the {seconds:.3g} s that it has") from None
        finally:
            end(process)
    why = folder / WHY
    if code and why.exists():
        raise SubmissionError(why.read_text(encoding="utf-8"))
    if code < 0:
        raise SubmissionError(f"its process was ended by {signal.Signals(-code).name}")
    if code:
        raise SubmissionError(f"its process ended with code {code}")


def end(process: subprocess.Popen[Any]) -> None:
    """Ends a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def in_full(parts: list[Tensor], count: int) -> list[Tensor]:
    """The answers, if there are as many as batches.

    Raises:
        SubmissionError: there are fewer.
    """
    if len(parts) < count:
        raise SubmissionError(f"its process ended before it had answered batch {len(parts)}")
    return parts


def check(answer: Tensor, shape: tuple[int, ...], number: int) -> None:
    """Holds that an answer has this shape, and finite numbers in it.

    Raises:
        SubmissionError: it has not.
    """
    if tuple(answer.shape) != shape:
        raise SubmissionError(f"it gave {tuple(answer.shape)} for batch {number}, where {shape} is needed")
    if not bool(torch.isfinite(answer).all()):
        raise SubmissionError(f"it gave numbers that are not finite for batch {number}")


def within(batch: Batch, answer: Tensor) -> Tensor:
    """The images that an attack gives, if they keep the bound: uint8 (B, 3, H, W).

    Raises:
        SubmissionError: they are no such images, or a pixel lies outside of [0, 1] or the bound.
    """
    check(answer, tuple(batch.images.shape), batch.number)
    if float(answer.min()) < -0.5 / 255 or float(answer.max()) > 1 + 0.5 / 255:
        raise SubmissionError(f"it gave pixels outside of [0, 1] for batch {batch.number}")
    pixels, original = to_pixels(answer.numpy()), batch.images.numpy()
    if not within_bound(original, pixels, batch.eps):
        moved = int((torch.from_numpy(pixels).int() - batch.images.int()).abs().max())
        raise SubmissionError(f"it moved a pixel of batch {batch.number} by {moved} of 255, allowed are {batch.eps}")
    return projected(batch, answer)


if __name__ == "__main__":
    main(submitted_attack, submitted_defence)
