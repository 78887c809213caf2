"""Turbo learning: what each link changes and what it leaves alone, and each module computed another way."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.papers.turbo_hoi.method import (
    OPEN,
    Links,
    Sizes,
    Truth,
    TurboHOI,
    Turn,
    agent_scores,
    decode,
    density,
    encode,
    joint_cells,
    joint_places,
    role_of,
    triplet_scores,
    turbo_loss,
)
from tenfold.papers.turbo_hoi.nets import SceneNet, every_pair, for_rectifiers

SIZES = Sizes(channels=3, persons=4, objects=2, pose=5, message=4, hidden=7, guide=2)
ACTIONS, JOINTS, IMAGES, PERSONS, OBJECTS = 4, 3, 2, 2, 3
VARIANTS = {
    "multitask": Links(use_pose=False, use_mask=False, turns=1),
    "pose-to-hoi": Links(use_mask=False),
    "hoi-to-pose": Links(use_pose=False),
    "turbo-2": Links(),
    "turbo-3": Links(turns=3),
    "shuffled": Links(shuffled=True),
}


def net(links: Links, sizes: Sizes = SIZES) -> TurboHOI:
    """A net whose first weights are the same whatever its links."""
    torch.manual_seed(0)
    return TurboHOI(sizes, ACTIONS, JOINTS, links).apply(for_rectifiers).double()


def rois() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    persons = torch.rand(IMAGES * PERSONS, 3, 4, 4, generator=generator, dtype=torch.float64)
    objects = torch.rand(IMAGES * OBJECTS, 3, 2, 2, generator=generator, dtype=torch.float64)
    return persons, objects, every_pair(IMAGES, PERSONS, OBJECTS)


def truth() -> Truth:
    generator = torch.Generator().manual_seed(2)
    persons, pairs = IMAGES * PERSONS, IMAGES * PERSONS * OBJECTS
    return Truth(
        torch.randint(0, 2, (persons, ACTIONS), generator=generator).float(),
        torch.randint(0, 2, (pairs, ACTIONS), generator=generator).float(),
        torch.randn(persons, ACTIONS, 4, generator=generator),
        torch.randint(0, 64, (persons, JOINTS), generator=generator),
    )


def same(one: Turn, other: Turn) -> bool:
    return all(torch.equal(*parts) for parts in zip(one, other, strict=True))


# Links --------------------------------------------------------------------------------------------------------------


def test_one_turn_of_the_loop_is_the_link_from_pose_to_interaction_bit_for_bit() -> None:
    (only,) = net(Links(turns=1))(*rois())
    assert same(only, net(VARIANTS["pose-to-hoi"])(*rois())[-1])


@pytest.mark.parametrize("use_pose", [False, True])
def test_without_a_mask_all_turns_are_alike(use_pose: bool) -> None:
    turns = net(Links(use_pose=use_pose, use_mask=False, turns=3))(*rois())
    assert len(turns) == 3
    assert same(turns[0], turns[1]) and same(turns[0], turns[2])
    assert (turns[2].mask == 1).all()


def test_without_the_pose_message_interactions_are_those_of_the_image_alone() -> None:
    alone, *_ = net(VARIANTS["multitask"])(*rois())
    for turn in net(VARIANTS["hoi-to-pose"])(*rois()):
        for name in ("actions", "pairs", "targets"):
            assert torch.equal(getattr(turn, name), getattr(alone, name))


def test_each_link_changes_what_it_leads_to() -> None:
    alone, told, guided, both = (
        net(VARIANTS[name])(*rois())[-1] for name in ("multitask", "pose-to-hoi", "hoi-to-pose", "turbo-2")
    )
    assert torch.equal(alone.joints, told.joints) and not torch.equal(alone.actions, told.actions)
    assert torch.equal(alone.actions, guided.actions) and not torch.equal(alone.joints, guided.joints)
    assert not torch.equal(both.actions, told.actions) and not torch.equal(both.joints, guided.joints)


def test_shuffled_messages_are_those_of_the_next_person() -> None:
    persons, objects, pairs = rois()
    model = net(VARIANTS["shuffled"])
    first, second = model(persons, objects, pairs)
    _, message = model.pose(model.pose.trunk(persons))
    feature = model.hoi.feature(F.avg_pool2d(persons, 2), message[[3, 0, 1, 2]])
    assert torch.equal(first.actions, model.hoi.action(feature))
    assert torch.equal(second.mask, model.pose.mask(feature)[[3, 0, 1, 2]])


def test_the_number_of_parameters_knows_neither_links_nor_turns() -> None:
    counts = {name: sum(part.numel() for part in net(links).parameters()) for name, links in VARIANTS.items()}
    assert len(set(counts.values())) == 1
    pose = 3 * 5 * 9 + 5 + 5 * 5 * 9 + 5 + (5 + 1) * 4 * 3 + (5 + 3) * 4 + 4 + 7 * 8 + 8 + 2 + 1
    person, objects = (3 * 4 + 4 * 16) * 7 + 7 + 7 * 7 + 7, 3 * 4 * 7 + 7 + 7 * 7 + 7
    assert counts["turbo-2"] == pose + person + objects + (7 * 4 + 4) * 3 + 7 * 16 + 16


# Gradients ----------------------------------------------------------------------------------------------------------


def last_loss(model: TurboHOI, task: str) -> Tensor:
    """Something smooth of what the last turn says of a task."""
    last = model(*rois())[-1]
    said = [last.joints] if task == "pose" else [last.actions, last.targets]
    return torch.stack([part.square().mean() for part in said]).sum()


@pytest.mark.parametrize(
    ("links", "task", "weight"),
    [
        ("pose-to-hoi", "hoi", "pose.convs.0.weight"),  # trunk -> message -> interaction
        ("turbo-2", "pose", "pose.to_message.weight"),  # message -> interaction -> mask -> pose: the whole loop
        ("turbo-2", "pose", "hoi.person.0.weight"),
        ("turbo-2", "pose", "pose.convs.0.weight"),
        ("turbo-3", "hoi", "pose.guide.weight"),
    ],
)
def test_no_gradient_is_stopped(links: str, task: str, weight: str) -> None:
    model = net(VARIANTS[links])
    parameter = model.get_parameter(weight)
    (gradient,) = torch.autograd.grad(last_loss(model, task), parameter)
    place = tuple(np.unravel_index(int(gradient.abs().argmax()), gradient.shape))
    values = []
    with torch.no_grad():
        for step in (1e-4, -2e-4):
            parameter[place] += step
            values.append(float(last_loss(model, task)))
    slope = (values[0] - values[1]) / 2e-4
    assert slope != 0
    assert float(gradient[place]) == pytest.approx(slope, rel=0.01)


@pytest.mark.parametrize(
    ("links", "task", "weight"),
    [("hoi-to-pose", "hoi", "pose.convs.0.weight"), ("pose-to-hoi", "pose", "hoi.person.0.weight")],
)
def test_no_gradient_passes_a_link_that_is_off(links: str, task: str, weight: str) -> None:
    model = net(VARIANTS[links])
    (gradient,) = torch.autograd.grad(last_loss(model, task), model.get_parameter(weight), materialize_grads=True)
    assert torch.equal(gradient, torch.zeros_like(gradient))


# Modules, computed another way --------------------------------------------------------------------------------------


def value(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach())


def dense(layer: nn.Module, x: np.ndarray) -> np.ndarray:
    return np.einsum("ni,oi->no", x, value(layer.weight)) + value(layer.bias)


def test_the_pose_module_by_loops() -> None:
    model = net(Links())
    guided = model.pose.trunk(rois()[0])
    logits, message = model.pose(guided)
    weight, bias, x = value(model.pose.enlarge.weight)[..., 0, 0], value(model.pose.enlarge.bias), value(guided)
    maps = np.zeros((4, JOINTS, 8, 8))
    for joint, row, column in product(range(JOINTS), range(8), range(8)):
        output = 4 * joint + 2 * (row % 2) + column % 2
        maps[:, joint, row, column] = x[:, :, row // 2, column // 2] @ weight[output] + bias[output]
    np.testing.assert_allclose(value(logits), maps, atol=1e-12)
    shares = np.exp(maps) / np.exp(maps).sum((2, 3), keepdims=True)
    of_cell = shares.reshape(4, JOINTS, 4, 2, 4, 2).sum((3, 5))
    mixed = np.einsum("ncij,oc->noij", np.concatenate([x, of_cell], 1), value(model.pose.to_message.weight)[..., 0, 0])
    expected = np.maximum(mixed + value(model.pose.to_message.bias)[:, None, None], 0)
    np.testing.assert_allclose(value(message), expected, atol=1e-5)  # heat maps are normalised in float32


@pytest.mark.parametrize("channel_mask", [False, True])
def test_the_mask_by_loops(channel_mask: bool) -> None:
    model = net(Links(), replace(SIZES, channel_mask=channel_mask))
    feature = torch.randn(4, 7, dtype=torch.float64)
    coarse = np.maximum(dense(model.pose.guide, value(feature)), 0).reshape(4, 2, 2, 2)
    weight, bias = value(model.pose.to_mask.weight)[..., 0, 0], value(model.pose.to_mask.bias)
    mask = value(model.pose.mask(feature))
    assert mask.shape == (4, 5 if channel_mask else 1, 4, 4)
    for n, channel, row, column in np.ndindex(*mask.shape):
        logit = weight[channel] @ coarse[n, :, row // 2, column // 2] + bias[channel]
        assert mask[n, channel, row, column] == pytest.approx(1 / (1 + math.exp(-logit)))


def test_a_mask_begins_open() -> None:
    assert value(net(Links()).pose.to_mask.bias) == OPEN


def test_the_hoi_module_by_loops() -> None:
    model = net(Links())
    persons, objects, pairs = rois()
    message = torch.rand(4, 4, 4, 4, dtype=torch.float64)
    coarse = value(persons).reshape(4, 3, 2, 2, 2, 2).mean((3, 5))
    z = np.concatenate([coarse.reshape(4, -1), value(message).reshape(4, -1)], 1)
    other = value(objects).reshape(6, -1)
    for layer in (0, 2):
        z = np.maximum(dense(model.hoi.person[layer], z), 0)
        other = np.maximum(dense(model.hoi.object[layer], other), 0)
    feature = model.hoi.feature(F.avg_pool2d(persons, 2), message)
    np.testing.assert_allclose(value(feature), z)
    actions, together, targets = model.hoi(feature, model.hoi.object_logits(objects), pairs)
    np.testing.assert_allclose(value(actions), dense(model.hoi.action, z))
    np.testing.assert_allclose(value(targets).reshape(4, -1), dense(model.hoi.target, z))
    of_person, of_object = dense(model.hoi.pair_person, z), dense(model.hoi.pair_object, other)
    assert len(together) == IMAGES * PERSONS * OBJECTS
    for (image, person, thing), logits in zip(product(range(2), range(2), range(3)), value(together), strict=True):
        np.testing.assert_allclose(logits, of_person[2 * image + person] + of_object[3 * image + thing])


# Losses -------------------------------------------------------------------------------------------------------------


def test_the_loss_by_loops() -> None:
    turns, true = net(Links())(*rois()), truth()
    expected = dict.fromkeys(("actions", "pairs", "targets", "joints"), 0.0)
    for turn in turns:
        for name in ("actions", "pairs"):
            logits, labels = value(getattr(turn, name)), value(getattr(true, name))
            expected[name] += np.mean(np.log1p(np.exp(logits)) - labels * logits) / 2
        away = np.abs(value(turn.targets) - value(true.targets))
        expected["targets"] += np.where(away < 0.1, away**2 / 0.2, away - 0.05).sum(2).mean() / 2
        maps = value(turn.joints).reshape(4, JOINTS, 64)
        for n, joint in np.ndindex(4, JOINTS):
            right = maps[n, joint, true.joints[n, joint]]
            expected["joints"] += (np.log(np.exp(maps[n, joint]).sum()) - right) / (2 * 4 * JOINTS)
    losses = turbo_loss(turns, true, hoi=3.0, pose=0.5)
    for name, mean in expected.items():
        assert losses[name].item() == pytest.approx(mean, rel=1e-5)
    interaction = 2 * expected["actions"] + expected["pairs"] + expected["targets"]
    assert losses["loss"].item() == pytest.approx(3 * interaction + 0.5 * expected["joints"], rel=1e-5)


def test_what_is_not_known_is_not_learned() -> None:
    """A person without labels, an action without an object, a joint without a place: no loss, and no gradient."""
    true = truth()
    true.actions[1] = true.pairs[3:6] = true.targets[1] = true.targets[0, 2] = math.nan
    true.joints[1], true.joints[2, 0] = -1, -1
    turn = Turn(*(part.detach().requires_grad_() for part in net(Links(turns=1))(*rois())[0]))
    loss = turbo_loss([turn], true)["loss"]
    joints, actions, pairs, targets = torch.autograd.grad(loss, turn[:4])
    for gone in (actions[1], pairs[3:6], targets[1], targets[0, 2], joints[1], joints[2, 0]):
        assert gone.isfinite().all() and not gone.any()
    for there in (actions[0], pairs[2], targets[0, 1], joints[2, 1]):
        assert there.any()


def test_nothing_known_is_no_loss() -> None:
    actions, pairs, targets = (torch.full_like(part, math.nan) for part in truth()[:3])
    nothing = Truth(actions, pairs, targets, torch.full((4, JOINTS), -1))
    losses = turbo_loss(net(Links())(*rois()), nothing)
    assert all(loss.item() == 0 for loss in losses.values())


@pytest.mark.parametrize(
    ("weights", "silent"), [({"hoi": 0.0}, "hoi.action.weight"), ({"pose": 0.0}, "pose.enlarge.weight")]
)
def test_a_task_without_weight_is_not_learned(weights: dict[str, float], silent: str) -> None:
    model = net(VARIANTS["multitask"])
    turbo_loss(model(*rois()), truth(), **weights)["loss"].backward()
    gradient = model.get_parameter(silent).grad
    assert gradient is None  # nothing is computed for it


# Boxes and scores ---------------------------------------------------------------------------------------------------


def boxes(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    first, size = 50 * torch.rand(2, n, 2, generator=generator, dtype=torch.float64)
    return torch.cat([first, first + size + 1], 1)


def test_decoding_undoes_encoding() -> None:
    person, other = boxes(20, 1), boxes(20, 2)
    torch.testing.assert_close(decode(person, encode(person, other)), other)
    offset = encode(torch.tensor([10.0, 20.0, 30.0, 60.0]), torch.tensor([40.0, 50.0, 50.0, 60.0]))
    torch.testing.assert_close(offset, torch.tensor([1.25, 0.375, math.log(0.5), math.log(0.25)]))


def test_the_density_is_one_at_its_mean_and_falls_off_with_sigma() -> None:
    mean = torch.randn(5, 4, dtype=torch.float64)
    assert (density(mean, mean) == 1).all()
    for way in torch.eye(4, dtype=torch.float64):
        torch.testing.assert_close(density(mean + 0.3 * way, mean), torch.full((5,), math.exp(-0.5)).double())


def test_triplet_scores_by_loops() -> None:
    turn, pairs = Turn(*(part.detach() for part in net(Links())(*rois())[-1])), rois()[2]
    person, other = torch.rand(4), torch.rand(6)
    offsets = encode(boxes(4, 1)[pairs[:, 0]], boxes(6, 2)[pairs[:, 1]]).float()
    scores = triplet_scores(turn, pairs, offsets, person, other)
    for number, (h, o) in enumerate(pairs.tolist()):
        for action in range(ACTIONS):
            away = sum(float(offsets[number, k] - turn.targets[h, action, k]) ** 2 for k in range(4))
            likely = 1 / (1 + math.exp(-float(turn.pairs[number, action])))
            expected = float(person[h] * other[o]) * likely * math.exp(-away / (2 * 0.3**2))
            assert float(scores[number, action]) == pytest.approx(expected, rel=1e-4, abs=1e-30)
    torch.testing.assert_close(agent_scores(turn, person), person[:, None] / (1 + (-turn.actions.float()).exp()))


def test_the_role_is_the_best_object_or_empty() -> None:
    pairs = torch.tensor([[0, 0], [0, 1], [2, 0], [2, 1]])
    scores = torch.tensor([[0.1, 0.9], [0.2, 0.3], [0.7, 0.0], [0.7, 0.4]])
    objects, best = role_of(scores, pairs, 0)
    assert objects.tolist() == [1, 0] and best.tolist() == pytest.approx([0.2, 0.9])
    objects, best = role_of(scores, pairs, 2)
    assert objects.tolist() == [0, 1] and best.tolist() == pytest.approx([0.7, 0.4])
    objects, best = role_of(scores, pairs, 1)
    assert objects.tolist() == [-1, -1] and best.tolist() == [0, 0]


def test_joints_are_found_in_the_cells_where_they_are() -> None:
    people = torch.tensor([[10.0, 20.0, 42.0, 52.0], [0.0, 0.0, 16.0, 8.0]])
    places = torch.tensor([[[11.0, 21.0], [41.9, 51.9], [43.0, 30.0]], [[0.0, 0.0], [9.5, 4.5], [-0.1, 3.0]]])
    cells = joint_cells(places, people, 16)
    assert cells.tolist() == [[0, 255, -1], [0, 9 * 16 + 9, -1]]
    maps = F.one_hot(cells.clamp(min=0), 256).view(2, 3, 16, 16) * 20.0
    found, likely = joint_places(maps, people)
    torch.testing.assert_close(found[0, :2], torch.tensor([[11.0, 21.0], [41.0, 51.0]]))
    torch.testing.assert_close(found[1, :2], torch.tensor([[0.5, 0.25], [9.5, 4.75]]))
    torch.testing.assert_close(likely, torch.full((2, 3), math.exp(20) / (math.exp(20) + 255)))
    assert (joint_cells(found, people, 16)[cells >= 0] == cells[cells >= 0]).all()


# The net of scenes --------------------------------------------------------------------------------------------------


def test_pairs_stay_within_their_image() -> None:
    assert every_pair(2, 1, 2).tolist() == [[0, 0], [0, 1], [1, 2], [1, 3]]


def test_a_scene_net_sees_what_is_in_the_boxes() -> None:
    """Moving an image and its boxes by whole cells changes nothing; changing what is far away from a box neither."""
    torch.manual_seed(0)
    model = SceneNet(SIZES, ACTIONS, JOINTS, Links()).eval()
    image, moved = torch.zeros(2, 1, 3, 40, 72)
    image[..., 8:32, 8:32] = torch.rand(3, 24, 24)
    moved[..., 12:36, 28:52] = image[..., 8:32, 8:32]
    person, thing = torch.tensor([[[8.0, 8, 32, 32]]]), torch.tensor([[[10.0, 9, 17, 16]]])
    shift = torch.tensor([20.0, 4, 20, 4])
    before, after = model(image, person, thing)[-1], model(moved, person + shift, thing + shift)[-1]
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other)
    image[..., 60:] = 1
    assert same(before, model(image, person, thing)[-1])


def test_a_small_net_learns_what_it_is_shown() -> None:
    torch.manual_seed(0)
    model, true = TurboHOI(replace(SIZES, pose=16, hidden=32), ACTIONS, JOINTS, Links()), truth()
    inputs = tuple(part.float() if part.is_floating_point() else part for part in rois())
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(150):
        loss = turbo_loss(model(*inputs), true)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 4
