"""What is shown: the table, the verdicts, the figure."""

import pandas as pd

from tenfold.launcher import Cfg, Input, Inputs, Job, Output, Outputs, main, stage
from tenfold.report.arms import Arm, Arms, face_of, read_arms
from tenfold.report.evidence import by_net, gather
from tenfold.report.face import Face
from tenfold.report.figures import Words, add_words, draw_points, new_figure, save_figure, words_of, write_figures
from tenfold.report.tables import Cell, Column, Row, Table, write_metrics, write_tables
from tenfold.report.words import conclude


def table_accuracy(arms: Arms, shown: Face) -> Table:
    """Test accuracy, arm by arm."""
    rows = [Row([arm.name], {"accuracy": Cell(arm.accuracy, files=arm.files)}) for arm in arms.values()]
    return Table("Test accuracy", shown, ["arm"], [Column("accuracy", "accuracy [%]", ".1f")], rows)


def figure_accuracy(arms: Arms, words: Words, shown: Face, paths: Outputs) -> None:
    """Test accuracy of each arm, seed by seed."""
    frame = pd.DataFrame({"arm": arm.name, "seed": seed, "accuracy [%]": value}
                         for arm in arms.values() for seed, value in arm.accuracy.items())  # fmt: skip
    figure, (axes,) = new_figure("Test accuracy, seed by seed", shown)
    draw_points(axes, frame, x="seed", y="accuracy [%]", arm="arm")
    add_words(figure, words, "C1")
    save_figure(figure, frame, paths)


TABLES = {"table-accuracy": table_accuracy}
FIGURES = {"figure-accuracy": figure_accuracy}


@stage
def tables(cfg: Cfg, job: Job, *, arms: Inputs, tables: Outputs) -> None:
    """All tables."""
    found = read_arms(arms, cfg["files"], Arm)
    write_tables(TABLES, tables, arms=found, shown=face_of(cfg, found))


@stage
def claims(cfg: Cfg, job: Job, *, arms: Inputs, metrics: Output, claims: Output) -> None:
    """``metrics.json``, and the word on each claim."""
    found = read_arms(arms, cfg["files"], Arm)
    write_metrics(metrics, {arm.name: {"accuracy": arm.accuracy} for arm in found.values()})
    evidence = gather(cfg, by_net(found))
    conclude(cfg, job, claims, paper="my-paper", face=face_of(cfg, found), evidence=evidence)


@stage
def figures(cfg: Cfg, job: Job, *, arms: Inputs, claims: Input, figures: Outputs) -> None:
    """All figures, each with the CSV behind it."""
    found = read_arms(arms, cfg["files"], Arm)
    write_figures(FIGURES, figures, arms=found, words=words_of(claims), shown=face_of(cfg, found))


if __name__ == "__main__":
    main(tables, claims, figures)
