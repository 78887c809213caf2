"""Tables say what was run, what was published and on what data, and give the same bytes each time."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenfold.report.face import COUNTED, Data, Face
from tenfold.report.tables import (
    Cell,
    Column,
    Published,
    Row,
    Table,
    table_csv,
    table_latex,
    table_markdown,
    untrained,
    write_csv,
    write_table,
)

ROOT = Path(__file__).parents[2]
FACE = Face("small", Data("shapes-10", "CIFAR-10"), n=3, device="cpu", precision="bf16")
FILES = ["runs/small/x/metrics/ours-s0-2.json"]
TOP1 = {0: 81.0, 1: 82.0, 2: 81.3}


def table(face: Face = FACE) -> Table:
    return Table(
        title="Pruned nets",
        face=face,
        keys=["net", "method"],
        columns=[Column("top1", "top-1 (%)", ".2f"), Column("macs", "MACs", ",d")],
        rows=[
            Row(["ResNet-20", "ours_40 %"], {"top1": Cell(TOP1, files=FILES, published=Published(91.14, "paper"))}),
            Row(
                ["ResNet-20", "a|b & c"],
                {
                    "top1": Cell({0: 1 / 3}, files=FILES, published=Published(89.77, "memory")),
                    "macs": Cell(exact=40_551_552, files=FILES),
                },
            ),
            Row(["ResNet-56", "ours"], {"top1": Cell(published=Published(93.05, "repo"))}),
            Row(["ResNet-56", "other"], {"top1": Cell({0: 70.0, 1: 70.0})}),
        ],
    )


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def markdown_rows(text: str) -> list[list[str]]:
    lines = [line.replace(r"\|", "¦") for line in text.splitlines() if line.startswith("|")]
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines]


def test_markdown_prints_ours_then_what_was_published_with_spread_and_n() -> None:
    header, _, first, second, third, fourth = markdown_rows(table_markdown(table()))
    assert header == ["net", "method", "top-1 (%)", "MACs", "top-1 (%), published on CIFAR-10"]
    assert first == ["ResNet-20", "ours_40 %", "81.43 ± 0.51", "not run at small", "91.14"]
    assert second == ["ResNet-20", "a¦b & c", "0.33 (n 1)", "40,551,552", "not recovered"]
    assert third == ["ResNet-56", "ours", "not run at small", "not run at small", "93.05"]
    assert fourth == ["ResNet-56", "other", "70.00 ± 0.00 (n 2)", "not run at small", "-"]
    assert "Ours: mean ± standard deviation over 3 seeds, or as many as a cell says (n)." in table_markdown(table())


def test_csv_keeps_full_precision_and_the_spread() -> None:
    first, second, third, _ = csv_rows(table_csv(table()))
    assert float(first["top1"]) == np.mean(list(TOP1.values()))
    assert float(first["top1.sd"]) == np.std(list(TOP1.values()), ddof=1)
    assert (first["top1.n"], first["top1.published"], first["top1.source"]) == ("3", "91.14", "paper")
    assert second["top1"] == repr(1 / 3)
    assert (second["top1.sd"], second["top1.n"], second["macs"]) == ("", "1", "40551552")
    assert third["top1"] == "not run at small"


def test_a_number_from_memory_is_in_no_form_of_the_table(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("t.csv", "t.md", "t.tex", "t.cells.json")]
    write_table(table(), paths)
    for path in paths:
        text = path.read_text()
        assert "89.77" not in text
        assert path.suffix == ".json" or "not recovered" in text


@pytest.mark.parametrize("form", [table_csv, table_markdown, table_latex])
def test_each_form_names_edition_data_standin_device_and_precision(form: object) -> None:
    text = form(table())  # type: ignore[operator]
    for fact in ("small", "shapes-10 (stand-in for CIFAR-10)", "cpu", "bf16"):
        assert fact in text


def test_real_data_are_not_called_a_standin() -> None:
    text = table_markdown(table(Face("real", Data("cifar-10"), n=5, device="cpu", precision="fp32")))
    assert "stand-in" not in text
    assert "top-1 (%), published |" in text
    assert "n = 5 seeds" in text
    assert "not run at real" in text


def test_a_column_on_other_data_says_so() -> None:
    other = replace(table(), columns=[Column("top1", "error", ".2f", Data("shapes-100", "CIFAR-100"))], rows=[])
    text = table_markdown(
        replace(other, rows=[Row(["a", "b"], {"top1": Cell(TOP1, published=Published(1.0, "paper"))})])
    )
    assert markdown_rows(text)[0][2:] == ["error, shapes-100", "error, published on CIFAR-100"]
    assert "shapes-100 (stand-in for CIFAR-100)" in text


def test_latex_is_a_booktabs_table_with_everything_escaped() -> None:
    text = table_latex(table())
    rules = [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert rules == sorted(rules)
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 5
    assert all(line.replace(r"\&", "").count("&") == 4 for line in body)
    assert r"ours\_40 \%" in text
    assert r"a|b \& c" in text
    assert r"81.43 $\pm$ 0.51 &" in text
    assert "±" not in text
    unescaped = text.replace(r"\%", "").replace(r"\_", "").replace(r"\&", "")
    assert "%" not in unescaped
    assert "_" not in unescaped
    assert text.count("{") == text.count("}")


def test_lineage_leads_from_each_cell_to_its_files_and_seeds(tmp_path: Path) -> None:
    write_table(table(), [tmp_path / "t.cells.json"])
    cells = json.loads((tmp_path / "t.cells.json").read_text())["cells"]
    assert [(cell["row"][1], cell["column"]) for cell in cells] == [
        ("ours_40 %", "top1"),
        ("a|b & c", "top1"),
        ("a|b & c", "macs"),
        ("other", "top1"),
    ]
    assert cells[0]["files"] == FILES
    assert (cells[0]["seeds"], cells[0]["values"], cells[0]["resolution"]) == ([0, 1, 2], [81.0, 82.0, 81.3], 0.01)
    assert (cells[2]["seeds"], cells[2]["exact"], cells[2]["resolution"]) == ([], 40_551_552, 1.0)


def test_equal_tables_give_equal_bytes_whatever_the_order_of_seeds_and_the_float_type(tmp_path: Path) -> None:
    names = ("t.csv", "t.md", "t.tex", "t.cells.json")
    write_table(table(), [tmp_path / name for name in names])
    shuffled = table()
    reordered = Cell(
        {2: np.float64(81.3), 0: np.float64(81.0), 1: 82.0}, files=FILES, published=Published(91.14, "paper")
    )
    shuffled = replace(shuffled, rows=[Row(shuffled.rows[0].keys, {"top1": reordered}), *shuffled.rows[1:]])
    write_table(shuffled, [tmp_path / f"again-{name}" for name in names])
    for name in names:
        assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes()


def test_floats_are_written_so_that_they_read_back_the_same(tmp_path: Path) -> None:
    values = [math.pi, np.float32(0.1), np.float64(1e-17), 3]
    write_csv(tmp_path / "t.times.csv", ["value"], [[value] for value in values])
    text = (tmp_path / "t.times.csv").read_text()
    assert text == f"value\n3.141592653589793\n{float(np.float32(0.1))!r}\n1e-17\n3\n"


def test_a_row_that_does_not_fit_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit the columns"):
        replace(table(), rows=[Row(["a", "b"], {"top2": Cell(TOP1)})])
    with pytest.raises(ValueError, match="does not fit the columns"):
        replace(table(), rows=[Row(["a"], {})])
    with pytest.raises(ValueError, match="written as"):
        write_table(table(), [tmp_path / "t.xlsx"])


def test_a_difference_may_be_printed_with_its_interval() -> None:
    columns = [Column("change", "change", "+.2f", interval=True)]
    shown = replace(table(), columns=columns, rows=[
        Row(["a", "b"], {"change": Cell({0: 1.0, 1: 2.0, 2: 3.0})}),
        Row(["a", "c"], {"change": Cell({0: 1.0})}),
    ])  # fmt: skip
    text = table_markdown(shown)
    half = 4.302653 / math.sqrt(3)  # Student's t for two degrees of freedom, sd 1
    assert f"+2.00 [{2 - half:+.2f}, {2 + half:+.2f}] |" in text
    assert " +1.00 (n 1) |" in text
    assert "In brackets: 95 % interval" in text
    assert "standard deviation" not in text


def test_only_a_mean_has_a_sign() -> None:
    gains = replace(
        table(),
        columns=[Column("gain", "gain", "+.2f")],
        rows=[Row(["ResNet-20", "ours"], {"gain": Cell({0: 1.0, 1: 2.0, 2: 3.0})})],
    )
    assert "+2.00 ± 1.00 |" in table_markdown(gains)


def test_a_count_is_of_no_data() -> None:
    counted = replace(
        table(),
        columns=[Column("params", "parameters", ",d", COUNTED)],
        rows=[Row(["a", "b"], {"params": Cell(exact=1234, published=Published("1.2k", "paper"))})],
    )
    text = table_markdown(counted)
    assert markdown_rows(text)[0][2:] == ["parameters", "parameters, published"]
    assert text.count("counted") == 0
    assert csv_rows(table_csv(counted))[0]["data"] == "none: counted on shapes alone"


def test_what_no_training_enters_names_no_seeds() -> None:
    assert untrained("small").line() == "Edition small; data none: counted on shapes alone; nothing trained"
    assert untrained("real", Data("votes")).line() == "Edition real; data votes; nothing trained"


def grids(text: str) -> list[list[list[str]]]:
    """The grids of a table in Markdown, each as header and rows of cells."""
    found: list[list[list[str]]] = []
    for block in text.split("\n\n"):
        lines = [line.replace(r"\|", "¦") for line in block.splitlines() if line.startswith("|")]
        if lines:
            found.append([[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])])
    return found


def is_nothing(cell: str) -> bool:
    return cell in ("", "-", "not recovered") or cell.startswith("not run")


def check_narrow_and_full(text: str) -> None:
    """No line of a grid is longer than 200 characters, no column is empty, and no row has keys alone."""
    assert max((len(line) for line in text.splitlines() if line.startswith("|")), default=0) <= 200
    for header, *rows in grids(text):
        assert rows
        for name, *cells in zip(header, *rows, strict=True):
            assert not all(map(is_nothing, cells)), f"{name} is empty"
        for row in rows:
            assert any(not is_nothing(cell) for cell in row)


@pytest.mark.parametrize("path", sorted(ROOT.glob("results/*/*/tables/*.md")), ids=lambda p: "-".join(p.parts[-4:]))
def test_recorded_tables_are_narrow_and_have_no_empty_columns(path: Path) -> None:
    check_narrow_and_full(path.read_text(encoding="utf-8"))


def wide(columns: int) -> Table:
    """Columns of which the first has published numbers, the last nothing, the one before a word in place of numbers."""
    names = [f"c{number}" for number in range(columns)]
    cells = {name: Cell(TOP1, files=FILES) for name in names[:-2]}
    cells["c0"] = Cell(TOP1, published=Published(91.14, "paper"))
    cells[names[-2]] = Cell(exact="not counted", published=Published(None, "unknown"))
    rows = [
        Row(["ours", "-"], cells),
        Row(["theirs", "-"], {"c0": Cell(published=Published(90.0, "paper"))}),
        Row(["nobody's", "-"], {"c0": Cell(published=Published(None, "unknown"))}),
    ]
    return Table("Wide", FACE, ["net", "why"], [Column(n, f"a long header of {n} [%]", ".2f") for n in names], rows)


def test_a_wide_table_is_cut_into_grids_ours_apart_from_published() -> None:
    text = table_markdown(wide(14))
    check_narrow_and_full(text)
    first, second, published = grids(text)
    assert first[0][0] == second[0][0] == published[0][0] == "net"
    assert [*first[0][1:], *second[0][1:]] == [f"a long header of c{number} [%]" for number in range(12)]
    assert [row[0] for row in first[1:]] == [row[0] for row in second[1:]] == ["ours"]
    assert published == [
        ["net", "a long header of c0 [%], published on CIFAR-10"], ["ours", "91.14"], ["theirs", "90.00"]
    ]  # fmt: skip
    assert "A row that a grid lacks has no number there." in text


def test_a_narrow_table_is_one_grid_and_says_what_it_leaves_out() -> None:
    text = table_markdown(wide(3))
    check_narrow_and_full(text)
    (grid,) = grids(text)
    assert grid == [
        ["net", "a long header of c0 [%]", "a long header of c0 [%], published on CIFAR-10"],
        ["ours", "81.43 ± 0.51", "91.14"],
        ["theirs", "not run at small", "90.00"],
    ]
    assert "Left out, not counted: a long header of c1 [%]." in text
    assert "Left out, not recovered: a long header of c1 [%], published on CIFAR-10." in text
    assert "Left out, not run at small: a long header of c2 [%]." in text
    assert "Left out, not run at small: row nobody's / -." in text
    rows = csv_rows(table_csv(wide(3)))
    assert [row["net"] for row in rows] == ["ours", "theirs", "nobody's"]
    assert {row["c2"] for row in rows} == {"not run at small"}


def test_a_table_without_any_number_says_so() -> None:
    nothing = replace(table(), rows=[Row(["a", "b"], {"top1": Cell(published=Published(1.0, "memory"))})])
    text = table_markdown(nothing)
    assert grids(text) == []
    assert "Left out, not run at small: top-1 (%); MACs." in text
    assert "Left out, not recovered: top-1 (%), published on CIFAR-10." in text
    assert table_latex(nothing).count(r"\\") == 1


def test_other_real_data_name_the_papers() -> None:
    data = Data("cifar-10", paper="imagenet")
    text = table_markdown(table(replace(FACE, edition="real", data=data)))
    assert "data cifar-10 (other real data, paper: imagenet)" in text
    assert markdown_rows(text)[0][-1] == "top-1 (%), published on imagenet"
    assert "Published on imagenet, ours on cifar-10, so not comparable: top-1 (%)." in text
    assert not data.is_standin
    standin = Data("shapes-10", "CIFAR-10", "imagenet")
    assert str(standin) == "shapes-10 (stand-in for CIFAR-10, paper: imagenet)"
    assert standin.of_paper == "imagenet"
