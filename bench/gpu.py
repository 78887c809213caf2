"""Times training steps on a GPU, data included: Tenfold's loop against torch's eager step and a bare CUDA graph.

Tenfold: `fit`, deterministic, its steps captured. Eager: the same loop with steps that are launched one by one.
Bare: the same net and optimiser in a hand-written CUDA graph, free to choose any kernel, fed from draws that were made
beforehand on the card. Then many Tenfold trainings of ResNet-20 on the one card.

All in bf16 on random images in the card's memory, in turns, in seconds of the clock after a synchronisation.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.launcher import Job
from tenfold.nets.build import build
from tenfold.progress import Progress
from tenfold.training.batches import PADDING, image_batches
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe

NETS: dict[str, tuple[dict[str, Any], int]] = {  # with their batch sizes
    "ResNet-20": ({"family": "resnet", "name": "resnet20", "width": 16, "classes": 10}, 128),
    "VGG-16": ({"family": "vgg", "name": "vgg16", "width": 64, "classes": 10}, 128),
    "PreResNet-164": ({"family": "preresnet", "name": "preresnet_bottleneck", "depth": 164, "width": 16, "classes": 10},
                      128),
    "DenseNet-BC 100-12": ({"family": "densenet", "name": "densenet_bc", "depth": 100, "growth": 12, "classes": 10},
                           64),
}  # fmt: skip
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
STEPS, ROUNDS = 200, 3  # of a fit's epoch, and of turns
SIDE_BY_SIDE = (1, 8, 16)
AT_LEAST_OF_BARE, AT_LEAST_TOGETHER = 0.9, 100_000


def main() -> int:
    """Prints rates and ratios; with arguments NET, EPOCHS and a time to start at, it is one of many trainings."""
    if sys.argv[1:]:
        print(json.dumps(worker(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
        return 0
    if not torch.cuda.is_available():
        print("bench/gpu.py: torch finds no GPU here", file=sys.stderr)
        return 2
    many = [together(number) for number in SIDE_BY_SIDE]  # before this process takes the card
    with tempfile.TemporaryDirectory() as folder:
        compute = start({"device": "cuda", "precision": "bf16"}, Job(resume=Path(folder) / "resume"))
        print(
            f"{torch.cuda.get_device_name()}, torch {torch.__version__}; median of {ROUNDS} rounds of {STEPS} steps\n"
        )
        print(f"{'net':<20}{'batch':>6}{'ours, images/s':>16}{'eager':>10}{'bare graph':>12}{'ours/eager':>12}"
              f"{'ours/bare':>11}   target >= {AT_LEAST_OF_BARE} of bare")  # fmt: skip
        for name in NETS:
            compare(name, compute, Path(folder))
    print("\nResNet-20, that many trainings on the one card, images/s together "
          f"(target >= {AT_LEAST_TOGETHER} with 8 or more)")  # fmt: skip
    for number, rate in zip(SIDE_BY_SIDE, many, strict=True):
        print(f"{number:>4}{rate:>12.0f}")
    return 0


def compare(name: str, compute: Compute, folder: Path) -> None:
    """Times the three in turns, after a round to warm up."""
    runs: list[Callable[[], float]] = [
        lambda: statistics.median(ours(name, compute, folder)[1:]),
        lambda: statistics.median(ours(name, replace(compute, captures=False), folder)[1:]),
        lambda: bare(name, compute),
    ]
    for run in runs:
        run()
    rounds = [[run() for run in runs] for _ in range(ROUNDS)]
    mine, eager, graph = (statistics.median(column) for column in zip(*rounds, strict=True))
    to_eager, to_bare = (statistics.median(row[0] / row[i] for row in rounds) for i in (1, 2))
    print(f"{name:<20}{NETS[name][1]:>6}{mine:>16.0f}{eager:>10.0f}{graph:>12.0f}{to_eager:>12.2f}{to_bare:>11.2f}",
          flush=True)  # fmt: skip


def data(batch_size: int) -> tuple[Tensor, Tensor]:
    """Random images, uint8 (N, 3, 32, 32), and labels of an epoch."""
    generator = torch.Generator().manual_seed(0)
    n = STEPS * batch_size
    images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, 10, (n,), generator=generator)


def ours(name: str, compute: Compute, folder: Path, epochs: int = 4) -> list[float]:
    """Images a second in each epoch of a training with `fit`; the first one captures."""
    deterministic(True)
    net, batch_size = NETS[name]
    images, labels = data(batch_size)
    batches = image_batches(images, labels, batch_size=batch_size, augment="crop_flip", mean=MEAN, std=STD, seed=0,
                            device=compute.device)  # fmt: skip
    recipe = Recipe(epochs=epochs, batch_size=batch_size, lr=0.01, momentum=0.9, weight_decay=1e-4)
    torch.manual_seed(0)
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        progress = Progress(Job(resume=folder / f"{os.getpid()}-{time.monotonic_ns()}"))
        trained = fit(compute.place(build(net)), batches, classification(), recipe, compute, progress)
    return [row["examples_per_second"] for row in trained.times]


def bare(name: str, compute: Compute) -> float:
    """Images a second of a step that is one CUDA graph and nothing else."""
    deterministic(False)
    net, n = NETS[name]
    images, labels = (part.to(compute.device) for part in data(n))
    torch.manual_seed(0)
    model = compute.place(build(net)).train()
    optimiser = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=1e-4, fused=True)
    side = 32 + 2 * PADDING
    padded = images.new_zeros(len(images), side, side, 3)
    padded[:, PADDING:-PADDING, PADDING:-PADDING] = images.permute(0, 2, 3, 1)
    pixels, along = padded.view(-1, 3), torch.arange(32, device=compute.device)
    mean, std = (torch.tensor(values, device=compute.device) for values in (MEAN, STD))
    total = torch.zeros((), dtype=torch.float64, device=compute.device)
    order = torch.randperm(len(images), device=compute.device)
    tops, lefts = torch.randint(0, 2 * PADDING + 1, (2, len(images)), device=compute.device)
    flips = torch.rand(len(images), device=compute.device) < 0.5
    held = [part[:n].clone() for part in (order, tops, lefts, flips)]

    def step() -> None:
        chosen, top, left, flip = held
        row = top[:, None] + along
        column = left[:, None] + torch.where(flip[:, None], along.flip(0), along)
        pixel = chosen[:, None, None] * side**2 + row[:, :, None] * side + column[:, None, :]
        batch = pixels.index_select(0, pixel.flatten()).view(n, 32, 32, 3)
        batch = batch.float().div_(255).sub_(mean).div_(std).permute(0, 3, 1, 2)
        with compute.autocast():
            logits = model(batch)
        loss = F.cross_entropy(logits.float(), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total.add_(loss.detach().double() * n)

    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(4):
            step()
    torch.cuda.current_stream().wait_stream(beside)
    optimiser.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    torch.cuda.synchronize()
    started = time.monotonic()
    for number in range(STEPS):
        for place, part in zip(held, (order, tops, lefts, flips), strict=True):
            place.copy_(part[number * n : (number + 1) * n])
        graph.replay()
    torch.cuda.synchronize()
    return STEPS * n / (time.monotonic() - started)


def deterministic(wanted: bool) -> None:
    """Lets torch choose kernels that need not give equal bits, or not."""
    torch.use_deterministic_algorithms(wanted)
    torch.backends.cudnn.benchmark = not wanted


def together(number: int, net: str = "ResNet-20", epochs: int = 30) -> float:
    """Images a second of so many trainings side by side, each in a process with its slot of the card."""
    environment = os.environ | {"TENFOLD_GPU_SLOTS": str(number)}
    at = time.time() + 20 + number  # all have started by then
    command = [sys.executable, __file__, net, str(epochs), str(at)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(number)]
    answers = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"of {number} trainings side by side, one failed")
    return sum(json.loads(answer) for answer in answers)


def worker(name: str, epochs: int, at: float) -> float:
    """One of many trainings: the median rate of its epochs after the first."""
    with tempfile.TemporaryDirectory() as folder:
        compute = start({"device": "cuda", "precision": "bf16"}, Job(resume=Path(folder) / "resume"))
        torch.zeros(1, device=compute.device)
        time.sleep(max(0.0, at - time.time()))
        return statistics.median(ours(name, compute, Path(folder), epochs)[1:])


if __name__ == "__main__":
    sys.exit(main())
