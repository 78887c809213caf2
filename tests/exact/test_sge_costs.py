"""Parameters and operations of the paper's nets: those of the official model files and of the official counter."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tenfold.attention.bottleneck_attention import BottleneckAttention
from tenfold.attention.convolutional_block import ConvolutionalBlockAttention
from tenfold.attention.global_context import GlobalContext
from tenfold.attention.selective_branches import SelectiveBranches
from tenfold.errors import UserError
from tenfold.measure.cost import cost
from tenfold.papers.sge.costs import OFFICIAL, of_backbone, of_classifier
from tenfold.papers.sge.fast import FastSpatialGroupEnhance
from tenfold.papers.sge.method import SpatialGroupEnhance
from tenfold.papers.sge.nets import branch_end, build, channels_of, stage_ends

torch.set_num_threads(1)

# Official model files and counter at 2864528; GFLOPs to the digits that are known.
COUNTS = [
    ("resnet50", "plain", 25_557_032, "4.1219"),
    ("resnet50", "se", 28_088_024, "4.1300"),
    ("resnet50", "sk", 26_154_496, "4.1869"),
    ("resnet50", "bam", 25_915_099, "4.2051"),
    ("resnet50", "cbam", 28_089_624, "4.1394"),
    ("resnet50", "gc", 28_105_032, "4.130"),
    ("resnet50", "sge", 25_559_080, "4.1274"),
    ("resnet101", "plain", 44_549_160, "7.8495"),
    ("resnet101", "se", 49_326_872, "7.8632"),
    ("resnet101", "sk", 45_678_112, "7.9803"),
    ("resnet101", "bam", 44_907_227, "7.9327"),
    ("resnet101", "cbam", 49_330_172, "7.8786"),
    ("resnet101", "gc", 49_363_481, "7.863"),
    ("resnet101", "sge", 44_553_384, "7.8584"),
    ("resnet18", "plain", 11_689_512, "1.8222"),
    ("resnet18", "sge", 11_690_536, "1.8229"),
]
# Backbones at 800 x 1333 pixels, without the last layer, with average pooling.
BACKBONES = [
    ("resnet50", "plain", 23_508_032, "88.0316"),
    ("resnet50", "sge", 23_510_080, "88.1493"),
    ("resnet50", "se", 26_039_024, "88.152"),
    ("resnet50", "sk", 24_105_496, "89.414"),
    ("resnet50", "bam", 23_866_099, "89.804"),
    ("resnet50", "cbam", 26_040_624, "88.302"),
    ("resnet101", "plain", 42_500_160, "167.908"),
    ("resnet101", "sge", 42_504_384, "168.099"),
    ("resnet101", "se", 47_277_872, ""),
]


def printed(operations: int, like: str) -> str:
    return format(operations / 1e9, f".{len(like.partition('.')[2])}f")


@pytest.mark.parametrize(("name", "arm", "params", "gflops"), COUNTS)
def test_classifiers(name: str, arm: str, params: int, gflops: str) -> None:
    found = of_classifier(name, arm)
    assert (found.params, printed(found.macs, gflops)) == (params, gflops)


@pytest.mark.parametrize(("name", "operations"), [("resnet50", 4_127_443_456), ("resnet101", 7_858_430_464)])
def test_operations_are_the_official_counters_on_the_official_nets_to_the_last_one(name: str, operations: int) -> None:
    assert of_classifier(name, "sge").macs == operations


@pytest.mark.parametrize(("name", "arm", "params", "gflops"), BACKBONES)
def test_backbones_of_detectors(name: str, arm: str, params: int, gflops: str) -> None:
    found = of_backbone(name, arm)
    assert found.params == params
    assert not gflops or printed(found.macs, gflops) == gflops


@pytest.mark.parametrize(("name", "blocks"), [("resnet18", 8), ("resnet50", 16), ("resnet101", 33)])
def test_one_sge_in_every_block_behind_its_last_batchnorm(name: str, blocks: int) -> None:
    with torch.device("meta"):
        net = build({"family": "resnet_imagenet", "name": name, "attention": {"kind": "sge"}})
    modules = [module for module in net.modules() if isinstance(module, SpatialGroupEnhance)]
    assert len(modules) == blocks
    for block in net.get_submodule("blocks").children():
        assert [type(part) for part in branch_end(block).children()] == [
            nn.Conv2d, nn.BatchNorm2d, FastSpatialGroupEnhance,
        ]  # fmt: skip


def test_selective_branches_and_bam_stand_where_the_official_code_puts_them() -> None:
    with torch.device("meta"):
        sk = build({"family": "resnet_imagenet", "name": "resnet50", "attention": {"kind": "sk"}})
        bam = build({"family": "resnet_imagenet", "name": "resnet50", "attention": {"kind": "bam"}})
    blocks = list(sk.get_submodule("blocks").children())
    assert all(isinstance(block.get_submodule("conv2"), SelectiveBranches) for block in blocks)
    assert stage_ends(sk) == [2, 6, 12, 15]
    found = [
        (index, block) for index, block in enumerate(bam.get_submodule("blocks")) if isinstance(block, nn.Sequential)
    ]
    assert [index for index, _ in found] == [2, 6, 12]
    assert all(isinstance(block[1], BottleneckAttention) for _, block in found)


def test_groups_that_do_not_divide_the_channels_are_a_users_mistake() -> None:
    with pytest.raises(UserError, match=r"16 channels do not divide into 5 groups.*sge\.yaml"):
        build({"family": "resnet_small", "name": "resnet8", "width": 16, "attention": {"kind": "sge", "groups": 5}})


def test_operations_are_counted_by_hand_on_a_small_net() -> None:
    """Conv 3 -> 4 of 3 x 3 with bias on 5 x 6, BatchNorm, ReLU, SGE of 2 groups, pooling, linear with bias."""

    def net() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), SpatialGroupEnhance(2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7),
        )  # fmt: skip

    expected = 120 * (27 + 1) + 2 * 120 + 120 + 120 + 120 + 7 * 4  # of biases only the convolution's
    assert cost(net, (3, 5, 6), OFFICIAL).macs == expected


def test_nets_of_equal_seeds_begin_with_equal_weights_outside_their_attention() -> None:
    states = {}
    for kind in (None, "se", "bam", "cbam", "gc", "sge"):
        torch.manual_seed(0)
        attention = None if kind is None else {"kind": kind, **({"groups": 4} if kind == "sge" else {})}
        states[kind] = build({"family": "resnet_small", "name": "resnet8", "width": 8, "attention": attention})
    plain = states[None].state_dict()
    for kind, net in states.items():
        kept = {re_named(name): tensor for name, tensor in net.state_dict().items()}
        assert all(torch.equal(tensor, kept[name]) for name, tensor in plain.items()), kind


def re_named(name: str) -> str:
    """BAM's stages hold their last block as the first of two parts."""
    parts = name.split(".")
    if parts[0] == "blocks" and parts[2] == "0":
        del parts[2]
    return ".".join(parts)


def test_an_unknown_kind_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="'eca' is no kind of attention; allowed: se, cbam, gc, sge, bam, sk"):
        build({"family": "resnet_small", "name": "resnet8", "attention": {"kind": "eca"}})


@pytest.mark.parametrize("kind", ["se", "bam", "cbam", "gc", "sk", "sge"])
def test_every_kind_goes_into_small_nets_and_learns(kind: str) -> None:
    options = {"sge": {"groups": 4}, "sk": {"groups": 4}}.get(kind, {"reduction": 4})
    torch.manual_seed(0)
    net = build({"family": "resnet_small", "name": "resnet8", "width": 8, "attention": {"kind": kind, **options}})
    net(torch.randn(4, 3, 16, 16)).square().sum().backward()
    added = {name: parameter for name, parameter in net.named_parameters()
             if "attention" in name or "branches" in name or (".1." in name and kind == "bam")}  # fmt: skip
    assert added
    assert all(parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in added.values())
    assert [channels_of(block) for block in net.get_submodule("blocks") if not isinstance(block, nn.Sequential)][
        -1
    ] == 32


# The modules, computed another way --------------------------------------------------------------------------------


def test_cbam_computed_another_way() -> None:
    torch.manual_seed(0)
    module, maps = ConvolutionalBlockAttention(8, 4, kernel=3).double().eval(), torch.randn(2, 8, 5, 4).double()
    first, second = (module.excite[index] for index in (0, 2))
    conv, norm = module.locate
    for sample in range(2):
        logits = sum(
            second.weight @ (first.weight @ pooled + first.bias).clamp(min=0) + second.bias
            for pooled in (maps[sample].mean((1, 2)), maps[sample].flatten(1).max(1).values)
        )
        weighed = maps[sample] / (1 + torch.exp(-logits))[:, None, None]
        planes = nn.functional.pad(torch.stack([weighed.max(0).values, weighed.mean(0)]), (1, 1, 1, 1))
        for row in range(5):
            for column in range(4):
                logit = (conv.weight[0] * planes[:, row : row + 3, column : column + 3]).sum()
                gate = 1 / (1 + torch.exp(-logit / (1 + norm.eps) ** 0.5))
                assert torch.allclose(module(maps)[sample, :, row, column], weighed[:, row, column] * gate)


def test_global_context_computed_another_way() -> None:
    torch.manual_seed(0)
    module, maps = GlobalContext(8, 4).double(), torch.randn(2, 8, 3, 4).double()
    positions = maps.flatten(2)
    for sample in range(2):
        logits = module.attend.weight.flatten() @ positions[sample] + module.attend.bias
        weights = torch.exp(logits) / torch.exp(logits).sum()
        context = sum(weight * positions[sample, :, place] for place, weight in enumerate(weights))
        expected = maps[sample] + module.transform(context[None])[0][:, None, None]
        assert torch.allclose(module(maps)[sample], expected, atol=1e-7)


def test_bam_and_selective_branches_computed_another_way() -> None:
    torch.manual_seed(0)
    maps = torch.randn(3, 8, 6, 6).double()
    bam = BottleneckAttention(8, 4, dilation=2).double().eval()
    logits = bam.excite(maps.mean((2, 3)))[:, :, None, None] * bam.locate(maps)
    assert torch.allclose(bam(maps), maps + maps / (1 + torch.exp(-logits)))
    sk = SelectiveBranches(8, 4, stride=2, groups=4, reduction=2).double().eval()
    dense, grouped = (branch(maps) for branch in sk.branches)
    pooled = (dense + grouped).mean((2, 3))
    hidden = (pooled @ sk.squeeze[0].weight.flatten(1).T / (1 + sk.squeeze[1].eps) ** 0.5).clamp(min=0)
    both = hidden @ sk.choose.weight.flatten(1).T
    share = 1 / (1 + torch.exp(both[:, 4:] - both[:, :4]))[:, :, None, None]
    assert torch.allclose(sk(maps), share * dense + (1 - share) * grouped, atol=1e-6)
