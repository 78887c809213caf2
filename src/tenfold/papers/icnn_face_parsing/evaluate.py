"""Parses the test faces with the nets of one arm, and measures what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.files import read_json, write_json
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.measure.f_measure import COLUMNS, confusion, f_measures
from tenfold.papers.icnn_face_parsing.faces import Faces, Splits, read_faces
from tenfold.papers.icnn_face_parsing.pipeline import (
    BATCH,
    FACE,
    Parser,
    foremost,
    lean,
    part_centres,
    usual_places,
)
from tenfold.papers.icnn_face_parsing.train import net_of
from tenfold.training.compute import Compute, start
from tenfold.weights import Tensors, below, load_weights

THIN = ("brows", "upper_lip", "lower_lip")  # parts that are a few pixels thin, less than one in the reduced face
THICK = ("eyes", "nose")
LEANINGS = [0.25 * step for step in range(-8, 17)]  # of the first stage towards the background, in logits
CENTRES = {"mean": "median", "median": "mean"}


@stage
def evaluate(cfg: Cfg, job: Job, *, data: Input, weights: Inputs, trained: Inputs, metrics: Output) -> None:
    """F of all parts, by one stage and by two, and how well the first stage finds them.

    Args:
        cfg: what `tenfold.papers.icnn_face_parsing.train.train` has of the arm, and ``centre``; ``near``: how far a
            centre may be from the true one, in pixels of the reduced face.
        job: what surrounds the run.
        data: the prepared faces.
        weights: of the first stage's net, and where there are two stages of the second's.
        trained: their metrics, in the same order.
        metrics: a row for each seed: ``one_stage``, and with two stages ``two_stage`` (predicted centres),
            ``true_crops`` (true ones) and ``other_centre`` (by the median where the arm has the mean), each as
            `measured` gives it; ``centres`` as `found_centres` does; ``nets``: what training noted of each; ``moved``:
            by how many points of F the last tenth of its training moved the first stage on validation views;
            ``leaning``, see `best_leaning`.
    """
    compute = start(cfg["compute"], job)
    faces = read_faces(cfg["faces"], data)
    loaded: Tensors = {name: tensor for path in weights for name, tensor in load_weights(path).items()}
    notes = [read_json(path) for path in trained]
    of_seeds = [{row["seed"]: row for row in note["rows"]} for note in notes]
    rows = []
    for seed in cfg["seeds"]:
        parser = parser_of(cfg, below(f"seed{seed}", loaded), usual_places(faces.train.labels), compute)
        nets = {net: entry for rows_of in of_seeds for net, entry in rows_of[seed].items() if net != "seed"}
        face = nets[FACE]
        moved = 100 * abs(face["validation_f"] - face["before"])
        rows.append({"seed": seed, **parsed(parser, faces, cfg, compute), "nets": nets, "moved": moved})
        last = rows[-1].get("two_stage", rows[-1]["one_stage"])
        job.say(f"seed {seed}: F of all parts {last['overall']:.4f}, {rows[-1]['centres']['near']:.1%} of the centres "
                f"are near")  # fmt: skip
    facts = {
        "arm": cfg["arm"],
        "data": faces.name,
        "device": compute.device.type,
        "precision": compute.precision,
        "params": sum(note["params"][net] for note in notes for net in note["params"]),
        "test_faces": len(faces.test),
    }
    write_json(metrics, {**facts, "rows": rows})


def parser_of(cfg: Cfg, weights: Tensors, usual: Tensor, compute: Compute) -> Parser:
    """The nets of one seed as they are used."""
    nets = {}
    for net in dict.fromkeys(name.partition("/")[0] for name in weights):
        model = net_of(cfg, net)
        model.load_state_dict(below(net, weights))
        nets[net] = compute.place(model).eval()
    return Parser(nets, cfg["sides"][FACE], cfg["sides"], usual, cfg["centre"], compute.device)


def parsed(parser: Parser, faces: Splits, cfg: Cfg, compute: Compute) -> dict[str, Any]:
    """What is measured of one seed."""
    side, true = faces.test.images.shape[1], centres_of(faces.test.labels, parser.centre)
    with torch.no_grad(), compute.autocast():
        leaning = best_leaning(parser, faces.val)
        probabilities = first_stage_of(parser, faces.test)
        centres = parser.locate(probabilities, side)
        found = {"one_stage": torch.cat([parser.enlarged(some, side, leaning) for some in probabilities.split(BATCH)])}
        if len(parser.nets) > 1:
            others = replace(parser, centre=CENTRES[parser.centre]).locate(probabilities, side)
            ways = {"two_stage": centres, "true_crops": true, "other_centre": others}
            found |= {way: in_crops(parser, faces.test, where) for way, where in ways.items()}
    of_ways = {way: measured(faces.test, labels) for way, labels in found.items()}
    return {**of_ways, "centres": found_centres(centres, true, near_of(cfg)), "leaning": leaning}


def first_stage_of(parser: Parser, faces: Faces) -> Tensor:
    """The first stage's probabilities, (N, 9, S, S)."""
    return torch.cat([parser.first_stage(some).cpu() for some in faces.images.split(BATCH)])


def in_crops(parser: Parser, faces: Faces, centres: Tensor) -> Tensor:
    """Labels by the second stage, (N, H, H)."""
    pairs = zip(faces.images.split(BATCH), centres.split(BATCH), strict=True)
    return torch.cat([parser.second_stage(images, some) for images, some in pairs])


def best_leaning(parser: Parser, val: Faces) -> float:
    """What makes F of all parts largest on validation faces.

    The first stage is trained on parts that are rounded up in the reduced face, so that it finds thin ones; enlarged as
    it is, its labels would be too thick. The author's code, too, shifts the background of what its nets say.
    """
    side = val.images.shape[1]
    large = [
        foremost(F.interpolate(some, size=(side, side), mode="bilinear"))
        for some in first_stage_of(parser, val).split(BATCH)
    ]
    of_all = {
        leaning: measured(val, torch.cat([lean(*some, leaning) for some in large]))["overall"] or 0.0
        for leaning in LEANINGS
    }
    return max(of_all, key=lambda leaning: of_all[leaning])


def measured(faces: Faces, found: Tensor) -> dict[str, float | None]:
    """F of each part and all readings of the whole, counts pooled over faces.

    Also the mean over `THIN` and over `THICK` parts, and the least of the columns of the paper's table.
    """
    measures = f_measures(confusion(faces.labels, found))

    def mean(parts: Sequence[str]) -> float:
        return sum(measures[name] or 0.0 for name in parts) / len(parts)

    least = min(measures[name] or 0.0 for name in COLUMNS)
    return measures | {"thin": mean(THIN), "thick": mean(THICK), "least": least}


def centres_of(labels: Tensor, how: str) -> Tensor:
    """True centres, (N, 6, 2)."""
    return torch.cat([part_centres(some, how) for some in labels.split(BATCH)])


def near_of(cfg: Cfg) -> float:
    """How far a centre may be from the true one, in pixels of the face."""
    return float(cfg["near"] * cfg["faces"]["side"] / cfg["sides"][FACE])


def found_centres(found: Tensor, true: Tensor, near: float) -> dict[str, float | None]:
    """Of the parts that there are: the share whose centre is near, the mean distance in pixels, the share not found."""
    is_there = ~true.isnan().any(2)
    distance = (found - true).norm(dim=2)[is_there]
    missed = distance.isnan()
    return {
        "near": float((distance <= near).double().mean()),
        "distance": None if missed.all() else float(distance[~missed].mean()),
        "missed": float(missed.double().mean()),
    }


if __name__ == "__main__":
    main(evaluate)
