"""Trains one way to pass messages between both modules, and measures both tasks after each turn of the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.data.scenes import JOINTS, OUTPUTS
from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.measure.accuracy import in_eval_mode
from tenfold.papers.turbo_hoi.detected import Detected, read_detected
from tenfold.papers.turbo_hoi.method import Links, Sizes, TurboHOI, turbo_loss
from tenfold.papers.turbo_hoi.nets import SceneNet
from tenfold.papers.turbo_hoi.photos import Photos, read_photos
from tenfold.papers.turbo_hoi.predict import KEYPOINTS, Said, said_of, trivial
from tenfold.papers.turbo_hoi.scenes import Scenes, read_scenes
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe
from tenfold.training.step import Loss

Corpus = Scenes | Photos | Detected


@stage
def train(
    cfg: Cfg, job: Job, *, data: Inputs, off: Inputs, weights: Output, metrics: Output, history: Output, times: Output
) -> None:
    """One net for each seed, after its last epoch. Equal seeds give all arms equal first weights and order of scenes.

    Args:
        cfg: ``arm``; ``links`` as `Links` has them; ``sizes`` as `Sizes` has them; ``losses``: the weights of ``hoi``
            and ``pose``, 0 for a task that is not learned; ``recipe``; ``corpus``: see `read_corpus`.
        job: what surrounds the run.
        off: prepared scenes with one cue switched off, to test on alone.
        data: the prepared dataset; or what was detected in the images of trainval and of test.
        weights: ``seed0/<weight>``.
        metrics: a row for each seed: ``hoi``, ``roles`` and ``pose`` of the tasks that are learned, after the last
            turn (see `predict.Judge`); ``turns``: ``role`` and ``keypoints`` after each; the ``trivial`` predictors and
            the ``gains`` over them; ``off``: ``role`` and ``keypoints`` where cues are off; ``moved``: by how much of
            itself the last tenth of training changes the loss.
        history: a row for each seed and epoch.
        times: seconds and rates.
    """
    # Detections differ in number, so that no step is like another: none is captured.
    compute = replace(start(cfg["compute"], job), captures=cfg["corpus"] != "detected")
    side = 2 * cfg["sizes"]["persons"]
    name, known, asked = read_corpus(cfg["corpus"], data, side)
    recipe, progress = Recipe.from_cfg(cfg["recipe"]), Progress(job)
    tasks = [task for task, weight in cfg["losses"].items() if weight]
    judge = asked.judge
    switched = {name: read_scenes(path, side)[1]["test"] for name, path in zip(cfg["off"], off, strict=True)}
    nothing = judge.both(trivial(*known.people, judge.boxes), tasks)

    def one_seed(seed: int) -> Outcome:
        trained = fit(
            compute.place(net_of(cfg, known)),
            known.batches(recipe.batch_size, seed, compute.device),
            loss_of(cfg["losses"]),
            recipe,
            compute,
            progress,
            title=f"seed {seed}",
        )
        turns = [judge.both(said, tasks) for said in said_by(trained.model, asked, compute)]
        row = {**turns[-1], "turns": [of_tasks(turn) for turn in turns], "trivial": nothing}
        row["gains"] = {task: value - of_tasks(nothing)[task] for task, value in row["turns"][-1].items()}
        row["off"] = {
            name: of_tasks(of.judge.both(said_by(trained.model, of, compute)[-1], tasks))
            for name, of in switched.items()
        }
        row |= {"moved": moved([line["loss"] for line in trained.history]), "epochs": recipe.epochs}
        row["params"] = sum(parameter.numel() for parameter in trained.model.parameters())
        job.say(f"seed {seed}: " + ", ".join(f"{task} {value:.4f}" for task, value in row["turns"][-1].items()))
        return Outcome([row], trained.model.state_dict()).add_course(trained)

    outcome = per_seed(progress, cfg["seeds"], one_seed)
    facts = {
        "arm": cfg["arm"],
        "data": name,
        "device": compute.device.type,
        "precision": compute.precision,
        "params": outcome.rows[0]["params"],
        "train_images": len(known),
        "test_images": len(asked),
    }
    Files(weights, metrics, history, times).write(outcome, facts)


def read_corpus(kind: str, paths: Sequence[Path], side: int) -> tuple[str, Corpus, Corpus]:
    """The name of a dataset, and what is learned and tested: drawn scenes, photographs, or what was detected."""
    if kind == "detected":
        (name, known), (_, asked) = (read_detected(path, side) for path in paths)
        return name, known, asked
    if kind == "photos":
        name, photos = read_photos(paths[0], side)
        return name, photos["train"], photos["val"]
    name, scenes = read_scenes(paths[0], side)
    return name, scenes["train"], scenes["test"]


def net_of(cfg: Cfg, corpus: Corpus | None = None) -> SceneNet | TurboHOI:
    """A fresh net: both modules, behind a backbone of their own where images are seen; by default of drawn scenes."""
    sizes, links = Sizes(**cfg["sizes"]), Links(**cfg["links"])
    if isinstance(corpus, Detected):
        return TurboHOI(sizes, len(corpus.outputs), KEYPOINTS, links)
    return SceneNet(sizes, len(OUTPUTS), KEYPOINTS if isinstance(corpus, Photos) else len(JOINTS), links)


def loss_of(weights: Mapping[str, float]) -> Loss:
    """The losses of both modules over all turns."""

    def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        seen, truth = batch
        return turbo_loss(model(*seen), truth, hoi=weights["hoi"], pose=weights["pose"])

    return loss


def said_by(model: nn.Module, corpus: Corpus, compute: Compute) -> list[Said]:
    """What a net says of all images, turn by turn."""
    found: list[list[tuple[Said, int]]] = []
    with in_eval_mode(model), torch.no_grad():
        for seen, boxes in corpus.asked(compute.device):
            with compute.autocast():
                turns = model(*seen)
            found.append([(said_of(turn, boxes), len(boxes.objects)) for turn in turns])
    return [Said.joined(parts) for parts in zip(*found, strict=True)]


def of_tasks(scores: Mapping[str, Any]) -> dict[str, float]:
    """The measure of each task that was measured: AP_role in scenario 1, and keypoint AP."""
    places = {"role": ("hoi", "role_1"), "keypoints": ("pose", "ap")}
    return {task: scores[part][key] for task, (part, key) in places.items() if part in scores}


def moved(losses: list[float]) -> float:
    """By how much of itself the last tenth of training (an epoch at least) changes the loss."""
    n = max(1, len(losses) // 10)
    if len(losses) < 2 * n:
        return 1.0
    before, last = sum(losses[-2 * n : -n]) / n, sum(losses[-n:]) / n
    return abs(last / before - 1)


if __name__ == "__main__":
    main(train)
