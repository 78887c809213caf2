"""Lets a net of your own choose its kernels: a selective kernel unit in place of a convolution, and what it chose."""

import torch
import torch.nn.functional as F
from torch import nn

from tenfold.papers.sknet.method import SelectiveKernel, attention_difference, attention_weights, dilated_kernels


def discs(radius: int) -> torch.Tensor:
    """Noisy pictures of one disc each, (64, 1, 24, 24)."""
    places = torch.arange(24) - 11.5
    disc = (places[:, None] ** 2 + places**2 < radius**2).float()
    return disc + 0.3 * torch.randn(64, 1, 24, 24)


torch.manual_seed(0)
unit = SelectiveKernel(8, dilated_kernels(2, groups=2), reduction=2, floor=4)
net = nn.Sequential(nn.Conv2d(1, 8, 1), unit, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
images, labels = torch.cat([discs(radius) for radius in (3, 6, 9)]), torch.arange(3).repeat_interleave(64)

optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(60):
    loss = F.cross_entropy(net(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

seen = []
unit.attention.register_forward_hook(lambda _module, _inputs, logits: seen.append(attention_weights(logits)))
with torch.no_grad():
    accuracy = (net.eval()(images).argmax(1) == labels).float().mean()
difference = attention_difference(seen[0]).view(3, 64).mean(1)
print(f"accuracy {accuracy:.1%}; attention for the larger kernel minus the smaller one, small to large discs:")
print("  ".join(f"{value:+.3f}" for value in difference.tolist()))
