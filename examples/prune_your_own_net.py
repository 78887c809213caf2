"""Prunes a net of your own from scratch: name its BatchNorm layers, learn gates, read off the channel counts."""

import torch
import torch.nn.functional as F
from torch import nn

from tenfold.measure.cost import cost
from tenfold.papers.pruning_from_scratch.method import GatedNet, sparsity_penalty, threshold_search


def my_net(a: int, b: int, c: int) -> nn.Sequential:
    """A net that takes its widths as arguments; replace it with yours."""
    layers: list[nn.Module] = []
    for channels, width in ((3, a), (a, b), (b, c)):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * 4, 2))


torch.manual_seed(0)
images = torch.randn(512, 3, 16, 16)
labels = torch.randint(2, (512,))
images += 0.3 * labels.view(-1, 1, 1, 1)  # class 1 is a little brighter

gated = GatedNet(my_net(20, 40, 40), layers=["1", "5", "9"])  # wider than the net to be had
optimizer = torch.optim.Adam([gated.gates], lr=0.01)
for _ in range(100):
    batch = torch.randint(len(images), (64,))
    loss = F.cross_entropy(gated(images[batch]), labels[batch]) + sparsity_penalty(gated.gates, gamma=0.5, r=0.2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    gated.clamp_()


def macs(widths: list[int]) -> int:
    """Multiply-adds of a net of these widths."""
    return cost(lambda: my_net(*widths), (3, 16, 16)).macs


standard = macs([16, 32, 32])
found = threshold_search(gated.gates.detach(), gated.sizes, macs, standard, p=0.5)
print(f"widths {found.widths}: {found.macs:,} multiply-adds, {found.achieved:.1%} fewer than {standard:,}")
fresh = my_net(*found.widths)  # train this one from its own random weights
