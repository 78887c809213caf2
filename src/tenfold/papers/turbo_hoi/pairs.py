"""What annotations alone tell of interactions: no image is seen, boxes and kinds of objects are given.

Annotated pairs of a person and an object are ranked for each action, by how often the action goes with such an object,
and by where the object is. That is no detection, and no number of the paper's: every pair is one that interacts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tenfold.data import hicodet, vcoco
from tenfold.data.prepare_interactions import read_pairs
from tenfold.files import write_json
from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.measure.average_precision import all_points
from tenfold.papers.turbo_hoi.method import density, encode

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of a person and an object, N of them, each once.

    Attributes:
        offsets: where the object is, as the method encodes it (N, 4).
        things: what it is (N,).
        does: which of A actions the person does with it (N, A).
    """

    offsets: Floats
    things: NDArray[np.int64]
    does: NDArray[np.bool_]


@stage
def pairs(cfg: Cfg, job: Job, *, data: Inputs, pairs: Output) -> None:
    """Ranks the test pairs of each dataset.

    Args:
        cfg: ``names`` of the datasets.
        job: what surrounds the run.
        data: prepared annotations, in the same order.
        pairs: JSON; of each dataset its ``counts``, how many pairs were ``fitted`` and ``tested``, and for each of
            `PREDICTORS` the mean over actions of the average precision, in [0, 1].
    """
    found = []
    for name, path in zip(cfg["names"], data, strict=True):
        counts, known, asked = READERS[name](path)
        scores = {title: mean_precision(predict(known, asked), asked.does) for title, predict in PREDICTORS.items()}
        found.append(
            {"data": name, "counts": counts, "fitted": len(known.things), "tested": len(asked.things), **scores}
        )
        job.say(f"{name}: " + ", ".join(f"{title} {value:.4f}" for title, value in scores.items()))
    write_json(pairs, found)


# Datasets ---------------------------------------------------------------------------------------------------------


def of_vcoco(path: Path) -> tuple[dict[str, int], Pairs, Pairs]:
    """V-COCO, fitted on the pairs of train and val."""
    splits = read_pairs(path, vcoco.Pairs)
    counts = {f"images, {name}": len(split.image_ids) for name, split in splits.items()}
    counts |= {f"pairs, {name}": len(split.image) for name, split in splits.items()}
    counts |= {"roles": len(splits["test"].role_names)}
    parts = {name: each_once(one.image, one.humans, one.objects, one.things, one.roles, len(one.role_names))
             for name, one in splits.items()}  # fmt: skip
    known = [np.concatenate([getattr(parts[name], key) for name in ("train", "val")])
             for key in ("offsets", "things", "does")]  # fmt: skip
    return counts, Pairs(*known), parts["test"]


def of_hicodet(path: Path) -> tuple[dict[str, int], Pairs, Pairs]:
    """HICO-DET's test set, fitted on the pairs of every other image, for its training set was not at hand."""
    test = read_pairs(path, hicodet.Pairs)["test"]
    things, verbs = (sorted({triple[place] for triple in test.triples}) for place in (0, 1))
    thing_of = np.array([things.index(thing) for thing, _ in test.triples])
    verb_of = np.array([verbs.index(verb) for _, verb in test.triples])
    counts = {
        "images": len(test.images), "pairs": len(test.image), "classes": len(test.triples),
        "rare classes": len(test.rare), "objects": len(things), "verbs": len(verbs),
    }  # fmt: skip
    halves = []
    for half in (0, 1):
        own = test.image % 2 == half
        halves.append(each_once(test.image[own], test.humans[own], test.objects[own], thing_of[test.classes[own]],
                                verb_of[test.classes[own]], len(verbs)))  # fmt: skip
    return counts, halves[0], halves[1]


READERS: dict[str, Callable[[Path], tuple[dict[str, int], Pairs, Pairs]]] = {
    "v-coco-pairs": of_vcoco,
    "hicodet": of_hicodet,
}


def each_once(
    image: NDArray[np.int64],
    humans: Floats,
    objects: Floats,
    things: NDArray[np.int64],
    actions: NDArray[np.int64],
    count: int,
) -> Pairs:
    """Pairs that are listed once for each action, (N, ...), as pairs with all of their ``count`` actions."""
    listed = np.column_stack([image, things, humans, objects])
    unique, place = np.unique(listed, axis=0, return_inverse=True)
    does = np.zeros((len(unique), count), bool)
    does[place.reshape(-1), actions] = True
    corners = torch.from_numpy(unique[:, 2:])
    size = torch.tensor([0, 0, 1, 1])  # the last pixel belongs to a box
    return Pairs(encode(corners[:, :4] + size, corners[:, 4:] + size).numpy(), unique[:, 1].astype(np.int64), does)


# Predictors -------------------------------------------------------------------------------------------------------


def by_object(known: Pairs, asked: Pairs) -> Floats:
    """How often each action goes with such an object, one more of each kind being assumed: (N, A)."""
    kinds = max(known.things.max(), asked.things.max()) + 1
    counts = np.zeros((kinds, known.does.shape[1]))
    np.add.at(counts, known.things, known.does)
    often = known.does.mean(0)
    seen = np.bincount(known.things, minlength=kinds)[:, None]
    likely: Floats = (counts + often) / (seen + 1)
    return likely[asked.things]


def by_object_and_density(known: Pairs, asked: Pairs) -> Floats:
    """The same, times the method's density around the mean place of each action's object."""
    means = np.stack([known.offsets[does].mean(0) if does.any() else np.zeros(4) for does in known.does.T])
    near = density(torch.from_numpy(asked.offsets)[:, None], torch.from_numpy(means)).numpy()
    return by_object(known, asked) * near


def by_object_and_place(known: Pairs, asked: Pairs) -> Floats:
    """The same, times how much likelier its place is with the action than at all, both normally distributed."""
    log = np.log(by_object(known, asked))
    of_all = log_normal(known.offsets, asked.offsets)
    for action, does in enumerate(known.does.T):
        if does.sum() > MANY:
            log[:, action] += log_normal(known.offsets[does], asked.offsets) - of_all
    return log


MANY = 10  # pairs of an action, from which on a distribution is fitted


def log_normal(known: Floats, asked: Floats) -> Floats:
    """The logarithm of the normal density that fits places (N, 4), at others (M, 4)."""
    covariance = np.cov(known.T) + 1e-3 * np.eye(4)
    away = asked - known.mean(0)
    square = (away @ np.linalg.inv(covariance) * away).sum(1)
    density: Floats = -0.5 * (square + math.log(np.linalg.det(covariance)) + 4 * math.log(2 * math.pi))
    return density


def by_chance(known: Pairs, asked: Pairs) -> Floats:
    """How often each action is done at all."""
    return np.broadcast_to(known.does.mean(0), asked.does.shape)


PREDICTORS: dict[str, Callable[[Pairs, Pairs], Floats]] = {
    "chance": by_chance,
    "object": by_object,
    "object_density": by_object_and_density,
    "object_place": by_object_and_place,
}


def mean_precision(scores: Floats, does: NDArray[np.bool_]) -> float:
    """The mean over actions, of those that somebody does, of the average precision of the ranking."""
    found = [precision(scores[:, action], does[:, action]) for action in range(does.shape[1]) if does[:, action].any()]
    return sum(found) / len(found)


def precision(scores: Floats, right: NDArray[np.bool_]) -> float:
    """The average precision of one ranking, expected over the orders of equal scores where all are equal."""
    if (scores == scores[0]).all():
        return float(right.mean())
    return all_points(right[np.argsort(-scores, kind="stable")], int(right.sum()))


if __name__ == "__main__":
    main(pairs)
