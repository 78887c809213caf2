"""A step of training, captured once as a CUDA graph and replayed.

A small net's step is bound by the launches of its kernels: ResNet-20 trains five times as fast when they are replayed.
Replaying runs the kernels that the step itself launches, so it sets no number and is no part of a job's identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tenfold.progress import FitState

if TYPE_CHECKING:
    from tenfold.training.batches import Drawn
    from tenfold.training.step import Loss, Step

WARM_UP = 3  # steps before a capture, in which libraries choose their kernels and take their memory


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
        optimiser = self._state.optimiser
        with _capturable(optimiser):
            with self._unchanged(), _on_a_stream_of_its_own():
                for _ in range(WARM_UP):
                    self._step(held, n, loss)
                with _refusing_to_wait():  # a capture that fails leaves CUDA's generator unusable, so it is tried first
                    self._step(held, n, loss)
            optimiser.zero_grad()  # gradients are the graph's own
            with torch.cuda.graph(graph, pool=self._pool):
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


@contextmanager
def _on_a_stream_of_its_own() -> Iterator[None]:
    """Runs kernels on a stream beside the current one, as a capture will."""
    side, current = torch.cuda.Stream(), torch.cuda.current_stream()
    side.wait_stream(current)
    with torch.cuda.stream(side):
        yield
    current.wait_stream(side)


@contextmanager
def _refusing_to_wait() -> Iterator[None]:
    """Makes an operation that waits for the device, which no capture can hold, a RuntimeError."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
