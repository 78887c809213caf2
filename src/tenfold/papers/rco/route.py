"""The stages that an arm is trained in, and the checkpoints on a teacher's route as what a student learns from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tenfold.errors import UserError
from tenfold.launcher import Cfg
from tenfold.nets.build import build
from tenfold.papers.rco.common import WithFeatures
from tenfold.papers.rco.method import eei_anchors, frozen
from tenfold.training.compute import Compute
from tenfold.weights import Tensors, below, load_weights

# (images, their indices) -> logits (B, K) and features, both float32 and without gradient.
Anchor = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

# What an arm is ---------------------------------------------------------------------------------------------------


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
            return loss, [Stage((anchor,), epochs) for anchor in anchors_at(teacher_epochs, number)]
        case "one-stage":
            if epochs % number:
                raise UserError(
                    f"one-stage-{number}: {epochs} epochs of the student have no {number} equal parts; "
                    f"the number of anchors must divide them (config/papers/rco.yaml)"
                )
            return "kd", [Stage(tuple(anchors_at(teacher_epochs, number)), epochs)]
    raise UserError(
        f"'{kind}' is not a kind of arm; allowed: alone, kd, from, hint, eei, hint-eei, one-stage, kd-restarts, gs"
    )


def anchors_at(epochs: int, m: int) -> list[int]:
    """As `eei_anchors`, of configured numbers.

    Raises:
        UserError: the epochs cannot be divided into m equal parts.
    """
    try:
        return eei_anchors(epochs, m)
    except ValueError as error:
        raise UserError(f"{error} (config/papers/rco.yaml)") from None


# What a student learns from ---------------------------------------------------------------------------------------


def cached(said: Tensors, device: torch.device) -> Anchor:
    """An anchor from kept outputs, for images whose views are fixed."""
    logits, features = said["fit/logits"].to(device), said["fit/features"].to(device)
    return lambda _images, indices: (logits[indices].float(), features[indices].float())


def live(net: nn.Module, layer: str) -> Anchor:
    """An anchor that runs the teacher on the very views that the student sees."""
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


class Target(nn.Module):
    """What a student learns from in one stage: its anchors, each in force for an equal part of the epochs."""

    def __init__(self, stage: Stage, anchors: Iterable[Anchor]) -> None:
        super().__init__()
        self.stage, self.anchors = stage, list(anchors)


@dataclass(frozen=True)
class Route:
    """The checkpoints of one seed's teacher.

    Attributes:
        cfg: the net of the ``teacher``, the ``hint_layer``, and whether ``targets`` are cached or live.
        classes: of the dataset.
        compute: where a live teacher runs.
        outputs: what the checkpoints said, ``e3/held_out/logits``.
        weights: theirs, ``e3/<weight>``; empty where outputs are kept of all that is needed.
    """

    cfg: Cfg
    classes: int
    compute: Compute
    outputs: Tensors
    weights: Tensors

    @cached_property
    def checkpoints(self) -> list[int]:
        """The teacher's epochs that they are of, in order."""
        return sorted({int(name.removeprefix("e").partition("/")[0]) for name in self.outputs})

    def said(self, epoch: int) -> Tensors:
        """What is kept of a checkpoint's outputs: ``held_out/logits``, ``fit/logits``, ``fit/features``."""
        return below(f"e{epoch}", self.outputs)

    def anchor(self, epoch: int) -> Anchor:
        """A checkpoint as something to learn from.

        Raises:
            UserError: the teacher did not keep this checkpoint.
        """
        if epoch not in self.checkpoints:
            kept = ", ".join(map(str, self.checkpoints))
            raise UserError(
                f"epoch {epoch} of the teacher is an anchor, but not among its checkpoints {kept}; add it to "
                f"teacher.checkpoints (config/papers/rco.yaml)"
            )
        if self.cfg["targets"] == "cached":
            return cached(self.said(epoch), self.compute.device)
        net = build({**self.cfg["teacher"], "classes": self.classes})
        net.load_state_dict(below(f"e{epoch}", self.weights))
        return live(self.compute.place(net), self.cfg["hint_layer"])

    def target(self, stage: Stage) -> Target:
        """What a student learns from in a stage."""
        return Target(stage, map(self.anchor, stage.anchors))


def read_routes(cfg: Cfg, classes: int, compute: Compute, outputs: Path, route: Sequence[Path]) -> dict[int, Route]:
    """The routes of all seeds, as the teacher's stage wrote them; ``route`` is no file or one."""
    said, weights = load_weights(outputs), load_weights(route[0]) if route else {}
    return {
        seed: Route(cfg, classes, compute, below(f"seed{seed}", said), below(f"seed{seed}", weights))
        for seed in cfg["seeds"]
    }
