"""Measures how dropout shifts the variance that BatchNorm sees between training and test.

"Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift" (Li et al.,
arXiv:1801.05134, CVPR 2019). Dropout scales up what it keeps, so that means agree in training and test, but variances
do not; a BatchNorm behind it normalises test activations by the variance of training. This module has

1. the shift, Var_test / Var_train, as formulas (``shift_before_bn``, ``shift_before_conv``, ``shift_of_uout``);
2. where dropout may go in a net (``insert_noise``), and the noise that shifts less (``Uout``);
3. the measurement in a trained net (``probe``): the variance stored by each BatchNorm against the one that enters it in
   test mode, whatever the net;
4. the repair: moving averages measured anew in test mode, in three readings (``adjust``, ``readjust``, ``settle``).

``retain`` is the share of units that dropout keeps (the paper's p); PyTorch's ``p``, and the rates of tables and arms,
are the share that it drops. ``probe`` and what follows work on any torch net with BatchNorm.

Claim C4 of the paper: 1.004 to 1.012 without dropout, 1.37 to 1.59 at 0.5 (measured in Figure 4).
Ours at real (n = 5): mean_ratio of cifar-10/preresnet14/none 1.015, of cifar-10/preresnet14/a-0.5 1.603. Runtime: 176
CPU-seconds at small, about 90 CPU-minutes at real (two cores).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)

# The shift as formulas ----------------------------------------------------------------------------------------------


def variance_of_dropped(retain: float, mean: float, variance: float) -> float:
    """Var(a x / p) of inverted dropout in training: ``(c^2 + v) / p - c^2`` (eq. 7).

    Args:
        retain: p, the probability that a unit is kept, in (0, 1].
        mean: c, of the unit.
        variance: v, of the unit.
    """
    return (mean**2 + variance) / retain - mean**2


def shift_before_bn(retain: float, mean: float, variance: float) -> float:
    """Var_test / Var_train of case (a), dropout right before BatchNorm: ``v / ((c^2 + v) / p - c^2)`` (eq. 8)."""
    return variance / variance_of_dropped(retain, mean, variance)


def shift_before_conv(retain: float, mean: float, variance: float, correlation: float, d_cos2: float) -> float:
    """Var_test / Var_train of case (b), dropout before a linear or convolution layer before BatchNorm (eq. 14).

    Exact where all pairs of the layer's inputs are equally correlated and the weights are constant.

    Args:
        retain: p, the probability that an input is kept.
        mean: c, of each input.
        variance: v, of each input.
        correlation: rho, of two inputs.
        d_cos2: d cos^2(theta): inputs of a unit, times ``cos2`` of its weights; at least 0.
    """
    common = variance * correlation * (d_cos2 - 1)
    return (variance + common) / (variance_of_dropped(retain, mean, variance) + common)


def shift_before_weights(retain: float, mean: float, variance: float, correlation: float, weights: Tensor) -> float:
    """The same from the weights (d,) themselves, before their angle is brought in (eq. 12)."""
    squares = float(weights.square().sum())
    products = float(weights.sum() ** 2) - squares  # sum of w_i w_j over i != j
    common = variance * correlation * products
    return (variance * squares + common) / (variance_of_dropped(retain, mean, variance) * squares + common)


def shift_of_uout(beta: float, mean: float = 0.0, variance: float = 1.0) -> float:
    """Var_test / Var_train of Uout right before BatchNorm: ``3 / (3 + beta^2)`` for inputs of mean 0 (eq. 15).

    With a mean c other than 0 (not in the paper): ``v / (v + (c^2 + v) beta^2 / 3)``.
    """
    return variance / (variance + (mean**2 + variance) * beta**2 / 3)


def cos2(weights: Tensor) -> Tensor:
    """cos^2 of the angle between weights and the vector of ones: ``(sum w)^2 / (d sum w^2)`` (eq. 13).

    Args:
        weights: (C_out, ...): one row of d = C_in / groups * k * k numbers for each output.

    Returns:
        (C_out,), each in [0, 1].
    """
    rows = weights.flatten(1)
    return rows.sum(1).square() / (rows.shape[1] * rows.square().sum(1))


# Where noise goes ---------------------------------------------------------------------------------------------------


class Uout(nn.Module):
    """Uniform noise in place of dropout: ``x + x r`` with r from U(-beta, beta) in training, x in test (Sec. 5.2)."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return torch.addcmul(x, x, torch.empty_like(x).uniform_(-self.beta, self.beta)) if self.training else x

    def extra_repr(self) -> str:
        """What printing the module shows."""
        return f"beta={self.beta}"


# Placement -> what of a block, or of the net, it takes the place of.
SITES = {
    "a": "before_last_bn",
    "b": "before_last_conv",
    "uout": "before_last_conv",
    "last": "before_classifier",
}


def insert_noise(net: Net, placement: str, rate: float) -> Net:
    """Puts noise into a net, in place; it drops single elements, never whole channels.

    Args:
        net: with the attributes named in ``SITES``, in its blocks or in itself.
        placement: ``none``; ``a``, dropout right before each block's last BatchNorm (case a); ``b``, right before
            each block's last convolution (case b); ``last``, once before the classifier, behind all BatchNorms;
            ``uout``, Uout in the places of ``b``.
        rate: drop ratio, or beta of Uout.

    Raises:
        ValueError: the placement is unknown, or the net has no such place.
    """
    if placement == "none":
        return net
    if placement not in SITES:
        raise ValueError(f"placement {placement!r} of dropout is not one of none, {', '.join(SITES)}")
    sites = [module for module in net.modules() if hasattr(module, SITES[placement])]
    if not sites:
        raise ValueError(f"{type(net).__name__} has no place for noise {placement!r}: no part has {SITES[placement]}")
    for module in sites:
        noise = Uout(rate) if placement == "uout" else nn.Dropout(rate)
        setattr(module, SITES[placement], noise.train(module.training))
    return net


# The shift in a trained net -----------------------------------------------------------------------------------------

BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class LayerShift:
    """What a BatchNorm layer holds of training, and what enters it in test mode.

    Attributes:
        name: of the layer.
        moving_var: variance of each channel as training left it, (C,).
        real_mean: mean of each channel of what enters in test mode, (C,).
        real_var: its unbiased variance, averaged over batches, (C,).
    """

    name: str
    moving_var: Tensor
    real_mean: Tensor
    real_var: Tensor

    @property
    def moving(self) -> float:
        """Mean of the stored variances over the channels."""
        return float(self.moving_var.double().mean())

    @property
    def real(self) -> float:
        """Mean of the measured variances over the channels."""
        return float(self.real_var.double().mean())

    @property
    def ratio(self) -> float:
        """The shift as Fig. 4 draws it: the larger of both means over the smaller, at least 1."""
        return max(self.real / self.moving, self.moving / self.real)


@contextmanager
def watched(net: nn.Module, momentum: float = 0.0) -> Iterator[list[LayerShift]]:
    """Gathers, within the block, the statistics of what enters each BatchNorm in forward passes of the net.

    They are taken before the layer runs, so nothing that works in place behind it can change them.

    Args:
        net: any net; its modes are left alone.
        momentum: of the moving average over batches; 0 for the plain average. The first batches are always averaged
            plainly, until 1 / momentum of them were seen, so that no start value is left in the result.

    Yields:
        The layers in the order in which they run first.

    Raises:
        ValueError: the net has no BatchNorm with running statistics.
    """
    layers: list[LayerShift] = []
    with ExitStack() as hooks:
        names = {
            name: module
            for name, module in net.named_modules()
            if isinstance(module, BATCHNORMS) and module.running_var is not None
        }
        if not names:
            raise ValueError(f"{type(net).__name__} has no BatchNorm with running statistics to compare with")
        for name, module in names.items():
            hooks.callback(module.register_forward_pre_hook(_Gatherer(name, momentum, layers)).remove)
        yield layers


class _Gatherer:
    """A forward pre-hook that averages the statistics of one layer's inputs."""

    def __init__(self, name: str, momentum: float, layers: list[LayerShift]) -> None:
        self.name, self.momentum, self.layers = name, momentum, layers
        self.batches = 0

    def __call__(self, layer: Any, inputs: tuple[Tensor, ...]) -> None:
        stored = layer.running_var
        if inputs[0].shape[1:2] != stored.shape:
            return  # the layer itself will say so; the call below does not look
        if self.batches == 0:
            self.shift = LayerShift(self.name, stored.clone(), torch.zeros_like(stored), torch.zeros_like(stored))
            self.layers.append(self.shift)
        self.batches += 1
        weight = max(self.momentum, 1 / self.batches)
        # The half of BatchNorm's training pass that updates its moving averages; many times as fast as var_mean.
        torch.batch_norm_update_stats(inputs[0].detach(), self.shift.real_mean, self.shift.real_var, weight)


@torch.no_grad()
def probe(net: nn.Module, batches: Iterable[Any], momentum: float = 0.0) -> list[LayerShift]:
    """The shift of each BatchNorm of a trained net, in the three steps of the paper (Sec. 4.1).

    The net runs in test mode, without dropout, on training data augmented as in training. Its weights and statistics
    stay as they are.

    Args:
        net: any net; it is left in the modes that it was in.
        batches: of inputs, or of tuples that begin with them.
        momentum: see `watched`.

    Returns:
        A `LayerShift` for each layer, from shallow to deep.
    """
    with watched(net, momentum) as layers, modes_kept(net):
        net.eval()
        _run(net, batches)
    return layers


@contextmanager
def modes_kept(net: nn.Module) -> Iterator[None]:
    """Puts each part of a net back into its own mode, training or test, after the block."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _run(net: nn.Module, batches: Iterable[Any]) -> None:
    device = next(net.parameters()).device
    for batch in batches:
        net((batch if isinstance(batch, Tensor) else batch[0]).to(device))


# The repair ---------------------------------------------------------------------------------------------------------
#
# The paper (Sec. 4.4) passes the training data again "under the evaluation mode", where "the moving average algorithm
# can also be applied". Let x_l be what enters BatchNorm layer l; it depends on the moments by which the layers k before
# l normalise, and the text leaves open which these are. Each function below is one reading.


@torch.no_grad()
def adjust(net: nn.Module, layers: Iterable[LayerShift]) -> None:
    """All layers at once: what was measured in test mode overwrites the moving averages.

    With x_l(old) behind layers that normalise by the averages (m_k, s_k) of training, averaged over the batches B:

        m_l = avg_B mean_B(x_l(old)),  s_l = avg_B var_B(x_l(old))

    The paper measures the shift like that ("BN would freeze its moving averages"), and then speaks of shifting the
    averages to what was measured. Layer l is corrected for a shift that its corrected predecessors no longer cause.
    """
    for layer in layers:
        batchnorm: Any = net.get_submodule(layer.name)
        batchnorm.running_mean.copy_(layer.real_mean)
        batchnorm.running_var.copy_(layer.real_var)


@torch.no_grad()
def readjust(net: nn.Module, batches: Iterable[Any]) -> None:
    """Layer after layer: averages over batches with BatchNorm in training mode and dropout off.

    With x_l(B) behind layers that normalise by the moments of the batch B itself:

        m_l = avg_B mean_B(x_l(B)),  s_l = avg_B var_B(x_l(B))

    So each layer is measured behind layers that are adjusted already, as by ``torch.optim.swa_utils.update_bn``.
    """
    layers = [module for module in net.modules() if isinstance(module, BATCHNORMS)]
    momenta = [layer.momentum for layer in layers]
    with modes_kept(net):
        net.eval()
        for layer in layers:
            layer.train().reset_running_stats()
            layer.momentum = None  # the plain average over batches
        _run(net, batches)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


@torch.no_grad()
def settle(net: nn.Module, batches: Iterable[Any], momentum: float = 0.1) -> None:
    """In use: moving averages are updated while the net in test mode normalises by them.

    With x_l(t) behind layers that normalise by their averages (m_k, s_k)(t) when batch B_t comes in, from those of
    training at t = 0, and a the momentum:

        m_l(t + 1) = (1 - a) m_l(t) + a mean_B(x_l(t)),  s_l(t + 1) = (1 - a) s_l(t) + a var_B(x_l(t))

    So the averages settle from shallow to deep. Once those before it stand still, layer l forgets its start as
    (1 - a)^t, and ends, but for the noise of the last 2 / a batches, where ``readjust`` ends for large batches. Each
    batch is normalised by the averages that it meets, as test mode has it, and moves them when the layer has run.

    Args:
        net: any net; it is left in the modes that it was in.
        batches: of inputs, or of tuples that begin with them; enough of them for all layers to settle.
        momentum: a, by default that of PyTorch's BatchNorm.
    """

    def update(layer: Any, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        torch.batch_norm_update_stats(inputs[0], layer.running_mean, layer.running_var, momentum)

    with ExitStack() as hooks, modes_kept(net):
        net.eval()
        for layer in net.modules():
            if isinstance(layer, BATCHNORMS) and layer.running_var is not None:
                hooks.callback(layer.register_forward_hook(update).remove)
        _run(net, batches)
