"""What nets of face parsing are shown, what is measured of them, and what joint training leaves as it is."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tenfold.data.faces import BACKGROUND, PARTS
from tenfold.errors import UserError
from tenfold.papers.icnn_face_parsing import evaluate, faces, joint, method, pipeline, train, transformer
from tenfold.training.compute import Compute
from tenfold.training.step import Loss

torch.set_num_threads(1)

CPU = Compute(torch.device("cpu"), "fp32")
SIDES = {"face": 16, "brows": 16, "eyes": 16, "nose": 16, "mouth": 24}
CFG: dict[str, Any] = {
    "faces": {"side": 48, "train": None, "val": None, "test": None},
    "sides": SIDES,
    "widths": [2, 2, 2, 2],
    "form": {"kernel": 5, "linked": True, "calibrated": True},
    "spread": 6.0,
    "centre": "mean",
    "near": 2,
}
MOVED = {"rotation": 15, "scale": 0.1, "shift": 3}


def some_faces(n: int = 3, side: int = 48) -> faces.Faces:
    """Faces in rectangles, each elsewhere, with pixels that differ from each other."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, side, side, 3), generator=generator).to(torch.uint8)
    labels = torch.full((n, side, side), BACKGROUND, dtype=torch.uint8)
    boxes = {0: (10, 12, 8, 18), 1: (10, 12, 30, 40), 2: (16, 19, 10, 17), 3: (16, 19, 31, 38), 4: (20, 30, 20, 28),
             5: (34, 36, 16, 32), 6: (36, 38, 17, 31), 7: (38, 41, 16, 32)}  # fmt: skip
    for face in range(n):
        for label, (top, bottom, left, right) in boxes.items():
            labels[face, top + face : bottom + face, left - face : right - face] = label
    return faces.Faces(images, labels)


def prepared(path: Path, splits: dict[str, faces.Faces]) -> Path:
    tensors = {f"{name}_{kind}": getattr(part, kind) for name, part in splits.items() for kind in ("images", "labels")}
    save_file(tensors, path, {"faces": json.dumps({"name": "made-up", "parts": PARTS})})
    return path


# Views


@pytest.mark.parametrize("net", SIDES)
def test_views_that_nothing_is_done_to_are_the_crops_that_the_second_stage_cuts(net: str) -> None:
    split = some_faces()
    views = faces.views_of(split, net, SIDES)
    make = faces.maker(views, MOVED, CPU.device)
    indices = torch.arange(len(views.face))
    pixels, labels = make(indices, torch.zeros(len(indices), 4))
    assert pixels.shape == (len(indices), 3, SIDES[net], SIDES[net])
    for n in indices.tolist():
        face, centre = views.face[n : n + 1], views.centre[n : n + 1]
        wanted = pipeline.crop(views.images[face], centre, views.side)
        target = views.target[n][pipeline.crop(views.labels[face], centre, views.side, outside=BACKGROUND).long()]
        if views.is_mirrored[n]:
            wanted, target = wanted.flip(2), target.flip(2)
        torch.testing.assert_close(pixels[n : n + 1], wanted.permute(0, 3, 1, 2).float(), rtol=0, atol=0.05)
        assert torch.equal(labels[n : n + 1], target)


def test_brows_of_both_sides_are_one_label_and_the_right_ones_are_mirrored() -> None:
    views = faces.views_of(some_faces(), "brows", SIDES)
    assert views.is_mirrored.tolist() == [False] * 3 + [True] * 3
    _, labels = faces.maker(views, MOVED, CPU.device)(torch.arange(6), torch.zeros(6, 4))
    assert set(labels.unique().tolist()) == {0, 1}
    assert (labels == 0).sum((1, 2)).tolist() == [20] * 6


def test_faces_without_a_part_are_no_views_of_it_and_none_at_all_is_one_line() -> None:
    split = some_faces()
    split.labels[1][split.labels[1] == 2] = BACKGROUND
    assert faces.views_of(split, "eyes", SIDES).face.tolist() == [0, 2, 0, 1, 2]
    split.labels[split.labels == 4] = BACKGROUND
    with pytest.raises(UserError, match="no face has a part that 'nose' labels"):
        faces.views_of(split, "nose", SIDES)


def test_image_and_labels_move_together() -> None:
    """A face painted in its labels' colours, moved, has the labels of its colours."""
    split = some_faces(side=48)
    painted = faces.Faces((split.labels * 25).unsqueeze(3).expand(-1, -1, -1, 3).contiguous(), split.labels)
    views = faces.whole_faces(painted)
    chance = 2 * torch.rand(3, 4, generator=torch.Generator().manual_seed(1)) - 1
    pixels, labels = faces.maker(views, MOVED, CPU.device)(torch.arange(3), chance)
    inside = pixels[:, 0] > 0
    agreeing = ((pixels[:, 0] / 25).round().long() == labels)[inside].float().mean()
    assert agreeing > 0.85  # bicubic samples lie between two labels along every edge
    assert not torch.equal(labels, split.labels.long())
    assert (labels[~inside & (pixels[:, 0] == 0)] == BACKGROUND).float().mean() > 0.8


def test_batches_depend_on_their_seed_alone() -> None:
    views = faces.views_of(some_faces(), "eyes", SIDES)
    one, same, other = (faces.batches_of(views, MOVED, 4, seed, CPU.device).next()[0] for seed in (0, 0, 1))
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert not torch.equal(one[0], other[0])


def test_faces_are_read_smaller_and_fewer_where_that_is_asked(tmp_path: Path) -> None:
    path = prepared(tmp_path / "faces", {split: some_faces() for split in ("train", "val", "test")})
    settings = {"side": 24, "train": 2, "val": None, "test": None}
    found = faces.read_faces(settings, path)
    assert (found.name, len(found.train), len(found.test)) == ("made-up", 2, 3)
    assert found.train.images.shape == (2, 24, 24, 3)
    first = some_faces().labels[0].view(24, 2, 24, 2).permute(0, 2, 1, 3).flatten(2)
    majority = first.long().mode(2).values
    sure = (first == majority[..., None]).sum(2) > 2
    assert torch.equal(found.train.labels[0].long()[sure], majority[sure])
    for key, wrong in (("train", 4), ("side", 64)):
        with pytest.raises(UserError, match=rf"^faces.{key} is {wrong}, but .* ha(s|ve) .*\(config/papers/"):
            faces.read_faces(settings | {key: wrong}, path)


# Measures


class Knowing(nn.Module):
    """A net that knows its labels by the pixels, which have 1 more than their label, and 0 beyond the image.

    Args:
        own: from labels of the face to those of the net.
    """

    def __init__(self, own: dict[int, int]) -> None:
        super().__init__()
        self.n = max(own.values()) + 1
        self.own = torch.tensor([own.get(value - 1, self.n) for value in range(BACKGROUND + 2)])

    def forward(self, images: Tensor) -> Tensor:
        """Logits of its labels and of the background."""
        labels = self.own[images[:, 0].long()]
        return 99 * torch.nn.functional.one_hot(labels, self.n + 1).permute(0, 3, 1, 2).float()


def test_nets_that_know_the_labels_are_measured_to_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reduced face of the full size, so that nothing is lost: F is 1 in every way, and each centre is found."""
    monkeypatch.setattr(pipeline, "standardised", lambda pixels: pixels.float())
    split = some_faces()
    painted = faces.Faces((split.labels + 1).unsqueeze(3).expand(-1, -1, -1, 3).contiguous(), split.labels)
    nets: dict[str, nn.Module] = {
        "face": Knowing({label: label for label in range(8)}),
        "brows": Knowing({0: 0, 1: 0}),
        "eyes": Knowing({2: 0, 3: 0}),
        "nose": Knowing({4: 0}),
        "mouth": Knowing({5: 0, 6: 1, 7: 2}),
    }
    sides = SIDES | {"face": 48}
    parser = pipeline.Parser(nets, 48, sides, pipeline.usual_places(split.labels), "mean", CPU.device)
    row = evaluate.parsed(parser, faces.Splits("made-up", painted, painted, painted), CFG | {"sides": sides}, CPU)
    for way in ("one_stage", "two_stage", "true_crops", "other_centre"):
        assert row[way]["overall"] == row[way]["overall_mean"] == row[way]["least"] == 1, way
    assert row["centres"] == {"near": 1.0, "distance": pytest.approx(0, abs=1e-9), "missed": 0.0}


def test_centres_are_near_far_or_missed() -> None:
    true = torch.tensor([[[5.0, 5], [8, 8], [1, 1], [torch.nan, torch.nan]]])
    found = torch.tensor([[[5.0, 6], [8, 12], [torch.nan, torch.nan], [3, 3]]])
    assert evaluate.found_centres(found, true, 2) == {
        "near": pytest.approx(1 / 3), "distance": 2.5, "missed": pytest.approx(1 / 3),
    }  # fmt: skip
    assert evaluate.found_centres(torch.full_like(found, torch.nan), true, 2)["distance"] is None


def test_leaning_is_chosen_where_f_is_largest() -> None:
    """A first stage that gives a part of probability 0.6 twice the width that it has: more background is right."""
    probabilities = torch.zeros(1, 9, 16, 16)
    probabilities[:, 4, 4:12, 4:12], probabilities[:, 4, 6:10, 6:10] = 0.6, 0.9
    probabilities[:, BACKGROUND] = 1 - probabilities[:, 4]
    labels = torch.full((1, 16, 16), BACKGROUND, dtype=torch.uint8)
    labels[:, 6:10, 6:10] = 4
    split = faces.Faces(torch.zeros(1, 16, 16, 3, dtype=torch.uint8), labels)
    parser = pipeline.Parser({}, 16, {}, torch.zeros(6, 2), "mean", CPU.device)
    object.__setattr__(parser, "first_stage", lambda images: probabilities)
    leaning = evaluate.best_leaning(parser, split)
    assert leaning > 0.4
    assert torch.equal(parser.enlarged(probabilities, 16, leaning), labels)


# Training


def test_a_net_begins_with_how_often_its_labels_occur() -> None:
    views = faces.views_of(some_faces(), "nose", SIDES)
    shares = train.shares_of(views)
    assert shares.tolist() == pytest.approx([80 / 256, 176 / 256])
    net = train.net_of(CFG, "nose")
    net.begin_with(shares)
    nn.init.zeros_(net.label.weight)
    probabilities = net(torch.randn(1, 3, 16, 16)).softmax(1)
    torch.testing.assert_close(probabilities[0, :, 3, 3], shares.float())


@pytest.mark.parametrize("foreground", [1, 3, 8])
def test_bf16_gives_the_labels_and_the_gradient_of_fp32_within_3_percent(foreground: int) -> None:
    torch.manual_seed(0)
    net = method.InterlinkedCNN(foreground, (4, 8, 12, 16), spread=6.0)
    images, labels = torch.randn(4, 3, 32, 32), torch.randint(foreground + 1, (4, 32, 32))
    found = []
    for precision in ("fp32", "bf16"):
        compute = Compute(torch.device("cpu"), precision)
        own = compute.place(copy.deepcopy(net))
        with compute.autocast():
            logits = own(images.contiguous(memory_format=torch.channels_last)).float()
        method.channel_softmax_loss(logits, labels).backward()
        gradient = torch.cat([part.grad.flatten() for part in own.parameters() if part.grad is not None])
        found.append((logits.detach(), gradient))
    for plain, quick in zip(*found, strict=True):
        assert 0 < float((quick - plain).norm() / plain.norm()) < 0.03


def joined() -> joint.Joint:
    torch.manual_seed(0)
    nets = {net: train.net_of(CFG, net).state_dict() for net in SIDES}
    weights = {f"{net}/{name}": tensor for net, of in nets.items() for name, tensor in of.items()}
    found = joint.Joint(CFG, weights, pipeline.usual_places(some_faces().labels) * 48)
    assert all(torch.equal(found.nets[net].label.bias, of["label.bias"]) for net, of in nets.items())  # type: ignore[union-attr]
    return found


def test_the_transformer_cuts_the_crops_that_the_second_stage_cuts() -> None:
    split = some_faces()
    centres = pipeline.part_centres(split.labels, "mean").round()
    theta = joined().transformations(centres)
    pixels = split.images.permute(0, 3, 1, 2).float()
    for number, part in enumerate(pipeline.PARTS):
        side = SIDES[part.net]
        wanted = pipeline.crop(split.images, centres[:, number], side).permute(0, 3, 1, 2).float()
        torch.testing.assert_close(transformer.sample(pixels, theta[:, number], side), wanted, rtol=0, atol=0.02)


STEPS = {"localise": ("localisation",), "fixed": ("second",), "joint": ("face", "localisation", "second")}


@pytest.mark.parametrize("step", STEPS)
def test_what_is_not_trained_stays_as_it_is(step: str) -> None:
    net, split = joined(), some_faces()
    nn.init.normal_(net.localisation.theta.weight, std=1e-3)  # as it is at first, nothing reaches what lies before it
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.freeze(localises=step != "fixed", labels=step != "localise")
    usual = pipeline.usual_places(split.labels) * 48
    loss: Loss = joint.localising(usual) if step == "localise" else joint.labelling(CPU.device)
    optimiser = torch.optim.SGD([part for part in net.parameters() if part.requires_grad], 0.1)
    losses = loss(net, (split.images.permute(0, 3, 1, 2).float(), split.labels.long()))
    (losses["loss"] if isinstance(losses, dict) else losses).backward()
    optimiser.step()
    moved = {group_of(name) for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == set(STEPS[step])


def group_of(name: str) -> str:
    """The face's net, the localisation net, or one of the second stage."""
    first, _, rest = name.partition(".")
    return first if first == "localisation" else "face" if rest.startswith("face.") else "second"
