"""The nets: shapes, free widths, initialisation, errors, and two training steps of each full-size net."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.errors import UserError
from tenfold.nets.build import build, families
from tenfold.nets.layers import PointwiseConv2d, PrunableNet

torch.set_num_threads(1)

CIFAR = ["vgg16", "vgg19", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]
IMAGENET = ["resnet50", "mobilenet_v1", "mobilenet_v2"]
SMALLEST_INPUT = {"vgg": 32, "resnet": 8, "resnet50": 64, "mobilenet": 64}  # leaves a last map of 2 x 2


def family(name: str) -> str:
    return "mobilenet" if name.startswith("mobilenet") else name.rstrip("0123456789")


def make(name: str, **options: Any) -> PrunableNet:
    net = build({"family": family(name), "name": name, **options})
    assert isinstance(net, PrunableNet)
    return net


def smallest_images(name: str, count: int = 2) -> Tensor:
    side = SMALLEST_INPUT.get(name) or SMALLEST_INPUT[family(name)]
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", CIFAR + IMAGENET)
def test_two_training_steps_of_the_full_size_net(name: str) -> None:
    torch.manual_seed(0)
    net = make(name).train()
    before = {key: value.clone() for key, value in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    images, labels = smallest_images(name), torch.tensor([0, 1])
    losses = []
    for _ in range(2):
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[0] != losses[1]
    assert [key for key, value in net.named_parameters() if torch.equal(value, before[key])] == []


@pytest.mark.parametrize(("name", "classes"), [(name, 10) for name in CIFAR] + [(name, 1000) for name in IMAGENET])
def test_scores_have_one_column_per_class(name: str, classes: int) -> None:
    side = 32 if name in CIFAR else 224
    with torch.device("meta"):
        images = torch.empty(3, 3, side, side)
        assert make(name)(images).shape == (3, classes)
        assert make(name, classes=7)(images).shape == (3, 7)


@pytest.mark.parametrize("name", ["vgg16", "vgg19", "resnet20", "resnet56", "resnet50", "mobilenet_v1", "mobilenet_v2"])
def test_prunable_layers_are_batchnorms_named_in_the_order_of_the_forward_pass(name: str) -> None:
    with torch.device("meta"):
        net = make(name)
        ran: list[str] = []
        for layer in net.prunable:
            module = net.get_submodule(layer)
            assert isinstance(module, nn.BatchNorm2d)
            module.register_forward_hook(lambda *_, layer=layer: ran.append(layer))
        side = 32 if name in CIFAR else 224
        net(torch.empty(1, 3, side, side))
    assert ran == net.prunable
    assert len(set(ran)) == len(ran)


@pytest.mark.parametrize("name", ["vgg16", "resnet20", "resnet50", "mobilenet_v1", "mobilenet_v2"])
def test_any_widths_can_be_given_down_to_one_channel(name: str) -> None:
    count = len(make(name, width=32 if name in IMAGENET else 8).prunable)
    widths = [1 + index % 5 for index in range(count)]
    net = make(name, widths=widths).train()
    assert net.widths == widths
    assert net(smallest_images(name)).isfinite().all()


def test_widths_as_they_are_printed_by_the_nets() -> None:
    with torch.device("meta"):
        assert make("vgg16").widths == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
        assert make("vgg19", width=80).widths == [80] * 2 + [160] * 2 + [320] * 4 + [640] * 8
        assert make("resnet20", width=20).widths == [20] * 3 + [40] * 3 + [80] * 3
        assert make("resnet50").widths == [64] * 6 + [128] * 8 + [256] * 12 + [512] * 6
        assert make("mobilenet_v1").widths == [32, 64, 128, 128, 256, 256] + [512] * 6 + [1024] * 2
        assert make("mobilenet_v2").widths == [
            32, 96, 144, 144, 192, 192, 192, 384, 384, 384, 384, 576, 576, 576, 960, 960, 960, 1280,
        ]  # fmt: skip


def test_cifar_shortcuts_are_projections_where_the_shape_changes_and_only_there() -> None:
    net = make("resnet20")
    projections = [
        index for index in range(9) if any(True for _ in net.get_submodule(f"blocks.{index}.shortcut").parameters())
    ]
    assert projections == [3, 6]
    assert net.get_parameter("blocks.3.shortcut.conv.weight").shape == (32, 16, 1, 1)


def test_resnet50_strides_on_the_3x3() -> None:
    with torch.device("meta"):
        net = make("resnet50")
    assert net.get_submodule("blocks.3.conv1.conv").stride == (1, 1)
    assert net.get_submodule("blocks.3.conv2.conv").stride == (2, 2)


def test_mobilenet_v2_expands_a_block_whose_hidden_width_equals_its_input() -> None:
    """The official code at 3102332 drops the expansion there, which would change the net and its prunable layers."""
    standard = make("mobilenet_v2").widths
    widths = [standard[0], 16, *standard[2:]]  # block 2 has 16 input channels
    net = make("mobilenet_v2", widths=widths)
    assert net.get_parameter("blocks.1.expansion.conv.weight").shape == (16, 16, 1, 1)
    assert len(net.prunable) == 18
    assert isinstance(net.get_submodule("blocks.0.expansion"), nn.Identity)


@pytest.mark.parametrize("name", ["vgg16", "resnet20", "mobilenet_v1", "mobilenet_v2", "resnet50"])
def test_convolutions_are_drawn_by_fan_out(name: str) -> None:
    torch.manual_seed(0)
    net = make(name)
    large = [module for module in net.modules() if isinstance(module, nn.Conv2d) and module.weight.numel() > 4000]
    assert len(large) > 5
    for conv in large:
        expected = math.sqrt(2 / (conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels))
        assert conv.weight.std().item() == pytest.approx(expected, rel=0.06)
        assert conv.bias is None


def test_the_depthwise_formula_takes_the_channel_count_as_fan_out() -> None:
    torch.manual_seed(0)
    depthwise: Any = make("mobilenet_v1").get_submodule("blocks.12.0.conv")
    assert depthwise.groups == 1024
    assert depthwise.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 1024)), rel=0.05)


@pytest.mark.parametrize(
    ("name", "scale"), [("vgg16", 0.5), ("resnet20", 1.0), ("mobilenet_v2", 1.0), ("resnet50", 1.0)]
)
def test_batchnorm_starts_with_its_familys_scale(name: str, scale: float) -> None:
    for module in make(name).modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == scale).all()
            assert (module.bias == 0).all()


@pytest.mark.parametrize(("name", "normal"), [("vgg16", True), ("mobilenet_v1", True), ("resnet20", False)])
def test_linear_layers_start_as_in_the_official_code(name: str, normal: bool) -> None:
    torch.manual_seed(0)
    linear: Any = make(name).get_submodule("classifier")
    if normal:
        assert linear.weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert (linear.bias == 0).all()
    else:  # PyTorch's default: uniform in +- 1 / sqrt(fan_in)
        assert linear.weight.abs().max().item() == pytest.approx(1 / math.sqrt(64), rel=0.05)
        assert linear.bias.abs().max().item() > 0


@pytest.mark.parametrize("name", ["vgg16", "resnet20", "mobilenet_v2"])
def test_runs_under_bf16_autocast_in_channels_last(name: str) -> None:
    torch.manual_seed(0)
    net = make(name, width=8).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = smallest_images(name, 4)
    with torch.no_grad():
        exact = net.eval()(images)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = net(images.to(memory_format=torch.channels_last)).float()
    assert (rounded - exact).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.parametrize(
    ("net", "parts"),
    [
        ({"family": "vvg", "name": "vgg16"}, ["'vvg'", "family", "mobilenet", "resnet", "vgg"]),
        ({"name": "vgg16"}, ["None", "family"]),
        ({"family": "build", "name": "vgg16"}, ["'build'", "family"]),
        ({"family": "vgg", "name": "vgg17"}, ["'vgg17'", "vgg16, vgg19"]),
        ({"family": "vgg"}, ["None", "vgg16, vgg19"]),
        ({"family": "vgg", "name": "vgg16", "wdith": 8}, ["'wdith'", "option of vgg16", "width, widths, classes"]),
        ({"family": "vgg", "name": "vgg16", "widths": [8] * 12}, ["vgg16", "12 widths", "13"]),
        ({"family": "vgg", "name": "vgg16", "widths": [8] * 12 + [0]}, ["widths[12]", "0", "at least 1"]),
        ({"family": "resnet", "name": "resnet20", "widths": [8.5] * 9}, ["widths[0]", "8.5", "whole number"]),
    ],
)
def test_a_mistake_is_one_line_that_lists_what_is_allowed(net: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        build(net)
    message = str(error.value)
    assert "\n" not in message
    assert [part for part in parts if part not in message] == []


def test_every_family_can_be_built() -> None:
    assert {"vgg", "resnet", "mobilenet"} <= set(families())
    assert not {"build", "layers"} & set(families())


@pytest.mark.parametrize("channels", [5, 16])
@pytest.mark.parametrize(("stride", "side"), [(1, 6), (2, 6), (2, 7), (3, 7)])
def test_a_pointwise_convolution_is_a_convolution(channels: int, stride: int, side: int) -> None:
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(2, channels, side, side, dtype=torch.float64, generator=draw, requires_grad=True)
    conv = PointwiseConv2d(channels, 3, stride).double()
    expected = F.conv2d(maps, conv.weight, stride=stride)
    weights = torch.randn(expected.shape, dtype=torch.float64, generator=draw)
    torch.testing.assert_close(conv(maps), expected, rtol=1e-12, atol=1e-12)
    own = torch.autograd.grad(conv(maps), (maps, conv.weight), weights)
    torch.testing.assert_close(own, torch.autograd.grad(expected, (maps, conv.weight), weights), rtol=1e-12, atol=1e-12)


NARROW = """
import sys

import torch

from tenfold.nets.build import build
from tenfold.papers.sknet.nets import build_net

torch.set_num_threads(1)
side, width = int(sys.argv[1]), int(sys.argv[2])
nets = [
    build({"family": "resnet_small", "name": "resnet8", "width": width}),
    build({"family": "resnet50_cifar", "name": "resnet50_cifar", "width": width}),
    build({"family": "preresnet", "name": "preresnet_basic", "depth": 8, "width": width}),
    build({"family": "resnext_cifar", "name": "resnext11", "cardinality": 1, "width": 2, "stem": width // 4 or 1}),
    build_net({"stem": "cifar", "stem_channels": 4, "width": 4, "outputs": width, "groups": 2, "depths": [1, 1]}),
]
for net in nets:
    net.to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, side, side).to(memory_format=torch.channels_last)
    for precision in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
            scores = net(images)
        scores.float().square().sum().backward()
print("trained")
"""
CHECKS = {"LD_PRELOAD": "libc_malloc_debug.so.0", "GLIBC_TUNABLES": "glibc.malloc.check=3"}


@pytest.mark.parametrize(("isa", "side", "width"), [("AVX2", 16, 5), ("DEFAULT", 64, 8)])
def test_narrow_nets_write_nowhere_but_in_their_memory(isa: str, side: int, width: int) -> None:
    checked = os.environ | CHECKS
    if "cannot be preloaded" in subprocess.run(["true"], env=checked, capture_output=True, text=True).stderr:
        pytest.skip("glibc's checks of the heap (libc_malloc_debug.so.0) are not installed here")
    done = subprocess.run(
        [sys.executable, "-c", NARROW, str(side), str(width)],
        env=checked | {"ONEDNN_MAX_CPU_ISA": isa}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "trained\n", "")
