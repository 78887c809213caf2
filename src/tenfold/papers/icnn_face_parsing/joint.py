"""Trains both stages as one net through the spatial transformer, and measures it as other arms are measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.measure.accuracy import in_eval_mode
from tenfold.papers.icnn_face_parsing.evaluate import centres_of as true_centres
from tenfold.papers.icnn_face_parsing.evaluate import found_centres, measured, near_of
from tenfold.papers.icnn_face_parsing.faces import Faces, batches_of, read_faces, target_of, whole_faces
from tenfold.papers.icnn_face_parsing.method import channel_softmax_loss, mirrored, standardised
from tenfold.papers.icnn_face_parsing.pipeline import BATCH, FACE, PARTS, merged, or_usual, part_centres, usual_places
from tenfold.papers.icnn_face_parsing.train import net_of
from tenfold.papers.icnn_face_parsing.transformer import (
    Localisation,
    centres_of,
    inverse,
    sample,
    sample_labels,
    theta_of,
)
from tenfold.progress import Progress
from tenfold.stages.seeds import Files, Outcome, per_seed
from tenfold.training.compute import Compute, start
from tenfold.training.loop import fit
from tenfold.training.recipe import Recipe
from tenfold.training.step import Loss
from tenfold.weights import Tensors, below, load_weights


@stage
def joint(
    cfg: Cfg,
    job: Job,
    *,
    data: Input,
    trained: Inputs,
    weights: Output,
    metrics: Output,
    history: Output,
    times: Output,
) -> None:
    """Goes on from the nets of both stages: the localisation net first, then all of them, or the second stage alone.

    Args:
        cfg: as `tenfold.papers.icnn_face_parsing.evaluate.evaluate`, and ``joint``: the ``recipe`` of the localisation
            net (``localise``) and of what follows (``go_on``); ``is_joint``: whether the first stage and the
            localisation net are trained with the second stage, or stay as they are for as many steps.
        job: what surrounds the run.
        data: the prepared faces.
        trained: the weights of both stages.
        weights: ``seed0/face/...``, ``seed0/localisation/...``, ``seed0/<part net>/...``.
        metrics: a row for each seed: ``two_stage`` and ``centres``.
        history: a row for each seed, fit and epoch.
        times: seconds and rates.
    """
    compute = start(cfg["compute"], job)
    faces = read_faces(cfg["faces"], data)
    loaded: Tensors = {name: tensor for path in trained for name, tensor in load_weights(path).items()}
    usual = usual_places(faces.train.labels) * cfg["faces"]["side"]
    views = whole_faces(faces.train)
    losses = {"localise": localising(usual.to(compute.device)), "go_on": labelling(compute.device)}
    progress = Progress(job)

    def one_seed(seed: int) -> Outcome:
        torch.manual_seed(seed)
        net, outcome = compute.place(Joint(cfg, below(f"seed{seed}", loaded), usual)), Outcome()
        for name, loss in losses.items():
            net.freeze(localises=name == "localise" or cfg["is_joint"], labels=name == "go_on")
            recipe = Recipe.from_cfg(cfg["joint"][name])
            batches = batches_of(views, cfg["augment"], recipe.batch_size, seed, compute.device)
            fitted = fit(net, batches, loss, recipe, compute, progress, title=f"seed {seed}, {name}")
            outcome.add_course(fitted, what=name)
        outcome.rows.append(parsed(net, faces.test, cfg, compute))
        outcome.weights |= net.state_dict()
        return outcome

    facts = {
        "arm": cfg["arm"],
        "data": faces.name,
        "device": compute.device.type,
        "precision": compute.precision,
        "params": sum(part.numel() for part in Joint(cfg, None, usual).parameters()),
        "test_faces": len(faces.test),
    }
    Files(weights, metrics, history, times).write(per_seed(progress, cfg["seeds"], one_seed), facts)


class Joint(nn.Module):
    """Both stages and what connects them.

    Args:
        cfg: the nets' settings.
        weights: what they were trained to; None leaves them as they begin.
        usual: where parts lie on average, (6, 2) in pixels.
    """

    def __init__(self, cfg: Cfg, weights: Mapping[str, Tensor] | None, usual: Tensor) -> None:
        super().__init__()
        self.sides, self.size = cfg["sides"], cfg["faces"]["side"]
        self.nets = nn.ModuleDict({net: net_of(cfg, net) for net in self.sides})
        if weights is not None:
            self.nets.load_state_dict({name.replace("/", ".", 1): tensor for name, tensor in weights.items()})
        self.localisation = Localisation(self.sides[FACE], self.transformations(usual))

    def freeze(self, *, localises: bool, labels: bool) -> None:
        """Says what is trained: what localises the parts, or what labels them; the first stage only with both."""
        for name, parameter in self.named_parameters():
            of_first = name.startswith(f"nets.{FACE}.")
            is_trained = localises if name.startswith("localisation.") else labels and (localises or not of_first)
            parameter.requires_grad_(is_trained)

    def transformations(self, centres: Tensor) -> Tensor:
        """Those that cut the crops around centres (..., 6, 2) out as `pipeline.crop` does: (..., 6, 2, 3), float32."""
        found = []
        for number, part in enumerate(PARTS):
            side = self.sides[part.net]
            middle = centres[..., number, :].float() - (0.5 if side % 2 == 0 else 0.0)
            found.append(theta_of(middle, side, self.size))
        return torch.stack(found, -3)

    def localise(self, pixels: Tensor) -> Tensor:
        """Transformations of the parts of whole faces: (N, 3, H, H) of 0 to 255 -> (N, 6, 2, 3)."""
        side = self.sides[FACE]
        small = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        theta: Tensor = self.localisation(self.nets[FACE](standardised(small)).float().softmax(1))
        return theta

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Transformations, and of each part the logits in its crop (N, k + 1, S, S), as it lies in the face."""
        theta, found = self.localise(pixels), []
        for number, part in enumerate(PARTS):
            crops = sample(pixels, theta[:, number], self.sides[part.net])
            shown = standardised(mirrored(crops) if part.mirrored else crops)
            logits = self.nets[part.net](shown).float()
            found.append(mirrored(logits) if part.mirrored else logits)
        return theta, found


def localising(usual: Tensor) -> Loss:
    """How far transformations are from those of the true centres: smooth L1."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        assert isinstance(model, Joint)
        pixels, labels = batch
        wanted = model.transformations(or_usual(part_centres(labels, "mean"), usual))
        return F.smooth_l1_loss(model.localise(pixels), wanted)

    return loss


def labelling(device: torch.device) -> Loss:
    """Cross-entropy of the labels in each part's crop, added up over the six parts."""
    targets = [target_of(part).to(device) for part in PARTS]

    def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        pixels, labels = batch
        theta, found = model(pixels)
        of_parts = []
        for number, (target, logits) in enumerate(zip(targets, found, strict=True)):
            seen = sample_labels(labels, theta[:, number].detach(), logits.shape[-1])
            of_parts.append(channel_softmax_loss(logits, target[seen]) / seen.numel())
        return {"loss": torch.stack(of_parts).sum()}

    return loss


def parsed(net: Joint, faces: Faces, cfg: Cfg, compute: Compute) -> dict[str, Any]:
    """What is measured of one seed on the test faces."""
    labels, centres = [], []
    with in_eval_mode(net), torch.no_grad(), compute.autocast():
        for images in faces.images.split(BATCH):
            pixels = images.permute(0, 3, 1, 2).float().to(compute.device)
            theta, found = net(pixels)
            planes = [
                sample(logits.softmax(1)[:, :-1], inverse(theta[:, number]), net.size)
                for number, logits in enumerate(found)
            ]
            labels.append(merged(planes).cpu())
            centres.append(torch.stack([
                centres_of(theta[:, number], net.size) + (0.5 if net.sides[part.net] % 2 == 0 else 0.0)
                for number, part in enumerate(PARTS)
            ], 1).cpu())  # fmt: skip
    near = found_centres(torch.cat(centres).double(), true_centres(faces.labels, "mean"), near_of(cfg))
    return {"two_stage": measured(faces, torch.cat(labels)), "centres": near}


if __name__ == "__main__":
    main(joint)
