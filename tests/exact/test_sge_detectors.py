"""The paper's detectors: their sizes against the sheet's and torchvision's own, and the cascade against plain loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn, maskrcnn_resnet50_fpn, retinanet_resnet50_fpn
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import box_iou

from tenfold.papers.sge.cascade import CODES, LOSS_WEIGHTS, OVERLAPS, CascadeHeads
from tenfold.papers.sge.detectors import KINDS, Stages, build_detector
from tenfold.papers.sge.method import SpatialGroupEnhance

torch.set_num_threads(1)

VIEWS = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "min_size": 64, "max_size": 64}
FULL = {"frozen": 0, "coarser": True, "channels": 256, "anchor": 32, "hidden": 1024, "proposals": 2000, "sampled": 512}
SMALL = {"stages": [1, 2, 3], "frozen": 0, "coarser": False, "channels": 8, "anchor": 8, "hidden": 16, "proposals": 20,
         "sampled": 8}  # fmt: skip


def resnet(name: str, arm: str, width: int = 64, **options: Any) -> dict[str, Any]:
    attention = None if arm == "plain" else {"kind": arm, **options}
    return {"family": "resnet_imagenet", "name": name, "width": width, "attention": attention}


def small(kind: str, arm: str = "plain", **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return build_detector(
        {"net": resnet("resnet18", arm, 16, **options), "detector": {"kind": kind, **SMALL}}, 3, VIEWS
    )


def scene() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(0)
    images = list(torch.rand(2, 3, 64, 64, generator=generator))
    boxes = torch.tensor([[4.0, 6.0, 24.0, 28.0], [30.0, 30.0, 60.0, 58.0]])
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.long().tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    return images, [{"boxes": boxes, "labels": torch.tensor([1, 3]), "masks": masks}] * 2


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "arm", "params"),
    [
        ("resnet50", "plain", 23_508_032),
        ("resnet50", "se", 26_039_024),
        ("resnet50", "sk", 24_105_496),
        ("resnet50", "bam", 23_866_099),
        ("resnet50", "cbam", 26_040_624),
        ("resnet50", "sge", 23_510_080),
        ("resnet101", "plain", 42_500_160),
        ("resnet101", "se", 47_277_872),
        ("resnet101", "sge", 42_504_384),
    ],
)
def test_backbones_have_the_papers_parameters(name: str, arm: str, params: int) -> None:
    with torch.device("meta"):
        assert count(Stages(resnet(name, arm), [1, 2, 3, 4])) == params


@pytest.mark.parametrize(
    ("kind", "build"),
    [("faster", fasterrcnn_resnet50_fpn), ("mask", maskrcnn_resnet50_fpn), ("retinanet", retinanet_resnet50_fpn)],
)
def test_detectors_are_as_large_as_torchvisions_own(kind: str, build: Any) -> None:
    of = {**FULL, "kind": kind, "stages": [2, 3, 4] if kind == "retinanet" else [1, 2, 3, 4]}
    with torch.device("meta"):
        ours = build_detector({"net": resnet("resnet50", "plain"), "detector": of}, 80, VIEWS)
        theirs = build(weights=None, weights_backbone=None, num_classes=81)
    assert count(ours) == count(theirs) + (p6_of_c5() if kind == "retinanet" else 0)


def p6_of_c5() -> int:
    """torchvision's RetinaNet makes its first coarser level of 256 channels, the paper's code of the net's 2,048."""
    return (2048 - 256) * 256 * 9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arm", "options"),
    [("sge", {"groups": 4}), ("se", {"reduction": 4}), ("sk", {"groups": 4, "reduction": 4}), ("gc", {"reduction": 4}),
     ("cbam", {"reduction": 4}), ("bam", {"reduction": 4})],
)  # fmt: skip
def test_a_step_reaches_every_weight_of_the_attention(kind: str, arm: str, options: dict[str, Any]) -> None:
    detector = small(kind, arm, **options)
    torch.stack(list(detector(*scene()).values())).sum().backward()
    found = {name: parameter.grad for name, parameter in detector.named_parameters() if "attention" in name}
    if arm == "sk":
        found = {name: parameter.grad for name, parameter in detector.named_parameters() if "blocks.0.conv1" in name}
    assert found or arm == "bam"
    assert all(gradient is not None and gradient.isfinite().all() for gradient in found.values())
    assert any(gradient.abs().sum() > 0 for gradient in found.values()) or arm == "bam"


def test_gates_of_every_block_learn() -> None:
    detector = small("retinanet", "sge", groups=4)
    torch.stack(list(detector(*scene()).values())).sum().backward()
    gates = [module for module in detector.modules() if isinstance(module, SpatialGroupEnhance)]
    assert len(gates) == 6, "two blocks in each of three stages; the last one carries no pyramid and is left out"
    assert all(gate.weight.grad is not None and gate.weight.grad.abs().sum() > 0 for gate in gates)


def test_frozen_stages_and_statistics_stay() -> None:
    torch.manual_seed(0)
    of = {"kind": "retinanet", **SMALL, "frozen": 1}
    detector = build_detector({"net": resnet("resnet18", "sge", 16, groups=4), "detector": of}, 3, VIEWS).train()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    optimiser = torch.optim.SGD([each for each in detector.parameters() if each.requires_grad], 0.1)
    torch.stack(list(detector(*scene()).values())).sum().backward()
    optimiser.step()
    changed = {name for name, value in detector.state_dict().items() if not torch.equal(value, before[name])}
    still = tuple(f"backbone.stages.{part}." for part in ("stem", "blocks.0", "blocks.1"))
    assert not any(name.startswith(still) for name in changed)
    assert not any("running" in name for name in changed)
    affine = detector.get_parameter("backbone.stages.blocks.2.conv1.bn.weight").grad
    assert affine is not None and affine.abs().sum() > 0, "the affine part of later stages learns"


def test_a_trained_classifier_is_where_a_backbone_begins() -> None:
    from tenfold.papers.sge.nets import build

    torch.manual_seed(1)
    net = resnet("resnet18", "sge", 16, groups=4)
    classifier = build({**net, "classes": 10})
    stages = Stages(net, [1, 2, 3], weights=classifier.state_dict())
    for name, value in stages.state_dict().items():
        assert torch.equal(value, classifier.state_dict()[name]), name


# Cascade ----------------------------------------------------------------------------------------------------------


def heads_of(detector: nn.Module) -> CascadeHeads:
    (heads,) = (module for module in detector.modules() if isinstance(module, CascadeHeads))
    return heads


def test_each_stage_asks_for_more_overlap() -> None:
    stages = heads_of(small("cascade")).stages
    assert [stage.proposal_matcher.high_threshold for stage in stages] == [0.5, 0.6, 0.7]
    assert [stage.box_coder.weights for stage in stages] == list(CODES)
    assert len({id(stage.box_head) for stage in stages}) == 3, "no weights are shared"


def decoded(box: list[float], code: list[float], scale: tuple[float, ...], side: float) -> list[float]:
    """Eq. 1 and 2 of the paper backwards: a box moved by shares of its size, and stretched, within the image."""
    width, height = box[2] - box[0], box[3] - box[1]
    dx, dy, dw, dh = (value / of for value, of in zip(code, scale, strict=True))
    x, y = box[0] + width / 2 + dx * width, box[1] + height / 2 + dy * height
    w, h = width * math.exp(dw), height * math.exp(dh)
    return [min(max(value, 0.0), side) for value in (x - w / 2, y - h / 2, x + w / 2, y + h / 2)]


class Scripted(nn.Module):
    """Says what it was told to, whatever it is shown: scores and one code for each box."""

    def __init__(self, scores: Tensor, codes: Tensor) -> None:
        super().__init__()
        self.scores, self.codes = nn.Parameter(scores), nn.Parameter(codes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.scores[: len(features)], self.codes[: len(features)]


class Boxes(nn.Module):
    """Pools nothing: notes the boxes that a stage is asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[Tensor]] = []

    def forward(self, _features: Any, boxes: list[Tensor], _shapes: Any) -> Tensor:
        self.asked.append([some.clone() for some in boxes])
        return torch.zeros(sum(map(len, boxes)), 1)


@pytest.fixture
def scripted() -> tuple[CascadeHeads, list[Scripted], Boxes]:
    generator = torch.Generator().manual_seed(3)
    said = [
        Scripted(torch.randn(64, 4, generator=generator), torch.randn(64, 4, generator=generator)) for _ in OVERLAPS
    ]
    remaining, boxes = iter(said), Boxes()

    def head(overlap: float, codes: tuple[float, ...]) -> RoIHeads:
        return RoIHeads(boxes, nn.Identity(), next(remaining), overlap, overlap, 64, 0.25, codes, 0.05, 0.5, 100)

    return CascadeHeads(head), said, boxes


PROPOSALS = [[2.0, 3.0, 20.0, 30.0], [28.0, 31.0, 62.0, 60.0], [40.0, 5.0, 60.0, 20.0], [5.0, 5.0, 25.0, 26.0]]


def test_detections_are_the_last_boxes_with_the_mean_of_the_scores(scripted: Any) -> None:
    heads, said, pooled = scripted
    with torch.no_grad():
        found, losses = heads.eval()({}, [torch.tensor(PROPOSALS)], [(64, 64)])
    assert losses == {}
    boxes, mean = PROPOSALS, torch.zeros(len(PROPOSALS), 4)
    for stage, scale, asked in zip(said, CODES, pooled.asked, strict=True):
        assert torch.allclose(asked[0], torch.tensor(boxes), atol=1e-4), (
            "each stage is asked about the last one's boxes"
        )
        mean += stage.scores[: len(boxes)].detach().softmax(1) / 3
        boxes = [decoded(box, code, scale, 64) for box, code in
                 zip(boxes, stage.codes[: len(boxes)].tolist(), strict=True)]  # fmt: skip
    kept = plain_suppression(boxes, mean)
    assert len(found[0]["boxes"]) == len(kept)
    for (box, label, score), ours in zip(kept, zip(*found[0].values(), strict=True), strict=True):
        assert torch.allclose(ours[0], torch.tensor(box), atol=1e-4)
        assert float(ours[1]) == pytest.approx(score, abs=1e-6)
        assert int(ours[2]) == label


def plain_suppression(boxes: list[list[float]], scores: Tensor) -> list[tuple[list[float], int, float]]:
    """Best first, class by class, what overlaps by more than a half with a better one left out; scores above .05."""
    candidates = sorted(((float(scores[i, k]), i, k) for i in range(len(boxes)) for k in (1, 2, 3)), reverse=True)
    kept: list[tuple[list[float], int, float]] = []
    for score, i, k in candidates:
        near = [box for box, label, _ in kept if label == k and iou(box, boxes[i]) > 0.5]
        if score > 0.05 and not near and boxes[i][2] > boxes[i][0] and boxes[i][3] > boxes[i][1]:
            kept.append((boxes[i], k, score))
    return kept


def iou(one: list[float], other: list[float]) -> float:
    return float(box_iou(torch.tensor([one]), torch.tensor([other])))


def test_losses_are_those_of_each_stages_own_boxes(scripted: Any) -> None:
    heads, said, pooled = scripted
    target = {"boxes": torch.tensor([[4.0, 6.0, 24.0, 28.0], [30.0, 30.0, 60.0, 58.0]]), "labels": torch.tensor([1, 3])}
    _, losses = heads.train()({}, [torch.tensor(PROPOSALS)], [(64, 64)], [target])
    assert len(losses) == 6
    for number, (stage, scale, overlap) in enumerate(zip(said, CODES, OVERLAPS, strict=True)):
        boxes = pooled.asked[number][0]  # all of them, for there are fewer than are sampled
        of_classes, of_boxes = 0.0, 0.0
        for box, scores, code in zip(boxes.tolist(), stage.scores, stage.codes, strict=False):
            overlaps = [iou(box, true) for true in target["boxes"].tolist()]
            best = max(range(2), key=overlaps.__getitem__)
            label = int(target["labels"][best]) if overlaps[best] >= overlap else 0
            of_classes -= float(scores.detach().log_softmax(0)[label]) / len(boxes)
            if label:
                for got, wanted in zip(code.tolist(), encoded(box, target["boxes"][best].tolist(), scale), strict=True):
                    far, beta = abs(got - wanted), 1 / 9
                    of_boxes += (far - beta / 2 if far >= beta else far**2 / (2 * beta)) / len(boxes)
        assert float(losses[f"loss_classifier_{number + 1}"].detach()) == pytest.approx(
            LOSS_WEIGHTS[number] * of_classes, rel=1e-4
        )
        assert float(losses[f"loss_box_reg_{number + 1}"].detach()) == pytest.approx(
            LOSS_WEIGHTS[number] * of_boxes, rel=1e-4
        )


def encoded(box: list[float], true: list[float], scale: tuple[float, ...]) -> list[float]:
    """What `decoded` turns a box into the true one with."""
    (w, h), (tw, th) = ((b[2] - b[0], b[3] - b[1]) for b in (box, true))
    moved = [(true[0] + tw / 2 - box[0] - w / 2) / w, (true[1] + th / 2 - box[1] - h / 2) / h]
    return [of * value for of, value in zip(scale, [*moved, math.log(tw / w), math.log(th / h)], strict=True)]


def test_later_stages_learn_from_refined_boxes_without_reaching_back(scripted: Any) -> None:
    heads, said, _ = scripted
    target = {"boxes": torch.tensor([[4.0, 6.0, 24.0, 28.0]]), "labels": torch.tensor([2])}
    _, losses = heads.train()({}, [torch.tensor(PROPOSALS)], [(64, 64)], [target])
    (losses["loss_box_reg_2"] + losses["loss_box_reg_3"]).backward()
    assert said[0].codes.grad is None
