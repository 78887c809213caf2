"""Keeps the trained nets of one seed as one file that parses faces without anything else, and reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from tenfold.errors import UserError
from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.icnn_face_parsing.faces import read_faces
from tenfold.papers.icnn_face_parsing.pipeline import FOREGROUND, PARTS, Parser, usual_places
from tenfold.papers.icnn_face_parsing.train import net_of
from tenfold.weights import below, load_weights, save_weights

USUAL = "usual"
MOST_PIXELS = 4096  # of a side that a file may ask for


@stage
def keep(cfg: Cfg, job: Job, *, data: Input, weights: Inputs, parser: Output) -> None:
    """Writes the nets of both stages of one seed, in half precision.

    Args:
        cfg: ``seed``; ``faces``, ``sides``, ``widths``, ``form`` as ``train`` has them; ``centre``.
        job: what surrounds the run.
        data: the prepared faces.
        weights: what ``train`` wrote of both stages.
        parser: ``<net>/<weight>``, and where parts usually are; with what nets and pictures must be like.
    """
    faces = read_faces(cfg["faces"], data)
    nets = {name: t for path in weights for name, t in below(f"seed{cfg['seed']}", load_weights(path)).items()}
    facts = {key: cfg[key] for key in ("sides", "widths", "form", "centre")}
    kept = {name: tensor.half() for name, tensor in nets.items()} | {USUAL: usual_places(faces.train.labels)}
    save_weights(parser, kept, {**facts, "data": faces.name, "side": faces.train.images.shape[1]})
    job.say(f"{sum(tensor.numel() for tensor in nets.values())} weights of seed {cfg['seed']}")


def read_parser(path: Path) -> tuple[Parser, int, str]:
    """A parser on the CPU, the side of the faces that it was trained on, in pixels, and the name of their dataset.

    Raises:
        UserError: the file is not there, or not what ``keep`` writes.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; weights are what the rule icnn_face_parsing_keep makes")
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {})["tenfold"])
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
        if max(facts["side"], *facts["sides"].values(), *facts["widths"]) > MOST_PIXELS:
            raise ValueError("too large")
        nets: dict[str, nn.Module] = {name: net_of(facts, name) for name in FOREGROUND}
        for name, net in nets.items():
            net.load_state_dict(below(name, weights))
            net.eval()
        usual = weights[USUAL].view(len(PARTS), 2)
        parser = Parser(nets, facts["sides"]["face"], facts["sides"], usual, facts["centre"], torch.device("cpu"))
        return parser, int(facts["side"]), str(facts["data"])
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError, AttributeError):
        raise UserError(
            f"{path}: these are not the weights of a face parser, as icnn_face_parsing_keep writes them"
        ) from None


if __name__ == "__main__":
    main(keep)
