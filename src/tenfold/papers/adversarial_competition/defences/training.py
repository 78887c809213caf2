"""Adversarial training, the base of every good defence of the contest: part of each batch is attacked as it is learned.

With FGSM on the net itself, as ``adv_inception_v3``; or on other, fixed nets in turn with it, so that the net cannot
learn to hide its gradient: ensemble adversarial training, as ``ens3``, ``ens4`` and ``ens_adv_inception_resnet_v2``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.papers.adversarial_competition.method import fgsm


def own_prediction(nets: Sequence[nn.Module], images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of a net with what itself believes, (B,): an attack that climbs it gives no label away."""
    logits = nets[0](images).float()
    return F.cross_entropy(logits, logits.argmax(1), reduction="none")


def adversarial_loss(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    crafters: Sequence[nn.Module] = (),
    eps: Sequence[float] = (4 / 255, 16 / 255),
    share: float = 0.5,
) -> Tensor:
    """Cross-entropy of a batch whose first part is attacked by FGSM: ().

    Args:
        net: the net that learns, in train mode; it is in eval mode while it crafts.
        images: (B, 3, H, W) in [0, 1].
        labels: int64 (B,). The attack leaves the crafting net's own predictions instead.
        generator: of the draws, on the images' device.
        crafters: frozen nets for ensemble adversarial training: [choice] for each batch one of these and the net
            itself is drawn, as likely as any other. Without them the net itself crafts.
        eps: the least and the largest; [choice] drawn evenly for each batch.
        share: of the batch that is attacked; [choice] half.
    """
    count = round(share * len(images))
    crafter = [net, *crafters][int(torch.randint(len(crafters) + 1, (), generator=generator, device=generator.device))]
    radius = eps[0] + (eps[1] - eps[0]) * float(torch.rand((), generator=generator, device=generator.device))
    net.eval()
    crafted = fgsm([crafter], images[:count], labels[:count], radius, generator, objective=own_prediction)
    net.train()
    return F.cross_entropy(net(torch.cat([crafted, images[count:]])).float(), labels)
