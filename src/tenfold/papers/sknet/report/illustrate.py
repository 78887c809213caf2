"""Draws the attention of a trained net on single photographs, as the paper's Figure 3 (a) and (b) do.

An illustration for one's own eyes: the photographs are ImageNet's, so what shows them stays below ``private/``.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from tenfold.data.splits import averaged, scaling
from tenfold.fetch import folder_of
from tenfold.launcher import Cfg, Inputs, Job, Outputs, main, stage
from tenfold.papers.sknet.attend import read_units, zoomed
from tenfold.papers.sknet.nets import build_net
from tenfold.papers.sknet.report.figures import draw_bars_with_deviation, times
from tenfold.registry import dataset
from tenfold.report.face import Data, Face
from tenfold.report.figures import draw_curves, new_figure, save_figure
from tenfold.training.compute import Compute, start
from tenfold.training.photos import central_view
from tenfold.weights import below, load_weights

FOLDER, PHOTOGRAPHS = "imagenet-sample", "images/*.jpg"
SIDE = 224  # of a photograph's middle before it is shrunk to what the net was trained on


@stage
def illustrate(cfg: Cfg, job: Job, *, weights: Inputs, figure: Outputs) -> None:
    """Two photographs at three scales, the attention in one unit and D of all units; below, the mean of all.

    Args:
        cfg: ``net``, ``images`` (``pixels``, ``mean``, ``std``), ``seed`` and ``trained_on`` of the net, ``scales``.
        job: what surrounds the run.
        weights: what ``train`` wrote.
        figure: the picture, and the numbers behind it.

    Raises:
        UserError: the photographs are not here.
    """
    compute = start(cfg["compute"], job)
    net = build_net(cfg["net"])
    net.load_state_dict(below(f"seed{cfg['seed']}", load_weights(weights[0])))
    compute.place(net)
    files = sorted(folder_of(dataset(FOLDER), PHOTOGRAPHS).glob(PHOTOGRAPHS))
    photos = torch.stack([middle(file) for file in files])
    chosen = {file.stem.partition("_")[2].replace("_", " "): photos[index : index + 1] for index, file in
              enumerate(files[:2])}  # fmt: skip
    rows = chosen | {f"mean of {len(files)} photographs": photos}

    title = f"Attention on photographs (after Figure 3); a net that was trained on {cfg['trained_on']}"
    face = Face(cfg["edition"], Data(FOLDER), 1, compute.device.type, compute.precision)
    drawn, panels = new_figure(title, face, rows=3, columns=3, size=(10, 9))
    frames = []
    for number, (name, images) in enumerate(rows.items()):
        read = {scale: read_of(net, images, scale, cfg, compute) for scale in cfg["scales"]}
        curve, bars = frames_of(read, name)
        shown, left, right = panels[3 * number : 3 * number + 3]
        strip = torch.cat([zoomed(images[:1], scale) for scale in cfg["scales"]], dim=3)
        shown.set_axis_off()
        if len(images) == 1:
            shown.imshow(strip[0].permute(1, 2, 0).numpy())
            shown.set_title(", ".join(map(times, cfg["scales"])))
        draw_curves(left, curve, x="channels", y="value", arm="scale")
        left.set(title=name, xlabel="group of channels", ylabel=f"attention in {curve['unit'].iloc[0]}")
        draw_bars_with_deviation(right, bars, [times(scale) for scale in cfg["scales"]])
        right.tick_params(axis="x", labelsize=7)
        right.set(ylabel="D")
        frames += [curve, bars]
    save_figure(drawn, pd.concat(frames), figure)


def middle(file: Path) -> Tensor:
    """The middle of a photograph: uint8 (3, 224, 224)."""
    return torch.from_numpy(central_view(file.read_bytes(), SIDE * 8 // 7, SIDE).copy()).permute(2, 0, 1)


def read_of(net: torch.nn.Module, images: Tensor, scale: float, cfg: Cfg, compute: Compute) -> dict[str, Cfg]:
    """What the units do with photographs at a scale, shrunk to the size that the net was trained on."""
    small = averaged(zoomed(images, scale), cfg["images"]["pixels"])
    return read_units(net, [(small, torch.zeros(len(small)))], compute, scaling(cfg["images"]))


def frames_of(read: dict[float, dict[str, Cfg]], name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curve of the unit in the middle, and D of all units, at each scale."""
    units = list(next(iter(read.values())))
    unit = units[len(units) // 2]
    curve = pd.DataFrame(
        {"image": name, "what": "attention", "unit": unit, "scale": times(scale), "channels": point, "value": value}
        for scale, found in read.items()
        for point, value in enumerate(found[unit]["curve"])
    )
    bars = pd.DataFrame(
        {"image": name, "what": "difference", "unit": of, "scale": times(scale), "value": found[of]["difference"],
         "sd": found[of]["sd"]}
        for scale, found in read.items()
        for of in units
    )  # fmt: skip
    return curve, bars


if __name__ == "__main__":
    main(illustrate)
