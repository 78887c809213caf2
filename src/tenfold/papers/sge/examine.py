"""Looks at trained SGE nets: how long the groups' vectors are before and behind the gates, and where they are long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tenfold.data.splits import read_splits, scaling
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.measure.accuracy import in_eval_mode
from tenfold.measure.predictions import BATCH
from tenfold.papers.sge.method import SpatialGroupEnhance
from tenfold.papers.sge.nets import branch_end, build, stage_ends
from tenfold.training.batches import normalise
from tenfold.training.compute import Compute, start
from tenfold.weights import below, load_weights

QUANTILES = (0.1, 0.5, 0.9, 0.99)


@stage
def examine(cfg: Cfg, job: Job, *, data: Input, weights: Input, statistics: Output) -> None:
    """Lengths of the groups' vectors in the last block over all test images, and the learned gammas.

    Args:
        cfg: ``net`` with its attention, SGE; ``images`` or, on ImageNet, ``photos``; ``histogram`` with its ``bins``.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: what ``train`` wrote of that net.
        statistics: for each seed ``gammas_positive`` (share over all blocks), the histogram of the first group's
            lengths, and for each group of the last block its gamma and beta and, before and behind the gates, the mean
            over the images and their standard deviation of the variance over positions (``variance``) and of its root
            (``root``), and the quantiles of all lengths.
    """
    compute = start(cfg["compute"], job)
    images = TestImages(cfg, data)
    net = compute.place(build({**cfg["net"], "classes": images.classes}))
    found = load_weights(weights)
    rows = []
    for seed in cfg["seeds"]:
        net.load_state_dict(below(f"seed{seed}", found))
        last = enhancer(net.get_submodule("blocks")[-1])  # type: ignore[index]
        with observed(last) as seen:
            for pixels, _ in images.batches():
                forward(net, pixels, images, compute)
        row = {"seed": seed, **statistics_of(seen, last, cfg["histogram"]["bins"])}
        gammas = torch.cat([m.weight.detach().flatten() for m in net.modules() if isinstance(m, SpatialGroupEnhance)])
        rows.append(row | {"gammas": gammas.numel(), "gammas_positive": float((gammas > 0).double().mean())})
        job.say(f"seed {seed}: {int((gammas > 0).sum())} of {gammas.numel()} gammas are positive")
    facts = {"data": images.name, "device": compute.device.type, "precision": compute.precision}
    write_json(statistics, {**facts, "net": cfg["name"], "rows": rows})


@stage
def maps(cfg: Cfg, job: Job, *, data: Input, weights: Input, lit: Output) -> None:
    """Where groups of one block light up, before and behind the gates, with the first seed.

    Args:
        cfg: as for ``examine``; ``maps``: how many ``images`` and ``groups``, and the ``stage`` whose last block it is.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: what ``train`` wrote of that net.
        lit: the first test images of different classes, and their lengths in the groups whose gamma is farthest from 0
            [choice].
    """
    compute = start(cfg["compute"], job)
    images = TestImages(cfg, data)
    net = compute.place(build({**cfg["net"], "classes": images.classes}))
    seed, settings = cfg["seeds"][0], cfg["maps"]
    net.load_state_dict(below(f"seed{seed}", load_weights(weights)))
    end = stage_ends(net)[settings["stage"] - 1]
    module = enhancer(net.get_submodule("blocks")[end])  # type: ignore[index]
    pixels, labels = first_of_classes(images, settings["images"])
    with observed(module) as seen:
        forward(net, pixels, images, compute)
    groups = module.weight.detach().cpu().flatten().abs().argsort(descending=True, stable=True)[: settings["groups"]]
    content = {
        "device": compute.device.type,
        "precision": compute.precision,
        "groups": (groups + 1).tolist(),
        "labels": labels.tolist(),
        "pixels": pixels.tolist(),
        "before": torch.cat(seen.before)[:, groups].tolist(),
        "behind": torch.cat(seen.after)[:, groups].tolist(),
    }
    write_json(lit, content)
    job.say(f"{len(pixels)} images, groups {', '.join(map(str, content['groups']))}")


# Test images ------------------------------------------------------------------------------------------------------


class TestImages:
    """The test images of a dataset, as they are shown to nets, whether in memory or in ImageNet's archives.

    Attributes:
        name: of the dataset.
        classes: how many there are.
        scale: ``mean`` and ``std`` of each channel.
    """

    __test__ = False  # no test of pytest's

    def __init__(self, cfg: Cfg, path: Path) -> None:
        if "photos" in cfg:
            from tenfold.data import imagenet  # only here, with the packages that decode photographs

            photos = imagenet.load(path)
            self.name, self.classes, self._photos = photos.name, len(photos.classes), photos.test
            self.scale, self._view = scaling(cfg["photos"]), cfg["photos"]["test"][0]
        else:
            splits = read_splits(cfg["images"], path)
            self.name, self.classes, self._images = splits.name, splits.classes, splits.test
            self.scale, self._view = scaling(cfg["images"]), None

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels, uint8 (B, H, W, 3), and labels, int64 (B,), in order."""
        if self._view is not None:
            from tenfold.training.photos import central_pixels

            yield from central_pixels(self._photos, BATCH, self._view["resize"], self._view["size"])
        else:
            pixels = self._images.images.permute(0, 2, 3, 1).contiguous()
            yield from zip(pixels.split(BATCH), self._images.labels.split(BATCH), strict=True)


def first_of_classes(images: TestImages, count: int) -> tuple[Tensor, Tensor]:
    """The first test images of ``count`` different classes: pixels and labels, as `TestImages.batches`."""
    chosen: dict[int, Tensor] = {}
    for pixels, labels in images.batches():
        for image, label in zip(pixels, labels.tolist(), strict=True):
            if len(chosen) < count:
                chosen.setdefault(label, image)
        if len(chosen) == count:
            break
    return torch.stack(list(chosen.values())), torch.tensor(list(chosen))


def forward(net: nn.Module, pixels: Tensor, images: TestImages, compute: Compute) -> None:
    """Shows images to a net in eval mode; what it says is not kept."""
    with in_eval_mode(net), torch.no_grad(), compute.autocast():
        net(normalise(pixels.to(compute.device), **images.scale))


# Lengths ----------------------------------------------------------------------------------------------------------


@dataclass
class Lengths:
    """Lengths |x_i| of the groups' vectors, (N, G, H, W) float32 in pieces: before and behind the gates."""

    before: list[Tensor] = field(default_factory=list)
    after: list[Tensor] = field(default_factory=list)


def enhancer(block: nn.Module) -> SpatialGroupEnhance:
    """The SGE module of a block."""
    module = branch_end(block).get_submodule("attention")
    assert isinstance(module, SpatialGroupEnhance)
    return module


@contextmanager
def observed(module: SpatialGroupEnhance) -> Iterator[Lengths]:
    """Notes the lengths of what goes into a module and comes out of it."""
    seen = Lengths()

    def note(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.before.append(lengths(inputs[0], module.groups))
        seen.after.append(lengths(output, module.groups))

    handle = module.register_forward_hook(note)
    try:
        yield seen
    finally:
        handle.remove()


def lengths(maps: Tensor, groups: int) -> Tensor:
    """Lengths of the groups' vectors: (B, C, H, W) -> (B, G, H, W), float32 on the CPU."""
    batch, channels, height, width = maps.shape
    grouped = maps.float().reshape(batch, groups, channels // groups, height, width)
    return torch.linalg.vector_norm(grouped, dim=2).cpu()


def statistics_of(seen: Lengths, module: SpatialGroupEnhance, bins: int) -> dict[str, Any]:
    """What the paper's Figures 3 and 4 show, see `examine`."""
    before, after = (torch.cat(pieces).flatten(2).double().numpy() for pieces in (seen.before, seen.after))
    edges = np.linspace(0.0, max(before[:, 0].max(), after[:, 0].max()), bins + 1)
    counts = {
        name: np.histogram(values[:, 0], edges)[0].tolist() for name, values in (("before", before), ("after", after))
    }
    groups = []
    for group in range(module.groups):
        row: dict[str, Any] = {
            "group": group + 1,
            "gamma": float(module.weight.detach().flatten()[group]),
            "beta": float(module.bias.detach().flatten()[group]),
        }
        for name, values in (("before", before[:, group]), ("after", after[:, group])):
            for quantity, of_images in (("variance", values.var(1)), ("root", values.std(1))):
                row[f"{quantity}_{name}"] = float(of_images.mean())
                row[f"{quantity}_{name}_sd"] = float(of_images.std(ddof=1))
            for share, quantile in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True):
                row[f"q{round(100 * share)}_{name}"] = float(quantile)
        groups.append(row)
    return {"groups": groups, "histogram": {"edges": edges.tolist(), **counts}}


if __name__ == "__main__":
    main(examine, maps)
