"""One step of training: plain on a CPU; on a GPU captured once and replayed (`tenfold.capture`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype

from tenfold.capture import Captured
from tenfold.progress import FitState
from tenfold.training.batches import Drawn
from tenfold.training.compute import Compute

Losses = Tensor | dict[str, Tensor]  # a loss, or named batch means of which "loss" is minimised and the others noted
Loss = Callable[[nn.Module, Any], Losses]  # of model and batch
Step = Callable[[Drawn, int, Loss], None]  # of what was drawn for a batch, the number of its examples, and a loss


def training_step(
    state: FitState,
    make: Callable[..., Any],
    compute: Compute,
    *,
    clip_norm: float | None = None,
    after_step: Callable[[nn.Module], None] | None = None,
    decay: float | None = None,
) -> Step:
    """A step: a batch, its loss, the gradient, the optimiser, the moving average, and the sums of the losses.

    Args:
        state: the net, its optimiser, the moving average of its weights; the step adds to ``sums``.
        make: from what was drawn to a batch.
        compute: where, and in which precision.
        clip_norm: largest L2 norm of the whole gradient.
        after_step: runs on the net after each step.
        decay: of the moving average, if there is one.
    """
    model, optimiser, average = state.model, state.optimiser, state.average
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]

    def step(drawn: Drawn, n: int, loss: Loss) -> None:
        batch = make(*drawn)
        with compute.autocast():
            losses = loss(model, batch)
        if isinstance(losses, Tensor):
            losses = {"loss": losses}
        optimiser.zero_grad()
        losses["loss"].backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, clip_norm)
        optimiser.step()
        if after_step is not None:
            after_step(model)
        if average is not None and state.step == 0:
            average.load_state_dict(model.state_dict())
        elif average is not None and decay is not None:
            # AveragedModel of torch, from where this is, asks the device at each step whether it is the first.
            pairs: list[list[Tensor | None]] = [[*average.state_dict().values()], [*model.state_dict().values()]]
            for (averaged, current), _ in _group_tensors_by_device_and_dtype(pairs).values():
                get_ema_multi_avg_fn(decay)(averaged, current, None)
        for name, value in losses.items():
            total = value.detach().double() * n
            if name in state.sums:
                state.sums[name] += total
            else:
                state.sums[name] = total

    return step


def on_device(step: Step, state: FitState, compute: Compute, say: Callable[[str], None]) -> Step:
    """A step as it runs on a device: on a CPU as it is, on a GPU captured; after the fit's state was restored."""
    if compute.device.type != "cuda":
        return step
    for group in state.optimiser.param_groups:
        # A captured step reads its rate anew each time; float32, as which fused kernels take it.
        group["lr"] = torch.tensor(float(group["lr"]), dtype=torch.float32, device=compute.device)
    return Captured(step, state, say) if compute.captures else step


def set_rates(optimiser: torch.optim.Optimizer, rates: list[float]) -> None:
    """Sets the learning rate of each parameter group."""
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
