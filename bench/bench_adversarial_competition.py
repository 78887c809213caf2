"""Times MI-FGSM on one core: Tenfold's against torchattacks 3.5.1, on the same net, images and steps.

ResNet-20 (width 16), trained for 60 steps so that there are labels to leave, 100 images of 32 x 32, 10 steps at eps
4/255. Tenfold: `for_crafting` (BatchNorm folded, channels_last, bf16 where the processor has it). All in turns within
one process; CPU seconds of this process, ratios medians over rounds. Beside it the share of images that are fooled,
judged by the net in fp32: of bf16 within a point of fp32.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torchattacks
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.nets.build import build
from tenfold.papers.adversarial_competition.method import mi_fgsm
from tenfold.papers.adversarial_competition.nets import Normalised, for_crafting, predicted_labels
from tenfold.training.compute import bf16_in_hardware

NET = {"family": "resnet", "name": "resnet20", "width": 16, "classes": 10}
BATCH, STEPS, ROUNDS = 100, 10, 7
TARGET = 2.5  # of CPU seconds, stated for processors with bf16 arithmetic
WITHIN = 1.0  # points of the share that is fooled, bf16 against fp32
EPS = 4 / 255
JUDGED = 5  # batches


def main() -> None:
    """Prints the rates, the ratios to torchattacks, and the shares of images that are fooled."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = Normalised(learned(), [0.5] * 3, [0.25] * 3).eval()
    has_bf16 = bf16_in_hardware("cpu")
    peer = torchattacks.MIFGSM(net, eps=EPS, alpha=EPS / STEPS, steps=STEPS)
    attacks: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"torchattacks": peer, "fp32": ours(net, "fp32")}
    if has_bf16:
        attacks["bf16"] = ours(net, "bf16")
    images, labels = batch_of(BATCH)
    for attack in attacks.values():
        attack(images, labels)
    rounds = [{name: seconds(attack, images, labels) for name, attack in attacks.items()} for _ in range(ROUNDS)]
    shares = fooled(net, attacks)
    print(f"bf16 in hardware: {'yes' if has_bf16 else 'no'}; {STEPS} steps, median of {ROUNDS} rounds")
    for name in attacks:
        rate = BATCH / statistics.median(one[name] for one in rounds)
        ratio = statistics.median(one["torchattacks"] / one[name] for one in rounds)
        target = f"   target >= {TARGET}, and within {WITHIN} points of fp32" if name == "bf16" else ""
        print(f"{name:<14}{rate:>6.0f} images/CPU-s{ratio:>7.2f} x   fooled {shares[name]:.1f} %{target}")


def ours(net: nn.Module, precision: str) -> Callable[[Tensor, Tensor], Tensor]:
    """MI-FGSM as stages run it."""
    ready, generator = for_crafting(net, precision), torch.Generator()
    return lambda images, labels: mi_fgsm([ready], images, labels, EPS, generator, steps=STEPS)


def seconds(attack: Callable[[Tensor, Tensor], Tensor], images: Tensor, labels: Tensor) -> float:
    """CPU seconds of one attack on a batch."""
    started = time.process_time()
    attack(images, labels)
    return time.process_time() - started


def fooled(net: nn.Module, attacks: dict[str, Callable[[Tensor, Tensor], Tensor]]) -> dict[str, float]:
    """Of each attack, the percentage of images, of those that the net gets right, that it gets wrong afterwards."""
    counts, total = dict.fromkeys(attacks, 0), 0
    for _ in range(JUDGED):
        images, labels = batch_of(BATCH)
        right = predicted_labels([net], images) == labels
        total += int(right.sum())
        for name, attack in attacks.items():
            counts[name] += int(((predicted_labels([net], attack(images, labels)) != labels) & right).sum())
    return {name: 100 * count / total for name, count in counts.items()}


def batch_of(count: int) -> tuple[Tensor, Tensor]:
    """Images of noise in which a label is the place of a brighter patch, faint enough to be hidden by an attack."""
    labels = torch.randint(10, (count,))
    images = 0.5 + 0.15 * torch.randn(count, 3, 32, 32)
    for image, label in zip(images, labels.tolist(), strict=True):
        top, left = 8 * (label // 4) + 2, 8 * (label % 4)
        image[:, top : top + 8, left : left + 8] += 0.08
    return images.clamp(0, 1), labels


def learned() -> nn.Module:
    """The net, after as many steps as it needs to see the patches."""
    net = build(NET)
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    for _ in range(60):
        images, labels = batch_of(64)
        loss = F.cross_entropy(net((images - 0.5) / 0.25), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net


if __name__ == "__main__":
    main()
