"""The stages of Pruning from Scratch on ImageNet: the same method, on photographs that are decoded as they are needed.

Structures are found by the same stages as elsewhere (`tenfold.papers.pruning_from_scratch.prune`). Written from the
official code's recipes and run on small made-up archives in tests; no net was trained on ImageNet with it yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tenfold.data.imagenet import Photos, held_out, load
from tenfold.data.splits import scaling
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.measure.accuracy import Evaluation, evaluate_batches
from tenfold.papers.pruning_from_scratch.common import Pictures
from tenfold.papers.pruning_from_scratch.learn_gates import learn
from tenfold.papers.pruning_from_scratch.train import facts_of, train_arm
from tenfold.stages.imagenet import TEST_BATCH
from tenfold.stages.seeds import Files
from tenfold.training.batches import Batches
from tenfold.training.compute import Compute, start
from tenfold.training.photos import central_pixels, photo_batches
from tenfold.training.recipe import Recipe


@stage
def learn_gates(
    cfg: Cfg, job: Job, *, data: Input, gates: Output, summary: Output, history: Output, times: Output
) -> None:
    """Gates for each seed, on weights that are drawn with that seed.

    The last images of each class are held out; a pass over the others is judged in ``parts``.
    """
    settings, parts = cfg["gates"], cfg["gates"]["parts"]
    compute = start(cfg["compute"], job)
    pictures = photographs(cfg, data, compute, "gates", settings["validation_per_class"], parts)
    outcome = learn(cfg, job, pictures, parts=parts)
    for row in outcome.history:
        row["epoch"] /= parts
    Files(gates, summary, history, times).write(outcome, {"source": cfg["source"]})


@stage
def train(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    structure: Inputs,
    weights: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """One net for each seed, with that seed's widths; the last epoch is reported, the best test epoch beside it."""
    pictures = photographs(cfg, data, start(cfg["compute"], job), "train")
    outcome = train_arm(cfg, job, pictures, Recipe.from_cfg(cfg["recipe"]), structure, best=True)
    Files(weights, metrics, history, times).write(outcome, facts_of(cfg, pictures))


@dataclass(frozen=True)
class Photographs:
    """Photographs as `tenfold.papers.pruning_from_scratch.common.Split` has them.

    Attributes:
        photos: which.
        images: ``size``, ``resize``, ``mean``, ``std``.
        augmentation: what `photo_batches` wants beside these.
        compute: where.
    """

    photos: Photos
    images: Cfg
    augmentation: Cfg
    compute: Compute

    def __len__(self) -> int:
        return len(self.photos)

    def batches(self, batch_size: int, seed: int) -> Batches:
        """Augmented training batches; equal seeds give equal order and augmentation in every arm."""
        return photo_batches(
            self.photos, batch_size=batch_size, size=self.images["size"], seed=seed, device=self.compute.device,
            **scaling(self.images), **self.augmentation,
        )  # fmt: skip

    def evaluate(self, model: nn.Module) -> Evaluation:
        """How a net does on the centres of the photographs."""
        centres = central_pixels(self.photos, TEST_BATCH, self.images["resize"], self.images["size"])
        return evaluate_batches(model, centres, self.compute, **scaling(self.images))


def photographs(
    cfg: Cfg, data: Path, compute: Compute, use: str, validation: int | None = None, parts: int = 1
) -> Pictures:
    """ImageNet, augmented for a use (``gates`` or ``train``).

    With ``validation`` so many training photographs of each class are held out and judged, not the test set.
    """
    photos, images = load(data), cfg["images"]
    seen, judged = (photos.train, photos.test) if validation is None else held_out(photos.train, validation)
    augmentation = images[use] | {"parts": parts}
    of_seen, of_judged = (Photographs(split, images, augmentation, compute) for split in (seen, judged))
    return Pictures(photos.name, len(photos.classes), images["size"], of_seen, of_judged, compute)


if __name__ == "__main__":
    main(learn_gates, train)
