"""Looks at videos of one's own: features of frames and of motion, by torchvision's nets with weights that are brought.

The paper's static net is ResNeXt-101 (64x4d) of ImageNet, its dynamic one ECO of Kinetics, whose weights are of Caffe;
torchvision has no ECO, and another net takes its place [choice]. Frames are prepared as torchvision does for each net.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from tenfold.data.captions import KINDS, SPLITS, Captions, Split, write
from tenfold.data.videos import frames_of
from tenfold.errors import UserError
from tenfold.fetch import folder_of
from tenfold.files import sha256
from tenfold.launcher import Cfg, Job, Output, main, stage
from tenfold.progress import Progress
from tenfold.registry import dataset as entry_of
from tenfold.training.compute import Compute, start
from tenfold.weights import Tensors, load_weights

SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif")
CLIPS_A_PART = 50  # after which what was seen is kept, should the job be stopped

Net = Callable[[Tensor], Tensor]


@stage
def look(cfg: Cfg, job: Job, *, dataset: Output) -> None:
    """Writes the prepared file of a dataset of videos: captions, and the features of each clip.

    Args:
        cfg: ``dataset``, as ``registry.cfg_of`` gives it, with ``frames`` (how many are looked at) and the names of the
            nets, ``static`` and ``dynamic``.
        job: what surrounds the run.
        dataset: the prepared file.

    Raises:
        UserError: captions, videos or weights are missing, or are none.
    """
    name, settings = cfg["dataset"]["name"], cfg["dataset"]["prepare"]
    folder = folder_of(entry_of(name), "train.txt")
    captions = {split: captions_in(folder / f"{split}.txt") for split in SPLITS}
    clips = [clip for of_split in captions.values() for clip in of_split]
    files = videos_of(folder, clips)
    weights = {kind: weights_in(folder / "nets", kind) for kind in KINDS}
    compute = start({"precision": "fp32"}, job)
    nets = {kind: net_of(settings[kind], path, compute) for kind, path in weights.items()}
    job.identity |= {kind: sha256(path) for kind, path in weights.items()}
    progress = Progress(job)
    parts = range(0, len(clips), CLIPS_A_PART)
    for first in progress.remaining(parts):
        job.say(f"looking at {folder}: {first} of {len(clips)} videos")
        seen = [look_at(files[clip], nets, settings["frames"]) for clip in clips[first : first + CLIPS_A_PART]]
        progress.finish(first, None, {kind: torch.stack([of_clip[kind] for of_clip in seen]) for kind in KINDS})
    splits, done = {}, 0
    for split, of_split in captions.items():
        rows = slice(done, done + len(of_split))
        features = {kind: torch.cat([progress.weights[part][kind] for part in parts])[rows].numpy() for kind in KINDS}
        splits[split], done = Split(list(of_split.values()), features=features), rows.stop
    write(dataset, Captions(name, splits))
    job.say(f"{name}: prepared here: sha256 {sha256(dataset)}; after a change of videos, remove {dataset}")


@torch.no_grad()
def look_at(path: Path, nets: dict[str, Net], frames: int) -> Tensors:
    """What both nets see of one video: the mean over its frames, and the clip as a whole; float32 (width,) each."""
    pictures = frames_of(path, frames)
    size = pictures[0].size  # which may change within a video
    shown = torch.from_numpy(np.stack([np.asarray(picture.resize(size)) for picture in pictures])).permute(0, 3, 1, 2)
    return {"static": nets["static"](shown).mean(0), "dynamic": nets["dynamic"](shown[None])[0]}


def net_of(name: str, weights: Path, compute: Compute) -> Net:
    """What one of torchvision's nets sees of pictures as they are, uint8, before its last layer.

    Raises:
        UserError: these are no weights of it.
    """
    net = get_model(name)
    try:
        net.load_state_dict(read_weights(weights))
    except RuntimeError as error:
        flaw = str(error).splitlines()[1].strip()
        raise UserError(f"{weights}: are no weights of {name}: {flaw[:200]}") from None
    net.fc = nn.Identity()
    net = net.eval().to(compute.device)
    prepare = get_model_weights(name).DEFAULT.transforms()
    return lambda pictures: net(prepare(pictures).to(compute.device)).cpu()


def read_weights(path: Path) -> Tensors:
    """Named tensors of a safetensors file, or of a checkpoint of torch, of which nothing but tensors is unpickled.

    Raises:
        UserError: it is neither.
    """
    try:
        if path.suffix == ".safetensors":
            return load_weights(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        raise UserError(f"{path}: is no file of weights (safetensors, or tensors alone saved by torch)") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path}: has no named tensors; needed is a state_dict, as torchvision's files are")
    return found


def weights_in(folder: Path, kind: str) -> Path:
    """The weights of one net.

    Raises:
        UserError: there are none.
    """
    places = [folder / f"{kind}{suffix}" for suffix in (".safetensors", ".pth")]
    for path in places:
        if path.is_file():
            return path
    raise UserError(
        f"{places[0]} is not here, nor {places[1].name}: weights of the net that config/datasets.yaml names as {kind}, "
        f"such as torchvision gives"
    )


def captions_in(path: Path) -> dict[str, list[list[str]]]:
    """Captions of each clip, in the order of the file.

    Raises:
        UserError: there is no such file, or a line has another form.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no text in UTF-8") from None
    found: dict[str, list[list[str]]] = {}
    for number, line in enumerate(lines, start=1):
        clip, tab, text = line.partition("\t")
        if not (tab and clip and text.split()):
            raise UserError(f"{path}, line {number}: '{line}' is not '<clip><tab><caption>'")
        found.setdefault(clip, []).append(text.lower().split())
    if not found:
        raise UserError(f"{path}: has no captions")
    return found


def videos_of(folder: Path, clips: list[str]) -> dict[str, Path]:
    """The file of each clip.

    Raises:
        UserError: a clip has no file, or two, or is in two splits.
    """
    if twice := [clip for clip, times in Counter(clips).items() if times > 1]:
        raise UserError(f"{folder}: {twice[0]} is in two of {', '.join(f'{split}.txt' for split in SPLITS)}")
    names = dict(_names(folder / "names.txt"))
    files: dict[str, Path] = {}
    for path in sorted((folder / "videos").glob("*")):
        if path.suffix.lower() in SUFFIXES:
            clip = names.get(path.stem, path.stem)
            if clip in files:
                raise UserError(f"{path}: is of clip {clip}, as {files[clip].name} is")
            files[clip] = path
    if missing := [clip for clip in clips if clip not in files]:
        raise UserError(
            f"{folder / 'videos'}: has no video of {missing[0]} ({len(missing)} of {len(clips)} have none); looked "
            f"for {', '.join(SUFFIXES)}"
        )
    return files


def _names(path: Path) -> Iterator[tuple[str, str]]:
    """The clip of each video that has another name."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        video, _, clip = line.strip().rpartition(" ")
        yield video, clip


if __name__ == "__main__":
    main(look)
