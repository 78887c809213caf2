"""Interlinked convolutional networks for face parsing (Zhou, Hu, Zhang, ISNN 2015, arXiv:1806.02479).

Four rows of convolutions see the image at four scales, each half as fine as the one above. At every interlinking layer
a row is shown what its neighbours found: the finer one max-pooled, the coarser one enlarged. At the end all scales are
integrated into the finest row, which labels each pixel.

Faces are parsed in two stages: one net labels the reduced face; around the parts that it finds, crops of the original
are labelled by a net for each kind of part (`tenfold.papers.icnn_face_parsing.pipeline`).

The paper's text was not at hand; where it is unknown, this follows the code that its first author is taken to have
published (bloodmage/Twostep-helen-face-parsing at 2d05a33).

Claim C3 of the paper: named the method's hallmark, without a number.
Ours at real (n = 5): two_stage_overall of thin/icnn 0.852, of thin/no-links 0.860; one_stage_overall of thin/icnn
0.741, of thin/no-links 0.776. Runtime: 170 CPU-seconds at small, about 17 CPU-minutes at real (two cores).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (8, 16, 24, 32)  # channels of the rows, the finest first
KERNEL, INTERLINKED_KERNEL = 9, 5  # of the first and the last layer, and of those between
INTERLINKING_LAYERS = 3
CALIBRATION = 2  # maps that enlarging adds
SPREAD = 0.5  # of first weights, in the author's code
Rows = list[Tensor]  # one (B, C, H / 2^r, W / 2^r) for each row r


class InterlinkedCNN(nn.Module):
    """Labels each pixel: (B, 3, H, W) -> (B, foreground + 1, H, W), logits, the background last.

    H and W are multiples of 8.

    Args:
        foreground: how many labels there are beside the background.
        widths: channels of the rows, the finest first.
        kernel: side of the first and the last layer's kernels; the paper's author has 9, re-implementations 5.
        linked: whether the rows exchange what they found; without, each keeps to itself until the integration.
        calibrated: whether an enlarged map comes with the two maps that tell its copies apart.
        spread: see `conv`.
    """

    def __init__(
        self,
        foreground: int,
        widths: Sequence[int] = WIDTHS,
        kernel: int = KERNEL,
        *,
        linked: bool = True,
        calibrated: bool = True,
        spread: float = SPREAD,
    ) -> None:
        super().__init__()
        self.linked, self.calibrated = linked, calibrated
        maps = CALIBRATION if calibrated else 0
        last = len(widths) - 1
        exchanged = [
            width + linked * ((widths[row - 1] if row > 0 else 0) + (widths[row + 1] + maps if row < last else 0))
            for row, width in enumerate(widths)
        ]
        integrated = [2 * foreground + 8, *widths[1:]]  # channels that the integration gives, row by row
        self.first = nn.ModuleList(conv(3, width, kernel, spread) for width in widths)
        self.interlinked = nn.ModuleList(
            nn.ModuleList(
                conv(n, width, INTERLINKED_KERNEL, spread) for n, width in zip(exchanged, widths, strict=True)
            )
            for _ in range(INTERLINKING_LAYERS)
        )
        self.integrating = nn.ModuleList(
            conv(widths[row] + integrated[row + 1] + maps, integrated[row], INTERLINKED_KERNEL, spread)
            for row in range(last)
        )
        self.label = conv(integrated[0], foreground + 1, kernel, spread)

    def begin_with(self, shares: Tensor) -> None:
        """Lets the net begin with how often each label occurs, (foreground + 1,), instead of all labels alike."""
        with torch.no_grad():
            self.label.bias.copy_(shares.clamp_min(1e-6).log())  # type: ignore[union-attr]

    def forward(self, image: Tensor) -> Tensor:
        """Logits of each pixel's label."""
        rows = self.first_layer(image)
        for layer in range(len(self.interlinked)):
            rows = self.interlink(layer, rows)
        logits: Tensor = self.label(self.integrate(rows))
        return logits

    def first_layer(self, image: Tensor) -> Rows:
        """Each row sees the image at its own scale: x_{r+1} = D(x_r)."""
        scales = [image]
        for _ in self.first[1:]:
            scales.append(down(scales[-1]))
        return [torch.tanh(layer(scale)) for layer, scale in zip(self.first, scales, strict=True)]

    def interlink(self, layer: int, rows: Rows) -> Rows:
        """All rows at once: what they and their neighbours found, and a convolution."""
        shown = [self.exchanged(rows, row) for row in range(len(rows))] if self.linked else rows
        layers = self.interlinked[layer]
        return [torch.tanh(conv(maps)) for conv, maps in zip(layers, shown, strict=True)]  # type: ignore[call-overload]

    def exchanged(self, rows: Rows, row: int) -> Tensor:
        """The maps of a row, the finer row's reduced, the coarser row's enlarged."""
        maps = [rows[row]]
        if row > 0:
            maps.append(down(rows[row - 1]))
        if row < len(rows) - 1:
            maps += enlarged(rows[row + 1], self.calibrated)
        return torch.cat(maps, 1)

    def integrate(self, rows: Rows) -> Tensor:
        """From the coarsest row up: each is joined with what lies below it."""
        maps = rows[-1]
        for row in reversed(range(len(self.integrating))):
            maps = torch.tanh(self.integrating[row](torch.cat([rows[row], *enlarged(maps, self.calibrated)], 1)))
        return maps


def conv(channels: int, width: int, kernel: int, spread: float = SPREAD) -> nn.Conv2d:
    """A convolution that keeps the size, its weights uniform within sqrt(spread / fan-in), its biases 0."""
    layer = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
    bound = (spread / (channels * kernel**2)) ** 0.5
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def down(maps: Tensor) -> Tensor:
    """D: the largest of each 3 x 3 pixels, every second one: (B, C, H, W) -> (B, C, H / 2, W / 2)."""
    return F.max_pool2d(maps, 3, 2, 1)


def enlarged(maps: Tensor, calibrated: bool = True) -> list[Tensor]:
    """U: each pixel as 2 x 2 copies, (B, C, 2 H, 2 W), and the maps (B, 2, 2 H, 2 W) that tell the copies apart."""
    up = F.interpolate(maps, scale_factor=2.0, mode="nearest")
    return [up, calibration(up)] if calibrated else [up]


def calibration(maps: Tensor) -> Tensor:
    """1 on odd columns, and 1 on odd rows: (B, 2, H, W) for maps (B, C, H, W)."""
    height, width = maps.shape[2:]
    odd = [torch.arange(n, device=maps.device, dtype=maps.dtype) % 2 for n in (height, width)]
    both = torch.stack([odd[1].expand(height, width), odd[0][:, None].expand(height, width)])
    return both.expand(len(maps), CALIBRATION, height, width)


def standardised(pixels: Tensor) -> Tensor:
    """Each channel of each image less its mean, over its deviation: (B, 3, H, W) of 0..255 -> float32."""
    pixels = pixels.float()
    mean = pixels.mean((2, 3), keepdim=True)
    return (pixels - mean) / (pixels.std((2, 3), correction=0, keepdim=True) + 1e-10)


def channel_softmax_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the log-likelihood of the labels, summed over all pixels: (B, K, H, W), (B, H, W) -> ()."""
    if logits.is_cuda:  # where cross-entropy of maps is not the same each time, and is refused
        return -F.log_softmax(logits.float(), 1).gather(1, labels[:, None]).sum()
    return F.cross_entropy(logits.float(), labels, reduction="sum")


def width_softmax_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The same as the published code computes it: normalised over the columns of a row instead of over the labels."""
    log_share = F.log_softmax(logits.float(), 3)
    return -log_share.gather(1, labels[:, None]).sum()


LOSSES = {"channel": channel_softmax_loss, "width": width_softmax_loss}


def mirrored(maps: Tensor) -> Tensor:
    """Left and right exchanged, as the right brow and the right eye are shown to the nets of the left ones."""
    return maps.flip(-1)


def parameters_of(foreground: int, widths: Sequence[int], kernel: int = KERNEL, *, linked: bool = True) -> int:
    """How many parameters an `InterlinkedCNN` has."""
    with torch.device("meta"):
        net = InterlinkedCNN(foreground, widths, kernel, linked=linked)
    return sum(parameter.numel() for parameter in net.parameters())


def widths_without_links(foreground: int, widths: Sequence[int], kernel: int = KERNEL) -> list[int]:
    """Rows that do not exchange anything, widened alike until the net has as many parameters as the interlinked one.

    Of widths in the same proportions, rounded, those whose number of parameters is nearest.
    """
    wanted = parameters_of(foreground, widths, kernel)
    tried = {tuple(round(width * percent / 100) for width in widths) for percent in range(100, 201)}
    return list(min(sorted(tried), key=lambda own: abs(parameters_of(foreground, own, kernel, linked=False) - wanted)))  # type: ignore[arg-type]
