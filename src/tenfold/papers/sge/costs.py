"""Counts parameters and operations of the paper's nets as the official counter does; nothing is trained."""

from __future__ import annotations

import math

from torch import Tensor, nn

from tenfold.attention.convolutional_block import GlobalMaxPool
from tenfold.files import write_json
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.measure.cost import Convention, Cost, cost, input_elements, linear_macs
from tenfold.papers.sge.method import SpatialGroupEnhance
from tenfold.papers.sge.nets import build

IMAGENET, COCO = (3, 224, 224), (3, 800, 1333)  # the sizes that the paper counts at


def conv_and_bias(module: nn.Module, _input: Tensor, output: Tensor) -> int:
    """Weights that enter each output element, and its bias if there is one, for every output element."""
    weights = math.prod(module.get_parameter("weight").shape[1:])
    return output.numel() * (weights + ("bias" in dict(module.named_parameters())))


def output_elements(_module: nn.Module, _input: Tensor, output: Tensor) -> int:
    """One for every output element."""
    return output.numel()


def twice_the_input(_module: nn.Module, input: Tensor, _output: Tensor) -> int:
    """Two for every input element."""
    return 2 * input.numel()


OFFICIAL: Convention = {
    nn.Conv2d: conv_and_bias,
    nn.Linear: linear_macs,
    nn.ReLU: output_elements,
    nn.BatchNorm2d: twice_the_input,
    nn.MaxPool2d: input_elements,
    nn.AdaptiveAvgPool2d: input_elements,
    GlobalMaxPool: input_elements,
    SpatialGroupEnhance: input_elements,  # of it only the pooling, the one module within it that is counted
}
"""The counter of implus/PytorchInsight at 2864528: modules only, so gates and products of maps are free.

Of biases it counts those of convolutions, not those of linear layers.
"""


@stage
def costs(cfg: Cfg, job: Job, *, costs: Output) -> None:
    """Costs by net and arm (``resnet50/sge``), to the digit the same wherever they are made.

    ``params`` and ``operations`` of the classifier; ``backbone_params`` and ``backbone_operations`` of the net without
    its last layer, at the size of COCO images, as for a detector; ``blocks``.
    """
    found = {}
    for row in cfg["published"]["imagenet"]:
        classifier, backbone = of_classifier(row["net"], row["arm"]), of_backbone(row["net"], row["arm"])
        found[f"{row['net']}/{row['arm']}"] = {
            "params": classifier.params,
            "operations": classifier.macs,
            "backbone_params": backbone.params,
            "backbone_operations": backbone.macs,
        }
        job.say(f"{row['net']}, {row['arm']}: {classifier.params:,d} parameters, {classifier.macs:,d} operations")
    write_json(costs, found)


def paper_net(name: str, arm: str) -> nn.Module:
    """A net of the paper: its modules' own defaults are the paper's."""
    attention = None if arm == "plain" else {"kind": arm}
    return build({"family": "resnet_imagenet", "name": name, "attention": attention})


def of_classifier(name: str, arm: str) -> Cost:
    """Cost of a classifier for one image of 224 x 224 pixels."""
    return cost(lambda: paper_net(name, arm), IMAGENET, OFFICIAL)


def of_backbone(name: str, arm: str) -> Cost:
    """Cost of a detector's backbone for one image of 800 x 1333 pixels.

    The paper's numbers are those of a net without its last layer but with its average pooling.
    """

    def backbone() -> nn.Module:
        net = paper_net(name, arm)
        net.classifier = nn.Identity()
        return net

    return cost(backbone, COCO, OFFICIAL)


if __name__ == "__main__":
    main(costs)
