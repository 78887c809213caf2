"""Trains the captioner, lets it write the captions of validation and test clips, and measures them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from tenfold.data.captions import SPLITS
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.measure.accuracy import in_eval_mode
from tenfold.measure.captions import References
from tenfold.measure.meteor import find_meteor
from tenfold.papers.video_captioning.clips import (
    Clips,
    Sentences,
    Words,
    features_of,
    read_clips,
    read_words,
    standardised,
)
from tenfold.papers.video_captioning.method import Captioner, Factored, Plain, caption_loss, own_word_probability
from tenfold.papers.video_captioning.scores import behind, by_position, lengths_of, measures, written_by
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.batches import Batches, Drawn
from tenfold.training.compute import start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe
from tenfold.training.step import Loss


@stage
def train(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    words: Input,
    features: Input,
    tags: Inputs,
    weights: Output,
    captions: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """One captioner for each seed.

    The last epoch is reported, and beside it that with the best score on validation clips, as the paper has it. Equal
    seeds give equal order of captions and equal coins of scheduled sampling, whatever the variant.

    Args:
        cfg: ``proxy``; ``variant``: ``features``, ``tags`` (net: of a tag network; present: of the half of captions
            that may be told; mean: of the average clip; none: a cell without tags), ``tags_after`` (epochs of the tag
            network), ``beta``, ``sampling`` (the rise of the probability of own words over all epochs), ``pick``;
            ``net``, ``recipe``, ``captions`` (``of_clip``, how many at most are learned; ``longest`` of them),
            ``decode`` (``steps``, ``beam``), ``select`` (metric -> weight), ``kinds``, ``meteor``.
        job: what surrounds the run.
        data: the prepared dataset.
        words: the vocabulary.
        features: of all clips.
        tags: probabilities of tags, of all seeds; none where they are not of a network.
        weights: ``seed0/<weight>``; private.
        captions: JSON, a row for each seed, ``greedy``, ``beam``, ``best``; private.
        metrics: a row for each seed: ``greedy`` and ``beam`` (see `scores.measures`), ``best`` (greedy, of
            ``best_epoch``), ``positions``, ``behind`` (see `scores`), ``moved`` (by how much of itself the last tenth
            of training changes the loss).
        history: a row for each seed and epoch.
        times: likewise.
    """
    # The lengths of a batch decide what is computed, so that no step is like another: none is captured.
    compute = replace(start(cfg["compute"], job), captures=False)
    of_words, clips = read_words(words), read_clips(data, cfg["proxy"])
    found, told = load_file(features), {name: t for path in tags for name, t in load_file(path).items()}
    jar = find_meteor() if cfg["meteor"] else None
    recipe, progress, variant = Recipe.from_cfg(cfg["recipe"]), Progress(job), cfg["variant"]
    kept = [epoch + 1 for epoch in range(recipe.epochs) if recipe.evaluates_after(epoch)]
    z = {
        name: values.to(compute.device)
        for name, values in standardised(features_of(found, variant["features"])).items()
    }
    references = {name: References(clips[name].written) for name in ("val", "test")}
    examples = Examples.of(clips["train"].written, of_words, **cfg["captions"])

    def one_seed(seed: int) -> Outcome:
        s = {name: values.to(compute.device) for name, values in tags_of(variant, found, told, seed).items()}
        net = compute.place(build(cfg["net"], of_words, s["train"].shape[1], z["train"].shape[1], variant["tags"]))

        def written(model: nn.Module, split: str, size: int = 1) -> list[list[int]]:
            captioner: Any = model
            with in_eval_mode(model):
                return written_by(captioner, z[split], s[split], cfg["decode"]["steps"], size)

        def of_validation(model: nn.Module) -> dict[str, float]:
            said = [of_words.decode(numbers) for numbers in written(model, "val")]
            named = references["val"].score(said).named()
            score = sum(weight * named[metric] for metric, weight in cfg["select"].items())
            return {"val_score": score, "val_cider": named["cider"], "val_length": sum(map(len, said)) / len(said)}

        trained = fit(
            net,
            examples.batches(z["train"], s["train"], recipe.batch_size, seed),
            captioning(variant, recipe.epochs),
            recipe,
            compute,
            progress,
            evaluate=of_validation,
            keep_after=kept,
            title=f"seed {seed}",
        )
        row: dict[str, Any] = {"epochs": recipe.epochs, "best_epoch": best_of(trained.history)}
        said: dict[str, list[str]] = {}
        for name, epoch, size in (
            ("best", row["best_epoch"], 1),
            ("beam", recipe.epochs, cfg["decode"]["beam"]),
            ("greedy", recipe.epochs, 1),
        ):
            net.load_state_dict(trained.kept[epoch])
            numbers = written(net, "test", size)
            of_clips = [of_words.decode(caption) for caption in numbers]
            row[name] = measures(of_clips, references["test"], kinds=cfg["kinds"], jar=jar)
            said[name] = [" ".join(caption) for caption in of_clips]
        with in_eval_mode(net):
            row["positions"] = by_position(net, z["test"], s["test"], numbers, clips["test"].written, of_words)
        row["behind"] = behind(row["positions"])
        row |= {"said": said, "moved": moved([line["loss"] for line in trained.history])}
        row["params"] = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
        return Outcome([row], net.state_dict()).add_course(trained)

    outcome = per_seed(progress, cfg["seeds"], one_seed)
    write_json(captions, [{"seed": row["seed"], **row.pop("said")} for row in outcome.rows])
    facts = {
        "data": cfg["data"]["name"],
        "device": compute.device.type,
        "precision": compute.precision,
        "arm": cfg["arm"],
    }
    Files(weights, metrics, history, times).write(outcome, {**facts, **facts_of(clips, of_words)})


def build(settings: Cfg, words: Words, tags: int, features: int, told: str) -> Captioner:
    """A fresh captioner; [choice] embeddings are random, in the paper they are pre-trained.

    Args:
        settings: ``words`` (n_x), ``hidden``, ``dropout``, ``embeddings`` (trained or frozen).
        words: the vocabulary.
        tags: n_y.
        features: n_z.
        told: what the cell is told; none for a cell without tags.
    """
    embeddings = torch.randn(len(words.words), settings["words"]) * settings["words"] ** -0.5
    return Captioner(
        embeddings,
        tags,
        features,
        settings["hidden"],
        dropout=settings["dropout"],
        term=Plain if told == "none" else Factored,
        trained=settings["embeddings"] == "trained",
    )


def tags_of(variant: Cfg, found: dict[str, Tensor], told: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """What the captioner is told of the clips of each split: float32 (N, tags)."""
    if variant["tags"] == "present":
        return {name: found[f"{name}/tags"] for name in SPLITS}
    tags = {name: told[f"seed{seed}/{variant['tags_after']}/{name}"] for name in SPLITS}
    if variant["tags"] == "mean":
        average = tags["train"].mean(0)
        tags = {name: average.expand_as(values).contiguous() for name, values in tags.items()}
    return tags


def captioning(variant: Cfg, epochs: int) -> list[Loss]:
    """For each epoch the loss of a batch of captions, with its probability of own words."""

    def of_epoch(chance: float) -> Loss:
        def loss(model: nn.Module, batch: Any) -> Tensor:
            z, s, words, lengths, coins = batch
            logits = model(z, s, words, lengths, (coins < chance).tolist(), variant["pick"])
            return caption_loss(logits, words, lengths, variant["beta"])

        return loss

    return [of_epoch(own_word_probability(epoch, variant["sampling"] / epochs)) for epoch in range(epochs)]


@dataclass(frozen=True)
class Examples:
    """Captions to learn.

    Attributes:
        clips: the clip of each, int64 (N,).
        words: int64 (N, T), with the end, and padded by it.
        lengths: int64 (N,), with the end.
    """

    clips: Tensor
    words: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, written: Sentences, words: Words, of_clip: int | None, longest: int | None) -> Examples:
        """The first captions of each clip, without those that are too long."""
        pairs = [
            (clip, torch.tensor(words.encode(caption)))
            for clip, captions in enumerate(written)
            for caption in captions[:of_clip]
            if longest is None or len(caption) <= longest
        ]
        numbers = [caption for _, caption in pairs]
        lengths = torch.tensor([len(caption) for caption in numbers])
        return cls(torch.tensor([clip for clip, _ in pairs]), pad_sequence(numbers, batch_first=True), lengths)

    def batches(self, z: Tensor, s: Tensor, batch_size: int, seed: int) -> Batches:
        """Batches of features, tags, words, lengths, and coins for the steps, the longest captions first.

        Lengths and coins stay on the CPU, where they decide what is computed.
        """

        def draw(indices: Tensor, generator: torch.Generator) -> Drawn:
            return indices, torch.rand(self.words.shape[1], generator=generator)

        def make(indices: Tensor, coins: Tensor) -> tuple[Tensor, ...]:
            lengths, order = self.lengths[indices].sort(descending=True, stable=True)
            words = self.words[indices[order], : int(lengths[0])]
            clips = self.clips[indices[order]].to(z.device)
            return z[clips], s[clips], words.to(z.device), lengths, coins

        return Batches(len(self.words), batch_size, make, seed, draw=draw)


def best_of(history: list[dict[str, Any]]) -> int:
    """The epoch with the best score on validation clips."""
    scores = {row["epoch"]: row["val_score"] for row in history if "val_score" in row}
    return max(scores, key=lambda epoch: scores[epoch])


def moved(losses: list[float]) -> float:
    """By how much of itself the last tenth of training (an epoch at least) changes the loss."""
    n = max(1, len(losses) // 10)
    if len(losses) < 2 * n:
        return 1.0
    before, last = sum(losses[-2 * n : -n]) / n, sum(losses[-n:]) / n
    return abs(last / before - 1)


def facts_of(clips: dict[str, Clips], words: Words) -> dict[str, Any]:
    """What is said of the data: words, tags, captions, and the lengths of the references."""
    captions = [caption for of_clip in clips["test"].written for caption in of_clip]
    return {
        "words": len(words.words),
        "tags": len(words.tags),
        "captions": {name: sum(map(len, split.written)) for name, split in clips.items()},
        "reference_length": sum(map(len, captions)) / len(captions),
        "reference_lengths": lengths_of(captions),
    }


if __name__ == "__main__":
    main(train)
