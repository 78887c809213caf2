"""Cascade R-CNN: box heads in a chain, each trained on the boxes that the one before it has refined.

"Cascade R-CNN: Delving into High Quality Object Detection" (Cai and Vasconcelos, CVPR 2018, arXiv:1712.00726), of the
parts of torchvision, which has no cascade itself. A head that is to tell good boxes from better ones needs good ones to
learn from, which the proposals are not: so each stage asks for a larger overlap than the one before (Sec. 4).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.ops import boxes as box_ops

OVERLAPS = (0.5, 0.6, 0.7)  # of a box with a true one, from which on it counts as that object
CODES = ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0))  # scale of each stage's refinement
LOSS_WEIGHTS = (1.0, 0.5, 0.25)  # as mmdetection has them

Target = dict[str, Tensor]
Shapes = list[tuple[int, int]]


class CascadeHeads(nn.Module):
    """Box heads in a chain; takes the place of `torchvision.models.detection.roi_heads.RoIHeads` in a Faster R-CNN.

    Refinement does not depend on the class. A test score is the mean of the stages' probabilities, each of them for the
    box as it came to the stage, and a detection is the box that the last stage gives.

    Args:
        head: makes a stage from the overlap from which on a box counts as an object, and the scale of its codes; its
            ``box_predictor`` gives class scores (N, K + 1) and one code (N, 4).
    """

    def __init__(self, head: Callable[[float, tuple[float, ...]], RoIHeads]) -> None:
        super().__init__()
        self.stages = nn.ModuleList([head(overlap, codes) for overlap, codes in zip(OVERLAPS, CODES, strict=True)])

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: Shapes,
        targets: list[Target] | None = None,
    ) -> tuple[list[Target], dict[str, Tensor]]:
        """Detections in eval mode, losses in train mode: as `RoIHeads` has it."""
        losses: dict[str, Tensor] = {}
        probabilities: list[Tensor] = []
        stages = list[RoIHeads](self.stages)
        for number, stage in enumerate(stages):
            if self.training:
                proposals, _, labels, wanted = stage.select_training_samples(proposals, targets)
            pooled = stage.box_roi_pool(features, proposals, image_shapes)
            scores, codes = stage.box_predictor(stage.box_head(pooled))
            if self.training:
                of_classes, of_boxes = fastrcnn_loss(scores, of_each_class(codes, scores), labels, wanted)
                losses[f"loss_classifier_{number + 1}"] = LOSS_WEIGHTS[number] * of_classes
                losses[f"loss_box_reg_{number + 1}"] = LOSS_WEIGHTS[number] * of_boxes
            else:
                probabilities.append(scores.softmax(-1))
            if number + 1 < len(stages):
                proposals = refined(stage, codes.detach(), proposals, image_shapes)
        if self.training:
            return [], losses
        mean = torch.stack(probabilities).mean(0)
        # What comes after takes scores, whose softmax these logarithms give again.
        found = stages[-1].postprocess_detections(mean.log(), of_each_class(codes, mean), proposals, image_shapes)
        return [dict(zip(("boxes", "scores", "labels"), one, strict=True)) for one in zip(*found, strict=True)], losses


def of_each_class(codes: Tensor, scores: Tensor) -> Tensor:
    """One code for all classes as torchvision wants it, one for each: (N, 4), (N, K) -> (N, 4 K)."""
    return codes.repeat(1, scores.shape[1])


def refined(stage: RoIHeads, codes: Tensor, proposals: list[Tensor], image_shapes: Shapes) -> list[Tensor]:
    """The boxes that a stage makes of its proposals, within the images."""
    boxes = stage.box_coder.decode(codes, proposals)[:, 0].split([len(some) for some in proposals])
    return [box_ops.clip_boxes_to_image(some, shape) for some, shape in zip(boxes, image_shapes, strict=True)]
