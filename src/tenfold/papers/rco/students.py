"""Trains a student towards chosen anchors of its teacher, and measures it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.data.splits import Splits, scaling
from tenfold.launcher import Cfg
from tenfold.measure.predictions import accuracy, logits_of
from tenfold.nets.build import build
from tenfold.papers.rco.common import WithFeatures, indexed_batches, net_cost
from tenfold.papers.rco.method import anchor_at, hint_loss, kd_loss, kl_divergence, regressor
from tenfold.papers.rco.route import Anchor, Route, Stage, Target
from tenfold.progress import Progress
from tenfold.training.compute import Compute
from tenfold.training.loop import Trained, fit
from tenfold.training.losses import top1
from tenfold.training.recipe import Recipe
from tenfold.training.step import Loss


@dataclass(frozen=True)
class Lab:
    """What all students of a job are trained and measured with.

    Attributes:
        cfg: the job's configuration.
        compute: device and precision.
        progress: the job's.
        images: the dataset.
    """

    cfg: Cfg
    compute: Compute
    progress: Progress
    images: Splits

    def new_student(self, seed: int) -> nn.Module:
        """The student of a seed with its random weights, the same for each arm."""
        torch.manual_seed(seed)
        return self.compute.place(build({**self.cfg["student"], "classes": self.images.classes}))

    def facts(self) -> dict[str, Any]:
        """What metrics say of all students."""
        return {
            "data": self.images.name,
            "device": self.compute.device.type,
            "precision": self.compute.precision,
            "fit_images": len(self.images.fit),
            "test_images": len(self.images.test),
        }


class HintedStudent(nn.Module):
    """A student with the regressor that brings its features to the teacher's."""

    def __init__(self, net: nn.Module, layer: str, channels: tuple[int, int]) -> None:
        super().__init__()
        self.observed = WithFeatures(net, layer)
        self.regress = regressor(*channels)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K), and features as a hint should have them (B, C, H, W)."""
        logits, features = self.observed(images)
        return logits, self.regress(features).float()


def hinted(lab: Lab, net: nn.Module) -> HintedStudent:
    """A student with a regressor from its channels to its teacher's."""
    layer, channels = lab.cfg["hint_layer"], []
    with torch.device("meta"):
        for role in ("student", "teacher"):
            observed = WithFeatures(build({**lab.cfg[role], "classes": lab.images.classes}), layer)
            channels.append(observed(torch.empty(2, 3, 32, 32))[1].shape[1])
    return lab.compute.place(HintedStudent(net, layer, (channels[0], channels[1])))


def label_loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    """Cross-entropy of the labels alone."""
    images, labels, _ = batch
    logits = model(images).float()
    return {"loss": F.cross_entropy(logits, labels), "accuracy": top1(logits, labels)}


def student_loss(kind: str, anchor: Anchor, cfg: Cfg) -> Loss:
    """The loss of a student that learns from an anchor: kd or hint."""

    def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        images, labels, indices = batch
        wanted, features = anchor(images, indices)
        if kind == "hint":
            logits, own = model(images)
            hint = hint_loss(features, own)
            distilled = kd_loss(logits, wanted, labels, **cfg["kd"])
            return {"loss": distilled + cfg["hint_weight"] * hint, "hint": hint, "accuracy": top1(logits, labels)}
        logits = model(images).float()
        return {"loss": kd_loss(logits, wanted, labels, **cfg["kd"]), "accuracy": top1(logits, labels)}

    return loss


def train_stage(
    lab: Lab, model: nn.Module, kind: str, target: Target, number: int, seed: int, keep_after: Collection[int] = ()
) -> Trained:
    """One stage: the whole schedule with a fresh optimiser [choice], towards the stage's anchors.

    Args:
        lab: what students are trained with.
        model: the student (for hints a `HintedStudent`), with the weights of the stage before.
        kind: of the loss.
        target: the stage's.
        number: which stage it is, from 0; equal numbers and seeds see equal batches in each arm.
        seed: of student, teacher and batches.
        keep_after: epochs of the stage whose weights are to be kept.
    """
    recipe = replace(Recipe.from_cfg(lab.cfg["recipe"]), epochs=target.stage.epochs)
    losses = [label_loss] if kind == "labels" else [student_loss(kind, anchor, lab.cfg) for anchor in target.anchors]
    towards = ", ".join(map(str, target.stage.anchors)) or "labels"
    return fit(
        model,
        indexed_batches(lab.cfg["images"], lab.images.fit, recipe.batch_size, 1000 * seed + number, lab.compute.device),
        [losses[anchor_at(epoch, recipe.epochs, len(losses))] for epoch in range(recipe.epochs)],
        recipe,
        lab.compute,
        lab.progress,
        keep_after=keep_after,
        title=f"seed {seed}, towards {towards}",
    )


def measure(lab: Lab, route: Route, net: nn.Module, stages: Sequence[Stage]) -> dict[str, Any]:
    """All that is reported of a trained student: accuracies, and its KL divergence from the teacher's checkpoints.

    ``kl_train`` is the congruence with the final teacher on as many training images as are held out, ``kl_held_out``
    that on held-out images; ``hardness`` is the latter for each checkpoint. None of these images is augmented.
    """
    cfg, images, tau = lab.cfg, lab.images, lab.cfg["kd"]["tau"]
    final = route.checkpoints[-1]
    shown = images.fit[: len(images.held_out)]
    test, held_out, train = (
        logits_of(net, split, lab.compute, **scaling(cfg["images"])) for split in (images.test, images.held_out, shown)
    )
    hardness = {
        epoch: float(kl_divergence(route.said(epoch)["held_out/logits"].double(), held_out.double(), tau))
        for epoch in route.checkpoints
    }
    of_shown = route.said(final)["fit/logits"][: len(shown)]
    cost = net_cost({**cfg["student"], "classes": images.classes}, cfg["images"]["pixels"])
    epochs = sum(stage.epochs for stage in stages)
    return {
        "accuracy": accuracy(test, images.test.labels),
        "held_out_accuracy": accuracy(held_out, images.held_out.labels),
        "kl_train": float(kl_divergence(of_shown.double(), train.double(), tau)),
        "kl_held_out": hardness[final],
        "hardness": hardness,
        "anchors": [anchor for stage in stages for anchor in stage.anchors],
        "epochs": epochs,
        "images": epochs * len(images.fit),
        "params": cost.params,
        "macs": cost.macs,
    }
