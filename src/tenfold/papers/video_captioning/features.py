"""What is seen of clips: static features of single frames, dynamic ones of the differences between frames.

The paper takes them from two large nets that were trained on other data (ResNeXt-101 on ImageNet, ECO on Kinetics).
Small ones with random weights stand in for these [choice]: a convolution sees patterns, whatever its weights. Where a
dataset comes with features, as MSVD does, those are taken.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold.data.captions import load
from tenfold.errors import UserError
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.video_captioning.clips import read_clips, read_words
from tenfold.training.compute import start

FRAMES_AT_ONCE, CLIPS_AT_ONCE = 200, 20
BRIGHTEST = 3 * 120  # of a grey frame: what all colours of the stand-in add up to


class FrameNet(nn.Module):
    """Two convolutions of colour frames and the mean over all places: (N, 3, H, W) -> (N, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _random(nn.Conv2d(3, width // 2, 5, padding=2))
        self.second = _random(nn.Conv2d(width // 2, width, 3, padding=1))

    def forward(self, frames: Tensor) -> Tensor:
        """Features of frames with values in about [-1, 1]."""
        hidden = F.max_pool2d(F.relu(self.first(frames)), 2)
        return F.relu(self.second(hidden)).mean((2, 3))


class DifferenceNet(nn.Module):
    """Two convolutions in time and space of differences, and the mean over all of it: (N, 1, T, H, W) -> (N, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _random(nn.Conv3d(1, width // 2, (3, 7, 7), padding=(1, 3, 3)))
        self.second = _random(nn.Conv3d(width // 2, width, 3, padding=1))

    def forward(self, differences: Tensor) -> Tensor:
        """Features of absolute differences of grey frames in [0, 1]."""
        hidden = F.avg_pool3d(F.relu(self.first(differences)), (1, 2, 2))
        return F.relu(self.second(hidden)).mean((2, 3, 4))


def _random(layer: nn.Conv2d | nn.Conv3d) -> nn.Conv2d | nn.Conv3d:
    """A layer with orthogonal kernels and small biases."""
    nn.init.orthogonal_(layer.weight, gain=1.5)
    assert layer.bias is not None
    nn.init.uniform_(layer.bias, -0.3, 0.3)
    return layer


@torch.no_grad()
def static_features(net: nn.Module, frames: NDArray[np.uint8], every: int) -> Tensor:
    """The mean over every so many frames of a clip: uint8 (N, T, H, W, 3) -> (N, width)."""
    pixels = torch.from_numpy(frames[:, ::every]).flatten(0, 1).permute(0, 3, 1, 2)
    parts = [net(part.float() / 127.5 - 0.3) for part in pixels.split(FRAMES_AT_ONCE)]
    return torch.cat(parts).view(len(frames), -1, parts[0].shape[1]).mean(1)


@torch.no_grad()
def dynamic_features(net: nn.Module, frames: NDArray[np.uint8]) -> Tensor:
    """Of the absolute differences of grey frames, which know no colour: uint8 (N, T, H, W, 3) -> (N, width)."""
    grey = torch.from_numpy(frames).sum(4, dtype=torch.int32)
    differences = (grey[:, 1:] - grey[:, :-1]).abs()[:, None]
    return torch.cat([net(part.float() / BRIGHTEST) for part in differences.split(CLIPS_AT_ONCE)])


@stage
def features(cfg: Cfg, job: Job, *, data: Input, words: Input, features: Output) -> None:
    """Features of all clips, the same for all seeds, as those of the paper's nets are.

    Args:
        cfg: ``proxy``; of nets ``width``, ``seed``, ``every`` (frames between those that are looked at).
        job: what surrounds the run.
        data: the prepared dataset.
        words: the tags.
        features: ``train/static`` and so on, float32 (N, width). Without videos ``train/tags``: which tags occur in the
            half of captions that may be told, and these take the place of features as well.
    """
    start({"device": "cpu", "precision": "fp32"}, job)
    found: dict[str, Tensor] = {}
    if cfg["proxy"]:
        tags = read_words(words)
        for name, clips in read_clips(data, proxy=True).items():
            found[f"{name}/tags"] = tags.present(clips.told)
    else:
        torch.manual_seed(cfg["nets"]["seed"])
        of_frames, of_differences = FrameNet(cfg["nets"]["width"]), DifferenceNet(cfg["nets"]["width"])
        for name, split in load(data).splits.items():
            job.say(f"{name}: {len(split)} clips")
            if split.features:
                found |= {f"{name}/{kind}": torch.from_numpy(values) for kind, values in split.features.items()}
                continue
            if split.frames is None:
                raise UserError(f"{cfg['data']['name']} has no videos; set proxy to true (config/papers)")
            found[f"{name}/static"] = static_features(of_frames, split.frames, cfg["nets"]["every"])
            found[f"{name}/dynamic"] = dynamic_features(of_differences, split.frames)
    save_file(found, features)


if __name__ == "__main__":
    main(features)
