"""Attacks against numpy and torchattacks, defences against brute force, and the bound on files of real images."""

from __future__ import annotations

import copy
import itertools
import math
import os
import runpy
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
import torchattacks
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.nets.build import build
from tenfold.papers.adversarial_competition import method
from tenfold.papers.adversarial_competition.attacks import augmented, baselines, ensembles, smoothed, trained
from tenfold.papers.adversarial_competition.defences import hgd, jpeg, median, randomisation, training, voting
from tenfold.papers.adversarial_competition.nets import (
    Defended,
    Normalised,
    UNet,
    for_crafting,
    predicted_labels,
)
from tenfold.papers.adversarial_competition.scoring import from_png, png, project, to_pixels
from tenfold.papers.adversarial_competition.warp import affine, projective, warp

torch.set_num_threads(1)

Array = NDArray[np.float64]
EPS = 8 / 255


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class LinearNet(nn.Module):
    """Logits that are linear in the pixels, so that gradients are known by hand."""

    def __init__(self, seed: int, classes: int = 4, pixels: int = 3 * 6 * 6, scale: float = 1.0) -> None:
        super().__init__()
        draws = torch.randn(classes, pixels, generator=seeded(seed), dtype=torch.float64)
        self.weight = nn.Parameter(scale * draws, requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight.T


def example(batch: int = 5, side: int = 6, seed: int = 9) -> tuple[Tensor, Tensor]:
    images = torch.rand(batch, 3, side, side, generator=seeded(seed), dtype=torch.float64)
    return images, torch.randint(4, (batch,), generator=seeded(seed))


NETS = [LinearNet(1), LinearNet(2), LinearNet(3, scale=0.5)]


# The same in numpy: of images in rows, with weight matrices in place of nets


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def slope(weight: Array, x: Array, labels: Array, smoothing: float = 0.0) -> Array:
    """The gradient of cross-entropy by the pixels: W^T (softmax - wanted)."""
    wanted = np.eye(len(weight))[labels] * (1 - smoothing) + smoothing / len(weight)
    return (softmax(x @ weight.T) - wanted) @ weight


def rows(images: Tensor) -> Array:
    return images.flatten(1).numpy()


def weights(nets: Sequence[nn.Module]) -> list[Array]:
    return [net.get_parameter("weight").numpy() for net in nets]


def into_ball(x: Array, original: Array, eps: float) -> Array:
    return np.clip(np.clip(x, original - eps, original + eps), 0, 1)


def test_fgsm_and_a_step_to_a_target_are_the_signs_of_gradients() -> None:
    images, labels = example()
    x, y, (weight, *_) = rows(images), labels.numpy(), weights(NETS)
    up = np.clip(x + EPS * np.sign(slope(weight, x, y)), 0, 1)
    down = np.clip(x - EPS * np.sign(slope(weight, x, y, smoothing=0.1)), 0, 1)
    np.testing.assert_allclose(rows(method.fgsm(NETS[:1], images, labels, EPS, seeded())), up, atol=1e-12)
    np.testing.assert_allclose(rows(method.step_target(NETS[:1], images, labels, EPS, seeded())), down, atol=1e-12)


@pytest.mark.parametrize("targeted", [False, True])
def test_momentum_on_weighted_logits_against_numpy(targeted: bool) -> None:
    images, labels = example()
    x, y = rows(images), labels.numpy()
    shares = [0.2, 0.3, 0.5]
    weight = sum(share * each for share, each in zip(shares, weights(NETS), strict=True))
    crafted, momentum = x, np.zeros_like(x)
    for _ in range(7):
        found = slope(weight, crafted, y)
        momentum = 0.9 * momentum + found / np.abs(found).sum(1, keepdims=True)
        crafted = into_ball(crafted + (-1 if targeted else 1) * EPS / 7 * np.sign(momentum), x, EPS)
    ours = ensembles.mi_fgsm(NETS, images, labels, EPS, seeded(), weights=shares, steps=7, decay=0.9, targeted=targeted)
    np.testing.assert_allclose(rows(ours), crafted, atol=1e-12)


@pytest.mark.parametrize(("eps", "steps", "divisor"), [(4, 40, 28), (8, 20, 12), (16, 20, 12)])
def test_the_winners_targeted_rule_against_numpy(eps: int, steps: int, divisor: int) -> None:
    images, labels = example()
    x, y, (weight, *_) = rows(images), labels.numpy(), weights(NETS)
    crafted, momentum = x, np.zeros_like(x)
    for _ in range(steps):
        found = slope(weight, crafted, y)
        momentum = momentum + found / found.std(1, ddof=1, keepdims=True)
        moves = np.clip(np.round(momentum / momentum.std(1, ddof=1, keepdims=True)), -2, 2)
        crafted = into_ball(crafted - eps / 255 / divisor * moves, x, eps / 255)
    ours = method.tsail_targeted(NETS[:1], images, labels, eps / 255, seeded())
    np.testing.assert_allclose(rows(ours), crafted, atol=1e-12)


def test_ensembles_against_numpy() -> None:
    images, labels = example()
    x, y, shares = rows(images), labels.numpy(), [0.5, 0.2, 0.3]
    rated = list(zip(shares, weights(NETS), strict=True))
    at = np.arange(len(x)), y
    logits = -np.log(softmax(sum(share * (x @ weight.T) for share, weight in rated))[at])
    losses = sum(-share * np.log(softmax(x @ weight.T)[at]) for share, weight in rated)
    probabilities = -np.log(sum(share * softmax(x @ weight.T)[at] for share, weight in rated))
    for fusion, expected in {"logits": logits, "losses": losses, "probabilities": probabilities}.items():
        found = ensembles.fused(fusion, shares)(NETS, images, labels)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.1, 30))
@settings(max_examples=50, deadline=None)
def test_the_loss_of_the_mean_probability_is_at_most_the_mean_loss(seed: int, count: int, scale: float) -> None:
    """Jensen: -log(mean p) <= mean(-log p), and the same for equal nets."""
    images, labels = example()
    nets = [LinearNet(seed + k, scale=scale) for k in range(count)]
    mean, each = (ensembles.FUSIONS[name](nets, images, labels) for name in ("probabilities", "losses"))
    assert (mean <= each + 1e-9).all()
    alike = [ensembles.FUSIONS[name](nets[:1] * 3, images, labels) for name in ("probabilities", "losses")]
    torch.testing.assert_close(*alike)


def test_dynamic_weights_drop_nets_image_by_image() -> None:
    images, labels = example()
    losses = torch.stack([F.cross_entropy(net(images), labels, reduction="none") for net in NETS])
    torch.testing.assert_close(ensembles.dynamic(NETS, images, labels, enough=0.0), losses.mean(0))
    bound = float(losses.median())
    kept = losses >= bound
    assert kept.any() and not kept.all()
    torch.testing.assert_close(ensembles.dynamic(NETS, images, labels, enough=bound), (losses * kept).sum(0) / 3)
    satisfied = ensembles.fat_fingers(NETS, images, labels, EPS, seeded(), enough=math.inf)
    assert torch.equal(satisfied, images)


def test_dynamic_steps_from_no_threshold_are_those_of_the_loss_ensemble() -> None:
    images, labels = example()
    ours = ensembles.fat_fingers(NETS, images, labels, EPS, seeded(), enough=0.0, steps=4)
    assert torch.equal(ours, ensembles.bim(NETS, images, labels, EPS, seeded(), steps=4, targeted=True))


def test_the_smoothed_gradient_against_scipy() -> None:
    kernel = smoothed.gaussian(7, 2.0)
    line = np.exp(-(np.linspace(-2, 2, 7) ** 2) / 2)
    np.testing.assert_allclose(kernel.numpy(), np.outer(line, line) / line.sum() ** 2, rtol=1e-5)
    maps = torch.randn(2, 3, 9, 8, generator=seeded(), dtype=torch.float64)
    expected = [[scipy.signal.convolve2d(one, kernel.double().numpy(), "same") for one in image] for image in maps]
    np.testing.assert_allclose(smoothed.smooth(maps, kernel.double()).numpy(), expected, atol=1e-12)
    images, labels = example()
    alone = smoothed.smoothed(NETS[:1], images, labels, EPS, seeded(), steps=6, size=1)
    assert torch.equal(alone, method.bim(NETS[:1], images, labels, EPS, seeded(), steps=6))


def test_augmentation_of_no_size_leaves_steps_on_the_loss_ensemble() -> None:
    images, labels = example(side=8)
    nets = [LinearNet(k, pixels=3 * 8 * 8) for k in range(3)]
    none: dict[str, Any] = {"noise": (0, 0), "scale": 0.0, "draws": 2}
    ours = augmented.augmented(nets, images, labels, EPS, seeded(), steps=6, sizes=[1 / 6], **none)
    theirs = ensembles.bim(nets, images, labels, EPS, seeded(), steps=6)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    one, four = (augmented.augmented(nets, images, labels, EPS, seeded(7), steps=4, draws=draws) for draws in (1, 4))
    assert not torch.equal(one, four)
    assert augmented.chosen(nets, None, seeded()) == nets
    assert sorted(map(nets.index, augmented.chosen(nets, 3, seeded()))) == [0, 1, 2]  # type: ignore[arg-type]
    assert [augmented.between((1.8, 0.18), step, 10) for step in (0, 9)] == pytest.approx([1.8, 0.18])


def test_a_trained_attacker_gives_its_map_of_the_nearest_eps() -> None:
    torch.manual_seed(0)
    images, labels = (example(side=8)[0].float(), example()[1])
    net = LinearNet(4, pixels=3 * 8 * 8).float()
    attacker = trained.Attacker(levels=(4, 8, 16), widths=(4, 4)).eval()
    hint = trained.hint_of(net, images, labels)
    assert hint.abs().amax((1, 2, 3)).tolist() == [1] * 5
    with torch.no_grad():
        changes = attacker(images, hint)
    assert changes.shape == (5, 3, 3, 8, 8)
    assert changes.abs().max() <= 1
    for eps, place in ((4, 0), (7, 1), (9, 1), (16, 2)):
        crafted = trained.trained([net], images, labels, eps / 255, seeded(), attacker=attacker)
        torch.testing.assert_close(crafted, (images + eps / 255 * changes[:, place]).clamp(0, 1), rtol=0, atol=1e-6)
    loss = trained.attacker_loss(attacker, [net, net], images, labels, [1])
    expected = -F.cross_entropy(net((images + EPS * changes[:, 1]).clamp(0, 1)), labels)
    torch.testing.assert_close(loss.detach(), expected)


def test_training_the_attacker_raises_the_loss_of_the_nets() -> None:
    torch.manual_seed(0)
    images, labels = (example(side=8)[0].float(), example()[1])
    net = LinearNet(4, pixels=3 * 8 * 8, scale=0.1).float()
    attacker = trained.Attacker(levels=(8,), widths=(4, 4), hints=False)
    optimiser = torch.optim.Adam(attacker.parameters(), 0.02)
    losses = []
    for _ in range(30):
        loss = trained.attacker_loss(attacker, [net], images, labels, [0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    assert net.weight.grad is None


def test_noise_is_plus_or_minus_eps() -> None:
    images = torch.full((2, 3, 40, 40), 0.5)
    differences = baselines.noise([], images, torch.zeros(2), EPS, seeded()) - images
    torch.testing.assert_close(differences.abs(), torch.full_like(images, EPS))
    assert 0.45 < (differences > 0).float().mean() < 0.55
    assert torch.equal(baselines.no_op([], images, torch.zeros(2), EPS, seeded()), images)


# Identities


def test_momentum_without_decay_is_the_basic_iterative_method() -> None:
    images, labels = example()
    for targeted in (False, True):
        runs = [
            attack(NETS, images, labels, EPS, seeded(), steps=10, targeted=targeted)
            for attack in (method.bim, lambda *given, **how: method.mi_fgsm(*given, decay=0.0, **how))
        ]
        assert torch.equal(*runs)


def test_one_step_is_fgsm() -> None:
    images, labels = example()
    fgsm = method.fgsm(NETS, images, labels, EPS, seeded())
    for attack in (method.bim, method.mi_fgsm):
        assert torch.equal(attack(NETS, images, labels, EPS, seeded(), steps=1), fgsm)


@given(st.integers(0, 10_000), st.floats(0.1, 2.0))
@settings(max_examples=50, deadline=None)
def test_momentum_has_the_same_signs_over_the_l1_norm_and_over_the_mean_size(seed: int, decay: float) -> None:
    gradients = torch.randn(10, 2, 3, 5, 5, generator=seeded(seed), dtype=torch.float64)
    by_norm, by_mean = torch.zeros_like(gradients[0]), torch.zeros_like(gradients[0])
    for one in gradients:
        by_norm = decay * by_norm + method.l1_normalised(one)
        by_mean = decay * by_mean + one / one.abs().mean((1, 2, 3), keepdim=True)
        assert torch.equal(by_norm.sign(), by_mean.sign())
        torch.testing.assert_close(75 * by_norm, by_mean)


def test_a_gradient_of_zero_moves_nothing() -> None:
    images, labels = example()
    sure = [LinearNet(1, scale=0.0)]
    for attack in (method.mi_fgsm, method.tsail_targeted):
        assert torch.equal(attack(sure, images, labels, EPS, seeded()), images)


# Against torchattacks, fp32


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    """A ResNet-20 with random weights whose BatchNorms have seen images."""
    torch.manual_seed(3)
    net = Normalised(build({"family": "resnet", "name": "resnet20", "width": 8, "classes": 10}), [0.5] * 3, [0.25] * 3)
    for _ in range(5):
        net(torch.rand(32, 3, 32, 32))
    return net.eval()


Peer = Callable[[nn.Module], torchattacks.attack.Attack]
PEERS: dict[str, tuple[Callable[..., Tensor], Peer, dict[str, Any]]] = {
    "fgsm": (method.fgsm, lambda net: torchattacks.FGSM(net, eps=EPS), {}),
    "step target": (method.step_target, lambda net: torchattacks.FGSM(net, eps=EPS),
                    {"objective": method.cross_entropy}),
    "bim": (method.bim, lambda net: torchattacks.BIM(net, eps=EPS, alpha=2 / 255, steps=10), {"alpha": 2 / 255}),
    "iterative target": (method.iterative_target,
                         lambda net: torchattacks.BIM(net, eps=EPS, alpha=1 / 255, steps=10),
                         {"objective": method.cross_entropy, "steps": 10}),
    "mi_fgsm": (method.mi_fgsm,
                lambda net: torchattacks.MIFGSM(net, eps=EPS, alpha=0.8 / 255, steps=10, decay=1.0), {}),
    "mi_fgsm, targeted": (method.mi_fgsm,
                          lambda net: torchattacks.MIFGSM(net, eps=EPS, alpha=0.8 / 255, steps=10, decay=1.0),
                          {"targeted": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", PEERS)
def test_images_are_those_of_torchattacks(resnet: nn.Module, name: str) -> None:
    attack, peer, how = PEERS[name]
    images, labels = torch.rand(8, 3, 32, 32, generator=seeded(1)), torch.arange(8)
    theirs = peer(resnet)
    if "target" in name:
        theirs.set_mode_targeted_by_label(quiet=True)
    ours = attack([resnet], images, labels, EPS, seeded(), **how)
    assert (ours - theirs(images, labels)).abs().max() <= 1 / 255
    assert (ours - images).abs().max() > 7 / 255


# What attacks may do


ATTACKS: dict[str, Callable[..., Tensor]] = {
    "no-op": baselines.no_op,
    "noise": baselines.noise,
    "fgsm": method.fgsm,
    "step target": method.step_target,
    "bim": lambda *given: method.bim(*given, steps=2),
    "iterative target": lambda *given: method.iterative_target(*given, steps=2, alpha=9 / 255),
    "mi-fgsm": lambda *given: method.mi_fgsm(*given, steps=2),
    "tsail targeted": lambda *given: method.tsail_targeted(*given, steps=2, divisor=1),
    "ensemble bim": lambda *given: ensembles.bim(*given, steps=2),
    "ensemble mi-fgsm": lambda *given: ensembles.mi_fgsm(*given, steps=2),
    "probability mi-fgsm": lambda *given: ensembles.mi_fgsm(*given, steps=1, fusion="probabilities"),
    "ensemble tsail": lambda *given: ensembles.tsail_targeted(*given, steps=2, divisor=1),
    "fat fingers": lambda *given: ensembles.fat_fingers(*given, steps=2, enough=0.0),
    "augmented": lambda *given: augmented.augmented(*given, steps=2, sizes=[1.0, 0.5], subset=1),
    "plain target": lambda *given: augmented.plain_target(*given, steps=2, alphas=(9 / 255, 9 / 255)),
    "smoothed": lambda *given: smoothed.smoothed(*given, steps=2),
    "trained": lambda *given: trained.trained(*given, attacker=ATTACKER),
}
torch.manual_seed(5)
ATTACKER = trained.Attacker(levels=(4, 8, 12, 16), widths=(2, 2), hints=True).eval()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_repeatable_and_leaves_nets_and_inputs_alone(name: str) -> None:
    nets = [LinearNet(k, pixels=3 * 8 * 8).float().requires_grad_() for k in range(2)]
    images, labels = (example(side=8)[0].float(), example()[1])
    before = images.clone(), torch.get_rng_state()
    crafted, again = (ATTACKS[name](nets, images, labels, EPS, seeded(4)) for _ in range(2))
    assert torch.equal(crafted, again)
    assert torch.equal(images, before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert not crafted.requires_grad
    assert [net.weight.grad for net in nets] == [None, None]
    assert torch.equal(crafted, images) == (name == "no-op")
    assert (crafted - images).abs().max() <= EPS + 1e-6
    assert 0 <= crafted.min() and crafted.max() <= 1


def test_nets_believe_the_label_of_the_largest_summed_softmax() -> None:
    images, _ = example()
    expected = sum(softmax(rows(images) @ weight.T) for weight in weights(NETS)).argmax(1)
    assert predicted_labels(NETS, images).tolist() == expected.tolist()


# The bound on the contest's own images


IMAGES = Path(os.environ.get("TENFOLD_MIRROR", "")) / "nips17-dev" / "images"


@pytest.fixture(scope="module")
def real_images() -> NDArray[np.uint8]:
    return np.stack([from_png(path.read_bytes()) for path in sorted(IMAGES.glob("*.png"))])


@pytest.fixture(scope="module")
def small_nets() -> list[nn.Module]:
    torch.manual_seed(6)
    return [nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 37 * 37, 10)).eval()
            for _ in range(2)]  # fmt: skip


def keeps_the_bound(name: str, originals: NDArray[np.uint8], nets: list[nn.Module], eps: int) -> None:
    """Crafts, rounds, projects, writes as PNG, reads again, and compares pixel by pixel."""
    images = torch.from_numpy(originals).permute(0, 3, 1, 2) / 255
    crafted = ATTACKS[name](nets, images, predicted_labels(nets, images), eps / 255, seeded(eps))
    rounded = to_pixels(crafted.permute(0, 2, 3, 1).numpy())
    projected = project(originals, rounded, eps)
    assert np.array_equal(projected, rounded)  # the attack itself has kept the bound
    read = np.stack([from_png(png(pixels, compress_level=0)) for pixels in projected])
    assert np.array_equal(read, projected)
    largest = np.abs(read.astype(np.int16) - originals).max()
    assert largest <= eps
    assert name in ("no-op", "trained") or largest == eps


real = pytest.mark.skipif(not IMAGES.is_dir(), reason="TENFOLD_MIRROR names no folder with nips17-dev/")


@real
@pytest.mark.parametrize("name", ATTACKS)
def test_files_of_real_images_keep_the_bound(
    name: str, real_images: NDArray[np.uint8], small_nets: list[nn.Module]
) -> None:
    """All images, in batches that take the contest's eps in turn."""
    assert real_images.shape == (100, 299, 299, 3)
    for eps, batch in zip(itertools.cycle((4, 8, 12, 16)), np.split(real_images, 20), strict=False):
        keeps_the_bound(name, batch, small_nets, eps)


@real
@pytest.mark.slow
@pytest.mark.parametrize("eps", [4, 8, 12, 16])
@pytest.mark.parametrize("name", ATTACKS)
def test_files_of_real_images_keep_every_bound(
    name: str, eps: int, real_images: NDArray[np.uint8], small_nets: list[nn.Module]
) -> None:
    for batch in np.split(real_images, 20):
        keeps_the_bound(name, batch, small_nets, eps)


# Nets made ready


NET = {"resnet": {"name": "resnet20", "width": 4}, "preresnet": {"name": "preresnet_basic", "depth": 14, "width": 4},
       "densenet": {"name": "densenet_bc", "depth": 22, "growth": 4},
       "mobilenet_cifar": {"name": "mobilenet_v2_cifar"}}  # fmt: skip


@pytest.mark.parametrize("family", NET)
def test_a_net_made_ready_gives_the_same_scores_without_gradients_of_parameters(family: str) -> None:
    torch.manual_seed(8)
    net = Normalised(build({"family": family, **NET[family], "classes": 10}), [0.5] * 3, [0.25] * 3)
    for _ in range(3):
        net(torch.rand(8, 3, 32, 32))
    state = {name: value.clone() for name, value in net.state_dict().items()}
    images = torch.rand(4, 3, 32, 32)
    ready = for_crafting(net)
    assert net.training and not ready.training
    torch.testing.assert_close(ready(images), net.eval()(images), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert not any(parameter.requires_grad for parameter in ready.parameters())
    left = [sum(isinstance(part, nn.BatchNorm2d) for part in one.modules()) for one in (net, ready)]
    assert left[1] == 0 if family in ("resnet", "mobilenet_cifar") else 0 < left[1] < left[0]
    bf16 = for_crafting(net, "bf16")(images)
    assert bf16.dtype == torch.float32
    torch.testing.assert_close(bf16, net(images), rtol=0.1, atol=0.05)


class _Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)

    def forward(self, images: Tensor) -> Tensor:
        return self.bn(self.conv(images)) if images.sum() > 0 else images


def test_a_net_that_cannot_be_traced_is_left_whole() -> None:
    ready = for_crafting(_Branching())
    assert sum(isinstance(part, nn.BatchNorm2d) for part in ready.modules()) == 1


class _TwoReaders(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)
        self.bn.running_var.fill_(4.0)  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        return maps + self.bn(maps)


def test_a_convolution_that_others_read_too_is_not_folded() -> None:
    net = _TwoReaders().eval()
    images = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(for_crafting(net)(images), net(images))


# Warps


def test_the_identity_changes_nothing_and_a_shift_moves_whole_pixels() -> None:
    images = torch.rand(2, 3, 7, 5, generator=seeded())
    same = torch.eye(3).expand(2, 3, 3)
    torch.testing.assert_close(warp(images, same), images, rtol=0, atol=1e-5)
    right = same.clone()
    right[:, 0, 2] = 2 * 2 / 5  # two pixels of five, on the scale [-1, 1]
    shifted = warp(images, right)
    torch.testing.assert_close(shifted[..., :3], images[..., 2:], rtol=0, atol=1e-5)
    torch.testing.assert_close(shifted[..., 3:], torch.full((2, 3, 7, 2), 0.5))


def test_warps_against_grid_sample() -> None:
    images = torch.rand(6, 3, 16, 12, generator=seeded(), dtype=torch.float64).requires_grad_()
    for matrices in (projective(6, 0.1, seeded(1)), affine(6, seeded(2), degrees=(5, 20), zoom=(0.8, 1.2), shift=0.1)):
        places = torch.cartesian_prod((2 * torch.arange(16) + 1) / 16 - 1, (2 * torch.arange(12) + 1) / 12 - 1)
        points = torch.cat([places.flip(1), torch.ones(16 * 12, 1)], 1).double() @ matrices.double().mT
        grid = (points[..., :2] / points[..., 2:]).view(6, 16, 12, 2)
        expected = F.grid_sample(images - 0.5, grid, align_corners=False) + 0.5
        found = warp(images, matrices)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        ours, theirs = (torch.autograd.grad((one**2).sum(), images)[0] for one in (found, expected))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_maps_keep_what_they_are_asked_for() -> None:
    matrices = projective(500, 0.02, seeded())
    offsets = matrices - torch.eye(3)
    assert offsets.abs().max() <= 0.02
    assert offsets[:, 2, 2].abs().max() == 0
    assert (offsets.flatten(1)[:, :8].std(0) > 0.008).all()
    turned = affine(500, seeded(), degrees=(2, 3), zoom=(1.05, 1.1))
    angles = torch.rad2deg(torch.atan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 2 <= angles.abs().min() and angles.abs().max() <= 3
    assert 0.4 < (angles > 0).float().mean() < 0.6
    zooms = 1 / torch.linalg.det(turned[:, :2, :2]).sqrt()
    assert 1.05 <= zooms.min() + 1e-5 and zooms.max() - 1e-5 <= 1.1


# Median


def lower_middle(image: Array) -> Array:
    """Of each pixel, its neighbours right and below, and that between: the third largest; grey beyond the border."""
    height, width = image.shape
    found = np.empty_like(image)
    for i in range(height):
        for j in range(width):
            four = [image[i + di, j + dj] if i + di < height and j + dj < width else 0.5
                    for di in (0, 1) for dj in (0, 1)]  # fmt: skip
            found[i, j] = sorted(four, reverse=True)[2]
    return found


def test_the_median_against_brute_force_and_scipy() -> None:
    images = torch.rand(3, 3, 9, 7, generator=seeded(), dtype=torch.float64)
    images[0] = (4 * images[0]).round() / 4  # with ties
    found = median.median2x2(images).numpy()
    for image, filtered in zip(images.numpy(), found, strict=True):
        for channel, by_ours in zip(image, filtered, strict=True):
            np.testing.assert_array_equal(by_ours, lower_middle(channel))
            by_rank = scipy.ndimage.rank_filter(channel, 1, size=2, origin=-1, mode="constant", cval=0.5)
            np.testing.assert_array_equal(by_ours, by_rank)


def test_the_gradient_of_the_median_goes_to_the_chosen_pixel() -> None:
    images = torch.rand(1, 1, 5, 5, generator=seeded()).requires_grad_()
    filtered = median.median2x2(images)
    (found,) = torch.autograd.grad(filtered.sum(), images)
    chosen = filtered.detach()[filtered.detach() != 0.5]
    for value, count in zip(images.detach().flatten().tolist(), found.flatten().tolist(), strict=True):
        assert count == (chosen == value).sum()


# Resize and pad


@pytest.mark.parametrize(("smallest", "largest", "expected"), [(310, 330, 3_794), (299, 330, 12_528)])
def test_patterns_of_the_submission_and_of_the_authors_paper(smallest: int, largest: int, expected: int) -> None:
    assert randomisation.patterns(smallest, largest, 331) == expected
    places = {(r, i, j) for r in range(33, 36) for i in range(36 - r + 1) for j in range(36 - r + 1)}
    assert randomisation.patterns(33, 35, 36) == len(places)


@pytest.mark.parametrize(("size", "top", "left"), [(310, 0, 21), (330, 1, 0), (321, 4, 7)])
def test_an_image_is_resized_to_the_nearest_pixels_with_grey_around_it(size: int, top: int, left: int) -> None:
    images = torch.rand(2, 3, 299, 299, generator=seeded())
    padded = randomisation.resize_and_pad(images, size, top, left, 331)
    assert padded.shape == (2, 3, 331, 331)
    nearest = np.arange(size) * 299 // size
    inside = padded[:, :, top : top + size, left : left + size]
    assert torch.equal(inside, images[:, :, nearest][..., nearest])
    assert int((padded == 0.5).sum()) >= 6 * (331**2 - size**2)
    around = padded.clone()
    around[:, :, top : top + size, left : left + size] = 0.5
    assert (around == 0.5).all()
    mirrored = randomisation.resize_and_pad(images, size, top, left, 331, flip=True)
    assert torch.equal(mirrored[:, :, top : top + size, left : left + size], inside.flip(3))


def test_randomisation_draws_all_sizes_places_and_mirrorings_and_sums_softmax() -> None:
    seen: list[Tensor] = []

    def net(images: Tensor) -> Tensor:
        seen.append(images)
        return images.flatten(1)[:, :4] * 3

    images = torch.rand(2, 3, 32, 32, generator=seeded()) / 4
    how = {"smallest": 33, "largest": 35, "padded": 36, "draws": 400}
    scores = randomisation.randomised([net], images, seeded(1), **how)  # type: ignore[list-item]
    expected = torch.stack([F.softmax(3 * one.flatten(1)[:, :4], 1) for one in seen]).sum(0)
    torch.testing.assert_close(scores.exp(), expected)
    inside = [(one[0, 0] != 0.5).nonzero() for one in seen]
    sizes = [int(at[:, 0].max() - at[:, 0].min()) + 1 for at in inside]
    corners = {(size, *at.min(0).values.tolist()) for size, at in zip(sizes, inside, strict=True)}
    assert len(seen) == 400
    assert len(corners) == randomisation.patterns(33, 35, 36) == 29
    first = [bool((one[0, 0].flatten() == images[0, 0, 0, 0]).nonzero()[0] % 36 < 18) for one in seen]
    assert 150 < sum(first) < 250


# JPEG, votes


def test_jpeg_is_that_of_a_file_and_has_the_gradient_of_the_identity() -> None:
    images = torch.rand(2, 3, 24, 16, generator=seeded()).requires_grad_()
    found = jpeg.compress(images, 50)
    for image, decoded in zip(images.detach(), found.detach(), strict=True):
        file = BytesIO()
        pixels = np.rint(image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        Image.fromarray(pixels).save(file, "JPEG", quality=50)
        expected = np.asarray(Image.open(file))
        np.testing.assert_array_equal((decoded * 255).round().permute(1, 2, 0).numpy().astype(np.uint8), expected)
    weights = torch.rand(images.shape, generator=seeded(1))
    (passed,) = torch.autograd.grad((weights * found).sum(), images)
    assert torch.equal(passed, weights)


def test_votes_are_weighted_logits() -> None:
    images = torch.rand(4, 3, 8, 8, generator=seeded())
    nets = [LinearNet(k, pixels=3 * 8 * 8).float() for k in range(2)]
    votes = [{"net": 1, "change": "plain", "weight": 0.25}, {"net": 0, "change": "compressed", "weight": 2.0}]
    expected = 0.25 * nets[1](images) + 2.0 * nets[0](jpeg.compress(images, 50))
    torch.testing.assert_close(voting.voting(nets, images, seeded(), votes=votes), expected)
    turned = [{"net": 0, "change": "rotated", "weight": 1.0}]
    one, three = (voting.voting(nets, images, seeded(2), votes=turned, draws=draws) for draws in (1, 3))
    assert not torch.equal(one, three)
    voted = voting.voting(nets, images, seeded())
    assert voted.shape == (4, 4)


# HGD


def small_denoiser() -> hgd.Denoiser:
    torch.manual_seed(1)
    return hgd.Denoiser((4, 6, 6), (1, 2, 1), (4, 6), (1, 2)).eval()


def test_a_denoiser_that_finds_no_noise_is_the_identity() -> None:
    denoiser, (images, _) = small_denoiser(), example(side=8)
    nn.init.zeros_(denoiser.noise.last.weight)
    images, nets = images.float(), [LinearNet(k, pixels=3 * 8 * 8).float() for k in range(2)]
    assert torch.equal(denoiser(images), images)
    torch.testing.assert_close(hgd.hgd(nets, images, seeded(), denoisers=[denoiser]), nets[0](images) + nets[1](images))


def test_each_net_sees_what_its_own_denoiser_leaves() -> None:
    images = example(side=8)[0].float()
    nets = [LinearNet(k, pixels=3 * 8 * 8).float() for k in range(2)]
    denoisers = [small_denoiser(), hgd.Denoiser((4, 4), (1, 1), (4,), (1,)).eval()]
    expected = nets[0](denoisers[0](images)) + nets[1](denoisers[1](images))
    torch.testing.assert_close(hgd.hgd(nets, images, seeded(), denoisers=denoisers), expected)


def test_guided_losses_are_zero_for_perfect_noise_and_known_for_a_constant() -> None:
    (clean, labels), net = example(), NETS[0]
    noise = 0.1 * torch.randn(clean.shape, generator=seeded(2), dtype=torch.float64)
    for layer in (hgd.pixels, net, torch.sin):
        assert hgd.guided_loss(layer, (clean + noise) - noise, clean) < 1e-12
    assert hgd.guided_loss(hgd.pixels, clean + 0.25, clean).item() == pytest.approx(0.25)
    by_hand = np.abs(rows(noise) @ net.weight.numpy().T).mean()
    assert hgd.guided_loss(net, clean + noise, clean).item() == pytest.approx(by_hand)
    at = np.arange(5), labels.numpy()
    by_hand = -np.log(softmax(rows(clean) @ net.weight.numpy().T)[at]).mean()
    assert hgd.class_loss(net, clean, labels).item() == pytest.approx(by_hand)


def test_guidance_reaches_the_denoiser_alone() -> None:
    denoiser, net = small_denoiser().train(), LinearNet(0, pixels=3 * 8 * 8).float()
    clean = example(side=8)[0].float()
    hgd.guided_loss(net, denoiser(clean + 0.1), clean).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in denoiser.parameters())
    assert net.weight.grad is None


def test_dunet_has_the_layers_of_the_teams_code() -> None:
    unet = UNet()
    convs = [part for part in unet.modules() if isinstance(part, nn.Conv2d)]
    widths = [conv.out_channels for conv in convs]
    down = [64] * 2 + [128] * 3 + [256] * 9
    up = [256] * 3 + [256] * 3 + [128] * 3 + [64] * 2
    assert widths == [*down, *up, 3]
    assert [conv.in_channels for conv in convs if conv.in_channels not in (3, *widths)] == [512, 512, 384, 192]
    assert [conv.stride[0] for conv in convs].count(2) == 4
    assert convs[-1].kernel_size == (1, 1) and convs[-1].bias is None
    small = small_denoiser()
    assert small(torch.rand(1, 3, 37, 23)).shape == (1, 3, 37, 23)


# Attacks through defences


def test_a_defence_as_a_net_gives_its_scores_and_draws_anew() -> None:
    images, labels = (example(side=8)[0].float(), example()[1])
    nets = [LinearNet(k, pixels=3 * 10 * 10).float() for k in range(2)]
    how = {"smallest": 8, "largest": 9, "padded": 10, "draws": 3}
    defended = Defended(randomisation.randomised, nets, seeded(3), **how)
    first, second = defended(images), defended(images)
    assert torch.equal(first, randomisation.randomised(nets, images, seeded(3), **how))
    assert not torch.equal(first, second)
    crafted = method.fgsm([defended], images, labels, EPS, seeded())
    assert (crafted - images).abs().max() == pytest.approx(EPS, rel=1e-4)


DEFENCES: dict[str, tuple[Callable[..., Tensor], dict[str, Any]]] = {
    "median": (median.median, {}),
    "jpeg": (jpeg.jpeg, {"quality": 75}),
    "randomised": (randomisation.randomised, {"smallest": 8, "largest": 8, "padded": 8, "draws": 20}),
    "voting": (voting.voting, {"draws": 5}),
    "hgd": (hgd.hgd, {"denoisers": [small_denoiser()]}),
}


@pytest.mark.parametrize("name", DEFENCES)
def test_an_attack_through_a_defence_lowers_its_score_of_the_label(name: str) -> None:
    defend, how = DEFENCES[name]
    images = example(batch=20, side=8)[0].float()
    nets = [LinearNet(k, pixels=3 * 8 * 8, scale=0.3).float() for k in range(2)]
    before = defend(nets, images, seeded(5), **how)
    labels = before.argmax(1)
    crafted = method.bim([Defended(defend, nets, seeded(), **how)], images, labels, 16 / 255, seeded())
    after = defend(nets, crafted, seeded(5), **how)
    at = torch.arange(20), labels
    assert F.log_softmax(after, 1)[at].mean() < F.log_softmax(before, 1)[at].mean() - 0.5
    assert (after.argmax(1) != labels).float().mean() > 0.5


# Adversarial training


def small_net() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 4))


def test_the_loss_of_adversarial_training_is_that_of_a_batch_of_crafted_and_clean_images() -> None:
    net, images, labels = small_net(), example(side=8)[0].float(), example()[1]
    for _ in range(3):
        net(images)
    net.eval()
    leaves = images[:2].clone().requires_grad_()
    own = net(leaves)
    (found,) = torch.autograd.grad(F.cross_entropy(own, own.argmax(1)), leaves)
    crafted = (images[:2] + EPS * found.sign()).clamp(0, 1)
    expected = F.cross_entropy(copy.deepcopy(net).train()(torch.cat([crafted, images[2:]])), labels)
    seen = int(net[1].num_batches_tracked)  # type: ignore[arg-type]
    loss = training.adversarial_loss(net.train(), images, labels, seeded(), eps=(EPS, EPS), share=0.4)
    torch.testing.assert_close(loss, expected)
    assert net.training
    assert int(net[1].num_batches_tracked) == seen + 1  # type: ignore[arg-type]  # not by what crafts
    clean = training.adversarial_loss(net, images, labels, seeded(), share=0.0)
    torch.testing.assert_close(clean, F.cross_entropy(net(images), labels))


@pytest.mark.parametrize("bf16", [False, True])
def test_all_parameters_learn_from_crafted_images_under_autocast_too(bf16: bool) -> None:
    net, images, labels = small_net().train(), example(side=8)[0].float(), example()[1]
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = training.adversarial_loss(net, images, labels, seeded(), share=1.0)
    loss.backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


def test_ensemble_adversarial_training_draws_the_crafting_net() -> None:
    calls: list[int] = []

    class Noted(LinearNet):
        def forward(self, images: Tensor) -> Tensor:
            if len(images) == 2:
                calls.append(self.number)
            return super().forward(images)

    nets = [Noted(k, pixels=3 * 8 * 8).float() for k in range(3)]
    for number, net in enumerate(nets):
        net.number = number  # type: ignore[assignment]
    images, labels, generator = example(side=8)[0].float(), example()[1], seeded()
    for _ in range(60):
        training.adversarial_loss(nets[0], images, labels, generator, crafters=nets[1:], share=0.4)
    assert len(calls) == 60
    counts = [calls.count(number) for number in range(3)]
    assert min(counts) >= 8, counts


def test_the_example_attacks_a_net_and_through_a_defence(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).resolve().parents[2] / "examples/attack_your_own_net.py"))
    found = [[float(part.split("%")[0].split()[-1]) for part in line.split(",")]
             for line in capsys.readouterr().out.splitlines()]  # fmt: skip
    clean, on_net, on_other, through = found
    assert min(clean) > 95
    assert on_net[0] < 20 and on_other[0] < 20
    assert through[1] < on_net[1]
