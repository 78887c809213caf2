"""Finds the profiles of each seed's training pieces, and how good other numbers of profiles would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tenfold.data.melodies import Events, load
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.melody.profiles import assign, clips, elbow, fit
from tenfold.papers.melody.split import split


@stage
def cluster(cfg: Cfg, job: Job, *, data: Input, profiles: Output) -> None:
    """Writes for each seed its division of the corpus, and for beats and bars their profiles and the elbow curve.

    Args:
        cfg: ``seeds``, ``corpus``, ``profiles`` (numbers of profiles, ``swaps``, numbers of the ``elbow`` curve).
        job: what surrounds the run.
        data: the corpus.
        profiles: rows of ``seed``, ``split`` (indices of pieces), and for ``beat`` and ``bar`` the ``centres``, the
            ``counts`` of clips that have each, and the ``elbow``: ``k`` and ``inertia``, the mean squared distance to
            the profile.
    """
    corpus = load(data)
    rows = []
    for seed in cfg["seeds"]:
        parts = split(corpus.pieces, **cfg["corpus"], seed=seed)
        fitted = [corpus.pieces[i] for i in parts.train]
        found = {layer: profiles_of(fitted, layer, cfg["profiles"], seed) for layer in ("beat", "bar")}
        rows.append({"seed": seed, "split": asdict(parts), **found})
        job.say(f"seed {seed}: {len(parts.train)}, {len(parts.validation)} and {len(parts.test)} pieces to train on, "
                f"validate and test")  # fmt: skip
    write_json(profiles, {"data": corpus.name, "dropped": corpus.dropped, "rows": rows})


def profiles_of(pieces: Sequence[Events], layer: str, settings: Cfg, seed: int) -> dict[str, Any]:
    """The profiles of one layer, and the elbow curve."""
    rhythms = clips(pieces, layer)
    centres = fit(rhythms, settings[layer], settings["swaps"], seed)
    curve = elbow(rhythms, settings["elbow"][layer], settings["swaps"], seed)
    return {
        "centres": centres.tolist(),
        "counts": np.bincount(assign(rhythms, centres), minlength=len(centres)).tolist(),
        "elbow": [{"k": k, "inertia": inertia} for k, inertia in curve.items()],
    }


if __name__ == "__main__":
    main(cluster)
