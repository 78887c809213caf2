"""Learns one gate per channel of a frozen net, whose weights are random or come from a pre-training (Sec. 3 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenfold.data.images import Images, load
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.nets.build import build
from tenfold.papers.pruning_from_scratch.common import batches, by_seed, evaluation, net_cost, of_seed, write_course
from tenfold.papers.pruning_from_scratch.method import GatedNet, GateKeeper, non_zero_fraction, sparsity_penalty
from tenfold.training.checkpoint import Progress, load_weights, save_weights
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@stage
def learn_gates(
    cfg: Cfg, job: Job, *, data: Input, pretrained: Inputs, gates: Output, summary: Output, history: Output, times: Output
) -> None:
    """Gates for each seed; the weights they are learned on are drawn with that seed, or pre-trained from it."""
    compute = start(cfg["compute"], job)
    images = load(data)
    fitting, validation = images.train.split(cfg["gates"]["validation"])
    net = {**cfg["net"], "classes": len(images.classes)}
    recipe = Recipe.from_cfg(cfg["gates"]["recipe"])
    checkpoint = load_weights(pretrained[0]) if pretrained else None
    macs = net_cost(net).macs

    progress = Progress(job)
    for seed in progress.remaining(cfg["seeds"]):
        torch.manual_seed(seed)
        model = build(net)
        if checkpoint is not None:
            model.load_state_dict(of_seed(checkpoint, seed, f"{cfg['source']}/"))
        gated = compute.place(GatedNet(model, model.prunable))
        keeper = compute.place(GateKeeper(gated, cfg["gates"]["target"]))
        trained = fit(
            keeper,
            batches(cfg, fitting, recipe.batch_size, seed, compute.device),
            objective(cfg["gates"]["gamma"], cfg["gates"]["target"]),
            recipe,
            compute,
            progress,
            evaluate=lambda net: judge(net, cfg, validation, compute),
            after_step=lambda net: net.gated.clamp_(),
            title=f"gates of seed {seed}",
        )
        chosen = keeper.chosen()
        row = {
            "seed": seed,
            "gates": chosen.numel(),
            "mean": float(chosen.mean()),
            "non_zero": non_zero_fraction(chosen),
            "rule_fired": keeper.fired,
            "validation_accuracy": trained.history[-1]["validation_accuracy"],
            "steps": trained.history[-1]["step"],
            "images": recipe.epochs * len(fitting.labels),
            "macs_per_image": macs,
        }
        progress.finish(seed, {"row": row, "history": trained.history, "times": trained.times}, {"gates": chosen})

    results = [progress.results[seed] for seed in cfg["seeds"]]
    save_weights(gates, by_seed(progress.weights))
    write_json(summary, {"source": cfg["source"], "rows": [result["row"] for result in results]})
    write_course(results, history, times)


def objective(gamma: float, target: float):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Cross-entropy plus the pull of the mean gate to ``target``."""

    def loss(keeper: nn.Module, batch: tuple[Tensor, Tensor], _epoch: int) -> dict[str, Tensor]:
        images, labels = batch
        cross_entropy = nn.functional.cross_entropy(keeper(images).float(), labels)
        penalty = sparsity_penalty(keeper.gated.gates, gamma, target)
        return {"loss": cross_entropy + penalty, "cross_entropy": cross_entropy, "penalty": penalty}

    return loss


def judge(keeper: GateKeeper, cfg: Cfg, validation: Images, compute: Compute) -> dict[str, float]:
    """Validation accuracy and the distribution of the gates; offers the gates to the saving rule."""
    accuracy = evaluation(cfg, validation, compute, keeper).accuracy
    keeper.offer(accuracy)
    gates = keeper.gated.gates.detach().float().cpu()
    quantiles = torch.quantile(gates, torch.tensor(QUANTILES)).tolist()
    return {
        "validation_accuracy": accuracy,
        "gate_mean": float(gates.mean()),
        "gate_non_zero": non_zero_fraction(gates),
        **{f"gate_q{round(100 * q):02d}": value for q, value in zip(QUANTILES, quantiles, strict=True)},
    }


if __name__ == "__main__":
    main(learn_gates)
