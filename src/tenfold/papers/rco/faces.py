"""The ORL open-set toy: distils face embeddings along the route, and identifies people that no net has seen.

The paper's own face experiment (MS-Celeb-1M and IMDb-Face for training, MegaFace for the test) cannot be
reproduced, its datasets were withdrawn. This is the idea on 400 pictures, under a name of its own: nets learn 30 people
of the ORL faces and are tested on the other 10. The pictures stay below ``private/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.data.images import Images
from tenfold.data.splits import scaling
from tenfold.errors import UserError
from tenfold.fetch import folder_of
from tenfold.files import sha256, write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.measure.predictions import predict
from tenfold.nets.build import build
from tenfold.papers.rco.common import WithFeatures, indexed_batches
from tenfold.papers.rco.method import anchor_at, frozen, mimic_loss
from tenfold.papers.rco.route import anchors_at
from tenfold.progress import Progress
from tenfold.registry import dataset
from tenfold.stages.seeds import Outcome, per_seed, write_course
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe
from tenfold.training.step import Loss
from tenfold.weights import save_weights

PEOPLE, PICTURES = 40, 10
WIDTH, HEIGHT = 92, 112  # of the originals; blocks of 4 x 4 pixels are averaged
BLOCK = 4


@stage
def prepare_faces(cfg: Cfg, job: Job, *, faces: Output) -> None:
    """Writes the ORL faces as one file: ``images`` uint8 (400, 3, 28, 23), ``labels`` (400,), person by person.

    Raises:
        UserError: the pictures are not here, or they are not the known ones.
    """
    folder = folder_of(dataset("orl-faces"), "s1/1.pgm")
    job.say(f"reading {folder}")
    images = torch.stack([
        picture(folder / f"s{person}" / f"{number}.pgm")
        for person in range(1, PEOPLE + 1)
        for number in range(1, PICTURES + 1)
    ])  # fmt: skip
    labels = torch.arange(PEOPLE).repeat_interleave(PICTURES)
    save_weights(faces, {"images": images, "labels": labels})
    if sha256(faces) != cfg["sha256"]:
        raise UserError(
            f"{folder}: these are not the known ORL faces (prepared: sha256 {sha256(faces)} instead of "
            f"{cfg['sha256']}); some copies have other people's pictures in s1: take another copy"
        )


def picture(path: Path) -> Tensor:
    """A picture of the set (PGM, 92 x 112 grey), its 4 x 4 blocks averaged: uint8 (3, 28, 23), three equal channels.

    Raises:
        UserError: another format or size.
    """
    content = path.read_bytes()
    header = f"P5\n{WIDTH} {HEIGHT}\n255\n".encode()
    if not content.startswith(header) or len(content) != len(header) + WIDTH * HEIGHT:
        raise UserError(f"{path}: is not a grey PGM picture of {WIDTH} x {HEIGHT} pixels")
    pixels = torch.frombuffer(bytearray(content[len(header) :]), dtype=torch.uint8)
    blocks = pixels.view(HEIGHT // BLOCK, BLOCK, WIDTH // BLOCK, BLOCK).sum((1, 3), dtype=torch.int32)
    grey = ((blocks + BLOCK * BLOCK // 2) // (BLOCK * BLOCK)).to(torch.uint8)
    return grey.expand(3, -1, -1).contiguous()


@stage
def open_set(cfg: Cfg, job: Job, *, faces: Input, metrics: Output, history: Output, times: Output) -> None:
    """For each seed a teacher, and students of equal epochs: alone, mimicking the last teacher, along its route."""
    compute = start(cfg["compute"], job)
    with safe_open(faces, "pt") as file:
        whole = Images(file.get_tensor("images"), file.get_tensor("labels"))
    seen = cfg["people"] * PICTURES
    known, unseen = whole[:seen], whole[seen:]

    progress = Progress(job)
    outcome = per_seed(progress, cfg["seeds"], lambda seed: one_seed(cfg, seed, known, unseen, compute, progress))
    facts = {"device": compute.device.type, "precision": compute.precision}
    write_json(metrics, {**facts, "rows": outcome.rows})
    write_course(outcome, history, times)


def one_seed(cfg: Cfg, seed: int, known: Images, unseen: Images, compute: Compute, progress: Progress) -> Outcome:
    """Trains and tests the nets of one seed."""
    outcome, recipe = Outcome(), Recipe.from_cfg(cfg["recipe"])
    anchors = anchors_at(recipe.epochs, cfg["m"])

    def trained(
        arm: str, net: Cfg, loss: Loss | Sequence[Loss], keep_after: Sequence[int] = ()
    ) -> dict[int, dict[str, Tensor]]:
        torch.manual_seed(seed)
        model = compute.place(Embedder(net, cfg["people"], cfg["teacher_width"]))
        batches = indexed_batches(cfg["images"], known, recipe.batch_size, seed, compute.device)
        done = fit(model, batches, loss, replace(recipe, evaluate_every=recipe.epochs), compute, progress,
                   keep_after=keep_after, title=f"faces, seed {seed}, {arm}")  # fmt: skip
        outcome.add_course(done, arm=arm)
        embeddings = embed(model, unseen, cfg["images"], compute)
        outcome.rows.append({"arm": arm, "rank1": rank1(embeddings, unseen.labels)})
        return done.kept

    route = trained("teacher", cfg["teacher"], identity_loss, anchors)
    targets = []
    for anchor in anchors:
        model = Embedder(cfg["teacher"], cfg["people"], cfg["teacher_width"])
        model.load_state_dict(route[anchor])
        targets.append(embed(frozen(compute.place(model)), known, cfg["images"], compute).to(compute.device))
    trained("alone", cfg["student"], identity_loss)
    losses = [mimicking(of_anchor) for of_anchor in targets]
    trained("mimic", cfg["student"], losses[-1])
    along = [losses[anchor_at(epoch, recipe.epochs, len(losses))] for epoch in range(recipe.epochs)]
    trained("one-stage", cfg["student"], along)
    return outcome


class Embedder(nn.Module):
    """A classifier of people whose embedding has as many numbers as the teacher's."""

    def __init__(self, net: Cfg, people: int, width: int) -> None:
        super().__init__()
        self.observed = WithFeatures(build({**net, "classes": people}), "pool")
        channels = self.observed.net.get_parameter("classifier.weight").shape[1]
        self.regress = nn.Identity() if channels == width else nn.Linear(channels, width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the known people (B, people), and embeddings (B, width)."""
        scores, features = self.observed(images)
        return scores, self.regress(features.flatten(1)).float()


def identity_loss(model: nn.Module, batch: Any) -> Tensor:
    """Cross-entropy of the known people; the embedding is read off the pooled features through the regressor."""
    images, labels, _ = batch
    return F.cross_entropy(model(images)[0], labels)


def mimicking(targets: Tensor) -> Loss:
    """The regression to the embeddings (N, D) of an anchor."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        images, labels, indices = batch
        scores, own = model(images)
        return F.cross_entropy(scores, labels) + mimic_loss(targets[indices], own)

    return loss


def embed(model: nn.Module, split: Images, images: Cfg, compute: Compute) -> Tensor:
    """Embeddings float32 (N, D)."""
    return torch.cat([own.cpu() for _, own in predict(model, model, split, compute, **scaling(images))])


def rank1(embeddings: Tensor, labels: Tensor) -> float:
    """Rank-1 identification of unseen people, in [0, 1].

    Each picture number in turn is the gallery, one picture of each person; all other pictures are probes, and a
    probe is identified where the most similar gallery picture (cosine) is of its person.

    Args:
        embeddings: (N, D), person by person, `PICTURES` of each.
        labels: (N,).
    """
    unit = F.normalize(embeddings, dim=1)
    number = torch.arange(len(labels)) % PICTURES
    correct, probes = 0, 0
    for shown in range(PICTURES):
        gallery, probe = number == shown, number != shown
        nearest = (unit[probe] @ unit[gallery].T).argmax(1)
        correct += int((labels[gallery][nearest] == labels[probe]).sum())
        probes += int(probe.sum())
    return correct / probes


if __name__ == "__main__":
    main(prepare_faces, open_set)
