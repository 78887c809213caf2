"""Trains the semantic detection network, and tells the probabilities of tags of all clips."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.measure.accuracy import in_eval_mode
from tenfold.measure.ranking import average_precision
from tenfold.papers.video_captioning.clips import Words, features_of, read_clips, read_words, standardised
from tenfold.papers.video_captioning.method import TagNet, tag_loss
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.batches import Batches
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe
from tenfold.weights import under


@stage
def tag(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    words: Input,
    features: Input,
    tags: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """One network for each seed; it is kept after several numbers of epochs.

    Args:
        cfg: ``features`` (static, dynamic or both), ``splits`` that are trained on (all of them: the leaky variant),
            ``net`` (``hidden``, ``dropout``), ``recipe``, ``after`` (epochs), ``kinds`` (names of tags that are told
            apart, and their words).
        job: what surrounds the run.
        data: the prepared dataset.
        words: the tags.
        features: of all clips.
        tags: ``seed0/150/test`` and so on, float32 (N, tags): probabilities after so many epochs, and the network,
            ``seed0/150/net/<weight>``; private.
        metrics: a row for each seed: by epochs the mean average precision ``map`` on test clips and that of each
            kind; ``final``, after all; ``trivial``, that of a predictor that says the same of all clips; ``gain``, the
            difference.
        history: a row for each seed and epoch.
        times: likewise.
    """
    compute = start(cfg["compute"], job)
    clips, of_words = read_clips(data, proxy=False), read_words(words)
    present = {name: of_words.present(split.told) for name, split in clips.items()}
    seen = standardised(features_of(load_file(features), cfg["features"]))
    recipe, progress = Recipe.from_cfg(cfg["recipe"]), Progress(job)

    def one_seed(seed: int) -> Outcome:
        net = compute.place(
            TagNet(seen["train"].shape[1], cfg["net"]["hidden"], len(of_words.tags), cfg["net"]["dropout"])
        )
        z, y = (torch.cat([of[split] for split in cfg["splits"]]).to(compute.device) for of in (seen, present))

        def make(indices: Tensor) -> tuple[Tensor, Tensor]:
            chosen = indices.to(compute.device)
            return z.index_select(0, chosen), y.index_select(0, chosen)

        batches = Batches(len(z), recipe.batch_size, make, seed)
        trained = fit(net, batches, detection, recipe, compute, progress, keep_after=cfg["after"], title=f"seed {seed}")
        row: dict[str, Any] = {"map": {}, "trivial": precision_of(None, present["test"], of_words, cfg["kinds"])}
        outcome = Outcome([row])
        for epochs, weights in trained.kept.items():
            net.load_state_dict(weights)
            told = {name: probabilities(net, values, compute) for name, values in seen.items()}
            outcome.weights |= {f"{epochs}/{name}": values for name, values in told.items()}
            outcome.weights |= under(f"{epochs}/net", weights)
            row["map"][str(epochs)] = precision_of(told["test"], present["test"], of_words, cfg["kinds"])
        row["final"] = row["map"][str(recipe.epochs)]
        row |= {"epochs": recipe.epochs, "gain": row["final"]["all"] - row["trivial"]["all"]}
        row["params"] = sum(parameter.numel() for parameter in net.parameters())
        return outcome.add_course(trained)

    facts = {"data": cfg["data"]["name"], "device": compute.device.type, "precision": compute.precision}
    Files(tags, metrics, history, times).write(per_seed(progress, cfg["seeds"], one_seed), {**facts, "arm": cfg["arm"]})


def detection(model: nn.Module, batch: Any) -> Tensor:
    """The loss of a batch of features and tags."""
    z, present = batch
    return tag_loss(model(z), present)


def probabilities(net: nn.Module, z: Tensor, compute: Compute) -> Tensor:
    """What a network tells of clips: float32 (N, tags), in [0, 1]."""
    with in_eval_mode(net), torch.no_grad():
        return torch.sigmoid(net(z.to(compute.device)).float()).cpu()


def precision_of(told: Tensor | None, present: Tensor, words: Words, kinds: dict[str, list[str]]) -> dict[str, float]:
    """Mean average precision over the tags that occur: of ``all``, and of each kind; of equal scores without any."""
    scores = np.zeros(present.shape) if told is None else told.double().numpy()
    occurs = present.bool().numpy()
    found = {
        tag: average_precision(scores[:, number], occurs[:, number])
        for number, tag in enumerate(words.tags)
        if occurs[:, number].any()
    }
    of_kinds = {"all": list(found), **{kind: [tag for tag in tags if tag in found] for kind, tags in kinds.items()}}
    return {kind: float(np.mean([found[tag] for tag in tags])) for kind, tags in of_kinds.items() if tags}


if __name__ == "__main__":
    main(tag)
