"""Times training steps, data included, on one core: Tenfold's loop against plain torch and torchvision.

Tenfold: the loop with uint8 images in memory, augmented per batch, channels_last, in bf16 where the processor has it.
Peer: eager fp32 in NCHW order, fed by ``torchvision.datasets.CIFAR10`` with its transforms through a DataLoader
without workers. Same nets, batch 128, SGD with momentum, in turns, in CPU seconds of this process.
CIFAR-10 comes from TENFOLD_MIRROR; where that is not set, random images in CIFAR-10's format take its place.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import CIFAR10

from tenfold.launcher import Job
from tenfold.nets.build import build
from tenfold.progress import Progress
from tenfold.training.batches import image_batches
from tenfold.training.compute import Compute, bf16_in_hardware, start
from tenfold.training.loop import fit
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe, build_optimiser

NETS: dict[str, dict[str, Any]] = {
    "VGG-16, width 8": {"family": "vgg", "name": "vgg16", "width": 8, "classes": 10},
    "ResNet-20, width 16": {"family": "resnet", "name": "resnet20", "width": 16, "classes": 10},
}
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
STEPS, ROUNDS = 12, 5
TARGET = 1.8  # stated for processors with bf16 arithmetic


def main() -> None:
    """Prints the rates of both, their ratio, and where a step's time goes."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = cifar10(Path(folder))
        job = Job(resume=Path(folder) / "resume.safetensors")
        compute = start({"device": "cpu"}, job)
        has_bf16 = bf16_in_hardware("cpu")
        print(f"bf16 in hardware: {'yes' if has_bf16 else 'no'}; {STEPS} steps a round, median of {ROUNDS} rounds\n")
        print(f"{'net':<22}{'ours, images/s':>16}{'peer, images/s':>16}{'ratio':>8}   target")
        for name, net in NETS.items():
            compare(name, net, dataset, compute, job)
        print(f"\n{'net':<22}{'batch':>7}{'precision':>11}{'images/s':>10}   share of a step")
        for name, net in NETS.items():
            for batch_size in (64, 128):
                for precision in ("fp32", "bf16") if has_bf16 else ("fp32",):
                    shares(name, net, dataset, batch_size, Compute(compute.device, precision))


def compare(name: str, net: dict[str, Any], dataset: CIFAR10, compute: Compute, job: Job) -> None:
    """Times both in turns, after a round to warm up."""
    rounds = [ours(net, dataset, compute, job), peer(net, dataset)]
    for run in rounds:
        run()
    seconds = [[run() for run in rounds] for _ in range(ROUNDS)]
    rates = [STEPS * 128 / statistics.median(column) for column in zip(*seconds, strict=True)]
    ratio = statistics.median(theirs / mine for mine, theirs in seconds)
    verdict = f">= {TARGET}" if compute.precision == "bf16" else "none without bf16"
    print(f"{name:<22}{rates[0]:>16.0f}{rates[1]:>16.0f}{ratio:>8.2f}   {verdict}", flush=True)


def ours(net: dict[str, Any], dataset: CIFAR10, compute: Compute, job: Job) -> Callable[[], float]:
    """A function that trains ``STEPS`` steps with Tenfold's loop and gives the CPU seconds."""
    recipe = Recipe(epochs=1, batch_size=128, lr=0.01, momentum=0.9, weight_decay=1e-4)
    model, batches = compute.place(build(net)), in_memory(dataset, STEPS * 128, 128, compute)

    def run() -> float:
        torch.use_deterministic_algorithms(True)
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
            started = time.process_time()
            fit(model, batches, classification(), recipe, compute, Progress(job))
            return time.process_time() - started

    return run


def peer(net: dict[str, Any], dataset: CIFAR10) -> Callable[[], float]:
    """A function that trains ``STEPS`` steps in plain torch and gives the CPU seconds."""
    model = build(net)
    optimiser = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(Subset(dataset, range(STEPS * 128)), batch_size=128, shuffle=True)

    def run() -> float:
        torch.use_deterministic_algorithms(False)
        started = time.process_time()
        for images, labels in loader:
            loss = F.cross_entropy(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return time.process_time() - started

    return run


def shares(name: str, net: dict[str, Any], dataset: CIFAR10, batch_size: int, compute: Compute) -> None:
    """Prints the rate of our step and the shares of its four parts."""
    model = compute.place(build(net))
    recipe = Recipe(epochs=1, batch_size=batch_size, lr=0.01, momentum=0.9, weight_decay=1e-4)
    optimiser, loss = build_optimiser(recipe, model), classification()
    batches = in_memory(dataset, STEPS * batch_size, batch_size, compute)
    spent: dict[str, list[float]] = {"data": [], "forward": [], "backward": [], "optimiser": []}
    for _ in range(3 * STEPS):
        times = [time.process_time()]
        batch, _ = batches.next()
        times.append(time.process_time())
        with compute.autocast():
            losses = loss(model, batch)
        times.append(time.process_time())
        optimiser.zero_grad()
        value = losses["loss"] if isinstance(losses, dict) else losses
        value.backward()
        times.append(time.process_time())
        optimiser.step()
        times.append(time.process_time())
        for part, (begin, end) in zip(spent, itertools.pairwise(times), strict=True):
            spent[part].append(end - begin)
    medians = {part: statistics.median(values) for part, values in spent.items()}
    step = sum(medians.values())
    text = "  ".join(f"{part} {seconds / step:.0%}" for part, seconds in medians.items())
    print(f"{name:<22}{batch_size:>7}{compute.precision:>11}{batch_size / step:>10.0f}   {text}", flush=True)


def in_memory(dataset: CIFAR10, n: int, batch_size: int, compute: Compute) -> Any:
    """Tenfold's batches of the first ``n`` images."""
    images = torch.from_numpy(dataset.data[:n]).permute(0, 3, 1, 2)
    return image_batches(images, torch.tensor(dataset.targets[:n]), batch_size=batch_size, augment="crop_flip",
                         mean=MEAN, std=STD, seed=0, device=compute.device)  # fmt: skip


def cifar10(folder: Path) -> CIFAR10:
    """CIFAR-10 from the mirror, or random images in its format, with torchvision's usual transforms."""
    usual = transforms.Compose([
        transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize(MEAN, STD),
    ])  # fmt: skip
    mirror = Path(os.environ.get("TENFOLD_MIRROR", folder))
    if (mirror / CIFAR10.base_folder).is_dir():
        print(f"data: CIFAR-10 from {mirror}")
        return CIFAR10(str(mirror), transform=usual)
    print("data: random images in CIFAR-10's format (TENFOLD_MIRROR has no CIFAR-10)")
    return random_cifar10(folder)(str(folder), transform=usual)


def random_cifar10(folder: Path) -> type[CIFAR10]:
    """Writes one random batch of CIFAR-10's format; gives torchvision's class with that file's checksums."""
    rng = np.random.default_rng(0)
    n = STEPS * 128
    pixels = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
    contents = {
        "data_batch_1": {"data": pixels, "labels": rng.integers(0, 10, n).tolist()},
        "batches.meta": {"label_names": [str(label) for label in range(10)]},
    }
    target = folder / CIFAR10.base_folder
    target.mkdir()
    checksums = {}
    for name, content in contents.items():
        (target / name).write_bytes(pickle.dumps(content))
        checksums[name] = hashlib.md5((target / name).read_bytes(), usedforsecurity=False).hexdigest()

    attributes = {
        "train_list": [["data_batch_1", checksums["data_batch_1"]]],
        "test_list": [],
        "meta": {"filename": "batches.meta", "key": "label_names", "md5": checksums["batches.meta"]},
    }
    return type("RandomCIFAR10", (CIFAR10,), attributes)


if __name__ == "__main__":
    main()
