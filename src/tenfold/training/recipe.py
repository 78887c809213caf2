"""How a net is trained, as data: the ``recipe`` of a paper's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import nn

from tenfold.errors import UserError


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of one training run.

    Attributes:
        epochs: passes over the data.
        batch_size: examples per step.
        lr: base learning rate.
        optimiser: ``sgd`` or ``adam``.
        momentum: of SGD.
        nesterov: whether SGD's momentum is Nesterov's.
        weight_decay: L2 penalty, added to the gradient.
        decay_on: what is decayed: ``all``; ``weights``, without biases and normalisation (tensors of one dimension);
            or ``dense``, of the weights those that are not depthwise kernels.
        schedule: see `tenfold.training.schedules.factor`.
        label_smoothing: share of the target spread evenly over all classes.
        ema: decay per step of an exponential moving average of the weights, which is then what is evaluated and
            reported; None for none.
        clip_norm: largest L2 norm of the whole gradient; None for no limit.
        evaluate_every: epochs between evaluations; the last epoch is always evaluated.
    """

    epochs: int
    batch_size: int
    lr: float
    optimiser: str = "sgd"
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decay_on: str = "all"
    schedule: dict[str, Any] = field(default_factory=lambda: {"name": "constant"})
    label_smoothing: float = 0.0
    ema: float | None = None
    clip_norm: float | None = None
    evaluate_every: int = 1

    @classmethod
    def from_cfg(cls, cfg: dict[str, Any]) -> Recipe:
        """A recipe from a dictionary of its attributes.

        Raises:
            UserError: a key is unknown or a necessary one is missing.
        """
        known = [item.name for item in fields(cls)]
        if unknown := sorted(set(cfg) - set(known)):
            raise UserError(f"recipe: unknown key {unknown[0]!r}; known are {', '.join(known)}")
        if missing := [key for key in ("epochs", "batch_size", "lr") if key not in cfg]:
            raise UserError(f"recipe: {missing[0]} is missing")
        return cls(**cfg)

    def evaluates_after(self, epoch: int) -> bool:
        """Whether the epoch with this index (from 0) ends with an evaluation."""
        return (epoch + 1) % self.evaluate_every == 0 or epoch + 1 == self.epochs


def build_optimiser(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser of those parameters of ``model`` that require a gradient.

    Raises:
        UserError: the optimiser or ``decay_on`` is unknown.
    """
    groups = _groups(recipe, [parameter for parameter in model.parameters() if parameter.requires_grad])
    match recipe.optimiser:
        case "sgd":
            return torch.optim.SGD(groups, recipe.lr, recipe.momentum, nesterov=recipe.nesterov, fused=True)
        case "adam":
            return torch.optim.Adam(groups, recipe.lr, fused=True)
    raise UserError(f"recipe: optimiser {recipe.optimiser!r} is not one of sgd, adam")


def _groups(recipe: Recipe, parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
    """Parameter groups with and without weight decay; empty ones left out."""
    decays = {
        "all": lambda tensor: True,
        "weights": lambda tensor: tensor.dim() > 1,
        "dense": lambda tensor: tensor.dim() > 1 and not (tensor.dim() == 4 and tensor.shape[1] == 1),
    }.get(recipe.decay_on)
    if decays is None:
        raise UserError(f"recipe: decay_on {recipe.decay_on!r} is not one of all, weights, dense")
    groups = [
        {"params": [p for p in parameters if decays(p)], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if not decays(p)], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
