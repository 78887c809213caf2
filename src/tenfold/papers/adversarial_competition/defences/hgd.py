"""The winning defence (TsAIL, Sec. 5.1): a denoiser that is guided by what a net makes of its result (HGD).

A U-net predicts the noise of an attacked image, ``x^ = x* - D(x*)``. Trained to restore pixels (PGD) it leaves small
errors that later layers amplify; so it is trained to restore what a frozen net sees, ``|f_l(x^) - f_l(x)|``: its
topmost maps (FGD), its logits (LGD), or to bring back the class (CGD).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.papers.adversarial_competition.nets import UNet


class Denoiser(nn.Module):
    """DUNET: images less the noise that a U-net finds in them.

    Args:
        widths, units, up_widths, up_units: of the `UNet`, by default those of the team's code.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 256, 256),
        units: Sequence[int] = (2, 3, 3, 3, 3),
        up_widths: Sequence[int] = (64, 128, 256, 256),
        up_units: Sequence[int] = (2, 3, 3, 3),
    ) -> None:
        super().__init__()
        self.noise = UNet(widths, units, up_widths, up_units)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> the same, denoised."""
        return images - self.noise(images)


def guided_loss(layer: Callable[[Tensor], Tensor], denoised: Tensor, clean: Tensor) -> Tensor:
    """``|f_l(x^) - f_l(x)|``, mean over all elements as in the team's code: ().

    Args:
        layer: f_l of a frozen net in eval mode: its topmost maps for FGD, its logits for LGD; `pixels` for PGD.
        denoised: (B, 3, H, W).
        clean: the images before the attack.
    """
    with torch.no_grad():
        wanted = layer(clean)
    return (layer(denoised) - wanted).abs().mean()


def pixels(images: Tensor) -> Tensor:
    """The images themselves, the layer of PGD."""
    return images


def class_loss(net: nn.Module, denoised: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of a frozen net behind the denoiser, the loss of CGD: ()."""
    return F.cross_entropy(net(denoised), labels)


def hgd(
    nets: Sequence[nn.Module], images: Tensor, generator: torch.Generator, *, denoisers: Sequence[nn.Module]
) -> Tensor:
    """The sum of the nets' logits, each behind its own denoiser, (B, K).

    Settings:
        denoisers: one for each net, in eval mode; or one for all.
    """
    each = list(denoisers) * (len(nets) if len(denoisers) == 1 else 1)
    return torch.stack([net(denoiser(images)) for net, denoiser in zip(nets, each, strict=True)]).sum(0)
