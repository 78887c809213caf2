"""The stages of Pruning from Scratch on ImageNet: the same method, on photographs that are decoded as they are needed.

Written from the official code's recipes and run on small made-up archives in tests; no net was trained on ImageNet with
it yet.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from tenfold.data.imagenet import Photos, held_out, load
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.measure.accuracy import Evaluation
from tenfold.measure.photos import evaluate_photos
from tenfold.nets.build import build
from tenfold.papers.pruning_from_scratch.common import by_seed, gates_of, net_cost, of_seed, prunable_net, write_course
from tenfold.papers.pruning_from_scratch.learn_gates import QUANTILES, Learner, clamp, objective
from tenfold.papers.pruning_from_scratch.method import (
    GatedNet,
    Macs,
    Structure,
    nearest_reachable,
    non_zero_fraction,
    random_widths,
    threshold_search,
    uniform_widths,
    zero_gates_kept,
)
from tenfold.papers.pruning_from_scratch.train import rows_by_seed
from tenfold.progress import Progress
from tenfold.training.batches import Batches
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.losses import classification
from tenfold.training.photos import photo_batches
from tenfold.training.recipe import Recipe
from tenfold.weights import load_weights, save_weights

# Gates ------------------------------------------------------------------------------------------------------------


@stage
def learn_gates(
    cfg: Cfg, job: Job, *, data: Input, gates: Output, summary: Output, history: Output, times: Output
) -> None:
    """Gates for each seed, on weights that are drawn with that seed.

    The last images of each class are held out; a pass over the others is judged in ``parts``.
    """
    compute = start(cfg["compute"], job)
    photos = load(data)
    settings, images = cfg["gates"], cfg["images"]
    fitting, validation = held_out(photos.train, settings["validation_per_class"])
    net = {**cfg["net"], "classes": len(photos.classes)}
    recipe = Recipe.from_cfg(settings["recipe"])
    in_parts = replace(recipe, epochs=recipe.epochs * settings["parts"])

    progress = Progress(job)
    for seed in progress.remaining(cfg["seeds"]):
        torch.manual_seed(seed)
        model = prunable_net(net)
        learner = compute.place(Learner(GatedNet(model, model.prunable), settings["target"]))
        trained = fit(
            learner,
            batches(images, images["gates"], fitting, recipe.batch_size, seed, compute, parts=settings["parts"]),
            objective(settings["gamma"], settings["target"]),
            in_parts,
            compute,
            progress,
            evaluate=lambda net: judge(net, images, validation, compute),
            after_step=clamp,
            title=f"gates of seed {seed}",
        )
        chosen = learner.chosen()
        steps = trained.history[-1]["step"]
        row = {
            "seed": seed,
            "gates": chosen.numel(),
            "mean": float(chosen.mean()),
            "non_zero": non_zero_fraction(chosen),
            "rule_fired": learner.fired,
            "validation_accuracy": trained.history[-1]["validation_accuracy"],
            "steps": steps,
            "images": recipe.epochs * len(fitting),
            "macs_per_image": net_cost(net, images["size"]).macs,
        }
        history_rows = [line | {"epoch": line["epoch"] / settings["parts"]} for line in trained.history]
        progress.finish(seed, {"row": row, "history": history_rows, "times": trained.times}, {"gates": chosen})

    results = [progress.results[seed] for seed in cfg["seeds"]]
    save_weights(gates, by_seed(progress.weights))
    write_json(summary, {"source": cfg["source"], "rows": [result["row"] for result in results]})
    write_course(results, history, times)


def judge(learner: nn.Module, images: Cfg, validation: Photos, compute: Compute) -> dict[str, float]:
    """Validation accuracy and the distribution of the gates; offers the gates to the saving rule."""
    assert isinstance(learner, Learner)
    accuracy = evaluation(images, validation, compute, learner).accuracy
    learner.offer(accuracy)
    gates = learner.gated.gates.detach().float().cpu()
    quantiles = torch.quantile(gates, torch.tensor(QUANTILES)).tolist()
    return {
        "validation_accuracy": accuracy,
        "gate_mean": float(gates.mean()),
        "gate_non_zero": non_zero_fraction(gates),
        **{f"gate_q{round(100 * q):02d}": value for q, value in zip(QUANTILES, quantiles, strict=True)},
    }


# Structures -------------------------------------------------------------------------------------------------------


@stage
def prune(cfg: Cfg, job: Job, *, gates: Input, structures: Output) -> None:
    """Bisects the threshold for each seed and ratio, counting at the images' size."""
    sizes, macs, standard = search_space(cfg)
    learned = load_weights(gates)
    tolerance, steps = cfg["search"]["tolerance"], cfg["search"]["steps"]
    rows = []
    for seed in cfg["seeds"]:
        values = of_seed(learned, seed)["gates"]
        for ratio in cfg["ratios"]:
            found = threshold_search(values, sizes, macs, standard, ratio, tolerance, steps)
            nearest = nearest_reachable(values, sizes, macs, standard, ratio, tolerance)
            beside = {"nearest_achieved": nearest.achieved, "zero_gates_kept": zero_gates_kept(values, found.keep)}
            rows.append(row_of(seed, ratio, found, job) | beside)
    write_json(structures, {"origin": cfg["source"], "standard_macs": standard, "rows": rows})


@stage
def baseline(cfg: Cfg, job: Job, *, structures: Output) -> None:
    """Uniform widths, or a random structure drawn anew for each seed, at the same budgets."""
    sizes, macs, standard = search_space(cfg)
    rows = []
    for seed in cfg["seeds"]:
        for ratio in cfg["ratios"]:
            if cfg["kind"] == "uniform":
                found = uniform_widths(sizes, macs, standard, ratio)
            else:
                found = random_widths(sizes, macs, standard, ratio, torch.Generator().manual_seed(seed))
            rows.append(row_of(seed, ratio, found, job))
    write_json(structures, {"origin": cfg["kind"], "standard_macs": standard, "rows": rows})


def search_space(cfg: Cfg) -> tuple[list[int], Macs, int]:
    """Channels of the expanded net's layers, its MACs as a function of widths, and the standard net's MACs."""

    def macs(widths: list[int]) -> int:
        return net_cost({**cfg["net"], "widths": widths}, cfg["size"]).macs

    return gates_of(cfg["net"]), macs, net_cost(cfg["standard"], cfg["size"]).macs


def row_of(seed: int, ratio: float, found: Structure, job: Job) -> dict[str, Any]:
    """A structure as a row of its file."""
    job.say(f"seed {seed}: saves {found.achieved:.4f} of the MACs (asked for {ratio})")
    return {"seed": seed, "ratio": ratio, **asdict(found)}


# Training ---------------------------------------------------------------------------------------------------------


@stage
def train(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    structure: Inputs,
    weights: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """One net for each seed, with that seed's widths; the last epoch is reported, the best test epoch beside it."""
    compute = start(cfg["compute"], job)
    photos = load(data)
    structures = rows_by_seed(structure[0], cfg["ratio"]) if structure else {}
    recipe = Recipe.from_cfg(cfg["recipe"])
    images = cfg["images"]

    progress = Progress(job)
    for seed in progress.remaining(cfg["seeds"]):
        net = {**cfg["net"], "classes": len(photos.classes)}
        if structures:
            net["widths"] = structures[seed]["widths"]
        torch.manual_seed(seed)
        trained = fit(
            compute.place(build(net)),
            batches(images, images["train"], photos.train, recipe.batch_size, seed, compute),
            classification(recipe.label_smoothing),
            recipe,
            compute,
            progress,
            evaluate=lambda model: {"test_accuracy": evaluation(images, photos.test, compute, model).accuracy},
            title=f"seed {seed}",
        )
        final = evaluation(images, photos.test, compute, trained.model)
        cost = net_cost(net, images["size"])
        row = {
            "seed": seed,
            "accuracy": final.accuracy,
            "best_accuracy_on_the_test_set": max(line.get("test_accuracy", 0.0) for line in trained.history),
            "correct": final.correct,
            "cross_entropy": final.cross_entropy,
            "macs": cost.macs,
            "params": cost.params,
            "epochs": recipe.epochs,
            "images": recipe.epochs * len(photos.train),
        }
        result = {"row": row, "history": trained.history, "times": trained.times}
        progress.finish(seed, result, trained.model.state_dict())

    results = [progress.results[seed] for seed in cfg["seeds"]]
    save_weights(weights, by_seed(progress.weights))
    write_json(
        metrics,
        {
            "arm": cfg["arm"],
            "ratio": cfg["ratio"],
            "data": photos.name,
            "device": compute.device.type,
            "precision": compute.precision,
            "test_images": len(photos.test),
            "standard_macs": net_cost(cfg["standard"], images["size"]).macs,
            "rows": [result["row"] for result in results],
        },
    )
    write_course(results, history, times)


def batches(
    images: Cfg, augmentation: Cfg, photos: Photos, batch_size: int, seed: int, compute: Compute, parts: int = 1
) -> Batches:
    """Augmented training batches; equal seeds give equal order and augmentation in every arm."""
    return photo_batches(
        photos, batch_size=batch_size, size=images["size"], mean=images["mean"], std=images["std"], seed=seed,
        device=compute.device, parts=parts, **augmentation,
    )  # fmt: skip


def evaluation(images: Cfg, photos: Photos, compute: Compute, model: nn.Module) -> Evaluation:
    """Accuracy of a net on the centres of photographs."""
    return evaluate_photos(
        model, photos, compute, resize=images["resize"], size=images["size"], mean=images["mean"], std=images["std"]
    )


if __name__ == "__main__":
    main(learn_gates, prune, baseline, train)
