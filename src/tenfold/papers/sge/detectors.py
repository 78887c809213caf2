"""The paper's four detectors on a residual net with attention: torchvision's, and a Cascade R-CNN of its parts.

Anchors, overlaps, samples and thresholds are those of the paper's official code (mmdetection of 2019) where torchvision
has them alike; it differs in the smooth part of box losses, and has one class more in RetinaNet, which never occurs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool, LastLevelP6P7

from tenfold.launcher import Cfg
from tenfold.nets import build as families
from tenfold.papers.sge.cascade import CascadeHeads
from tenfold.papers.sge.nets import channels_of, insert, stage_ends

KINDS = ("faster", "mask", "cascade", "retinanet")
RATIOS = (0.5, 1.0, 2.0)  # of an anchor's height to its width
OCTAVE = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # RetinaNet's anchors of one level
POOLED, MASK_POOLED = 7, 14
MASK_LAYERS = 4


class Stages(nn.Module):
    """The maps that stages of a residual net give, from fine to coarse.

    Args:
        net: ``family``, ``name``, ``width`` and ``attention``, as for `tenfold.papers.sge.nets.build`.
        chosen: stages, from 1.
        frozen: how many stages stay as they are, with the stem; then BatchNorm keeps its statistics in all of them.
        weights: of a trained classifier of this kind to begin with.
    """

    def __init__(
        self, net: Cfg, chosen: Sequence[int], frozen: int = 0, weights: dict[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        model = families.build({key: value for key, value in net.items() if key != "attention"})
        ends = [stage_ends(model)[stage - 1] for stage in chosen]
        still = stage_ends(model)[frozen - 1] + 1 if frozen else 0
        blocks = model.get_submodule("blocks")
        assert isinstance(blocks, nn.Sequential)
        self.channels = [channels_of(blocks[end]) for end in ends]
        if net["attention"]:
            insert(model, **net["attention"])
        model.add_module("classifier", nn.Identity())
        if weights is not None:
            model.load_state_dict(
                {name: value for name, value in weights.items() if not name.startswith("classifier.")}
            )
        self.stem = model.get_submodule("stem")
        self.blocks = nn.Sequential(*list(blocks)[: ends[-1] + 1])
        self.names = {end: str(number) for number, end in enumerate(ends)}
        self.keeps_statistics = frozen > 0
        for module in (self.stem, *list(self.blocks)[:still]) if frozen else ():
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> Stages:
        """As ever, but for statistics that are kept."""
        super().train(mode)
        if self.keeps_statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> maps by their number, "0" the finest."""
        found, maps = {}, self.stem(images)
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number in self.names:
                found[self.names[number]] = maps
        return found


class Pyramid(nn.Module):
    """A feature pyramid (FPN) on the stages of a net.

    Args:
        stages: of the net.
        channels: of all maps.
        kind: of the detector.
        coarser: whether there are levels beyond those of the net: two by convolutions for RetinaNet, else a pooled one.

    Attributes:
        out_channels: of all maps.
        levels: how many there are.
    """

    def __init__(self, stages: Stages, channels: int, kind: str, *, coarser: bool) -> None:
        super().__init__()
        self.stages = stages
        self.out_channels, self.levels = channels, len(stages.channels)
        more: ExtraFPNBlock | None = None
        if coarser:
            is_retinanet = kind == "retinanet"
            more = LastLevelP6P7(stages.channels[-1], channels) if is_retinanet else LastLevelMaxPool()
            self.levels += 2 if is_retinanet else 1
        self.fpn = FeaturePyramidNetwork(stages.channels, channels, more)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> float32 maps from fine to coarse."""
        maps: dict[str, Tensor] = self.fpn(self.stages(images))
        return {name: each.float() for name, each in maps.items()}


class ClassAgnosticPredictor(nn.Module):
    """Class scores (N, K), and one refinement of the box for all of them (N, 4)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.cls_score, self.bbox_pred = nn.Linear(features, classes), nn.Linear(features, 4)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, features) -> (N, K), (N, 4)."""
        return self.cls_score(features), self.bbox_pred(features)


def build_detector(
    cfg: Cfg, classes: int, views: dict[str, Any], weights: dict[str, Tensor] | None = None
) -> nn.Module:
    """A detector, of torchvision's kind: losses by name in train mode, detections of each image in eval mode.

    Args:
        cfg: ``net`` and its attention; ``detector``: ``kind`` (one of `KINDS`), ``stages`` of the net that the pyramid
            stands on, ``frozen`` of them, ``coarser`` and ``channels`` of the pyramid, ``anchor`` (pixels, the smallest
            one's side), and but for RetinaNet ``hidden`` (features of a box), ``proposals`` and ``sampled`` (of an
            image).
        classes: how many there are; labels begin with 1.
        views: ``image_mean`` and ``image_std`` of each channel, ``min_size`` and ``max_size`` that images are resized
            to.
        weights: of a trained classifier, for the net.
    """
    of = cfg["detector"]
    stages = Stages(cfg["net"], of["stages"], of["frozen"], weights)
    pyramid = Pyramid(stages, of["channels"], of["kind"], coarser=of["coarser"])
    build = _retinanet if of["kind"] == "retinanet" else _of_two_stages
    detector, outputs = build(of, pyramid, classes + 1, views)
    for module in outputs:  # boxes and scores are compared in float32, whatever the layers compute in
        module.register_forward_hook(lambda _module, _inputs, output: in_float32(output))
    return detector


# A detector, and its parts whose outputs are scores, codes of boxes, and masks.
Built = tuple[nn.Module, list[nn.Module]]


def _retinanet(of: Cfg, pyramid: Pyramid, classes: int, views: dict[str, Any]) -> Built:
    anchors = anchors_of(of, pyramid, OCTAVE)
    head = RetinaNetHead(pyramid.out_channels, anchors.num_anchors_per_location()[0], classes)
    keep_gain(head)
    detector = RetinaNet(pyramid, classes, anchor_generator=anchors, head=head, detections_per_img=100, **views)
    return detector, [head]


def _of_two_stages(of: Cfg, pyramid: Pyramid, classes: int, views: dict[str, Any]) -> Built:
    channels, hidden = pyramid.out_channels, of["hidden"]
    levels = [str(number) for number in range(len(of["stages"]))]

    def pool(size: int) -> MultiScaleRoIAlign:  # 224 pixels at the third level, where the smallest anchor has 32
        return MultiScaleRoIAlign(levels, size, 2, canonical_scale=7 * of["anchor"], canonical_level=4)

    def box_head() -> TwoMLPHead:
        return TwoMLPHead(channels * POOLED**2, hidden)

    def stage(overlap: float, codes: tuple[float, ...]) -> RoIHeads:
        return RoIHeads(pool(POOLED), box_head(), ClassAgnosticPredictor(hidden, classes), overlap, overlap,
                        of["sampled"], 0.25, codes, 0.05, 0.5, 100)  # fmt: skip

    given = {
        "rpn_anchor_generator": anchors_of(of, pyramid, (1.0,)),
        **{f"rpn_{when}_nms_top_n_{mode}": of["proposals"] for when in ("pre", "post") for mode in ("train", "test")},
        "box_batch_size_per_image": of["sampled"],
        "box_roi_pool": pool(POOLED),
        "box_head": box_head(),
        "box_predictor": FastRCNNPredictor(hidden, classes),
        **views,
    }
    if of["kind"] == "mask":
        detector: FasterRCNN = MaskRCNN(
            pyramid,
            mask_roi_pool=pool(MASK_POOLED),
            mask_head=MaskRCNNHeads(channels, (channels,) * MASK_LAYERS, 1),
            mask_predictor=MaskRCNNPredictor(channels, channels, classes),
            **given,
        )
    else:
        detector = FasterRCNN(pyramid, **given)
    if of["kind"] == "cascade":
        detector.roi_heads = CascadeHeads(stage)
    outputs: list[nn.Module] = [detector.get_submodule("rpn.head")]
    for heads in detector.modules():
        if isinstance(heads, RoIHeads):
            outputs += [heads.box_predictor, *([heads.mask_predictor] if heads.has_mask() else [])]
    return detector, outputs


def anchors_of(of: Cfg, pyramid: Pyramid, octave: Sequence[float]) -> AnchorGenerator:
    """Anchors of each level, twice as large as those of the one before."""
    sides = [of["anchor"] * 2**level for level in range(pyramid.levels)]
    return AnchorGenerator(tuple(tuple(side * step for step in octave) for side in sides), (RATIOS,) * len(sides))


def keep_gain(head: RetinaNetHead) -> None:
    """Scales first weights that are drawn for 256 channels, so that as much of a signal comes through fewer of them."""
    with torch.no_grad():
        for parameter in head.parameters():
            if parameter.dim() == 4:
                parameter.mul_(math.sqrt(256 / parameter.shape[1]))


def in_float32(output: Any) -> Any:
    """Tensors as float32, in whatever they come."""
    if isinstance(output, Tensor):
        return output.to(torch.float32)
    if isinstance(output, dict):
        return {name: in_float32(each) for name, each in output.items()}
    return type(output)(in_float32(each) for each in output)
