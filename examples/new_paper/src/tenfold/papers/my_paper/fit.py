"""Fits the class means of some images for each seed, and tests them."""

import torch
from safetensors.torch import load_file

from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.my_paper.method import nearest_mean, standardised


@stage
def fit(cfg: Cfg, job: Job, *, data: Input, metrics: Output) -> None:
    """The test accuracy of one arm for each seed; equal seeds draw equal images in all arms."""
    found, rows = load_file(data), []
    train, test = (found[f"{split}_images"].flatten(1).double() for split in ("train", "test"))
    if cfg["standardise"]:
        train, test = standardised(train), standardised(test)
    for seed in cfg["seeds"]:
        chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[: cfg["images"]]
        predicted = nearest_mean(train[chosen], found["train_labels"][chosen], test)
        rows.append({"seed": seed, "accuracy": (predicted == found["test_labels"]).double().mean().item()})
        job.say(f"seed {seed}: {rows[-1]['accuracy']:.1%}")
    write_json(metrics, {"arm": cfg["arm"], "device": "cpu", "precision": "fp64", "rows": rows})


if __name__ == "__main__":
    main(fit)
