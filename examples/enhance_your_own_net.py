"""Puts spatial group-wise enhancement behind the convolutions of a net of your own, and trains it."""

import torch
import torch.nn.functional as F
from torch import nn

from tenfold.papers.sge.method import SpatialGroupEnhance


def my_net(groups: int | None) -> nn.Sequential:
    """A small classifier of images; replace it with yours. SGE goes behind BatchNorm and before the rectifier."""
    layers: list[nn.Module] = []
    for channels_in, channels_out in ((1, 16), (16, 16)):
        layers += [nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False), nn.BatchNorm2d(channels_out)]
        layers += [] if groups is None else [SpatialGroupEnhance(groups)]
        layers += [nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))


torch.manual_seed(0)
images = 0.3 * torch.randn(256, 1, 12, 12)  # noise, and a bar somewhere: lying or upright
labels = torch.arange(256) % 2
for image, label in zip(images[:, 0], labels, strict=True):
    row, column = torch.randint(2, 10, (2,)).tolist()
    if label:
        image[row - 2 : row + 3, column] += 1
    else:
        image[row, column - 2 : column + 3] += 1

for groups in (None, 4):
    torch.manual_seed(0)
    net = my_net(groups)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(40):
        loss = F.cross_entropy(net(images[:128]), labels[:128])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (net.eval()(images[128:]).argmax(1) == labels[128:]).float().mean()
    size = sum(parameter.numel() for parameter in net.parameters())
    print(f"{'without SGE' if groups is None else f'{groups} groups'}: {size} parameters, accuracy {accuracy:.1%}")
