"""Draws where groups light up, before and behind SGE, from the lengths that ``examine maps`` wrote."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tenfold.files import read_json
from tenfold.launcher import Cfg, Input, Job, Outputs, main, stage
from tenfold.report.face import Data, Face
from tenfold.report.figures import GREYS, new_figure, save_figure


@stage
def draw_maps(cfg: Cfg, job: Job, *, lit: Input, figure: Outputs) -> None:
    """The paper's Figure 2: one row for each image; for each group the image, its lengths before and behind the gates.

    Each map is stretched to its own smallest and largest length.
    """
    found = read_json(lit)
    pixels = np.array(found["pixels"], dtype=np.uint8)
    rows, columns = len(pixels), 3 * len(found["groups"])
    shown = Face(cfg["edition"], Data(**cfg["shown"]), 1, found["device"], found["precision"])
    title = f"Lengths of groups before and behind SGE, stage {cfg['stage']} (Figure 2)"
    drawing, panels = new_figure(
        title, shown, rows=rows, columns=columns, size=(0.85 * columns + 0.6, 0.9 * rows + 1.1)
    )
    lines: list[dict[str, Any]] = []
    for number, image in enumerate(pixels):
        for place, group in enumerate(found["groups"]):
            before, behind = (np.array(found[when][number][place]) for when in ("before", "behind"))
            heads = ("image", f"group {group}\nbefore", f"group {group}\nbehind")
            for offset, (picture, head) in enumerate(zip((image, before, behind), heads, strict=True)):
                axes = panels[number * columns + 3 * place + offset]
                axes.imshow(picture, cmap=GREYS, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
                if number == 0:
                    axes.set_title(head, fontsize=7)
            for when, values in (("before", before), ("behind", behind)):
                for (row, column), length in np.ndenumerate(values):
                    lines.append({"image": number, "label": found["labels"][number], "group": group, "when": when,
                                  "row": row, "column": column, "length": float(length)})  # fmt: skip
    save_figure(drawing, pd.DataFrame(lines), figure)
    job.say(f"{rows} images")


if __name__ == "__main__":
    main(draw_maps)
