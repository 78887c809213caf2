"""Learns one gate per channel of a frozen net, whose weights are random or come from a pre-training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.data.images import Images, load
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.pruning_from_scratch.common import (
    batches,
    by_seed,
    evaluation,
    fit_and_validation,
    net_cost,
    of_seed,
    prunable_net,
    write_course,
)
from tenfold.papers.pruning_from_scratch.method import GatedNet, GateKeeper, non_zero_fraction, sparsity_penalty
from tenfold.progress import Progress
from tenfold.training.compute import Compute, start
from tenfold.training.loop import Loss, fit
from tenfold.training.recipe import Recipe
from tenfold.weights import load_weights, save_weights

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
    compute = start(cfg["compute"], job)
    images = load(data)
    fitting, validation = fit_and_validation(images.train, cfg["gates"]["validation"])
    net = {**cfg["net"], "classes": len(images.classes)}
    recipe = Recipe.from_cfg(cfg["gates"]["recipe"])
    checkpoint = load_weights(pretrained[0]) if pretrained else None
    macs = net_cost(net).macs

    progress = Progress(job)
    for seed in progress.remaining(cfg["seeds"]):
        torch.manual_seed(seed)
        model = prunable_net(net)
        if checkpoint is not None:
            model.load_state_dict(of_seed(checkpoint, seed, f"{cfg['source']}/"))
        gated = GatedNet(model, model.prunable)
        learner = compute.place(Learner(gated, cfg["gates"]["target"]))
        trained = fit(
            learner,
            batches(cfg, fitting, recipe.batch_size, seed, compute.device),
            objective(cfg["gates"]["gamma"], cfg["gates"]["target"]),
            recipe,
            compute,
            progress,
            evaluate=lambda net: judge(net, cfg, validation, compute),
            after_step=clamp,
            title=f"gates of seed {seed}",
        )
        chosen = learner.chosen()
        row = {
            "seed": seed,
            "gates": chosen.numel(),
            "mean": float(chosen.mean()),
            "non_zero": non_zero_fraction(chosen),
            "rule_fired": learner.fired,
            "validation_accuracy": trained.history[-1]["validation_accuracy"],
            "steps": trained.history[-1]["step"],
            "images": recipe.epochs * len(fitting),
            "macs_per_image": macs,
        }
        progress.finish(seed, {"row": row, "history": trained.history, "times": trained.times}, {"gates": chosen})

    results = [progress.results[seed] for seed in cfg["seeds"]]
    save_weights(gates, by_seed(progress.weights))
    write_json(summary, {"source": cfg["source"], "rows": [result["row"] for result in results]})
    write_course(results, history, times)


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

    def loss(learner: nn.Module, batch: tuple[Tensor, Tensor], _epoch: int) -> dict[str, Tensor]:
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


def judge(learner: nn.Module, cfg: Cfg, validation: Images, compute: Compute) -> dict[str, float]:
    """Validation accuracy and the distribution of the gates; offers the gates to the saving rule."""
    assert isinstance(learner, Learner)
    accuracy = evaluation(cfg, validation, compute, learner).accuracy
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
