"""iwiwi's attack, fourth of the non-targeted ones (Sec. 5.7): a net that was trained to fool other nets.

A fully convolutional net a(x) gives the change, so an attack is one forward pass: ``x' = Clip_[0, 1](x + a(x))`` with
``|a| <= eps``. It is trained to raise the sum of the losses of several nets, for all eps at once: it has three output
maps for each of them. With hints it also sees the gradient of a net at the image, one backward pass more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.papers.adversarial_competition.method import clip, cross_entropy, input_gradient
from tenfold.papers.adversarial_competition.nets import UNet


class Attacker(nn.Module):
    """The net a, with values in [-1, 1] that eps multiplies.

    Args:
        levels: the eps it learns, in grey levels: 4 to 16 in the contest, thirteen of them.
        widths: channels of its levels ([choice] a small U-net; the team's has the encoder of a ResNet-50).
        units: convolutions in each level.
        hints: whether it sees a gradient beside the image.
    """

    def __init__(
        self,
        levels: Sequence[int] = tuple(range(4, 17)),
        widths: Sequence[int] = (16, 32, 32),
        units: int = 1,
        hints: bool = True,
    ) -> None:
        super().__init__()
        self.levels, self.hints = list(levels), hints
        down, up = [units] * len(widths), [units] * (len(widths) - 1)
        self.unet = UNet(widths, down, widths[:-1], up, 6 if hints else 3, 3 * len(self.levels))

    def forward(self, images: Tensor, hint: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) in [0, 1], and of the hint the same -> changes in [-1, 1], (B, levels, 3, H, W)."""
        inputs = 2 * images - 1
        if self.hints:
            assert hint is not None
            inputs = torch.cat([inputs, hint], 1)
        return torch.tanh(self.unet(inputs)).unflatten(1, (len(self.levels), 3))

    def level_of(self, eps: float) -> int:
        """The place among ``levels`` of the eps nearest to one on the scale [0, 1]."""
        return min(range(len(self.levels)), key=lambda place: abs(self.levels[place] - 255 * eps))


def hint_of(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The gradient of a net's loss at images, (B, 3, H, W); [choice] each image's scaled to a largest size of 1."""
    gradient = input_gradient(cross_entropy, [net], images, labels)
    return gradient / gradient.abs().amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)


def attacker_loss(
    attacker: Attacker, nets: Sequence[nn.Module], images: Tensor, labels: Tensor, places: Sequence[int]
) -> Tensor:
    """Minus the mean loss of the attacked nets, over some of the attacker's levels: ().

    Args:
        attacker: in train mode.
        nets: frozen, in eval mode; the first one gives the hints.
        images: (B, 3, H, W) in [0, 1].
        labels: int64 (B,), to leave.
        places: which of ``attacker.levels`` count: all of them, or [choice] some drawn for a batch, for the time.
    """
    changes = attacker(images, hint_of(nets[0], images, labels) if attacker.hints else None)
    losses = []
    for place in places:
        crafted = (images + attacker.levels[place] / 255 * changes[:, place]).clamp(0, 1)
        losses += [F.cross_entropy(net(crafted), labels) for net in nets]
    return -torch.stack(losses).mean()


def trained(
    nets: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    attacker: Attacker,
) -> Tensor:
    """One forward pass of a trained attacker; the first of ``nets`` gives the hints.

    Settings:
        attacker: trained, in eval mode; its level nearest to eps is taken.
    """
    hint = hint_of(nets[0], images, labels) if attacker.hints else None
    with torch.no_grad():
        changes = attacker(images, hint)[:, attacker.level_of(eps)]
    return clip(images + eps * changes.float(), images, eps)
