"""Draws parsed faces: the way through both stages, and what one and two stages make of several faces."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

from tenfold.data.faces import BACKGROUND, PARTS
from tenfold.launcher import Cfg, Input, Job, Outputs, main, stage
from tenfold.papers.icnn_face_parsing.colours import Pixels, coloured
from tenfold.report.face import Data, Face
from tenfold.report.figures import add_note, new_figure, save_figure

FEW_COLOURS = 128  # of pictures in the figure of both stages
MAPS = {"labels": "truth", "one_stage": "one stage", "two_stages": "two stages"}
COLOURS_NOTE = (
    "Brows blue, eyes orange (the image's left side darker), nose green, lips pink and plum, inner mouth yellow"
)


@stage
def draw_faces(cfg: Cfg, job: Job, *, shown: Input, stages: Outputs, faces: Outputs) -> None:
    """Both figures, each with the pixels of each part behind it as CSV."""
    with safe_open(shown, framework="numpy") as file:
        facts = json.loads(file.metadata()["tenfold"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    face = Face(cfg["edition"], Data(**cfg["shown"]), 1, "cpu", "fp32")
    draw_stages(arrays, facts["crops"], face, stages)
    draw_grid(arrays, face, faces)
    job.say(f"{len(arrays['images'])} faces")


def draw_stages(arrays: dict[str, NDArray[Any]], crops: list[tuple[str, int]], face: Face, paths: Outputs) -> None:
    """The pipeline: a face, reduced and labelled, then its crops, and these put together."""
    labels = arrays["two_stages"][0]
    image, reduced = with_few_colours([arrays["images"][0], arrays["reduced"][0]])
    painted = np.where((labels == BACKGROUND)[..., None], image, coloured(labels))
    above = {
        f"face, {len(image)} pixels": image,
        f"reduced to {len(arrays['found'][0])}": reduced,
        "stage 1": coloured(arrays["found"][0]),
        "stage 1 enlarged": coloured(arrays["one_stage"][0]),
        "stage 2 put together": coloured(labels),
        "truth": coloured(arrays["labels"][0]),
    }
    below = {
        f"{name}, {side}": cropped(painted, centre, side)
        for (name, side), centre in zip(crops, arrays["centres"][0], strict=True)
    }
    figure, panels = new_figure("A face through both stages", face, rows=2, columns=6, size=(9.0, 4.0))
    for axes, (title, picture) in zip(panels, [*above.items(), *below.items()], strict=True):
        show_picture(axes, picture, title)
    add_note(figure, "Below: crops of the original around the centres that stage 1 gives, with the labels of stage 2")
    add_note(figure, COLOURS_NOTE)
    maps = {"stage 1": arrays["found"][:1], **{title: arrays[name][:1] for name, title in MAPS.items()}}
    save_figure(figure, pixels_of(maps), paths)


def draw_grid(arrays: dict[str, NDArray[Any]], face: Face, paths: Outputs) -> None:
    """Faces side by side: the picture, the truth, and what one and two stages make of it."""
    n = len(arrays["images"])
    size = (max(4.5, 0.95 * n + 0.4), 5.0)
    figure, panels = new_figure("Test faces by one and by two stages", face, rows=4, columns=n, size=size)
    rows = {"face": arrays["images"], **{title: coloured(arrays[name]) for name, title in MAPS.items()}}
    for row, (title, pictures) in enumerate(rows.items()):
        for column, picture in enumerate(pictures):
            show_picture(panels[row * n + column], picture)
        panels[row * n].set_ylabel(title, fontsize=8)
    add_note(figure, COLOURS_NOTE)
    save_figure(figure, pixels_of({title: arrays[name] for name, title in MAPS.items()}), paths)


def show_picture(axes: Axes, picture: Pixels, title: str = "") -> None:
    """A picture without axes, pixel by pixel."""
    axes.imshow(picture, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    if title:
        axes.set_title(title, fontsize=8)


def cropped(image: Pixels, centre: NDArray[Any], side: int) -> Pixels:
    """A square of a picture, black where there is none, as ``pipeline.crop`` cuts it."""
    padded = np.pad(image, [(side, side), (side, side), (0, 0)])
    top, left = np.rint(centre).astype(int) + side - side // 2
    crop: Pixels = padded[top : top + side, left : left + side]
    return crop


def with_few_colours(pictures: list[Pixels]) -> list[Pixels]:
    """The same pictures with few colours, so that those of label maps are kept in a figure's palette of 256."""
    ends = np.cumsum([picture[..., 0].size for picture in pictures])[:-1]
    whole = Image.fromarray(np.concatenate([picture.reshape(-1, 3) for picture in pictures])[None])
    reduced = np.asarray(whole.quantize(FEW_COLOURS).convert("RGB"))[0]
    parts = np.split(reduced, ends)
    return [part.reshape(picture.shape) for part, picture in zip(parts, pictures, strict=True)]


def pixels_of(maps: dict[str, Pixels]) -> pd.DataFrame:
    """How many pixels each part has in each map of each face."""
    return pd.DataFrame(
        {"face": face, "map": title, "part": name, "pixels": int((labels == part).sum())}
        for title, many in maps.items()
        for face, labels in enumerate(many)
        for part, name in enumerate(PARTS)
    )


if __name__ == "__main__":
    main(draw_faces)
