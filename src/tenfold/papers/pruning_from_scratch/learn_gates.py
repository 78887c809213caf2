"""Learns one gate per channel of a frozen net, whose weights are random or come from a pre-training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.pruning_from_scratch.common import Pictures, Split, in_memory, prunable_net
from tenfold.papers.pruning_from_scratch.method import GatedNet, GateKeeper, non_zero_fraction, sparsity_penalty
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe
from tenfold.training.step import Loss
from tenfold.weights import below, load_weights

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@stage
def learn_gates(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    pretrained: Inputs,
    gates: Output,
    summary: Output,
    history: Output,
    times: Output,
) -> None:
    """Gates for each seed; the weights they are learned on are drawn with that seed, or pre-trained from it."""
    pictures = in_memory(cfg, data, start(cfg["compute"], job), cfg["gates"]["validation"])
    outcome = learn(cfg, job, pictures, pretrained)
    Files(gates, summary, history, times).write(outcome, {"source": cfg["source"]})


def learn(cfg: Cfg, job: Job, pictures: Pictures, pretrained: Sequence[Path] = (), parts: int = 1) -> Outcome:
    """Learns the gates of all seeds.

    Args:
        cfg: ``seeds``, ``net``, ``gates``, and ``source``, which weights the gates are learned on.
        job: what surrounds the run.
        pictures: what gates are learned on, and what they are judged by.
        pretrained: the file of pre-trained weights, for gates that are not learned on random ones.
        parts: how many epochs of the training loop one pass over the images makes.
    """
    settings, net = cfg["gates"], pictures.net(cfg["net"])
    recipe = Recipe.from_cfg(settings["recipe"])
    checkpoint = load_weights(pretrained[0]) if pretrained else None
    macs = pictures.cost(net).macs
    progress = Progress(job)

    def one_seed(seed: int) -> Outcome:
        model = prunable_net(net)
        if checkpoint is not None:
            model.load_state_dict(below(f"seed{seed}/{cfg['source']}", checkpoint))
        learner = pictures.compute.place(Learner(GatedNet(model, model.prunable), settings["target"]))
        trained = fit(
            learner,
            pictures.seen.batches(recipe.batch_size, seed),
            objective(settings["gamma"], settings["target"]),
            replace(recipe, epochs=recipe.epochs * parts),
            pictures.compute,
            progress,
            evaluate=lambda net: judge(net, pictures.judged),
            after_step=clamp,
            title=f"gates of seed {seed}",
        )
        chosen, last = learner.chosen(), trained.history[-1]
        row = {
            "gates": chosen.numel(),
            "mean": float(chosen.mean()),
            "non_zero": non_zero_fraction(chosen),
            "rule_fired": learner.fired,
            "validation_accuracy": last["validation_accuracy"],
            "steps": last["step"],
            "images": recipe.epochs * len(pictures.seen),
            "macs_per_image": macs,
        }
        return Outcome([row], {"gates": chosen}).add_course(trained)

    return per_seed(progress, cfg["seeds"], one_seed)


class Learner(nn.Module):
    """A gated net and what the gate-saving rule has kept so far, in buffers, so that a resumed job remembers it.

    Args:
        gated: the net.
        r: the sparsity level of the rule.
    """

    kept: Tensor
    kept_accuracy: Tensor

    def __init__(self, gated: GatedNet, r: float) -> None:
        super().__init__()
        self.gated, self.r = gated, r
        self.register_buffer("kept", torch.zeros_like(gated.gates))
        self.register_buffer("kept_accuracy", torch.zeros((), dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the gated net."""
        return self.gated(images)

    def offer(self, accuracy: float) -> None:
        """Offers the gates of now to the rule."""
        keeper = GateKeeper(self.r, float(self.kept_accuracy))
        if keeper.offer(self.gated.gates, accuracy):
            self.kept.copy_(self.gated.gates.detach())
            self.kept_accuracy.fill_(accuracy)

    @property
    def fired(self) -> bool:
        """Whether the rule has kept any gates."""
        return bool(self.kept_accuracy > 0)

    def chosen(self) -> Tensor:
        """The gates to prune by: those that the rule kept, or the last ones."""
        return self.kept if self.fired else self.gated.gates.detach()


def objective(gamma: float, target: float) -> Loss:
    """Cross-entropy plus the pull of the mean gate to ``target``."""

    def loss(learner: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        images, labels = batch
        cross_entropy = nn.functional.cross_entropy(learner(images).float(), labels)
        assert isinstance(learner, Learner)
        penalty = sparsity_penalty(learner.gated.gates, gamma, target)
        return {"loss": cross_entropy + penalty, "cross_entropy": cross_entropy, "penalty": penalty}

    return loss


def clamp(learner: nn.Module) -> None:
    """Puts the gates back into [0, 1] after a step."""
    assert isinstance(learner, Learner)
    learner.gated.clamp_()


def judge(learner: nn.Module, validation: Split) -> dict[str, float]:
    """Validation accuracy and the distribution of the gates; offers the gates to the saving rule."""
    assert isinstance(learner, Learner)
    accuracy = validation.evaluate(learner).accuracy
    learner.offer(accuracy)
    gates = learner.gated.gates.detach().float().cpu()
    quantiles = torch.quantile(gates, torch.tensor(QUANTILES)).tolist()
    return {
        "validation_accuracy": accuracy,
        "gate_mean": float(gates.mean()),
        "gate_non_zero": non_zero_fraction(gates),
        **{f"gate_q{round(100 * q):02d}": value for q, value in zip(QUANTILES, quantiles, strict=True)},
    }


if __name__ == "__main__":
    main(learn_gates)
