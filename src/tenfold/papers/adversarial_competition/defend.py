"""Runs one defence on what attacks have made of the images, and counts: a column of the matrices, for each track."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.adversarial_competition.contest import (
    Batch,
    generator_of,
    load_nets,
    projected,
    read_contest,
    settings_of,
)
from tenfold.papers.adversarial_competition.nets import Defended
from tenfold.stages.called import called
from tenfold.training.compute import start
from tenfold.training.loop import write_rows
from tenfold.weights import load_weights

Defence = Callable[..., Tensor]


@stage
def defend(
    cfg: Cfg, job: Job, *, data: Input, weights: Inputs, learned: Inputs, crafted: Inputs, column: Output,
    times: Output,
) -> None:  # fmt: skip
    """Labels the images of all attacks of a track with one defence.

    Args:
        cfg: ``images``, ``test_images``, ``batch_size``, ``seeds``, ``nets`` (see `load_nets`), the ``defence``: its
            ``name``, the function to ``call`` and its settings, and the ``attacks`` in the order of their files.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: of the defence's nets.
        learned: the weights of what it has learned, where it learns something.
        crafted: what attacks have made, see `craft`.
        column: for each seed and attack, batch by batch: ``images``, how many of them the attack ``made``, how many are
            ``labelled``, ``correct`` and ``hit`` (labelled as their target).
        times: seconds for 100 images, for each seed and attack.
    """
    compute = start(cfg["compute"], job)
    contest, arm = read_contest(cfg, data), cfg["defence"]
    defence = called(arm["call"])
    rows, seconds = [], []
    for seed in cfg["seeds"]:
        nets = load_nets(cfg, weights, seed, contest.classes, compute)
        arm = {**cfg["defence"], "settings": settings_of(cfg["defence"], learned, seed, compute)}
        found = {}
        for attack, path in zip(cfg["attacks"], crafted, strict=True):
            tensors, started = load_weights(path), time.monotonic()
            there = tensors.get(f"made/seed{seed}", torch.ones(len(contest), dtype=torch.bool))
            of_batches = (part.split(contest.batch_size) for part in (tensors[f"seed{seed}"], there))
            parts = zip(contest.batches([0]), *of_batches, strict=True)
            found[attack] = by_batch([
                counted(label(some, defence, arm, nets, (seed, attack, batch.number), compute.device), batch, made)
                for batch, some, made in parts
            ])  # fmt: skip
            taken = time.monotonic() - started
            seconds.append({"seed": seed, "attack": attack, "seconds": 100 * taken / len(contest)})
        rows.append({"seed": seed, "attacks": found})
        job.say(f"seed {seed}: {len(found)} attacks")
    facts = {"data": contest.name, "device": compute.device.type, "precision": compute.precision}
    write_json(column, {**facts, "arm": arm["name"], "rows": rows})
    write_rows(times, seconds)


@stage
def through(cfg: Cfg, job: Job, *, data: Input, weights: Inputs, learned: Inputs, column: Output) -> None:
    """Attacks one defence through itself, as one who knows it would, and counts what it then gets right.

    Args:
        cfg: as for `defend`; ``attack`` is the arm that is run on the defence as a net, with ``eps``.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: of the defence's nets.
        learned: the weights of what it has learned, where it learns something.
        column: for each seed, batch by batch, as `defend` has them of an attack.
    """
    compute = start(cfg["compute"], job)
    contest, arm, attacker = read_contest(cfg, data), cfg["defence"], cfg["attack"]
    defence, attack = called(arm["call"]), called(attacker["call"])
    rows = []
    for seed in cfg["seeds"]:
        nets = load_nets(cfg, weights, seed, contest.classes, compute)
        arm = {**cfg["defence"], "settings": settings_of(cfg["defence"], learned, seed, compute)}
        found = []
        for batch in contest.batches(attacker["eps"]):
            at = seed, "through", batch.number
            chance = generator_of("through", arm["name"], *at, device=compute.device)
            whole = Defended(defence, nets, chance, **arm["settings"])
            pixels = batch.pixels.to(compute.device)
            believed = label(batch.images, defence, arm, nets, at, compute.device).to(compute.device)
            out = attack([whole], pixels, believed, batch.eps / 255, chance, **attacker["settings"])
            made = projected(batch, out)
            found.append(counted(label(made, defence, arm, nets, at, compute.device), batch))
        rows.append({"seed": seed, "through": by_batch(found)})
        job.say(f"seed {seed}: {sum(rows[-1]['through']['correct'])} of {len(contest)} right")
    facts = {"data": contest.name, "device": compute.device.type, "precision": compute.precision}
    write_json(column, {**facts, "arm": arm["name"], "rows": rows})


def label(
    images: Tensor, defence: Defence, arm: Cfg, nets: Sequence[nn.Module], at: tuple[int, str, int],
    device: torch.device,
) -> Tensor:  # fmt: skip
    """The labels (B,) that a defence gives to images, uint8 (B, 3, H, W); its chance is that of seed, attack, batch."""
    generator = generator_of("defence", arm["name"], *at, device=device)
    with torch.no_grad():
        scores = defence(nets, images.to(device).float() / 255, generator, **arm["settings"])
    return scores.argmax(1).cpu()


def counted(labels: Tensor, batch: Batch, made: Tensor | None = None) -> dict[str, int]:
    """What scores are made of: of the images that there are how many labels are given, right, and the targets.

    Args:
        labels: (B,).
        batch: what was attacked.
        made: which images the attack made, bool (B,); None for all.
    """
    there = torch.ones_like(batch.labels, dtype=torch.bool) if made is None else made
    return {
        "images": len(there),
        "made": int(there.sum()),
        "labelled": int(there.sum()),
        "correct": int((there & (labels == batch.labels)).sum()),
        "hit": int((there & (labels == batch.targets)).sum()),
    }


def by_batch(counts: Sequence[dict[str, int]]) -> dict[str, Any]:
    """Counts of batches as lists."""
    return {name: [count[name] for count in counts] for name in counts[0]}


if __name__ == "__main__":
    main(defend, through)
