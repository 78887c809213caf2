"""Times a step of knowledge distillation on one core: Tenfold's against plain eager fp32 in NCHW order.

ResNet-20 teaches ResNet-8 (both of width 16), batch 64, a live teacher on both sides, the same loss, SGD with
momentum; images are ready in memory on both sides, so that arithmetic is compared. Tenfold: channels_last, and bf16
where the processor has it. A third column has the outputs of the teacher kept, as on fixed views. CPU seconds of this
process, in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.nets.build import build
from tenfold.papers.rco.method import frozen
from tenfold.papers.rco.route import cached, live
from tenfold.papers.rco.students import student_loss
from tenfold.training.compute import Compute, bf16_in_hardware
from tenfold.training.recipe import Recipe, build_optimiser

TEACHER: dict[str, Any] = {"family": "resnet", "name": "resnet20", "width": 16, "classes": 100}
STUDENT: dict[str, Any] = {"family": "resnet_small", "name": "resnet8", "width": 16, "classes": 100}
BATCH, STEPS, ROUNDS = 64, 12, 7
TAU, WEIGHT = 4.0, 0.9
TARGET = 2.3  # stated for processors with bf16 arithmetic


def main() -> None:
    """Prints the rates of all three and the ratios to the peer."""
    torch.set_num_threads(1)
    has_bf16 = bf16_in_hardware("cpu")
    compute = Compute(torch.device("cpu"), "bf16" if has_bf16 else "fp32")
    images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(100, (BATCH,))
    runs = {
        "peer": peer(images, labels),
        "live teacher": ours(images, labels, compute, keep=False),
        "kept outputs": ours(images, labels, compute, keep=True),
    }
    for run in runs.values():
        run()
    rounds = [{name: run() for name, run in runs.items()} for _ in range(ROUNDS)]
    print(f"bf16 in hardware: {'yes' if has_bf16 else 'no'}; {STEPS} steps a round, median of {ROUNDS} rounds")
    for name in runs:
        rate = STEPS * BATCH / statistics.median(seconds[name] for seconds in rounds)
        ratio = statistics.median(seconds["peer"] / seconds[name] for seconds in rounds)
        target = f"   target >= {TARGET}" if name == "live teacher" and has_bf16 else ""
        print(f"{name:<14}{rate:>8.0f} images/CPU-s{ratio:>7.2f} x{target}")


def ours(images: Tensor, labels: Tensor, compute: Compute, *, keep: bool) -> Callable[[], float]:
    """A function that takes ``STEPS`` steps as Tenfold's loop does and gives the CPU seconds."""
    student, teacher = compute.place(build(STUDENT)), compute.place(build(TEACHER))
    images, indices = images.contiguous(memory_format=torch.channels_last), torch.arange(BATCH)
    anchor = live(teacher, "pool")
    if keep:
        logits, features = anchor(images, indices)
        anchor = cached({"fit/logits": logits.half(), "fit/features": features.half()}, compute.device)
    loss = student_loss("kd", anchor, {"kd": {"tau": TAU, "weight": WEIGHT}})
    optimiser = build_optimiser(Recipe(epochs=1, batch_size=BATCH, lr=0.01, momentum=0.9), student)

    def run() -> float:
        started = time.process_time()
        for _ in range(STEPS):
            with compute.autocast():
                losses = loss(student, (images, labels, indices))
            assert isinstance(losses, dict)
            optimiser.zero_grad()
            losses["loss"].backward()
            optimiser.step()
        return time.process_time() - started

    return run


def peer(images: Tensor, labels: Tensor) -> Callable[[], float]:
    """A function that takes ``STEPS`` steps in plain torch and gives the CPU seconds."""
    student, teacher = build(STUDENT), frozen(build(TEACHER))
    optimiser = torch.optim.SGD(student.parameters(), 0.01, momentum=0.9)

    def run() -> float:
        started = time.process_time()
        for _ in range(STEPS):
            with torch.no_grad():
                wanted = teacher(images)
            loss = plain_loss(student, wanted, images, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return time.process_time() - started

    return run


def plain_loss(student: nn.Module, wanted: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """The same loss as it is usually written."""
    logits = student(images)
    soft = F.kl_div(F.log_softmax(logits / TAU, 1), F.softmax(wanted / TAU, 1), reduction="batchmean") * TAU**2
    return (1 - WEIGHT) * F.cross_entropy(logits, labels) + WEIGHT * soft


if __name__ == "__main__":
    main()
