"""Runs one attack on all batches: once for each seed, whatever defences there will be.

One job has all batches of all its seeds: starting a process takes longer than a batch of small images.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.adversarial_competition.contest import (
    Batch,
    Contest,
    generator_of,
    load_nets,
    projected,
    read_contest,
    settings_of,
)
from tenfold.papers.adversarial_competition.nets import predicted_labels
from tenfold.stages.called import called
from tenfold.training.compute import start
from tenfold.training.loop import write_rows
from tenfold.weights import save_weights

Attack = Callable[..., Tensor]


@stage
def craft(
    cfg: Cfg, job: Job, *, data: Input, weights: Inputs, learned: Inputs, crafted: Output, metrics: Output,
    times: Output,
) -> None:  # fmt: skip
    """Attacks the test images, batch by batch with its eps, and projects what comes out of it.

    Args:
        cfg: ``images``, ``test_images``, ``batch_size``, ``seeds``, ``nets`` (see `load_nets`), and the ``attack``: its
            ``name``, the function to ``call``, ``targeted`` or not, the ``eps`` of batches in turn, and its settings.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: of the nets that the attack is given.
        learned: the weights of what it has learned, where it learns something.
        crafted: uint8 (N, 3, H, W) for each seed, ``seed0``; private.
        metrics: for each seed how many images were made, by how much pixels moved, and the images' SHA-256.
        times: seconds for 100 images, for each seed and batch.
    """
    compute = start(cfg["compute"], job)
    contest, arm = read_contest(cfg, data), cfg["attack"]
    attack = called(arm["call"])
    images: dict[str, Tensor] = {}
    rows, seconds = [], []
    for seed in cfg["seeds"]:
        nets = load_nets(cfg, weights, seed, contest.classes, compute)
        settings, made = settings_of(arm, learned, seed, compute), []
        for batch in contest.batches(arm["eps"]):
            started = time.monotonic()
            made.append(attacked(attack, arm | {"settings": settings}, nets, batch, seed, compute.device))
            taken = time.monotonic() - started
            seconds.append({"seed": seed, "batch": batch.number, "seconds": 100 * taken / len(batch.labels)})
        images[f"seed{seed}"] = torch.cat(made)
        rows.append({"seed": seed, **facts_of(images[f"seed{seed}"], contest)})
        job.say(f"seed {seed}: {rows[-1]['images']} images, largest step {rows[-1]['largest']}")
    save_weights(crafted, images)
    facts = {"data": contest.name, "device": compute.device.type, "precision": compute.precision}
    write_json(metrics, {**facts, "arm": arm["name"], "rows": rows})
    write_rows(times, seconds)


def attacked(attack: Attack, arm: Cfg, nets: list[nn.Module], batch: Batch, seed: int, device: torch.device) -> Tensor:
    """One batch as the arena passes it on to defences: within the batch's bound, whole steps of pixels, uint8."""
    pixels = batch.pixels.to(device)
    labels = batch.targets.to(device) if arm["targeted"] or not nets else predicted_labels(nets, pixels)
    generator = generator_of("attack", arm["name"], seed, batch.number, device=device)
    out = attack(nets, pixels, labels, batch.eps / 255, generator, **arm["settings"])
    return projected(batch, out)


def facts_of(images: Tensor, contest: Contest) -> dict[str, Any]:
    """What is noted of crafted images, which themselves are not kept."""
    moved = (images.int() - contest.images.int()).abs()
    return {
        "images": len(images),
        "largest": int(moved.max()),
        "moved": float(moved.double().mean()),
        "sha256": hashlib.sha256(images.contiguous().numpy().tobytes()).hexdigest(),
    }


if __name__ == "__main__":
    main(craft)
