"""Writes a caption of a video with a trained captioner: python -m tenfold.papers.video_captioning.caption FILE."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tenfold import config
from tenfold.data.videos import FORMATS, frames_of
from tenfold.errors import UserError
from tenfold.launcher import Cfg
from tenfold.papers.video_captioning.clips import read_words, standardised
from tenfold.papers.video_captioning.features import DifferenceNet, FrameNet, dynamic_features, static_features
from tenfold.papers.video_captioning.grid import variant_of
from tenfold.papers.video_captioning.method import TagNet, beam
from tenfold.papers.video_captioning.tag import probabilities
from tenfold.papers.video_captioning.train import build
from tenfold.training.compute import Compute
from tenfold.weights import Tensors, below, load_weights
from tenfold.workflow import seeds_wildcard

SLUG = "video-captioning"
FOR_VIDEOS = ("smoke", "small")
FRAMES, SIDE = 16, 32  # of the clips that their captioners were trained on


def main(argv: list[str] | None = None) -> None:
    """Says the caption; exit code 2 and one line for a file that cannot be captioned, or a model that is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help=f"a video ({', '.join(FORMATS)})")
    parser.add_argument("--edition", default="small", help="whose captioner; one that was trained here (small)")
    parser.add_argument("--arm", default="full", help="which captioner (full)")
    given = parser.parse_args(argv)
    try:
        print(caption(read_frames(given.file), given.edition, given.arm) or "(no words)")
    except UserError as error:
        print(f"tenfold: {error}", file=sys.stderr)
        sys.exit(2)


def read_frames(path: Path) -> NDArray[np.uint8]:
    """Sixteen frames at equal distances, 32 x 32 pixels: uint8 (16, 32, 32, 3).

    Raises:
        UserError: it is no video, or not whole.
    """
    frames = [frame.resize((SIDE, SIDE), Image.Resampling.BOX) for frame in frames_of(path, FRAMES)]
    return np.stack([np.asarray(frame) for frame in frames])


@torch.no_grad()
def caption(frames: NDArray[np.uint8], edition: str, arm: str) -> str:
    """The caption that the first seed's captioner writes, with a beam.

    Args:
        frames: uint8 (16, 32, 32, 3).
        edition: whose captioner.
        arm: which one.

    Raises:
        UserError: there is no such captioner, it was not trained here, or it has seen no videos.
    """
    settings = settings_of(edition, arm)
    variant, seed = variant_of(settings, arm), settings["seeds"][0]
    seeds = seeds_wildcard(settings["seeds"][: settings["seeds_per_job"]])
    folder = Path("runs", edition, SLUG, "private")
    weights = folder / "weights" / arm / f"{seeds}.safetensors"
    words, train, told, trained = (
        _trained(path, weights)
        for path in (
            folder / "words" / f"{variant['vocabulary']}.json",
            folder / "features.safetensors",
            folder / "tags" / variant["net"] / f"{seeds}.safetensors",
            weights,
        )
    )
    seen = seen_in(frames, settings["features"])
    of_net = below(f"seed{seed}/{variant['tags_after']}/net", load_weights(told))
    looks_at = settings["tag_nets"][variant["net"]]["features"]
    z, z_of_tags = (as_trained(load_weights(train), seen, which) for which in (variant["features"], looks_at))
    tag_net = TagNet(z_of_tags.shape[1], settings["tag_net"]["hidden"], len(of_net["last.bias"]))
    tag_net.load_state_dict(of_net)
    s = probabilities(tag_net, z_of_tags, Compute(torch.device("cpu"), "fp32"))
    vocabulary = read_words(words)
    net = build(settings["net"], vocabulary, s.shape[1], z.shape[1], variant["tags"]).eval()
    net.load_state_dict(below(f"seed{seed}", load_weights(trained)))
    (numbers,) = beam(net, z, s, settings["decode"]["beam"], settings["decode"]["steps"])
    return " ".join(vocabulary.decode(numbers))


def settings_of(edition: str, arm: str) -> Cfg:
    """The settings of an edition whose captioners have seen frames.

    Raises:
        UserError: there is no such edition or captioner, or it has seen none.
    """
    if edition not in FOR_VIDEOS:
        raise UserError(
            f"--edition: '{edition}' has no captioner that has seen frames; allowed: {', '.join(FOR_VIDEOS)}"
        )
    settings = config.paper(SLUG).editions[edition]
    if arm not in (known := [name for name in settings["captioners"] if name != "mean-tags"]):
        raise UserError(f"--arm: '{arm}' is no captioner of {edition}; allowed: {', '.join(known)}")
    return settings


def _trained(path: Path, wanted: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} is not here: train the captioner first, with `snakemake {wanted}`")
    return path


def seen_in(frames: NDArray[np.uint8], settings: Cfg) -> Tensors:
    """Features of one clip, as the stage ``features`` has them."""
    torch.manual_seed(settings["seed"])
    of_frames, of_differences = FrameNet(settings["width"]), DifferenceNet(settings["width"])
    return {
        "static": static_features(of_frames, frames[None], settings["every"]),
        "dynamic": dynamic_features(of_differences, frames[None]),
    }


def as_trained(train: Tensors, seen: Tensors, which: str) -> Tensor:
    """Features of one clip, standardised as those of the training clips are."""
    kinds = ["static", "dynamic"] if which == "both" else [which]
    known = torch.cat([train[f"train/{kind}"] for kind in kinds], 1)
    return standardised({"train": known, "clip": torch.cat([seen[kind] for kind in kinds], 1)})["clip"]


if __name__ == "__main__":
    main()
