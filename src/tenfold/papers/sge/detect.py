"""Trains a detector on a small net with one kind of attention, for each seed, and measures its average precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.data.pictures import Objects, load
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.measure.accuracy import in_eval_mode
from tenfold.measure.coco import average_precision
from tenfold.papers.sge.detectors import Stages, build_detector
from tenfold.papers.sge.examine import Lengths, enhancer, observed
from tenfold.papers.sge.method import SpatialGroupEnhance
from tenfold.papers.sge.nets import stage_ends
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.batches import Batches, Drawn
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe

AT_ONCE = 20  # pictures in a forward pass without gradients


@stage
def detect(
    cfg: Cfg, job: Job, *, data: Input, weights: Output, metrics: Output, history: Output, times: Output
) -> None:
    """One detector for each seed; the last epoch is what is reported.

    Args:
        cfg: ``net`` and ``detector`` as `tenfold.papers.sge.detectors.build_detector` takes them, ``mean`` and ``std``
            of each channel, ``recipe``, and the ``stage`` whose groups are looked at.
        job: what surrounds the run.
        data: the prepared pictures.
        weights: of the detectors.
        metrics: for each seed COCO's box AP in [0, 1] (``ap``, ``ap50``, ``ap75``; ``ap_small``, ``ap_medium`` and
            ``ap_large`` by the size that objects have in the published pictures), and by how much ``ap`` ``moved`` in
            the last tenth of training. Of SGE also the gammas and betas of the last block (``gates``), and how many
            times longer the groups' vectors are on objects than beside them (``lit``), ``before`` and ``behind`` the
            gates.
        history: losses, a row for each seed and epoch.
        times: seconds and rates.
    """
    compute = start(cfg["compute"], job)
    pictures, recipe = load(data), Recipe.from_cfg(cfg["recipe"])
    side = pictures.test.images.shape[-1]
    views = {"image_mean": cfg["mean"], "image_std": cfg["std"], "min_size": side, "max_size": side}
    late = max(1, round(0.9 * recipe.epochs))
    progress = Progress(job)

    def one_seed(seed: int) -> Outcome:
        trained = fit(
            compute.place(build_detector(cfg, len(pictures.classes), views)),
            picture_batches(pictures.train, recipe.batch_size, seed, compute.device),
            detection_loss,
            recipe,
            compute,
            progress,
            keep_after=[late],
            title=f"seed {seed}",
        )
        model, last = trained.model, {name: value.clone() for name, value in trained.model.state_dict().items()}
        model.load_state_dict(trained.kept[late])
        before = precision_of(model, pictures.test, len(pictures.classes), compute)["ap"]
        model.load_state_dict(last)
        with groups_seen(model, cfg["stage"]) as seen:
            row = precision_of(model, pictures.test, len(pictures.classes), compute)
        row |= {"moved": abs(row["ap"] - before), "epochs": recipe.epochs, **gates_of(model)}
        if seen is not None:
            row["lit"] = lit(seen, pictures.test.instances)
        return Outcome([row], last).add_course(trained)

    outcome = per_seed(progress, cfg["seeds"], one_seed)
    built = build_detector(cfg, len(pictures.classes), views)
    facts = {
        "net": cfg["name"],
        "arm": cfg["arm"],
        "data": pictures.name,
        "device": compute.device.type,
        "precision": compute.precision,
        "params": sum(parameter.numel() for parameter in built.parameters()),
        "fit_images": len(pictures.train),
        "test_images": len(pictures.test),
    }
    Files(weights, metrics, history, times).write(outcome, facts)


def picture_batches(
    pictures: Objects,
    batch_size: int,
    seed: int,
    device: torch.device,
    *,
    drop_last: bool = False,
    share: tuple[int, int] = (0, 1),
) -> Batches:
    """Batches of images, float32 (3, H, W) in [0, 1], and what is to be learned of each; half of them mirrored.

    Args:
        pictures: what they are made of.
        batch_size: pictures in a batch.
        seed: of order and mirroring.
        device: where batches are made.
        drop_last: leave out an epoch's last batch where it would be smaller.
        share: ``(k, n)``: of each batch only every n-th picture, from the k-th on.
    """

    def draw(indices: Tensor, generator: torch.Generator) -> Drawn:
        flipped = torch.rand(len(indices), generator=generator) < 0.5
        return indices[share[0] :: share[1]], flipped[share[0] :: share[1]]

    def make(indices: Tensor, flipped: Tensor) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        images, targets = [], []
        for number, flip in zip(indices.tolist(), flipped.tolist(), strict=True):
            image = pictures.image(number).to(device) / 255
            images.append(image.flip(2) if flip else image)
            target = pictures.target(number, flipped=flip)
            targets.append({name: part.to(device) for name, part in target.items()})
        return images, targets

    return Batches(len(pictures), batch_size, make, seed, drop_last, draw)


def detection_loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    """The sum of a detector's losses, and each of them."""
    losses: dict[str, Tensor] = model(*batch)
    return {"loss": torch.stack(list(losses.values())).sum(), **losses}


def precision_of(model: nn.Module, pictures: Objects, classes: int, compute: Compute) -> dict[str, Any]:
    """COCO's average precision of a detector's boxes, see `tenfold.measure.coco.average_precision`."""
    detections = []
    with in_eval_mode(model), torch.no_grad(), compute.autocast():
        for numbers in torch.arange(len(pictures)).split(AT_ONCE):
            found = model([pictures.image(number).to(compute.device) / 255 for number in numbers.tolist()])
            for number, of_picture in zip(numbers.tolist(), found, strict=True):
                detections += pictures.detections(number, of_picture)
    return average_precision(pictures.truth(classes), detections, "bbox")


def gates_of(model: nn.Module) -> dict[str, Any]:
    """The gammas and betas of the last block, as the metrics have them; of other attention than SGE nothing."""
    modules = [module for module in model.modules() if isinstance(module, SpatialGroupEnhance)]
    if not modules:
        return {}
    last = modules[-1]
    return {"gates": {"gamma": last.weight.flatten().tolist(), "beta": last.bias.flatten().tolist()}}


@contextmanager
def groups_seen(model: nn.Module, stage: int) -> Iterator[Lengths | None]:
    """Notes the lengths of groups' vectors in the last block of a stage; None of other attention than SGE."""
    if not gates_of(model):
        yield None
        return
    stages = next(module for module in model.modules() if isinstance(module, Stages))
    last = stage_ends(stages)[stage - 1]
    with observed(enhancer(stages.get_submodule(f"blocks.{last}"))) as seen:
        yield seen


def lit(seen: Lengths, instances: Tensor) -> dict[str, float]:
    """How many times longer groups' vectors are on objects than beside them, the mean over groups.

    Args:
        seen: lengths before and behind the gates, (N, G, h, w) in pieces.
        instances: where objects are, (N, H, W); a position is on one if at least half of its pixels are.
    """
    found = {}
    for when, pieces in (("before", seen.before), ("behind", seen.after)):
        lengths = torch.cat(pieces).double().movedim(1, 0)
        height, width = lengths.shape[2:]
        covered = F.adaptive_avg_pool2d((instances > 0).double()[:, None], (height, width))[:, 0] >= 0.5
        found[when] = float((lengths[:, covered].mean(1) / lengths[:, ~covered].mean(1)).mean())
    return found


if __name__ == "__main__":
    main(detect)
