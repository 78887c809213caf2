"""Times the training of the MSVD captioner on one core: bf16 autocast, as Tenfold trains, against fp32.

The official sizes (512 units, 12,594 words, 3,584 features), batches of 64 captions of 4 to 10 words, Adam, one loss on
both sides; a third of the steps are fed the model's own words, as in the last epochs. The batch is ready in memory. CPU
seconds of this process, in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from tenfold.papers.video_captioning.method import Captioner, caption_loss
from tenfold.training.compute import Compute, bf16_in_hardware

CLASSES, WORDS, TAGS, FEATURES, HIDDEN = 12_594, 300, 300, 3_584, 512
BATCH, STEPS, ITERATIONS, ROUNDS = 64, 10, 1, 5
OWN = [t % 3 == 2 for t in range(STEPS)]
TARGET = 1.4  # stated for processors with bf16 arithmetic

Batch = tuple[torch.Tensor, ...]


def main() -> None:
    """Prints the rates of both and the ratio."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    has_bf16 = bf16_in_hardware("cpu")
    lengths = torch.randint(4, STEPS + 1, (BATCH,)).sort(descending=True).values
    batch = (torch.rand(BATCH, FEATURES), torch.rand(BATCH, TAGS), torch.randint(CLASSES, (BATCH, STEPS)), lengths)
    runs = {precision: iterations(batch, precision) for precision in ("fp32", "bf16")}
    for run in runs.values():
        run()
    rounds = [{name: run() for name, run in runs.items()} for _ in range(ROUNDS)]
    print(f"bf16 in hardware: {'yes' if has_bf16 else 'no'}; {ITERATIONS} iterations a round, {ROUNDS} rounds, median")
    for name in runs:
        rate = ITERATIONS * BATCH / statistics.median(seconds[name] for seconds in rounds)
        ratio = statistics.median(seconds["fp32"] / seconds[name] for seconds in rounds)
        target = f"   target >= {TARGET}" if name == "bf16" and has_bf16 else ""
        print(f"{name:<6}{rate:>9.1f} captions/CPU-s{ratio:>7.2f} x{target}")


def iterations(batch: Batch, precision: str) -> Callable[[], float]:
    """A function that takes ``ITERATIONS`` iterations as Tenfold does and gives the CPU seconds."""
    torch.manual_seed(0)
    compute = Compute(torch.device("cpu"), precision)
    net = compute.place(Captioner(0.1 * torch.randn(CLASSES, WORDS), TAGS, FEATURES, HIDDEN))
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 4e-4, fused=True)
    z, s, words, lengths = batch

    def run() -> float:
        started = time.process_time()
        for _ in range(ITERATIONS):
            with compute.autocast():
                loss = caption_loss(net(z, s, words, lengths, OWN), words, lengths, beta=0.7)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return time.process_time() - started

    return run


if __name__ == "__main__":
    main()
