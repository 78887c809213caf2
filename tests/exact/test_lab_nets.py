"""The nets of the edition `lab`: as large as the public nets whose values gate it, and trainable."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from tenfold.measure.cost import cost
from tenfold.nets.build import build
from tenfold.papers.icnn_face_parsing import grid as icnn
from tenfold.papers.icnn_face_parsing import train as icnn_train
from tenfold.papers.icnn_face_parsing.pipeline import FOREGROUND
from tenfold.papers.pruning_from_scratch import grid as pruning
from tenfold.papers.rco import grid as rco
from tenfold.papers.sge import grid as sge
from tenfold.papers.sge import nets as sge_nets
from tenfold.papers.sknet import grid as sknet
from tenfold.papers.sknet import nets as sknet_nets
from tenfold.papers.turbo_hoi import grid as turbo
from tenfold.papers.turbo_hoi.method import Links, Sizes, Truth, TurboHOI, turbo_loss
from tenfold.papers.turbo_hoi.nets import every_pair
from tenfold.papers.variance_shift import grid as variance_shift
from tenfold.papers.variance_shift.common import noisy
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe, build_optimiser
from tenfold.workflow import Edition, House


def lab(slug: str) -> Edition:
    return House({}).paper(slug).edition("lab")


def of(**wildcards: str) -> Any:
    return SimpleNamespace(edition="lab", seeds="s0", **wildcards)


def test_students_and_teachers_are_those_of_public_distillation() -> None:
    """RepDistiller's resnet20 and resnet56 on CIFAR-100 have 278,324 and 861,620 parameters."""
    cfg = rco.distil(lab("rco"), of(student="resnet20", arm="kd-1x"))
    sizes = {role: cost(lambda role=role: build({**cfg[role], "classes": 100}), (3, 32, 32)).params  # type: ignore[misc]
             for role in ("student", "teacher")}  # fmt: skip
    assert sizes == {"student": 278_324, "teacher": 861_620}


def test_a_step_of_both_stages_of_face_parsing() -> None:
    """The nets of P1: 447,729 and 428,254 parameters, on pixels and labels of 64 and 80 pixels a side."""
    params = {}
    for stage, name in (("first", "face"), ("second", "mouth")):
        cfg = icnn.train(lab("icnn-face-parsing"), of(nets="thin", arm="icnn", stage=stage))
        torch.manual_seed(0)
        net, side = icnn_train.net_of(cfg, name), cfg["sides"][name]
        optimiser = build_optimiser(Recipe.from_cfg(cfg["recipes"][name]), net)
        pixels, labels = torch.randint(256, (2, 3, side, side)), torch.randint(FOREGROUND[name] + 1, (2, side, side))
        losses = icnn_train.labelling(cfg["softmax"])(net, (pixels, labels))
        assert isinstance(losses, dict)
        before = [parameter.detach().clone() for parameter in net.parameters()]
        losses["loss"].backward()
        optimiser.step()
        assert torch.isfinite(losses["loss"])
        assert not any(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))
        params[name] = sum(parameter.numel() for parameter in net.parameters())
    assert params == {"face": 447_729, "mouth": 428_254}


def test_the_wider_net_costs_what_selective_kernels_cost() -> None:
    params = {arm: cost(lambda arm=arm: sknet_nets.build_net(sknet.options(lab("sknet").settings, "resnext20", arm)),  # type: ignore[misc]
                        (3, 32, 32)).params for arm in ("wider", "k3-k5-sk")}  # fmt: skip
    assert params["wider"] == pytest.approx(params["k3-k5-sk"], rel=0.001)


def nets() -> dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]]:
    """How each paper's main net of `lab` is built, and its recipe."""
    of_sge = sge.train(lab("sge"), of(net="resnet20", arm="sge"))
    of_vs = variance_shift.train(lab("variance-shift"), of(dataset="cifar-100", net="preresnet164", arm="a-0.5"))
    of_sknet = sknet.train(lab("sknet"), of(net="resnext20", arm="k3-k5-sk"))
    of_rco = rco.distil(lab("rco"), of(student="resnet20", arm="eei-4"))
    of_pruning = pruning.train(lab("pruning-from-scratch"), of(net="resnet20", arm="full"))
    return {
        "sge": (lambda: sge_nets.build({**of_sge["net"], "classes": 100}), of_sge["recipe"]),
        "variance-shift": (lambda: noisy(of_vs, {**of_vs["net"], "classes": 100}), of_vs["recipe"]),
        "sknet": (lambda: sknet_nets.build_net(of_sknet["net"]), of_sknet["recipe"]),
        "rco": (lambda: build({**of_rco["student"], "classes": 100}), of_rco["recipe"]),
        "pruning-from-scratch": (lambda: build({**of_pruning["net"], "classes": 100}), of_pruning["recipe"]),
    }  # fmt: skip


@pytest.mark.parametrize("slug", ["sge", "variance-shift", "sknet", "rco", "pruning-from-scratch"])
def test_two_steps(slug: str) -> None:
    make, recipe = nets()[slug]
    torch.manual_seed(0)
    model = make().train()
    optimiser, loss = build_optimiser(Recipe.from_cfg(recipe), model), classification()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    values = []
    for _ in range(2):
        losses = loss(model, (torch.randn(2, 3, 32, 32), torch.tensor([3, 97])))
        assert isinstance(losses, dict)
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        values.append(losses["loss"])
    assert torch.isfinite(torch.stack(values)).all()
    moved = sum(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    assert moved > 0.9 * len(before)


@pytest.mark.parametrize("edition", ["lab", "full"])
def test_two_steps_of_the_loop_of_interactions_and_poses(edition: str) -> None:
    """At full on RoI features of a detector, as many parameters whatever the turns."""
    net, wildcards = {"lab": "scenes", "full": "v-coco"}[edition], {"edition": edition, "seeds": "s0"}
    paper, params = House({}).paper("turbo-hoi").edition(edition), set()
    for arm in ("turbo-2", "turbo-3"):
        cfg = turbo.train(paper, SimpleNamespace(nets=net, arm=arm, **wildcards))
        sizes = Sizes(**cfg["sizes"])
        torch.manual_seed(0)
        model = TurboHOI(sizes, 29, 17, Links(**cfg["links"]))
        optimiser = build_optimiser(Recipe.from_cfg(cfg["recipe"]), model)
        persons, objects = (torch.rand(2, sizes.channels, side, side) for side in (sizes.persons, sizes.objects))
        truth = Truth(torch.rand(2, 29).round(), torch.rand(4, 29).round(), torch.rand(2, 29, 4),
                      torch.randint(4 * sizes.persons**2, (2, 17)))  # fmt: skip
        losses = []
        for _ in range(2):
            loss = turbo_loss(model(persons, objects, every_pair(1, 2, 2)), truth)["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert losses[1] < losses[0]
        params.add(sum(parameter.numel() for parameter in model.parameters()))
    assert len(params) == 1
