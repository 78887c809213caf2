"""Figures carry their facts, can be told apart without colour, and give the same bytes in another process."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tenfold.files import sha256, write_json
from tenfold.report.face import Data, Face
from tenfold.report.figures import (
    PERCENT,
    SHARE,
    add_note,
    add_words,
    cut,
    draw_bars,
    draw_curves,
    draw_lines,
    draw_matrix,
    draw_points,
    draw_published,
    new_figure,
    save_figure,
    share_legend,
    student_ends,
    tick_at_integers,
    words_of,
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


def below(figure: Figure) -> list[str]:
    """The lines below a figure, as its reader sees them."""
    (face,) = figure.findobj(lambda artist: artist.get_gid() == "tenfold-face")
    return face.get_text().splitlines()


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


def test_a_figure_says_what_its_whiskers_and_bands_are() -> None:
    figure, (lines, curves, bars, points) = new_figure("Accuracy", FACE, rows=2, columns=2, size=(9, 9))
    draw_points(points, FRAME, **ARGUMENTS)
    assert below(figure) == [FACE.line()]
    draw_lines(lines, FRAME, **ARGUMENTS, within=PERCENT)
    draw_bars(bars, FRAME, **ARGUMENTS, within=PERCENT)
    draw_curves(curves, FRAME, **ARGUMENTS)
    assert below(figure) == [
        FACE.line(),
        "Whiskers: 95 % Student-t interval over 3 seeds, cut at 0 and 100",
        "Bands: 95 % Student-t interval over 3 seeds",
    ]


def test_what_is_no_seed_is_not_called_one_and_one_value_has_no_whiskers() -> None:
    figure, (uneven, images, one) = new_figure("Accuracy", FACE, columns=3, size=(9, 4))
    draw_lines(one, FRAME[FRAME.seed == 0], **ARGUMENTS)
    assert below(figure) == [FACE.line()]
    draw_lines(uneven, FRAME[(FRAME.seed < 2) | (FRAME.arm == "uniform")], **ARGUMENTS)
    draw_lines(images, pd.concat([FRAME, FRAME]), **ARGUMENTS)
    assert below(figure)[1:] == [
        "Whiskers: 95 % Student-t interval over 2 to 3 seeds",
        "Whiskers: 95 % Student-t interval over 6 values",
    ]


@pytest.mark.parametrize("draw", [draw_lines, draw_curves, draw_bars])
def test_no_interval_reaches_what_cannot_be(draw: Callable[..., None]) -> None:
    near = pd.DataFrame({"ratio": 1.0, "accuracy": [90.0, 99.0, 99.9, 1.0, 0.2, 9.0], "arm": [*"aaabbb"],
                         "seed": [0, 1, 2] * 2})  # fmt: skip
    near = pd.concat([near, near.assign(ratio=2.0)])
    assert student_ends([90.0, 99.0, 99.9])[1] > 100
    assert student_ends([1.0, 0.2, 9.0])[0] < 0
    _, (axes,) = new_figure("Accuracy", FACE)
    draw(axes, near, **ARGUMENTS, within=PERCENT)
    ends = [value for line in axes.get_lines() for value in line.get_ydata() if value is not None]
    ends += [value for band in axes.collections for path in band.get_paths() for value in path.vertices[:, 1]]
    ends = [float(value) for value in ends if not math.isnan(value)]
    assert (min(ends), max(ends)) == (0.0, 100.0)


def test_ends_are_cut_and_missing_ones_stay_missing() -> None:
    assert cut([[-0.2, 1.2], [0.1, 0.9]], SHARE).tolist() == [[0.0, 1.0], [0.1, 0.9]]
    assert all(map(math.isnan, cut(student_ends([77.0]), PERCENT)))


def test_points_of_categories_are_not_joined() -> None:
    _, (joined, apart) = new_figure("Accuracy", FACE, columns=2)
    draw_lines(joined, FRAME, **ARGUMENTS)
    draw_lines(apart, FRAME, **ARGUMENTS, joined=False)
    of_arms = [[line for line in axes.get_lines() if line.get_marker() not in ("None", "")] for axes in (joined, apart)]
    assert "None" not in {line.get_linestyle() for line in of_arms[0]}
    assert {line.get_linestyle() for line in of_arms[1]} == {"None"}


def test_the_published_value_is_in_the_legend_beside_the_arms() -> None:
    _, (axes,) = new_figure("Accuracy", FACE)
    draw_lines(axes, FRAME, **ARGUMENTS)
    draw_published(axes, [30, 50], [79.0, 78.0])
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["random", "pre-trained", "uniform", "published"]
    assert legend.legend_handles[-1].get_marker() == "D"
    assert legend.legend_handles[-1].get_markerfacecolor() == "white"


def test_a_signed_matrix_is_light_where_a_number_is_0_and_large_ones_have_no_numbers() -> None:
    _, panels = new_figure("Alikeness", FACE, columns=3)
    labels = [str(number) for number in range(21)]
    for axes, low, size in zip(panels, (-0.5, 0.5, -0.5), (3, 3, 21), strict=True):
        draw_matrix(axes, pd.DataFrame(0.0, labels[:size], labels[:size]), low=low, high=1.0)
    maps = [axes.collections[0] for axes in panels]
    assert [drawn.get_clim() for drawn in maps[:2]] == [(-1.0, 1.0), (0.5, 1.0)]
    assert min(maps[0].cmap(maps[0].norm(0.0))[:3]) > 0.9
    assert [len(axes.texts) for axes in panels] == [9, 9, 0]


def test_layers_are_ticked_at_whole_numbers() -> None:
    figure, (axes,) = new_figure("Layers", FACE)
    axes.plot([1, 2, 3], [1, 2, 3])
    tick_at_integers(axes)
    figure.canvas.draw()
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_a_figure_names_its_claims_with_their_words(tmp_path: Path) -> None:
    claims = [("C1", "open", None), ("C1-b", "open", None), ("C2", "reversed", "reversed")]
    write_json(tmp_path / "claims.json", {
        "claims": [{"id": name, "printed": {"word": word}, "pipeline_check": check} for name, word, check in claims]
    })  # fmt: skip
    figure, _ = new_figure("Accuracy", FACE)
    add_words(figure, words_of(tmp_path / "claims.json"), "C1", "C2", "C1-b")
    assert below(figure)[-2:] == ["Claims C1, C1-b: open", "Claim C2: pipeline check: reversed"]
    with pytest.raises(KeyError, match="C3"):
        add_words(figure, words_of(tmp_path / "claims.json"), "C3")


def test_a_note_is_said_once_and_long_titles_and_notes_are_wrapped() -> None:
    figure, _ = new_figure("a title of words " * 8, FACE, size=(5, 4))
    for _ in range(2):
        add_note(figure, "a note " * 30)
        add_note(figure, "a note")
    figure.canvas.draw()
    assert " ".join(below(figure)).count("a note") == 31
    for text in (figure._suptitle, figure._supxlabel):
        assert text.get_window_extent().x1 <= figure.bbox.x1


def test_a_drawing_that_no_seed_enters_names_none() -> None:
    face = replace(FACE, n=0)
    assert face.line() == "Edition small; data shapes-10 (stand-in for CIFAR-10); nothing trained"
