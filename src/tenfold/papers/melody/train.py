"""Trains the layers of one model, each by itself, and measures them on held-out pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tenfold.data.melodies import Melodies, load
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.melody import profiles
from tenfold.papers.melody.layers import (
    Centres,
    Layer,
    Score,
    Sequences,
    layers_of,
    score,
    sequences,
    window_batches,
    window_losses,
)
from tenfold.papers.melody.split import split
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import Compute, start
from tenfold.training.early_stopping import Patience, Stopped, fit_until_it_rises
from tenfold.weights import under


@stage
def train(cfg: Cfg, job: Job, *, data: Input, weights: Output, metrics: Output, history: Output, times: Output) -> None:
    """One model for each seed, each seed with a division of the corpus of its own, the same for all models.

    Training stops on validation pieces; likelihood and accuracy are those of test pieces, which decide nothing.

    Args:
        cfg: the job's configuration.
        job: what surrounds the run.
        data: the corpus.
        weights: ``seed0/note/<weight>`` for each layer, ``seed0/note-repeat/...`` with repeat labels, and
            ``seed0/centres/bar`` and ``.../beat``. They are private: the notes of a small corpus can be read off them.
        metrics: a row for each seed: ``nll`` of the layers in nats per sixteenth, plain labels; ``accuracy`` of the
            note layer for each coding; where training stopped.
        history: a row for each validation.
        times: seconds and rates, likewise.
    """
    compute = start(cfg["compute"], job)
    corpus = load(data)
    progress = Progress(job)
    outcome = per_seed(progress, cfg["seeds"], lambda seed: one_seed(cfg, seed, corpus, compute, progress))
    facts = {"data": corpus.name, "device": compute.device.type, "precision": compute.precision}
    Files(weights, metrics, history, times).write(outcome, facts)


def one_seed(cfg: Cfg, seed: int, corpus: Melodies, compute: Compute, progress: Progress) -> Outcome:
    """Trains and measures all layers of one seed's model."""
    parts = split(corpus.pieces, **cfg["corpus"], seed=seed)
    fitted = [corpus.pieces[i] for i in parts.train]
    centres: Centres = {
        layer: profiles.fit(profiles.clips(fitted, layer), cfg["profiles"][layer], cfg["profiles"]["swaps"], seed)
        for layer in ("bar", "beat")
    }
    seen, validation, test = (
        [sequences(corpus.pieces[i], centres) for i in part] for part in (parts.train, parts.validation, parts.test)
    )
    row: dict[str, Any] = {"nll": {}, "validation_nll": {}, "accuracy": {}, "stopped": {}, "params": 0}
    outcome = Outcome([row], {f"centres/{layer}": torch.from_numpy(centre.copy()) for layer, centre in centres.items()})
    for name, plain in layers_of(cfg["variant"], centres).items():
        for coding in cfg["variant"]["codings"] if name == "note" else ["plain"]:
            layer = replace(plain, coding=coding)
            trained = fit_layer(cfg, layer, seed, seen, validation, compute, progress)
            net: Any = trained.model
            of_test, of_validation = (score(net, layer, part, compute.device) for part in (test, validation))
            note(row, layer, trained, of_test, of_validation)
            outcome.weights |= under(name if coding == "plain" else f"{name}-{coding}", net.state_dict())
            outcome.add_course(trained, layer=name, coding=coding)
    for nll in (row["nll"], row["validation_nll"]):
        nll["joint"] = sum(nll.values())
    row["pieces"] = {"train": len(seen), "validation": len(validation), "test": len(test)}
    return outcome


def fit_layer(
    cfg: Cfg,
    layer: Layer,
    seed: int,
    seen: Sequence[Sequences],
    validation: Sequence[Sequences],
    compute: Compute,
    progress: Progress,
) -> Stopped:
    """Trains one layer by teacher forcing, until its loss on the validation pieces rises several times in a row."""
    settings = cfg["training"]
    torch.manual_seed(seed)
    net = compute.place(layer.net(**cfg["variant"]["net"]))
    batches = window_batches(
        layer, seen, **cfg["windows"], batch_size=settings["batch_size"], seed=seed, device=compute.device
    )

    def validate(model: nn.Module, means: dict[str, float]) -> dict[str, float]:
        net: Any = model
        of = score(net, layer, validation, compute.device)
        accuracy = {name: share for name, share in of.accuracy.items() if name != "onset"}
        trained = {
            f"train_{kind}": means[f"{kind}_right"] / means[kind] for kind in ("event", "no_event") if means[kind]
        }
        return {"loss": means["loss"], "validation_loss": of.label_nats / of.symbols, **accuracy, **trained}

    return fit_until_it_rises(
        net,
        batches,
        window_losses,
        torch.optim.Adam(net.parameters(), settings["lr"], fused=True),
        Patience(settings["validate_every"], settings["rises"], settings["most"][layer.name]),
        validate,
        compute,
        progress,
        clip_norm=settings["clip_norm"],
        title=f"seed {seed}, {layer.name} layer, {layer.coding} labels",
    )


def note(row: dict[str, Any], layer: Layer, trained: Stopped, test: Score, validation: Score) -> None:
    """Puts what was measured of a layer into the row of its seed."""
    plain = layer.coding == "plain"
    if plain:
        row["nll"][layer.name] = test.nats / test.sixteenths
        row["validation_nll"][layer.name] = validation.nats / validation.sixteenths
        row["params"] += sum(parameter.numel() for parameter in trained.model.parameters())
    course = {"stopped_at": trained.stopped_at, "best_at": trained.best_at, "by_rule": trained.by_rule}
    row["stopped"][layer.name if plain else f"{layer.name}-{layer.coding}"] = course
    if layer.name == "note":
        row["accuracy"][layer.coding] = test.accuracy | {"nll": test.nats / test.sixteenths}
        if plain:
            row |= {"stopped_at": trained.stopped_at, "best_at": trained.best_at, "iterations": trained.stopped_at}


if __name__ == "__main__":
    main(train)
