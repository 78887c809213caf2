"""Trains the nets of one stage of one arm: that of the whole face, or the four that label its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.data.faces import BACKGROUND
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.measure.accuracy import in_eval_mode
from tenfold.papers.icnn_face_parsing.faces import Views, batches_of, maker, read_faces, views_of
from tenfold.papers.icnn_face_parsing.method import LOSSES, SPREAD, InterlinkedCNN, standardised, widths_without_links
from tenfold.papers.icnn_face_parsing.pipeline import BATCH, FOREGROUND
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe
from tenfold.training.step import Loss
from tenfold.weights import under

STILL = {"rotation": 0, "scale": 0, "shift": 0}


@stage
def train(cfg: Cfg, job: Job, *, data: Input, weights: Output, metrics: Output, history: Output, times: Output) -> None:
    """Each net for each seed; the last epoch is what is used.

    Args:
        cfg: ``faces`` as `tenfold.papers.icnn_face_parsing.faces.read_faces` wants them; ``nets``, and of each its
            ``recipes`` and ``sides``; ``widths``, ``form`` and ``spread`` as `net_of` wants them; ``augment``;
            ``softmax``; ``begin_with_shares``.
        job: what surrounds the run.
        data: the prepared faces.
        weights: ``seed0/<net>/<weight>``.
        metrics: for each seed and net ``validation_f`` and ``before``, in [0, 1]: F of all labelled pixels in
            validation views at the end, and when nine tenths of the training were done.
        history: a row for each seed, net and epoch.
        times: seconds and rates.
    """
    compute = start(cfg["compute"], job)
    faces = read_faces(cfg["faces"], data)
    progress = Progress(job)
    seen = {net: views_of(faces.val, net, cfg["sides"]) for net in cfg["nets"]}
    shown = {net: views_of(faces.train, net, cfg["sides"]) for net in cfg["nets"]}

    def one_seed(seed: int) -> Outcome:
        outcome, row = Outcome(), {}
        for net in cfg["nets"]:
            torch.manual_seed(seed)
            recipe = Recipe.from_cfg(cfg["recipes"][net])
            late = max(1, round(0.9 * recipe.epochs))
            model = net_of(cfg, net)
            if cfg["begin_with_shares"]:
                model.begin_with(shares_of(shown[net]))
            trained = fit(
                compute.place(model),
                batches_of(shown[net], cfg["augment"], recipe.batch_size, seed, compute.device),
                labelling(cfg["softmax"]),
                recipe,
                compute,
                progress,
                keep_after=[late, recipe.epochs],
                title=f"seed {seed}, {net}",
            )
            before, last = (validation_f(trained.model, of, seen[net], compute)
                            for of in (trained.kept[late], trained.kept[recipe.epochs]))  # fmt: skip
            row[net] = {"validation_f": last, "before": before, "views": len(shown[net].face), "epochs": recipe.epochs}
            outcome.weights |= under(net, trained.kept[recipe.epochs])
            outcome.add_course(trained, net=net)
        outcome.rows.append(row)
        return outcome

    facts = {
        "data": faces.name,
        "device": compute.device.type,
        "precision": compute.precision,
        "params": {net: sum(part.numel() for part in net_of(cfg, net).parameters()) for net in cfg["nets"]},
    }
    Files(weights, metrics, history, times).write(per_seed(progress, cfg["seeds"], one_seed), facts)


def net_of(cfg: Cfg, net: str) -> InterlinkedCNN:
    """A fresh net: ``widths`` as the interlinked one has them, ``form``: ``kernel``, ``linked``, ``calibrated``."""
    return InterlinkedCNN(FOREGROUND[net], widths_of(cfg, net), **cfg["form"], spread=cfg.get("spread", SPREAD))


def widths_of(cfg: Cfg, net: str) -> list[int]:
    """The channels of its rows, widened where there are no links, so that the parameters are as many."""
    widths: list[int] = cfg["widths"]
    return widths if cfg["form"]["linked"] else widths_without_links(FOREGROUND[net], widths, cfg["form"]["kernel"])


def shares_of(views: Views) -> Tensor:
    """How often each of a net's labels occurs in views that nothing was done to, (foreground + 1,), all of them 1."""
    make, foreground = maker(views, STILL, torch.device("cpu")), int(views.target[0, BACKGROUND])
    counts = sum(
        make(some, torch.zeros(len(some), 4))[1].flatten().bincount(minlength=foreground + 1)
        for some in torch.arange(len(views.face)).split(BATCH)
    )
    return counts / counts.sum()  # type: ignore[union-attr]


def labelling(softmax: str) -> Loss:
    """The mean over pixels of minus the log-likelihood, with the share of pixels that are labelled right."""

    def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        pixels, labels = batch
        logits = model(standardised(pixels)).float()
        right = (logits.detach().argmax(1) == labels).float().mean()
        return {"loss": LOSSES[softmax](logits, labels) / labels.numel(), "accuracy": right}

    return loss


def validation_f(model: nn.Module, weights: Mapping[str, Tensor], views: Views, compute: Compute) -> float:
    """F of all labelled pixels of views that nothing was done to, each with its own label, in [0, 1]."""
    model.load_state_dict(weights)
    make = maker(views, STILL, compute.device)
    hits = labelled = 0
    with in_eval_mode(model), torch.no_grad():
        for some in torch.arange(len(views.face)).split(BATCH):
            pixels, wanted = make(some, torch.zeros(len(some), 4))
            with compute.autocast():
                found = model(standardised(pixels)).argmax(1)
            is_found, is_there = (labels < views.target[0, BACKGROUND].item() for labels in (found, wanted))
            hits += int((is_there & (found == wanted)).sum())
            labelled += int(is_found.sum()) + int(is_there.sum())
    return 2 * hits / labelled if labelled else 1.0


if __name__ == "__main__":
    main(train)
