"""Times the training of an LSTM of width 128 on one core: bf16 autocast, as Tenfold trains, against fp32.

The note layer of HRNN melody (two LSTMs, 121 inputs, 38 events), batches of 64 windows of 128 sixteenths, Adam, the
same loss and clipping on both sides; the batch is ready in memory. CPU seconds of this process, in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from tenfold.papers.melody.layers import Layer, window_losses
from tenfold.training.compute import Compute, bf16_in_hardware

WIDTH, DEPTH, DROPOUT = 128, 2, 0.3
BATCH, STEPS, ITERATIONS, ROUNDS = 64, 128, 3, 7
TARGET = 1.4  # stated for processors with bf16 arithmetic


def main() -> None:
    """Prints the rates of both and the ratio."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    has_bf16 = bf16_in_hardware("cpu")
    layer = Layer("note", 38, (), (4, 8), 5)
    events = torch.randint(38, (BATCH, STEPS)) * (torch.rand(BATCH, STEPS) < 0.2)
    inputs = torch.stack([layer.inputs({"note": piece}) for piece in events]).float()
    runs = {precision: iterations(layer, (inputs, events), precision) for precision in ("fp32", "bf16")}
    for run in runs.values():
        run()
    rounds = [{name: run() for name, run in runs.items()} for _ in range(ROUNDS)]
    print(f"bf16 in hardware: {'yes' if has_bf16 else 'no'}; {ITERATIONS} iterations a round, {ROUNDS} rounds, median")
    for name in runs:
        rate = ITERATIONS * BATCH * STEPS / statistics.median(seconds[name] for seconds in rounds)
        ratio = statistics.median(seconds["fp32"] / seconds[name] for seconds in rounds)
        target = f"   target >= {TARGET}" if name == "bf16" and has_bf16 else ""
        print(f"{name:<6}{rate:>9.0f} sixteenths/CPU-s{ratio:>7.2f} x{target}")


def iterations(layer: Layer, batch: tuple[torch.Tensor, torch.Tensor], precision: str) -> Callable[[], float]:
    """A function that takes ``ITERATIONS`` iterations as Tenfold does and gives the CPU seconds."""
    torch.manual_seed(0)
    compute = Compute(torch.device("cpu"), precision)
    net = compute.place(layer.net(WIDTH, DEPTH, DROPOUT))
    optimiser = torch.optim.Adam(net.parameters(), 1e-3, fused=True)

    def run() -> float:
        started = time.process_time()
        for _ in range(ITERATIONS):
            with compute.autocast():
                losses = window_losses(net, batch)
            optimiser.zero_grad()
            losses["loss"].backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
        return time.process_time() - started

    return run


if __name__ == "__main__":
    main()
