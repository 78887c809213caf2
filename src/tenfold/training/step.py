"""One step of training, and on a GPU the same step captured once as a CUDA graph and replayed.

A small net's step is bound by the launches of its kernels: ResNet-20 trains five times as fast when they are replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype

from tenfold.progress import FitState
from tenfold.training.batches import Drawn
from tenfold.training.compute import Compute

Losses = Tensor | dict[str, Tensor]  # a loss, or named batch means of which "loss" is minimised and the others noted
Loss = Callable[[nn.Module, Any], Losses]  # of model and batch
Step = Callable[[Drawn, int, Loss], None]  # of what was drawn for a batch, the number of its examples, and a loss
WARM_UP = 3  # steps before a capture, in which libraries choose their kernels and take their memory


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
        with compute.autocast():
            losses = loss(model, make(*drawn))
        if isinstance(losses, Tensor):
            losses = {"loss": losses}
        optimiser.zero_grad()
        losses["loss"].backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, clip_norm)
        optimiser.step()
        if after_step is not None:
            after_step(model)
        if average is not None and decay is not None:
            update_average(average, model, decay, first=state.step == 0)
        for name, value in losses.items():
            total = value.detach().double() * n
            if name in state.sums:
                state.sums[name] += total
            else:
                state.sums[name] = total

    return step


def update_average(average: nn.Module, model: nn.Module, decay: float, *, first: bool) -> None:
    """A step of the exponential moving average of weights and buffers; the first step's net is its first value.

    As `torch.optim.swa_utils.AveragedModel` has it, which asks the device each time whether it is the first.
    """
    if first:
        average.load_state_dict(model.state_dict())
        return
    pairs: list[list[Tensor | None]] = [[*average.state_dict().values()], [*model.state_dict().values()]]
    for (averaged, current), _ in _group_tensors_by_device_and_dtype(pairs).values():
        get_ema_multi_avg_fn(decay)(averaged, current, None)


@dataclass(frozen=True)
class Graph:
    """A captured step: it reads what was drawn where it lay when it was captured."""

    held: Drawn
    graph: torch.cuda.CUDAGraph


class Captured:
    """A step on a GPU, captured for each loss and each shape of what is drawn, and replayed from then on.

    The first step of a fit runs as it is, for it makes the optimiser's state. All others are replayed, so that a fit
    that was stopped anywhere goes on to the same bits. A step that cannot be captured (shapes that depend on data,
    numbers that are taken to the processor) runs as it is, and the job says so once.

    Args:
        step: the step; all that it changes is in ``state``, in CUDA's default generator, or made anew.
        state: of the fit.
        say: takes a line for the user.
    """

    def __init__(self, step: Step, state: FitState, say: Callable[[str], None]) -> None:
        self._step, self._state, self._say = step, state, say
        self._graphs: dict[Any, Graph] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._is_eager = False

    def __call__(self, drawn: Drawn, n: int, loss: Loss) -> None:
        """Takes the step."""
        if self._state.step == 0 or self._is_eager:
            self._step(drawn, n, loss)
            return
        key = (loss, *(part.shape for part in drawn))
        if key not in self._graphs:
            try:
                self._graphs[key] = self._capture(drawn, n, loss)
            except RuntimeError as error:
                self._is_eager = True
                why = str(error).partition("\n")[0]
                self._say(f"the steps are not captured as a CUDA graph, and so are slower: {why}")
                self._step(drawn, n, loss)
                return
        captured = self._graphs[key]
        for held, part in zip(captured.held, drawn, strict=True):
            held.copy_(part)
        captured.graph.replay()

    def _capture(self, drawn: Drawn, n: int, loss: Loss) -> Graph:
        held, graph = tuple(part.to("cuda", copy=True) for part in drawn), torch.cuda.CUDAGraph()
        with self._unchanged():
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    self._step(held, n, loss)
            torch.cuda.current_stream().wait_stream(side)
            self._state.optimiser.zero_grad()  # gradients are the graph's own
            with _capturable(self._state.optimiser), torch.cuda.graph(graph, pool=self._pool):
                self._step(held, n, loss)
        return Graph(held, graph)

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Puts back, in its place, all that steps change."""
        tensors = list(changed_by_steps(self._state))
        before, random = [tensor.clone() for tensor in tensors], torch.cuda.get_rng_state()
        try:
            yield
        finally:
            torch.cuda.synchronize()
            with torch.no_grad():
                for tensor, was in zip(tensors, before, strict=True):
                    tensor.copy_(was)
            torch.cuda.set_rng_state(random)


def changed_by_steps(state: FitState) -> Iterator[Tensor]:
    """Every tensor of a fit that its steps change in place."""
    yield from state.model.state_dict().values()
    for values in state.optimiser.state.values():
        yield from (value for value in values.values() if isinstance(value, Tensor))
    if state.average is not None:
        yield from state.average.state_dict().values()
    yield from state.sums.values()


@contextmanager
def _capturable(optimiser: torch.optim.Optimizer) -> Iterator[None]:
    """Tells an optimiser that asks for it that it is being captured; its fused form computes the same."""
    groups = [group for group in optimiser.param_groups if "capturable" in group]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in groups:
            group["capturable"] = False


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
