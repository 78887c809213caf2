"""Measures the variance shift of a net of your own: what each BatchNorm stored, and what enters it in test mode."""

import torch
import torch.nn.functional as F
from torch import nn

from tenfold.papers.variance_shift.method import adjust, probe

torch.manual_seed(0)
points = torch.randn(2048, 2)
labels = (points[:, 0] * points[:, 1] > 0).long()
batches = [(points[start : start + 128], labels[start : start + 128]) for start in range(0, 2048, 128)]

# Dropout right before BatchNorm; replace the net by yours. Any BatchNorm in it is found.
net = nn.Sequential(
    nn.Linear(2, 64), nn.BatchNorm1d(64), nn.ReLU(),
    nn.Linear(64, 64), nn.Dropout(0.5), nn.BatchNorm1d(64), nn.ReLU(),
    nn.Linear(64, 2),
)  # fmt: skip
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for _ in range(10):
    for inputs, wanted in batches:
        loss = F.cross_entropy(net(inputs), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def accuracy() -> float:
    """Of the net in test mode."""
    return float((net.eval()(points).argmax(1) == labels).float().mean())


layers = probe(net, batches)
for layer in layers:
    print(f"BatchNorm {layer.name}: stored {layer.moving:.3f}, enters {layer.real:.3f}, ratio {layer.ratio:.2f}")
before = accuracy()
adjust(net, layers)
print(f"accuracy {before:.1%}, with the moving averages measured again {accuracy():.1%}")
