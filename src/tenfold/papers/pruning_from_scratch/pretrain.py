"""Trains the expanded net as classic pipelines do before they prune, and keeps its weights along the way."""

from __future__ import annotations

from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.pruning_from_scratch.common import in_memory
from tenfold.papers.pruning_from_scratch.train import train_net
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import start
from tenfold.training.recipe import Recipe
from tenfold.weights import under


@stage
def pretrain(
    cfg: Cfg, job: Job, *, data: Input, weights: Output, summary: Output, history: Output, times: Output
) -> None:
    """One pre-training for each seed, from the same random weights that gates are learned on without it.

    It sees the images that gates are learned on, so that the validation images stay unseen by every structure.
    """
    pictures = in_memory(cfg, data, start(cfg["compute"], job), cfg["validation"])
    net, recipe = pictures.net(cfg["net"]), Recipe.from_cfg(cfg["recipe"])
    macs = pictures.cost(net).macs
    progress = Progress(job)

    def one_seed(seed: int) -> Outcome:
        trained = train_net(
            net, seed, pictures, recipe, progress, title=f"pre-training of seed {seed}",
            measure="validation_accuracy", keep_after=cfg["checkpoints"],
        )  # fmt: skip
        last = trained.history[-1]
        outcome = Outcome([{
            "validation_accuracy": last["validation_accuracy"],
            "steps": last["step"],
            "images": recipe.epochs * len(pictures.seen),
            "macs_per_image": macs,
        }])  # fmt: skip
        for epoch, state in trained.kept.items():
            outcome.weights |= under(f"pretrained-e{epoch}", state)
        return outcome.add_course(trained)

    Files(weights, summary, history, times).write(per_seed(progress, cfg["seeds"], one_seed), {})


if __name__ == "__main__":
    main(pretrain)
