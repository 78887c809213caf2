"""Draws what both modules tell each other: heat maps around a mask, and scenes before and after a turn of the loop."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from safetensors import safe_open

from tenfold.launcher import Cfg, Input, Job, Outputs, main, stage
from tenfold.report.face import Data, Face
from tenfold.report.figures import GREYS, PALETTE, add_note, new_figure, save_figure

DESIGN = "[DESIGN] the loop is a design of ours: the paper's equations were not at hand"
LIMBS = (
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
    *((f"{side}_{first}", f"{side}_{second}") for side in ("left", "right") for first, second in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle"))),
)  # fmt: skip
Arrays = dict[str, NDArray[Any]]


@stage
def draw_scenes(cfg: Cfg, job: Job, *, shown: Input, messages: Outputs, scenes: Outputs) -> None:
    """Both figures, each with the numbers behind it as CSV."""
    with safe_open(shown, framework="numpy") as file:
        facts = json.loads(file.metadata()["tenfold"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    face = Face(cfg["edition"], Data(**cfg["shown"]), 1, "cpu", "fp32")
    draw_messages(arrays, facts, face, messages)
    draw_grid(arrays, facts, face, scenes)
    job.say(f"{len(arrays['images'])} scenes")


def draw_messages(arrays: Arrays, facts: dict[str, Any], face: Face, paths: Outputs) -> None:
    """Persons with a hidden joint: its heat map before and after a turn, and the mask between."""
    n = len(arrays["images"])
    rows = ("scene", "heat map, turn 1", "mask", "heat map, turn 2")
    figure, panels = new_figure("A hidden joint before and after a turn of the loop", face, rows=len(rows), columns=n,
                                size=(max(5.0, 1.25 * n + 0.4), 5.9))  # fmt: skip
    for scene in range(n):
        box, joint = arrays["persons"][scene, 0], arrays["hidden"][scene]
        left, top, right, bottom = box
        true = arrays["joints"][scene, 0, joint]
        maps = (
            arrays["images"][scene],
            arrays["turn1/heat"][scene],
            arrays["turn2/mask"][scene],
            arrays["turn2/heat"][scene],
        )
        for row, picture in enumerate(maps):
            axes = panels[row * n + scene]
            height, width = picture.shape[:2]
            extent = (0, width, height, 0) if row == 0 else (left, right, bottom, top)
            limits = {"vmin": 0, "vmax": 1} if row == 2 else {}
            axes.imshow(picture, cmap=GREYS, extent=extent, interpolation="nearest", **limits)  # type: ignore[arg-type]
            axes.plot(*true, "o", color="white", markersize=6, markeredgecolor="black", fillstyle="none")
            axes.plot(*true, "o", color="white", markersize=4.5, fillstyle="none")
            axes.set(xticks=[], yticks=[], xlim=(left, right), ylim=(bottom, top))
            axes.grid(visible=False)
        action = facts["actions"][arrays["actions"][scene, 0]]
        panels[scene].set_title(f"{action.replace('_', ' ')}:\n{facts['joints'][joint].replace('_', ' ')}", fontsize=8)
    for row, title in enumerate(rows):
        panels[row * n].set_ylabel(title, fontsize=8)
    add_note(
        figure, "Circles: where the hidden joint is. Masks from 0 (dark) to 1 (light); heat maps each on its own scale"
    )
    add_note(figure, "The first test scenes whose first person hides a joint")
    add_note(figure, DESIGN)
    save_figure(figure, places_of(arrays, facts), paths)


def places_of(arrays: Arrays, facts: dict[str, Any]) -> pd.DataFrame:
    """How far each hidden joint is said to be from where it is, turn by turn, in pixels."""
    rows = []
    for scene in range(len(arrays["images"])):
        joint = arrays["hidden"][scene]
        for turn in range(1, facts["turns"] + 1):
            off = arrays[f"turn{turn}/joints"][scene, 0, joint] - arrays["joints"][scene, 0, joint]
            rows.append({"scene": scene, "action": facts["actions"][arrays["actions"][scene, 0]],
                         "joint": facts["joints"][joint], "turn": turn, "pixels off": float(np.hypot(*off)),
                         "most likely cell": float(arrays[f"turn{turn}/heat"][scene].max())})  # fmt: skip
    return pd.DataFrame(rows)


def draw_grid(arrays: Arrays, facts: dict[str, Any], face: Face, paths: Outputs) -> None:
    """Scenes with skeletons, actions and objects: as they are, and as they are said in the first and the last turn."""
    n, last = len(arrays["images"]), facts["turns"]
    figure, panels = new_figure("Scenes by the first and the last turn of the loop", face, rows=3, columns=n,
                                size=(max(5.0, 1.6 * n + 0.4), 4.4))  # fmt: skip
    rows = []
    for row, turn in enumerate((0, 1, last)):
        of_turn = f"turn{turn}/" if turn else ""
        for scene in range(n):
            axes = panels[row * n + scene]
            axes.imshow(arrays["images"][scene], interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
            for person in range(arrays["persons"].shape[1]):
                action = arrays[f"{of_turn}action" if turn else "actions"][scene, person]
                target = arrays[f"{of_turn}object" if turn else "target"][scene, person]
                word = facts["actions"][action]
                draw_person(axes, arrays, scene, person, arrays[f"{of_turn}joints"][scene, person], facts["joints"])
                true = facts["actions"][arrays["actions"][scene, person]]
                if word not in NO_OBJECT and target >= 0:
                    draw_target(
                        axes, arrays["persons"][scene, person], arrays["objects"][scene, target], PALETTE[person]
                    )
                left, top = arrays["persons"][scene, person, :2]
                axes.text(max(left, 1), max(top, 1), word.replace("_", " "), fontsize=6, va="top", color="white",
                          bbox={"facecolor": PALETTE[person], "pad": 0.8, "linewidth": 0})  # fmt: skip
                rows.append({"scene": scene, "person": person, "turn": turn or "truth", "action": word,
                             "right": word == true, "object": int(target)})  # fmt: skip
        panels[row * n].set_ylabel(("truth", "turn 1", f"turn {last}")[row], fontsize=8)
    add_note(figure, "Boxes are given. A dashed line goes from a person to the object of the likeliest action")
    add_note(figure, DESIGN)
    save_figure(figure, pd.DataFrame(rows), paths)


NO_OBJECT = ("sit", "stand")


def draw_person(axes: Axes, arrays: Arrays, scene: int, person: int, joints: NDArray[Any], names: list[str]) -> None:
    """A skeleton."""
    for first, second in LIMBS:
        if first in names and second in names:
            ends = joints[[names.index(first), names.index(second)]]
            axes.plot(ends[:, 0], ends[:, 1], "-", color="black", linewidth=2.2)
            axes.plot(ends[:, 0], ends[:, 1], "-", color=PALETTE[person], linewidth=1.2)


def draw_target(axes: Axes, person: NDArray[Any], other: NDArray[Any], colour: str) -> None:
    """The object of an action, and whose it is."""
    left, top, right, bottom = other
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=1.2))
    middles = np.array([(box[:2] + box[2:]) / 2 for box in (person, other)])
    axes.plot(middles[:, 0], middles[:, 1], "--", color=colour, linewidth=0.9)


if __name__ == "__main__":
    main(draw_scenes)
