"""Times training steps of interlinked nets on one core: bf16 and channels_last against plain eager fp32.

The first and the last layer have kernels of 9 x 9 pixels at full resolution, and take most of a step: of little width,
they are not what convolutions are tuned for. Same net, same batch of 10, forward, backward and Adam, in turns within
one process; times are CPU seconds of this process, ratios medians over rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from tenfold.papers.icnn_face_parsing.method import InterlinkedCNN
from tenfold.training.compute import Compute, bf16_in_hardware

ROUNDS, BATCH, FOREGROUND = 5, 10, 8
NETS = {"small: 32 pixels, half widths": (32, (4, 8, 12, 16)), "paper: 64 pixels": (64, (8, 16, 24, 32))}
TARGET = 1.5  # stated for processors with bf16 arithmetic


def main() -> None:
    """Prints milliseconds of a step, and how many times as long the plain one takes."""
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    precision = "bf16" if bf16_in_hardware("cpu") else "fp32"
    target = f">= {TARGET}" if precision == "bf16" else "none without bf16"
    print(f"one core, batch {BATCH}, median of {ROUNDS} rounds in turns; target: {target}\n")
    print(f"{'net':<32}{'kernel':>7}{f'{precision}, channels_last, ms':>26}{'fp32, NCHW, ms':>16}{'ratio':>8}")
    for name, (side, widths) in NETS.items():
        for kernel in (9, 5):
            forms = [
                step(side, widths, kernel, Compute(cpu, precision), torch.channels_last),
                step(side, widths, kernel, Compute(cpu, "fp32"), torch.contiguous_format),
            ]
            for form in forms:
                form()
            rounds = [[form() for form in forms] for _ in range(ROUNDS)]
            ours, plain = (1e3 * statistics.median(column) for column in zip(*rounds, strict=True))
            ratio = statistics.median(theirs / mine for mine, theirs in rounds)
            print(f"{name:<32}{kernel:>7}{ours:>26.0f}{plain:>16.0f}{ratio:>7.2f}x", flush=True)


def step(
    side: int, widths: tuple[int, ...], kernel: int, compute: Compute, order: torch.memory_format
) -> Callable[[], float]:
    """A function that takes one training step and gives the CPU seconds."""
    net = InterlinkedCNN(FOREGROUND, widths, kernel).to(memory_format=order)  # type: ignore[call-overload]
    images = torch.randn(BATCH, 3, side, side).contiguous(memory_format=order)
    labels = torch.randint(FOREGROUND + 1, (BATCH, side, side))
    optimiser = torch.optim.Adam(net.parameters())

    def seconds() -> float:
        started = time.process_time()
        with compute.autocast():
            logits = net(images)
        F.cross_entropy(logits.float(), labels).backward()
        optimiser.step()
        optimiser.zero_grad()
        return time.process_time() - started

    return seconds


if __name__ == "__main__":
    main()
