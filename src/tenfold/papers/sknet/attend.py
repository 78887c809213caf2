"""Reads the attention of trained nets on images whose objects are shown at several scales (Sec. 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.data.images import Images
from tenfold.data.splits import read_splits, scaling
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.measure.accuracy import in_eval_mode
from tenfold.measure.predictions import BATCH
from tenfold.papers.sknet.method import attention_difference, attention_weights
from tenfold.papers.sknet.nets import build_net, selective_kernels
from tenfold.training.batches import normalise
from tenfold.training.compute import Compute, start
from tenfold.weights import below, load_weights

POINTS = 16  # groups of consecutive channels that a curve has a point for, as in Figure 3

Views = Iterable[tuple[Tensor, Tensor]]  # images, uint8 (B, 3, H, W), and their labels, int64 (B,)


@stage
def attend(cfg: Cfg, job: Job, *, data: Input, weights: Input, attention: Output) -> None:
    """The attention of each seed's net on all test images, at each scale.

    Args:
        cfg: ``net`` and ``images`` as in training, ``seeds``, ``scales``.
        job: what surrounds the run.
        data: the prepared dataset.
        weights: what ``train`` wrote.
        attention: a row for each seed, scale and unit, with what ``read_units`` says.
    """
    compute = start(cfg["compute"], job)
    images = read_splits(cfg["images"], data)
    rows = rows_of(
        cfg,
        job,
        compute,
        load_weights(weights),
        images.classes,
        lambda scale: views_at(images.test, scale),
        scaling(cfg["images"]),
    )
    write_json(attention, {"rows": rows})


def rows_of(
    cfg: Cfg,
    job: Job,
    compute: Compute,
    weights: Mapping[str, Tensor],
    classes: int,
    views: Callable[[float], Views],
    scaled: Cfg,
) -> list[dict[str, Any]]:
    """A row for each seed, scale and unit.

    Args:
        cfg: ``net``, ``seeds``, ``scales``.
        job: what surrounds the run.
        compute: device and precision.
        weights: ``seed0/<weight>``.
        classes: of the dataset.
        views: from a scale to batches of images.
        scaled: ``mean`` and ``std`` of each channel.
    """
    rows = []
    for seed in cfg["seeds"]:
        net = build_net({**cfg["net"], "classes": classes})
        net.load_state_dict(below(f"seed{seed}", weights))
        compute.place(net)
        for scale in cfg["scales"]:
            read = read_units(net, views(scale), compute, scaled)
            rows += [{"seed": seed, "scale": scale, "unit": unit, **row} for unit, row in read.items()]
            job.say(f"seed {seed}, {scale:g}x")
    return rows


def views_at(images: Images, scale: float) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of images whose objects are ``scale`` times as large as at 1.0.

    Where the dataset draws each scene at several scales, the scenes of this scale; else the middle of each image.
    """
    if images.scale is not None:
        images = images[images.scale == round(100 * scale)]
    for pixels, labels in zip(images.images.split(BATCH), images.labels.split(BATCH), strict=True):
        yield (pixels if images.scale is not None else zoomed(pixels, scale)), labels


def zoomed(pixels: Tensor, scale: float) -> Tensor:
    """The central square of side ``W / scale``, resized to the image's size, bilinear: uint8 (B, C, W, W) -> the same.

    At 1.0 it is the image itself.
    """
    side = pixels.shape[-1]
    cut = round(side / scale)
    start_at = (side - cut) // 2
    centre = pixels[..., start_at : start_at + cut, start_at : start_at + cut].float()
    resized = F.interpolate(centre, (side, side), mode="bilinear", align_corners=False)
    return resized.round().to(torch.uint8)


def read_units(net: nn.Module, views: Views, compute: Compute, scaled: Cfg) -> dict[str, dict[str, Any]]:
    """What each SK unit does with some images, in eval mode.

    Args:
        net: a net with SK units, placed.
        views: batches of images.
        compute: device and precision.
        scaled: ``mean`` and ``std`` of each channel.

    Returns:
        By unit: ``difference`` and ``sd``, mean and deviation over images of D (`attention_difference`; 0 of one);
        ``curve``, the mean attention for the last branch in up to `POINTS` groups of consecutive channels;
        ``classes``, the mean of D by label.
    """
    units = selective_kernels(net)
    weights: dict[str, Tensor] = {}

    def keep(unit: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, logits: Tensor) -> None:
            weights[unit] = attention_weights(logits.float()).cpu()

        return hook

    hooks = [module.attention.register_forward_hook(keep(unit)) for unit, module in units.items()]
    differences: dict[str, list[Tensor]] = {unit: [] for unit in units}
    curves: dict[str, list[Tensor]] = {unit: [] for unit in units}
    seen: list[Tensor] = []
    with in_eval_mode(net), torch.no_grad(), compute.autocast():
        for pixels, labels in views:
            net(normalise(pixels.to(compute.device).permute(0, 2, 3, 1).contiguous(), scaled["mean"], scaled["std"]))
            seen.append(labels)
            for unit, kept in weights.items():
                differences[unit].append(attention_difference(kept))
                curves[unit].append(grouped(kept[:, -1]))
    for hook in hooks:
        hook.remove()
    return {unit: summary_of(torch.cat(differences[unit]), torch.cat(curves[unit]), torch.cat(seen)) for unit in units}


def grouped(attention: Tensor) -> Tensor:
    """Means over groups of consecutive channels: (N, C) -> (N, `POINTS`), or fewer of fewer channels."""
    return attention.unflatten(1, (min(POINTS, attention.shape[1]), -1)).mean(2)


def summary_of(differences: Tensor, curves: Tensor, labels: Tensor) -> dict[str, Any]:
    """Means and spread over images: D (N,), grouped attention (N, points), labels (N,)."""
    differences = differences.double()
    classes = {int(label): float(differences[labels == label].mean()) for label in labels.unique()}
    return {
        "difference": float(differences.mean()),
        "sd": float(differences.std()) if len(differences) > 1 else 0.0,
        "curve": curves.double().mean(0).tolist(),
        "classes": classes,
    }


if __name__ == "__main__":
    main(attend)
