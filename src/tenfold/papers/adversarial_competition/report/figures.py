"""The figures of the competition's report, ours beside the published ones, and the arena's matrix."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from statistics import mean

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tenfold.launcher import Cfg, Input, Inputs, Job, Outputs, main, stage
from tenfold.papers.adversarial_competition.grid import ARENA
from tenfold.papers.adversarial_competition.report.results import (
    BASELINES,
    FILTERED,
    KINDS,
    SWEPT,
    Track,
    gain_over_baseline,
    hits_of,
    of_kind,
    ranked,
    read_arena,
    steps_of,
    sweep,
    white_box,
)
from tenfold.papers.adversarial_competition.report.tables import nets_of, not_run
from tenfold.report.arms import Arms, face_of
from tenfold.report.face import Face
from tenfold.report.figures import (
    PALETTE,
    PERCENT,
    Figures,
    Words,
    add_note,
    add_words,
    draw_bars,
    draw_lines,
    draw_matrix,
    draw_published,
    new_figure,
    save_figure,
    share_legend,
    words_of,
    write_figures,
)

TITLES = {"defences": "defences", "non-targeted": "non-targeted attacks", "targeted": "targeted attacks"}
NOTHING = pd.DataFrame({"not run": []})


def images(cfg: Cfg, eps: str) -> str:
    """What was attacked, for the line below a figure."""
    side = cfg["pixels"]
    return f"Ours: {cfg['test_images']} test images of {side} x {side} pixels, eps {eps}"


def add_nets(figure: Figure, cfg: Cfg) -> None:
    """Names below a figure what the nets are."""
    add_note(figure, f"{nets_of(cfg)} Hardened: trained on adversarial examples")


def in_turn(cfg: Cfg) -> str:
    """The eps of the arena."""
    return f"{', '.join(map(str, cfg['eps']))} of 255, in turn by batches of {cfg['batch_size']}"


def tilt(axes: Axes, degrees: float) -> None:
    """Turns names below an axis, each ending at its tick."""
    for label in axes.get_xticklabels():
        label.set(rotation=degrees, ha="right", va="top", rotation_mode="anchor")


def leave_empty(panels: Sequence[Axes], shown: Face) -> None:
    """Says in an empty panel that the edition does not run what it would show."""
    for axes in panels:
        axes.text(0.5, 0.5, not_run(shown), ha="center", va="center", color="0.4", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)


# The arena --------------------------------------------------------------------------------------------------------


def figure_arena(cfg: Cfg, arms: Arms, tracks: dict[str, Track], words: Words, shown: Face, paths: Outputs) -> None:
    """What each defence labels rightly of each attack's images: weak attacks above, robust defences on the left."""
    arena = tracks[ARENA]
    cells = {(d, a): arena.share("correct", d, a) for d, a in product(arena.defences, arena.attacks)}
    means = {cell: mean(share.values()) for cell, share in cells.items()}
    attacks = sorted(arena.attacks, key=lambda a: -mean(means[d, a] for d in arena.defences))
    defences = sorted(arena.defences, key=lambda d: -mean(means[d, a] for a in arena.attacks))
    titles = {a: f"{a} (targeted)" if cfg["attacks"][a].get("kind") == "targeted" else a for a in attacks}
    matrix = pd.DataFrame([[means[d, a] for d in defences] for a in attacks],
                          index=[titles[a] for a in attacks], columns=defences)  # fmt: skip
    size = (0.62 * len(defences) + 3.0, 0.36 * len(attacks) + 2.6)
    figure, (axes,) = new_figure("What defences still label rightly [%]", shown, size=size)
    draw_matrix(axes, matrix, spec=".0f", low=0, high=100)
    axes.set_aspect("auto")
    for (row, attack), (column, defence) in product(enumerate(attacks), enumerate(defences)):
        if white_box(cfg, defence, attack):
            axes.plot(column + 0.88, row + 0.22, "o", color=PALETTE[3], markeredgecolor="white", markersize=4)
    axes.set(xlabel="defences, from robust to not", ylabel="attacks, from weak to strong")
    tilt(axes, 60)
    axes.tick_params(axis="y", rotation=0)
    add_note(figure, f"{images(cfg, in_turn(cfg))}. Mean over seeds; dark is broken. A dot: the attack was given a net "
                     "of that defence (white box); none knows the defence itself")  # fmt: skip
    add_note(figure, "Whose method an attack or a defence is: Tables 1 to 3; without-a: TsAIL's on all nets but a")
    add_nets(figure, cfg)
    add_words(figure, words, "K1", "K3")
    frame = pd.DataFrame({
        "attack": a, "defence": d, "seed": seed, "correct": share, "white_box": white_box(cfg, d, a),
    } for a in attacks for d in defences for seed, share in cells[d, a].items())  # fmt: skip
    save_figure(figure, frame, paths)


def figure_robustness(cfg: Cfg, arms: Arms, tracks: dict[str, Track], words: Words, shown: Face,
                      paths: Outputs) -> None:  # fmt: skip
    """Every defence where nobody attacks, against attacks that know nothing of it, and attacked through itself."""
    keys = {"clean": "no attack", "black_box": "attacks without its nets, mean", "through": "attacked through itself"}
    frame = pd.DataFrame({
        "defence": name, "attacker": title, "seed": seed, "correct": 100 * row[key],
    } for name in ranked(arms, tracks[ARENA].defences, "through")
        for key, title in keys.items() for seed, row in arms[ARENA, name].rows.items() if key in row)  # fmt: skip
    width = max(6.0, 0.75 * frame["defence"].nunique() + 1.5)
    figure, (axes,) = new_figure("What defences are worth to who knows them", shown, size=(width, 4.2))
    draw_bars(axes, frame, x="defence", y="correct", arm="attacker", within=PERCENT)
    axes.set(xlabel="", ylabel="labelled rightly [%]", ylim=(0, 100))
    tilt(axes, 35)
    there = [title for title in keys.values() if title in set(frame["attacker"])]
    axes.legend(axes.containers, there, title=None, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=7)
    add_note(figure, images(cfg, in_turn(cfg)))
    add_nets(figure, cfg)
    add_words(figure, words, "masking")
    save_figure(figure, frame, paths)


# Figures 1 and 2 --------------------------------------------------------------------------------------------------


def figure_gains(cfg: Cfg, arms: Arms, tracks: dict[str, Track], words: Words, shown: Face, paths: Outputs) -> None:
    """The report's Figure 1: best score less that of the best baseline, by round, and ours."""
    rounds = ["DEV1", "DEV2", "DEV3", "FINAL", "ours"]
    figure, panels = new_figure("Best score less best baseline (Figure 1)", shown, columns=3, size=(9, 3.4))
    frames = []
    for axes, kind in zip(panels, KINDS, strict=True):
        of = pd.DataFrame({"kind": kind, "round": "ours", "seed": seed, "gain": gain, "place": 4}
                          for seed, gain in gain_over_baseline(cfg, arms, tracks[ARENA], kind).items())  # fmt: skip
        if len(of):
            draw_lines(axes, of.assign(arm="ours"), x="place", y="gain", arm="arm", joined=False)
        draw_published(axes, range(4), cfg["published"]["gains"][kind]["by_round"], joined=True)
        axes.axhline(0, color="0.2", linewidth=1)
        axes.set_xticks(range(5), rounds, rotation=30)
        axes.set(
            title=TITLES[kind], xlabel="round", ylabel="gain in score" if kind == KINDS[0] else "", xlim=(-0.4, 4.4)
        )
        axes.legend(title=None, fontsize=7)
        frames.append(of)
    run = {kind: of_kind(cfg, tracks[ARENA], kind) for kind in KINDS}
    chosen = "; ".join(f"{TITLES[kind]}: {', '.join(name for name in BASELINES[kind] if name in run[kind]) or 'none'}"
                       for kind in KINDS)  # fmt: skip
    add_note(figure, f"{images(cfg, in_turn(cfg))}. Best of ours by each seed's own scores. Our baselines: {chosen}")
    add_words(figure, words, "K2")
    save_figure(figure, pd.concat(frames) if any(len(of) for of in frames) else NOTHING, paths)


def figure_ranked(cfg: Cfg, arms: Arms, tracks: dict[str, Track], words: Words, shown: Face, paths: Outputs) -> None:
    """The report's Figure 2: scores of all submissions by rank, and ours by theirs."""
    figure, panels = new_figure("Scores by rank (Figure 2)", shown, columns=3, size=(9, 3.6))
    frames = []
    for axes, kind in zip(panels, KINDS, strict=True):
        published, names = cfg["published"]["ranked"][kind], of_kind(cfg, tracks[ARENA], kind)
        axes.plot(_shares(len(published["scores"])), published["scores"], color="black", linewidth=1.2,
                  label=f"published, {len(published['scores'])}")  # fmt: skip
        of = pd.DataFrame({"kind": kind, "rank": place, "name": name, "baseline": name in BASELINES[kind],
                           "score": mean(arms[ARENA, name].of("score").values())}
                          for place, name in enumerate(ranked(arms, names), 1))  # fmt: skip
        if len(of):
            _points(axes, of.assign(share=_shares(len(of))))
        axes.set(title=TITLES[kind], xlabel="rank: 0 first, 1 last", ylabel="score" if kind == KINDS[0] else "",
                 ylim=(-0.02, 1.02))  # fmt: skip
        axes.legend(title=None, fontsize=7)
        frames.append(of)
    add_note(figure, f"{images(cfg, in_turn(cfg))}. Points: mean over seeds; filled: the organisers' baselines")
    add_words(figure, words, "K1", "K2", "K3")
    save_figure(figure, pd.concat(frames), paths)


def _shares(count: int) -> list[float]:
    return [place / max(count - 1, 1) for place in range(count)]


def _points(axes: Axes, of: pd.DataFrame) -> None:
    axes.plot(of["share"], of["score"], "o", color=PALETTE[0], markerfacecolor="white", markersize=5,
              label=f"ours, {len(of)}")  # fmt: skip
    filled = of[of["baseline"]]
    axes.plot(filled["share"], filled["score"], "o", color=PALETTE[0], markersize=5, label="our baselines")


# Figures 4 and 5 --------------------------------------------------------------------------------------------------


def figure_hits(cfg: Cfg, tracks: dict[str, Track], words: Words, shown: Face, paths: Outputs) -> None:
    """The report's Figure 4: targets hit, by the net that was attacked and the net that judges."""
    _transfer(cfg, tracks.get("nets"), "hit", "Targets hit [%], ten steps on one net (Figure 4)", words, shown, paths)


def figure_correct(cfg: Cfg, tracks: dict[str, Track], words: Words, shown: Face, paths: Outputs) -> None:
    """The report's Figure 5: labels that are still right, likewise."""
    title = "Labelled rightly [%] under targeted attacks on one net (Figure 5)"
    _transfer(cfg, tracks.get("nets"), "correct", title, words, shown, paths)


def _transfer(cfg: Cfg, track: Track | None, what: str, title: str, words: Words, shown: Face, paths: Outputs) -> None:
    figure, panels = new_figure(title, shown, columns=2, size=(11, 5.4))
    frame, attacks = NOTHING, {} if track is None else hits_of(track)
    if track is None or not attacks:
        leave_empty(panels[:1], shown)
    else:
        frame = pd.DataFrame({"attacked": net, "judge": judge, "seed": seed, what: share}
                             for net, attack in attacks.items() for judge in track.defences
                             for seed, share in track.share(what, judge, attack).items())  # fmt: skip
        order = list(track.defences)
        means = frame.groupby(["attacked", "judge"])[what].mean().unstack().loc[list(attacks), order]
        draw_matrix(panels[0], means, spec=".0f", low=0, high=100)
    published = cfg["published"]["transfer"]
    counts = np.array(published["hits" if what == "hit" else "correct"]) / 10
    names = [name.replace("inception", "inc").replace("resnet", "res") for name in published["nets"]]
    draw_matrix(panels[1], pd.DataFrame(counts, index=names, columns=names), spec=".0f", low=0, high=100)
    for axes, name in zip(panels, ("ours", "published"), strict=True):
        axes.set(title=name, xlabel="judging net", ylabel="attacked net")
        axes.tick_params(axis="both", labelsize=7)
        tilt(axes, 60)
        axes.tick_params(axis="y", rotation=0)
    add_note(
        figure, f"{images(cfg, '16 of 255')}; mean over seeds. Published: of 1,000 images, eps and step not stated"
    )
    add_nets(figure, cfg)
    add_words(figure, words, "K4")
    save_figure(figure, frame, paths)


# Figures 6, 7 and 9 -----------------------------------------------------------------------------------------------


def figure_ensembles(cfg: Cfg, tracks: dict[str, Track], words: Words, shown: Face, paths: Outputs) -> None:
    """The report's Figure 6: targets hit by the sum of losses and by the loss of the mean probability."""
    kinds = {"loss": "sum of losses", "probability": "mean probability"}
    figure, panels = new_figure("Targets hit by two kinds of ensembles (Figure 6)", shown, columns=2, size=(9.6, 4.2))
    track = tracks.get("ensembles")
    frame = pd.DataFrame({"nets": nets, "optimised": kinds[kind], "seed": seed, "hit": share}
                         for attack in (track.attacks if track else ())
                         for kind, _, nets in [attack.partition("-")] if track is not None
                         for seed, share in track.share("hit", nets, attack).items())  # fmt: skip
    if len(frame):
        draw_bars(panels[0], frame, x="nets", y="hit", arm="optimised", arms=list(kinds.values()), within=PERCENT)
    else:
        leave_empty(panels[:1], shown)
    published = pd.DataFrame({"nets": row["nets"], "optimised": title, "hit": row[kind] / 10}
                             for row in cfg["published"]["ensembles"] for kind, title in kinds.items())  # fmt: skip
    draw_bars(panels[1], published, x="nets", y="hit", arm="optimised", arms=list(kinds.values()), within=PERCENT)
    for axes, name in zip(panels, ("ours", "published"), strict=True):
        axes.set(title=name, xlabel="", ylabel="targets hit [%]", ylim=(0, 105))
    names = [row["nets"] for row in cfg["published"]["ensembles"]]
    panels[1].set_xticks(range(len(names)), [str(place) for place in range(1, len(names) + 1)])
    add_note(figure, "Published: " + "; ".join(f"{place} {name}" for place, name in enumerate(names, 1)))
    share_legend(figure, panels)
    add_note(
        figure,
        f"{images(cfg, '16 of 255')}; ten steps, judged by the same nets together. Published: read by eye within 1.5",
    )
    add_nets(figure, cfg)
    add_words(figure, words, "K9")
    save_figure(figure, frame if len(frame) else NOTHING, paths)


def figure_iterations(cfg: Cfg, tracks: dict[str, Track], words: Words, shown: Face, paths: Outputs) -> None:
    """The report's Figure 7: targets hit on the attacked net, by the number of steps."""
    figure, panels = new_figure("Targets hit by the number of steps (Figure 7)", shown, columns=2, size=(9, 4))
    track = tracks.get("nets")
    frame = pd.DataFrame({"net": net, "steps": steps, "seed": seed, "hit": share}
                         for net in (track.defences if track else ()) if track is not None
                         for steps, attack in steps_of(track, net).items()
                         for seed, share in track.share("hit", net, attack).items())  # fmt: skip
    if len(frame):
        draw_lines(panels[0], frame, x="steps", y="hit", arm="net", within=PERCENT)
    else:
        leave_empty(panels[:1], shown)
    published = pd.DataFrame({"net": row["net"], "steps": steps, "hit": hits / 10} for row in
                             cfg["published"]["iterations"] for steps, hits in
                             zip(row["steps"], row["hits"], strict=True))  # fmt: skip
    draw_lines(panels[1], published, x="steps", y="hit", arm="net", within=PERCENT)
    for axes, name in zip(panels, ("ours", "published"), strict=True):
        axes.set(title=name, xlabel="steps (1: FGSM)", ylabel="targets hit on the attacked net [%]", ylim=(-3, 103))
    add_note(
        figure, f"{images(cfg, '16 of 255')}, steps of 1. Published: read by eye within 1; eps and step not stated"
    )
    add_nets(figure, cfg)
    add_words(figure, words, "K10")
    save_figure(figure, frame if len(frame) else NOTHING, paths)


def figure_median(cfg: Cfg, tracks: dict[str, Track], words: Words, shown: Face, paths: Outputs) -> None:
    """The report's Figure 9: misclassification by eps, without and with the median filter."""
    figure, (axes,) = new_figure("The median filter by eps (Figure 9)", shown, size=(6.2, 4.2))
    track, both = tracks.get("median"), {SWEPT: "without the filter", FILTERED + SWEPT: "with it"}
    frame = pd.DataFrame({"eps": eps, "defence": title, "seed": seed, "wrong": share}
                         for eps, attack in sweep(track).items() if track is not None
                         for name, title in both.items() if track.has(name, attack)
                         for seed, share in track.share("wrong", name, attack).items())  # fmt: skip
    if len(frame):
        draw_lines(axes, frame, x="eps", y="wrong", arm="defence", within=PERCENT)
    published = cfg["published"]["median_by_eps"]
    for when in ("without", "with"):
        draw_published(axes, published["eps"], published[when], "published", joined=True)
        at = published["eps"][1], published[when][1]
        axes.annotate(
            f"published, {when} the filter", at, (0, -14), textcoords="offset points", ha="center", fontsize=7
        )
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    axes.legend(once.values(), once.keys(), title=None, fontsize=7, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    axes.set(xlabel="eps of 255", ylabel="misclassified [%]", ylim=(0, 105))
    add_note(figure, f"{images(cfg, 'as shown, of 255')}. All hardened nets together; the attack was given all nets "
                     "but c, and does not know the filter")  # fmt: skip
    add_nets(figure, cfg)
    add_words(figure, words, "K6", "K7")
    save_figure(figure, frame if len(frame) else NOTHING, paths)


FIGURES: Figures = {
    "figure-arena": figure_arena,
    "figure-robustness": figure_robustness,
    "figure-gains": figure_gains,
    "figure-ranked": figure_ranked,
    "figure-hits": figure_hits,
    "figure-correct": figure_correct,
    "figure-ensembles": figure_ensembles,
    "figure-iterations": figure_iterations,
    "figure-median": figure_median,
}


@stage
def figures(
    cfg: Cfg, job: Job, *, arms: Inputs, attacks: Inputs, counts: Inputs, through: Inputs, claims: Input,
    figures: Outputs,
) -> None:  # fmt: skip
    """All figures, each with the CSV behind it."""
    tracks, found = read_arena(cfg, arms, attacks, counts, through)
    write_figures(FIGURES, figures, cfg=cfg, arms=found, tracks=tracks, words=words_of(claims),
                  shown=face_of(cfg, found))  # fmt: skip


if __name__ == "__main__":
    main(figures)
