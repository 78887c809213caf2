"""Figures carry their facts, can be told apart without colour, and give the same bytes in another process."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tenfold.files import sha256
from tenfold.report.face import Data, Face
from tenfold.report.figures import (
    draw_bars,
    draw_curves,
    draw_lines,
    draw_matrix,
    draw_points,
    new_figure,
    save_figure,
    share_legend,
    student_ends,
)

FACE = Face("small", Data("shapes-10", "CIFAR-10"), n=3, device="cpu", precision="bf16")
FRAME = pd.DataFrame(
    [
        {"ratio": ratio, "accuracy": 80 - ratio / 10 + shift + seed * 0.3, "arm": arm, "seed": seed}
        for shift, arm in enumerate(["random", "pre-trained", "uniform"])
        for ratio in (30, 50, 70)
        for seed in range(3)
    ]
)
ARGUMENTS = {"x": "ratio", "y": "accuracy", "arm": "arm"}
AGAIN = """
import sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from test_report_figures import drawn
drawn(Path(sys.argv[1]))
"""


def drawn(folder: Path) -> list[Path]:
    """A figure with lines and hatched bars, saved in all forms."""
    figure, (lines, bars) = new_figure("Accuracy", FACE, columns=2)
    draw_lines(lines, FRAME, **ARGUMENTS)
    draw_bars(bars, FRAME, **ARGUMENTS)
    paths = [folder / f"figure{suffix}" for suffix in (".png", ".pdf", ".csv")]
    save_figure(figure, FRAME, paths)
    return paths


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    here = [sha256(path) for path in drawn(tmp_path)]
    other = tmp_path / "other"
    other.mkdir()
    folders = [str(Path(__file__).parent), *sys.path]
    subprocess.run(
        [sys.executable, "-c", AGAIN, str(other), *folders],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
    )
    there = [sha256(other / f"figure{suffix}") for suffix in (".png", ".pdf", ".csv")]
    assert here == there


def test_the_users_own_settings_do_not_enter(tmp_path: Path) -> None:
    def plain() -> str:
        figure, _ = new_figure("Accuracy", FACE)
        save_figure(figure, FRAME, [tmp_path / "figure.png"])
        return sha256(tmp_path / "figure.png")

    before = plain()
    mpl.rcParams.update(
        {"lines.linewidth": 9, "figure.dpi": 30, "font.size": 20, "figure.constrained_layout.h_pad": 1.0}
    )
    assert plain() == before


def test_files_are_what_they_are_called_and_hold_no_date(tmp_path: Path) -> None:
    png, pdf, data = drawn(tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert b"CreationDate" not in pdf.read_bytes()
    assert b"Matplotlib" not in png.read_bytes()
    pd.testing.assert_frame_equal(pd.read_csv(data), FRAME)


def test_the_face_is_on_the_figure_and_inside_its_edges() -> None:
    figure, _ = new_figure("Accuracy", FACE, size=(3, 3))
    face = figure.findobj(lambda artist: artist.get_gid() == "tenfold-face")[0]
    text = " ".join(face.get_text().split())
    assert text == FACE.line()
    for fact in ("small", "stand-in for CIFAR-10", "n = 3 seeds", "cpu", "bf16"):
        assert fact in text
    figure.canvas.draw()
    box, page = face.get_window_extent(), figure.bbox
    assert page.x0 <= box.x0
    assert box.x1 <= page.x1
    assert page.y0 <= box.y0


def test_a_figure_without_its_face_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="begin it with new_figure"):
        save_figure(Figure(), FRAME, [tmp_path / "figure.png"])
    figure, _ = new_figure("Accuracy", FACE)
    with pytest.raises(ValueError, match="written as"):
        save_figure(figure, FRAME, [tmp_path / "figure.gif"])
    assert list(tmp_path.iterdir()) == []


def test_arms_differ_without_colour() -> None:
    _, (lines, curves, bars, points) = new_figure("Accuracy", FACE, rows=2, columns=2)
    draw_lines(lines, FRAME, **ARGUMENTS)
    handles = lines.get_legend().legend_handles
    assert len({(str(handle.get_marker()), str(handle.get_linestyle())) for handle in handles}) == 3
    draw_curves(curves, FRAME, **ARGUMENTS)
    assert len({str(line._unscaled_dash_pattern) for line in curves.get_lines()}) == 3
    draw_bars(bars, FRAME, **ARGUMENTS)
    assert len({container[0].get_hatch() for container in bars.containers}) == 3
    assert [text.get_text() for text in bars.get_legend().get_texts()] == ["random", "pre-trained", "uniform"]
    draw_points(points, FRAME, **ARGUMENTS)
    assert len({str(handle.get_marker()) for handle in points.get_legend().legend_handles}) == 3


def test_bars_are_means_and_their_ends_the_student_interval() -> None:
    _, (axes,) = new_figure("Accuracy", FACE)
    draw_bars(axes, FRAME, **ARGUMENTS)
    heights = [bar.get_height() for bar in axes.containers[0]]
    assert heights == pytest.approx([77.3, 75.3, 73.3])
    low, high = student_ends([77.0, 77.3, 77.6])
    half = 4.302653 * 0.3 / math.sqrt(3)  # t(0.975, 2) from a printed table
    assert (low, high) == pytest.approx((77.3 - half, 77.3 + half), rel=1e-7)
    drawn_ends = sorted(value for line in axes.get_lines() for value in line.get_ydata())
    assert min(abs(value - high) for value in drawn_ends) < 1e-6


def test_one_seed_is_drawn_without_an_interval(tmp_path: Path) -> None:
    assert all(map(math.isnan, student_ends([77.0])))
    figure, (lines, bars) = new_figure("Accuracy", FACE, columns=2)
    one = FRAME[FRAME.seed == 0]
    draw_lines(lines, one, **ARGUMENTS)
    draw_bars(bars, one, **ARGUMENTS)
    save_figure(figure, one, [tmp_path / "figure.png"])


def test_more_arms_than_can_be_told_apart_are_refused() -> None:
    _, (axes,) = new_figure("Accuracy", FACE)
    frame = pd.DataFrame({"ratio": 1, "accuracy": 1.0, "arm": [f"arm {i}" for i in range(9)]})
    with pytest.raises(ValueError, match="9 arms in one panel: 8 can be told apart"):
        draw_lines(axes, frame, **ARGUMENTS)


def test_a_matrix_shows_its_values(tmp_path: Path) -> None:
    figure, (axes,) = new_figure("Alikeness", FACE)
    matrix = pd.DataFrame([[1.0, 0.25], [0.25, 1.0]], index=["a", "b"], columns=["a", "b"])
    draw_matrix(axes, matrix, low=0, high=1)
    assert [text.get_text() for text in axes.texts] == ["1.00", "0.25", "0.25", "1.00"]
    save_figure(figure, matrix, [tmp_path / "figure.pdf"])


def test_arms_look_the_same_in_all_panels_under_one_legend() -> None:
    figure, panels = new_figure("Accuracy", FACE, columns=2)
    arms = ["random", "pre-trained", "uniform"]
    draw_curves(panels[0], FRAME, **ARGUMENTS, arms=arms)
    draw_curves(panels[1], FRAME[FRAME["arm"] == "uniform"], **ARGUMENTS, arms=arms)
    colours = [{line.get_color() for line in axes.lines if len(line.get_xdata())} for axes in panels]
    assert len(colours[0]) == 3
    assert len(colours[1]) == 1
    assert colours[1] < colours[0]
    share_legend(figure, panels)
    assert [axes.get_legend() for axes in panels] == [None, None]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == arms
