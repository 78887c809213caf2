"""Turbo learning of human-object interactions and poses (Feng et al., AAAI 2019, arXiv:1903.06355).

Two modules pass messages to each other. The pose-aware HOI module sees the features of a person's pose beside those
of the image; the HOI-guided pose module sees its own features through an attention mask made of the HOI module's. The
closed loop is unfolded: pose, interaction, pose again, and so on, trained end to end.

Of the paper its abstract, the beginning of its introduction and a figure's caption were read. They give (F1) the two
modules, (F2) pose features beside image features, (F3) a mask from HOI features that refines keypoints, (F4) the loop,
unfolded along time and trained end to end, (F5) boxes that are found first, (F6) InteractNet as an ancestor. What the
paper leaves open is a named choice, [choice] where it is made: the number of turns T, weights that turns share, a loss
at each turn, the mask and what comes before the first one, what a pose feature is, all widths and weights. Here it
also stands for what is known of InteractNet from memory alone: its two heads, their late sum, scores and losses.

Claim T5 of the paper: in words.
Ours at small (n = 5): ap_role of scenes/turbo-2 53.4, of scenes/pose-to-hoi 46.0, of scenes/multitask 34.6; keypoint_ap
of scenes/turbo-2 93.5, of scenes/hoi-to-pose 93.0, of scenes/multitask 92.2. Runtime: 214 CPU-seconds at small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTION_WEIGHT = 2.0  # of the loss of a person's actions beside 1 for all else (InteractNet)
OPEN = 2.0  # first bias of the mask [choice], so that turns begin almost alike
SIGMA = 0.3  # of the target's density, in sizes of the person (InteractNet)


@dataclass(frozen=True)
class Links:
    """Which messages pass; none of this changes the number of parameters.

    Attributes:
        use_pose: from pose to HOI: the pose message p_t; zeros where it is off.
        use_mask: from HOI to pose: the mask M_t; ones where it is off, and then all turns are alike.
        turns: T; without a second turn no mask is ever used.
        shuffled: each person gets the messages of another one (a control).
    """

    use_pose: bool = True
    use_mask: bool = True
    turns: int = 2
    shuffled: bool = False


@dataclass(frozen=True)
class Sizes:
    """Widths of the net, [choice] all of them.

    Attributes:
        channels: C, of the image features.
        persons: R, side of a person's RoI features, even.
        objects: r, side of an object's.
        pose: channels of the pose trunk.
        message: channels of the pose message.
        hidden: of fully connected layers.
        guide: channels of the guidance before it becomes a mask.
        channel_mask: a mask for each channel instead of one for all.
    """

    channels: int
    persons: int
    objects: int
    pose: int
    message: int
    hidden: int
    guide: int
    channel_mask: bool = False


class Turn(NamedTuple):
    """What both modules say in one turn, of N persons, M pairs, A outputs and K joints.

    Attributes:
        joints: keypoint logits H_t, (N, K, 2 R, 2 R).
        actions: logits a_t of the person alone, (N, A).
        pairs: logits i_t of persons with objects, (M, A).
        targets: mean place mu_t of the object of each action, (N, A, 4), see `encode`.
        mask: M_{t-1}, with which the pose was found: (N, 1 or pose, R, R).
    """

    joints: Tensor
    actions: Tensor
    pairs: Tensor
    targets: Tensor
    mask: Tensor


class Truth(NamedTuple):
    """What both modules should say.

    Attributes:
        actions: 1 and 0, (N, A); not a number for persons without labels.
        pairs: 1 and 0, (M, A); not a number where the person has no labels.
        targets: `encode` of the annotated object, (N, A, 4); not a number where there is none.
        joints: cell of each joint in the flattened heat map, int64 (N, K); -1 where it is not labelled.
    """

    actions: Tensor
    pairs: Tensor
    targets: Tensor
    joints: Tensor


class TurboHOI(nn.Module):
    """Both modules and their loop, on RoI features: see `forward`.

    Args:
        sizes: widths.
        actions: A; an action with two roles counts twice.
        joints: K.
        links: which messages pass.
    """

    def __init__(self, sizes: Sizes, actions: int, joints: int, links: Links) -> None:
        super().__init__()
        self.links = links
        self.pose = GuidedPose(sizes, joints)
        self.hoi = PoseAwareHOI(sizes, actions)

    def forward(self, persons: Tensor, objects: Tensor, pairs: Tensor) -> list[Turn]:
        """The turns 1 to T, which share their weights [choice]; no gradient is stopped (F4).

        Args:
            persons: RoI features (N, C, R, R).
            objects: RoI features (O, C, r, r).
            pairs: int64 (M, 2), which person with which object.
        """
        trunk = self.pose.trunk(persons)
        of_person, of_object = pooled(persons), self.hoi.object_logits(objects)
        mask = self.pose.no_mask(trunk)
        turns: list[Turn] = []
        while True:
            joints, message = self.pose(trunk * mask)
            message = self.passed(message) if self.links.use_pose else torch.zeros_like(message)
            feature = self.hoi.feature(of_person, message)
            actions, together, targets = self.hoi(feature, of_object, pairs)
            turns.append(Turn(joints, actions, together, targets, mask))
            if len(turns) == self.links.turns:
                return turns
            if self.links.use_mask:
                mask = self.passed(self.pose.mask(feature))

    def passed(self, messages: Tensor) -> Tensor:
        """Each person's own message, or the one of the next person."""
        return messages.roll(1, 0) if self.links.shuffled else messages


class GuidedPose(nn.Module):
    """HOI-guided pose: a mask on the features of a trunk, and keypoints found in what it leaves (F3).

    [choice] As Mask R-CNN's keypoint head, but with two convolutions of eight, and a transposed one of 2 x 2 (each cell
    gives four), written as the sub-pixel convolution that it is.
    """

    def __init__(self, sizes: Sizes, joints: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.convs = nn.ModuleList(nn.Conv2d(n, sizes.pose, 3, padding=1) for n in (sizes.channels, sizes.pose))
        self.enlarge = nn.Conv2d(sizes.pose, 4 * joints, 1)
        self.to_message = nn.Conv2d(sizes.pose + joints, sizes.message, 1)
        self.guide = nn.Linear(sizes.hidden, sizes.guide * (sizes.persons // 2) ** 2)
        self.to_mask = nn.Conv2d(sizes.guide, sizes.pose if sizes.channel_mask else 1, 1)
        nn.init.constant_(self.to_mask.bias, OPEN)  # type: ignore[arg-type]

    def trunk(self, persons: Tensor) -> Tensor:
        """Q, once for all turns: (N, C, R, R) -> (N, pose, R, R)."""
        for conv in self.convs:
            persons = F.relu(conv(persons))
        return persons

    def forward(self, guided: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoint logits H_t (N, K, 2 R, 2 R) and the message p_t (N, message, R, R), from G_t = Q M_{t-1}.

        [choice] The message is of both features and heat maps, and keeps the cells of the former: that it is finer than
        the image features is what a pose adds.
        """
        logits = F.pixel_shuffle(self.enlarge(guided), 2)
        likely = logits.float().flatten(2).softmax(2).view_as(logits)
        of_cell = 4 * F.avg_pool2d(likely, 2)
        return logits, F.relu(self.to_message(torch.cat([guided, of_cell.to(guided.dtype)], 1)))

    def mask(self, feature: Tensor) -> Tensor:
        """M_t of the HOI feature z_t: (N, hidden) -> (N, 1 or pose, R, R), in (0, 1) [choice]."""
        side = self.sizes.persons // 2
        coarse = F.relu(self.guide(feature)).view(len(feature), -1, side, side)
        return self.to_mask(F.interpolate(coarse, scale_factor=2.0, mode="nearest")).sigmoid()

    def no_mask(self, trunk: Tensor) -> Tensor:
        """M_0, of ones [choice]: what begins the loop is unknown."""
        return trunk.new_ones(len(trunk), self.to_mask.out_channels, *trunk.shape[2:])


class PoseAwareHOI(nn.Module):
    """Pose-aware HOI: image features and the pose message give actions and where their objects are (F2).

    [choice] A head of the person alone, and one of pairs, as in InteractNet.
    """

    def __init__(self, sizes: Sizes, actions: int) -> None:
        super().__init__()
        fine = sizes.persons**2
        self.person = two_layers(sizes.channels * fine // 4 + sizes.message * fine, sizes.hidden)
        self.object = two_layers(sizes.channels * sizes.objects**2, sizes.hidden)
        self.action = nn.Linear(sizes.hidden, actions)
        self.target = nn.Linear(sizes.hidden, 4 * actions)
        self.pair_person = nn.Linear(sizes.hidden, actions)
        self.pair_object = nn.Linear(sizes.hidden, actions)

    def feature(self, of_person: Tensor, message: Tensor) -> Tensor:
        """z_t, of both features side by side: (N, C, R / 2, R / 2), (N, message, R, R) -> (N, hidden)."""
        z: Tensor = self.person(torch.cat([of_person.flatten(1), message.flatten(1)], 1))
        return z

    def object_logits(self, objects: Tensor) -> Tensor:
        """The objects' share of the pairs' logits, once for all turns: (O, C, r, r) -> (O, A)."""
        logits: Tensor = self.pair_object(self.object(objects.flatten(1)))
        return logits

    def forward(self, feature: Tensor, of_object: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """a_t (N, A); i_t, the late sum of what person and object say (M, A); mu_t (N, A, 4)."""
        targets = self.target(feature).view(len(feature), -1, 4)
        together = self.pair_person(feature)[pairs[:, 0]] + of_object[pairs[:, 1]]
        return self.action(feature), together, targets


def two_layers(inputs: int, hidden: int) -> nn.Sequential:
    """FC(FC(.)), each with a rectifier."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())


def pooled(maps: Tensor) -> Tensor:
    """Half as fine, as the HOI module sees a person: (N, C, R, R) -> (N, C, R / 2, R / 2)."""
    return F.avg_pool2d(maps, 2)


def turbo_loss(turns: list[Turn], truth: Truth, *, hoi: float = 1.0, pose: float = 1.0) -> dict[str, Tensor]:
    """The mean over turns of both modules' losses [choice].

    Args:
        turns: from `TurboHOI`.
        truth: what they should say.
        hoi: weight of the HOI module's losses; 0 for poses alone.
        pose: weight of the keypoint loss; 0 for interactions alone.

    Returns:
        ``loss``, and without weights ``actions``, ``pairs``, ``targets`` and ``joints``.
    """
    said = Turn(*(torch.stack(parts).float() for parts in zip(*turns, strict=True)))  # (T, ...)
    means = {
        "actions": known(F.binary_cross_entropy_with_logits, said.actions, truth.actions),
        "pairs": known(F.binary_cross_entropy_with_logits, said.pairs, truth.pairs),
        "targets": 4 * known(partial(F.smooth_l1_loss, beta=0.1), said.targets, truth.targets),
        "joints": keypoint_loss(said.joints, truth.joints),
    }
    interaction = ACTION_WEIGHT * means["actions"] + means["pairs"] + means["targets"]
    weighted = [weight * part for weight, part in ((hoi, interaction), (pose, means["joints"])) if weight]
    return {"loss": torch.stack(weighted).sum(), **means}


def known(loss: Callable[..., Tensor], said: Tensor, true: Tensor) -> Tensor:
    """The mean loss of all turns (T, ...) where the truth (...) is known, that is a number; 0 where nothing is."""
    is_known = ~true.isnan()
    each = loss(said, true.nan_to_num().expand_as(said), reduction="none")
    return (each * is_known).sum() / (len(said) * is_known.sum()).clamp(min=1)


def keypoint_loss(logits: Tensor, cells: Tensor) -> Tensor:
    """Cross-entropy over the cells of each labelled joint's map (Mask R-CNN): (T, N, K, h, w), int64 (N, K) -> ()."""
    log_likely = logits.flatten(3).log_softmax(3)
    of_cell = log_likely.gather(3, cells.clamp(min=0)[None, ..., None].expand(len(logits), -1, -1, 1))[..., 0]
    labelled = cells >= 0
    return -(of_cell * labelled).sum() / (len(logits) * labelled.sum()).clamp(min=1)


def encode(person: Tensor, other: Tensor) -> Tensor:
    """b_{o|h}: where an object is as a person sees it, ((x_o-x_h)/w_h, (y_o-y_h)/h_h, log w_o/w_h, log h_o/h_h).

    Args:
        person: boxes (..., 4), left, top, right, bottom; x and y are of the centre.
        other: boxes (..., 4).
    """
    (at, size), (other_at, other_size) = centre_size(person), centre_size(other)
    return torch.cat([(other_at - at) / size, (other_size / size).log()], -1)


def decode(person: Tensor, offset: Tensor) -> Tensor:
    """The box that `encode` gave the offset of: two (..., 4) -> (..., 4)."""
    at, size = centre_size(person)
    other_at, other_size = at + offset[..., :2] * size, offset[..., 2:].exp() * size
    return torch.cat([other_at - other_size / 2, other_at + other_size / 2], -1)


def centre_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 4) -> the centre's x and y, and width and height, (..., 2) each."""
    first, last = boxes[..., :2], boxes[..., 2:]
    return (first + last) / 2, last - first


def density(offset: Tensor, mean: Tensor, sigma: float = SIGMA) -> Tensor:
    """The density g = exp(-||b - mu||^2 / (2 sigma^2)): two (..., 4) -> (...). Scores have it, no loss does."""
    return (-(offset - mean).square().sum(-1) / (2 * sigma**2)).exp()


def triplet_scores(turn: Turn, pairs: Tensor, offsets: Tensor, person: Tensor, other: Tensor) -> Tensor:
    """S = s_h s_o sigmoid(i) g of each pair and action, (M, A).

    Args:
        turn: the last one.
        pairs: int64 (M, 2), which person with which object.
        offsets: `encode` of the pairs' boxes, (M, 4).
        person: scores s_h of the persons' boxes, (N,).
        other: scores s_o of the objects' boxes, (O,).
    """
    boxes = person[pairs[:, 0]] * other[pairs[:, 1]]
    g = density(offsets[:, None], turn.targets.float()[pairs[:, 0]])
    return boxes[:, None] * turn.pairs.float().sigmoid() * g


def agent_scores(turn: Turn, person: Tensor) -> Tensor:
    """s_h sigmoid(a) of each person and action, (N, A): the score of an action without an object."""
    return person[:, None] * turn.actions.float().sigmoid()


def role_of(scores: Tensor, pairs: Tensor, person: int) -> tuple[Tensor, Tensor]:
    """The object of each action of a person, and its score: int64 (A,), -1 for the empty role, and (A,).

    The object with the largest score; the empty role where the person is in no pair (then with score 0).
    """
    own = pairs[:, 0] == person
    if not own.any():
        return torch.full(scores.shape[1:], -1), scores.new_zeros(scores.shape[1])
    best, at = scores[own].max(0)
    return pairs[own, 1][at], best


def joint_places(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Where joints are: the middle of the likeliest cell, and how likely it is.

    Args:
        logits: (N, K, h, w).
        boxes: of the persons (N, 4), which the heat map covers.

    Returns:
        x and y in pixels (N, K, 2); probabilities (N, K).
    """
    height, width = logits.shape[2:]
    likely, cell = logits.float().flatten(2).softmax(2).max(2)
    shares = torch.stack([(cell % width + 0.5) / width, (cell // width + 0.5) / height], 2)
    first, last = boxes[:, None, :2], boxes[:, None, 2:]
    return first + shares * (last - first), likely


def joint_cells(places: Tensor, boxes: Tensor, side: int) -> Tensor:
    """The cell of each joint in the flattened heat map, int64 (N, K); -1 outside the box: see `joint_places`.

    Args:
        places: x and y in pixels, (N, K, 2).
        boxes: of the persons (N, 4).
        side: of the heat map.
    """
    first, last = boxes[:, None, :2], boxes[:, None, 2:]
    cell = ((places - first) / (last - first) * side).floor().long()
    inside = ((cell >= 0) & (cell < side)).all(2)
    return torch.where(inside, cell[..., 1] * side + cell[..., 0], -1)
