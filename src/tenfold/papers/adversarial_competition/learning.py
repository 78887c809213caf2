"""What attacks and defences learn before they meet: HGD's denoiser and iwiwi's attacker, and by which losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.papers.adversarial_competition.attacks.trained import Attacker, attacker_loss
from tenfold.papers.adversarial_competition.defences.hgd import Denoiser, guided_loss
from tenfold.papers.adversarial_competition.method import bim
from tenfold.papers.adversarial_competition.nets import predicted_labels


@dataclass(frozen=True)
class Learning:
    """A net that is to be learned.

    Attributes:
        model: the net.
        loss: of it on images in [0, 1] and labels, by chance.
        given: as what an attack's or defence's function takes it.
    """

    model: nn.Module
    loss: Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
    given: Callable[[nn.Module], dict[str, Any]]


def denoiser(
    nets: Sequence[nn.Module],
    *,
    widths: Sequence[int] = (16, 32),
    units: Sequence[int] = (2, 2),
    steps: Sequence[int] = (1, 2, 4, 8),
    eps: Sequence[int] = (4, 16),
) -> Learning:
    """HGD guided by the logits of the first net (LGD, Sec. 5.1).

    Its attack pool is FGSM and I-FGSM with 2, 4 and 8 steps; [choice] for each batch one of them, one of the nets and
    an eps are drawn, where the team crafted its pool beforehand.

    Args:
        nets: the first one guides, all craft.
        widths: channels of the U-net's levels; two levels and few channels [choice].
        units: convolutions in each level.
        steps: of the attacks, 1 for FGSM.
        eps: the least and the largest, in grey levels.
    """

    def loss(model: nn.Module, images: Tensor, labels: Tensor, chance: torch.Generator) -> Tensor:
        crafter = [nets[draw(len(nets), chance)]]
        count, radius = steps[draw(len(steps), chance)], (eps[0] + draw(eps[1] - eps[0] + 1, chance)) / 255
        attacked = bim(crafter, images, predicted_labels(crafter, images), radius, chance, steps=count)
        return guided_loss(nets[0], model(attacked).float(), images)

    model = Denoiser(widths, units, widths[:-1], units[:-1])
    return Learning(model, loss, lambda model: {"denoisers": [model]})


def attacker(
    nets: Sequence[nn.Module], *, widths: Sequence[int] = (16, 32, 32), units: int = 1, levels_in_batch: int = 2
) -> Learning:
    """The net of iwiwi for all eps at once (Sec. 5.7); the first net gives hints.

    Args:
        nets: those that it learns to fool.
        widths: channels of the U-net's levels.
        units: convolutions in each level.
        levels_in_batch: how many eps count for a batch, drawn anew [choice].
    """

    def loss(model: nn.Module, images: Tensor, labels: Tensor, chance: torch.Generator) -> Tensor:
        assert isinstance(model, Attacker)
        places = [draw(len(model.levels), chance) for _ in range(levels_in_batch)]
        return attacker_loss(model, nets, images, labels, places)

    return Learning(Attacker(widths=widths, units=units), loss, lambda model: {"attacker": model})


def draw(count: int, chance: torch.Generator) -> int:
    """One of 0 to ``count`` - 1."""
    return int(torch.randint(count, (), generator=chance, device=chance.device))
