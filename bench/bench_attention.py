"""Times attention modules on one core, forward and backward: Tenfold's form against the straightforward one.

Both forms compute the same (tests hold them together) and see the same maps, in turns within one process; times are
CPU seconds of this process, their ratio the median over rounds. fp32 in NCHW order is how modules are mostly written
and timed; bf16 in channels_last order is how Tenfold trains where the processor has bf16.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tenfold.papers.sge.fast import FastSpatialGroupEnhance
from tenfold.papers.sge.method import spatial_group_enhance

ROUNDS = 9
TRAINING = torch.bfloat16, torch.channels_last  # as Tenfold trains

Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """A module on maps of one shape.

    Attributes:
        name: what is printed.
        shape: of the maps, (B, C, H, W).
        module: makes the module.
        plain: from the module to the straightforward form with the same parameters.
        target: the ratio that is stated for fp32 in NCHW order; None where none is.
    """

    name: str
    shape: tuple[int, int, int, int]
    module: Callable[[], nn.Module]
    plain: Callable[[nn.Module], Forward]
    target: float | None = None


def sge(groups: int) -> Callable[[], nn.Module]:
    """SGE with gammas that are not 0."""
    return lambda: FastSpatialGroupEnhance(groups, gamma=0.3)


def plain_sge(module: nn.Module) -> Forward:
    """SGE as the paper writes it."""
    weight, bias = module.get_parameter("weight"), module.get_parameter("bias")
    return lambda maps: spatial_group_enhance(maps, weight, bias)


CASES = [
    Case("SGE, conv2_x of ResNet-50", (16, 256, 56, 56), sge(64), plain_sge, target=1.3),
    Case("SGE, conv3_x of ResNet-50", (16, 512, 28, 28), sge(64), plain_sge),
    Case("SGE, conv4_x of ResNet-50", (16, 1024, 14, 14), sge(64), plain_sge),
    Case("SGE, first stage at real", (64, 16, 16, 16), sge(4), plain_sge),
]


def main() -> None:
    """Prints the times of both forms and their ratio, for each case and both ways to lay out maps."""
    torch.set_num_threads(1)
    print(f"forward and backward, one core, median of {ROUNDS} rounds in turns\n")
    print(f"{'module':<28}{'maps':<20}{'plain, ms':>11}{'ours, ms':>10}{'ratio':>8}   target")
    for case in CASES:
        for dtype, order in ((torch.float32, torch.contiguous_format), TRAINING):
            compare(case, dtype, order)


def compare(case: Case, dtype: torch.dtype, order: torch.memory_format) -> None:
    """Prints one line."""
    maps = torch.randn(case.shape).to(dtype).contiguous(memory_format=order)
    module = case.module()
    forms: dict[str, Forward] = {"plain": case.plain(module), "ours": module}
    upstream = torch.randn_like(maps)
    for form in forms.values():
        seconds(form, maps, upstream)
    rounds = [{name: seconds(form, maps, upstream) for name, form in forms.items()} for _ in range(ROUNDS)]
    plain, ours = (1e3 * statistics.median(one[name] for one in rounds) for name in forms)
    ratio = statistics.median(one["plain"] / one["ours"] for one in rounds)
    layout = "fp32, NCHW" if dtype == torch.float32 else "bf16, channels_last"
    target = f"   >= {case.target}" if case.target and dtype == torch.float32 else ""
    print(f"{case.name:<28}{layout:<20}{plain:>11.1f}{ours:>10.1f}{ratio:>7.2f}x{target}", flush=True)


def seconds(form: Forward, maps: Tensor, upstream: Tensor) -> float:
    """CPU seconds of one forward and backward pass."""
    maps = maps.detach().requires_grad_()
    started = time.process_time()
    form(maps).backward(upstream)
    return time.process_time() - started


if __name__ == "__main__":
    main()
