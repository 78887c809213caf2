"""Attacks a net of your own: as it is, from another net, and through a defence that the attack knows."""

import torch
import torch.nn.functional as F
from torch import nn

from tenfold.papers.adversarial_competition.defences.median import median
from tenfold.papers.adversarial_competition.method import mi_fgsm
from tenfold.papers.adversarial_competition.nets import Defended, for_crafting


def patches(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy colour pictures (N, 3, 16, 16) in [0, 1], brighter in one of four quarters, and which one it is."""
    labels = torch.arange(count) % 4
    images = 0.5 + 0.1 * torch.randn(count, 3, 16, 16)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 8 * (label // 2) :, 8 * (label % 2) :][:, :8, :8] += 0.05
    return images.clamp(0, 1), labels


def learned() -> nn.Module:
    """A net that finds the quarter."""
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(128, 4)
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        images, labels = patches(64)
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return for_crafting(net)


torch.manual_seed(0)
net, other = learned(), learned()
images, labels = patches(200)
generator = torch.Generator().manual_seed(0)
defended = Defended(median, [net], generator)

for name, crafted in {
    "no attack": images,
    "attack on the net": mi_fgsm([net], images, labels, 8 / 255, generator),
    "on another net": mi_fgsm([other], images, labels, 8 / 255, generator),
    "through the median": mi_fgsm([defended], images, labels, 8 / 255, generator),
}.items():
    right, behind = ((judge(crafted).argmax(1) == labels).float().mean() for judge in (net, defended))
    print(f"{name:<20}accuracy {right:6.1%}, behind a 2 x 2 median {behind:6.1%}")
