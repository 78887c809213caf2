"""Trains a student along chosen anchors, with a live teacher or with the outputs that were kept of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tenfold.data.splits import Splits, scaling
from tenfold.errors import UserError
from tenfold.launcher import Cfg
from tenfold.measure.predictions import accuracy, logits_of
from tenfold.nets.build import build
from tenfold.papers.rco.common import WithFeatures, indexed_batches, net_cost
from tenfold.papers.rco.method import anchor_at, eei_anchors, frozen, hint_loss, kd_loss, kl_divergence, regressor
from tenfold.progress import Progress
from tenfold.training.compute import Compute
from tenfold.training.loop import Loss, Trained, fit
from tenfold.training.losses import top1
from tenfold.training.recipe import Recipe
from tenfold.weights import below, load_weights

# (images, their indices) -> logits (B, K) and features, both float32 and without gradient.
Target = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Stage:
    """One run of the student's schedule.

    Attributes:
        anchors: the teacher's epochs that are its targets, one after the other in equal parts; none: labels only.
        epochs: of the student.
    """

    anchors: tuple[int, ...]
    epochs: int


def plan(kind: str, value: float, teacher_epochs: int, epochs: int) -> tuple[str, list[Stage]]:
    """The loss (labels, kd or hint) and the stages of an arm (see `tenfold.papers.rco.grid` for the arms).

    Args:
        kind: of the arm.
        value: its number: budgets, an epoch of the teacher, or anchors.
        teacher_epochs: the teacher's last epoch.
        epochs: one budget, the epochs of one stage.

    Raises:
        UserError: anchors do not fall on whole epochs of teacher or student, or an unknown kind.
    """
    number, final = int(value), (teacher_epochs,)
    match kind:
        case "alone":
            return "labels", [Stage((), number * epochs)]
        case "kd" | "hint":
            return kind, [Stage(final, number * epochs)]
        case "from":
            return "kd", [Stage((number,), epochs)]
        case "eei" | "hint-eei":
            loss = "kd" if kind == "eei" else "hint"
            return loss, [Stage((anchor,), epochs) for anchor in eei_anchors(teacher_epochs, number)]
        case "one-stage":
            if epochs % number:
                raise UserError(
                    f"one-stage-{number}: {epochs} epochs of the student have no {number} equal parts; "
                    f"the number of anchors must divide them (config/papers/rco.yaml)"
                )
            return "kd", [Stage(tuple(eei_anchors(teacher_epochs, number)), epochs)]
    raise UserError(f"'{kind}' is not a kind of arm; allowed: alone, kd, from, hint, eei, hint-eei, one-stage, gs")


@dataclass
class Lab:
    """What the students of a job are trained with.

    Attributes:
        cfg: the job's configuration.
        compute: device and precision.
        progress: the job's.
        images: the dataset.
        outputs: what the teachers' checkpoints said, as the teacher's stage wrote it.
        route: the teachers' weights; empty where outputs are kept of all that is needed.
    """

    cfg: Cfg
    compute: Compute
    progress: Progress
    images: Splits
    outputs: dict[str, Tensor]
    route: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def open(
        cls, cfg: Cfg, compute: Compute, progress: Progress, images: Splits, outputs: Path, route: Sequence[Path]
    ) -> Lab:
        """Reads what the teacher's stage wrote."""
        weights = load_weights(route[0]) if route else {}
        return cls(cfg, compute, progress, images, load_weights(outputs), weights)

    def checkpoints(self, seed: int) -> list[int]:
        """The epochs of the checkpoints on a teacher's route, in order."""
        start = f"seed{seed}/e"
        names = (name for name in self.outputs if name.startswith(start))
        return sorted({int(name.removeprefix(start).partition("/")[0]) for name in names})

    def said(self, seed: int, epoch: int) -> dict[str, Tensor]:
        """What is kept of a checkpoint's outputs: ``held_out/logits``, ``fit/logits``, ``fit/features``."""
        return below(f"seed{seed}/e{epoch}", self.outputs)

    def target(self, seed: int, epoch: int) -> Target:
        """A checkpoint of a teacher as a target.

        Raises:
            UserError: the teacher did not keep this checkpoint.
        """
        known = self.checkpoints(seed)
        if epoch not in known:
            kept = ", ".join(map(str, known))
            raise UserError(
                f"epoch {epoch} of the teacher is an anchor, but not among its checkpoints {kept}; add it to "
                f"teacher.checkpoints (config/papers/rco.yaml)"
            )
        if self.cfg["targets"] == "cached":
            return cached(self.said(seed, epoch), self.compute.device)
        net = build({**self.cfg["teacher"], "classes": self.images.classes})
        net.load_state_dict(below(f"seed{seed}/e{epoch}", self.route))
        return live(self.compute.place(net), self.cfg["hint_layer"])


def cached(said: dict[str, Tensor], device: torch.device) -> Target:
    """A target from kept outputs, for images whose views are fixed."""
    logits, features = said["fit/logits"].to(device), said["fit/features"].to(device)
    return lambda _images, indices: (logits[indices].float(), features[indices].float())


def live(net: nn.Module, layer: str) -> Target:
    """A target that runs the teacher on the very views that the student sees."""
    observed = WithFeatures(folded(frozen(net)), layer)

    def target(images: Tensor, _indices: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            logits, features = observed(images)
        return logits, features

    return target


def folded(net: nn.Module) -> nn.Module:
    """A copy of a net in eval mode, BatchNorm folded into the convolution before it: the same function, faster."""
    copied = copy.deepcopy(net)
    for module in copied.modules():
        parts = dict(module.named_children())
        conv, norm = parts.get("conv"), parts.get("bn")
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(conv, norm)
            module.bn = nn.Identity()
    return copied


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


def student_loss(kind: str, targets: Sequence[Target], epochs: int, cfg: Cfg) -> Loss:
    """The loss of one stage; with several targets each is in force for an equal part of the epochs."""

    def loss(model: nn.Module, batch: Any, epoch: int) -> dict[str, Tensor]:
        images, labels, indices = batch
        if kind == "labels":
            logits = model(images).float()
            return {"loss": F.cross_entropy(logits, labels), "accuracy": top1(logits, labels)}
        wanted, features = targets[anchor_at(epoch, epochs, len(targets))](images, indices)
        if kind == "hint":
            logits, own = model(images)
            hint = hint_loss(features, own)
            distilled = kd_loss(logits, wanted, labels, **cfg["kd"])
            return {"loss": distilled + cfg["hint_weight"] * hint, "hint": hint, "accuracy": top1(logits, labels)}
        logits = model(images).float()
        return {"loss": kd_loss(logits, wanted, labels, **cfg["kd"]), "accuracy": top1(logits, labels)}

    return loss


def new_student(lab: Lab, seed: int) -> nn.Module:
    """The student of a seed with its random weights, the same for each arm."""
    torch.manual_seed(seed)
    return lab.compute.place(build({**lab.cfg["student"], "classes": lab.images.classes}))


def channels_of(lab: Lab) -> tuple[int, int]:
    """Channels of the hinted layer in student and teacher."""
    found = []
    with torch.device("meta"):
        for role in ("student", "teacher"):
            observed = WithFeatures(build({**lab.cfg[role], "classes": lab.images.classes}), lab.cfg["hint_layer"])
            found.append(observed(torch.empty(2, 3, 32, 32))[1].shape[1])
    return found[0], found[1]


def train_stage(
    lab: Lab, model: nn.Module, loss: str, step: Stage, number: int, seed: int, keep_after: Collection[int] = ()
) -> Trained:
    """One stage: the whole schedule with a fresh optimiser [choice], towards the stage's anchors.

    Args:
        lab: what students are trained with.
        model: the student (for hints a `HintedStudent`), with the weights of the stage before.
        loss: labels, kd or hint.
        step: anchors and epochs.
        number: which stage it is, from 0; equal numbers and seeds see equal batches in each arm.
        seed: of student, teacher and batches.
        keep_after: epochs of the stage whose weights are to be kept.
    """
    recipe = replace(Recipe.from_cfg(lab.cfg["recipe"]), epochs=step.epochs)
    targets = [lab.target(seed, anchor) for anchor in step.anchors]
    towards = ", ".join(map(str, step.anchors)) or "labels"
    return fit(
        model,
        indexed_batches(lab.cfg["images"], lab.images.fit, recipe.batch_size, 1000 * seed + number, lab.compute.device),
        student_loss(loss, targets, step.epochs, lab.cfg),
        recipe,
        lab.compute,
        lab.progress,
        keep_after=keep_after,
        title=f"seed {seed}, towards {towards}",
    )


def measure(lab: Lab, seed: int, net: nn.Module, steps: Sequence[Stage]) -> dict[str, Any]:
    """All that is reported of a trained student: accuracies, and its KL divergence from the teacher's checkpoints.

    ``kl_train`` is the congruence with the final teacher on as many training images as are held out, ``kl_held_out``
    that on held-out images; ``hardness`` is the latter for each checkpoint. None of these images is augmented.
    """
    cfg, images, tau = lab.cfg, lab.images, lab.cfg["kd"]["tau"]
    final = lab.checkpoints(seed)[-1]
    shown = images.fit[: len(images.held_out)]
    test, held_out, train = (
        logits_of(net, split, lab.compute, **scaling(cfg["images"])) for split in (images.test, images.held_out, shown)
    )
    hardness = {
        epoch: float(kl_divergence(lab.said(seed, epoch)["held_out/logits"].double(), held_out.double(), tau))
        for epoch in lab.checkpoints(seed)
    }
    cost = net_cost({**cfg["student"], "classes": images.classes}, cfg["images"]["pixels"])
    epochs = sum(step.epochs for step in steps)
    return {
        "seed": seed,
        "accuracy": accuracy(test, images.test.labels),
        "held_out_accuracy": accuracy(held_out, images.held_out.labels),
        "kl_train": float(
            kl_divergence(lab.said(seed, final)["fit/logits"][: len(shown)].double(), train.double(), tau)
        ),
        "kl_held_out": hardness[final],
        "hardness": hardness,
        "anchors": [anchor for step in steps for anchor in step.anchors],
        "epochs": epochs,
        "images": epochs * len(images.fit),
        "params": cost.params,
        "macs": cost.macs,
    }


def report(lab: Lab, **facts: Any) -> dict[str, Any]:
    """The head of a metrics file, with the rows that the job's parts were finished with."""
    return {
        **facts,
        "data": lab.images.name,
        "device": lab.compute.device.type,
        "precision": lab.compute.precision,
        "fit_images": len(lab.images.fit),
        "test_images": len(lab.images.test),
    }


def courses(trained: Trained, **keys: Any) -> dict[str, list[dict[str, Any]]]:
    """The history and the times of one stage, each row with the keys that tell it from other stages."""
    return {name: [{**keys, **row} for row in getattr(trained, name)] for name in ("history", "times")}
