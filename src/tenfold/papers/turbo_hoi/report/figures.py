"""The figures of turbo-hoi that are drawn from numbers; those of messages are drawn in `draw_scenes`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.papers.turbo_hoi.grid import LINKS_OF, LOOP, MULTITASK
from tenfold.papers.turbo_hoi.report.results import NAMES, TASKS, Arms, gain, main_net, on_scenes, read_arms
from tenfold.report.arms import face_of
from tenfold.report.face import Face
from tenfold.report.figures import (
    PALETTE,
    PERCENT,
    Figures,
    Words,
    add_note,
    add_words,
    draw_lines,
    new_figure,
    save_figure,
    student_ends,
    tick_at_integers,
    words_of,
    write_figures,
)

DESIGN = "[DESIGN] the loop is a design of ours: the paper's equations were not at hand"
BY_TURNS = ("pose-to-hoi", LOOP, "turbo-3")  # with one turn the loop is the link from the pose


def figure_turns(cfg: Cfg, arms: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """AP of both tasks against the number of turns: of nets trained with so many, and of one net turn by turn."""
    net = main_net(arms)
    rows = [
        {"task": task, "turns": turns, "of": "trained with T turns", "seed": seed, "AP": value}
        for task in TASKS
        for turns, name in enumerate(BY_TURNS, 1)
        if (net, name) in arms
        for seed, value in arms[net, name].of_task(task).items()
    ]
    last = next((name for name in reversed(BY_TURNS) if (net, name) in arms), BY_TURNS[0])
    rows += [
        {
            "task": task,
            "turns": turn + 1,
            "of": f"turn by turn, trained with {LINKS_OF[last]['turns']}",
            "seed": seed,
            "AP": value,
        }
        for task in TASKS
        for turn in range(LINKS_OF[last]["turns"])
        for seed, value in (arms[net, last].at("turns", turn, task).items() if arms else ())
    ]
    frame = pd.DataFrame(rows, columns=["task", "turns", "of", "seed", "AP"])
    figure, panels = new_figure("Both tasks against the turns of the loop", shown, columns=2, size=(8.0, 3.8))
    for axes, task in zip(panels, TASKS, strict=True):
        axes.set(xlabel="turns T", ylabel=f"{NAMES[task]} [%]")
        if frame.empty:
            say_not_run(axes, shown)
            continue
        draw_lines(axes, frame[frame["task"] == task], x="turns", y="AP", arm="of", within=PERCENT)
        axes.set(xlabel="turns T", ylabel=f"{NAMES[task]} [%]")
        tick_at_integers(axes)
    add_note(figure, "With T = 1 no mask is used: the loop is then the link from pose to interaction")
    add_note(figure, DESIGN)
    add_words(figure, words, "T5", "turns")
    save_figure(figure, frame, paths)


def figure_variants(cfg: Cfg, arms: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """A forest of all variants: what each adds to multitask on both tasks, seed by seed."""
    net = main_net(arms)
    names = [name for of, name in arms if of == net and name != MULTITASK]
    frame = pd.DataFrame(
        [
            {"variant": cfg["titles"][name], "task": NAMES[task], "seed": seed, "points": points}
            for name in names
            for task in TASKS
            for seed, points in gain(arms, net, name, task).items()
        ],
        columns=["variant", "task", "seed", "points"],
    )
    figure, panels = new_figure("What each variant adds to multitask", shown, columns=2, size=(8.4, 3.8))
    titles = [cfg["titles"][name] for name in names]
    for axes, name in zip(panels, NAMES.values(), strict=True):
        if frame.empty:
            say_not_run(axes, shown)
        for place, title in enumerate(titles):
            values = frame.loc[(frame["task"] == name) & (frame["variant"] == title), "points"].to_numpy()
            if not len(values):
                axes.text(0, place, "does not have this task", ha="center", va="center", fontsize=7, color="0.4")
                continue
            axes.plot(values, np.full(len(values), place), "o", color=PALETTE[4], markersize=4, alpha=0.8)
            axes.plot(values.mean(), place, "s", color=PALETTE[0], markersize=6)
            axes.plot(student_ends(values), [place, place], "-", color=PALETTE[0], linewidth=2)
        axes.axvline(0, color="0.2", linewidth=1)
        axes.set(xlabel=f"{name} less multitask's [points]", ylim=(max(len(titles), 1) - 0.5, -0.5))
        axes.set_yticks(range(len(titles)), titles if axes is panels[0] else [""] * len(titles))
    add_note(
        figure, "Squares: means with their 95 % Student-t interval over seeds; dots: seeds, paired with multitask's"
    )
    add_note(figure, DESIGN)
    add_words(figure, words, "T3", "T4", "T5", "shuffled")
    save_figure(figure, frame, paths)


def say_not_run(axes: Axes, shown: Face) -> None:
    """In place of what an edition does not train."""
    axes.text(0.5, 0.5, f"not run at {shown.edition}", transform=axes.transAxes, ha="center", va="center")


FIGURES: Figures = {"figure-turns": figure_turns, "figure-variants": figure_variants}


@stage
def figures(cfg: Cfg, job: Job, *, arms: Inputs, claims: Input, figures: Outputs) -> None:
    """All figures, each with the CSV behind it."""
    found = on_scenes(read_arms(cfg, arms))
    write_figures(FIGURES, figures, cfg=cfg, arms=found, words=words_of(claims), shown=face_of(cfg, found))
    job.say(f"{len(FIGURES)} figures")


if __name__ == "__main__":
    main(figures)
