"""What the training stages of RCO share: images, batches that know their indices, nets, logits and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.data.batches import Batches, crop_flip, draw_crop_flip, normalise
from tenfold.data.images import load
from tenfold.errors import UserError
from tenfold.launcher import Cfg
from tenfold.measure.accuracy import in_eval_mode
from tenfold.measure.cost import Cost, cost
from tenfold.nets.build import build
from tenfold.training.compute import Compute
from tenfold.training.loop import write_rows

BATCH = 500  # images in a forward pass without gradients


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, 3, H, W) and labels int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice) -> Split:
        return Split(self.images[index], self.labels[index])


@dataclass(frozen=True)
class Splits:
    """A dataset as this paper uses it.

    Attributes:
        name: of the dataset.
        classes: how many there are.
        fit: what nets are trained on.
        held_out: training images that no net sees; hardness and early checkpoints are judged on them.
        test: the test images.
    """

    name: str
    classes: int
    fit: Split
    held_out: Split
    test: Split


def splits(images: Cfg, path: Path) -> Splits:
    """Reads a prepared dataset.

    Args:
        images: ``labels`` (fine or coarse), ``pixels`` (side of the images; blocks are averaged where it is smaller),
            ``held_out`` (how many of the last training images are held out), ``fit`` (how many of the first ones are
            trained on; null for all others).
        path: the prepared file.

    Raises:
        UserError: the training images do not suffice, or have no coarse classes.
    """
    data = load(path)
    coarse = images["labels"] == "coarse"
    if coarse and not data.coarse_classes:
        raise UserError(f"{data.name} has no coarse classes; set images.labels to fine (config/papers/rco.yaml)")
    whole = []
    for part in (data.train, data.test):
        labels = part.coarse if coarse and part.coarse is not None else part.labels
        whole.append(Split(averaged(part.images, images["pixels"]), labels))
    train, test = whole
    others = len(train) - images["held_out"]
    fit = others if images["fit"] is None else images["fit"]
    if not 0 < fit <= others:
        raise UserError(
            f"images.fit is {fit}, but {data.name} has {len(train)} training images of which {images['held_out']} "
            f"are held out; at most {others} are left (config/papers/rco.yaml)"
        )
    classes = len(data.coarse_classes if coarse else data.classes)
    return Splits(data.name, classes, train[:fit], train[others:], test)


def averaged(images: Tensor, pixels: int) -> Tensor:
    """Smaller images, each pixel the rounded mean of a block: uint8 (N, C, H, W) -> (N, C, pixels, pixels)."""
    n, channels, side, _ = images.shape
    block = side // pixels
    if block == 1:
        return images
    sums = images.view(n, channels, pixels, block, pixels, block).sum((3, 5), dtype=torch.int32)
    return ((sums + block * block // 2) // (block * block)).to(torch.uint8)


def indexed_batches(images: Cfg, split: Split, batch_size: int, seed: int, device: torch.device) -> Batches:
    """Batches ``(images, labels, indices)``: equal seeds give equal order and augmentation in every arm.

    Images are float32 (B, 3, H, W) in channels_last order; indices are their places in the split, for which a
    teacher's outputs may have been kept.
    """
    pixels = split.images.permute(0, 2, 3, 1).contiguous().to(device)
    labels = split.labels.to(device)

    def make(indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        chosen = indices.to(device)
        batch = pixels.index_select(0, chosen)
        if images["augment"] == "crop_flip":
            batch = crop_flip(batch, *draw_crop_flip(len(indices), generator))
        return normalise(batch, images["mean"], images["std"]), labels.index_select(0, chosen), chosen

    return Batches(len(split), batch_size, make, seed)


def predict(
    forward: Callable[[Tensor], Any], model: nn.Module, images: Cfg, split: Split, compute: Compute
) -> list[Any]:
    """What ``forward`` gives for each batch of images that are not augmented, with ``model`` in eval mode."""
    outputs = []
    with in_eval_mode(model), torch.no_grad(), compute.autocast():
        for some in split.images.split(BATCH):
            pixels = some.to(compute.device).permute(0, 2, 3, 1).contiguous()
            outputs.append(forward(normalise(pixels, images["mean"], images["std"])))
    return outputs


def logits_of(model: nn.Module, images: Cfg, split: Split, compute: Compute) -> Tensor:
    """Logits, float32 (N, K) on the CPU."""
    return torch.cat([logits.float().cpu() for logits in predict(model, model, images, split, compute)])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is the label's, in [0, 1]."""
    return int((logits.argmax(1) == labels).sum()) / len(labels)


class WithFeatures(nn.Module):
    """A net that gives its logits and what one of its layers put out.

    Args:
        net: the net.
        layer: the name of one of its modules.
    """

    def __init__(self, net: nn.Module, layer: str) -> None:
        super().__init__()
        self.net = net
        self.features = torch.empty(0)
        net.get_submodule(layer).register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.features = output

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and features (B, C, H, W), both float32."""
        logits = self.net(images).float()
        return logits, self.features.float()


def net_cost(net: Cfg, pixels: int = 32) -> Cost:
    """Parameters and MACs (convolutions and linear layers) of a net for one image."""
    return cost(lambda: build(net), (3, pixels, pixels))


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors below a prefix: ``seed0/e3/stem.conv.weight``."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that ``under`` put below a prefix, by their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def by_seed(weights: Mapping[Any, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of several seeds under one roof."""
    return {name: t for seed, tensors in weights.items() for name, t in under(f"seed{seed}", tensors).items()}


def write_course(results: list[dict[str, Any]], history: Path, times: Path) -> None:
    """Writes how the training of all seeds went: losses and accuracies, and apart from them seconds and rates."""
    for path, name in ((history, "history"), (times, "times")):
        write_rows(path, [row for result in results for row in result[name]])
