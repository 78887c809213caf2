"""A stage that trains in seconds, for stories: for each seed a teacher, then a student that is distilled from it."""

from __future__ import annotations

import os
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.measure.accuracy import evaluate, in_eval_mode
from tenfold.progress import Progress
from tenfold.training.batches import Batches, image_batches
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit, write_rows
from tenfold.training.losses import classification
from tenfold.training.recipe import Recipe
from tenfold.weights import save_weights

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
CFG: Cfg = {
    "seeds": [3, 5],
    "device": "cpu",
    "precision": "fp32",
    "teacher": {
        "epochs": 2, "batch_size": 16, "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4,
        "decay_on": "weights", "schedule": {"name": "cosine", "per": "step", "warmup_epochs": 0.5}, "ema": 0.9,
    },
    "student": {"epochs": 2, "batch_size": 16, "lr": 0.01, "optimiser": "adam", "clip_norm": 1.0},
}  # fmt: skip


def net(width: int) -> nn.Module:
    """A small net with all that has state or draws: convolution, normalisation, dropout."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.AvgPool2d(8), nn.Flatten(), nn.Dropout(0.2), nn.Linear(4 * width, 4),
    )  # fmt: skip


def data() -> tuple[Tensor, Tensor]:
    """72 images of noise, brighter the higher the class: uint8 (72, 3, 16, 16), int64 (72,)."""
    labels = torch.arange(72) % 4
    noise = torch.randint(0, 100, (72, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    return (noise + 40 * labels[:, None, None, None]).to(torch.uint8), labels


def batches(recipe: Recipe, seed: int, compute: Compute) -> Batches:
    """Augmented batches of the data."""
    images, labels = data()
    return image_batches(images, labels, batch_size=recipe.batch_size, augment="crop_flip", mean=MEAN, std=STD,
                         seed=seed, device=compute.device)  # fmt: skip


@stage
def train(cfg: Cfg, job: Job, *, weights: Output, history: Output, times: Output) -> None:
    """Writes the weights, histories and times of all seeds."""
    compute = start(cfg, job)
    progress = Progress(job)
    for seed in progress.remaining(cfg["seeds"]):
        one_seed(cfg, seed, compute, progress)
    results = [progress.results[seed] for seed in cfg["seeds"]]
    save_weights(weights, {f"{seed}.{name}": tensor for seed in cfg["seeds"]
                           for name, tensor in progress.weights[seed].items()})  # fmt: skip
    write_rows(history, [row for result in results for row in result["history"]])
    write_rows(times, [row for result in results for row in result["times"]])


def one_seed(cfg: Cfg, seed: int, compute: Compute, progress: Progress) -> None:
    """Trains a teacher and its student."""
    pause = float(os.environ.get("TINY_SECONDS_PER_STEP", "0"))
    torch.manual_seed(seed)
    images, labels = data()

    def measured(model: nn.Module) -> dict[str, float]:
        found = evaluate(model, images, labels, compute, mean=MEAN, std=STD)
        return {"test_accuracy": found.accuracy, "test_loss": found.cross_entropy}

    recipe = Recipe.from_cfg(cfg["teacher"])
    teacher = fit(compute.place(net(8)), batches(recipe, seed, compute), classification(0.1), recipe, compute,
                  progress, evaluate=measured, keep_after=[1], title=f"seed {seed} teacher")  # fmt: skip

    def distil(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        time.sleep(pause)
        inputs, wanted = batch
        with torch.no_grad(), in_eval_mode(teacher.model):
            target = teacher.model(inputs).float().softmax(1)
        logits = model(inputs).float()
        soft = F.kl_div(logits.log_softmax(1), target, reduction="batchmean")
        return {"loss": soft + F.cross_entropy(logits, wanted), "kl": soft}

    recipe = Recipe.from_cfg(cfg["student"])
    student = fit(compute.place(net(4)), batches(recipe, seed + 100, compute), distil, recipe, compute, progress,
                  evaluate=measured, title=f"seed {seed} student")  # fmt: skip
    rows = [{"seed": seed, "net": name} | row for name, fitted in (("teacher", teacher), ("student", student))
            for row in fitted.history]  # fmt: skip
    kept = {f"teacher.after1.{name}": tensor for name, tensor in teacher.kept[1].items()}
    final = {f"teacher.{name}": tensor for name, tensor in teacher.model.state_dict().items()}
    final |= {f"student.{name}": tensor for name, tensor in student.model.state_dict().items()}
    progress.finish(seed, {"history": rows, "times": teacher.times + student.times}, kept | final)


if __name__ == "__main__":
    main(train)
