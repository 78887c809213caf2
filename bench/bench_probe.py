"""Times the probe of variance shift on one core: a pass with it against a plain evaluation pass, fp32.

Nets of three families, 128 images of 32 x 32 a batch, channels_last; the same passes in turns, with and without the
hooks. CPU seconds of this process.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.nets.build import build
from tenfold.papers.variance_shift.method import probe

NETS: dict[str, dict[str, Any]] = {
    "PreResNet-20, bottleneck": {"family": "preresnet", "name": "preresnet_bottleneck", "depth": 20, "width": 16},
    "WRN-16-4": {"family": "wide_resnet", "name": "wide_resnet", "depth": 16, "width": 4},
    "DenseNet-BC 40-12": {"family": "densenet", "name": "densenet_bc", "depth": 40, "growth": 12},
}
BATCH, BATCHES, ROUNDS = 128, 2, 5
TARGET = 1.4


def main() -> None:
    """Prints the CPU seconds of both passes and their ratio for each net."""
    torch.set_num_threads(1)
    batches = [torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=torch.channels_last) for _ in range(BATCHES)]
    print(f"{BATCHES} batches of {BATCH}, median of {ROUNDS} rounds")
    for name, net in NETS.items():
        model = build(net).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        plain(model, batches)
        rounds = [(plain(model, batches), probed(model, batches)) for _ in range(ROUNDS)]
        ratio = statistics.median(with_probe / without for without, with_probe in rounds)
        seconds = statistics.median(without for without, _ in rounds)
        print(f"{name:<26}plain {seconds:.3f} s   with the probe {ratio:.2f} x   target <= {TARGET}")


def plain(model: nn.Module, batches: list[Tensor]) -> float:
    """CPU seconds of an evaluation pass."""
    started = time.process_time()
    with torch.no_grad():
        for batch in batches:
            model(batch)
    return time.process_time() - started


def probed(model: nn.Module, batches: list[Tensor]) -> float:
    """CPU seconds of the same pass with the probe."""
    started = time.process_time()
    probe(model, batches)
    return time.process_time() - started


if __name__ == "__main__":
    main()
