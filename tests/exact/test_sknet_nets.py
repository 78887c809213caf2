"""The nets of the paper, as large to the digit as they should be, and two steps of each at full."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tenfold import config
from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.launcher import Job
from tenfold.measure.cost import cost
from tenfold.nets.build import build
from tenfold.papers.sknet import grid
from tenfold.papers.sknet.costs import costs, net_cost
from tenfold.papers.sknet.method import BranchAttention, SelectiveKernel
from tenfold.papers.sknet.nets import build_net, selective_kernels
from tenfold.training.recipe import Recipe, build_optimiser
from tenfold.workflow import House

torch.set_num_threads(1)

FULL: dict[str, Any] = config.paper("sknet").editions["full"]

# Parameters (BatchNorm's included) and thousand millions of multiply-adds (convolutions and linear layers). What has no
# number of multiply-adds is known by its parameters alone.
KNOWN = {
    "imagenet-50/k3": (25_028_904, 4.230),
    "imagenet-50/k5": (25_028_904, 4.230),
    "imagenet-50/k7": (25_028_904, 4.230),
    "imagenet-50/se": (27_559_896, 4.233),
    "imagenet-50/k3-k5-sk": (27_479_784, 4.463),  # the official prototxt of SKNet-50
    "imagenet-50/k3-k7-sk": (27_479_784, 4.463),
    "imagenet-50/k5-k7-sk": (27_479_784, 4.463),
    "imagenet-50/k3-k3-sk": (27_479_784, 4.463),
    "imagenet-50/k3-k5-sum": (26_458_664, 4.462),
    "imagenet-50/k3-k7-sum": (26_458_664, 4.462),
    "imagenet-50/k5-k7-sum": (26_458_664, 4.462),
    "imagenet-50/k3-k5-k7-sum": (27_888_424, 4.693),
    "imagenet-50/k3-k5-k7-sk": (29_249_512, 4.694),
    "imagenet-50/k3-true5-sk": (28_029_928, 4.553),
    "imagenet-50/k3-true7-sk": (27_990_632, 4.546),
    "imagenet-50/cardinality": (27_549_352, 4.699),
    "imagenet-50/deeper": (27_281_704, 4.670),
    "imagenet-26/k3-k5-sk": (16_746_408, 2.587),
    "imagenet-101/k3": (44_177_704, 7.970),
    "imagenet-101/se": (48_955_416, None),
    "imagenet-101/k3-k5-sk": (48_736_040, 8.449),
    "cifar-10/16x32d": (25_136_970, 4.028),
    "cifar-10/8x64d": (34_426_698, 5.387),
    "cifar-10/16x64d": (68_155_210, 10.689),
    "cifar-10/sk": (27_739_626, None),
    "cifar-100/16x32d": (25_229_220, None),
    "cifar-100/8x64d": (34_518_948, None),
    "cifar-100/16x64d": (68_247_460, None),
    "shufflenet-0.5/plain": (1_366_792, None),
    "shufflenet-0.5/with-se": (1_397_428, None),
    "shufflenet-1.0/plain": (2_278_604, None),
    "shufflenet-1.0/with-se": (2_449_148, None),
}


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """What the stage counts."""
    folder = tmp_path_factory.mktemp("counts")
    costs(
        grid.costs(House({}).paper("sknet").edition("full"), None), Job(resume=folder / "r"), counts=folder / "c.json"
    )
    found: dict[str, dict[str, int]] = read_json(folder / "c.json")
    return found


@pytest.mark.parametrize("name", KNOWN)
def test_a_net_is_as_large_as_it_should_be(name: str, counts: dict[str, dict[str, int]]) -> None:
    params, gmacs = KNOWN[name]
    assert counts[name]["params"] == params
    if gmacs is not None:
        assert round(counts[name]["macs"] / 1e9, 3) == gmacs


def test_every_net_of_full_is_known_or_a_choice(counts: dict[str, dict[str, int]]) -> None:
    choices = {"cifar-10/se", "cifar-100/se", "cifar-100/sk", "shufflenet-0.5/with-sk", "shufflenet-1.0/with-sk"}
    assert set(counts) == set(KNOWN) | choices


def test_small_nets_with_other_countings(counts: dict[str, dict[str, int]]) -> None:
    """SENet-29 without its biases; SKNet-29 with L = 32, and its multiply-adds without those of its attention."""
    biases = 3 * sum(channels // 16 + channels for channels in (256, 512, 1024))
    assert counts["cifar-10/se"]["params"] - biases == 34_942_794
    sk = grid.options(FULL, "cifar-10", "sk")
    assert net_cost({**sk, "floor": 32}, 32).params == 27_813_450
    attention = 3 * sum(3 * channels * channels // 32 for channels in (512, 1024, 2048))
    assert round((counts["cifar-10/sk"]["macs"] - attention) / 1e9, 3) == 4.179
    on_16x32d = net_cost({**grid.options(FULL, "cifar-10", "se"), "groups": 16}, 32)
    assert round(on_16x32d.params / 1e6, 2) == 25.66


def test_the_released_sknet_101_has_half_as_many_units_in_conv3(counts: dict[str, dict[str, int]]) -> None:
    def released() -> nn.Module:
        net = build_net(grid.options(FULL, "imagenet-101", "k3-k5-sk"))
        for name, module in selective_kernels(net).items():
            if name.startswith("SK_3_"):
                module.attention = BranchAttention(256, 2, reduction=16, floor=16)
        return net

    found = cost(released, (3, 224, 224))
    assert found.params == 48_686_760
    assert round(found.macs / 1e9, 4) == 8.4487
    assert counts["imagenet-101/k3-k5-sk"]["params"] - found.params == 49_280


def test_no_wider_net_of_32_groups_is_as_large_as_the_printed_one() -> None:
    assert net_cost({"width": 160}, 224).params == 30_511_880
    with pytest.raises(UserError, match="width 144 is no multiple of 32 groups"):
        build_net({"width": 144})
    assert net_cost({"depths": [3, 4, 7, 3]}, 224).params == 26_155_304, "ResNeXt-53 is not the printed 27.3 M"


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize(("arm", "cardinality", "width"), [("16x32d", 16, 32), ("8x64d", 8, 64), ("16x64d", 16, 64)])
def test_plain_nets_of_cifar_are_those_of_the_shared_family(
    classes: int, arm: str, cardinality: int, width: int
) -> None:
    family = {"family": "resnext_cifar", "name": "resnext29", "cardinality": cardinality, "width": width}
    shared = cost(lambda: build({**family, "classes": classes}), (3, 32, 32))
    assert net_cost(grid.options(FULL, f"cifar-{classes}", arm), 32) == shared


def test_what_the_paper_prints_is_near(counts: dict[str, dict[str, int]]) -> None:
    """Its multiply-adds are a little larger, for BatchNorm, ReLU and pooling; its parameters by up to 0.25 M."""
    published = House({}).paper("sknet").edition("full").published
    seen = 0
    for part in ("imagenet", "equal_cost", "second_branch", "kernels"):
        for row in published[part]["rows"]:
            if row["net"] in counts:
                seen += 1
                assert -0.05 <= float(row["params"]) - counts[row["net"]]["params"] / 1e6 <= 0.25
                assert -0.005 <= float(row["gflops"]) - counts[row["net"]]["macs"] / 1e9 <= 0.03
    assert seen == 6 + 4 + 5 + 11
    for row in published["cifar"]["rows"]:
        assert abs(float(row["params"]) - counts[f"cifar-10/{row['net']}"]["params"] / 1e6) <= 0.1


def test_an_unknown_kind_or_way_to_fuse_is_one_line() -> None:
    with pytest.raises(UserError, match="'resnet' is no kind; allowed: sknet, shufflenet"):
        build_net({"kind": "resnet"})
    with pytest.raises(UserError, match="fuse is 'product'; allowed: sum, attention"):
        build_net({"fuse": "product"})


def test_units_have_the_paper_s_names() -> None:
    with torch.device("meta"):
        net = build_net(grid.options(FULL, "imagenet-50", "k3-k5-sk"))
    names = list(selective_kernels(net))
    assert len(names) == 16
    assert {"SK_2_3", "SK_3_4", "SK_4_6", "SK_5_3"} <= set(names)
    assert names == sorted(names)
    assert selective_kernels(net)["SK_3_4"].attention.squeeze.weight.shape == (32, 256)
    strides = {name: unit.branches[1][0].stride for name, unit in selective_kernels(net).items()}
    assert [name for name, stride in strides.items() if stride == (2, 2)] == ["SK_3_1", "SK_4_1", "SK_5_1"]


def test_the_first_values_are_those_of_the_official_prototxt() -> None:
    torch.manual_seed(0)
    net = build_net(grid.options(House({}).paper("sknet").edition("real").settings, "mini", "k3-k5-sk"))
    conv = net.stages[2][1].expand.conv
    assert float(conv.weight.detach().std()) == pytest.approx((2 / conv.in_channels) ** 0.5, rel=0.05)
    assert float(net.classifier.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert not net.classifier.bias.any()
    norms = [module for module in net.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert {norm.momentum for norm in norms} == {0.05}
    assert len(norms) == 1 + 6 * 5 + 3  # stem; per unit reduce, two branches, z and expand; three shortcuts


def test_the_stem_pools_112_to_56_without_padding() -> None:
    with torch.device("meta"):
        stem = build_net({"depths": [1, 1]}).stem
        assert stem(torch.empty(1, 3, 224, 224)).shape == (1, 64, 56, 56)
        assert stem[1].padding == 0


STANDS = ("imagenet-50/k3-k5-sk", "shufflenet-0.5/with-sk", "cifar-10/sk")
SIDE = {"imagenet": 64, "shufflenet": 64, "cifar": 8}  # leaves a last map of 2 x 2


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"{net}/{arm}", marks=[] if f"{net}/{arm}" in STANDS else pytest.mark.slow)
        for net, own in FULL["nets"].items()
        for arm in own["arms"]
    ],
)
def test_two_steps_of_each_net_of_full(name: str) -> None:
    net, arm = name.split("/")
    settings = grid.of_net(House({}).paper("sknet").edition("full"), net).settings
    torch.manual_seed(0)
    model = build_net(grid.options(settings, net, arm)).to(memory_format=torch.channels_last)
    recipe = Recipe.from_cfg(settings["recipe"])
    optimiser = build_optimiser(recipe, model)
    side = SIDE[net.split("-")[0]]
    images, labels = torch.randn(2, 3, side, side), torch.tensor([1, 2])
    before = model.state_dict()
    before = {key: before[key].clone() for key in (next(iter(before)), list(before)[-2])}
    for _ in range(2):
        loss = F.cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert torch.isfinite(loss)
    assert all(not torch.equal(model.state_dict()[key], value) for key, value in before.items())
    for module in model.modules():
        if isinstance(module, SelectiveKernel):
            assert all(parameter.grad is not None for parameter in module.parameters())
