"""Times how selective kernels select, forward and backward, on one core: Tenfold's form against two plain ones.

Of two branches Tenfold makes one pass over the maps: a sigmoid of the difference of logits, and a linear interpolation.
*Equations*: a softmax, two products and a sum, as the paper writes it (``select``, which tests hold it to). *Stacked*:
branches in one tensor with an axis more, as most ports have it. *Unit*: the whole module, convolutions included. All
see the same maps, in turns within one process; times are CPU seconds of this process, ratios medians over rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tenfold.papers.sknet import method
from tenfold.papers.sknet.method import SelectiveKernel, attention_weights, dilated_kernels, select, select_of_two

Select = Callable[[Sequence[Tensor], Tensor], Tensor]

ROUNDS = 11
SHAPES = {"SK_3_1 of SKNet-50": (32, 256, 28, 28), "SK_2_1 at real": (64, 16, 16, 16)}
LAYOUTS = {
    "fp32, NCHW": (torch.float32, torch.contiguous_format),
    "bf16, channels_last": (torch.bfloat16, torch.channels_last),
}
TARGET = 1.1  # of ours over the equations, stated for selection alone on the larger maps


def stacked(branches: Sequence[Tensor], logits: Tensor) -> Tensor:
    """Select on one tensor (N, M, C, H, W)."""
    maps = torch.stack(list(branches), 1)
    return (maps * attention_weights(logits).to(maps.dtype)[..., None, None]).sum(1)


FORMS: dict[str, Select] = {"ours": select_of_two, "equations": select, "stacked": stacked}


def main() -> None:
    """Prints milliseconds of each form, and how many times as long the others take."""
    torch.set_num_threads(1)
    print(f"forward and backward, one core, median of {ROUNDS} rounds in turns; target: equations >= {TARGET}x\n")
    print(f"{'what':<28}{'maps':<21}{'ours, ms':>9}{'equations':>11}{'stacked':>9}")
    for name, shape in SHAPES.items():
        for layout, (dtype, order) in LAYOUTS.items():
            maps = [torch.randn(shape).to(dtype).contiguous(memory_format=order) for _ in range(3)]
            report(f"select, {name}", layout, selection(maps))
        report(f"unit, {name}", "fp32, NCHW", unit(torch.randn(shape)))


def selection(maps: list[Tensor]) -> Callable[[Select], float]:
    """Seconds of selecting alone: two branches and the gradient of the output."""
    logits = torch.randn(len(maps[0]), 2, maps[0].shape[1])

    def seconds(form: Select) -> float:
        leaves = [tensor.detach().requires_grad_() for tensor in (*maps[:2], logits)]
        started = time.process_time()
        form(leaves[:2], leaves[2]).backward(maps[2])
        return time.process_time() - started

    return seconds


def unit(maps: Tensor) -> Callable[[Select], float]:
    """Seconds of the whole module, with one form of selecting put into it."""
    module = SelectiveKernel(maps.shape[1], dilated_kernels(2, maps.shape[1] // 4))

    def seconds(form: Select) -> float:
        method.select_of_two = form
        leaf = maps.detach().requires_grad_()
        started = time.process_time()
        module(leaf).backward(maps)
        spent = time.process_time() - started
        method.select_of_two = select_of_two
        return spent

    return seconds


def report(name: str, layout: str, seconds: Callable[[Select], float]) -> None:
    """Prints one line."""
    for form in FORMS.values():
        seconds(form)
    rounds = [{label: seconds(form) for label, form in FORMS.items()} for _ in range(ROUNDS)]
    ours = 1e3 * statistics.median(one["ours"] for one in rounds)
    ratios = [statistics.median(one[label] / one["ours"] for one in rounds) for label in ("equations", "stacked")]
    print(f"{name:<28}{layout:<21}{ours:>9.2f}{ratios[0]:>10.2f}x{ratios[1]:>8.2f}x", flush=True)


if __name__ == "__main__":
    main()
